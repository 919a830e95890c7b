"""The command without kernels: help, wrong use in one line, plan, status, verify, and the documents' word for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from towpath.checks import Rule, Severity
from towpath.cli.command import app, run_command
from towpath.plan.rules import RULES as PLAN
from towpath.runs.rules import RULES as RUNS
from towpath.runs.run import open_run
from towpath.runs.terminal import Progress, said


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 3) -> str:
    capsys.readouterr()
    assert run_command(arguments) == code
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert captured.out == ""
    return line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan"], ["Missing argument", "towpath plan --help"]),
        (["plan", "toy"], ["--env"]),
        (["plan", "toy", "--env", "mars"], ["PL008", "params/toy/mars.yaml"]),
        (["plan", "../toy", "--env", "local"], ["no such system"]),
        (["fly"], ["No such command", "towpath --help"]),
        (["run", "toy", "--env", "local", "--fast"], ["--fast", "towpath run --help"]),
        (["run", "toy", "--env", "local", "--phase", "09-fly"], ["PL010", "01-inventory, 02-schema, 03-export"]),
        (["run", "toy", "--env", "local", "--phase", "01-inventory", "--from", "02-schema"], ["exclude each other"]),
        (["run", "toy", "--env", "local", "--approve", ""], ["--approve: is empty"]),
        (["run", "toy", "--env", "local", "--target", " "], ["--target: is empty"]),
        (["run", "toy", "--env", "local", "--approve", "ab" * 32, "--dry-run"], ["exclude each other"]),
        (["run", "toy", "--env", "local", "--approve", "ab" * 32], ["PL013"]),
        (["run", "toy", "--env", "local", "--approve", "yes"], ["PL003", "options of the command", "64 hex digits"]),
        (["run", "toy", "--env", "local", "--param", "d1_plan"], ["--param d1_plan"]),
        (["run", "toy", "--env", "local", "--param", "nope=1"], ["--param nope", "d1_plan"]),
        (["run", "toy", "--env", "local", "--param", "d1_plan=gold"], ["PL003", "free or paid"]),
        (["run", "toy", "--env", "local", "--param", "run_id=x"], ["use --run"]),
        (["run", "toy", "--env", "local", "--param", "environment=staging"], ["environment"]),
        (["run", "toy", "--env", "local", "--run", "20200101T000000Z-0000"], ["no such run"]),
        (["run", "toy", "--env", "local"], ["PL009 notebooks/01-inventory.ipynb: no such notebook"]),
        (["verify", "20200101T000000Z-0000"], ["no such run"]),
        (["local", "up", "toy", "--env", "staging"], ["not on this machine"]),
    ],
)
def test_wrong_use_is_one_line_that_says_what_to_do(
    toy: Any, arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    account = "0123456789abcdef0123456789abcdef"
    toy.write_params(
        "staging",
        environment="staging",
        approved_plan="",
        cloudflare_api="https://api.cloudflare.com/client/v4",
        cloudflare_account=account,
        cloudflare_token="env:CLOUDFLARE_API_TOKEN",
        d1_database_id="11111111-2222-4333-8444-555555555555",
    )
    line = error_of(arguments, capsys)
    assert line.startswith("towpath: ")
    assert "Next: " in line
    assert all(word in line for word in words), line
    assert not (toy.root / "outputs").exists()


def test_every_problem_of_a_file_is_a_line(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    toy.write_params(d1_plan="gold", r2_bucket=None, extra=1)
    assert run_command(["plan", "toy", "--env", "local"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.split()[1] for line in lines) == ["PL002", "PL003", "PL004"]


def test_a_notebook_that_lacks_a_parameter_is_refused_before_a_kernel_starts(
    toy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for phase in ("01-inventory", "02-schema", "03-export"):
        toy.notebook(phase)
    assert run_command(["plan", "toy", "--env", "local"]) == 0
    toy.notebook("02-schema", parameters="system: str = 'toy'\nenvironment = 'local'")
    line = error_of(["run", "toy", "--env", "local"], capsys)
    assert "PL009 notebooks/02-schema.ipynb: does not declare source_database" in line
    assert not (toy.root / "outputs").exists()
    toy.notebook("02-schema", parameters="system = = 1")
    assert "is not Python" in error_of(["plan", "toy", "--env", "local"], capsys)
    path = toy.notebook("02-schema")
    path.write_text(path.read_text(encoding="utf-8").replace('"parameters"', '"params"'), encoding="utf-8")
    assert "no cell tagged `parameters`" in error_of(["plan", "toy", "--env", "local"], capsys)


def test_plan_prints_the_hash_that_a_run_asks_for(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for phase in ("01-inventory", "02-schema", "03-export"):
        toy.notebook(phase)
    assert run_command(["plan", "toy", "--env", "local"]) == 0
    printed = capsys.readouterr().out.splitlines()[-1].split()[-1]
    run = open_run("01-inventory", toy.params())
    run.release()
    assert run.plan.hash == printed
    assert run_command(["plan", "toy", "--env", "local", "--param", "d1_plan=paid"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[-1] != printed


def test_status_shows_every_attempt_and_survives_a_broken_record(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["status"]) == 0
    assert capsys.readouterr().out == "no runs yet\n"
    run = open_run("01-inventory", toy.params())
    run.check("TB401", "tables", "tasks", 3, 3, True)
    run.close()
    open_run("01-inventory", toy.params()).release()
    assert run_command(["status", "toy", "--env", "local"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"* toy local {run.folder.name}")
    assert lines[1].split()[:2] == ["01-inventory", "PASS"]
    assert lines[2].split()[:2] == ["01-inventory.2", "INCOMPLETE"]
    (run.folder / "01-inventory.result.json").write_text("{", encoding="utf-8")
    assert run_command(["status"]) == 0
    assert "not readable" in capsys.readouterr().out
    assert run_command(["verify", run.folder.name]) == 1
    assert "FAIL 01-inventory.result.json" in capsys.readouterr().out


def test_every_command_teaches_by_example() -> None:
    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    commands = [command for group in groups if group is not None for command in group.registered_commands]
    assert len(commands) == 18
    for command in commands:
        text = command.callback.__doc__ or "" if command.callback else ""
        assert "Example" in text, command.name
        assert "towpath " in text, command.name


def test_the_module_is_the_command_and_a_bare_call_is_wrong_use() -> None:
    done = subprocess.run([sys.executable, "-m", "towpath"], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "towpath local up joan" in done.stdout


@pytest.mark.parametrize(("name", "rules"), [("plan", PLAN), ("runs", RUNS)])
def test_every_rule_has_a_row_in_the_documents(root: Path, name: str, rules: dict[str, Rule]) -> None:
    pages = [path.read_text(encoding="utf-8") for path in sorted((root / "docs").glob("checks*/*.md"))]
    pages += [path.read_text(encoding="utf-8") for path in (root / "docs").glob("checks.md")]
    for code, rule in rules.items():
        assert rule.code == code
        assert isinstance(rule.severity, Severity)
        assert any(f"| {code} | {rule.title} |" in page for page in pages), (name, code)


def test_progress_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    progress = Progress(path)
    assert progress.newest() == ""
    path.write_text('{"label": "load", "done": 5, "total": 10, "unit": "rows", "rate": 2.0, "left": 2.5}\n{"lab')
    assert progress.newest() == "load 5 of 10 (50%) rows, 2 rows/s, 2 s left"
    with path.open("a") as file:
        file.write('el": "hash", "done": 2500000, "total": null, "unit": "bytes", "rate": null, "left": null}\n')
    assert progress.newest() == "hash 2 MB"
    assert said({}) == ""
