"""The files of a source in a private index on disk, so that a million of them need no memory.

The index is a temporary SQLite database without a name: SQLite spills it to a file that vanishes with the process.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from towpath.checks import Decision, Finding

Decided = Sequence[tuple[Finding, Decision]]

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8192;
CREATE TABLE file (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, fold TEXT NOT NULL, place TEXT NOT NULL, path TEXT NOT NULL,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, link INTEGER NOT NULL, named INTEGER NOT NULL DEFAULT 0,
  sha256 TEXT, md5 TEXT, etag TEXT, part_size INTEGER, content_type TEXT,
  inode TEXT, ctime_ns INTEGER, settled INTEGER);
CREATE INDEX file_key ON file (key);
CREATE INDEX file_fold ON file (fold);
CREATE TABLE reference (
  id INTEGER PRIMARY KEY, row TEXT NOT NULL, path TEXT NOT NULL, nfc TEXT NOT NULL, fold TEXT NOT NULL,
  place TEXT NOT NULL, found TEXT);
CREATE INDEX reference_nfc ON reference (nfc);
CREATE INDEX reference_fold ON reference (fold);
CREATE TABLE skip (place TEXT NOT NULL);
CREATE TABLE empty (key TEXT NOT NULL);
CREATE TABLE known (
  path TEXT PRIMARY KEY, inode TEXT, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
  sha256 TEXT, md5 TEXT, etag TEXT, part_size INTEGER, content_type TEXT) WITHOUT ROWID;
"""
ADD_FILE = "INSERT INTO file (key, fold, place, path, size, mtime_ns, link) VALUES (?, ?, ?, ?, ?, ?, ?)"
SEEN = "path, inode, size, mtime_ns, ctime_ns, sha256, md5, etag, part_size, content_type"
_FILE = "key, path, size, mtime_ns, link, sha256, md5, etag, part_size, content_type"


def index() -> apsw.Connection:
    """A new, empty index."""
    db = apsw.Connection("")
    db.execute(_TABLES).fetchall()  # apsw stops at the first row, here that of a PRAGMA, until it is read
    return db


def key_of(path: str) -> str:
    """The key of a path: in Unicode normal form C, as R2 stores it.

    Source: developers.cloudflare.com/r2/reference/unicode-interoperability.
    """
    return unicodedata.normalize("NFC", path)


@dataclass(frozen=True, slots=True)
class File:
    """One regular file: `key` as in the bucket, `path` as on disk, both relative to the root with `/`."""

    key: str
    path: str
    size: int
    mtime_ns: int
    link: bool  # reached through a symbolic link
    sha256: str
    md5: str
    etag: str
    part_size: int | None
    content_type: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What lies below a root.  `objects` and `bytes` count the files that could be read.

    `unread` of them were not read again, because they are as they were when they last were; None where nobody knew.
    """

    root: Path
    prefixes: tuple[str, ...]  # the key prefixes that were walked, sorted; ("",) for all
    objects: int
    bytes: int
    findings: tuple[Finding, ...]
    db: apsw.Connection = field(repr=False, compare=False)
    unread: int | None = None

    def files(self, decided: Decided = ()) -> Iterator[File]:
        """The files in the order of their keys' bytes; those that a decision skips are left out."""
        for row in self.db.execute(
            f"SELECT {_FILE} FROM file WHERE sha256 IS NOT NULL"
            " AND NOT (link AND place IN (SELECT value FROM json_each(?)))"
            " AND NOT (NOT named AND place IN (SELECT value FROM json_each(?))) ORDER BY key",
            (skipped(decided, "OB105"), skipped(decided, "OB202")),
        ):
            key, path, size, mtime_ns, link, *rest = row
            yield File(key, path, size, mtime_ns, bool(link), *rest)

    def types(self) -> list[tuple[str, int, int]]:
        """(content type, files, bytes), the most bytes first."""
        return list(
            self.db.execute(
                "SELECT content_type, count(*), sum(size) FROM file WHERE sha256 IS NOT NULL"
                " GROUP BY 1 ORDER BY 3 DESC, 1"
            )
        )

    def largest(self, number: int = 10) -> list[tuple[str, int]]:
        """(key, bytes) of the largest files."""
        return list(self.db.execute("SELECT key, size FROM file ORDER BY size DESC, key LIMIT ?", (number,)))

    def empty_directories(self) -> Iterator[str]:
        """Directories without any entry, as keys without a slash at the end."""
        return (key for (key,) in self.db.execute("SELECT key FROM empty ORDER BY key"))


def skipped(decided: Decided, code: str) -> str:
    """The places where a finding of this code was decided `skip`, as a JSON array for a query."""
    return json.dumps(sorted({f.object for f, decision in decided if f.code == code and decision.do == "skip"}))
