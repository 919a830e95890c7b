"""What an application writes into a copy: triggers that log every change of every table, in SQLite and in D1 alike.

They stand in copies only, never in a source or a target.  A trigger's own INSERT changes neither `changes()` nor
`last_insert_rowid()` of the statement that fired it, so the application does not notice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from towpath.parity.replay import Watch
from towpath.parity.rows import DELETED, INSERTED, UPDATED, Logged, Row, net
from towpath.tables.schema import OWN_PREFIX, Table, literal, quoted

LOG = f"{OWN_PREFIX}parity"
CREATE = f"CREATE TABLE {LOG} (at INTEGER PRIMARY KEY, name TEXT, what TEXT, cells TEXT NOT NULL, was TEXT)"
# what happens, what it is called, the row that is told, and the row before it
_EVENTS = (("INSERT", INSERTED, "new", ""), ("UPDATE", UPDATED, "new", "old"), ("DELETE", DELETED, "old", ""))
Ask = Callable[[str], Iterable[Sequence[Any]]]


def statements(tables: Iterable[Table]) -> Iterator[str]:
    """The log, and three triggers for each ordinary table."""
    yield CREATE
    for number, table in enumerate(one for one in tables if one.kind == "table"):
        for event, what, row, before in _EVENTS:
            cells, was = _cells(table, row), _cells(table, before) if before else "NULL"
            yield (
                f"CREATE TRIGGER {LOG}_{number}_{what} AFTER {event} ON {quoted(table.name)} BEGIN "
                f"INSERT INTO {LOG} (name, what, cells, was)"
                f" VALUES ({literal(table.name)}, '{what}', {cells}, {was}); END"
            )


def watch(ask: Ask, tables: Iterable[Table]) -> Watch:
    """Tells what was logged since it was last asked; `ask` runs a query on the copy."""
    known = {table.name: table for table in tables}
    seen = 0

    def look() -> dict[str, Any]:
        nonlocal seen
        rows = list(ask(f"SELECT at, name, what, cells, was FROM {LOG} WHERE at > {seen} ORDER BY at"))
        seen = int(rows[-1][0]) if rows else seen
        return net(_logged(known[str(name)], str(what), cells, was) for _, name, what, cells, was in rows)

    return look


def _logged(table: Table, what: str, cells: str, was: str | None) -> Logged:
    before = None if was is None else _row(table, was)
    return Logged(table.name, what, table.primary_key, _row(table, cells), before)


def _row(table: Table, cells: str) -> Row:
    values = (None if cell is None else _VALUES[cell[0]](cell[1:]) for cell in json.loads(cells))
    return {column.name: value for column, value in zip(table.stored, values, strict=True)}


_VALUES: dict[str, Callable[[str], Any]] = {"i": int, "r": float, "t": str, "x": lambda digits: f"x'{digits}'"}


def _cells(table: Table, row: str) -> str:
    """SQL that yields a row as a JSON array."""
    parts = [part for column in table.stored for part in ("','", _cell(f"{row}.{quoted(column.name)}"))]
    return _joined(["'['", *parts[1:], "']'"])


def _cell(value: str) -> str:
    """SQL that yields a cell as JSON: its class as a letter, then its value."""
    kinds = f"WHEN 'integer' THEN 'i' || {value} WHEN 'real' THEN 'r' || quote({value}) WHEN 'text' THEN 't' || {value}"
    cell = f"CASE typeof({value}) {kinds} ELSE 'x' || hex({value}) END"
    return f"CASE typeof({value}) WHEN 'null' THEN 'null' ELSE json_quote({cell}) END"


def _joined(parts: Sequence[str]) -> str:
    """Texts joined, nested by halves: D1 allows an expression a depth of 100, and older SQLite has no concat."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(parts[:middle])} || {_joined(parts[middle:])})"
