"""What a system says of itself, so that clients can use it: the variable `application` of its rehearsal.py.

It builds requests and reads answers, and looks into both databases; it sends nothing.  Who sends, when, and what is
noted of it, is the generator's.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

import httpx

from towpath.cloudflare.d1 import D1
from towpath.errors import WrongUse
from towpath.rehearsal.settling import Found


@dataclass(frozen=True, slots=True)
class Call:
    """One request.  `json` or `content` and `files` are what httpx takes."""

    method: str
    path: str
    json: Any = None
    content: bytes | None = None
    files: Mapping[str, tuple[str, bytes, str]] | None = None
    data: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Entity:
    """One row that a client made.  `id` is what its address needs, `client` the number of who made it."""

    kind: str
    id: str
    marker: str
    version: int
    client: int


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entity: how often it is made, and what may be done with it."""

    weight: int
    versions: int = 0  # that an entity can have, 1: it does not change, 0: as many as you like
    remove: Callable[[Entity], Call] | None = None  # the request that removes one, None: nobody removes any


class Application(Protocol):
    """One system, as its clients use it."""

    kinds: Mapping[str, Kind]

    def environment(self, secrets: Path) -> dict[str, str]:
        """What the old application's environment must say, so that both sides know the same secrets.

        `secrets` is the folder of the Worker's, one file for each.
        """

    def prepare(self, data: Path) -> None:
        """Read what clients know before they begin, from the application's folder."""

    def sign_in(self, number: int) -> Call | None:
        """How the client of this number signs in, None where nobody does; if it is refused, another number is tried."""

    def signed_in(self, answer: httpx.Response) -> dict[str, str] | None:
        """The headers that each further request bears; None if the client was not let in."""

    def create(self, kind: str, text: str, client: int, entities: list[Entity], random: Random) -> Call:
        """Make an entity that is called `text`; `entities` are the client's own that are surely there."""

    def created(self, answer: httpx.Response) -> str:
        """The id in an answer that acknowledges.  Raises ValueError, KeyError."""

    def change(self, entity: Entity, text: str) -> Call:
        """Call an entity otherwise."""

    def look(self, entity: Entity) -> Call:
        """Ask for an entity."""

    def seen(self, entity: Entity, answer: httpx.Response) -> str | None:
        """What the answer calls it; None if the answer does not show it."""

    def wander(self, random: Random) -> Call:
        """Any other read."""

    def on_old(self, data: Path, prefix: str) -> Iterable[Found]:
        """Every entity on the old side whose text begins with `prefix`; `data` is the application's folder."""

    def on_new(self, d1: D1, prefix: str) -> Iterable[Found]:
        """Every entity on the new side whose text begins with `prefix`."""


def application_of(root: Path, system: str) -> Application:
    """What runbooks/<system>/rehearsal.py calls `application`.  Raises WrongUse if there is none."""
    path = root / "runbooks" / system / "rehearsal.py"
    if not path.is_file():
        step = "write it, see docs/rehearsal.md: how a client signs in, what it makes, and how that is looked up"
        raise WrongUse("is not there, so nobody knows how clients use this system", object=str(path), next=step)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    module = importlib.import_module(f"runbooks.{system}.rehearsal")
    found: Application = module.application
    return found
