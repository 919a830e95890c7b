"""`traffic` of mapping.yaml: the application's routes, what becomes of each, and how both sides are compared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from towpath.errors import WrongUse
from towpath.parity.forms import ORDER as FORMS
from towpath.parity.forms import Rule
from towpath.plan.strict import Strict

ROUTE = re.compile(r"^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|ANY) (/\S*)$")
NAME = re.compile(r"^[a-z0-9][a-z0-9_.-]*$")
A_ROUTE = "a method and a path, as in GET /tasks/{task_id}"


def _routes(values: Iterable[str]) -> None:
    for value in values:
        if not ROUTE.match(value):
            raise ValueError(f"it is no route: write {A_ROUTE}")


def _inside(value: str) -> str:
    if Path(value).is_absolute() or ".." in Path(value).parts:
        raise ValueError("it must be a path of the project, without ..")
    return value


class Application(Strict):
    """Where the application says which routes it has, and where its source lies."""

    kind: Literal["openapi", "django", "flask"] = Field(description="openapi (FastAPI too), django or flask")
    of: str = Field(
        min_length=1,
        description="openapi: a JSON file, or module:attribute of a FastAPI application; django: the settings module; "
        "flask: module:attribute",
    )
    interpreter: str = Field(default="", description='"" or the Python of the application\'s own environment')
    source: str = Field(default="", description="the folder of the application's source, which is read, never run")
    also: tuple[str, ...] = Field(default=(), description="routes that it answers and does not declare")
    apart: tuple[str, ...] = Field(default=(), description="patterns of files in that folder that serve no request")

    @field_validator("source")
    @classmethod
    def _folder(cls, value: str) -> str:
        return _inside(value)

    @field_validator("also")
    @classmethod
    def _also(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _routes(value)
        return value


class RouteRow(Strict):
    """One route of the old application, and what the new one calls it."""

    source: str = Field(alias="from", description=f"{A_ROUTE}, as the inventory names it")
    target: str = Field(alias="to", description=f"{A_ROUTE}, as the new one names it; left out: the same")
    auth: str = Field(default="none", min_length=1, description="none, bearer, cookie, … as the new application asks")
    writes: bool | None = Field(default=None, description="true or false, where its method says something else")
    notes: str = Field(default="", description="what a reader should know, in a sentence")

    @field_validator("source", "target")
    @classmethod
    def _route(cls, value: str) -> str:
        _routes([value])
        return value

    @model_validator(mode="before")
    @classmethod
    def _same(cls, given: Any) -> Any:
        return {"to": given["from"], **given} if isinstance(given, Mapping) and "from" in given else given


class Sample(Strict):
    """A value of the source that requests are filled with, at `{id:name}`: the same in each run on the same data."""

    query: str = Field(min_length=1, description="a SELECT that gives one value; ORDER BY makes it the same each time")
    form: Literal["text", "uuid"] = Field(
        default="text", alias="as", description="text (as it is) or uuid (with its dashes)"
    )


class Login(Strict):
    """How a token is fetched that requests carry at `{token:name}`; each side is asked for its own."""

    route: str = Field(description=f"{A_ROUTE}, which answers with a token")
    body: Mapping[str, str] = Field(description="the JSON that is sent; a secret is named, env:NAME or file:PATH")
    at: str = Field(default="$.access_token", min_length=1, description="where the answer holds the token: $.key")

    @field_validator("route")
    @classmethod
    def _route(cls, value: str) -> str:
        _routes([value])
        return value


class ParityRule(Strict):
    """A part of the answers that both sides may give differently, and how."""

    route: str = Field(min_length=1, description="a route or a pattern with * and ?, e.g. GET /tasks*")
    path: str = Field(min_length=1, description="$.items[*].updated_at, header NAME, or rows TABLE.COLUMN")
    form: str = Field(alias="as", min_length=1, description=f"{', '.join(FORMS)}; seconds and number with an amount")
    reason: str = Field(min_length=1, description="why, in a sentence")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            Rule.of(self.route, self.path, self.form, self.reason)
        except WrongUse as error:
            raise ValueError(f"{error.object!r}: {error.what}; {error.next}") from None
        return self


class Parity(Strict):
    """How the answers of both sides are compared."""

    headers: tuple[str, ...] = Field(default=("content-type",), description="a list of headers that are compared")
    rules: tuple[ParityRule, ...] = Field(default=(), description="a list of {route, path, as, reason}")


class Traffic(Strict):
    """Everything about the requests that both sides answer."""

    application: Application | None = Field(default=None, description="{kind, of, interpreter, source, also, apart}")
    routes: tuple[RouteRow, ...] = Field(default=(), description="a list of {from, to, auth, writes, notes}")
    left: Mapping[str, str] = Field(default={}, description="a route that stays behind: why")
    corpus: str = Field(default="", description='"" or the JSONL file of recorded requests')
    samples: Mapping[str, Sample] = Field(default={}, description="name: {query, as}")
    tokens: Mapping[str, Login] = Field(default={}, description="name: {route, body, at}")
    parity: Parity = Field(default=Parity(), description="{headers, rules}")
    names: tuple[str, ...] = Field(default=(), description="a list of DNS names that move with the traffic")

    @field_validator("corpus")
    @classmethod
    def _file(cls, value: str) -> str:
        return _inside(value)

    @field_validator("left")
    @classmethod
    def _left(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        _routes(value)
        for route, reason in value.items():
            if not reason.strip():
                raise ValueError(f"{route} stays behind without a reason")
        return value

    @field_validator("samples", "tokens")
    @classmethod
    def _names(cls, value: Mapping[str, object]) -> Mapping[str, object]:
        for name in value:
            if not NAME.match(name):
                raise ValueError(f"{name!r} cannot stand in a placeholder: write small letters, digits, _ . and -")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        sources = [row.source for row in self.routes]
        twice = {one for one in sources if sources.count(one) > 1} | (set(sources) & set(self.left))
        if twice:
            raise ValueError(f"{', '.join(sorted(twice))} stands twice in routes and left")
        if (self.routes or self.left) and self.application is None:
            raise ValueError("routes and left belong to an application: say where it names its routes")
        return self
