"""The rows that a write changed: what a log of single changes comes to.

A row is a JSON object of its cells, each with its storage class: an integer is a number, a text a text, a blob `x'…'`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

INSERTED, UPDATED, DELETED = "inserted", "updated", "deleted"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Logged:
    """One change as it happened: the row as it is after it, or as it was before it was deleted.  `key` () if none.

    `was` is the row before an update.
    """

    table: str
    what: str
    key: tuple[str, ...]  # names of columns
    row: Row = field(hash=False)
    was: Row | None = field(default=None, hash=False)


def net(log: Iterable[Logged]) -> dict[str, dict[str, list[Row]]]:
    """What the changes come to: table → inserted, updated, deleted → rows, in an order that generated keys do not make.

    A row that was inserted and deleted again is none, nor is one that is in the end what it was.  Rows of a table
    without a key are told change by change.
    """
    changed: dict[tuple[str, str], tuple[Logged, Logged]] = {}  # table and row → its first and its last change
    for number, one in enumerate(log):
        row = json.dumps([one.row[column] for column in one.key] if one.key else number)
        first, _ = changed.get((one.table, row), (one, one))
        changed[one.table, row] = first, one
    found: dict[str, dict[str, list[Row]]] = {}
    for first, last in sorted(changed.values(), key=lambda pair: _order(pair[1])):
        what = _came_to(first, last)
        if what:
            found.setdefault(last.table, {}).setdefault(what, []).append(last.row)
    return found


def _came_to(first: Logged, last: Logged) -> str:
    if first.what == INSERTED:
        return "" if last.what == DELETED else INSERTED
    if last.what == DELETED:
        return DELETED
    before = first.row if first.what == DELETED else first.was
    return "" if json.dumps(before) == json.dumps(last.row) else UPDATED  # to Python 1 is 1.0, to a cell it is not


def _order(one: Logged) -> tuple[str, str]:
    """By what the application wrote: the key, which it may have made up, counts last."""
    others = {name: value for name, value in one.row.items() if name not in one.key}
    return one.table, json.dumps([others, one.row], sort_keys=True)
