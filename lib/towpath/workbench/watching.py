"""What an application writes into a copy: triggers that log every change of every table, in SQLite and in D1 alike.

They stand in copies only, never in a source or a target.  A trigger's own INSERT changes neither `changes()` nor
`last_insert_rowid()` of the statement that fired it, so the application does not notice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from towpath.parity.replay import Watch
from towpath.parity.rows import DELETED, INSERTED, UPDATED, Logged, net
from towpath.tables.schema import OWN_PREFIX, Table, literal, quoted

LOG = f"{OWN_PREFIX}parity"
CREATE = f"CREATE TABLE {LOG} (at INTEGER PRIMARY KEY, name TEXT NOT NULL, what TEXT NOT NULL, cells TEXT NOT NULL)"
_EVENTS = (("INSERT", INSERTED, "new"), ("UPDATE", UPDATED, "new"), ("DELETE", DELETED, "old"))
Ask = Callable[[str], Iterable[Sequence[Any]]]


def statements(tables: Iterable[Table]) -> Iterator[str]:
    """The log, and three triggers for each ordinary table."""
    yield CREATE
    for number, table in enumerate(one for one in tables if one.kind == "table"):
        for event, what, row in _EVENTS:
            parts = [part for column in table.stored for part in ("','", _cell(f"{row}.{quoted(column.name)}"))]
            cells = _joined(["'['", *parts[1:], "']'"])
            yield (
                f"CREATE TRIGGER {LOG}_{number}_{what} AFTER {event} ON {quoted(table.name)} BEGIN "
                f"INSERT INTO {LOG} (name, what, cells) VALUES ({literal(table.name)}, '{what}', {cells}); END"
            )


def watch(ask: Ask, tables: Iterable[Table]) -> Watch:
    """Tells what was logged since it was last asked; `ask` runs a query on the copy."""
    known = {table.name: table for table in tables}
    seen = 0

    def look() -> dict[str, Any]:
        nonlocal seen
        rows = list(ask(f"SELECT at, name, what, cells FROM {LOG} WHERE at > {seen} ORDER BY at"))
        seen = int(rows[-1][0]) if rows else seen
        return net(_logged(known[str(name)], str(what), json.loads(cells)) for _, name, what, cells in rows)

    return look


def _logged(table: Table, what: str, cells: Sequence[str | None]) -> Logged:
    values = (None if cell is None else _VALUES[cell[0]](cell[1:]) for cell in cells)
    row = {column.name: value for column, value in zip(table.stored, values, strict=True)}
    return Logged(table.name, what, table.primary_key, row)


_VALUES: dict[str, Callable[[str], Any]] = {"i": int, "r": float, "t": str, "x": lambda digits: f"x'{digits}'"}


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
