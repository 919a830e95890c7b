"""One request sent to one side, and its answer as a tree that can be compared."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from towpath.errors import BadInput, CannotFinish
from towpath.parity.naming import renamed
from towpath.parity.paths import BODY, HEADERS, STATUS
from towpath.routes.corpus import Recorded
from towpath.routes.filling import Login, filled, login_request, token_of
from towpath.secrets import remember

PATIENCE = 30.0  # seconds for an answer; what takes longer counts as none
_NOT_SENT = frozenset({"host", "content-length", "connection", "transfer-encoding", "accept-encoding"})
_JSON = re.compile(r"application/(json|[\w.+-]+\+json)\s*(;|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a side answered; status 0 when it did not, with the reason in `problem`.  `seconds` until its last byte."""

    status: int
    headers: Mapping[str, str] = field(hash=False)  # names in small letters
    body: bytes
    seconds: float
    problem: str = ""


class Side:
    """One side, asked as a client would ask it that keeps no cookies and follows no redirects; a context manager."""

    def __init__(self, name: str, url: str, patience: float = PATIENCE) -> None:
        self.name, self.url = name, url.rstrip("/")
        headers = {"user-agent": "towpath parity", "accept": "*/*"}
        self._http = httpx.Client(timeout=patience, trust_env=False, follow_redirects=False, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(self, request: Recorded) -> Answer:
        """Send a request, its placeholders filled, and read its answer to the end."""
        self._http.cookies.clear()
        started = time.perf_counter()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_SENT}
        try:
            found = self._http.request(request.method, self.url + request.path, headers=headers, content=request.body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(0, {}, b"", time.perf_counter() - started, f"no answer: {type(error).__name__}")
        seconds = time.perf_counter() - started
        return Answer(found.status_code, dict(found.headers.items()), found.content, seconds)

    def prove(self) -> None:
        """Raise CannotFinish unless somebody listens there."""
        answer = self.ask(Recorded("GET /", "GET", "/", {}, b"", "hand"))
        if not answer.status:
            step = "start it, or correct its address in the params"
            raise CannotFinish(f"the {self.name} side gives {answer.problem}", object=self.url, next=step)

    def token(self, name: str, login: Login, values: Mapping[str, str], names: Mapping[str, str] = {}) -> str:
        """Log in and take the token from the answer; from then on it is masked everywhere.  Raises BadInput.

        `names`: what this side calls the routes, where it calls them otherwise.
        """
        request = filled(login_request(name, login), values)
        answer = self.ask(renamed(request, names.get(login.route, "")))
        if not 200 <= answer.status < 300:
            what = f"the {self.name} side refuses the login: {answer.problem or f'status {answer.status}'}"
            raise BadInput(what, object=f"traffic.tokens.{name}", next="correct it in mapping.yaml, or its secret")
        found = token_of(answer.body, login)
        remember(found, f"token {name} of the {self.name} side")
        return found


def tree_of(answer: Answer, headers: Collection[str] = ()) -> dict[str, Any]:
    """The answer as a tree: status, the named headers, and the body: JSON where it is, else its bytes."""
    chosen = {name.lower(): answer.headers[name.lower()] for name in headers if name.lower() in answer.headers}
    return {STATUS: answer.status, HEADERS: chosen, BODY: _body(answer)}


def _body(answer: Answer) -> Any:
    if not _JSON.match(answer.headers.get("content-type", "")):
        return answer.body
    try:
        return json.loads(answer.body, object_pairs_hook=_once, parse_float=_float, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # not JSON after all: its bytes say what it is
        return answer.body


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _float(text: str) -> float:
    found = float(text)
    if math.isinf(found):
        raise ValueError("a number beyond every double")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
