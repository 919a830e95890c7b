"""Requests made from an OpenAPI document: for each route some that should be answered, and some that should be refused.

A route gets a request without its login (401), with an id that nobody has (404), with an id that is none, with a body
that lacks a field or holds one too many, and with a number beyond its bounds (422), as far as the document says so.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from towpath.routes import openapi
from towpath.routes.corpus import Recorded
from towpath.routes.filling import Login, login_request
from towpath.routes.route import Parameter, Route, parts
from towpath.routes.values import Unmakeable, Values

BOUNDARY = "towpath-d41d8cd98f00b204"
NOBODY = {"uuid": "00000000-0000-4000-8000-000000000000", "integer": "2147483646"}
NO_ID = "not-an-id"
_JSON = re.compile(r"^application/(.*\+)?json")


@dataclass(frozen=True, slots=True)
class Made:
    """The requests, and the routes that got none that should be answered, each with the reason."""

    items: tuple[Recorded, ...]
    unmade: Mapping[str, str] = field(hash=False)


def generate(
    document: openapi.Document, samples: Collection[str], logins: Mapping[str, Login], declared: Mapping[str, bool]
) -> Made:
    """Requests for every operation.

    A parameter or field `task_id` is `{id:task_id}` where `samples` has that name, and in a DELETE the sample
    `task_id.delete` is preferred; `declared` says of a route whether it writes, where its method says something else.
    """
    items: list[Recorded] = []
    unmade: dict[str, str] = {}
    for route, one in zip(openapi.routes(document), openapi.operations(document), strict=True):
        maker = _Maker(document, route, one[2], set(samples), logins, declared.get(route.title))
        try:
            items += maker.answered()
        except Unmakeable as error:
            unmade[route.title] = str(error)
        items += maker.refused()
    return Made(tuple(items), unmade)


class _Maker:
    """The requests of one route."""

    def __init__(
        self,
        document: openapi.Document,
        route: Route,
        operation: Mapping[str, Any],
        samples: set[str],
        logins: Mapping[str, Login],
        writes: bool | None,
    ) -> None:
        self._document, self._route, self._operation, self._samples = document, route, operation, samples
        self._writes, self._name = writes, next(iter(logins), "user1")
        self._login = next((login_request(*one) for one in logins.items() if one[1].route == route.title), None)
        # another text than the one that was created: a name may be unique
        word = "towpath, changed" if route.method in ("PUT", "PATCH") else "towpath"
        self._values = Values(document, self._sample, word)
        self._kind, self._schema = self._content()

    def answered(self) -> Iterator[Recorded]:
        """What the application should answer well."""
        if self._login is not None:
            yield self._request("as it should be", body=self._login.body)
            return
        body = self._body()
        yield self._request("as it should be", body=body)
        if more := {p.name: self._text(p) for p in self._queries if not p.required and self._has_value(p)}:
            yield self._request("with everything that may be asked", more, body=body)

    def refused(self) -> Iterator[Recorded]:
        """What it should refuse, as far as the document says so."""
        try:
            body = self._login.body if self._login else self._body()
        except Unmakeable:
            body = b""
        if self._route.auth != "none" and "none" not in self._route.auth.split(" or "):
            yield self._request("without a login", body=body, login=False, expects=401)
        forms = {p.name: self._form(p.schema) for p in self._route.parameters if p.place == "path"}
        asked = [(name, NOBODY[form]) for name, form in forms.items() if form in NOBODY]
        if asked:
            yield self._request("an id that nobody has", ids=dict(asked), body=body, expects=404)
        if "422" in self._operation.get("responses", {}):
            yield from self._invalid(dict(asked), body)

    def _invalid(self, asked: Mapping[str, str], body: bytes) -> Iterator[Recorded]:
        if asked:
            yield self._request("an id that is none", ids=dict.fromkeys(asked, NO_ID), body=body, expects=422)
        for one in self._queries:
            schema = self._values.merged(one.schema)
            if "maximum" in schema and schema.get("type") == "integer":
                beyond = {one.name: str(int(schema["maximum"]) + 1)}
                yield self._request(f"{one.name} beyond its bound", beyond, body=body, expects=422)
        schema = self._values.merged(self._schema)
        if not _JSON.match(self._kind):
            return
        if schema.get("required"):
            yield self._request("a body that lacks what it must have", body=b"{}", expects=422)
        if schema.get("additionalProperties") is False and body:
            more = json.dumps({**json.loads(body), "towpath": 1}, ensure_ascii=False).encode()
            yield self._request("a body with a field that nobody knows", body=more, expects=422)

    @property
    def _queries(self) -> list[Parameter]:
        return [one for one in self._route.parameters if one.place == "query"]

    def _request(
        self,
        note: str,
        query: Mapping[str, str] | None = None,
        *,
        ids: Mapping[str, str] | None = None,
        body: bytes = b"",
        login: bool = True,
        expects: int = 0,
    ) -> Recorded:
        path = self._route.path
        for name in parts(path):
            value = (ids or {}).get(name) or self._placed(name, strict=expects == 0)
            path = re.sub(rf"\{{{re.escape(name)}(:path)?\}}", lambda _, value=value: value, path)  # type: ignore[misc]
        asked = {p.name: self._text(p) for p in self._queries if p.required} | dict(query or {})
        path += f"?{urllib.parse.urlencode(asked, safe='{}:')}" if asked else ""
        headers = {"accept": "application/json"}
        if login:
            headers |= self._credentials()
        if body:
            multipart = f"; boundary={BOUNDARY}" if self._kind == "multipart/form-data" else ""
            headers["content-type"] = self._kind + multipart
        return Recorded(
            self._route.title,
            self._route.method,
            path,
            headers,
            body,
            "openapi",
            self._writes,
            0 if self._silent and expects != 401 else expects or self._success(),
            note,
        )

    @property
    def _silent(self) -> bool:
        """Whether the document may be silent about a body that the route takes: what it answers is not known then."""
        return self._route.method in ("POST", "PUT", "PATCH") and not self._kind

    def _credentials(self) -> dict[str, str]:
        """The header of a login by bearer; other kinds have to be recorded."""
        return {"authorization": f"Bearer {{token:{self._name}}}"} if "bearer" in self._route.auth else {}

    def _success(self) -> int:
        told = [int(code) for code in self._operation.get("responses", {}) if re.fullmatch(r"[23]\d\d", str(code))]
        return min(told, default=0)

    def _content(self) -> tuple[str, Any]:
        content = openapi.resolved(self._document, self._operation.get("requestBody")).get("content", {})
        kinds = sorted(content, key=lambda kind: (not _JSON.match(kind), kind))
        if not kinds:
            return "", {}
        held = dict(content[kinds[0]])
        schema = held.get("schema", {})
        return kinds[0], {**openapi.resolved(self._document, schema), **_given(self._document, held)}

    def _body(self) -> bytes:
        if not self._kind:
            return b""
        if not (_JSON.match(self._kind) or self._kind in ("multipart/form-data", "application/x-www-form-urlencoded")):
            raise Unmakeable(f"a body of {self._kind} must be recorded")
        value = self._values.value(self._schema, "")
        if _JSON.match(self._kind):
            return json.dumps(value, ensure_ascii=False).encode()
        if self._kind == "multipart/form-data":
            return _multipart(value, self._values.merged(self._schema).get("properties", {}))
        return urllib.parse.urlencode(value, safe="{}:").encode()

    def _sample(self, name: str) -> str | None:
        wanted = (f"{name}.{self._route.method.lower()}", name)
        found = next((one for one in wanted if one in self._samples), None)
        return None if found is None else f"{{id:{found}}}"

    def _has_value(self, one: Parameter) -> bool:
        schema = self._values.merged(one.schema)
        known = {"example", "examples", "default", "enum", "const"} & {key for key in schema if schema[key] is not None}
        return bool(known) or self._sample(one.name) is not None

    def _text(self, one: Parameter) -> str:
        value = self._values.value(one.schema, one.name)
        return value if isinstance(value, str) else json.dumps(value)

    def _placed(self, name: str, *, strict: bool) -> str:
        one = next((p for p in self._route.parameters if p.name == name and p.place == "path"), None)
        schema = one.schema if one else {"type": "string"}
        placed = self._sample(name)
        if placed is None and not self._has_value(Parameter(name, "path", True, schema)):
            if not strict:  # it will be refused, whatever stands here
                return NOBODY.get(self._form(schema), NO_ID)
            raise Unmakeable(f"no sample of {name}: name a query in traffic.samples")
        return placed or urllib.parse.quote(str(self._values.value(schema, name)), safe="")

    def _form(self, given: Mapping[str, Any]) -> str:
        schema = self._values.merged(given)
        return "uuid" if schema.get("format") == "uuid" else str(schema.get("type", ""))


def _given(document: openapi.Document, held: Mapping[str, Any]) -> dict[str, Any]:
    if "example" in held:
        return {"example": held["example"]}
    first = next((openapi.resolved(document, one) for one in held.get("examples", {}).values()), {})
    return {"example": first["value"]} if "value" in first else {}


def _multipart(value: Mapping[str, Any], properties: Mapping[str, Any]) -> bytes:
    """A form with files; a file is a short text."""
    text = ""
    for name, held in value.items():
        schema = properties.get(name, {})
        file = schema.get("format") == "binary" or "contentMediaType" in schema
        more = '; filename="towpath.txt"\r\nContent-Type: text/plain' if file else ""
        shown = held if isinstance(held, str) else json.dumps(held)
        text += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{shown}\r\n'
    return f"{text}--{BOUNDARY}--\r\n".encode()
