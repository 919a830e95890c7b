"""The migrations of the new application, read as D1 would run them: the target schema that somebody else wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import apsw

from towpath.checks import Finding
from towpath.cloudflare.limits import PAID, Limits
from towpath.errors import BadInput
from towpath.fitting.rules import RULES
from towpath.tables.conversion import CHANGED, DROPPED, KEPT, Account, Conversion, Statement, TargetColumn, TargetTable
from towpath.tables.ddl import COMMENT, SPACE, tidied, tokens
from towpath.tables.declared import use
from towpath.tables.dialect import Sandbox
from towpath.tables.orphans import needed
from towpath.tables.schema import Schema, Table, literal, quoted, reflect
from towpath.tables.virtual import after_statements

# developers.cloudflare.com/d1/sql-api/sql-statements, PRAGMA statements
PRAGMAS = frozenset(
    (
        *("case_sensitive_like", "defer_foreign_keys", "foreign_key_check", "foreign_key_list", "foreign_keys"),
        *("function_list", "ignore_check_constraints", "index_info", "index_list", "index_xinfo", "legacy_alter_table"),
        *("optimize", "quick_check", "recursive_triggers", "reverse_unordered_selects", "table_info", "table_list"),
        "table_xinfo",
    )
)
REFUSED = {
    apsw.SQLITE_ATTACH: "ATTACH",
    apsw.SQLITE_DETACH: "DETACH",
    apsw.SQLITE_TRANSACTION: "BEGIN and COMMIT: D1 makes its own transactions",
    apsw.SQLITE_SAVEPOINT: "SAVEPOINT",
    apsw.SQLITE_CREATE_TEMP_TABLE: "TEMP tables",
    apsw.SQLITE_CREATE_TEMP_VIEW: "TEMP views",
    apsw.SQLITE_CREATE_TEMP_TRIGGER: "TEMP triggers",
    apsw.SQLITE_CREATE_TEMP_INDEX: "TEMP indexes",
}
NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Migrations:
    """What the migrations declare, all of them together."""

    schema: Schema
    files: tuple[tuple[str, str], ...]  # name and text, in the order in which they run
    rows: dict[str, int]  # table -> rows that the migrations insert

    def findings(self) -> list[Finding]:
        """FT113: rows that are no rows of the source."""
        return [
            Finding("FT113", name, count, f"the migrations insert {count:,} rows") for name, count in self.rows.items()
        ]


def read_migrations(folder: Path, limits: Limits = PAID) -> Migrations:
    """Run the .sql files of a folder in their order, with D1's limits and rights, in memory.

    Raises BadInput FT112, with file and line, for what D1 would refuse.
    """
    try:
        paths = sorted((p for p in folder.iterdir() if p.suffix == ".sql" and p.is_file()), key=_place)
    except OSError as error:
        what = f"the folder cannot be read: {error.strerror}"
        raise BadInput(what, object=str(folder), next="correct migrations in mapping.yaml") from None
    if not paths:
        raise BadInput("no .sql file in it", object=str(folder), next="correct migrations in mapping.yaml")
    return run_migrations([(path.name, _read(path)) for path in paths], limits)


def run_migrations(files: Sequence[tuple[str, str]], limits: Limits = PAID) -> Migrations:
    """Run migrations, name and text, in the given order: what `read_migrations` does with the files of a folder."""
    with Sandbox(limits) as sandbox:
        denied: list[str] = []
        own = sandbox.db.authorizer
        assert own is not None

        def authorize(operation: int, one: str | None, two: str | None, db: str | None, by: str | None) -> int:
            what = REFUSED.get(operation)
            if operation == apsw.SQLITE_PRAGMA and str(one).lower() not in PRAGMAS:
                what = f"PRAGMA {one}"
            if what is not None:
                denied.append(what)
                return apsw.SQLITE_DENY
            return own(operation, one, two, db, by)

        sandbox.db.authorizer = authorize
        for name, text in files:
            for line, sql in statements(text):
                denied.clear()
                if problem := sandbox.run(sql):
                    what = f"D1 refuses {denied[0]}" if denied else problem
                    raise _refused(f"{name}, line {line}", what)
        sandbox.db.authorizer = own
        sandbox.guarded = False
        schema = replace(reflect(sandbox.db), sequences={})
        _used(sandbox, schema)
        counts = {
            table.name: int(sandbox.db.execute(f"SELECT count(*) FROM {quoted(table.name)}").get)
            for table in schema.moving
        }
    return Migrations(schema, tuple(files), {name: count for name, count in counts.items() if count})


def statements(text: str) -> Iterator[tuple[int, str]]:
    """The statements of a file, each with the line that it begins in."""
    start, line, sql, said = 1, 1, "", False
    for token in tokens(text):
        if not said and token.kind not in (SPACE, COMMENT):
            start, said = line, True
        sql += token.text
        line += token.text.count("\n")
        if token.sign(";") and apsw.complete(sql):
            if said and sql.strip(" \t\r\n;"):
                yield start, sql
            sql, said = "", False
    if said:
        yield start, sql


def adopted(schema: Schema) -> Conversion:
    """The adopted schema as statements: as its author wrote them, without comments, every object accounted for."""
    accounts: dict[tuple[str, str], Account] = {}

    def kept(kind: str, name: str, sql: str) -> str:
        made = tidied(sql).rstrip(";").rstrip()
        bare = any(t.kind == COMMENT for t in tokens(sql)) or "\r" in sql
        codes = ("TB309",) if bare else ()
        told = "comments or CRLF left out" if bare else "as the migrations declare it"
        accounts[kind, name] = Account(kind, name, CHANGED if bare else KEPT, codes, told, sql, made)
        return made

    def table(of: Table) -> TargetTable:
        made = kept("table", of.name, of.sql)
        columns = tuple(TargetColumn(c.name, c.declared, c.declared, "", "") for c in of.columns)
        changed = accounts["table", of.name].outcome == CHANGED
        return TargetTable(of.name, of, made, columns, (("TB309", "comments or CRLF left out"),) if changed else ())

    tables = tuple(table(t) for t in schema.tables if t.kind == "table")
    virtual = []
    for one in (t for t in schema.tables if t.kind == "virtual"):
        virtual.append(Statement(one.name, kept("table", one.name, one.sql)))
        virtual += [Statement(one.name, sql) for sql in after_statements(one)]
    indexes = [
        Statement(i.name, kept("index", i.name, i.sql))
        for t in schema.tables
        if t.kind == "table"
        for i in t.indexes
        if i.sql is not None
    ]
    early = needed(schema)
    return Conversion(
        tables=tables,
        keys=tuple(i for i in indexes if i.name in early),
        indexes=tuple(i for i in indexes if i.name not in early),
        views=tuple(Statement(v.name, kept("view", v.name, v.sql)) for v in schema.views),
        triggers=tuple(Statement(t.name, kept("trigger", t.name, t.sql)) for t in schema.triggers),
        virtual=tuple(virtual),
        fill=(),
        accounting=tuple(
            accounts.get((o.kind, o.name)) or _rest(o.kind, o.name, o.table, o.sql or "") for o in schema.objects
        ),
    )


def _rest(kind: str, name: str, table: str, sql: str) -> Account:
    if kind == "index":
        return Account(kind, name, KEPT, (), f"made by a UNIQUE or PRIMARY KEY of {table}", "", "")
    if name.lower() == "sqlite_sequence":
        return Account(kind, name, KEPT, (), "made by AUTOINCREMENT; the load sets its values", sql, "")
    return Account(kind, name, DROPPED, ("TB311",), "the target makes its own", sql, "")


def _place(path: Path) -> tuple[float, str]:
    """Migrations run by the number that their name begins with, as wrangler does it."""
    number = NUMBER.match(path.name)
    return (int(number.group()) if number else float("inf"), path.name)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except OSError as error:
        raise _refused(path.name, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _refused(path.name, f"is not UTF-8 at byte {error.start}") from None


def _used(sandbox: Sandbox, schema: Schema) -> None:
    """D1 compiles views and triggers only when they are used: do so once."""
    sandbox.guarded = True
    for view in schema.views:
        if error := sandbox.run(f"SELECT * FROM {quoted(view.name)} LIMIT 0"):
            raise _refused(f"view {view.name}", error)
    for trigger in schema.triggers:
        if error := sandbox.run(use(sandbox, trigger)):
            raise _refused(f"trigger {trigger.name}", error)
    for table in schema.tables:
        if error := sandbox.run(f"SELECT * FROM pragma_table_xinfo({literal(table.name)})"):
            raise _refused(f"table {table.name}", error)
    sandbox.guarded = False


def _refused(where: str, what: str) -> BadInput:
    return BadInput(what, object=where, code="FT112", next=RULES["FT112"].advice)
