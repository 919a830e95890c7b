"""The gate before the last step in earnest: a rehearsal of the way back that is sealed, of this plan, and fresh."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.toy import STAGING

from towpath.checks import Check, Verdict
from towpath.errors import WrongUse
from towpath.plan.params import params_from
from towpath.plan.plan import Plan, make_plan
from towpath.runs.folder import RunFolder
from towpath.runs.gates import check_gate
from towpath.runs.rehearsed import check_rehearsed, fresh_rehearsal
from towpath.runs.results import write_result
from towpath.runs.seal import seal_attempt

BACK, LAST = "04-roll-back", "03-export"
WAY_BACK = "way_back: {phase: 04-roll-back, gate: begun, minutes: 1, rehearsed_within_days: 3}\n---\n\n# Toy"
NOW = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def project(toy: Any) -> Any:
    """A toy whose runbook has a way back."""
    text = (toy.root / "runbooks/toy/runbook.md").read_text(encoding="utf-8")
    toy.write("runbook.md", text.replace("---\n\n# Toy", WAY_BACK))
    return toy


def plan_of(project: Any, **params: Any) -> Plan:
    return make_plan(params_from(project.params(**params)), project.root)


def earnest(project: Any) -> Plan:
    """The plan in staging, approved."""
    params = {**STAGING, "approved_plan": plan_of(project, **STAGING).hash}
    return plan_of(project, **params)


def rehearse(
    project: Any, *, environment: str = "local", verdict: Verdict = Verdict.PASS, days: float = 1, sealed: bool = True
) -> Path:
    """A run with a way back that ended so many days ago; returns its result file."""
    given = {"environment": environment} if environment == "local" else {**STAGING, "environment": environment}
    plan = plan_of(project, **given)
    folder = RunFolder.create(project.root, plan)
    ended = (NOW - dt.timedelta(days=days)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    check = Check("CU207", "run", "source", "serves", "serves", Verdict.PASS)
    result = replace(folder.begin(plan, BACK, "rehearsal"), verdict=verdict, ended=ended, checks=(check,))
    path = write_result(folder.path, result)
    if sealed:
        seal_attempt(project.root, folder, plan, result, None)
    return path


def test_a_fresh_rehearsal_of_this_plan_is_found_whatever_its_params(project: Any) -> None:
    rehearse(project, days=2.5)
    path = rehearse(project, days=1)
    found = fresh_rehearsal(project.root, earnest(project), NOW)
    assert found is not None
    assert found.run == path.parent.name
    assert found.line == f"04-roll-back of run {path.parent.name} (local) is PASS, 2026-11-19 12:00 UTC"


def test_one_in_staging_counts_too(project: Any) -> None:
    rehearse(project, environment="staging")
    assert fresh_rehearsal(project.root, earnest(project), NOW) is not None


@pytest.mark.parametrize(
    "how",
    [
        {"days": 3.01},
        {"days": -0.01},  # it says that it ends tomorrow
        {"environment": "production"},
        {"verdict": Verdict.FAIL},
        {"verdict": Verdict.INCOMPLETE},
        {"verdict": Verdict.DRY_RUN},
        {"sealed": False},
    ],
    ids=str,
)
def test_this_is_no_rehearsal(project: Any, how: dict[str, Any]) -> None:
    rehearse(project, **how)
    assert fresh_rehearsal(project.root, earnest(project), NOW) is None


@pytest.mark.parametrize("name", ["runbook.md", "mapping.yaml", "waivers.yaml"])
def test_another_plan_was_not_rehearsed(project: Any, name: str) -> None:
    rehearse(project)
    path = project.root / "runbooks/toy" / name
    words = {
        "runbook.md": ("In tests.", "In other tests."),
        "mapping.yaml": ("", "sensitive: [a.b]\n"),
        "waivers.yaml": (
            "[]",
            "- {code: TB203, object: a.b, count: 1, reason: r, owner: o, expires: 2027-01-01}\n",
        ),
    }
    old, new = words[name]
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(old, new) if old else text + new, encoding="utf-8")
    assert fresh_rehearsal(project.root, earnest(project), NOW) is None


@pytest.mark.parametrize("name", ["04-roll-back.result.json", "plan.json", "run.json"])
def test_a_record_that_was_changed_proves_nothing(project: Any, name: str) -> None:
    path = rehearse(project).parent / name
    changed = {"04-roll-back.result.json": (b'"source": ""', b'"source": "x"'), "plan.json": (b"\n", b" \n")}
    old, new = changed.get(name, (b'"plan"', b'"plain"'))
    path.write_bytes(path.read_bytes().replace(old, new))
    assert fresh_rehearsal(project.root, earnest(project), NOW) is None


def test_without_a_way_back_there_is_nothing_to_rehearse(toy: Any) -> None:
    plan = earnest(toy)
    assert fresh_rehearsal(toy.root, plan, NOW) is None
    check_rehearsed(RunFolder.create(toy.root, plan), plan, LAST)


def test_the_last_step_in_earnest_asks_for_it(project: Any) -> None:
    plan = earnest(project)
    folder = RunFolder.create(project.root, plan)
    words = (
        r"RN010 03-export: no sealed run .* shows a 04-roll-back that is PASS and at most 3 days old\. Next: towpath"
    )
    with pytest.raises(WrongUse, match=words):
        check_rehearsed(folder, plan, LAST)
    check_rehearsed(folder, plan, "02-schema")
    check_rehearsed(folder, plan_of(project, **STAGING), LAST)  # a dry run
    check_rehearsed(folder, plan_of(project), LAST)  # this is the rehearsal
    rehearse(project, days=(NOW - dt.datetime.now(dt.UTC)).total_seconds() / 86400)
    check_rehearsed(folder, plan, LAST)


def test_the_gate_of_a_phase_is_where_it_is_asked(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = earnest(project)
    folder = RunFolder.create(project.root, plan)
    asked: list[str] = []
    monkeypatch.setattr("towpath.runs.gates._check_sealed", lambda *_: None)
    monkeypatch.setattr("towpath.runs.gates.check_rehearsed", lambda *given: asked.append(given[2]))
    check_gate(folder, plan, "01-inventory")
    assert asked == ["01-inventory"]


def test_the_digest_of_a_plan_is_of_all_but_its_params(project: Any) -> None:
    local, other = plan_of(project), plan_of(project, **STAGING)
    assert local.hash != other.hash
    assert local.content_hash == other.content_hash
    assert len(local.content_hash) == 64
