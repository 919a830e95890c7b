"""The rows that a write changed: the whole of small copies before and after it.

Meant for rehearsals over copies of a few ten thousand rows.  It installs nothing in them, so that what is compared is
what the application alone did.  A cell is a JSON value with its storage class: a blob is `x'…'`, a text is itself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

INSERTED, UPDATED, DELETED = "inserted", "updated", "deleted"
Row = dict[str, Any]
Rows = Mapping[str, tuple[tuple[str, ...], list[Row]]]  # table → columns of its key, all of its rows
Read = Callable[[], Rows]


class Watcher:
    """Tells what changed since it was last asked; `read` gives every row of every table."""

    def __init__(self, read: Read) -> None:
        self._read, self._before = read, read()

    def __call__(self) -> dict[str, dict[str, list[Row]]]:
        """The rows that were inserted, updated (as they are now) and deleted, table by table; a table without: not."""
        now, before = self._read(), self._before
        self._before = now
        found = {}
        for table in sorted({*now, *before}):
            key, rows = now.get(table, ((), []))
            changed = _changed(key, before.get(table, ((), []))[1], rows)
            if changed:
                found[table] = changed
        return found


def _changed(key: tuple[str, ...], before: list[Row], after: list[Row]) -> dict[str, list[Row]]:
    """What became of the rows of a table.  Without a key a row that changed was deleted and inserted."""
    old, new = Counter(map(_text, before)), Counter(map(_text, after))
    gone = [json.loads(text) for text in sorted((old - new).elements())]
    come = [json.loads(text) for text in sorted((new - old).elements())]
    keys = {_key(row, key) for row in gone} if key else set()
    known = {_key(row, key) for row in come} if key else set()
    parts = {
        INSERTED: [row for row in come if not key or _key(row, key) not in keys],
        UPDATED: [row for row in come if key and _key(row, key) in keys],
        DELETED: [row for row in gone if not key or _key(row, key) not in known],
    }
    return {name: rows for name, rows in parts.items() if rows}


def _text(row: Row) -> str:
    return json.dumps(row, sort_keys=True)


def _key(row: Row, key: tuple[str, ...]) -> str:
    return json.dumps([row[column] for column in key])
