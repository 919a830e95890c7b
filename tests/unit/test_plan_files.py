"""mapping.yaml, waivers.yaml, runbook.md, and the plan that they make with the params."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from towpath.checks import Decision, Waiver
from towpath.errors import WrongUse
from towpath.plan.params import load_params, params_from
from towpath.plan.plan import Plan, make_plan
from towpath.plan.problems import PlanRefused
from towpath.plan.root import project_root
from towpath.plan.runbook import HEADINGS, load_runbook

DECISION = "decisions:\n  - {code: TB203, object: tasks.project_id, do: 'null', reason: orphans of a deleted project}\n"
WAIVER = (
    "- {code: TB203, object: tasks.project_id, count: 3, owner: Ada, reason: nobody needs them, expires: 2030-01-31}\n"
)


def plan_of(toy: Any, **changes: Any) -> Plan:
    return make_plan(params_from(toy.params(**changes)))


def refused(toy: Any) -> str:
    with pytest.raises(PlanRefused) as caught:
        plan_of(toy)
    return " | ".join(problem.text for problem in caught.value.problems)


def test_decisions_and_waivers_become_the_words_of_checks(toy: Any) -> None:
    toy.write("mapping.yaml", DECISION)
    toy.write("waivers.yaml", WAIVER)
    plan = plan_of(toy)
    assert plan.mapping.decided() == (Decision("TB203", "tasks.project_id", "null", "orphans of a deleted project"),)
    expires = dt.date(2030, 1, 31)
    assert plan.waivers == (Waiver("TB203", "tasks.project_id", 3, "Ada", "nobody needs them", expires),)


def test_a_name_that_looks_like_random_text_can_be_decided(toy: Any) -> None:
    name = "rtree_Monuments_geometry_update1"  # a trigger of a GeoPackage
    toy.write("mapping.yaml", DECISION.replace("tasks.project_id", name))
    toy.write("waivers.yaml", WAIVER.replace("tasks.project_id", name))
    assert [one.object for one in (*plan_of(toy).mapping.decided(), *plan_of(toy).waivers)] == [name, name]
    toy.write("mapping.yaml", DECISION.replace("orphans of a deleted project", name))
    assert "PL005" in refused(toy)
    toy.write("mapping.yaml", DECISION.replace("tasks.project_id", "ghp_CANARY0123456789abcdefgh"))
    assert "PL005" in refused(toy), "a name with the shape of a token is one"


def test_empty_files_decide_and_waive_nothing(toy: Any) -> None:
    toy.write("mapping.yaml", "")
    toy.write("waivers.yaml", "# nothing\n")
    plan = plan_of(toy)
    assert plan.mapping.decided() == ()
    assert plan.waivers == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "decisions:\n  - {code: TB203, object: x, do: null, reason: y}\n",
            ["mapping.yaml:2 decisions[0].do", "quotes"],
        ),
        ("decisions:\n  - {code: TB203, object: x, reason: y}\n", ["decisions[0].do: the key is missing"]),
        ("decisions:\n  - {code: TB999, object: x, do: y, reason: z}\n", ["PL014", "no surface has TB999"]),
        ("decisions:\n  - {code: TB101, object: x, do: y, reason: z}\n", ["PL014", "is not decided here"]),
        (
            "decisions:\n  - {code: TB203, object: x, do: nul, reason: z}\n",
            ["PL014 runbooks/toy/mapping.yaml:2 decisions[0].do", "'nul' does not answer TB203", "null, park"],
        ),
        ("decisions:\n  - {code: tb2, object: x, do: y, reason: z}\n", ["decisions[0].code", "no check code"]),
        ("decisions:\n  - {code: TB203, object: x, do: y, reason: ' '}\n", ["decisions[0].reason"]),
        (DECISION + DECISION.split("\n", 1)[1], ["decisions[1]", "stands twice (first in line 2)"]),
        ("table: {}\n", ["unknown key", "did you mean tables?"]),
        ("tables:\n  mode: fit\n", ["mapping.yaml:2 tables.mode", "'fit' is not allowed", "generate"]),
        ("tables: {time_zone: Mars/Olympus}\n", ["no such time zone"]),
        ("objects: {prefix: attachments/}\n", ["objects.prefix"]),
        ("objects: {references: [{table: a}]}\n", ["objects.references[0].column: the key is missing"]),
        ("system: joan\n", ["mapping.yaml:1 system", "'joan' is not the system of this folder"]),
        ("objects: {cache_control: 'Bearer CANARY7890abcdefghijk'}\n", ["PL005"]),
        ("- a\n", ["holds no keys"]),
    ],
)
def test_a_wrong_mapping_is_refused(toy: Any, text: str, words: list[str]) -> None:
    toy.write("mapping.yaml", text)
    found = refused(toy)
    assert all(word in found for word in words), found
    assert "CANARY" not in found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (WAIVER.replace("count: 3", "count: 0"), ["waivers[0].count", "whole number from 1"]),
        (WAIVER.replace("count: 3", "count: true"), ["waivers[0].count", "True (bool)"]),
        (WAIVER.replace("count: 3", "count: all"), ["waivers[0].count", "all is allowed only for FT205"]),
        (WAIVER.replace("count: 3", "count: many"), ["waivers[0].count", "or all"]),
        (WAIVER.replace("2030-01-31", "'2030-01-31'"), ["waivers[0].expires", "without quotes"]),
        (WAIVER.replace("owner: Ada", "owner: ''"), ["waivers[0].owner", "must not be empty"]),
        (WAIVER.replace("owner: Ada, ", ""), ["waivers.yaml:1 waivers[0].owner: the key is missing"]),
        (WAIVER.replace("TB203", "TB999"), ["PL014", "no surface has TB999"]),
        (WAIVER.replace("TB203", "TB201"), ["PL014", "loses nothing"]),
        (WAIVER * 2, ["waivers.yaml:2", "stands twice"]),
        ("waivers: []\n", ["is not a list"]),
    ],
)
def test_a_wrong_waiver_is_refused(toy: Any, text: str, words: list[str]) -> None:
    toy.write("waivers.yaml", text)
    found = refused(toy)
    assert all(word in found for word in words), found


def test_joans_runbook_is_valid_and_names_the_way_back(root: Path) -> None:
    runbook = load_runbook(root / "runbooks" / "joan" / "runbook.md", "runbook.md", "joan")
    assert runbook.phases[0] == "00-ready"
    assert runbook.before("04-import") == ("01-inventory", "02-schema", "03-export")
    assert [step.phase for step in runbook.steps if step.point_of_no_return] == ["06-cutover"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("---\nsystem", "system", ["no front matter"]),
        ("## Roll back\nRemove the folder.\n", "", ["lacks Roll back", "## Roll back"]),
        ("Remove the folder.", "", ["nothing stands under the heading"]),
        ("## Roles", "## Rolls", ["lacks Roles"]),
        ("## Roles\nNone.\n\n## Go/no-go\nGo.\n", "## Go/no-go\nGo.\n\n## Roles\nNone.\n", ["not in their order"]),
        ("gate: none", "gate: previous", ["nothing stands before the first step"]),
        ("gate: none", "gate: maybe", ["runbook.md:5 steps[0].gate", "'maybe' is not allowed"]),
        ("phase: 02-schema", "phase: 00-ready", ["do not rise"]),
        ("phase: 02-schema", "phase: two", ["no name of a phase"]),
        ("minutes: 1}", "minutes: soon}", ["steps[0].minutes"]),
        ("title: A toy moves\n", "", ["title: the key is missing"]),
        ("system: toy", "system: joan", ["'joan' is not the system"]),
        ("approvers: 1", "aprovers: 1", ["did you mean approvers?"]),
    ],
)
def test_a_wrong_runbook_is_refused(toy: Any, old: str, new: str, words: list[str]) -> None:
    text = (toy.root / "runbooks" / "toy" / "runbook.md").read_text(encoding="utf-8")
    assert old in text
    toy.write("runbook.md", text.replace(old, new, 1))
    found = refused(toy)
    assert all(word in found for word in words), found


def test_headings_inside_code_do_not_count(toy: Any) -> None:
    text = (toy.root / "runbooks" / "toy" / "runbook.md").read_text(encoding="utf-8")
    toy.write("runbook.md", text.replace("## After\nNothing.", "```\n## After\nNothing.\n```"))
    assert "lacks After" in refused(toy)
    assert "After" in HEADINGS


def test_the_hash_is_of_values_not_of_how_they_are_written(toy: Any) -> None:
    before = plan_of(toy).hash
    assert len(before) == 64
    for name in ("runbook.md", "mapping.yaml", "waivers.yaml"):
        path = toy.root / "runbooks" / "toy" / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    toy.write("mapping.yaml", "# a comment\nsystem:   toy\n")
    assert plan_of(toy, approved_plan="", run_id="20260131T081500Z-1a2b", approved_target="x").hash == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mapping.yaml", DECISION),
        ("mapping.yaml", "tables: {time_zone: Europe/Berlin}\n"),
        ("waivers.yaml", WAIVER),
        ("runbook.md", None),
    ],
)
def test_a_changed_file_changes_the_hash(toy: Any, name: str, text: str | None) -> None:
    before = plan_of(toy).hash
    path = toy.root / "runbooks" / "toy" / name
    toy.write(name, text or path.read_text(encoding="utf-8").replace("Remove the folder.", "Remove both folders."))
    assert plan_of(toy).hash != before


def test_a_changed_param_changes_the_hash(toy: Any) -> None:
    assert plan_of(toy, d1_plan="paid").hash != plan_of(toy).hash


def test_an_approval_names_exactly_one_plan(toy: Any) -> None:
    plan = plan_of(toy, approved_plan="")
    assert plan.approved is False
    assert plan_of(toy, approved_plan=plan.hash).approved is True
    assert plan_of(toy, approved_plan="rehearsal").approved is True
    toy.write("mapping.yaml", DECISION)
    with pytest.raises(WrongUse, match="PL013"):
        _ = plan_of(toy, approved_plan=plan.hash).approved


def test_the_plan_in_words_names_what_a_reviewer_asks_for(toy: Any) -> None:
    toy.write("mapping.yaml", DECISION)
    toy.write("waivers.yaml", WAIVER)
    plan = plan_of(toy)
    text = "\n".join(plan.lines())
    for word in ("A toy moves", "build/toy/toy.sqlite", "toy-files", "TB203 tasks.project_id → null", "Ada", plan.hash):
        assert word in text


def test_a_system_without_a_folder_is_refused(toy: Any) -> None:
    with pytest.raises(WrongUse, match=r"no such system\. Next: use one of toy"):
        make_plan(params_from(toy.params(system="tos")))


def test_the_root_is_found_upwards_or_named(toy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TOWPATH_ROOT")
    inner = toy.root / "notebooks" / "deep"
    inner.mkdir(parents=True)
    assert project_root(inner) == toy.root
    with pytest.raises(WrongUse, match="no folder from here upwards"):
        project_root(Path("/"))
    monkeypatch.setenv("TOWPATH_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(WrongUse, match="TOWPATH_ROOT"):
        project_root()


def test_params_errors_name_the_file_from_outside_a_project(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = toy.write_params(d1_plan="gold")
    monkeypatch.setenv("TOWPATH_ROOT", "/nonexistent")
    with pytest.raises(PlanRefused, match=r"local\.yaml:12 d1_plan"):
        load_params(path)
