"""Requests that somebody wrote down, because no document and no recording has them: a list in a YAML file.

requests:
  - send: POST /auth/register
    json: { email: "{new:email}@example.org", username: "{new:name}", password: "{login:user1.password}" }
    expects: 201
    note: a new account
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from towpath.errors import BadInput
from towpath.routes.corpus import Recorded
from towpath.routes.filling import PLACEHOLDER
from towpath.routes.route import METHODS, Route, find

KEYS = ("send", "login", "headers", "json", "text", "base64", "type", "expects", "note")
_BODIES = ("json", "text", "base64")


def from_plain(data: Any, shown: str, routes: Sequence[Route], declared: Mapping[str, bool]) -> tuple[Recorded, ...]:
    """The requests of a file that was read as YAML.  Raises BadInput, naming the request that is wrong.

    `login` names a token of traffic.tokens; `type` is the content type of text and base64; `declared` says of a route
    whether it writes, where its method says something else.
    """
    rows = data.get("requests") if isinstance(data, Mapping) else None
    if not isinstance(rows, Sequence) or isinstance(rows, str) or set(data) != {"requests"}:
        raise BadInput("holds no list of requests", object=shown, next="write requests: and a list below it")
    return tuple(_made(f"{shown} requests[{at}]", row, routes, declared) for at, row in enumerate(rows))


def _made(where: str, row: Any, routes: Sequence[Route], declared: Mapping[str, bool]) -> Recorded:
    if not isinstance(row, Mapping) or not isinstance(row.get("send"), str):
        _wrong(where, "says not what is sent", "write send: and method and path")
    if unknown := sorted(set(row) - set(KEYS)):
        _wrong(where, f"has the unknown key {unknown[0]}", f"known here: {', '.join(KEYS)}")
    method, _, path = row["send"].partition(" ")
    if method not in METHODS or not path.startswith("/"):
        _wrong(where, f"{row['send']!r} is no request", "write a method and a path, as in GET /tasks")
    route = find(routes, method, path.partition("?")[0])
    if route is None:
        _wrong(where, f"{row['send']} is of no route of the application", "correct the path")
    given = row.get("headers", {})
    if not isinstance(given, Mapping):
        _wrong(where, "has headers that are no list of names with values", "write headers: { range: bytes=0-99 }")
    headers = {str(name).lower(): str(value) for name, value in given.items()}
    if row.get("login"):
        token = f"{{token:{row['login']}}}"
        if not PLACEHOLDER.fullmatch(token):
            _wrong(where, f"{row['login']!r} names no login", "write a name of traffic.tokens")
        headers["authorization"] = f"Bearer {token}"
    body, kind = _body(where, row)
    if kind:
        headers["content-type"] = kind
    expects = row.get("expects", 0)
    if type(expects) is not int or not (expects == 0 or 100 <= expects <= 599):
        _wrong(where, "expects no status", "write a number such as 404")
    writes, note = declared.get(route.title), str(row.get("note", ""))
    return Recorded(route.title, method, path, dict(sorted(headers.items())), body, "hand", writes, expects, note)


def _body(where: str, row: Mapping[str, Any]) -> tuple[bytes, str]:
    given = [key for key in _BODIES if key in row]
    if len(given) > 1:
        _wrong(where, f"has the bodies {' and '.join(given)}", "keep one of them")
    if not given:
        return b"", ""
    value = row[given[0]]
    if given == ["json"]:
        return json.dumps(value, ensure_ascii=False).encode(), "application/json"
    kind = str(row.get("type", "text/plain"))
    if given == ["text"]:
        return str(value).encode(), kind
    try:
        return base64.b64decode(str(value), validate=True), kind
    except binascii.Error:
        _wrong(where, "has a body that is not base64", "correct it")


def _wrong(where: str, what: str, step: str) -> NoReturn:
    raise BadInput(what, object=where, next=step)


def described(items: Sequence[Recorded]) -> Iterator[str]:
    """How many requests came from where, in words."""
    for source in dict.fromkeys(item.source for item in items):
        yield f"{sum(item.source == source for item in items):,} from {source}"
