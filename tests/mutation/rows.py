"""Classes of faults between cells and in whole rows."""

from __future__ import annotations

import random
from collections.abc import Callable

from mutation.cells import NULL, Cell
from mutation.harness import Fault
from mutation.held import Held, Row, again, changed, counted, free_key, listed, number, only
from towpath.tables.schema import literal, quoted


def _is_parent(held: Held) -> bool:
    return held.name == "parent"  # the only table that others refer to


def missing(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """One row is not there."""
    if not held.rows or _is_parent(held):
        return None
    row = rng.choice(held.rows)
    names = frozenset({(held.name, row.shown, "", "missing")})
    seed = (f"DELETE FROM {quoted(held.name)} WHERE {row.at}",)
    return Fault(kind, names, counted(held), seed, tuple(again(held, [row.at])), (held.name,), number(held))


def keyed(take: bool, make: Callable[[str, Held, random.Random], Fault | None]) -> Callable[..., Fault | None]:
    """The same for tables with a key, or only for those without one."""
    return lambda kind, held, rng: None if held.relation.is_multiset is take else make(kind, held, rng)


def one_of_twins(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """One of two equal rows is not there."""
    seen: dict[str, list[Row]] = {}
    for row in held.rows:
        seen.setdefault(repr(list(row.cells.values())), []).append(row)
    twins = [row for rows in seen.values() if len(rows) > 1 for row in rows]
    if not twins:
        return None
    return missing(kind, only(held, [rng.choice(twins)]), rng)


def extra(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """A row too many: another one's content under a key that no row has."""
    if not held.rows or _is_parent(held):
        return None
    row = rng.choice(held.rows)
    free = free_key(held, row, rng)
    if free is None:
        return None
    values, shown, at = free
    names = [values.get(name, name) for name in held.names]
    seed = (
        f"INSERT INTO {quoted(held.name)} ({', '.join(held.names)})"
        f" SELECT {', '.join(names)} FROM {quoted(held.name)} WHERE {row.at}",
    )
    undo = (f"DELETE FROM {quoted(held.name)} WHERE {at}",)
    named = frozenset({(held.name, shown, "", "extra")})
    return Fault(kind, named, counted(held), seed, undo, (held.name,), number(held))


def another_key(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """A row under another key: one is missing, another too many, and the count is right."""
    if not held.rows or _is_parent(held) or held.relation.is_multiset:
        return None
    row = rng.choice(held.rows)
    free = free_key(held, row, rng)
    if free is None:
        return None
    values, shown, at = free
    seed = (f"UPDATE {quoted(held.name)} SET {', '.join(f'{c} = {v}' for c, v in values.items())} WHERE {row.at}",)
    undo = (f"DELETE FROM {quoted(held.name)} WHERE {at}", *again(held, [row.at]))
    named = frozenset({(held.name, row.shown, "", "missing"), (held.name, shown, "", "extra")})
    probe = f"SELECT {', '.join(f'hex({c})' for c in values)} FROM {quoted(held.name)}"
    return Fault(kind, named, frozenset({("TB412", held.name)}), seed, undo, (held.name,), probe)


def null_key(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """A row too many whose key is NULL: no range of keys holds it."""
    table = held.relation.table
    columns = {c.name: c for c in table.columns}
    key = table.primary_key
    if held.relation.carries_rowid or table.without_rowid or table.rowid_alias or any(columns[c].notnull for c in key):
        return None
    row = rng.choice(held.rows)
    names = ", ".join(listed(table.stored))
    values = ", ".join("NULL" if c.name in key else quoted(c.name) for c in table.stored)
    seed = f"INSERT INTO {quoted(held.name)} ({names}) SELECT {values} FROM {quoted(held.name)} WHERE {row.at}"
    undo = f"DELETE FROM {quoted(held.name)} WHERE {quoted(key[0])} IS NULL"
    named = frozenset({(held.name, "NULL", "", "extra")})
    return Fault(kind, named, counted(held), (seed,), (undo,), (held.name,), number(held))


def foreign(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """A row in a table that must be empty."""
    if held.rows:
        return None
    key = rng.randrange(1, 10**9)
    seed = (f"INSERT INTO {quoted(held.name)} VALUES ({key}, {rng.choice(('NULL', literal('x')))})",)
    undo = (f"DELETE FROM {quoted(held.name)}",)
    named = frozenset({(held.name, str(key), "", "extra")})
    return Fault(kind, named, counted(held), seed, undo, (held.name,), number(held))


def emptied(kind: str, held: Held, _: random.Random) -> Fault | None:
    """No row of a table is there."""
    if not held.rows or _is_parent(held):
        return None
    named = frozenset((held.name, row.shown, "", "missing") for row in held.rows)
    seed = (f"DELETE FROM {quoted(held.name)}",)
    return Fault(kind, named, counted(held), seed, tuple(again(held, [r.at for r in held.rows])), (held.name,),
                 number(held))  # fmt: skip


def columns_exchanged(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """Two columns of one row have each other's value."""
    rows = [row for row in held.rows if _swappable(held, row)]
    if not rows:
        return None
    row = rng.choice(rows)
    one, two = rng.choice(_swappable(held, row))
    return changed(kind, held, {row.at: (row, {one: row.cells[two], two: row.cells[one]})})


def columns_exchanged_everywhere(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """Two columns of every row have each other's value, as when a mapping names them the wrong way round."""
    if held.relation.is_multiset or not held.rows:
        return None
    pairs = [set(_swappable(held, row, same=True)) for row in held.rows]
    both = sorted(set.intersection(*pairs))
    if not both:
        return None
    one, two = rng.choice(both)
    return changed(kind, held, {r.at: (r, {one: r.cells[two], two: r.cells[one]}) for r in held.rows})


def _swappable(held: Held, row: Row, same: bool = False) -> list[tuple[str, str]]:
    return [
        (a.name, b.name)
        for i, a in enumerate(held.columns)
        for b in held.columns[i + 1 :]
        if (same or row.cells[a.name] != row.cells[b.name])
        and held.takes(a, row.cells[b.name])
        and held.takes(b, row.cells[a.name])
    ]


def rows_exchanged(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """Two rows have each other's value in one column."""
    if len(held.rows) < 2 or not held.columns or _is_parent(held):
        return None
    one, two = rng.sample(held.rows, 2)
    column = rng.choice(held.columns).name
    return changed(kind, held, {a.at: (a, {column: b.cells[column]}) for a, b in ((one, two), (two, one))})


def rows_exchanged_whole(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """Two rows have each other's content under their own keys."""
    if len(held.rows) < 2 or not held.columns or _is_parent(held) or held.relation.is_multiset:
        return None
    one, two = rng.sample(held.rows, 2)
    names = [column.name for column in held.columns]
    return changed(kind, held, {a.at: (a, {c: b.cells[c] for c in names}) for a, b in ((one, two), (two, one))})


def column_shifted(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """One column has moved by a row against the others."""
    if len(held.rows) < 3 or not held.columns or _is_parent(held) or held.relation.is_multiset:
        return None
    column = rng.choice(held.columns).name
    below = held.rows[1:] + held.rows[:1]
    return changed(kind, held, {a.at: (a, {column: b.cells[column]}) for a, b in zip(held.rows, below, strict=True)})


def border_moved(kind: str, held: Held, rng: random.Random) -> Fault | None:
    """The last character of one cell stands at the beginning of the next."""
    places = [
        (row, a.name, b.name)
        for row in held.rows
        for a, b in zip(held.columns, held.columns[1:], strict=False)
        if row.cells[a.name].text and row.cells[b.name].text is not None
    ]
    if not places:
        return None
    row, a, b = rng.choice(places)
    left, right = row.cells[a].text or "", row.cells[b].text or ""
    new = {a: Cell("text", left[:-1].encode()), b: Cell("text", (left[-1] + right).encode())}
    return changed(kind, held, {row.at: (row, new)})


def reference(null: bool) -> Callable[..., Fault | None]:
    """A reference leads nowhere, or to another parent that is there."""

    def make(kind: str, held: Held, rng: random.Random) -> Fault | None:
        columns = [c for fk in held.relation.table.foreign_keys for c in fk.columns]
        rows = [row for row in held.rows for c in columns if row.cells[c] != NULL]
        if not rows:
            return None
        row, column = rng.choice(rows), columns[0]
        old = int(row.cells[column].value or 0)
        new = NULL if null else Cell("integer", old - 2 if old > 2 else old + 2)
        return changed(kind, held, {row.at: (row, {column: new})})

    return make


ROWS: dict[str, Callable[[str, Held, random.Random], Fault | None]] = {
    "a row missing, table with a key": keyed(True, missing),
    "a row missing, table without a key": keyed(False, missing),
    "one of two equal rows missing": one_of_twins,
    "a row too many, table with a key": keyed(True, extra),
    "a row twice, table without a key": keyed(False, extra),
    "a row under another key": another_key,
    "a row too many whose key is NULL": null_key,
    "a row in a table that must be empty": foreign,
    "no row of a table": emptied,
    "two columns of a row exchanged": columns_exchanged,
    "two columns of every row exchanged": columns_exchanged_everywhere,
    "one column of two rows exchanged": rows_exchanged,
    "two rows exchanged under their keys": rows_exchanged_whole,
    "a column moved by one row": column_shifted,
    "a border between two cells moved": border_moved,
    "a reference emptied": reference(null=True),
    "a reference to another parent": reference(null=False),
}
