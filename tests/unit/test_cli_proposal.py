"""`towpath plan --propose`: what it reads, what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from towpath.checks import Check, Decision, Finding, Verdict, judge
from towpath.cli.command import run_command
from towpath.plan.answers import SURFACES
from towpath.plan.mapping import load_mapping
from towpath.plan.params import params_from
from towpath.plan.plan import make_plan
from towpath.runs.folder import RunFolder
from towpath.runs.results import PhaseResult, write_result

TODAY = dt.date(2026, 1, 31)
FINDINGS = [
    *(Finding("TB201", f"{table}.id", 4, "4 integers beyond ±2^53") for table in ("goals", "notes", "tasks")),
    Finding("TB201", "tasks.trace", 1, "1 integer beyond ±2^53"),
    Finding("TB203", "tasks.project_id", 3, "3 rows with a reference to projects that leads nowhere"),
    Finding("TB102", "notes", 1, "1 row is too long"),
]
COLUMNS = {"goals": ["id"], "notes": ["id"], "tasks": ["id", "trace", "project_id"]}
ROWS = """\
  # 3 findings and no other column: goals.id, notes.id, tasks.id
  - code: TB201
    object: '*.id'
    do: keep
"""
PERSON = """\
  # TB203 tasks.project_id: 3 rows with a reference to projects that leads nowhere
"""
WAIVER = """\
  # - code: TB203
  #   object: tasks.project_id
  #   count: 3
  #   owner:
  #   reason:
  #   expires:
"""


def record(
    toy: Any,
    findings: list[Finding],
    phase: str = "01-inventory",
    more: list[Check] | None = None,
    again: bool = False,
    **changes: Any,
) -> RunFolder:
    """The result of a phase over these findings, in the current run or, for an inventory, in a new one."""
    plan = make_plan(params_from(toy.params()))
    new = phase == "01-inventory" and not again
    folder = RunFolder.create(toy.root, plan) if new else RunFolder.current(toy.root, "toy", "local")
    assert folder is not None
    opened: PhaseResult = folder.begin(plan, phase)
    checks = [*judge(findings, SURFACES, plan.mapping.decided(), plan.waivers, TODAY).checks, *(more or [])]
    census = {"tables": [{"name": t, "columns": [{"name": c} for c in names]} for t, names in COLUMNS.items()]}
    path = folder.path / "inventory" / "profile.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(census), encoding="utf-8")
    ended = replace(
        opened,
        verdict=Verdict.FAIL,
        checks=tuple(checks),
        outputs={"inventory/profile.json": "inventory/profile.json"},
        started="2026-01-31T08:15:00.000Z" if new else "2026-01-31T08:20:00.000Z",
    )
    write_result(folder.path, replace(ended, **changes))
    return folder


def said(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert run_command(["plan", "toy", "--env", "local", *words]) == code
    printed = capsys.readouterr()
    return printed.err if code else printed.out


def mapping(toy: Any) -> Path:
    return Path(toy.root / "runbooks" / "toy" / "mapping.yaml")


def test_without_an_inventory_it_says_what_to_run(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert not (toy.root / "outputs").exists()
    assert "Next: towpath run toy --env local --phase 01-inventory" in said(["--propose"], capsys, 3)


def test_it_prints_and_writes_nothing(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = record(toy, FINDINGS)
    before = mapping(toy).read_text(encoding="utf-8")
    text = said(["--propose"], capsys)
    assert f"# Proposed on 2026-01-31 from 01-inventory of run {folder.run_id}." in text
    assert ROWS in text
    assert "  # tasks.trace: 1 integer beyond ±2^53\n" in text
    assert PERSON in text
    assert "  # do: 'null', do: park; " in text
    assert "  # needs a waiver: null, park; loses: null: what the reference named; park: " in text
    assert WAIVER in text
    names = "TB201 goals.id, TB201 notes.id, TB201 tasks.id and 1 more"
    assert f"proposed an answer that loses nothing for 4 findings ({names})\n" in text
    assert "yours    only a person can answer 1 finding (TB203 tasks.project_id)\n" in text
    assert "correct  no decision answers 1 finding (TB102 notes)\n" in text
    assert mapping(toy).read_text(encoding="utf-8") == before


def test_write_appends_and_the_inventory_has_nothing_left_but_what_a_person_must_say(
    toy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = "# Toy\nsystem: toy\ndecisions:\n  - {code: TB201, object: tasks.trace, do: keep, reason: text}  # ours\n"
    toy.write("mapping.yaml", f"{kept}jobs:\n  queues: [celery]\n")
    record(toy, FINDINGS)
    assert "written  runbooks/toy/mapping.yaml; what stood there is unchanged" in said(["--propose", "--write"], capsys)
    text = mapping(toy).read_text(encoding="utf-8")
    assert text.startswith(kept)
    assert text.endswith("jobs:\n  queues: [celery]\n")
    assert ROWS in text
    decided = load_mapping(mapping(toy), "mapping.yaml", "toy").decided()
    assert [(d.code, d.object, d.do) for d in decided] == [("TB201", "tasks.trace", "keep"), ("TB201", "*.id", "keep")]
    open_ones = [c.object for c in judge(FINDINGS, SURFACES, decided, [], TODAY).checks if c.undecided]
    assert open_ones == ["tasks.project_id"]
    assert list(mapping(toy).parent.glob(".*")) == []

    again = said(["--propose", "--write"], capsys)
    assert "nothing  is new for mapping.yaml: complete the comments in it" in again
    assert "careful  the plan has changed since then" in again
    assert mapping(toy).read_text(encoding="utf-8") == text


def test_to_writes_a_new_file_and_never_over_one(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    record(toy, FINDINGS)
    before = mapping(toy).read_bytes()
    new = toy.root / "proposed.yaml"
    assert "mapping.yaml is as it was" in said(["--propose", "--to", str(new)], capsys)
    assert mapping(toy).read_bytes() == before
    assert len(load_mapping(new, "proposed.yaml", "toy").decisions) == 2
    written = new.read_bytes()
    assert "proposed.yaml: is there already" in said(["--propose", "--to", str(new)], capsys, 3)
    assert new.read_bytes() == written


@pytest.mark.parametrize("words", [["--write"], ["--to", "x.yaml"], ["--propose", "--write", "--to", "x.yaml"]])
def test_options_that_do_not_go_together(words: list[str], toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    record(toy, FINDINGS)
    assert "--write and --to exclude each other, and belong to --propose" in said(words, capsys, 3)


def test_decisions_in_one_line_are_left_alone(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = "system: toy\ndecisions: [{code: TB201, object: a.b, do: keep, reason: text}]\n"
    toy.write("mapping.yaml", text)
    record(toy, FINDINGS)
    assert "mapping.yaml:2 decisions: stands in one line, between brackets" in said(["--propose"], capsys, 3)
    assert mapping(toy).read_text(encoding="utf-8") == text


def test_an_inventory_that_was_cut_off_is_read_with_a_warning(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    record(toy, FINDINGS[:1], verdict=Verdict.INCOMPLETE, outputs={})
    text = said(["--propose"], capsys)
    assert "careful  the inventory did not come to its end: findings may be missing" in text
    assert "object: goals.id" in text


def test_where_all_is_answered_it_says_so(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    record(toy, [])
    text = said(["--propose"], capsys)
    assert "nothing  is new for mapping.yaml: it answers every finding" in text
    assert "next" not in text


def test_a_schema_phase_that_followed_is_read_too(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    record(toy, FINDINGS[:1])
    record(toy, [Finding("FT201", "users.born", 2, "2 rows lose a fraction")], phase="02-schema")
    text = said(["--propose"], capsys)
    assert "from 01-inventory and 02-schema of run" in text
    assert "# FT201 users.born: 2 rows lose a fraction" in text
    record(toy, FINDINGS[:1], again=True, started="2026-01-31T08:30:00.000Z")
    assert "FT201" not in said(["--propose"], capsys)


def test_a_decided_loss_without_a_waiver_is_named_with_its_waiver(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    lost = Finding("KE206", "otp:*", 12, "12 keys")
    checks = judge([lost], SURFACES, [Decision("KE206", "otp:*", "drop", "short")], [], TODAY).checks
    record(toy, [], more=checks)
    text = said(["--propose"], capsys)
    assert "waivers  nobody has accepted what is lost by 1 finding (KE206 otp:*); waivers.yaml needs:\n" in text
    assert "- code: KE206\n    object: otp:*\n    count: all\n    owner:\n" in text


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (("FT101", "public.users.nick"), "columns: `nick: nick`: nothing fills that column of the target yet"),
        (("FT101", "public.users.shoe"), "no proposal is safe for public.users.shoe: map it, or name it under drop"),
        (("FT102", "public.old"), "no proposal is safe for public.old: write a rule for it, or name it under left"),
        (("FT105", "badges"), "no proposal is safe for the target's badges: fill it, or name it under empty"),
        (("KE101", "(no rule)"), '- { pattern: "cart:*", do: json }'),
        (("JO101", "mails"), "jobs.queues: add mails"),
    ],
)
def test_what_only_other_keys_can_answer_is_said(
    check: tuple[str, str], words: str, toy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = "fit:\n    - {from: public.users, to: users, columns: {id: id}}\n"
    toy.write("mapping.yaml", f"system: toy\ntables:\n  mode: adopt\n  migrations: build\n  {fit}")
    keys = ("cart:1", "cart:2", "sk-" + "a1B2" * 6)
    told = Check(check[0], "tables", check[1], "none", "one", Verdict.FAIL, "", keys)
    unfilled = Check("FT104", "tables", "users.nick", "reported", "no rule fills it", Verdict.WARN)
    record(toy, [], more=[told, unfilled])
    text = said(["--propose"], capsys)
    assert words in text
    assert keys[2] not in text
    assert "# tables.fit" in text or "# keys.rules" in text or "# jobs.queues" in text
    assert "correct" not in text
