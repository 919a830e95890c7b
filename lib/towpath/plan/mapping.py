"""mapping.yaml: what becomes of tables and objects, and every decision about a finding."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from towpath.checks import Decision
from towpath.plan.answers import decision_problem
from towpath.plan.document import Document
from towpath.plan.params import read_document
from towpath.plan.problems import PlanRefused, Problem, from_validation, inline_secrets, refuse

CODE = re.compile(r"^[A-Z]{2}\d{3}$")
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Tables(BaseModel):
    """The surface tables."""

    model_config = _STRICT

    mode: Literal["generate"] = Field(
        default="generate", description="generate (the target's schema comes from the source's)"
    )
    time_zone: str = Field(default="UTC", description="an IANA zone such as UTC or Europe/Berlin")

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        if value == "UTC":  # known even where the machine has no zone files
            return value
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no such time zone") from None
        return value


class Reference(BaseModel):
    """A column that names files: the closure between rows and objects is proved over it."""

    model_config = _STRICT

    table: str = Field(min_length=1, description="the name of a table")
    column: str = Field(min_length=1, description="the name of its column that holds a path")


class Objects(BaseModel):
    """The surface objects."""

    model_config = _STRICT

    references: tuple[Reference, ...] = Field(default=(), description="a list of {table, column}")
    cache_control: str = Field(default="private, max-age=3600", min_length=1, description="a Cache-Control header")

    @field_validator("cache_control")
    @classmethod
    def _header(cls, value: str) -> str:
        if not value.isascii() or not value.isprintable():
            raise ValueError("a header is printable ASCII")
        return value


class DecisionRow(BaseModel):
    """One decision: the finding it answers, what becomes of it, and why."""

    model_config = _STRICT

    code: str = Field(description="a check code such as TB203")
    object: str = Field(min_length=1, description="an object or a pattern with * and ?, e.g. tasks.project_id")
    do: str = Field(min_length=1, description='one of the answers of that code in docs/checks.md, in quotes: "null"')
    reason: str = Field(description="why, in a sentence")

    @field_validator("code")
    @classmethod
    def _code(cls, value: str) -> str:
        if not CODE.match(value):
            raise ValueError("it is no check code")
        return value

    @field_validator("reason")
    @classmethod
    def _reason(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("a decision without a reason is none")
        return value


class SystemMapping(BaseModel):
    """mapping.yaml of one system."""

    model_config = _STRICT

    system: str = Field(default="", description="the name of the system's folder")
    tables: Tables = Field(default=Tables(), description="{mode, time_zone}")
    objects: Objects = Field(default=Objects(), description="{references, cache_control}")
    decisions: tuple[DecisionRow, ...] = Field(default=(), description="a list of {code, object, do, reason}")

    def decided(self) -> tuple[Decision, ...]:
        """The decisions in the words of towpath.checks, in the order of the file."""
        return tuple(Decision(row.code, row.object, row.do, row.reason) for row in self.decisions)


def load_mapping(path: Path, shown: str, system: str) -> SystemMapping:
    """Read and validate mapping.yaml; an empty file decides nothing and moves everything.  Raises PlanRefused."""
    document = read_document(path, shown)
    data = {} if document.data is None else document.data
    if not isinstance(data, Mapping):
        raise refuse("PL006", shown, "", "holds no keys", "write tables, objects and decisions as keys")
    problems: list[Problem] = inline_secrets(document)
    if problems:
        raise PlanRefused(problems)
    try:
        mapping = SystemMapping.model_validate(data)
    except ValidationError as error:
        raise PlanRefused(from_validation(error, SystemMapping, document)) from None
    if mapping.system not in ("", system):
        step = f"write system: {system}, or move the file to runbooks/{mapping.system}/"
        what = f"{mapping.system!r} is not the system of this folder"
        raise refuse("PL003", shown, "system", what, step, document.line(("system",)))
    once(document, mapping.decisions, "decisions")
    rows = enumerate(mapping.decisions)
    wrong = (decision_problem(document, ("decisions", n), row.code, row.do) for n, row in rows)
    if problems := [problem for problem in wrong if problem is not None]:
        raise PlanRefused(problems)
    return mapping


def once(document: Document, rows: tuple[Any, ...], key: str) -> None:
    """Refuse a second row for the same code and object.  Raises PlanRefused."""
    seen: dict[tuple[str, str], int] = {}
    for number, row in enumerate(rows):
        place = (key, number) if key else (number,)
        line, name = document.line(place), (row.code, row.object)
        if name in seen:
            what = f"{row.code} {row.object} stands twice (first in line {seen[name]})"
            raise refuse("PL003", document.file, f"{key}[{number}]", what, "keep one of them", line)
        seen[name] = line
