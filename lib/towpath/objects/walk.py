"""Every file below a root: its key, its digests, and what could go wrong with it on the way to a bucket."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import apsw

from towpath.checks import Progress, silent
from towpath.errors import BadInput, WrongUse
from towpath.objects import content
from towpath.objects.content import ChangedWhileReadError, Content, below
from towpath.objects.inventory import ADD_FILE, SEEN, Inventory, index, key_of
from towpath.objects.rules import AHEAD, KEY_BYTES, LINE_BREAKS, OBJECT_BYTES, Findings
from towpath.objects.seen import content_of, tells_changes
from towpath.streams.pool import each

_PAGE = 1_000
_TO_READ = (
    "SELECT file.id, file.key, file.path, known.inode, known.size, known.mtime_ns, known.ctime_ns, known.sha256,"
    " known.md5, known.etag, known.part_size, known.content_type"
    " FROM file LEFT JOIN known USING (path) WHERE file.id > ? AND file.size <= ? ORDER BY file.id LIMIT ?"
)
_READ = (
    "UPDATE file SET inode = ?, size = ?, mtime_ns = ?, ctime_ns = ?,"
    " sha256 = ?, md5 = ?, etag = ?, part_size = ?, content_type = ?, settled = ? WHERE id = ?"
)


@dataclass(frozen=True, slots=True)
class _Directory:
    path: bytes  # below the root, as on disk, b"" for the root
    real: bytes  # where it really lies
    above: tuple[bytes, ...]  # where the directories lie through which it was reached
    link: bool


def walk(
    root: Path,
    prefix_dirs: Sequence[str] | None = None,
    report: Progress = silent,
    *,
    workers: int = 2,
    settled: int | None = None,
    known: Iterable[Sequence[Any]] | None = None,
) -> Inventory:
    """List and read every regular file below `root`, or below some of its directories.

    Keys are relative to `root` either way: `walk(Path("build/joan"), ["attachments"])` gives `attachments/…`.
    Reads each file once, in constant memory; `report` receives bytes read.  `settled` is the moment that
    `seen.settle` told: it says which files `keep_seen` may write down.  `known` are the rows of such a list: a file
    that is as it says is opened and not read.  What is wrong with single files is in the
    inventory's findings.  Raises BadInput when the root or a named directory cannot be listed, WrongUse for a
    directory name that leaves the root.
    """
    real_root = os.path.realpath(os.fsencode(root))
    starts = _starts(root, real_root, prefix_dirs)
    prefixes = tuple(key_of(os.fsdecode(start.path)) + "/" if start.path else "" for start in starts)
    findings, db = Findings(prefixes), index()
    with db:
        db.executemany(ADD_FILE, _scan(db, findings, real_root, starts))
    _collisions(db, findings)
    if known is not None and tells_changes(root):
        with db:
            db.executemany(f"INSERT INTO known ({SEEN}) VALUES ({', '.join('?' * 10)})", known)
    unread = _digest(db, findings, real_root, report, workers, settled)
    ((objects, total),) = db.execute("SELECT count(*), coalesce(sum(size), 0) FROM file WHERE sha256 IS NOT NULL")
    if not next(db.execute("SELECT 1 FROM file LIMIT 1"), None):
        findings.meet("OB119", "./")
    return Inventory(root, prefixes, objects, total, findings.sorted(), db, None if known is None else unread)


def _starts(root: Path, real_root: bytes, prefix_dirs: Sequence[str] | None) -> list[_Directory]:
    names = sorted({_inside(name) for name in (prefix_dirs or [""])})
    # a directory below another one that is walked anyway would list its files twice
    names = [n for n in names if not any(o != n and (not o or n.startswith(o + "/")) for o in names)]
    out = []
    for name in names:
        where = real_root + b"/" + os.fsencode(name) if name else real_root
        real = os.path.realpath(where)
        if not os.path.isdir(real):  # noqa: PTH112 bytes
            raise BadInput(
                "the directory is not there",
                object=str(root / name),
                next="correct source_files in the params, or create the directory if the application has no files yet",
            )
        if not below(real, real_root):
            raise BadInput(
                f"the directory is a link out of {root}",
                object=str(root / name),
                next="set source_files to the directory that really holds the files",
                code="OB103",
            )
        out.append(_Directory(os.fsencode(name), real, (real,), link=False))
    return out


def _inside(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise WrongUse("a directory to walk must lie below the root", object=name, next="give it relative to the root")
    return "/".join(parts)


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def _scan(
    db: apsw.Connection, findings: Findings, real_root: bytes, starts: Iterable[_Directory]
) -> Iterator[tuple[str, str, str, str, int, int, int]]:
    waiting = list(starts)
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(directory.real) as listing:
                entries = list(listing)
        except OSError as error:
            findings.meet("OB101", _shown(directory.path) or "./", error.strerror or "")
            continue
        if not entries:
            key = key_of(_shown(directory.path))
            findings.meet("OB115", key or "./")
            db.execute("INSERT INTO empty VALUES (?)", (key,))
        for entry in entries:
            path = directory.path + b"/" + entry.name if directory.path else entry.name
            try:
                name = path.decode("utf-8")
            except UnicodeDecodeError:
                findings.meet("OB107", _shown(path))
                continue
            found = _entry(entry, directory, name, findings, real_root)
            if isinstance(found, _Directory):
                waiting.append(found)
            elif found is not None:
                key = key_of(name)
                if _named_well(key, name, findings):
                    link = directory.link or entry.is_symlink()
                    _note(key, found, link, findings)
                    where = findings.place(key)
                    yield key, key.casefold(), where, name, found.st_size, found.st_mtime_ns, int(link)


def _entry(
    entry: os.DirEntry[bytes], directory: _Directory, name: str, findings: Findings, real_root: bytes
) -> _Directory | os.stat_result | None:
    """What an entry is: a directory to go on with, a file's status, or None when a finding says all."""
    key, linked = key_of(name), entry.is_symlink()
    real = os.path.realpath(entry.path) if linked else entry.path
    if linked and not below(real, real_root):
        findings.meet("OB103", key, f"to {_shown(real)}")
        return None
    try:
        status = os.stat(real)  # noqa: PTH116 bytes
    except OSError as error:
        findings.meet("OB104" if linked else "OB101", key, error.strerror or "")
        return None
    path = name.encode()
    if stat.S_ISDIR(status.st_mode):
        if linked and any(below(above, real) for above in directory.above):
            findings.meet("OB106", key)
            return None
        if linked:
            findings.meet("OB105", key, "directory")
        return _Directory(path, real, (*directory.above, real), directory.link or linked)
    if not stat.S_ISREG(status.st_mode):
        findings.meet("OB102", key)
        return None
    if linked:
        findings.meet("OB105", key)
    return status


def _named_well(key: str, name: str, findings: Findings) -> bool:
    if len(key.encode()) > KEY_BYTES:
        findings.meet("OB108", key, f"{len(key.encode()):,} bytes")
        return False
    if any(character in key for character in LINE_BREAKS):
        findings.meet("OB109", key)
        return False
    if key != name:
        findings.meet("OB111", key)
    return True


def _note(key: str, status: os.stat_result, link: bool, findings: Findings) -> None:
    if status.st_size == 0:
        findings.meet("OB113", key)
    if status.st_nlink > 1 and not link:
        findings.meet("OB114", key)
    if status.st_size > OBJECT_BYTES:
        findings.meet("OB117", key, f"{status.st_size:,} bytes")
    elif content.part_size(status.st_size):
        findings.meet("OB118", key)


def _collisions(db: apsw.Connection, findings: Findings) -> None:
    equal = "SELECT key, json_group_array(path) FROM file GROUP BY key HAVING count(*) > 1 ORDER BY key"
    for key, names in db.execute(equal):
        findings.meet("OB110", key, names)
    several = "SELECT fold FROM file GROUP BY fold HAVING count(DISTINCT key) > 1"
    findings.query("OB112", db, f"SELECT place, key FROM file WHERE fold IN ({several}) ORDER BY fold, key")


def _digest(
    db: apsw.Connection, findings: Findings, root: bytes, report: Progress, workers: int, settled: int | None
) -> int:
    """Read what must be read.  Returns how many files need not be."""

    def read(row: tuple[Any, ...]) -> tuple[int, str, bool, Content | str]:
        number, key, path, *known = row
        before = None if known[0] is None else content_of(known)
        try:
            found = content.read(root, path.encode(), before)
            return number, key, found is before, found
        except ChangedWhileReadError:
            return number, key, False, "OB116"
        except OSError as error:
            return number, key, False, f"OB101 {error.strerror}"

    def waiting() -> Iterator[tuple[Any, ...]]:
        last = 0
        while rows := list(db.execute(_TO_READ, (last, OBJECT_BYTES, _PAGE))):
            yield from rows
            last = rows[-1][0]

    unread = 0
    with db:
        for number, key, same, found in each(read, waiting(), workers, ahead=AHEAD, name="objects"):
            if isinstance(found, str):
                findings.meet(found[:5], key, found[6:])
                continue
            mark = found.mark
            believed = same or (settled is not None and mark.ctime_ns < settled)
            digests = found.sha256, found.md5, found.etag, found.part_size, found.content_type
            db.execute(_READ, (*astuple(mark), *digests, believed, number))
            unread += same
            if not same:
                report(found.size)
    return unread
