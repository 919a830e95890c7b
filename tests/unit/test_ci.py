"""The workflows for users: every command exists, nothing is trusted that need not be, `make ci-local` is the same."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from helpers.markdown import ROOT

from towpath.cli.command import app
from towpath.plan.params import SECRETS
from towpath.runs.folder import RunFolder

WORKFLOWS = ROOT / ".github" / "workflows"
NAMES = ("rehearse", "staging")
ACTION = re.compile(r"^actions/[a-z-]+@[0-9a-f]{40}$")
TOWPATH: Any = typer.main.get_command(app)


def ci() -> Any:
    """tools/ci.py, which is a program and no package."""
    spec = importlib.util.spec_from_file_location("towpath_ci", ROOT / "tools" / "ci.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["towpath_ci"] = module
    spec.loader.exec_module(module)
    return module


def workflow(name: str) -> dict[Any, Any]:
    return dict(yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8")))


def jobs(name: str) -> list[tuple[str, dict[str, Any]]]:
    return list(workflow(name)["jobs"].items())


def steps(name: str) -> list[dict[str, Any]]:
    return [step for _, job in jobs(name) for step in job["steps"]]


def triggers(name: str) -> set[str]:
    return set(workflow(name)[True])  # YAML 1.1 reads `on` as true


def test_these_are_all_workflows() -> None:
    assert sorted(path.name for path in WORKFLOWS.iterdir()) == sorted(f"{name}.yml" for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_githubs_own_and_pinned_with_their_version_beside(name: str) -> None:
    text = (WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8")
    used = [step["uses"] for step in steps(name) if "uses" in step]
    assert used
    assert all(ACTION.match(one) for one in used)
    for one in used:
        assert re.search(rf"uses: {re.escape(one)} # v\d+\.\d+\.\d+$", text, re.MULTILINE), one
    both = {one.partition("@")[0]: one for other in NAMES for one in [s["uses"] for s in steps(other) if "uses" in s]}
    assert set(used) <= set(both.values()), "one version of each action"


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_may_read_the_code_and_nothing_more(name: str) -> None:
    told = workflow(name)
    assert told["permissions"] == {"contents": "read"}
    assert not triggers(name) & {"pull_request_target", "workflow_run", "push", "schedule", "issue_comment"}
    assert "concurrency" in told
    for _, job in jobs(name):
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 360
        assert not job.get("continue-on-error")
        assert not any(step.get("continue-on-error") for step in job["steps"])
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", NAMES)
def test_no_value_of_an_expression_is_put_into_a_command(name: str) -> None:
    assert [step["run"] for step in steps(name) if "${{" in step.get("run", "")] == []


def test_a_pull_request_sees_no_secret() -> None:
    assert triggers("rehearse") == {"pull_request", "workflow_dispatch"}
    text = (WORKFLOWS / "rehearse.yml").read_text(encoding="utf-8")
    assert "secrets." not in text
    assert "environment:" not in text
    assert triggers("staging") == {"workflow_dispatch"}


def test_secrets_reach_the_steps_that_run_phases_and_no_others() -> None:
    for name, job in jobs("staging"):
        assert "secrets." not in str(job.get("env")), name
        for step in job["steps"]:
            is_phase = "towpath run" in step.get("run", "")
            assert ("secrets." in str(step)) == is_phase, step
    assert "secrets." not in str(workflow("staging")["env"])


def test_every_reference_of_staging_is_given() -> None:
    """What params and settings refer to is in the environment of each step that runs a phase."""
    wanted = {"RECORDS_ACCESS_KEY_ID", "RECORDS_SECRET_ACCESS_KEY", "RECORDS_SIGNING_PEM"}
    settings = {name: value for name, value in workflow("staging")["env"].items() if str(value).startswith("env:")}
    assert {str(value)[4:] for value in settings.values()} == wanted
    for path in sorted((ROOT / "params").glob("*/staging.yaml")):
        params = yaml.safe_load(path.read_text(encoding="utf-8"))
        wanted |= {params[key][4:] for key in SECRETS if params.get(key, "").startswith("env:")}
    for step in steps("staging"):
        if "towpath run" in step.get("run", ""):
            assert set(step["env"]) == wanted


def test_each_write_waits_for_people_and_follows_the_job_that_showed_it() -> None:
    before = ""
    for name, job in jobs("staging"):
        writes = [step["run"] for step in job["steps"] if "--approve" in step.get("run", "")]
        assert job["if"] == "github.ref == 'refs/heads/main'"
        assert job["environment"] == ("staging-write" if writes else "staging")
        assert job.get("needs", "") == before
        assert len(writes) == (1 if before else 0), "one write for each confirmation"
        if before:
            assert job["env"] == {
                key: f"${{{{ needs.{before}.outputs.{value} }}}}"
                for key, value in (("RUN", "run"), ("PLAN", "plan"), ("TARGET", "target"))
            }
        before = name
    order = [word for step in steps("staging") for word in re.findall(r"--phase (\S+)", step.get("run", ""))]
    assert order == ["02-schema", "03-export", "04-import", "04-import", "05-validate", "06-cutover", "06-cutover"]


def test_what_staging_uploads_holds_no_rows() -> None:
    uploads = [one for one in steps("staging") if one.get("uses", "").startswith("actions/upload-artifact@")]
    patterns = [pattern for one in uploads for pattern in one["with"]["path"].split("\n") if pattern]
    assert patterns
    where = re.escape("outputs/${{ inputs.system }}/staging/*/")
    assert [one for one in patterns if not re.fullmatch(rf"{where}[^/]+", one)] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_a_workflow_exists(name: str) -> None:
    seen = set()
    for step in steps(name):
        if "run" not in step:
            continue
        words = shlex.split(step["run"].split(" >> ")[0].replace("$(cat", "").replace(')"', '"'))
        program = words[0].removeprefix(".venv/bin/")
        seen.add(program)
        if program == "make":
            known = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
            assert re.search(rf"^  make {words[1]} ", known, re.MULTILINE)
        elif program == "towpath":
            command, rest = TOWPATH, words[1:]
            while rest and rest[0] in getattr(command, "commands", {}):
                command, rest = command.commands[rest[0]], rest[1:]
            assert not hasattr(command, "commands"), f"{words} names no command"
            command.make_context(command.name, list(rest))
        else:
            assert program == "python"
            assert (ROOT / words[1]).is_file()
    assert seen <= {"make", "towpath", "python"}


def test_make_ci_local_runs_the_steps_of_the_workflow() -> None:
    said = subprocess.run(
        ["make", "-n", "ci-local", "SYSTEM=joan"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "tools/ci.py steps .github/workflows/rehearse.yml rehearse system=joan" in said
    found = ci().steps(WORKFLOWS / "rehearse.yml", "rehearse", {"system": "joan"})
    assert [step.command for step in found] == [step["run"] for step in steps("rehearse") if "run" in step]
    assert {step.environment["SYSTEM"] for step in found} == {"joan"}
    assert [step.name for step in found if step.always] == ["List the runs", "Stop the local runtime"]


TINY = """
on: {pull_request: }
env: {GREETING: hello}
jobs:
  try:
    env: {WHO: "${{ matrix.who }}"}
    steps:
      - uses: actions/checkout@0
      - {name: one, run: 'echo "$GREETING $WHO" >> said'}
      - {name: two, run: 'false | true'}
      - {name: three, run: echo never >> said}
      - {name: four, if: always(), run: echo at last >> said}
"""


def test_steps_run_as_github_runs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a step that failed, a pipe included, only those run that always run; the first code is the job's."""
    path = tmp_path / "tiny.yml"
    path.write_text(TINY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert ci().main(["steps", str(path), "try", "who=ana"]) == 1
    assert (tmp_path / "said").read_text(encoding="utf-8") == "hello ana\nat last\n"


@pytest.mark.parametrize("change", [("always()", "failure()"), ("matrix.who", "secrets.who")])
def test_what_only_github_can_do_is_refused(
    tmp_path: Path, change: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.yml"
    path.write_text(TINY.replace(*change), encoding="utf-8")
    assert ci().main(["steps", str(path), "try", "who=ana"]) == 3
    assert capsys.readouterr().err.startswith("ci: ")


def test_a_job_tells_the_next_one_run_plan_and_target(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert ci().main(["told", "toy", "local"]) == 3
    assert ci().main(["tell"]) == 2
    from dataclasses import replace

    from towpath.plan.params import params_from
    from towpath.plan.plan import make_plan
    from towpath.runs.results import write_result

    plan = make_plan(params_from(toy.params()), toy.root)
    folder = RunFolder.create(toy.root, plan)
    begun = folder.begin(plan, "02-schema")
    assert ci().main(["told", "toy", "local"]) == 3, "no dry run, no target"
    write_result(folder.path, replace(begun, fingerprint="local toy: 0 tables; files: 0 objects, 0 bytes"))
    capsys.readouterr()
    assert ci().main(["told", "toy", "local"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"run={folder.run_id}",
        f"plan={plan.hash}",
        "target=local toy: 0 tables; files: 0 objects, 0 bytes",
    ]
