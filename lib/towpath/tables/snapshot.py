"""One consistent snapshot of a SQLite source: SQLite's own backup of the live file, the write-ahead log included.

The copy stays in the run folder, read-only: it is what "expected" means when a page is opened later.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import apsw
import orjson

from towpath.checks import Progress, silent
from towpath.errors import CannotFinish
from towpath.tables.schema import Schema
from towpath.tables.transcode import as_utf8

FILE = "snapshot.sqlite"
BACKUP_PAGES = 5_000


def take(source: apsw.Connection, folder: Path, report: Progress = silent) -> Path:
    """Back the source up into `folder`, in one read transaction; `report` counts pages.

    Raises CannotFinish when the disk is full or a writer keeps the source locked; nothing stays behind then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, draft = folder / FILE, folder / (FILE + ".tmp")
    draft.unlink(missing_ok=True)
    copy = apsw.Connection(str(draft))
    try:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").get  # noqa: B018 - starts the read transaction
        with copy.backup("main", source, "main") as backup:
            while not backup.done:
                before = backup.remaining
                backup.step(BACKUP_PAGES)
                report(abs(before - backup.remaining) if before else BACKUP_PAGES)
        copy.execute("PRAGMA journal_mode = DELETE").get  # noqa: B018
        encoding = copy.pragma("encoding")
        copy.close()
    except (apsw.FullError, apsw.IOError) as error:
        copy.close()
        draft.unlink(missing_ok=True)
        raise CannotFinish(
            f"the disk is full: {error}", object=str(path.name), next="free space for a copy of the source, run again"
        ) from None
    except (apsw.BusyError, apsw.LockedError) as error:
        copy.close()
        draft.unlink(missing_ok=True)
        raise CannotFinish(
            f"a writer keeps the source locked: {error}", object="source", next="stop the writer or wait, run again"
        ) from None
    finally:
        source.execute("ROLLBACK")
    if encoding != "UTF-8":
        other = folder / (FILE + ".utf8")
        other.unlink(missing_ok=True)
        try:
            as_utf8(draft, other)
            other.replace(draft)
        except BaseException:
            draft.unlink()
            other.unlink(missing_ok=True)
            raise
    draft.chmod(0o444)
    draft.replace(path)
    return path


def open_snapshot(path: Path) -> apsw.Connection:
    """Open a snapshot read-only."""
    return apsw.Connection(f"{path.resolve().as_uri()}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def schema_digest(schema: Schema) -> str:
    """SHA-256 over everything the schema declares; rows and sequences do not count."""
    parts = [[t.name, t.sql] for t in schema.tables]
    parts += [[i.name, i.sql or ""] for t in schema.tables for i in t.indexes]
    parts += [[n.name, n.sql] for n in (*schema.views, *schema.triggers)]
    return hashlib.sha256(orjson.dumps(sorted(parts))).hexdigest()
