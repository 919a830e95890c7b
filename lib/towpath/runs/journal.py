"""The journal: one JSON line for each cell that was executed, each line holding the hash of the one before.

An edit, a removed or an added line in the middle is found by `verify`.  The chain alone cannot tell that lines at its
end were removed; `head` gives what a record notes to tell that too.  A line is appended, flushed and synced at once, so
that a killed kernel leaves at most one line that is cut.  It stays where it is; the next line follows the last whole
one and names what was cut by its SHA-256, in `torn`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from towpath.runs.redaction import redact

START = "0" * 64  # the previous hash of the first line
KEYS = ("time", "phase", "attempt", "count", "cell", "source_sha256", "success", "error", "seconds", "previous", "hash")
TORN = "torn"  # a further key of a line that follows something cut
CUT = "is cut: the kernel was killed while it wrote"
LONGEST_LINE = 1 << 16  # bytes; an entry has about 500
LONGEST_ERROR = 300  # characters

_attached: list[tuple[Any, str, Callable[..., None]]] = []


class Journal:
    """The journal of one attempt at one phase."""

    def __init__(self, path: Path, phase: str, attempt: int = 1) -> None:
        self.path, self.phase, self.attempt = path, phase, attempt

    def append(
        self, *, count: int | None, cell: str, source: str, success: bool, error: str, seconds: float
    ) -> dict[str, Any]:
        """Append one line and return it.  `seconds` is the cell's duration.  Raises OSError when the disk refuses."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # JupyterLab and a run may write to the same journal
            previous, torn, is_open = _last(file)
            entry: dict[str, Any] = {
                "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "phase": self.phase,
                "attempt": self.attempt,
                "count": count,
                "cell": cell,
                "source_sha256": hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest(),
                "success": success,
                "error": _plain(redact(" ".join(error.split()))[:LONGEST_ERROR]),
                "seconds": round(seconds, 3),
                "previous": previous,
            }
            if torn is not None:
                entry[TORN] = torn
            entry["hash"] = _hash(entry)
            line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
            file.write((b"\n" if is_open else b"") + line.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        return entry


def attach(path: Path, phase: str, attempt: int = 1) -> Journal:
    """Write a line to `path` for every cell that this notebook executes from now on, the running cell included.

    Outside IPython nothing is written.  A second call replaces the first.
    """
    journal = Journal(path, phase, attempt)
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return journal
    shell = get_ipython()
    if shell is None:
        return journal
    detach()
    started = [time.monotonic()]

    def before(_info: Any) -> None:
        started[0] = time.monotonic()

    def after(outcome: Any) -> None:
        problem = outcome.error_before_exec or outcome.error_in_exec
        journal.append(
            count=outcome.execution_count,
            cell=str(getattr(outcome.info, "cell_id", None) or ""),
            source=str(outcome.info.raw_cell or ""),
            success=bool(outcome.success),
            error=f"{type(problem).__name__}: {problem}" if isinstance(problem, BaseException) else "",
            seconds=time.monotonic() - started[0],
        )

    for event, callback in (("pre_run_cell", before), ("post_run_cell", after)):
        shell.events.register(event, callback)
        _attached.append((shell, event, callback))
    return journal


def detach() -> None:
    """Stop writing for this notebook."""
    while _attached:
        shell, event, callback = _attached.pop()
        with contextlib.suppress(ValueError):
            shell.events.unregister(event, callback)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The entries that are whole, in order.  Raises OSError when the file cannot be read."""
    for line in path.read_bytes().split(b"\n"):
        entry = _entry(line)
        if entry is not None:
            yield entry


def head(path: Path) -> tuple[int, str]:
    """How many whole entries there are, and the hash of the last: what a record notes to find a shortened journal."""
    entries = list(read(path)) if path.is_file() else []
    return len(entries), str(entries[-1]["hash"]) if entries else START


def verify(path: Path, expected: tuple[int, str] | None = None) -> list[str]:
    """Every problem of a journal in words; an empty list means that the chain holds.

    `expected` is what `head` said when the record was made: entries may follow it, none of it may be missing.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        return [f"{path.name}: cannot be read: {(error.strerror or type(error).__name__).lower()}"]
    problems: list[str] = []
    hashes: list[str] = []
    previous = START
    torn: list[bytes] = []  # since the last whole entry
    lines = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line and number == len(lines):
            continue
        where = f"{path.name} line {number}"
        entry = _entry(line)
        if number == len(lines):
            problems.append(f"{where}: {CUT}")
        elif entry is None:
            problems.append(f"{where}: is no journal entry: the kernel was killed while it wrote, or it was changed")
            torn.append(line)
        else:
            if torn and entry.get(TORN) == _digest(torn):
                del problems[-len(torn) :]
            elif TORN in entry:
                problems.append(f"{where}: names something cut before it that is not there")
            torn = []
            if _hash(entry) != entry["hash"]:
                problems.append(f"{where}: was changed: its hash does not fit its content")
            if entry["previous"] != previous:
                problems.append(f"{where}: does not follow the line before: lines were removed, added or moved")
            previous = str(entry["hash"])
            hashes.append(previous)
    if expected is not None and expected[0]:
        count, last = expected
        if len(hashes) < count or hashes[count - 1] != last:
            problems.append(f"{path.name}: does not hold the {count} entries that the record was made with")
    return problems


def cuts(path: Path) -> list[str]:
    """Every place, in words, where a line was cut and the next one says so.  Raises OSError."""
    lines = path.read_bytes().split(b"\n")
    return [
        f"{path.name} line {number}: the line before it {CUT}; the journal goes on"
        for number, line in enumerate(lines, start=1)
        if TORN in (_entry(line) or {})
    ]


def _digest(torn: list[bytes]) -> str:
    return hashlib.sha256(b"\n".join(torn)).hexdigest()


def _hash(entry: Mapping[str, Any]) -> str:
    content = {key: value for key, value in entry.items() if key != "hash"}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(text: str) -> str:
    """The text as UTF-8 can hold it: a broken file name in a message must not break the journal."""
    return text.encode("utf-8", "backslashreplace").decode()


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and set(entry) - {TORN} == set(KEYS) else None


def _last(file: IO[bytes]) -> tuple[str, str | None, bool]:
    """The hash of the last whole entry, the digest of what is cut after it, and whether the last line has no end."""
    size = file.seek(0, os.SEEK_END)
    reach = min(size, LONGEST_LINE)
    while True:
        file.seek(size - reach)
        lines = file.read(reach).split(b"\n")
        whole = next((place for place in reversed(range(len(lines))) if _entry(lines[place])), None)
        if whole is not None or reach == size:
            break
        reach = min(size, reach * 4)
    entry = _entry(lines[whole]) if whole is not None else None
    rest = lines if whole is None else lines[whole + 1 :]
    is_open = bool(size) and (not rest or rest[-1] != b"")
    torn = rest if is_open else rest[:-1]
    return str(entry["hash"]) if entry else START, _digest(torn) if torn else None, is_open
