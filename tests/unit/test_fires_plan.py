"""One tiny project for each code of the plan and of runs: exactly this one fires."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from helpers.fires import fires, not_passed
from helpers.toy import STAGING

from towpath.checks import Decision, Finding, Rule, Severity, Waiver, judge
from towpath.errors import WrongUse
from towpath.places.address import open_place
from towpath.places.sync import keep
from towpath.plan.params import load_params, params_from
from towpath.plan.plan import make_plan
from towpath.plan.problems import PlanRefused
from towpath.runs.approvals import check_approvals
from towpath.runs.folder import RunFolder
from towpath.runs.lock import Lock
from towpath.runs.notebooks import check_parameters
from towpath.runs.rehearsed import check_rehearsed
from towpath.runs.run import Run, open_run
from towpath.runs.seal import signer_for
from towpath.runs.verification import verify_run

TB203 = Rule("TB203", "tables", "orphans", Severity.DECIDE, "decide", ("null", "park"), ("null", "park"), "rows")
DAY = dt.date(2026, 11, 21)


def refusals(toy: Any, file: str = "local") -> set[str]:
    """The codes of what is wrong with the toy's files."""
    try:
        make_plan(load_params(toy.root / "params" / "toy" / f"{file}.yaml"), toy.root)
    except PlanRefused as error:
        return {problem.code for problem in error.problems}
    return set()


FILES: list[tuple[str, Callable[[Any], object]]] = [
    ("PL002", lambda toy: toy.write_params(extra=1)),
    ("PL003", lambda toy: toy.write_params(d1_plan="gold")),
    ("PL004", lambda toy: toy.write_params(r2_bucket=None)),
    ("PL005", lambda toy: toy.write("mapping.yaml", "objects: {cache_control: 'Bearer CANARY7890abcdefghijk'}\n")),
    ("PL006", lambda toy: toy.write("mapping.yaml", "tables: &t {}\nobjects: *t\n")),
    ("PL007", lambda toy: toy.write_params(**{**STAGING, "approved_plan": "rehearsal"})),
    ("PL008", lambda toy: (toy.root / "runbooks" / "toy" / "waivers.yaml").unlink()),
    ("PL010", lambda toy: toy.write("runbook.md", "# no front matter\n")),
    ("PL014", lambda toy: toy.write("mapping.yaml", "decisions:\n- {code: TB101, object: x, do: y, reason: z}\n")),
]


@pytest.mark.parametrize(("code", "change"), FILES)
def test_exactly_this_is_wrong_with_the_files(toy: Any, code: str, change: Callable[[Any], object]) -> None:
    assert refusals(toy) == set()
    change(toy)
    assert refusals(toy) == {code}


@fires("PL001")
def test_a_decision_without_a_finding() -> Iterable[str]:
    return not_passed(judge([], {"TB203": TB203}, [Decision("TB203", "x", "null", "r")], [], DAY).checks)


@fires("PL015")
def test_a_waiver_that_ends_soon() -> Iterable[str]:
    found, decided = [Finding("TB203", "x", 1, "")], [Decision("TB203", "x", "null", "r")]
    soon = Waiver("TB203", "x", 1, "Ada", "r", DAY + dt.timedelta(days=1))
    return not_passed(judge(found, {"TB203": TB203}, decided, [soon], DAY).checks)


def refused(work: Callable[[], object]) -> set[str]:
    """The code of the error that stops some work."""
    with pytest.raises(WrongUse) as caught:
        work()
    return {caught.value.code}


@fires("PL009")
def test_a_notebook_without_the_parameters(toy: Any) -> Iterable[str]:
    path = toy.notebook("01-inventory", parameters="system: str = 'toy'")
    return refused(lambda: check_parameters(toy.root, path))


@fires("PL011")
def test_a_dry_run(toy: Any) -> Iterable[str]:
    run = open_run("01-inventory", toy.params(approved_plan=""))
    assert not run.approve_write("d1 toy-local")
    return not_passed(run.checks)


@fires("PL012")
def test_another_target(toy: Any) -> Iterable[str]:
    run = open_run("01-inventory", toy.params(approved_target="d1 other"))
    return refused(lambda: run.approve_write("d1 toy-local"))


@fires("PL013")
def test_an_approval_of_another_plan(toy: Any) -> Iterable[str]:
    return refused(lambda: open_run("01-inventory", toy.params(approved_plan="5f" * 32)))


@fires("RN001")
def test_a_closed_gate(toy: Any) -> Iterable[str]:
    return refused(lambda: open_run("02-schema", toy.params()))


def passed(toy: Any) -> Run:
    run = open_run("01-inventory", toy.params())
    run.identify(source="toy.sqlite", target="d1 toy-local")
    run.check("TB401", "tables", "tasks", 3, 3, True)
    run.close()
    return run


@fires("RN002")
def test_another_source(toy: Any) -> Iterable[str]:
    passed(toy)
    run = open_run("02-schema", toy.params())
    return refused(lambda: run.identify(source="other.sqlite", target="d1 toy-local"))


@fires("RN003")
def test_a_lock_that_is_held(toy: Any) -> Iterable[str]:
    return refused(lambda: Lock(left_behind(toy, "elsewhere")).take("a test"))


@fires("RN006")
def test_a_phase_that_was_cut(toy: Any) -> Iterable[str]:
    left_behind(toy, socket.gethostname())
    return not_passed(open_run("01-inventory", toy.params()).checks)


@fires("RN020")
def test_two_records_of_one_run(toy: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterable[str]:
    run = passed(toy)
    store = open_place(str(tmp_path_factory.mktemp("place")), toy.root)
    folder = RunFolder(run.folder, *run.folder.parts[-3:])
    keep(store, folder)
    elsewhere = shutil.copytree(run.folder, tmp_path_factory.mktemp("other") / Path(*run.folder.parts[-3:]))
    for one, text in ((elsewhere, "there"), (run.folder, "here")):
        (one / "inventory").mkdir(exist_ok=True)
        (one / "inventory" / f"{text}.json").write_text("{}", encoding="utf-8")
    keep(store, RunFolder(elsewhere, *elsewhere.parts[-3:]))
    return refused(lambda: keep(store, folder))


def left_behind(toy: Any, host: str) -> Path:
    """A lock that nobody released; the folder it is for."""
    home = Path(toy.root / "outputs" / "toy" / "local")
    home.mkdir(parents=True)
    (home / "lock").write_text(json.dumps({"host": host, "pid": 1, "since": "then", "for": "a test"}), "utf-8")
    return home


@fires("RN004")
def test_a_required_check_that_is_missing(toy: Any) -> Iterable[str]:
    run = open_run("01-inventory", toy.params())
    run.check("TB401", "tables", "tasks", 3, 3, True)
    run.require("TB402")
    with pytest.raises(Exception, match="RN004"):
        run.close()
    return not_passed(run.checks)


@fires("RN005")
def test_a_phase_that_names_no_source(toy: Any) -> Iterable[str]:
    passed(toy)
    run = open_run("02-schema", toy.params())
    run.check("TB301", "tables", "tasks", "kept", "kept", True)
    with pytest.raises(Exception, match="RN005"):
        run.close()
    return not_passed(run.checks)


@fires("RN007")
def test_a_record_that_was_changed(toy: Any) -> Iterable[str]:
    run = passed(toy)
    (run.folder / "01-inventory.checks.json").write_text("[]", encoding="utf-8")
    return not_passed(verify_run(RunFolder(run.folder, *run.folder.parts[-3:])))


@fires("RN008")
def test_staging_without_a_key(toy: Any) -> Iterable[str]:
    return refused(lambda: signer_for("staging", toy.root))


@fires("RN010")
def test_a_way_back_that_nobody_rehearsed(toy: Any, tmp_path: Path) -> Iterable[str]:
    text = (tmp_path / "runbooks/toy/runbook.md").read_text(encoding="utf-8")
    back = "way_back: {phase: 04-roll-back, gate: begun, minutes: 1}\n---\n\n# Toy"
    toy.write("runbook.md", text.replace("---\n\n# Toy", back))
    hash_of = make_plan(params_from(toy.params(**STAGING)), tmp_path).hash
    plan = make_plan(params_from(toy.params(**{**STAGING, "approved_plan": hash_of})), tmp_path)
    return refused(lambda: check_rehearsed(RunFolder.create(tmp_path, plan), plan, "03-export"))


@fires("RN009")
def test_approvals_that_are_missing(toy: Any, tmp_path: Path) -> Iterable[str]:
    hash_of = make_plan(params_from(toy.params(**STAGING)), tmp_path).hash
    plan = make_plan(params_from(toy.params(**{**STAGING, "approved_plan": hash_of})), tmp_path)
    return refused(lambda: check_approvals(tmp_path, RunFolder.create(tmp_path, plan), plan, "02-schema"))
