"""What notebooks display: the same input gives the same output, escaped, with a plain-text form beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from towpath.checks import Check, Verdict
from towpath.errors import CHECKS_FAILED, CannotFinish, TowpathError
from towpath.show import Allowance, Banner, bars, check_table, progress, sql_side_by_side, table, usage_chart
from towpath.show import banner as banner_module
from towpath.show.markup import COLOURS, amount, duration, number

HOSTILE = "<script>alert(1)</script>&\"'"


class Handle:
    """A fake of IPython's display handle: remembers what it was told to show."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def update(self, bundle: dict[str, str], raw: bool) -> None:
        assert raw
        self.states.append(bundle["text/plain"])


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[InteractiveShell, Handle]]:
    """A notebook's shell (no kernel) in which banners think that they are displayed."""
    shell, handle = InteractiveShell.instance(), Handle()
    monkeypatch.setattr(banner_module, "shell", lambda: shell)
    monkeypatch.setattr(banner_module, "displayed", lambda *_: handle)
    yield shell, handle
    InteractiveShell.clear_instance()


def test_a_banner_says_incomplete_until_it_is_finished() -> None:
    banner = Banner("Joan: 03-export", [("Source", "joan.sqlite"), ("Target", HOSTILE)]).show()
    assert banner.shown.text.splitlines()[0] == "INCOMPLETE · Joan: 03-export"
    assert COLOURS[Verdict.INCOMPLETE] in banner.shown.html
    banner.finish(Verdict.PASS, "213 checks,\n all passed")
    assert banner.shown.text.splitlines()[:3] == [
        "PASS · Joan: 03-export",
        "213 checks, all passed",
        "  Source  joan.sqlite",
    ]
    assert "<script" not in banner.shown.html
    assert COLOURS[Verdict.PASS] in banner.shown.html


def test_a_cell_that_raises_turns_the_banner(shown: tuple[InteractiveShell, Handle]) -> None:
    shell, handle = shown

    class Failed(TowpathError):
        exit_code = CHECKS_FAILED

    Banner("older").show()
    banner = Banner("newer").show()
    shell.user_ns.update(CannotFinish=CannotFinish, Failed=Failed, banner=banner, PASS=Verdict.PASS)
    shell.run_cell("1 + 1")
    shell.run_cell("raise CannotFinish('the disk is full', object='/x', next='make room')")
    shell.run_cell("raise Failed('1 check failed', next='look at key 17')")
    shell.run_cell("1 +")
    shell.run_cell("banner.finish(PASS, 'done')")
    assert [state.splitlines()[0] for state in handle.states] == [
        "INCOMPLETE · newer",
        "FAIL · newer",
        "INCOMPLETE · newer",
        "PASS · newer",
    ]
    assert handle.states[0].splitlines()[1] == "/x: the disk is full. Next: make room"


def test_a_table_aligns_numbers_and_escapes_text() -> None:
    made = table([["tasks", 200_000, 1.5, True], [HOSTILE, 35, None, False]], ["Table", "Rows", "s", "ok"], "Exported")
    assert made.text.splitlines() == [
        "Exported",
        "Table                            Rows     s  ok",
        "tasks                         200,000  1.50  yes",
        f"{HOSTILE}       35        no",
    ]
    assert "<script" not in made.html
    assert re.search(r'<td style="text-align:right[^"]*">200,000</td>', made.html)
    assert re.search(r'<td style="text-align:left[^"]*">tasks</td>', made.html)
    assert made._repr_mimebundle_() == {"text/html": made.html, "text/plain": made.text}


def test_rows_may_be_mappings_and_numbers_may_be_named() -> None:
    made = table([{"id": "007", "n": "12"}], ["id", "n"], "", numeric=["n"])
    assert made.text == "id    n\n007  12"
    assert '<td style="text-align:right' in made.html


def test_long_tables_fold_and_say_how_many() -> None:
    made = table([[n] for n in range(1_500)], ["n"], "Long")
    assert "<summary>980 more rows</summary>" in made.html
    assert "500 more rows are not shown here" in made.html
    assert made.text.splitlines()[-1] == "… 1,480 more rows"


def test_checks_are_shown_failed_first_and_passed_ones_folded() -> None:
    verdicts = [Verdict.PASS] * 30 + [Verdict.WARN, Verdict.WAIVED, Verdict.FAIL]
    checks = [Check(f"TB{n}", "t", "tasks", "1", HOSTILE, v, "", ("k1",)) for n, v in enumerate(verdicts)]
    made = check_table(checks)
    assert made.text.startswith("Checks: 1 FAIL, 1 WAIVED, 1 WARN, 30 PASS\n")
    assert [line.split()[0] for line in made.text.splitlines()[2:6]] == ["FAIL", "WAIVED", "WARN", "PASS"]
    assert "<details><summary>30 passed</summary>" in made.html
    assert "<script" not in made.html
    assert "<details open><summary>1 passed" in check_table(checks[:1]).html
    assert check_table([]).text.startswith("Checks: no check was reported")


def test_sql_side_by_side_marks_changed_lines_with_signs() -> None:
    made = sql_side_by_side("CREATE TABLE t (\n  id BIGINT\n)", "CREATE TABLE t (\n  id INTEGER,\n  x TEXT\n)", "t")
    assert made.text.splitlines() == [
        "t",
        "  CREATE TABLE t (",
        "-   id BIGINT",
        "+   id INTEGER,",
        "+   x TEXT",
        "  )",
    ]
    assert "− &nbsp;" not in made.html
    assert made.html.count("<tr style") == 4


def test_progress_writes_its_states_for_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setenv("TOWPATH_PROGRESS", str(tmp_path / "progress.jsonl"))
    with progress("export", total=1_000, unit="rows") as report:
        for _ in range(100):
            clock[0] += 0.0625  # exact in binary
            report(5)
        running = report.line
        clock[0] += 5
    states: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert set(states[0]) == {"label", "done", "total", "unit", "rate", "left"}
    assert (states[0]["done"], states[-1]["done"]) == (0, 500)
    assert 22 <= len(states) <= 27  # at most four in a second, and the last
    assert states[-2]["rate"] == pytest.approx(80, rel=0.05)
    assert states[-2]["left"] == pytest.approx(6.25, abs=0.5)
    assert running.startswith("export: 500 of 1,000 rows (50 %), 80 rows/s, ")
    assert report.line == "export: 500 of 1,000 rows (50 %), 44.4 rows/s, in 11 s"
    assert '<progress value="500" max="1000" aria-label="export"' in report.shown.html


def test_progress_that_is_stopped_says_so_and_does_not_hide_the_error() -> None:
    meters: list[Any] = []

    def load() -> None:
        with progress("load", unit="bytes") as report:
            meters.append(report)
            report(3_000_000)
            raise KeyError

    with pytest.raises(KeyError):
        load()
    report = meters[0]
    assert report.line.startswith("load: 3.0 MB")
    assert report.line.endswith(": KeyError")


def test_progress_goes_on_when_its_file_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWPATH_PROGRESS", str(tmp_path / "absent" / "x"))
    with progress("load", 2, "rows") as report:
        report(2)
    assert report.done == 2


def test_a_chart_is_an_image_with_words_and_numbers_beside_it() -> None:
    rows = [
        Allowance("D1 rows written per day", 250_000, 100_000, "rows"),
        Allowance("R2 storage", 9, 10, "GB"),
        Allowance("Workers KV", 1, 0, "keys"),
    ]
    one = usage_chart("Free plan", f"Writes are over {HOSTILE}", rows)
    assert one.html == usage_chart("Free plan", f"Writes are over {HOSTILE}", rows).html
    assert one.html.startswith('<figure style="margin:.5em 0"><img alt="Writes are over &lt;script&gt;')
    assert "<script" not in one.html
    lines = one.text.splitlines()
    assert lines[0].startswith("Writes are over")
    assert [line.split("  ")[-1].strip() for line in lines[-3:]] == ["over", "nearly full", "over"]
    assert "250 %" in lines[-3]
    two = bars("Bytes per table", "tasks holds most", [("tasks", 120e6), ("notes", 3e6)], "bytes")
    assert "tasks  120,000,000" in two.text
    assert len(one.html) + len(two.html) < 150_000


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (1234567, "1,234,567"), (2.0, "2"), (1234.5, "1,234"), (12.345, "12.35"), (0.001234, "0.00123")],
)
def test_numbers(value: float, said: str) -> None:
    assert number(value) == said


def test_amounts_and_durations() -> None:
    assert [amount(n, "bytes") for n in (12, 1500, 2_500_000, 3e9)] == ["12 bytes", "1.5 kB", "2.5 MB", "3.0 GB"]
    assert [duration(s) for s in (0.44, 59.6, 125, 7500)] == ["0.4 s", "1 min 00 s", "2 min 05 s", "2 h 05 min"]
