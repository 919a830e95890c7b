"""A proposal for any findings: it loads, it keeps every line that stood there, and it answers all that it does not
leave to a person."""

from __future__ import annotations

import datetime as dt
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.checks import Check, Finding, Severity, judge
from towpath.plan.answers import SURFACES
from towpath.plan.inline import secret_kind
from towpath.plan.mapping import SystemMapping, mapping_of
from towpath.plan.params import parse_document
from towpath.plan.proposal import propose
from towpath.plan.written import with_rows

TODAY = dt.date(2026, 1, 31)
DECIDABLE = sorted(code for code, rule in SURFACES.items() if rule.severity is Severity.DECIDE)
ROW = "code: TB201, object: a.b, do: keep, reason: read as text"
TEXTS = (
    "",
    "# nothing decided yet\n",
    "system: toy\n",
    "\ufeffsystem: toy\nobjects:\n  cache_control: no-store",
    "system: toy\ndecisions: []  # none yet\nobjects:\n  cache_control: no-store\n",
    f"decisions:\n  - {{{ROW}}}  # first\n\n  # and why\n\n# the end\n",
    f"decisions:\n- {{{ROW}}}\n# a comment\njobs:\n  queues: [celery]\n",
    "decisions:\r\n  - code: TB201\r\n    object: a.b\r\n    do: keep\r\n    reason: 'two\r\n      lines'\r\n",
    """decisions:
  -
    code: TB201
    object: a.b
    do: keep
    reason: |
      read as text,
      # by the Worker

    # a last word
keys: {rules: []}
""",
    f"decisions:\n    - {{{ROW}}}\n    - code: TB202\n      object: n.*\n      do: keep\n      reason: >-\n       as",
)
SECRET = "sk-" + "a1B2" * 6
WORDS = st.sampled_from(["id", "user_id", "project_id", "created_at", "a", "*", "x[1]", "null", "yes", "ü"])
NAMES = st.builds("{}.{}".format, WORDS, WORDS) | st.text(max_size=12) | st.sampled_from([SECRET, "a: b #c"])
FINDINGS = st.lists(
    st.builds(Finding, st.sampled_from([*DECIDABLE, *(["TB201", "TB202"] * 8)]), NAMES, st.integers(1, 9), st.text()),
    max_size=25,
    unique_by=lambda finding: (finding.code, finding.object),
)


def mapped(text: str) -> SystemMapping:
    return mapping_of(parse_document(text, "mapping.yaml"), "toy")


def judged(findings: list[Finding], mapping: SystemMapping) -> list[Check]:
    return judge(findings, SURFACES, mapping.decided(), [], TODAY).checks


@settings(max_examples=100, deadline=None)
@given(findings=FINDINGS, text=st.sampled_from(TEXTS), columns=st.sets(NAMES, max_size=8), seed=st.integers(0, 9))
def test_what_is_proposed_loads_and_answers(findings: list[Finding], text: str, columns: set[str], seed: int) -> None:
    checks = judged(findings, mapped(text))
    columns = columns | {finding.object for finding in findings}
    made = propose(checks, mapped(text), columns)
    rows, notes = made.parts(text, "Proposed today.")
    whole = with_rows(text, "mapping.yaml", rows, notes)

    after = mapped(whole)
    assert after.model_copy(update={"decisions": ()}) == mapped(text).model_copy(update={"decisions": ()})
    assert after.decided() == (*mapped(text).decided(), *(row.decision for row in made.rows))
    left = iter(whole.splitlines())
    kept = [line.replace("decisions: []", "decisions: ") if rows else line for line in text.splitlines()]
    assert all(line in left for line in kept), "every line that stood there, in its order"

    open_ones = {(one.finding.code, one.finding.object) for one in made.open}
    again = judged(findings, after)
    assert {(check.code, check.object) for check in again if check.undecided} == open_ones
    assert all(SURFACES[check.code].default == "" or odd(check.object) for check in again if check.undecided)
    assert {check.object for check in again if check.unwaived} == {check.object for check in checks if check.unwaived}

    second = propose(again, after, columns)
    assert (second.rows, second.open) == ((), made.open)
    assert with_rows(whole, "mapping.yaml", *second.parts(whole, "Proposed tomorrow.")) == whole

    random.Random(seed).shuffle(checks)
    assert propose(checks, mapped(text), columns) == made


def odd(name: str) -> bool:
    return not name or secret_kind(name, name=True) is not None


@settings(max_examples=100, deadline=None)
@given(
    hit=st.sets(st.builds("{}.{}".format, st.sampled_from("abcd"), st.sampled_from(["id", "x_id", "y_id", "z"]))),
    missed=st.sets(st.builds("{}.{}".format, st.sampled_from("abcd"), st.sampled_from(["id", "x_id", "y_id", "z"]))),
)
def test_a_pattern_answers_its_findings_and_no_other_column(hit: set[str], missed: set[str]) -> None:
    findings = [Finding("TB201", name, 1, "1 integer") for name in sorted(hit)]
    made = propose(judged(findings, mapped("")), mapped(""), hit | missed)
    answered = [check.object for row in made.rows for check in row.findings]
    assert sorted(answered) == sorted(hit)
    after = [row.decision for row in made.rows]
    strangers = [Finding("TB201", name, 1, "1 integer") for name in sorted(missed - hit)]
    assert all(
        check.undecided for check in judge(strangers, SURFACES, after, [], TODAY).checks if check.code == "TB201"
    )
    assert all(len(row.findings) > 2 for row in made.rows if "*" in row.decision.object)
