"""The score: what a finding costs, which letter and level come of it, and what is at stake."""

from __future__ import annotations

import pytest
from helpers import markdown

from towpath.checks import Check, Severity, Verdict
from towpath.workbench.complexity import Complexity, Size, weigh
from towpath.workbench.registry import registry
from towpath.workbench.weights import DAY_UNITS, LOGIC, REWRITTEN, UNIT_MINUTES, USUAL, work_of

RULES = {code: entry.rule for code, entry in registry().items()}
PAGE = markdown.ROOT / "docs" / "complexity.md"
TABLES = {"tasks": Size("tasks", 400, 80_000), "public.users": Size("users", 10, 1_000), "empty": Size("empty", 0, 0)}
ANSWERS = {"OB202 a/": "skip", "OB202 b/": "copy", "TB203 tasks.project_id": "park"}


def table_of(object: str) -> Size | None:
    return TABLES.get(object) or TABLES.get(object.rpartition(".")[0])


def finding(code: str, object: str = "x", count: int = 1, verdict: Verdict = Verdict.PASS) -> Check:
    return Check(code, "tables", object, "", "", verdict, count=count)


def score(*checks: Check, **objects: int) -> Complexity:
    return weigh(checks, RULES, lambda c: ANSWERS.get(f"{c.code} {c.object}", ""), table_of, {"table": 3, **objects})


@pytest.mark.parametrize(
    ("codes", "objects", "wanted"),
    [
        ((), {}, "A-1"),
        (("TB217", "TB208"), {}, "A-1"),
        ((), {"view": 1}, "A-2"),
        (("TB201",), {"trigger": 2}, "A-2"),
        (("TB116",), {"trigger": 2, "virtual table": 1}, "A-3"),
        (("TB203", "OB201"), {}, "A-1"),
        (("TB113",), {"trigger": 1}, "B-4"),
        (("TB102",), {}, "B-4"),
        (("PG108",), {"trigger": 1}, "B-5"),
        (("PG109",), {"function": 1}, "B-5"),
        (tuple("PG107" for _ in range(18)), {}, "C-5"),
        (tuple("TB102" for _ in range(17)), {}, "B-4"),
        (tuple("TB102" for _ in range(18)), {}, "C-4"),
        (tuple("TB208" for _ in range(10_000)), {}, "A-1"),
    ],
)
def test_letter_and_level(codes: tuple[str, ...], objects: dict[str, int], wanted: str) -> None:
    assert score(*(finding(code, f"t{n}") for n, code in enumerate(codes)), **objects).score == wanted


def test_further_looks_are_quicker_and_rewriting_is_not() -> None:
    assert [score(*(finding("TB208", f"t{n}") for n in range(k))).minutes for k in (1, 2, 5)] == [5, 6, 10]
    assert [score(*(finding("PG108", f"t{n}") for n in range(k))).minutes for k in (1, 2, 5)] == [60, 120, 300]
    mixed = score(finding("OB202", "a/"), finding("OB202", "b/"))  # skip loses something, copy does not
    assert mixed.units == 6 + 2 / 4
    assert score(*(finding("TB102", f"t{n}") for n in range(7))).days == 2.0


@pytest.mark.parametrize(
    ("code", "answer", "kind"),
    [
        ("TB217", "", "nothing"),
        ("TB208", "", "look"),
        ("TB201", "keep", "decide"),
        ("TB201", "", "decide"),
        ("TB203", "", "accept"),
        ("TB203", "park", "accept"),
        ("OB202", "copy", "decide"),
        ("OB202", "skip", "accept"),
        ("TB102", "", "correct"),
        ("PG108", "", "rewrite"),
    ],
)
def test_what_somebody_has_to_do(code: str, answer: str, kind: str) -> None:
    assert work_of(RULES[code], answer).kind == kind


def test_only_findings_count_and_the_newest_of_them() -> None:
    old, new = finding("TB203", "tasks.project_id", 3, Verdict.FAIL), finding("TB203", "tasks.project_id", 5)
    found = score(old, finding("TB100", "source", 0), new)
    assert [(one.check, one.answer) for one in found.findings] == [(new, "park")]


def test_rows_and_bytes_at_stake() -> None:
    values = finding("TB208", "tasks.rate", 100)
    more = finding("TB203", "tasks.project_id", 3)
    declared = finding("PG108", "public.users.touch")
    note = finding("TB217", "tasks.created_at", 400)
    found = {one.check.code: (one.table, one.rows, one.bytes) for one in score(values, more, declared, note).findings}
    assert found["TB208"] == ("tasks", 100, 20_000)
    assert found["TB203"] == ("tasks", 3, 600)
    assert found["PG108"] == ("users", 10, 1_000)
    assert score(values, more, declared, note).stake == (110, 21_000)
    assert score(finding("TB210", "empty.id", 4)).stake == (0, 0)
    assert score(finding("OB201", "attachments/")).stake == (0, 0)


def test_a_table_has_the_score_of_its_findings() -> None:
    whole = score(finding("PG108", "public.users.touch"), finding("TB208", "tasks.rate", 4), trigger=1)
    assert whole.score == "B-5"
    assert whole.of("tasks", {}).score == "A-1"
    assert (whole.of("users", {"trigger": 1}).minutes, whole.of("tasks", {}).minutes) == (60, 5)


def test_what_fails_stands_first_and_the_most_work_on_top() -> None:
    checks = [finding("TB208", "a"), finding("PG108", "b"), finding("TB203", "z", 1, Verdict.FAIL)]
    found = score(*checks)
    assert found.findings[0].check.code == "TB203"
    assert list(found.by_code()) == ["PG108", "TB203", "TB208"]


def test_the_page_names_every_weight() -> None:
    text = markdown.text(PAGE)
    assert {row[0]: float(row[1]) for row in markdown.rows(text, "code")} == REWRITTEN
    usual = {row[0]: row[1] for row in markdown.rows(text, "kind of work")}
    assert {**{work.kind: str(work.units) for work in USUAL.values()}, "rewrite": "see below"} == usual
    assert f"A unit is {UNIT_MINUTES} minutes" in text
    assert f"has {DAY_UNITS} units" in text
    assert all(code in text for code in LOGIC)


def test_only_rules_that_stop_nobody_and_ask_for_work_are_rewritten() -> None:
    assert REWRITTEN.keys() <= RULES.keys()
    assert {RULES[code].severity for code in REWRITTEN} <= {Severity.WARN, Severity.DECIDE}
    assert set(LOGIC) <= REWRITTEN.keys()
