"""A run at a place: numbered states, each a list of files; and the files, each under its path and its SHA-256.

    <system>/<environment>/<run id>/states/000003.json       which files the run consists of, and who brought them
    <system>/<environment>/<run id>/files/<path>/<sha256>    one of them

A file that grows (run.json, the journal) has a name for each of its contents, so nothing is overwritten.  A state is
written last, and the second one with its number is refused: that is what two machines cannot both do.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from towpath.errors import BadInput
from towpath.places.store import Store
from towpath.plan.ends import NAME
from towpath.plan.params import RUN_ID
from towpath.runs.results import now

FORMAT = 1
_STATE = re.compile(r"^([^/]+)/([^/]+)/([^/]+)/states/(\d{6})\.json$")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of a state; `path` is relative to the run folder."""

    path: str
    sha256: str
    bytes: int
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What a run consisted of when somebody kept it."""

    system: str
    environment: str
    run: str
    number: int
    previous: str  # SHA-256 of the state before, "" for the first
    time: str
    by: str
    files: tuple[Kept, ...]

    @property
    def by_path(self) -> dict[str, Kept]:
        """The files by their paths."""
        return {one.path: one for one in self.files}

    @property
    def size(self) -> int:
        """How large the run is, in bytes."""
        return sum(one.bytes for one in self.files)

    @property
    def text(self) -> bytes:
        """The state as it is kept."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, indent=1) + "\n").encode()

    @property
    def digest(self) -> str:
        """SHA-256 of its text, which the next state names."""
        return hashlib.sha256(self.text).hexdigest()


@dataclass(frozen=True, slots=True)
class Home:
    """Where a run lies at its place."""

    system: str
    environment: str
    run: str

    @property
    def beginning(self) -> str:
        """How every name of the run begins."""
        return f"{self.system}/{self.environment}/{self.run}/"

    def state(self, number: int) -> str:
        """The name of a state."""
        return f"{self.beginning}states/{number:06d}.json"

    def file(self, path: str, sha256: str) -> str:
        """The name of a file with this content."""
        return f"{self.beginning}files/{path}/{sha256}"

    @property
    def tombstone(self) -> str:
        """The name of the line that says that the run was pruned."""
        return f"{self.system}/{self.environment}/pruned/{self.run}.json"


def homes(store: Store, system: str = "", environment: str = "") -> dict[Home, int]:
    """Every run at a place with the number of its newest state, by system, environment and time."""
    beginning = f"{system}/" + (f"{environment}/" if environment else "") if system else ""
    found: dict[Home, int] = {}
    for name, _ in store.names(beginning):
        match = _STATE.match(name)
        if match is None or not RUN_ID.match(match[3]) or not (NAME.match(match[1]) and NAME.match(match[2])):
            continue
        if environment in ("", match[2]):
            home = Home(match[1], match[2], match[3])
            found[home] = max(found.get(home, 0), int(match[4]))
    return dict(sorted(found.items(), key=lambda item: (item[0].system, item[0].environment, item[0].run)))


def newest_number(store: Store, home: Home) -> int:
    """The number of a run's newest state; 0 where the place does not have it."""
    found = (_STATE.match(name) for name, _ in store.names(f"{home.beginning}states/"))
    return max((int(match[4]) for match in found if match), default=0)


def read_state(store: Store, home: Home, number: int = 0) -> State | None:
    """A state of a run, the newest without a number; None where the place does not have the run.

    Raises BadInput for one that is no state of that run: what it names would be written to this disk.
    """
    number = number or newest_number(store, home)
    data = store.read(home.state(number)) if number else None
    if data is None:
        return None
    try:
        state = _state(json.loads(data))
        if (state.system, state.environment, state.run, state.number) != (*_names(home), number):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        where = f"{store.address}, {home.state(number)}"
        raise BadInput("is no state of that run", object=where, next="look who wrote it; it holds no run") from None
    return state


def history(store: Store, home: Home) -> Iterator[State]:
    """The states of a run from the first.  Raises BadInput where one is missing or does not follow the one before."""
    previous = ""
    for number in range(1, newest_number(store, home) + 1):
        state = read_state(store, home, number)
        if state is None or state.previous != previous:
            where = f"{store.address}, {home.state(number)}"
            raise BadInput("does not follow the state before it", object=where, next="look who changed the place")
        previous = state.digest
        yield state


def next_state(home: Home, before: State | None, files: Mapping[str, Kept]) -> State:
    """The state after `before`, made now by whoever is at work here."""
    return State(
        *_names(home),
        number=before.number + 1 if before else 1,
        previous=before.digest if before else "",
        time=now(),
        by=whoever(),
        files=tuple(files[path] for path in sorted(files)),
    )


def whoever() -> str:
    """Who is at work: account and machine."""
    try:
        account = getpass.getuser()
    except (OSError, KeyError):
        account = "unknown"
    return f"{account}@{socket.gethostname()}"


def _names(home: Home) -> tuple[str, str, str]:
    return home.system, home.environment, home.run


def _state(data: Mapping[str, Any]) -> State:
    files = tuple(Kept(**row) for row in data["files"])
    for one in files:
        parts = PurePosixPath(one.path).parts
        is_inside = bool(parts) and "/".join(parts) == one.path and ".." not in parts and parts[0] != "/"
        if not is_inside or "\0" in one.path or not _SHA256.match(one.sha256) or type(one.bytes) is not int:
            raise ValueError
    if data["format"] != FORMAT or len({one.path for one in files}) != len(files):
        raise ValueError
    words = {key: value for key, value in data.items() if key not in ("format", "files")}
    return State(**words, files=files)
