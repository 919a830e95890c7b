"""One consistent snapshot of a SQLite source: SQLite's own backup of the live file, the write-ahead log included.

The copy stays in the run folder, read-only: it is what "expected" means when a page is opened later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import orjson

from towpath.checks import Progress, silent
from towpath.errors import BadInput, CannotFinish
from towpath.tables.schema import Schema
from towpath.tables.transcode import as_utf8

FILE = "snapshot.sqlite"
BACKUP_PAGES = 5_000


def take(source: apsw.Connection, folder: Path, report: Progress = silent) -> Path:
    """Back the source up into `folder`, in one read transaction; `report` counts pages.

    Raises CannotFinish when the disk is full or a writer keeps the source locked; nothing stays behind then.
    """
    path, draft, other = folder / FILE, folder / (FILE + ".tmp"), folder / (FILE + ".utf8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        if _backup(source, draft, report) != "UTF-8":
            other.unlink(missing_ok=True)
            as_utf8(draft, other)
            other.replace(draft)
        draft.chmod(0o444)
        draft.replace(path)
    except (apsw.FullError, apsw.IOError, apsw.CantOpenError, OSError) as error:
        raise CannotFinish(
            f"the disk is full or cannot be written: {error}",
            object=path.name,
            next="free space for a copy of the source, run again",
        ) from None
    except (apsw.BusyError, apsw.LockedError) as error:
        raise CannotFinish(
            f"a writer keeps the source locked: {error}", object="source", next="stop the writer or wait, run again"
        ) from None
    finally:
        if folder.is_dir():
            for left in (draft, other):
                left.unlink(missing_ok=True)
                left.with_name(f"{left.name}-journal").unlink(missing_ok=True)  # SQLite's own, where it was cut off
    return path


def _backup(source: apsw.Connection, draft: Path, report: Progress) -> str:
    """Copy every page as it is in one moment; returns the encoding of its texts."""
    with closing(apsw.Connection(str(draft))) as copy:
        source.execute("BEGIN")
        try:
            source.execute("SELECT count(*) FROM sqlite_schema").get  # noqa: B018 - starts the read transaction
            with copy.backup("main", source, "main") as backup:
                copied = 0
                while not backup.done:
                    backup.step(BACKUP_PAGES)
                    done = backup.page_count - backup.remaining
                    report(done - copied)
                    copied = done
        finally:
            source.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode = DELETE").get  # noqa: B018
        return str(copy.pragma("encoding"))


def open_snapshot(path: Path) -> apsw.Connection:
    """Open a snapshot read-only."""
    return apsw.Connection(f"{path.resolve().as_uri()}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


@contextmanager
def told_if_damaged(path: Path) -> Iterator[None]:
    """Say it in one line when a page of the snapshot, and so of the source, is damaged.  Raises BadInput."""
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise BadInput(
            f"the copy of the source is damaged: {error}",
            object=path.name,
            next="repair or restore the source, then begin again with 01-inventory",
        ) from None


def schema_digest(schema: Schema) -> str:
    """SHA-256 over everything the schema declares; rows and sequences do not count."""
    parts = [[t.name, t.sql] for t in schema.tables]
    parts += [[i.name, i.sql or ""] for t in schema.tables for i in t.indexes]
    parts += [[n.name, n.sql] for n in (*schema.views, *schema.triggers)]
    return hashlib.sha256(orjson.dumps(sorted(parts))).hexdigest()
