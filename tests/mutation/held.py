"""A table of a target as a fault finds it: the rows that it must hold, and how to change them and bring them back.

Rows come back from copies on the target: tables of Towpath's own prefix, which the comparison rightly does not look at.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from helpers.carry import Carried

from mutation.cells import NULL, Cell
from mutation.harness import Failing, Fault, Name
from towpath.tables.relation import Relation
from towpath.tables.schema import Column, literal, quoted

STRICT = {"INT": "integer", "INTEGER": "integer", "REAL": "real", "TEXT": "text", "BLOB": "blob"}


@dataclass(frozen=True)
class Row:
    """One row of the source: how it is found in SQL, how it is named, and its cells."""

    at: str  # a condition that holds for this row alone
    shown: str  # its key as a difference names it
    cells: dict[str, Cell]


@dataclass
class Held:
    """One table with the rows that it must hold."""

    relation: Relation
    rows: list[Row]
    copy: str

    @property
    def name(self) -> str:
        """The table's name."""
        return self.relation.name

    @property
    def columns(self) -> list[Column]:
        """The columns that no key names and nothing computes: what a fault changes."""
        table = self.relation.table
        key = () if self.relation.carries_rowid else table.primary_key
        linked = {column for fk in table.foreign_keys for column in fk.columns}
        return [c for c in table.stored if c.name not in key and c.name not in linked]

    @property
    def names(self) -> list[str]:
        """What the copy keeps of a row: its rowid where nothing else names it, then its columns."""
        rowid = ["rowid"] if self.relation.carries_rowid else []
        return [*rowid, *(quoted(c.name) for c in self.relation.table.stored)]

    def takes(self, column: Column, cell: Cell) -> bool:
        """True if the column keeps this value as it is."""
        if cell == NULL:
            return not column.notnull
        if self.relation.table.strict:
            return STRICT.get(column.declared.upper(), cell.kind) == cell.kind
        if column.affinity == "BLOB" or cell.kind == "blob":
            return True
        if column.affinity == "TEXT":
            return cell.kind == "text"
        if cell.kind == "text":
            return not numeric(cell.text or "")
        if cell.kind == "real":
            return column.affinity == "REAL" or not float(cell.value or 0).is_integer()
        return cell.kind != "integer" or column.affinity != "REAL"


def numeric(text: str) -> bool:
    """True if a column of numbers would take the text for one."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read(carried: Carried, name: str, number: int) -> Held:
    relation = carried.exporter.relations[name]
    table = relation.table
    key = list(table.primary_key) if table.primary_key and not relation.carries_rowid else []
    if key:  # a rowid that is no column may be another on the target
        where = " || ' AND ' || ".join(f"'{quoted(c)} = ' || quote({quoted(c)})" for c in key)
    else:
        where = "'rowid = ' || rowid"
    shown = " || ', ' || ".join(f"quote({quoted(c)})" for c in key) if key else "'' || rowid"
    cells = ", ".join(f"typeof({c}), iif(typeof({c}) = 'text', CAST({c} AS BLOB), {c})" for c in listed(table.stored))
    rows = []
    for at, named, *flat in carried.exporter.db.execute(f"SELECT {where}, {shown}, {cells} FROM {quoted(name)}"):
        values = map(Cell, flat[::2], flat[1::2])
        rows.append(Row(at, named, dict(zip((c.name for c in table.stored), values, strict=True))))
    return Held(relation, rows, f"_towpath_copy_{number}")


def listed(columns: Iterable[Column]) -> list[str]:
    return [quoted(c.name) for c in columns]


def cells_probe(held: Held, rows: Iterable[str]) -> str:
    """SQL that tells the rows apart by storage class and bytes."""
    cells = [f"typeof({c}), hex({c}), quote({c})" for c in listed(held.relation.table.stored)]
    where = " OR ".join(f"({at})" for at in rows)
    return f"SELECT {', '.join(cells)} FROM {quoted(held.name)} WHERE {where}"


def counted(held: Held) -> frozenset[Failing]:
    """What fails when the number of rows is another."""
    return frozenset({("TB411", held.name), ("TB412", held.name)})


def again(held: Held, at: Iterable[str]) -> list[str]:
    """Statements that bring rows back from the copy."""
    names = ", ".join(held.names)
    columns = ", ".join(f"c{i}" for i in range(len(held.names)))
    rows = [_in_copy(held, one) for one in at]
    return [f"INSERT INTO {quoted(held.name)} ({names}) SELECT {columns} FROM {held.copy} WHERE {one}" for one in rows]


def _in_copy(held: Held, at: str) -> str:
    for i, name in enumerate(held.names):
        at = at.replace(f"{name} = ", f"c{i} = ", 1)
    return at


def changed(kind: str, held: Held, changes: dict[str, tuple[Row, dict[str, Cell]]]) -> Fault | None:
    """Cells of some rows become others; None if the table says the same as before."""
    names: set[Name] = set()
    seed, undo = [], []
    real = {
        at: (row, new)
        for at, (row, cells) in changes.items()
        if (new := {c: v for c, v in cells.items() if v != row.cells[c]})
    }
    for at, (row, new) in real.items():
        seed.append(
            f"UPDATE {quoted(held.name)} SET {', '.join(f'{quoted(c)} = {v.sql}' for c, v in new.items())} WHERE {at}"
        )
        back = ", ".join(f"{quoted(c)} = (SELECT c{held.names.index(quoted(c))} FROM {held.copy}"
                         f" WHERE {_in_copy(held, at)})" for c in new)  # fmt: skip
        undo.append(f"UPDATE {quoted(held.name)} SET {back} WHERE {at}")
        names |= {(held.name, row.shown, column, "changed") for column in new}
    if not real:
        return None
    if held.relation.is_multiset and len(real) > 1:
        before = sorted(tuple(map(repr, row.cells.values())) for row, _ in real.values())
        after = sorted(tuple(map(repr, (row.cells | new).values())) for row, new in real.values())
        if set(before) & set(after):
            return None  # rows that have only changed places are the same multiset
    checks = frozenset({("TB412", held.name)})
    return Fault(kind, frozenset(names), checks, tuple(seed), tuple(undo), (held.name,), cells_probe(held, real))


def number(held: Held) -> str:
    return f"SELECT count(*), total(octet_length(c)) FROM (SELECT quote({listed(held.relation.table.stored)[0]})"\
           f" AS c FROM {quoted(held.name)})"  # fmt: skip


def only(held: Held, rows: list[Row]) -> Held:
    """The same table, of which only these rows are looked at."""
    return Held(held.relation, rows, held.copy)


def free_key(held: Held, row: Row, rng: random.Random) -> tuple[dict[str, str], str, str] | None:
    """(values of the key, how it is named, its condition) of a key that no row has, near the row's own."""
    table = held.relation.table
    if held.relation.carries_rowid:
        new = 1000 + rng.randrange(10**6)
        return {"rowid": str(new)}, str(new), f"rowid = {new}"
    values: dict[str, str] = {}
    for column in table.primary_key:
        cell = row.cells[column]
        if cell.kind == "integer":
            values[quoted(column)] = str(int(cell.value or 0) - 1)  # the generator takes only even keys
        elif column == table.primary_key[-1]:
            values[quoted(column)] = literal((cell.text or "") + rng.choice((" ", "X", "é")))
        else:
            values[quoted(column)] = cell.sql
    if any("\0" in (row.cells[c].text or "") for c in table.primary_key):
        return None
    shown = ", ".join(v if v[:1] != "C" else literal(row.cells[c].text or "")
                      for c, v in zip(table.primary_key, values.values(), strict=True))  # fmt: skip
    return values, shown, " AND ".join(f"{c} = {v}" for c, v in values.items())
