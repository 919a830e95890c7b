"""A SQLite file as a source: opened for reading only, or refused in one line.

Nothing is ever written beside the source.  A reader of a WAL-mode file makes `-wal` and `-shm` when they are not there,
so such a file is read through a private copy in the temporary directory instead; the copy has no name from the moment
it is open.  `immutable=1` is never used: it ignores the `-wal` file, and with it committed rows.
Facts about the file format: sqlite.org/fileformat2.html §1.3, sqlite.org/wal.html §6 (read-only databases).
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import urllib.parse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import apsw

from towpath.checks import Progress, silent
from towpath.errors import BadInput
from towpath.tables.schema import INTERNAL, literal

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # sqlite.org/fileformat2.html §3: a journal not yet rolled back
ENCODINGS = {1: "UTF-8", 2: "UTF-16le", 3: "UTF-16be"}
BUSY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What the file itself says, for the record."""

    path: str
    bytes: int
    page_size: int
    pages: int  # as the header says; a `-wal` file may hold more
    encoding: str  # UTF-8, UTF-16le or UTF-16be
    journal_mode: str  # wal, or rollback (delete, truncate, persist: the file does not say which)
    wal_bytes: int | None  # None: no `-wal` file
    user_version: int
    application_id: int
    sqlite_version: str  # of the program that wrote last, e.g. 3.40.1

    def row(self) -> dict[str, Any]:
        """The facts as plain data."""
        return asdict(self)


def open_source(path: Path, *, closed_cleanly: bool, busy_seconds: float = BUSY_SECONDS) -> apsw.Connection:
    """Open the database for reading only.

    `closed_cleanly`: a WAL-mode file without its `-wal` file is complete, because the application closed it cleanly;
    a person says so with the parameter source_closed_cleanly.  Raises BadInput for whatever cannot be read in full.
    """
    facts = read_facts(path)
    wal, shm = _beside(path, "-wal"), _beside(path, "-shm")
    _refuse_hot_journal(path)
    at_rest = False
    if facts.journal_mode == "wal":
        if not wal.exists():
            if not closed_cleanly:
                raise BadInput(
                    f"the file is in WAL mode and {wal.name} is not there, so committed rows may be missing",
                    object=str(path),
                    next=f"copy {wal.name} along with it, or set source_closed_cleanly: true if the application"
                    " closed the file before it was copied",
                )
            at_rest = True
        else:
            _readable(wal)
            at_rest = not shm.exists()
    if at_rest:
        return _check_schema(_open_copy(path, wal if wal.exists() else None, busy_seconds), path, busy_seconds)
    if not facts.wal_bytes:
        # With a live `-wal` the header may be ahead of the file: a checkpoint writes page 1 first.
        _refuse_truncated(path, facts)
    return _check_schema(_connect(path, busy_seconds), path, busy_seconds)


def read_facts(path: Path) -> SourceFacts:
    """Read the header of the file.  Raises BadInput when it is not there or not SQLite."""
    if not path.exists():
        raise BadInput("there is no such file", object=str(path), next="correct source_database in the params")
    if path.is_dir():
        raise BadInput("is a folder, not a file", object=str(path), next="name the SQLite file in source_database")
    if not path.is_file():
        raise BadInput("is not an ordinary file", object=str(path), next="name the SQLite file in source_database")
    header = _readable(path)
    size = path.stat().st_size
    if size == 0:
        raise BadInput(
            "the file is empty: zero tables, nothing to move",
            object=str(path),
            next="name the application's real database in source_database",
        )
    if not header.startswith(MAGIC[: len(header)]):
        raise BadInput(
            "is not a SQLite file (its first 16 bytes are something else), or it is encrypted",
            object=str(path),
            next="name a SQLite 3 file in source_database; an encrypted one must be decrypted first",
        )
    if len(header) < HEADER_BYTES:
        raise _truncated(path, f"{size} bytes, less than a SQLite header")
    page_size = int.from_bytes(header[16:18], "big")
    page_size = 65_536 if page_size == 1 else page_size
    encoding = ENCODINGS.get(int.from_bytes(header[56:60], "big") or 1)
    if page_size < 512 or page_size & (page_size - 1) or encoding is None or max(header[18], header[19]) > 2:
        raise BadInput(
            "has a SQLite header with values SQLite does not know",
            object=str(path),
            next="restore the file from a backup, or upgrade the application's export",
        )
    # The page count is only true when the last writer knew of it (header bytes 24-27 equal to 92-95).
    pages = int.from_bytes(header[28:32], "big") if header[24:28] == header[92:96] else size // page_size
    wal = _beside(path, "-wal")
    version = int.from_bytes(header[96:100], "big")
    return SourceFacts(
        path=str(path),
        bytes=size,
        page_size=page_size,
        pages=pages,
        encoding=encoding,
        journal_mode="wal" if header[19] == 2 else "rollback",
        wal_bytes=wal.stat().st_size if wal.exists() else None,
        user_version=int.from_bytes(header[60:64], "big", signed=True),
        application_id=int.from_bytes(header[68:72], "big", signed=True),
        sqlite_version=f"{version // 1_000_000}.{version // 1_000 % 1_000}.{version % 1_000}",
    )


def identity(db: apsw.Connection, path: Path) -> str:
    """What this source is, for gates: its file name and what it declares.  Rows do not change it, a new table does."""
    declared = sorted(
        (kind, name, on, sql or "")
        for kind, name, on, sql in db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
        if not INTERNAL.match(name)
    )
    number = db.pragma("application_id")
    digest = hashlib.sha256(repr((number, declared)).encode()).hexdigest()
    return f"sqlite:{path.name}:{digest[:24]}"


def check_integrity(db: apsw.Connection, report: Progress = silent) -> tuple[str, ...]:
    """Read every page of every table (`PRAGMA quick_check`); return what is damaged, nothing if the file is sound.

    `report` counts tables.  Values that break the table's own NOT NULL or CHECK are not damage: see `profile`.
    """
    problems: list[str] = []
    for (name,) in list(db.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type <> 'view'")):
        try:
            for (line,) in db.execute(f"SELECT quick_check FROM pragma_quick_check({literal(name)})"):
                if line != "ok" and not broken_constraint(line):
                    problems.append(f"{name}: {line}".replace("\n", " "))
        except apsw.SQLError:
            pass  # a function or a collation that only the application has; the census reads the rows
        except (apsw.Error, UnicodeDecodeError) as error:
            problems.append(f"{name}: {error}".replace("\n", " "))
        report(1)
    return tuple(dict.fromkeys(problems))


def broken_constraint(line: str) -> bool:
    """Whether a line of quick_check tells of a row that breaks its table's rules, not of a damaged page."""
    return line.startswith(("NULL value in ", "CHECK constraint failed in ", "non-")) or " value in " in line


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _readable(path: Path) -> bytes:
    """The first bytes of a file; opening is the only honest test of permission."""
    try:
        with path.open("rb") as file:
            return file.read(HEADER_BYTES)
    except OSError as error:
        raise BadInput(
            f"cannot be read: {error.strerror}", object=str(path), next="give this user the right to read it"
        ) from error


def _refuse_hot_journal(path: Path) -> None:
    journal = _beside(path, "-journal")
    if not journal.exists():
        return
    start = _readable(journal)[:8]
    if start != JOURNAL_MAGIC:
        return
    db = _connect(path, 0.0)
    try:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except apsw.BusyError:
        return  # a writer is alive, the journal is its own; the caller reports the lock
    except apsw.Error as error:
        raise BadInput(
            f"the last writer died in the middle of a transaction ({journal.name} is still there)",
            object=str(path),
            next="open the file once with the application or `sqlite3`, which rolls the transaction back",
        ) from error
    finally:
        db.close()


def _truncated(path: Path, what: str) -> BadInput:
    return BadInput(
        f"the file is cut short: {what}", object=str(path), next="copy it again in full, or restore a backup"
    )


def _refuse_truncated(path: Path, facts: SourceFacts) -> None:
    wanted = facts.pages * facts.page_size
    if facts.bytes < wanted:
        raise _truncated(path, f"{facts.bytes:,} bytes, its header promises {wanted:,}")


def _connect(path: Path, busy_seconds: float) -> apsw.Connection:
    uri = f"file:{urllib.parse.quote(str(path.absolute()))}?mode=ro"
    try:
        db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    except apsw.Error as error:
        raise BadInput(f"SQLite cannot open it: {error}", object=str(path), next="look at its permissions") from error
    db.set_busy_timeout(int(busy_seconds * 1000))
    return db


def _open_copy(path: Path, wal: Path | None, busy_seconds: float) -> apsw.Connection:
    """A private copy of a file at rest, its `-wal` folded in, open and without a name."""
    needed = path.stat().st_size + 2 * (wal.stat().st_size if wal else 0)
    with tempfile.TemporaryDirectory(prefix="towpath-source-") as folder:
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise BadInput(
                f"a WAL-mode file at rest is read from a private copy: {needed:,} bytes, {free:,} are free in {folder}",
                object=str(path),
                next="set TMPDIR to a folder with more space, or let the application run while Towpath reads",
            )
        before = [_state(p) for p in (path, wal) if p]
        copy = Path(folder) / "source.sqlite"
        shutil.copyfile(path, copy)
        if wal:
            shutil.copyfile(wal, _beside(copy, "-wal"))
        if before != [_state(p) for p in (path, wal) if p]:
            raise BadInput("changed while it was read", object=str(path), next="stop the writer and start again")
        if not wal:
            _refuse_truncated(path, read_facts(path))
        try:
            folding = apsw.Connection(str(copy))
            folding.execute("PRAGMA journal_mode = DELETE").fetchall()
            folding.close()
        except apsw.Error as error:
            raise BadInput(
                f"SQLite cannot read it: {error}", object=str(path), next="restore the file from a backup"
            ) from error
        db = _connect(copy, busy_seconds)
        db.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # opens the file before its name goes
        return db


def _state(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _check_schema(db: apsw.Connection, path: Path, busy_seconds: float) -> apsw.Connection:
    try:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    except apsw.BusyError as error:
        db.close()
        raise BadInput(
            f"a writer has locked the file for more than {busy_seconds:g} s",
            object=str(path),
            next="stop the writer (or let it finish its transaction) and start again",
        ) from error
    except apsw.Error as error:
        db.close()
        raise BadInput(
            f"SQLite cannot read it: {error}",
            object=str(path),
            next="restore the file from a backup; an encrypted file must be decrypted first",
        ) from error
    if not any(not INTERNAL.match(name) for name in names):
        db.close()
        raise BadInput(
            "has zero tables of an application, nothing to move",
            object=str(path),
            next="name the application's real database in source_database",
        )
    return db
