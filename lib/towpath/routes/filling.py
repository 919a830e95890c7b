"""Placeholders of recorded requests, and the values that stand in for them when a request is sent.

`{id:task}` is a value of the source, by traffic.samples; `{token:user1}` a token, by traffic.tokens;
`{login:user1.email}` a field of that login; `{new:name}` a value that no request had before: who sends it makes it up.
"""

from __future__ import annotations

import json
import re
import urllib.parse
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from towpath.errors import BadInput
from towpath.routes.corpus import Recorded
from towpath.secrets import REFERENCE, Secret

PLACEHOLDER = re.compile(r"\{((?:id|token|login|new):[a-z0-9_.-]+)\}")
_KEY = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Sample:
    """A query that gives one value of the source; `form` uuid writes it with dashes."""

    query: str
    form: str = "text"


@dataclass(frozen=True, slots=True)
class Login:
    """A request that is answered with a token; texts env:NAME and file:PATH in its fields are secrets by reference."""

    route: str
    fields: Mapping[str, str] = field(hash=False)
    at: str = "$.access_token"


def placeholders(item: Recorded) -> set[str]:
    """What has to be known before a request can be sent: `id:task`, `token:user1`, …"""
    texts = [item.path, *item.headers.values(), item.body.decode("utf-8", "replace")]
    return {name for text in texts for name in PLACEHOLDER.findall(text)}


def filled(item: Recorded, values: Mapping[str, str]) -> Recorded:
    """The request as it can be sent.  Raises BadInput where a value is missing."""
    missing = placeholders(item) - set(values)
    if missing:
        step = "name it in traffic.samples or traffic.tokens of mapping.yaml"
        raise BadInput("nothing fills it", object=f"{{{min(missing)}}} of {item.route}", next=step)

    def put(text: str, written: Callable[[str], str]) -> str:
        return PLACEHOLDER.sub(lambda found: written(values[found[1]]), text)

    kind = next((value for name, value in item.headers.items() if name.lower() == "content-type"), "")
    body = item.body
    if PLACEHOLDER.search(body.decode("latin-1")):
        body = put(body.decode("utf-8", "surrogateescape"), _written(kind)).encode("utf-8", "surrogateescape")
    path = put(item.path, lambda value: urllib.parse.quote(value, safe=""))
    headers = {name: put(value, str) for name, value in item.headers.items()}
    return replace(item, path=path, headers=headers, body=body)


def _written(kind: str) -> Callable[[str], str]:
    """How a value stands in a body of this content type."""
    if "json" in kind:
        return lambda value: json.dumps(value, ensure_ascii=False)[1:-1]
    return urllib.parse.quote_plus if "urlencoded" in kind else str


def sampled(samples: Mapping[str, Sample], ask: Callable[[str], Sequence[Sequence[Any]]]) -> dict[str, str]:
    """The values of `{id:…}`, asked of the source; a query without a row, or with NULL, gives none."""
    values = {}
    for name, sample in samples.items():
        rows = ask(sample.query)
        value = rows[0][0] if rows and rows[0] else None
        if value is not None:
            values[f"id:{name}"] = _form(name, sample, value)
    return values


def _form(name: str, sample: Sample, value: Any) -> str:
    if sample.form != "uuid":
        return str(value)
    try:
        return str(uuid.UUID(bytes=value) if isinstance(value, bytes) else uuid.UUID(str(value)))
    except ValueError:
        raise BadInput("its query gives no UUID", object=f"traffic.samples.{name}", next="correct it") from None


def login_values(logins: Mapping[str, Login], root: Path) -> dict[str, str]:
    """The values of `{login:…}`; secrets are revealed, and remembered for masking."""
    return {
        f"login:{name}.{key}": Secret(text, root).reveal() if REFERENCE.match(text) else text
        for name, login in logins.items()
        for key, text in login.fields.items()
    }


def login_request(name: str, login: Login) -> Recorded:
    """The request that fetches the token of that name; it is filled like any other."""
    method, _, path = login.route.partition(" ")
    body = json.dumps({key: f"{{login:{name}.{key}}}" for key in login.fields}).encode()
    return Recorded(login.route, method, path, {"content-type": "application/json"}, body, "hand", expects=200)


def token_of(answer: bytes, login: Login) -> str:
    """The token in the answer of a login.  Raises BadInput where it is not."""
    try:
        here: Any = json.loads(answer)
        for key, number in _KEY.findall(login.at):
            here = here[key] if key else here[int(number)]
        if isinstance(here, str) and here:
            return here
    except (ValueError, KeyError, IndexError, TypeError):
        pass
    step = "look whether the login is still right, and at `at` of the token in mapping.yaml"
    raise BadInput(f"the answer holds no token at {login.at}", object=login.route, next=step)
