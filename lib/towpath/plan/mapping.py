"""mapping.yaml: what becomes of tables, objects, keys and jobs, and every decision about a finding."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from towpath.checks import Decision
from towpath.fitting.spec import Fit
from towpath.plan.answers import decision_problem
from towpath.plan.document import Document
from towpath.plan.fit import TableFit
from towpath.plan.params import read_document
from towpath.plan.problems import PlanRefused, Problem, from_validation, inline_secrets, refuse
from towpath.plan.strict import Strict
from towpath.plan.surfaces import Jobs, Keys, Objects
from towpath.plan.traffic import Traffic


def _is_code(value: str) -> str:
    if not re.match(r"^[A-Z]{2}\d{3}$", value):
        raise ValueError("it is no check code")
    return value


Code = Annotated[str, AfterValidator(_is_code)]


class Tables(Strict):
    """The surface tables."""

    mode: Literal["generate", "adopt"] = Field(
        default="generate", description="generate (from the source's schema) or adopt (the new application's own)"
    )
    migrations: str = Field(default="", description="adopt: the folder of the new application's migrations")
    fit: tuple[TableFit, ...] = Field(
        default=(), description="adopt: a list of {from, to, rows, join, columns, drop, back, follows}"
    )
    left: Mapping[str, str] = Field(default={}, description="adopt: source table: why it stays behind")
    empty: tuple[str, ...] = Field(default=(), description="adopt: target tables that no row goes into")
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

    @field_validator("migrations")
    @classmethod
    def _folder(cls, value: str) -> str:
        if Path(value).is_absolute() or ".." in Path(value).parts:
            raise ValueError("it must be a folder of the project, without ..")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        adopted = {"migrations", "fit", "left", "empty"} & self.model_fields_set
        if self.mode == "generate" and adopted:
            raise ValueError(f"{', '.join(sorted(adopted))} belong to mode adopt")
        if self.mode == "adopt" and not (self.migrations and self.fit):
            raise ValueError("mode adopt needs migrations and fit")
        return self

    @property
    def fitted(self) -> Fit:
        """How the source fits into the adopted schema, in the words of the surface."""
        return Fit(tuple(row.rule() for row in self.fit), dict(self.left), self.empty)


class DecisionRow(Strict):
    """One decision: the finding it answers, what becomes of it, and why."""

    code: Code = Field(description="a check code such as TB203")
    object: str = Field(min_length=1, description="an object or a pattern with * and ?, e.g. tasks.project_id")
    do: str = Field(min_length=1, description='one of the answers of that code in docs/checks.md, in quotes: "null"')
    reason: str = Field(description="why, in a sentence")

    @field_validator("reason")
    @classmethod
    def _reason(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("a decision without a reason is none")
        return value


class SystemMapping(Strict):
    """mapping.yaml of one system."""

    system: str = Field(default="", description="the name of the system's folder")
    tables: Tables = Field(default=Tables(), description="{mode, migrations, fit, left, empty, time_zone}")
    objects: Objects = Field(default=Objects(), description="{folders, references, cache_control}")
    keys: Keys = Field(default=Keys(), description="{rules}")
    jobs: Jobs = Field(default=Jobs(), description="{queues, tasks}")
    traffic: Traffic = Field(
        default=Traffic(), description="{application, routes, left, corpus, samples, tokens, parity, names}"
    )
    sensitive: tuple[str, ...] = Field(default=(), description="a list of patterns table.column with * and ?")
    decisions: tuple[DecisionRow, ...] = Field(default=(), description="a list of {code, object, do, reason}")

    @field_validator("sensitive")
    @classmethod
    def _columns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            table, dot, column = pattern.rpartition(".")
            if not (table and dot and column):
                raise ValueError(f"{pattern!r} names no column: write table.column")
        return value

    def decided(self) -> tuple[Decision, ...]:
        """The decisions in the words of towpath.checks, in the order of the file."""
        return tuple(Decision(row.code, row.object, row.do, row.reason) for row in self.decisions)


def load_mapping(path: Path, shown: str, system: str) -> SystemMapping:
    """Read and validate mapping.yaml; an empty file decides nothing and moves everything.  Raises PlanRefused."""
    return mapping_of(read_document(path, shown), system)


def mapping_of(document: Document, system: str) -> SystemMapping:
    """Validate what was read.  Raises PlanRefused."""
    shown = document.file
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
