"""One route of an application, whatever framework names it, and which route a request is of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ANY = "ANY"  # the method of a route that does not say which it answers
READING = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_PART = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that a request carries in its path, query string, headers or cookies."""

    name: str
    place: str  # path | query | header | cookie
    required: bool = False
    schema: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path pattern in one form: `/tasks/{task_id}`, and `{rest:path}` for a part with slashes in it."""

    method: str
    path: str
    name: str = ""  # what the framework calls it
    auth: str = "none"  # as far as it is declared: none, bearer, basic, cookie, session, …
    parameters: tuple[Parameter, ...] = ()

    @property
    def title(self) -> str:
        """What mapping.yaml and the corpus call it: `GET /tasks/{task_id}`."""
        return f"{self.method} {self.path}"

    @property
    def writes(self) -> bool:
        """Whether its method writes; one that does not say its method may."""
        return self.method not in READING

    def matches(self, method: str, path: str) -> bool:
        """Whether a request, by its method and its path without query string, is of this route."""
        asked = "GET" if method == "HEAD" and self.method == "GET" else method
        return self.method in (ANY, asked) and bool(_pattern(self.path).fullmatch(path))


def find(routes: Iterable[Route], method: str, path: str) -> Route | None:
    """The route that a request is of: of several that match, the one with the most words of its own."""
    found = [route for route in routes if route.matches(method, path)]
    return max(found, key=lambda route: (len(_PART.sub("", route.path)), route.method != ANY), default=None)


def parts(path: str) -> Iterator[str]:
    """The names of the variable parts of a path pattern, without what they may hold."""
    return (name.partition(":")[0] for name in _PART.findall(path))


def shape(title: str) -> str:
    """The title without the names of its variable parts: two routes of one shape answer the same requests."""
    return _PART.sub(lambda found: "{:path}" if found[1].endswith(":path") else "{}", title)


def _pattern(path: str) -> re.Pattern[str]:
    text, at = "", 0
    for part in _PART.finditer(path):
        text += re.escape(path[at : part.start()])
        text += ".+" if part[1].endswith(":path") else "[^/]+"
        at = part.end()
    return re.compile(text + re.escape(path[at:]))
