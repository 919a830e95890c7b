"""runbook.md: one page for the runner (front matter) and for people (prose), so that the two cannot drift apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from towpath.plan.params import parse_document, read_file
from towpath.plan.problems import PlanRefused, from_validation, inline_secrets, refuse

HEADINGS = ("When to use", "Roles", "Go/no-go", "Steps", "Point of no return", "Roll back", "After")
PHASE = re.compile(r"^\d\d-[a-z]+(-[a-z]+)*$")
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Step(BaseModel):
    """One phase of a system: what must stand before it, who approves it, how long it takes."""

    model_config = _STRICT

    phase: str = Field(description="the name of a notebook, e.g. 03-export")
    gate: Literal["previous", "none", "begun"] = Field(
        description="previous (the step before must be PASS), none, or, for way_back, begun"
    )
    approvers: int = Field(default=0, ge=0, le=9, description="how many people approve the real run: 0 to 9")
    minutes: int = Field(ge=0, description="expected minutes, a whole number")
    point_of_no_return: bool = Field(default=False, description="true or false")
    on_failure: Literal["stop"] = Field(default="stop", description="stop")
    rehearse_before: str = Field(default="", description='"" or a command that runs before this phase, in local only')

    @field_validator("phase")
    @classmethod
    def _phase(cls, value: str) -> str:
        if not PHASE.match(value):
            raise ValueError("it is no name of a phase")
        return value


class WayBack(Step):
    """The step that carries back what the target got; a cutover in earnest asks for a rehearsal of it."""

    rehearsed_within_days: int = Field(default=14, ge=1, le=365, description="1 to 365")


class FrontMatter(BaseModel):
    """What the runner reads."""

    model_config = _STRICT

    system: str = Field(description="the name of the system's folder")
    title: str = Field(min_length=1, description="one line for people")
    steps: tuple[Step, ...] = Field(min_length=1, description="a list of {phase, gate, minutes, …}")
    way_back: WayBack | None = Field(
        default=None, description="a step with gate begun, which runs only when it is named"
    )


class Runbook(FrontMatter):
    """A runbook: front matter, and the prose below it with line ends made equal."""

    prose: str

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases in their order, without the way back."""
        return tuple(step.phase for step in self.steps)

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """The steps, and the way back where there is one."""
        return (*self.steps, *([self.way_back] if self.way_back else []))

    def step(self, phase: str) -> Step:
        """The step of a phase.  Raises WrongUse (as PlanRefused) for a phase that the runbook does not have."""
        for step in self.all_steps:
            if step.phase == phase:
                return step
        phases = ", ".join(step.phase for step in self.all_steps)
        raise refuse("PL010", f"runbooks/{self.system}/runbook.md", phase, "no such step", f"use one of {phases}")

    def before(self, phase: str) -> tuple[str, ...]:
        """The phases that must be PASS before `phase` starts, the first one first; ends at a step with gate none.

        The way back asks for none: it starts where the last step has begun.
        """
        found: list[str] = []
        if self.step(phase).gate == "begun":
            return ()
        steps = list(self.steps[: self.phases.index(phase) + 1])
        while len(steps) > 1 and steps[-1].gate == "previous":
            steps.pop()
            found.insert(0, steps[-1].phase)
        return tuple(found)


def load_runbook(path: Path, shown: str, system: str) -> Runbook:
    """Read and validate runbook.md.  Raises PlanRefused."""
    lines = read_file(path, shown).split("\n")
    ends = [number for number, line in enumerate(lines) if line.rstrip() == "---"]
    if len(ends) < 2 or ends[0] != 0:
        raise refuse("PL010", shown, "", "has no front matter", "start the file with YAML between two --- lines", 1)
    document = parse_document("\n".join(lines[1 : ends[1]]), shown, before=1)
    if not isinstance(document.data, Mapping):
        raise refuse("PL010", shown, "", "has an empty front matter", "write system, title and steps", 1)
    if problems := inline_secrets(document):
        raise PlanRefused(problems)
    try:
        front = FrontMatter.model_validate(document.data)
    except ValidationError as error:
        raise PlanRefused(from_validation(error, FrontMatter, document)) from None
    if front.system != system:
        what = f"{front.system!r} is not the system of this folder"
        raise refuse("PL003", shown, "system", what, f"write system: {system}", document.line(("system",)))
    _ordered(front, shown, document.line(("steps",)))
    prose = "\n".join(line.rstrip() for line in lines[ends[1] + 1 :]).strip() + "\n"
    _headings(prose, shown)
    return Runbook(**front.model_dump(exclude={"steps"}), steps=front.steps, prose=prose)


def _ordered(front: FrontMatter, shown: str, line: int) -> None:
    phases = [step.phase for step in front.steps]
    if phases != sorted(set(phases)):
        raise refuse("PL010", shown, "steps", "the phases do not rise, each once", "order them by number", line)
    if front.steps[0].gate != "none":
        raise refuse("PL010", shown, "steps[0].gate", "nothing stands before the first step", "write gate: none", line)
    wrong = [step.phase for step in front.steps if step.gate == "begun"]
    if front.way_back is not None and (front.way_back.gate != "begun" or front.way_back.phase <= phases[-1]):
        wrong.append(front.way_back.phase)
    if wrong:
        step = "give gate: begun to the way_back, and to it alone; its phase comes after the last step"
        raise refuse("PL010", shown, wrong[0], "has the wrong gate or place", step, line)
    if sum(step.point_of_no_return for step in front.steps) > 1:
        step = "mark the first step whose effect cannot be undone"
        raise refuse("PL010", shown, "steps", "has more than one point of no return", step, line)


def _headings(prose: str, shown: str) -> None:
    fenced, found, filled = False, [], set()
    for line in prose.split("\n"):
        if line.startswith("```"):
            fenced = not fenced
        if not fenced and line.startswith("## "):
            found.append(line[3:].strip())
        elif line.strip() and found:
            filled.add(found[-1])
    missing = [heading for heading in HEADINGS if heading not in found]
    if missing:
        step = f"add the headings: {', '.join('## ' + heading for heading in missing)}"
        raise refuse("PL010", shown, "", f"lacks {', '.join(missing)}", step)
    if [heading for heading in found if heading in HEADINGS] != list(HEADINGS):
        step = "order them: " + ", ".join(HEADINGS)
        raise refuse("PL010", shown, "", "the headings are not in their order, each once", step)
    if empty := [heading for heading in HEADINGS if heading not in filled]:
        raise refuse("PL010", shown, empty[0], "nothing stands under the heading", "write the section")
