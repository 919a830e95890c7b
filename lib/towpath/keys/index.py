"""The names of a source's keys, each once and sorted, in a private index on disk, so that a million need no memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apsw

PAGE = 1_000  # keys that are looked at together


class Index:
    """Names of keys in a temporary SQLite database without a name, which spills to a file that vanishes with us."""

    def __init__(self) -> None:
        self._db = apsw.Connection("")
        self._db.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192").fetchall()
        self._db.execute("CREATE TABLE key (name BLOB PRIMARY KEY) WITHOUT ROWID")

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM key").get)

    def add(self, names: Sequence[bytes]) -> None:
        """Add names; SCAN may tell one several times."""
        with self._db:
            self._db.executemany("INSERT OR IGNORE INTO key VALUES (?)", ((name,) for name in names))

    def pages(self) -> Iterator[list[bytes]]:
        """The names in the order of their bytes, which is the order of a KV listing too."""
        last: bytes | None = None
        while True:
            where = "" if last is None else "WHERE name > ?"
            given = () if last is None else (last,)
            page = [
                name for (name,) in self._db.execute(f"SELECT name FROM key {where} ORDER BY name LIMIT {PAGE}", given)
            ]
            if not page:
                return
            yield page
            last = page[-1]
