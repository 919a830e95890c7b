"""The ledger: one line before a write is sent, one when its answer is known, each on disk before anything goes on.

Whoever reads it later knows of every write what was wanted and what the client was told:

acknowledged  2xx: it must be there
refused       the side said that it did not do it (503 with Retry-After, 4xx), or it was never sent: it must not be
              there
unknown       cut, too late, or another 5xx: it may be there once, and its entity is left alone from then on

An *entity* is one row (and its file) that a client made.  It carries a text that names it and its version, and nothing
else in the world has that text: `<marker> v<version>`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from towpath.errors import BadInput

INTENDED = ("number", "at", "deed", "kind", "marker", "version")
TEXT = re.compile(r"^(?P<marker>\S+-\d{6,}) v(?P<version>\d+)$")


class Deed(StrEnum):
    """What a write does to its entity."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"


class Told(StrEnum):
    """What the client was told."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Write:
    """One write.  Times are milliseconds since 1970; `told_at` is 0 while nothing is known."""

    number: int
    at: int
    deed: Deed
    kind: str
    marker: str
    version: int  # of the entity after this write
    told: Told = Told.UNKNOWN
    told_at: int = 0
    status: int = 0  # 0: no answer
    side: str = ""  # x-served-by

    @property
    def text(self) -> str:
        """What the entity is called after this write."""
        return text_of(self.marker, self.version)


def text_of(marker: str, version: int) -> str:
    """What an entity is called in one of its versions."""
    return f"{marker} v{version}"


def parts_of(text: str) -> tuple[str, int] | None:
    """Marker and version of an entity's text; None for a text that is none."""
    found = TEXT.match(text)
    return (found["marker"], int(found["version"])) if found else None


class Ledger:
    """The file, opened to be written; one process writes it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")

    def intend(self, write: Write) -> None:
        """Note a write that is about to be sent."""
        plain = asdict(write)
        self._line(
            {"is": "intent", **{key: plain[key] for key in ("number", "at", "deed", "kind", "marker", "version")}}
        )

    def tell(self, number: int, told: Told, at: int, status: int, side: str) -> None:
        """Note what became of it."""
        self._line({"is": "told", "number": number, "told": told, "told_at": at, "status": status, "side": side})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _line(self, line: dict[str, Any]) -> None:
        self._file.write(orjson.dumps(line) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read_ledger(path: Path) -> list[Write]:
    """Every write in the order in which they were sent; one without an answer is unknown.

    A last line that was cut is left out: nothing had been sent for it, or its answer is not known.  Raises BadInput for
    a ledger that says something twice, or of nothing.
    """
    writes: dict[int, dict[str, Any]] = {}
    for line in lines_of(path):
        number, kind = int(line.get("number", 0)), line.pop("is", "")
        if kind == "intent" and number not in writes:
            writes[number] = line
        elif kind == "told" and number in writes and "told" not in writes[number]:
            writes[number] |= line
        else:
            step = "look which two processes wrote into it, and rehearse again"
            raise BadInput(f"write {number} is said twice, or answered before it was sent", object=str(path), next=step)
    return [
        Write(**{**line, "deed": Deed(line["deed"]), "told": Told(line.get("told", Told.UNKNOWN))})
        for line in writes.values()
    ]


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file of JSON lines; a last one that was cut is left out.  Raises BadInput."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                found = orjson.loads(line)
            except ValueError:
                found = None
            if not isinstance(found, dict):
                step = "look who wrote into it, and rehearse again"
                raise BadInput(f"line {number} is no line of it", object=str(path), next=step)
            yield found
