"""Faults around the rows: indexes, views, triggers, declarations of tables, sequences, and objects too many."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

from helpers.carry import Carried

from mutation.harness import Fault, Maker
from mutation.tables import around
from towpath.checks import Check, Difference
from towpath.cloudflare.errors import D1Error
from towpath.tables.schema import literal, quoted

PROBE = (
    "SELECT (SELECT group_concat(name || hex(sql)) FROM sqlite_schema WHERE sql IS NOT NULL),"
    " (SELECT group_concat(name || ifnull(seq, 'none')) FROM sqlite_sequence)"
)


AGAIN = {f"TB{number}" for number in range(415, 420)}


def _also(fault: Fault | None, check: Check) -> bool:
    """Whether a check says once more of an object that is another one what its rows no longer keep."""
    named = {object.partition(" ")[2] for _, object in fault.checks} if fault is not None else set()
    return check.code in AGAIN and check.object in named


@dataclass(frozen=True)
class Edit:
    """An object of the schema made again in other words."""

    kind: str
    name: str
    old: str  # a part of its statement
    new: str


INDEXES = ("child_parent", "typed_name", "typed_flagged", "parent_name", "anything_length")
EDITS: dict[str, tuple[Edit, ...]] = {
    "index over another column": (
        Edit("index", "child_parent", "(parent_id)", "(note)"),
        Edit("index", "typed_flagged", "(price)", "(whole)"),
    ),
    "index in another order": (Edit("index", "typed_name", "at DESC", "at"),),
    "index with another collation": (Edit("index", "typed_name", "COLLATE NOCASE", "COLLATE RTRIM"),),
    "index over fewer columns": (Edit("index", "typed_name", ", at DESC", ""),),
    "index not unique any more": (Edit("index", "parent_name", "UNIQUE INDEX", "INDEX"),),
    "index over other rows": (Edit("index", "typed_flagged", "flag = 1", "flag = 0"),),
    "index over all rows": (Edit("index", "typed_flagged", "WHERE flag = 1", ""),),
    "index over another expression": (Edit("index", "anything_length", "length(a)", "length(b)"),),
    "view changed": (
        Edit("view", "family", "JOIN child", "LEFT JOIN child"),
        Edit("view", "totals", "total(part)", "sum(part)"),
        Edit("view", "family", "' – '", "'  –  '"),
        Edit("view", "family", "' – '", "' - '"),
    ),
    "trigger changed": (
        Edit("trigger", "typed_changed", "AFTER UPDATE", "AFTER INSERT"),
        Edit("trigger", "typed_changed", "new.id", "old.whole"),
        Edit("trigger", "named_gone", "raise(ABORT", "raise(FAIL"),
    ),
    "default changed": (
        Edit("table", "settled", "DEFAULT 'x'", "DEFAULT 'X'"),
        Edit("table", "settled", "DEFAULT 5", "DEFAULT '5'"),
        Edit("table", "settled", "DEFAULT CURRENT_TIMESTAMP", "DEFAULT CURRENT_DATE"),
        Edit("table", "deserted", "'none'", "'none '"),
    ),
    "default missing": (
        Edit("table", "settled", " DEFAULT 'x'", ""),
        Edit("table", "settled", " DEFAULT 5", ""),
        Edit("table", "deserted", " DEFAULT 'none'", ""),
    ),
    "NOT NULL missing": (Edit("table", "settled", " NOT NULL", ""),),
    "CHECK missing": (
        Edit("table", "settled", " CHECK (amount < 1000)", ""),
        Edit("table", "computed", " CHECK (octet_length(name) < 5000)", ""),
    ),
    "CHECK with another limit": (Edit("table", "settled", "amount < 1000", "amount <= 1000"),),
    "another type of a column": (
        Edit("table", "settled", "amount INTEGER", "amount NUMERIC"),
        Edit("table", "deserted", "name TEXT", "name"),
        Edit("table", "paired", "note TEXT", "note VARCHAR"),
    ),
    "another collation of a column": (
        Edit("table", "settled", " COLLATE NOCASE", ""),
        Edit("table", "settled", "NOCASE", "RTRIM"),
    ),
    "foreign key missing": (Edit("table", "child", " REFERENCES parent (id) ON DELETE SET NULL", ""),),
    "foreign key with another action": (Edit("table", "child", "ON DELETE SET NULL", "ON DELETE CASCADE"),),
    "another expression of a generated column": (
        Edit("table", "computed", "base * 2", "base + base"),
        Edit("table", "computed", "'<' || name", "'<' || lower(name)"),
    ),
    "STRICT missing": (Edit("table", "firm", " STRICT", ""),),
    "WITHOUT ROWID missing": (Edit("table", "paired", " WITHOUT ROWID", ""),),
    "primary key over fewer columns": (Edit("table", "paired", "KEY (first, second)", "KEY (second)"),),
    "a column too many": (Edit("table", "deserted", "name TEXT", "more, name TEXT"),),
}
EXTRA = {
    "index too many": ("index surplus", "CREATE INDEX surplus ON bag (a)", "DROP INDEX surplus"),
    "view too many": ("view surplus", "CREATE VIEW surplus AS SELECT 1", "DROP VIEW surplus"),
    "table too many": ("table surplus", "CREATE TABLE surplus (a)", "DROP TABLE surplus"),
    "trigger too many": (
        "trigger surplus",
        "CREATE TRIGGER surplus AFTER DELETE ON bag BEGIN SELECT 1; END",
        "DROP TRIGGER surplus",
    ),
}


class Around:
    """The same database, and what can be done around its rows."""

    group = "around the rows"

    def __init__(self, carried: Carried, copies: dict[str, tuple[str, list[str]]]) -> None:
        """`copies`: the table that holds each table's rows, and the names of its columns."""
        self.carried, self.d1, self.copies = carried, carried.d1, copies
        self.objects = {(o.kind, o.name): str(o.sql) for o in carried.exporter.schema.objects if o.sql}
        self.makers: dict[str, Maker] = {}
        for kind, edits in EDITS.items():
            self.makers[kind] = self._edited(kind, edits)
        for kind in EXTRA:
            self.makers[kind] = self._extra(kind)
        for kind, names in (
            ("index missing", [("index", name) for name in INDEXES]),
            ("view missing", [("view", "family"), ("view", "totals")]),
            ("trigger missing", [("trigger", "typed_changed"), ("trigger", "named_gone")]),
            ("table missing", [("table", "deserted"), ("table", "settled")]),
        ):
            self.makers[kind] = self._missing(kind, names)
        for kind in ("next id given out before", "next id later", "no next id", "next id of a text"):
            self.makers[kind] = self._sequence(kind)

    def seed(self, fault: Fault) -> bool:
        """Do it; False if the catalog reads as before."""
        answers = self.d1.batch([PROBE, *map(str, fault.seed), PROBE])
        return answers[0].rows != answers[-1].rows

    def undo(self, fault: Fault) -> None:
        """Take it back at once."""
        self.d1.batch([str(statement) for statement in fault.undo])

    def look(self, fault: Fault | None, whole: bool) -> tuple[list[Check], Collection[Difference]]:
        """Constraints, sequences, schema; `whole`: and every cell."""
        checks = [check for check in around(self.carried, again=whole) if not _also(fault, check)]
        if not whole:
            return checks, ()
        try:
            found = self.carried.compare()
        except D1Error as error:
            if fault is None or not fault.stops or fault.tables[0] not in error.line:
                raise
            return checks, ()  # it said which table it could not read; the checks above must name it too
        return [*checks, *found.checks], found.differences

    def _fault(self, kind: str, checks: set[tuple[str, str]], seed: list[str], undo: list[str]) -> Fault:
        return Fault(kind, frozenset(), frozenset(checks), tuple(seed), tuple(undo))

    def _edited(self, kind: str, edits: tuple[Edit, ...]) -> Maker:
        def make(rng: random.Random) -> Fault:
            edit = rng.choice(edits)
            sql = self.objects[edit.kind, edit.name]
            assert edit.old in sql, edit
            new = sql.replace(edit.old, edit.new)
            checks = {("TB413", f"{edit.kind} {edit.name}")}
            return self._fault(kind, checks, self._again(edit, new), self._again(edit, sql))

        return make

    def _again(self, edit: Edit, sql: str) -> list[str]:
        gone = f"DROP {edit.kind.upper()} {quoted(edit.name)}"
        return [gone, *self._made(edit.kind, edit.name, sql)]

    def _made(self, kind: str, name: str, sql: str) -> list[str]:
        if kind != "table":
            return [sql]
        copy, columns = self.copies[name]
        values = ", ".join(f"c{i}" for i in range(len(columns)))
        rows = f"INSERT INTO {quoted(name)} ({', '.join(columns)}) SELECT {values} FROM {copy}"
        table = next(t for t in self.carried.exporter.schema.tables if t.name == name)
        return [sql, rows, *(i.sql for i in table.indexes if i.sql)]

    def _extra(self, kind: str) -> Maker:
        _, made, gone = EXTRA[kind]
        return lambda _: self._fault(kind, {("TB414", "database")}, [made], [gone])

    def _missing(self, kind: str, names: list[tuple[str, str]]) -> Maker:
        def make(rng: random.Random) -> Fault:
            what, name = rng.choice(names)
            seed = [f"DROP {what.upper()} {quoted(name)}"]
            undo = self._made(what, name, self.objects[what, name])
            checks = frozenset({("TB413", f"{what} {name}")})
            # without its table a comparison cannot come to its end: looked for by the schema alone
            tables = (name,) if what == "table" else ()
            return Fault(kind, frozenset(), checks, tuple(seed), tuple(undo), tables, stops=bool(tables))

        return make

    def _sequence(self, kind: str) -> Maker:
        def make(rng: random.Random) -> Fault:
            name, seq = rng.choice(sorted(self.carried.manifest.sequences.items()))
            where = f"WHERE name = {literal(name)}"
            value = {
                "next id given out before": str(seq - rng.randrange(1, seq)),
                "next id later": str(seq + rng.randrange(1, 1000)),
                "next id of a text": "'none'",
                "no next id": "",
            }[kind]
            seed = (
                f"UPDATE sqlite_sequence SET seq = {value} {where}" if value else f"DELETE FROM sqlite_sequence {where}"
            )
            back = f"INSERT INTO sqlite_sequence (name, seq) VALUES ({literal(name)}, {seq})"
            return self._fault(kind, {("TB405", name)}, [seed], [f"DELETE FROM sqlite_sequence {where}", back])

        return make
