"""The score in short: a few hundred faults are all named exactly, clean sources raise no alarm, and the page is one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import markdown
from helpers.carry import carry
from helpers.markdown import ROOT

from mutation import campaign, report, sources, tables
from mutation.around import EDITS, EXTRA
from mutation.cells import CELLS
from mutation.files import Files
from mutation.harness import Score, Tally, strike
from mutation.rows import ROWS
from towpath import objects
from towpath.checks import Comparison, Verdict
from towpath.cloudflare.d1 import D1

PAGE = ROOT / "docs" / "mutation.md"


# Enough for every class of each group once; of the groups of rows together.
SHORT = {"rows": 90, "pages": 36, "around": 36, "objects": 18, "keys": 22, "jobs": 18}
FAULTS = sum(SHORT.values())


@pytest.fixture(scope="module")
def result() -> campaign.Result:
    return campaign.run(FAULTS, 20, 2026, tell=lambda _: None, shares=SHORT)


def test_every_fault_is_named_exactly_and_nothing_else_is(result: campaign.Result) -> None:
    assert result.tally.stories == []
    assert result.false == []
    assert (result.tally.seeded, result.tally.named, result.tally.alarms, result.clean) == (FAULTS, FAULTS, 0, 20)
    assert result.perfect
    assert f"{FAULTS} faults: {FAULTS} caught (100.00 %), {FAULTS} named exactly (100.00 %)" in report.plain(result)
    done = {kind for _, kind in result.tally.scores}
    assert done >= {*CELLS, *ROWS, *EDITS, *EXTRA}


def _nothing(found: Comparison) -> Comparison:
    return replace(found, checks=tuple(replace(c, verdict=Verdict.PASS) for c in found.checks), differences=())


def _another_key(found: Comparison) -> Comparison:
    return replace(found, differences=tuple(replace(d, key=d.key + "0") for d in found.differences))


def _one_more(found: Comparison) -> Comparison:
    more = tuple(replace(d, column="another") for d in found.differences)
    return replace(found, differences=(*found.differences, *more))


@pytest.mark.parametrize(
    ("fault", "score"),
    [(_nothing, Score(3, 0, 0)), (_another_key, Score(3, 3, 0)), (_one_more, Score(3, 3, 0))],
)
def test_a_validator_that_errs_is_found_out(
    fault: Callable[[Comparison], Comparison], score: Score, d1: D1, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources.everything(tmp_path / "source.sqlite", random.Random(1))
    target = tables.Tables("rows", carry(tmp_path / "source.sqlite", tmp_path / "run", d1, sources.FILL))
    kind = "a space at the end"
    target.makers = {kind: target.makers[kind]}
    real = tables.compare

    def fake_compare(*given: Any) -> Comparison:
        """A fake: a comparison with a fault of its own."""
        return fault(real(*given))

    monkeypatch.setattr(tables, "compare", fake_compare)
    tally = Tally()
    strike(target, random.Random(1), 3, tally, whole_every=1_000)
    assert replace(tally.scores["rows", kind], whole=0) == score
    assert (tally.alarms, len(tally.stories), tally.perfect) == (0, 3, False)


def test_a_clean_target_that_is_complained_of_is_an_alarm(d1: D1, tmp_path: Path) -> None:
    sources.paged(tmp_path / "source.sqlite", random.Random(1))
    target = tables.Tables("rows", carry(tmp_path / "source.sqlite", tmp_path / "run", d1))
    d1.batch(["UPDATE ledger SET at = at || ' ' WHERE id = 2"])
    tally = Tally()
    strike(target, random.Random(1), 0, tally, whole_every=1)
    assert (tally.alarms, tally.calm, tally.perfect) == (2, 2, False)


def test_the_committed_page_has_every_class_and_missed_none() -> None:
    rows = [row for row in markdown.rows(markdown.text(PAGE), "group") if row[0] != "**all**"]
    kinds = {row[1].replace("&#124;", "|") for row in rows}
    assert kinds >= {*CELLS, *ROWS, *EDITS, *EXTRA}
    for _, kind, seeded, caught, named, missed, _ in rows:
        assert seeded == caught == named, kind
        assert missed == "0", kind


COUNTS = {"TB411", "OB401", "KE403"}
AROUND = {"TB405", "TB406", "TB407", *(f"TB{number}" for number in range(413, 420))}


def test_the_page_says_which_validator_sees_which_fault(result: campaign.Result) -> None:
    rows = markdown.rows(markdown.text(ROOT / "docs" / "validation.md"), "fault class")
    assert {row[0].split(":")[0] for row in rows} == {"rows", "around the rows", "objects", "keys", "jobs"}
    seeded = {(group.removesuffix(" of many pages"), kind) for group, kind in result.tally.codes}
    assert {tuple(row[0].split(": ", 1)) for row in rows} == seeded, "every class that is seeded, and no other"
    for name, *said in rows:
        group, _, kind = name.partition(": ")
        codes = result.tally.codes[group, kind]
        seen = [bool(codes & COUNTS), bool(codes - COUNTS - AROUND), bool(codes & AROUND)]
        assert [word == "yes" for word in said[:3]] == seen, name
        assert said[3] == ("yes" if group == "objects" and kind in CLOSED else "no"), name
        assert said[4] == "no", "no phase compares the answers of two applications"


# What the closure of rows and objects sees is shown by test_what_the_closure_sees.
CLOSED = {"object missing", "object too many", "key in another case", "key with a space at the end"}


def test_what_the_closure_sees(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    files = Files(r2_client, bucket, tmp_path, "closed", random.Random(1))
    listed = markdown.rows(markdown.text(ROOT / "docs" / "validation.md"), "fault class")
    kinds = [row[0].removeprefix("objects: ") for row in listed if row[0].startswith("objects: ")]
    for kind in kinds:
        fault = files.makers[kind](random.Random(1))
        assert fault is not None
        files.seed(fault)
        keys = (found.key for found in objects.Bucket(r2_client, bucket).list(files.manifest.prefixes))
        checks = objects.target_closure([(key, key) for key in files.entries], keys, (), bucket)
        files.undo(fault)
        assert any(check.verdict is Verdict.FAIL for check in checks) == (kind in CLOSED), kind
