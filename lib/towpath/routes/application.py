"""The routes of an application: read from its OpenAPI document, or asked of the application itself.

Django, Flask and FastAPI are asked in a process of their own, by the application's own interpreter: what is imported
there cannot reach the record, and need not be installed beside Towpath.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.errors import BadInput
from towpath.routes import openapi
from towpath.routes.route import ANY, Parameter, Route, parts

WALKER = Path(__file__).with_name("walker.py")
SECONDS = 120  # that an application may take to be imported
OURS = ("AWS_", "CF_", "CLOUDFLARE_", "R2_", "TOWPATH_")
_ANGLED = re.compile(r"<(?:([^<>:]*):)?([^<>:]+)>")
_OPEN = frozenset({"AllowAny"})  # permissions of Django REST framework that ask for nothing


@dataclass(frozen=True, slots=True)
class Application:
    """Where an application says which routes it has; `of` is a JSON file, a module, or module:attribute."""

    kind: str  # openapi | django | flask
    of: str
    interpreter: str = ""  # the Python of its own environment; "": this one
    also: tuple[str, ...] = ()  # titles of routes that it answers and does not declare


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every route of an application, in its order; the OpenAPI document where there is one."""

    routes: tuple[Route, ...]
    document: Mapping[str, Any] | None = None

    def route(self, title: str) -> Route | None:
        """The route of this name."""
        return next((route for route in self.routes if route.title == title), None)


def without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what belongs to the move: the application's code has no use for our tokens."""
    return {name: value for name, value in environment.items() if not name.startswith(OURS)}


def inventory(application: Application, root: Path, environment: Mapping[str, str]) -> Inventory:
    """Every route of an application; `environment` is what its process may see.  Raises BadInput."""
    more = tuple(Route(*title.partition(" ")[::2]) for title in application.also)
    if application.kind == "openapi":
        document = _document(application, root, environment)
        return Inventory((*openapi.routes(document), *more), document)
    found = _asked(application, root, environment)
    return Inventory((*(route for row in found for route in _routes(row)), *more))


def _document(application: Application, root: Path, environment: Mapping[str, str]) -> openapi.Document:
    if application.of.endswith(".json"):
        return openapi.load(root / application.of, application.of)
    return openapi.checked(_asked(application, root, environment), application.of)


def _asked(application: Application, root: Path, environment: Mapping[str, str]) -> Any:
    # a path without links resolved: a virtual environment is known by the name of its Python
    python = str(root / application.interpreter) if application.interpreter else sys.executable
    step = "look at the line above; the application's own Python and the variables it needs must be there"
    try:
        done = subprocess.run(
            [python, "-", application.kind, application.of],
            input=WALKER.read_bytes(),
            capture_output=True,
            cwd=root,
            env=dict(environment),
            timeout=SECONDS,
            check=False,
        )
    except OSError as error:
        step = "correct traffic.application.interpreter"
        raise BadInput(f"cannot be started: {error.strerror}", object=python, next=step) from error
    except subprocess.TimeoutExpired:
        step = "let its import do no work, or give an OpenAPI document instead"
        raise BadInput(f"did not answer in {SECONDS} seconds", object=application.of, next=step) from None
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no word"])[-1]
        raise BadInput(f"does not say its routes: {last[:300]}", object=application.of, next=step)
    return json.loads(done.stdout)


def _routes(row: Mapping[str, Any]) -> Iterable[Route]:
    path = joined(row["path"])
    asked = [name for name in row["permissions"] if name not in _OPEN]
    auth = "session" if row["guarded"] else "+".join(asked) or "none"
    parameters = tuple(Parameter(name, "path", True) for name in parts(path))
    for method in row["methods"] or [ANY]:
        yield Route(method, path, row["name"], auth, parameters)


def joined(pieces: Iterable[tuple[str, str]]) -> str:
    """A path in our form, from the pieces as Django or Flask write them: each with its kind, path, regex or flask."""
    text = "".join(_of_regex(pattern) if kind == "regex" else _of_path(pattern) for kind, pattern in pieces)
    return "/" + text.lstrip("/")


def _of_path(pattern: str) -> str:
    def part(found: re.Match[str]) -> str:
        return f"{{{found[2]}:path}}" if (found[1] or "").startswith("path") else f"{{{found[2]}}}"

    return _ANGLED.sub(part, pattern)


def _of_regex(pattern: str) -> str:
    """A regular expression as a path: groups become parts, what cannot be said in a path is left as it is."""
    text, at, count = "", 0, 0
    while at < len(pattern):
        if pattern[at] == "(":
            end = _closing(pattern, at)
            inner = pattern[at + 1 : end]
            named = re.match(r"\?P<(\w+)>", inner)
            silent = inner.startswith("?") and not named
            count += not silent
            if not silent:
                rest = ":path" if re.search(r"(?<!\[\^/\])\.[*+]", inner) else ""
                text += f"{{{named[1] if named else f'part{count}'}{rest}}}"
            at = end + 1
        elif pattern[at] == "\\" and at + 1 < len(pattern):
            text += "" if pattern[at + 1] in "AZz" else pattern[at + 1]
            at += 2
        else:
            text += "" if pattern[at] in "^$?" else pattern[at]
            at += 1
    return text


def _closing(pattern: str, at: int) -> int:
    depth, inside = 0, False
    while at < len(pattern):
        one = pattern[at]
        if one == "\\":
            at += 1
        elif inside:
            inside = one != "]"
        elif one == "[":
            inside = True
        elif one in "()":
            depth += 1 if one == "(" else -1
            if not depth:
                return at
        at += 1
    return at
