"""Rows and files, both ways: one fixture for every rule of OB2xx, and the proof on the target (OB5xx)."""

from __future__ import annotations

from pathlib import Path

import pytest

from towpath.checks import Decision, Finding, Verdict
from towpath.objects import RULES, Closure, closure, entries, target_closure, walk
from towpath.objects.closure import Reference

NFD = "u\u0308"


def fit(root: Path, files: list[str], references: list[Reference]) -> Closure:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return closure(walk(root, ["a"]), references)


def decided(code: str, do: str, count: int, *samples: str) -> tuple[Finding, Decision]:
    return Finding(code, "a/", count, "", samples), Decision(code, "a/", do, "because")


CASES: dict[str, tuple[list[str], list[Reference], Finding]] = {
    "OB201": (["a/x"], [("r1", "a/x"), ("r2", "a/gone")], Finding("OB201", "a/", 1, "", ("r2",))),
    "OB202": (["a/x", "a/lone"], [("r1", "a/x")], Finding("OB202", "a/", 1, "", ("a/lone",))),
    "OB203": (["a/x"], [("r1", "a/x"), ("r2", "/etc/passwd")], Finding("OB203", "r2", 1, "", ("r2",))),
    "OB204": ([f"a/{NFD}"], [("r1", f"a/{NFD}")], Finding("OB204", "a/", 1, "", ("r1",))),
    "OB205": (["a/x.JPG"], [("r1", "a/X.jpg")], Finding("OB205", "a/", 1, "", ("r1",))),
    "OB206": (["a/x"], [("r1", "a/x"), ("r2", "a/x")], Finding("OB206", "a/", 1, "", ("a/x",))),
}


@pytest.mark.parametrize("code", CASES)
def test_each_rule_finds_its_fixture_and_nothing_else(code: str, tmp_path: Path) -> None:
    files, references, expected = CASES[code]
    (finding,) = fit(tmp_path, files, references).findings
    assert (finding.code, finding.object, finding.count, finding.samples) == (
        expected.code,
        expected.object,
        expected.count,
        expected.samples,
    )


def test_there_is_a_fixture_for_every_rule_of_the_closure() -> None:
    assert set(CASES) == {code for code in RULES if code.startswith("OB2")}


def test_a_closed_set_gives_no_finding(tmp_path: Path) -> None:
    result = fit(tmp_path, ["a/x", "a/ü"], [("r1", "a/x"), ("r2", "a/ü")])
    assert result == Closure(rows=2, files=2, named=2, findings=())


@pytest.mark.parametrize(
    "path", ["", "/a/x", "../a/x", "a/../../x", "a/..", "a/\0x", "a/\ud800", b"a/x", None, 7], ids=repr
)
def test_a_path_that_cannot_be_a_key_is_refused(path: object, tmp_path: Path) -> None:
    result = fit(tmp_path, ["a/x"], [("good", "a/x"), ("bad", path)])  # type: ignore[list-item]
    assert [(f.code, f.object) for f in result.findings] == [("OB203", "bad")]
    assert result.rows == 2


@pytest.mark.parametrize("path", ["./a/x", "a//x", "a/./x", "A/x"])
def test_other_spellings_are_found_but_need_a_decision(path: str, tmp_path: Path) -> None:
    result = fit(tmp_path, ["a/x"], [("r", path)])
    assert [f.code for f in result.findings] == ["OB205"]
    assert result.named == 1


def test_a_row_prefers_its_exact_file_over_another_case(tmp_path: Path) -> None:
    result = fit(tmp_path, ["a/x", "a/X"], [("r", "a/x")])
    assert [(f.code, f.samples) for f in result.findings] == [("OB202", ("a/X",))]


def test_a_skipped_link_counts_as_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/real").write_bytes(b"x")
    (tmp_path / "a/link").symlink_to("real")
    inventory, references = walk(tmp_path, ["a"]), [("r1", "a/real"), ("r2", "a/link")]
    assert closure(inventory, references).findings == ()
    skip = [decided("OB105", "skip", 1)]
    assert [(f.code, f.samples) for f in closure(inventory, references, skip).findings] == [("OB201", ("r2",))]


def test_a_file_that_no_row_names_is_left_out_when_it_is_skipped(tmp_path: Path) -> None:
    for name in ("kept", "lone"):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_bytes(b"x")
    inventory = walk(tmp_path, ["a"])
    (finding,) = closure(inventory, [("r", "a/kept")]).findings
    for do, keys in (("copy", ["a/kept", "a/lone"]), ("skip", ["a/kept"])):
        answer = [(finding, Decision("OB202", "a/", do, "because"))]
        assert [e.key for e in entries(inventory, answer)] == keys


def test_a_file_that_came_after_the_walk_is_there(tmp_path: Path) -> None:
    fit(tmp_path, ["a/first"], [])
    inventory = walk(tmp_path, ["a"])
    fit(tmp_path, ["a/came", "elsewhere/came"], [])
    (tmp_path / "a" / "link").symlink_to("first")
    paths = ("a/first", "a/came", "a/gone", "a/link", "elsewhere/came")
    found = closure(inventory, [(path, path) for path in paths]).findings
    assert [(one.code, one.object, one.samples) for one in found] == [
        ("OB201", "./", ("elsewhere/came",)),
        ("OB201", "a/", ("a/gone", "a/link")),
    ]


def test_asking_again_forgets_the_first_answer(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x").write_bytes(b"x")
    inventory = walk(tmp_path, ["a"])
    assert closure(inventory, [("r", "a/x"), ("s", "a/gone")]).findings != ()
    assert closure(inventory, [("r", "a/x")]).findings == ()


def test_more_than_twenty_are_counted_and_twenty_named(tmp_path: Path) -> None:
    references = [(f"r{number}", f"a/gone{number}") for number in range(50)]
    (finding,) = fit(tmp_path, ["a/x"], [("r", "a/x"), *references]).findings
    assert (finding.count, len(finding.samples), finding.samples[0]) == (50, 20, "r0")


KEEP, COPY = decided("OB201", "keep", 1, "r2"), decided("OB202", "copy", 1, "a/lone")
ROWS = [("r1", "a/x"), ("r2", "a/gone")]


@pytest.mark.parametrize(
    ("references", "keys", "answers", "verdicts"),
    [
        ([("r1", "a/x")], ["a/x"], [], ("PASS", "PASS")),
        (ROWS, ["a/x"], [], ("FAIL", "PASS")),
        (ROWS, ["a/x"], [KEEP], ("PASS", "PASS")),
        (ROWS, ["a/x", "a/lone"], [KEEP, COPY], ("PASS", "PASS")),
        (ROWS, ["a/x", "a/other"], [KEEP, COPY], ("PASS", "FAIL")),
        (ROWS, ["a/x", "a/gone"], [KEEP], ("FAIL", "PASS")),
        ([("r3", "a/y"), ("r1", "a/x")], ["a/x"], [KEEP], ("FAIL", "PASS")),
        ([("r1", "/etc/x")], [], [], ("FAIL", "PASS")),
        ([("r1", f"a/{NFD}")], ["a/ü"], [], ("PASS", "PASS")),
        ([("r1", "a/X")], ["a/x"], [], ("FAIL", "PASS")),
        ([("r1", "a/X")], ["a/x"], [decided("OB205", "keep", 1, "r1")], ("PASS", "PASS")),
        ([], ["a/x"], [decided("OB202", "skip", 1, "a/x")], ("PASS", "FAIL")),
    ],
)
def test_the_target_holds_exactly_what_was_decided(
    references: list[Reference], keys: list[str], answers: list[tuple[Finding, Decision]], verdicts: tuple[str, str]
) -> None:
    checks = target_closure(references, keys, answers)
    assert [check.code for check in checks] == ["OB501", "OB502"]
    assert tuple(check.verdict for check in checks) == tuple(Verdict(v) for v in verdicts)


def test_what_is_too_much_is_named_first() -> None:
    rows, _ = target_closure([*ROWS, ("r3", "a/also")], ["a/x"], [KEEP])
    assert (rows.expected, rows.found, rows.keys) == ("1 as decided", "2", ("r3",))
