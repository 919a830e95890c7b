"""waivers.yaml: accepted losses, each exactly counted, owned, explained, and with a last day."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from towpath.checks import Waiver
from towpath.plan.answers import waiver_problem
from towpath.plan.document import Document
from towpath.plan.mapping import Code, once
from towpath.plan.params import read_document
from towpath.plan.problems import PlanRefused, from_validation, inline_secrets, refuse

# What stays behind as a whole, because mapping.yaml says so: a column, a table, the keys of a pattern.  The application
# goes on adding to it, so no number could be right for long.
WHOLE = ("FT205", "FT207", "KE206")


class WaiverRow(BaseModel):
    """One waiver: it subtracts exactly what it names and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    code: Code = Field(description="a check code such as TB203")
    object: str = Field(min_length=1, description="the exact object of the finding, no pattern")
    count: Any = Field(description=f"how many, exactly: a whole number from 1; or all, for {', '.join(WHOLE)}")
    owner: str = Field(description="who answers for it, a name or an address")
    reason: str = Field(description="why the loss is acceptable, in a sentence")
    expires: dt.date = Field(description="the last day, as 2027-01-31 without quotes")

    @field_validator("count")
    @classmethod
    def _count(cls, value: Any) -> Any:
        if value != "all" and (type(value) is not int or value < 1):
            raise ValueError("it is no number of losses")
        return value

    @field_validator("owner", "reason")
    @classmethod
    def _said(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("it must not be empty")
        return value


class _Rows(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    waivers: tuple[WaiverRow, ...]


def load_waivers(path: Path, shown: str) -> tuple[Waiver, ...]:
    """Read and validate waivers.yaml, a list; an empty file waives nothing.  Raises PlanRefused.

    Whether a waiver has expired is judged when it is used (`towpath.checks.judge`), so that the record shows it.
    """
    document = read_document(path, shown)
    rows = () if document.data is None else document.data
    if not isinstance(rows, tuple):
        raise refuse("PL006", shown, "", "is not a list", "write one `- code: …` entry for each waiver")
    if problems := inline_secrets(document):
        raise PlanRefused(problems)
    # The model wants a key around the list; the lines of the file do not have it.
    around = Document(document.file, {"waivers": rows}, {("waivers", *place): n for place, n in document.lines.items()})
    try:
        known = _Rows.model_validate(around.data)
    except ValidationError as error:
        raise PlanRefused(from_validation(error, _Rows, around)) from None
    once(around, known.waivers, "waivers")
    for number, row in enumerate(known.waivers):
        if row.count == "all" and row.code not in WHOLE:
            line = around.line(("waivers", number, "count"))
            what = f"all is allowed only for {', '.join(WHOLE)}, which stay behind as a whole"
            raise refuse("PL003", shown, f"waivers[{number}].count", what, "write the exact number", line)
    wrong = (waiver_problem(around, ("waivers", n), row.code) for n, row in enumerate(known.waivers))
    if problems := [problem for problem in wrong if problem is not None]:
        raise PlanRefused(problems)
    return tuple(
        Waiver(r.code, r.object, None if r.count == "all" else r.count, r.owner, r.reason, r.expires)
        for r in known.waivers
    )
