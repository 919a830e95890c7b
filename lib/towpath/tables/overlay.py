"""The decisions about orphans (rule TB203) laid over the rows that move.

`null` empties a reference whose parent is missing, `park` keeps its row back.  A parent that stays behind is missing
for its children too, and their children, in tables that refer to each other or to themselves as in any other; so the
keys of the rows that stay are found once on each connection, until there are no more, and kept in a temporary table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apsw

from towpath.checks import Decision, Progress, decide, silent
from towpath.tables.orphans import SOUND, Orphans, orphans, problem
from towpath.tables.relation import COLLATIONS, Key, Relation, keys
from towpath.tables.schema import ForeignKey, Schema, Table, quoted

ORPHAN = "TB203"
PLACE = "_towpath_parked_"  # no table of an application begins so


class Overlay:
    """Decisions as SQL conditions over the tables of one schema."""

    def __init__(self, schema: Schema, decisions: Sequence[Decision], keys: Mapping[str, Key]) -> None:
        self.schema, self.keys = schema, keys
        # a foreign key that is declared wrongly does not move (rules TB113, TB114): it parks and empties nothing
        sound = {t.name: [fk for fk in t.foreign_keys if problem(schema, fk) == SOUND] for t in schema.moving}
        self._decided = {name: [(fk, _decision(name, fk, decisions)) for fk in fks] for name, fks in sound.items()}
        parking = [name for name, pairs in self._decided.items() if any(do == "park" for _, do in pairs)]
        self._places = {name: f"temp.{PLACE}{number}" for number, name in enumerate(parking)}

    def prepare(self, db: apsw.Connection) -> None:
        """Find the rows that stay behind, on this connection; a read-only one will do."""
        for name, place in self._places.items():
            parts = ", ".join(self.keys[name].parts(quoted(name)))
            db.execute(f"DROP TABLE IF EXISTS {place}")
            db.execute(f"CREATE TEMP TABLE {place.removeprefix('temp.')} AS SELECT {parts} FROM {quoted(name)} WHERE 0")
        before = -1
        while before != db.total_changes():
            before = db.total_changes()
            for name, place in self._places.items():
                table = self.schema.table(name)
                wrong = " OR ".join(f"({self._missing(table, fk)})" for fk, do in self._decided[name] if do == "park")
                parts = ", ".join(self.keys[name].parts(quoted(name)))
                where = f"WHERE ({wrong}) AND NOT ({self.behind(name, quoted(name))})"
                db.execute(f"INSERT INTO {place} SELECT {parts} FROM {quoted(name)} {where}")

    def behind(self, name: str, alias: str) -> str:
        """The condition under which a row of the table stays behind; "" if none does."""
        place = self._places.get(name)
        return f"{self.keys[name].sql(alias)} IN (SELECT * FROM {place})" if place else ""

    def emptied(self, table: Table) -> dict[str, str]:
        """The columns that become NULL, each with its condition.

        Of a reference over several columns those that no other reference needs, if there are any.
        """
        out: dict[str, str] = {}
        nullable = {c.name for c in table.stored if not c.notnull and not c.key}
        for fk, do in self._decided[table.name]:
            if do != "null":
                continue
            condition = self._missing(table, fk)
            columns = [c for c in fk.columns if c in nullable]
            others = {c for other in table.foreign_keys if other != fk for c in other.columns}
            for column in [c for c in columns if c not in others] or columns:
                out[column] = f"({out[column]}) OR ({condition})" if column in out else condition
        return out

    def _missing(self, table: Table, fk: ForeignKey) -> str:
        """The condition under which a row's parent is missing, compared as `towpath.tables.orphans` does."""
        child = [f"{quoted(table.name)}.{quoted(c)}" for c in fk.columns]
        present = " AND ".join(f"{c} IS NOT NULL" for c in child)
        parent = self.schema.table(fk.parent)
        # the inner name differs from the table's own, so that self references compare two rows
        inner = quoted(f"parent of {table.name}")
        unknown = {c.upper() for i in parent.indexes if i.unique for c in i.collations} - set(COLLATIONS)
        collation = " COLLATE BINARY" if unknown else ""
        pairs = zip(fk.parent_columns, child, strict=True)
        match = " AND ".join(f"{inner}.{quoted(p)}{collation} = +{c}" for p, c in pairs)
        behind = self.behind(parent.name, inner)
        stays = f" AND NOT ({behind})" if behind else ""
        return f"{present} AND NOT EXISTS (SELECT 1 FROM {quoted(parent.name)} AS {inner} WHERE {match}{stays})"


def _decision(table: str, fk: ForeignKey, decisions: Sequence[Decision]) -> str:
    found = decide(ORPHAN, f"{table}.{'+'.join(fk.columns)}", decisions)
    return found.do if found else ""


def relations(overlay: Overlay) -> dict[str, Relation]:
    """The relation of every moving table, by table name; they hold on connections that `overlay` prepared."""
    return {
        table.name: Relation(
            table, overlay.keys[table.name], overlay.emptied(table), overlay.behind(table.name, quoted(table.name))
        )
        for table in overlay.schema.moving
    }


def orphans_after(
    db: apsw.Connection, schema: Schema, decisions: Sequence[Decision], report: Progress = silent
) -> tuple[Orphans, ...]:
    """The orphans of a source, a parent that stays behind by decision counted as missing; `report` counts keys."""
    if not any(decision.code == ORPHAN and decision.do == "park" for decision in decisions):
        return orphans(db, schema, report)
    overlay = Overlay(schema, decisions, keys(db, schema))
    overlay.prepare(db)
    return orphans(db, schema, report, overlay.behind)
