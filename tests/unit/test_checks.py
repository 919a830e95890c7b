"""Findings judged: each clause by which a waiver accepts a loss, and nothing beside it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from towpath.checks import SOON, Check, Decision, Finding, Rule, Severity, Verdict, Waiver, judge, worst
from towpath.workbench.accepted import losses

TODAY = dt.date(2026, 1, 31)
RULES = {
    "TB203": Rule("TB203", "tables", "orphans", Severity.DECIDE, "decide", ("null", "park"), ("null", "park"), "rows"),
    "TB201": Rule("TB201", "tables", "large integers", Severity.DECIDE, "read as text", ("keep",)),
    "KE206": Rule("KE206", "keys", "left behind", Severity.DECIDE, "decide", ("drop",), ("drop",), "keys"),
}
ORPHANS = Finding("TB203", "tasks.project_id", 3, "3 rows lead nowhere", ("1", "2", "3"))
OTHERS = Finding("TB203", "notes.folder_id", 1, "1 row leads nowhere")
NULL = Decision("TB203", "*", "null", "gone for years")
WAIVER = Waiver("TB203", "tasks.project_id", 3, "Ada Lovelace", "nobody misses them", dt.date(2027, 1, 1))
OTHER = replace(WAIVER, object="notes.folder_id", count=1)


def rule(severity: Severity = Severity.REFUSE) -> Rule:
    return Rule("TB412", "tables", "every cell is equal", severity, "look at the differences")


def test_what_is_good_passes_and_has_no_next_step() -> None:
    expected = Check("TB412", "tables", "tasks", "3", "3", Verdict.PASS)
    assert rule().check("tasks", 3, 3, True) == rule().check("tasks", "3", "3", True, step="repair it") == expected


@pytest.mark.parametrize("severity", Severity)
def test_what_is_not_good_fails_unless_the_rule_only_warns(severity: Severity) -> None:
    check = rule(severity).check("tasks", 3, 2, False)
    assert check.verdict is (Verdict.WARN if severity is Severity.WARN else Verdict.FAIL)
    assert check.next == "look at the differences"


def test_a_step_for_this_object_stands_in_place_of_the_rules_advice() -> None:
    assert rule().check("tasks", 3, 2, False, step="import it again").next == "import it again"


@pytest.mark.parametrize("good", [True, False])
def test_keys_are_kept_good_or_not_and_none_is_cut(good: bool) -> None:
    check = rule().check("tasks", 30, 30, good, (str(key) for key in range(30)))
    assert check.keys == tuple(str(key) for key in range(30))


def judged(*waivers: Waiver, findings: tuple[Finding, ...] = (ORPHANS,), today: dt.date = TODAY) -> list[Check]:
    return judge(findings, RULES, [NULL], waivers, today).checks


def test_a_waiver_accepts_exactly_its_finding() -> None:
    (check,) = judged(WAIVER)
    assert (check.verdict, check.count, check.keys) == (Verdict.WAIVED, 3, ("1", "2", "3"))
    assert check.expected == "waived by Ada Lovelace until 2027-01-01: nobody misses them"
    assert worst([check]) is Verdict.PASS


def test_a_waiver_accepts_nothing_of_another_object() -> None:
    first, second = judged(WAIVER, findings=(ORPHANS, OTHERS))
    assert (first.verdict, second.verdict) == (Verdict.WAIVED, Verdict.FAIL)
    assert second.next == "add a waiver for TB203 notes.folder_id with count 1 to waivers.yaml"
    assert [check.unwaived for check in (first, second)] == [False, True]
    assert [check.verdict for check in judged(WAIVER, OTHER, findings=(ORPHANS, OTHERS))] == [Verdict.WAIVED] * 2


@pytest.mark.parametrize("count", [1, 2, 4, 300])
def test_one_more_or_one_less_than_its_count_fails(count: int) -> None:
    (check,) = judged(replace(WAIVER, count=count))
    assert (check.verdict, check.expected) == (Verdict.FAIL, f"waived: exactly {count}")
    assert f"accepts {count}, the source holds 3" in check.next


def test_a_waiver_that_matches_nothing_fails() -> None:
    for waiver in (replace(WAIVER, object="tasks.*"), replace(WAIVER, object="TASKS.PROJECT_ID"), OTHER):
        checks = judged(WAIVER, waiver)
        assert [(check.code, check.verdict) for check in checks] == [
            ("TB203", Verdict.WAIVED),
            ("PL001", Verdict.FAIL),
        ]
        assert checks[1].object == f"TB203 {waiver.object}"
    assert [check.code for check in judge([], RULES, [], [WAIVER], TODAY).checks] == ["PL001"]


def test_a_waiver_for_an_answer_that_loses_nothing_matches_nothing() -> None:
    finding, keep = Finding("TB201", "a.b", 2, "2 integers"), Decision("TB201", "a.b", "keep", "read as text")
    checks = judge([finding], RULES, [keep], [replace(WAIVER, code="TB201", object="a.b", count=2)], TODAY).checks
    assert [(check.code, check.verdict) for check in checks] == [("TB201", Verdict.PASS), ("PL001", Verdict.FAIL)]


def test_its_last_day_is_valid_and_the_next_one_is_not() -> None:
    last, late = (judged(WAIVER, today=WAIVER.expires + dt.timedelta(days))[0] for days in (0, 1))
    assert (last.verdict, late.verdict) == (Verdict.WAIVED, Verdict.FAIL)
    assert late.next == "the waiver for TB203 tasks.project_id expired on 2027-01-01"


@pytest.mark.parametrize(("days", "warned"), [(0, True), (1, True), (SOON - 1, True), (SOON, False), (400, False)])
def test_a_waiver_whose_day_is_near_is_a_warning(days: int, warned: bool) -> None:
    checks = judged(WAIVER, today=WAIVER.expires - dt.timedelta(days))
    assert checks[0].verdict is Verdict.WAIVED
    assert [(check.code, check.verdict) for check in checks[1:]] == [("PL015", Verdict.WARN)] * warned
    assert all(f"Ada Lovelace accepted it until 2027-01-01: {days} days more" in check.found for check in checks[1:])
    assert worst(checks) is Verdict.PASS


def test_an_expired_waiver_and_one_that_is_not_used_are_no_warnings() -> None:
    codes = [check.code for check in judged(WAIVER, OTHER, today=WAIVER.expires + dt.timedelta(1))]
    assert codes == ["TB203", "PL001"]


@pytest.mark.parametrize("count", [1, 17, 100_000])
def test_a_waiver_for_all_accepts_any_number_and_keeps_owner_and_last_day(count: int) -> None:
    findings = [Finding("KE206", "otp:*", count, f"{count} keys")]
    drop, everything = [Decision("KE206", "otp:*", "drop", "short")], replace(WAIVER, code="KE206", object="otp:*")
    everything = replace(everything, count=None)
    (check,) = judge(findings, RULES, drop, [everything], TODAY).checks
    assert (check.verdict, check.count) == (Verdict.WAIVED, count)
    assert "Ada Lovelace until 2027-01-01" in check.expected
    (late,) = judge(findings, RULES, drop, [everything], dt.date(2027, 1, 2)).checks
    assert late.verdict is Verdict.FAIL


def test_what_is_undecided_is_told_from_what_is_not_waived() -> None:
    (open_one,) = judge([ORPHANS], RULES, [], [], TODAY).checks
    (lost,) = judge([ORPHANS], RULES, [NULL], [], TODAY).checks
    assert (open_one.undecided, open_one.unwaived, lost.undecided, lost.unwaived) == (True, False, False, True)
    assert open_one.count == lost.count == 3


def test_the_proof_names_each_accepted_loss_with_its_owner_and_last_day() -> None:
    met = judged(WAIVER, OTHER, findings=(ORPHANS, OTHERS))
    assert list(losses([WAIVER, OTHER], met, TODAY)) == met
    assert all("waived by Ada Lovelace until 2027-01-01" in check.expected for check in met)


def test_the_proof_accepts_no_loss_past_its_day_and_none_that_no_phase_met() -> None:
    met = judged(WAIVER)
    (late,) = losses([WAIVER], met, dt.date(2027, 1, 2))
    assert (late.verdict, late.found) == (Verdict.FAIL, met[0].found)
    assert late.next == "the waiver for TB203 tasks.project_id expired on 2027-01-01: ask Ada Lovelace"
    (stray,) = losses([OTHER], met, TODAY)
    assert (stray.code, stray.object, stray.verdict) == ("TB203", "notes.folder_id", Verdict.FAIL)
