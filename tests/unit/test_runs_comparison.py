"""Two runs side by side: plan, durations, rows, numbers, findings, code; the page never lies in a record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from helpers.records import PHASES, notebook, result, run_folder

from towpath.checks import Check, Verdict
from towpath.cli.command import run_command
from towpath.errors import WrongUse
from towpath.runs.comparing import comparison_path, render_comparison
from towpath.runs.comparison import compare_runs
from towpath.runs.folder import RunFolder
from towpath.runs.results import Number, write_result

A, B = "20260131T081500Z-1a2b", "20260201T081500Z-0c0d"
KNOWN = Check("TB203", "tables", "notes.folder_id", "waived by ann until 2027-01-01: old", "1 row", Verdict.WAIVED)
GONE = Check("TB208", "tables", "clients.rate", "reported", "4 values", Verdict.WARN)
NEW = Check("TB205", "tables", "tasks.position", "reported", "2 infinite numbers", Verdict.WARN)


def counted(table: str, rows: int) -> Check:
    return Check("TB411", "tables", table, f"{rows} rows", f"{rows} rows", Verdict.PASS)


def plan(**params: Any) -> dict[str, Any]:
    decided = [{"code": "TB203", "object": "notes.folder_id", "do": "null"}]
    return {
        "params": {"d1_plan": "free", **params},
        "mapping": {"decisions": decided, "keys": {}},
        "prose": "One.\n" * 60,
    }


def side(
    folder: Path, run: str, checks: tuple[Check, ...], rows: int, seconds: float, cell: str, **params: Any
) -> RunFolder:
    """A run in outputs/joan/local with an inventory, a validation and their notebooks."""
    path = run_folder(folder / run, [result(phase, place) for place, phase in enumerate(PHASES)])
    home = folder / "outputs" / "joan" / "local" / run
    shutil.copytree(path, home)
    head = json.loads((home / "run.json").read_text())
    (home / "run.json").write_text(json.dumps({**head, "run": run}))
    (home / "plan.json").write_text(json.dumps(plan(**params)))
    write_result(home, result("01-inventory", 1, checks=checks, run=run))
    numbers = (Number("seconds", seconds, "s"), Number("rows", rows, "rows"), Number("files", 4, "files"))
    tables = (counted("tasks", rows), counted("notes", 7))
    write_result(home, result("05-validate", 5, checks=tables, numbers=numbers, run=run))
    for phase in ("01-inventory", "05-validate"):
        nbformat.write(notebook("# Look", cell if phase == "01-inventory" else "same()"), home / f"{phase}.ipynb")
    return RunFolder(home, "joan", "local", run)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[RunFolder, RunFolder]:
    a = side(tmp_path, A, (KNOWN, GONE), 1234, 2.5, "look(1)")
    changed = Check(KNOWN.code, "tables", KNOWN.object, "a waiver", "2 rows", Verdict.FAIL)
    b = side(tmp_path, B, (changed, NEW), 1235, 7.5, "look(2)", d1_plan="paid")
    return a, b


def test_everything_that_differs_is_found_and_nothing_else(pair: tuple[RunFolder, RunFolder]) -> None:
    found = compare_runs(pair[0].path, pair[1].path)
    assert [(one.name, one.a, one.b) for one in found.plan] == [("params.d1_plan", "free", "paid")]
    assert [(one.name, one.a, one.b) for one in found.rows] == [("tasks", "1,234 rows", "1,235 rows")]
    assert found.same_rows == 1
    assert [(phase, check.object) for phase, check in found.new] == [("01-inventory", NEW.object)]
    assert [(phase, check.object) for phase, check in found.gone] == [("01-inventory", GONE.object)]
    assert [(a.verdict, b.verdict) for _, a, b in found.changed] == [(Verdict.WAIVED, Verdict.FAIL)]
    assert {(phase, one.name) for phase, one in found.numbers} == {("05-validate", "seconds"), ("05-validate", "rows")}
    (validated,) = [one for one in found.phases if one.phase == "05-validate"]
    assert validated.seconds == (2.5, 7.5)
    texts = {one.phase: one.text for one in found.code if not one.missing}
    assert texts["05-validate"] == ""
    assert "-  look(1)" in texts["01-inventory"]
    assert "+  look(2)" in texts["01-inventory"]
    assert "B holds no notebook of it" not in str(found.code)
    assert {one.missing for one in found.code} == {"", "A holds no notebook of it"}
    assert "Findings: 1 new in B, 1 gone, 1 changed" in found.lines
    assert "Code: differs in 01-inventory" in found.lines


def test_a_run_is_like_its_copy(pair: tuple[RunFolder, RunFolder]) -> None:
    found = compare_runs(pair[0].path, pair[0].path)
    assert found.same_plan
    assert not any((found.plan, found.rows, found.numbers, found.new, found.gone, found.changed))


def test_a_long_text_of_the_plan_is_told_line_by_line(pair: tuple[RunFolder, RunFolder]) -> None:
    changed = {**plan(), "prose": "One.\n" * 30 + "Two.\n" + "One.\n" * 30}
    (pair[1].path / "plan.json").write_text(json.dumps(changed))
    (prose,) = compare_runs(pair[0].path, pair[1].path).plan
    assert (prose.name, prose.a, prose.b) == ("prose", "60 lines", "61 lines")
    assert "+Two." in prose.lines.splitlines()


def test_an_empty_value_is_a_value_and_a_hash_is_believed(pair: tuple[RunFolder, RunFolder]) -> None:
    without = plan()
    del without["mapping"]["keys"]
    (pair[1].path / "plan.json").write_text(json.dumps(without))
    (keys,) = compare_runs(pair[0].path, pair[1].path).plan
    assert (keys.name, keys.a, keys.b) == ("mapping.keys", "{}", "")
    (pair[1].path / "plan.json").write_text(json.dumps(plan()))
    head = json.loads((pair[1].path / "run.json").read_text())
    (pair[1].path / "run.json").write_text(json.dumps({**head, "plan": "00" * 32}))
    assert not compare_runs(pair[0].path, pair[1].path).same_plan


def test_broken_records_are_compared_as_far_as_they_can_be_read(pair: tuple[RunFolder, RunFolder]) -> None:
    b = pair[1].path
    for name in ("plan.json", "01-inventory.ipynb", "05-validate.result.json", "run.json"):
        (b / name).write_text("{")
    found = compare_runs(pair[0].path, b)
    assert found.b.verdict is Verdict.FAIL  # its inventory failed, whatever else is gone
    assert {one.name for one in found.plan} >= {"params.d1_plan", "prose"}
    assert "the notebook of B is none" in {one.missing.partition(":")[0] for one in found.code}


def test_the_page_lies_beside_the_records_and_links_to_them(pair: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    a, b = pair
    before = sorted(path for path in (tmp_path / "outputs").rglob("*") if path.is_file())
    path = render_comparison(a, b, comparison_path(tmp_path / "outputs", a, b))
    assert path == tmp_path / "outputs" / "joan" / f"{A}-against-{B}.html"
    assert sorted(one for one in (tmp_path / "outputs").rglob("*") if one.is_file()) == sorted([*before, path])
    page = path.read_text()
    for run in (A, B):
        assert f'href="local/{run}/index.html"' in page
    assert 'href="../index.html"' in page
    assert page.index("What differs") < page.index("New in B") < page.index("2 infinite numbers")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("outputs/joan/local/{A}/x.html", "lies inside a run"),
        ("outputs/joan/local/{A}/log/x.html", "lies inside a run"),
        ("x.txt", "is no name for a page"),
    ],
)
def test_a_page_goes_into_no_record(pair: tuple[RunFolder, RunFolder], tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(WrongUse, match=said):
        render_comparison(*pair, tmp_path / name.format(A=A))


def test_what_cannot_be_compared_is_refused(pair: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    other = RunFolder(pair[1].path, "ida", "local", B)
    for second, said in ((pair[0], "is the same run"), (other, "is a run of ida, not of joan")):
        with pytest.raises(WrongUse, match=said):
            render_comparison(pair[0], second, tmp_path / "x.html")


# -- the command


@pytest.fixture
def project(pair: tuple[RunFolder, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`pair` in a project that the command finds."""
    assert pair
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "environment.yml").touch()
    monkeypatch.setenv("TOWPATH_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_makes_the_index_again_and_says_where_it_is(project: Path, capsys: Any) -> None:
    assert run_command(["review"]) == 0
    assert capsys.readouterr().out == "outputs/index.html\n"
    assert A in (project / "outputs" / "index.html").read_text()


def test_the_command_compares_and_the_index_names_the_comparison(project: Path, capsys: Any) -> None:
    assert run_command(["review", B, "--against", A]) == 0
    assert capsys.readouterr().out == f"outputs/joan/{A}-against-{B}.html\n"
    assert f'href="joan/{A}-against-{B}.html"' in (project / "outputs" / "index.html").read_text()
    assert run_command(["review", B, "--against", A, "--to", "own.html"]) == 0
    assert f'href="outputs/joan/local/{A}/index.html"' in (project / "own.html").read_text()


def test_the_page_of_a_run_is_made_only_where_no_seal_could_name_it(project: Path, capsys: Any) -> None:
    run = project / "outputs" / "joan" / "local" / A
    assert run_command(["review", A]) == 0
    assert capsys.readouterr().out == f"outputs/joan/local/{A}/index.html\n"
    (run / "index.html").write_text("as it is")
    assert run_command(["review", A]) == 0
    assert (run / "index.html").read_text() == "as it is"
    (run / "index.html").unlink()
    (run / "00-ready.dsse.json").write_text("{}")
    assert run_command(["review", A]) == 2
    assert "the page is missing" in capsys.readouterr().err
    assert not (run / "index.html").exists()


@pytest.mark.parametrize("words", [["--to", "x.html"], ["--against", A], [A, "--to", "x.html"], ["nosuch"]])
def test_half_a_command_is_refused(project: Path, words: list[str]) -> None:
    assert run_command(["review", *words]) == 3
    assert not (project / "x.html").exists()
