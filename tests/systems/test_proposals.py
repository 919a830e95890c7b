"""A mapping proposed for Joan's own findings, and what 01-inventory and 02-schema then say of the move."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from helpers.project import Project, Ran, joan

OPEN = [
    ("OB201", "attachments/"),
    ("TB203", "daily_schedule_tasks.task_id"),
    ("TB203", "notes.folder_id"),
    ("TB203", "tasks.project_id"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with joan(tmp_path_factory.mktemp("proposals") / "joan") as made:
        yield made


@pytest.fixture(scope="module")
def given(project: Project) -> dict[str, str]:
    """Joan's own mapping and waivers."""
    return {name: project.runbook(name).read_text(encoding="utf-8") for name in ("mapping.yaml", "waivers.yaml")}


def propose(project: Project, *options: str) -> Ran:
    return project.do(*project.words("plan", "joan", "--env", "local", "--propose", *options))


def undecided(project: Project) -> list[tuple[str, str]]:
    failed = project.failed("01-inventory")
    return sorted((c["code"], c["object"]) for c in failed if c["expected"].startswith("a decision: "))


def output(project: Project, stem: str, cell: str) -> str:
    notebook = json.loads((project.folder / f"{stem}.ipynb").read_text(encoding="utf-8"))
    (found,) = [c for c in notebook["cells"] if c["id"] == cell]
    return "".join(found["outputs"][0]["data"]["text/plain"])


def undecide(project: Project, given: dict[str, str]) -> Path:
    """A mapping without decisions, its comments kept."""
    text, _, _ = given["mapping.yaml"].partition("decisions:")
    project.runbook("mapping.yaml").write_text(text, encoding="utf-8")
    project.runbook("waivers.yaml").write_text("[]\n", encoding="utf-8")
    return project.runbook("mapping.yaml")


def test_after_a_proposal_only_what_a_person_must_decide_is_open(project: Project, given: dict[str, str]) -> None:
    mapping = undecide(project, given)
    before = mapping.read_text(encoding="utf-8")
    assert project.run("--phase", "01-inventory").code == 1
    every = undecided(project)
    assert set(OPEN) < set(every)
    ran = propose(project, "--write")
    assert ran.code == 0, ran.text
    assert mapping.read_text(encoding="utf-8").startswith(before)
    assert project.run("--phase", "01-inventory").code == 1
    assert undecided(project) == OPEN
    assert [check for check in project.failed("01-inventory") if check["code"] == "PL001"] == []


def test_the_comments_completed_by_a_person_pass(project: Project, given: dict[str, str]) -> None:
    """Without its comment signs, and with what is empty filled in, a note is a decision, and a waiver beside it."""
    mapping, waivers = undecide(project, given), project.runbook("waivers.yaml")
    project.run("--phase", "01-inventory")
    assert propose(project, "--write").code == 0
    answers = {"tasks.project_id": "'null'", "notes.folder_id": "'null'"}
    lines, rows, at = [], [], mapping.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(at):
        bare = line.strip().removeprefix("# ")
        if bare.startswith("- code:") and line.strip().startswith("#"):
            row = [at[number + n].strip().removeprefix("# ") for n in range(6)]
            name = row[1].partition("object: ")[2]
            if row[2].strip() == "do:":
                do = answers.get(name, "park" if "." in name else "keep")
                lines += [f"  {row[0]}", f"  {row[1]}", f"    do: {do}", "    reason: a person said so"]
            else:
                rows += [*row[:3], "  owner: Ada", "  reason: nobody needs it", "  expires: 2999-01-01"]
        elif not line.strip().startswith("#"):
            lines.append(line)
    mapping.write_text("\n".join(lines) + "\n", encoding="utf-8")
    waivers.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert len(yaml.safe_load("\n".join(rows))) == len(OPEN)
    ran = project.run("--phase", "00-ready", "--phase", "01-inventory")
    assert ran.code == 0, ran.text


def test_the_score_and_what_becomes_of_each_table(project: Project, given: dict[str, str]) -> None:
    for name, text in given.items():
        project.runbook(name).write_text(text, encoding="utf-8")
    ran = project.phases("00-ready", "01-inventory", "02-schema")
    assert ran.code == 0, ran.text
    for stem in ("01-inventory", "02-schema"):
        numbers = {one["name"]: one for one in project.result(stem)["numbers"]}
        assert (numbers["complexity_level"]["value"], numbers["complexity_level"]["unit"]) == (2, "of 5 (A-2)")
        assert 0 < numbers["complexity_days"]["value"] < 1
    work = output(project, "01-inventory", "weigh-findings")
    assert work.startswith("Complexity A-2, about ")
    assert "nothing is rewritten" in work
    first, _, rest = output(project, "02-schema", "becoming-of-tables").partition("\n")
    rows = rest.splitlines()
    assert "28 tables." in first
    assert rows[2].startswith("tasks ")
    assert "TB203 project_id null × 3: accepted by Priya Raman" in rows[2]
    assert "tables more: columns change, nothing else" in rows[-1]
    ways = output(project, "02-schema", "ways-of-change")
    assert "DATETIME → TEXT" in ways
    assert "TB302 date or time gets the type of its values" in ways
