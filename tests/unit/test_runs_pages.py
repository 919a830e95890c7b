"""Pages: verdict first, everything escaped, nothing loaded from elsewhere, no pass that the record does not carry."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from helpers.records import PHASES, notebook, result, run_folder

from towpath.checks import Check, Verdict
from towpath.errors import BadInput
from towpath.runs.journal import Journal
from towpath.runs.overview import read_overview
from towpath.runs.pages import render_index, render_phase
from towpath.runs.rendering import TEMPLATES, thinner
from towpath.runs.results import Artefact, result_path
from towpath.runs.review import needs_of
from towpath.runs.standing import Standing

HOSTILE = "</td><script>alert(1)</script><img src=https://example.com/x.png onerror=alert(2)>&"
FAILED = Check("TB410", "tables", "users", "28 rows", "27 rows", Verdict.FAIL, "look at key 17", ("17",))


def all_passed() -> list[Any]:
    return [result(phase, number) for number, phase in enumerate(PHASES)]


def executed(folder: Path, stem: str, *cells: str) -> Any:
    """A notebook as the engine leaves it, without running it."""
    made = notebook(*cells)
    made.metadata.papermill = {"exception": None, "parameters": {}, "start_time": "x", "end_time": "y"}
    for cell in made.cells:
        cell.metadata.papermill = {"status": "completed", "duration": 0.25}
    nbformat.write(made, folder / f"{stem}.ipynb")
    return made


def loads_nothing(page: str) -> bool:
    """No element of the page fetches or runs anything; hostile text may stand in it, escaped."""
    tags = re.findall(r"<(\w+)([^>]*)>", page)
    forbidden = {"script", "link", "iframe", "object", "embed", "form", "base"}
    addresses = [
        a for _, rest in tags for a in re.findall(r"""(?:src|srcset|data|action)\s*=\s*["']?([^"'\s>]+)""", rest)
    ]
    return not forbidden & {name.lower() for name, _ in tags} and all(a.startswith("data:image/") for a in addresses)


def test_a_run_in_which_all_passed(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, all_passed())
    Journal(folder / "journal.jsonl", "00-ready").append(
        count=1, cell="c", source="", success=True, error="", seconds=0.1
    )
    page = render_index(folder).read_text()
    body = page[page.index("<body>") :]
    assert body.index("PASS · joan, local") < body.index("What needs a decision") < body.index("Phases")
    assert "All 7 phases passed, with 7 checks." in page
    assert (
        "<li>no attempt is sealed (allowed in local)</li>" in page[page.index('id="decide"') : page.index('id="run"')]
    )
    assert "The journal holds 1 executed cells: its chain of hashes holds." in page
    assert loads_nothing(page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("spoil", "verdict", "said"),
    [
        (lambda f: result_path(f, "03-export", 1).unlink(), "INCOMPLETE", "03-export.result.json the file is missing"),
        (lambda f: result_path(f, "03-export", 1).write_text("{"), "INCOMPLETE", "is not readable as JSON"),
        (lambda f: result_path(f, "03-export", 1).write_text("{}"), "INCOMPLETE", "is not a result of a phase"),
        (lambda f: change(f, "03-export", checks=[]), "FAIL", "the result says PASS, its checks say FAIL"),
        (lambda f: change(f, "03-export", phase="04-import"), "INCOMPLETE", "its result file is of 04-import"),
        (lambda f: change(f, "03-export", plan="00" * 32), "INCOMPLETE", "ran under plan 000000000000…"),
        (
            lambda f: change(f, "03-export", target="another"),
            "INCOMPLETE",
            "more than one target: another, d1 joan-local",
        ),
        (lambda f: made_older(f, "03-export"), "INCOMPLETE", "03-export is older than"),
        (lambda f: change(f, "03-export", verdict="INCOMPLETE", error="killed"), "INCOMPLETE", "killed"),
        (lambda f: (f / "run.json").unlink(), "INCOMPLETE", "run.json the file is missing"),
        (lambda f: (f / "run.json").write_text("[]"), "INCOMPLETE", "names no phases"),
        (lambda f: (f / "09-own.result.json").write_text("{}"), "INCOMPLETE", "09-own.result.json is not named by run"),
    ],
)
def test_what_is_missing_broken_or_contradictory_is_never_a_pass(
    tmp_path: Path, spoil: Any, verdict: str, said: str
) -> None:
    folder = run_folder(tmp_path, all_passed())
    spoil(folder)
    page = render_index(folder).read_text()
    assert f"{verdict} · joan, local" in page
    assert said in page
    assert "All 7 phases passed" not in page


def made_older(folder: Path, stem: str) -> None:
    """As if the phase had run before all others."""
    change(folder, stem, started="2020-01-01T00:00:00.000Z")
    head = json.loads((folder / "run.json").read_text())
    head["attempts"].sort(key=lambda attempt: attempt["phase"] != stem)
    (folder / "run.json").write_text(json.dumps(head))


def change(folder: Path, stem: str, **values: Any) -> None:
    path = result_path(folder, stem, 1)
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_run_that_was_rolled_back_says_so(tmp_path: Path) -> None:
    view = read_overview(run_folder(tmp_path, [*all_passed(), result("07-roll-back", 8)]))
    assert view.verdict is Verdict.PASS
    assert view.sentence.startswith("All 8 phases passed, with 8 checks. The last was 07-roll-back")
    assert view.sentence.endswith(": the way back was gone, and the source serves again.")


def test_phases_that_have_not_run_and_dry_runs_are_no_pass(tmp_path: Path) -> None:
    some = read_overview(run_folder(tmp_path / "some", all_passed()[:3]))
    assert (some.verdict, some.not_run) == (Verdict.INCOMPLETE, PHASES[3:])
    assert some.sentence == "3 of 7 phases passed; 03-export has not run yet."
    dry = read_overview(run_folder(tmp_path / "dry", [*all_passed()[:3], result("03-export", 3, Verdict.DRY_RUN)]))
    assert (dry.verdict, dry.sentence) == (
        Verdict.DRY_RUN,
        "03-export was a dry run: nothing was written, nothing is proved.",
    )
    empty = read_overview(tmp_path)
    assert (empty.verdict, empty.newest) == (Verdict.INCOMPLETE, ())


def test_only_the_newest_attempt_counts_and_the_older_stays_visible(tmp_path: Path) -> None:
    failed = result("06-cutover", 6, Verdict.FAIL, checks=(FAILED,), error="1 check failed")
    folder = run_folder(tmp_path, [*all_passed()[:6], failed, result("06-cutover", 7, attempt=2)])
    page = render_index(folder).read_text()
    assert "PASS · joan, local" in page
    assert '06-cutover <span class="quiet">(replaced)</span>' in page
    assert "TB410" not in page


def test_checks_come_failed_first_then_waived_warned_passed(tmp_path: Path) -> None:
    checks = tuple(
        Check(f"TB20{n}", "tables", "tasks", "none", f"found {n}", verdict)
        for n, verdict in enumerate((Verdict.PASS, Verdict.WARN, Verdict.WAIVED, Verdict.FAIL))
    )
    waived = Check("TB301", "tables", "notes", "waived by ann until 2027-01-01: old", "3 orphans", Verdict.WAIVED)
    failed = result("01-inventory", 1, Verdict.FAIL, checks=(*checks, waived), error="1 check failed")
    page = render_index(run_folder(tmp_path, [result("00-ready"), failed])).read_text()
    part = page[page.index("Every check of the newest attempts") :]
    places = [part.index(f">{verdict}</span>") for verdict in ("FAIL", "WAIVED", "WARN", "PASS")]
    assert places == sorted(places)
    losses = page[page.index("<h3>Accepted losses</h3>") : page.index('id="run"')]
    for word in (">ann</td>", ">2027-01-01</td>", ">old</td>", "3 orphans"):
        assert word in losses


def test_everything_is_escaped_on_both_pages(tmp_path: Path) -> None:
    check = Check("TB101", "tables", HOSTILE, HOSTILE, HOSTILE, Verdict.FAIL, HOSTILE, (HOSTILE,))
    bad = result(
        "00-ready",
        verdict=Verdict.FAIL,
        checks=(check,),
        error=HOSTILE,
        source=HOSTILE,
        artefacts=(Artefact(f"{HOSTILE}.txt", "cd" * 32, 1),),
    )
    folder = run_folder(tmp_path, [bad])
    made = executed(folder, "00-ready", f"# Ready {HOSTILE}", "x")
    made.cells[2].outputs = [
        nbformat.v4.new_output("stream", text=HOSTILE),
        nbformat.v4.new_output("stream", name="stderr", text=HOSTILE),
        nbformat.v4.new_output("display_data", {"text/plain": HOSTILE}),
        nbformat.v4.new_output(
            "display_data", {"text/html": "<script src=https://example.com/x.js></script><b>own</b>"}
        ),
        nbformat.v4.new_output(
            "display_data", {"text/html": "<META http-equiv=refresh content='0;url=//example.com'>"}
        ),
        nbformat.v4.new_output("display_data", {"application/javascript": "alert(3)", "text/plain": "js"}),
        nbformat.v4.new_output("error", ename="E", evalue=HOSTILE, traceback=[HOSTILE, HOSTILE]),
    ]
    nbformat.write(made, folder / "00-ready.ipynb")
    index = render_index(folder).read_text()
    assert "<script" not in index
    assert loads_nothing(index)
    # the title is the notebook author's own Markdown; everything else is data
    page = render_phase(folder, "00-ready").read_text()
    assert not re.search("<script|<meta http-equiv=refresh", page, re.IGNORECASE)
    assert "<b>own</b>" in page
    assert "alert(3)" not in page


def test_the_page_of_a_phase(tmp_path: Path) -> None:
    waived = Check("TB301", "tables", "notes", "waived by ann", "3 orphans", Verdict.WAIVED, "", ("n1", "n2"))
    passed = Check("TB101", "tables", "tasks", "2 rows", "2 rows", Verdict.PASS)
    folder = run_folder(tmp_path, [result("00-ready", checks=(waived, passed))])
    made = executed(folder, "00-ready", "# Ready to go\n\nPurpose.", "x = 1\ny = 2", "")
    image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
    made.cells[2].outputs = [nbformat.v4.new_output("display_data", {"image/png": image, "text/plain": "a dot"})]
    nbformat.write(made, folder / "00-ready.ipynb")
    path = render_phase(folder, "00-ready")
    page = path.read_text()
    body = page[page.index("<body>") :]
    assert body.index("PASS · Ready to go") < body.index("TB301") < body.index("Purpose.")
    assert "TB101" not in body
    assert "Code · c2 · 2 lines · 0.2 s" in body or "Code · c2 · 2 lines · 0.3 s" in body
    assert "c3" not in re.sub(r'id="c3"', "", body)
    assert '<img alt="a dot" src="data:image/png;base64,' in body
    assert loads_nothing(page)
    assert path.stat().st_size < 100_000
    assert render_phase(folder, "00-ready").read_text() == page


def test_a_phase_without_a_result_or_with_a_cut_notebook_is_incomplete(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, [result("00-ready")])
    executed(folder, "01-inventory", "# Inventory")
    assert "INCOMPLETE · Inventory" in render_phase(folder, "01-inventory").read_text()
    made = executed(folder, "00-ready", "# Ready", "1")
    made.cells[2].metadata.papermill.status = "running"
    nbformat.write(made, folder / "00-ready.ipynb")
    page = render_phase(folder, "00-ready").read_text()
    assert "INCOMPLETE · Ready" in page
    assert "This cell was cut off" in page


def test_a_notebook_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, [result("00-ready")])
    with pytest.raises(BadInput, match=r"00-ready\.ipynb: the notebook is missing"):
        render_phase(folder, "00-ready")
    (folder / "00-ready.ipynb").write_text("{")
    with pytest.raises(BadInput, match="is no notebook"):
        render_phase(folder, "00-ready")


def test_colours_are_readable_in_light_and_in_dark() -> None:
    css = (TEMPLATES / "page.css").read_text()
    themes = [dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{[^}]*\}", css)]
    assert len(themes) == 2
    for theme in themes:
        for name in ("text", "quiet", "link", "keyword", "string", "comment", "figure"):
            for ground in ("page", "panel"):
                assert contrast(theme[name], theme[ground]) >= 4.5, (name, ground)
    for colour in re.findall(r"\.v-[\w-]+(?:, \.v-\w+)? \{ background: (#\w{6})", css):
        assert contrast("#ffffff", colour) >= 4.5


def contrast(one: str, two: str) -> float:
    """The contrast ratio of WCAG 2.2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_styles_that_repeat_are_said_once_and_look_the_same() -> None:
    style = "text-align:left;padding:.25em .6em"
    cells = f'<td style="{style}">1</td><td colspan="2" style="{style}">2</td><td style="{style}" class="a">3</td>'
    page = f"<style>p {{}}</style>{cells}"
    odd = '<b style="background:url(data:image/png;base64,AA==)">4</b>' * 2
    thin = thinner(page + odd)
    assert '<td class="y0">1</td><td colspan="2" class="y0">2</td>' in thin
    assert f'<td style="{style}" class="a">3</td>' in thin
    assert ".y0{text-align:left!important;padding:.25em .6em!important}</style>" in thin
    assert odd in thin


@pytest.mark.parametrize(
    ("environment", "approved", "said"),
    [
        ("staging", (), "02-schema needs 1 approval, 0 given: towpath approve 20260131T081500Z-1a2b --as NAME"),
        ("staging", (("ana", "SHA256:x", "2026", "stands"),), ""),
        ("staging", (("ana", "SHA256:x", "2026", "void: 01-inventory ran since"),), "the approval of ana is void"),
        ("local", (), ""),
    ],
)
def test_approvals_that_are_missing_or_void_need_a_decision(
    tmp_path: Path, environment: str, approved: Any, said: str
) -> None:
    folder = run_folder(tmp_path, all_passed()[:2])
    steps = [{"phase": phase, "approvers": int(phase == "02-schema")} for phase in PHASES]
    (folder / "plan.json").write_text(json.dumps({"runbook": {"steps": steps}}))
    view = replace(read_overview(folder), environment=environment)
    lines = needs_of(folder, view, Standing((), approved, "")).lines
    assert [line for line in lines if "approv" in line][:1] == ([said] if said else [])
