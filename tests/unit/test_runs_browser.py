"""The pages in a real browser: nothing asked for, readable by eye, ear, keyboard and phone, all without script."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from helpers.browser import LARGEST, Browser, chromium
from helpers.records import PHASES, result, run_folder

from towpath.checks import Check, Verdict
from towpath.runs.comparing import comparison_path, render_comparison
from towpath.runs.folder import RunFolder
from towpath.runs.pages import render_index, render_phase
from towpath.runs.results import Artefact, write_result
from towpath.runs.site import render_site

GOLDEN = Path(__file__).resolve().parents[1] / "notebooks" / "golden"
HOSTILE = "</td></style><script>alert(1)</script><img src=https://example.com/x.png onerror=alert(2)>"
LONG = "a_table_whose_name_nobody_can_break_because_it_has_no_blank_" * 4
OLD, NEW = "20260131T081500Z-1a2b", "20260201T081500Z-0c0d"
VISIBLE = "[...document.querySelectorAll('#checks ~ table tbody tr')].filter((row) => row.checkVisibility()).length"


def checks(most: int = 3) -> tuple[Check, ...]:
    """A table in which every verdict and two surfaces stand, with texts that are hard to show."""
    made = [
        Check("TB410", "tables", LONG, "28 rows", "27 rows", Verdict.FAIL, "look at the key", (LONG, "17")),
        Check("TB101", HOSTILE, HOSTILE, HOSTILE, HOSTILE, Verdict.FAIL, HOSTILE, (HOSTILE,)),
        Check("TB203", "tables", "notes", "waived by Ann Example until 2027-01-01: old", "3", Verdict.WAIVED),
        Check("PL011", "plan", "plan", "approved", "not approved", Verdict.DRY_RUN, "approve it"),
    ]
    made += [Check("OB113", "objects", f"files/{place}", "reported", "empty", Verdict.WARN) for place in range(2)]
    made += [Check("TB411", "tables", f"t{place}", "2 rows", "2 rows", Verdict.PASS) for place in range(most)]
    return tuple(made)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, one of which passed, with the pages of the golden notebooks, their comparison and the index."""
    outputs = tmp_path_factory.mktemp("browser") / "outputs"
    passed = run_folder(outputs, [result(phase, place) for place, phase in enumerate(PHASES)])
    failed = passed.parent / NEW
    shutil.copytree(passed, failed)
    head = json.loads((failed / "run.json").read_text())
    (failed / "run.json").write_text(json.dumps({**head, "run": NEW, "phases": [*head["phases"], "07-late"]}))
    bad = result("05-validate", 5, Verdict.FAIL, run=NEW, checks=checks(), error="2 checks failed")
    write_result(failed, bad.with_artefacts([Artefact(f"{LONG}.txt", "cd" * 32, 1)]))
    for folder in (passed, failed):
        for path in sorted(GOLDEN.glob("0*.ipynb")):
            shutil.copy(path, folder)
            if folder is failed or path.stem == "05-validate":
                render_phase(folder, path.stem)
        render_index(folder)
    (passed.parent / "holiday").mkdir()
    a, b = (RunFolder(folder, "joan", "local", folder.name) for folder in (passed, failed))
    render_comparison(a, b, comparison_path(outputs, a, b))
    render_site(outputs)
    return outputs


PAGES = [
    "index.html",
    f"joan/{OLD}-against-{NEW}.html",
    f"joan/local/{OLD}/index.html",
    f"joan/local/{NEW}/index.html",
    *(f"joan/local/{NEW}/{path.stem}.html" for path in sorted(GOLDEN.glob("0*.ipynb"))),
]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_keeps_what_every_page_promises(browser: Browser, outputs: Path, name: str) -> None:
    seen = browser.readable(outputs / name)
    assert len(seen["text"]) > 100
    for link in re.findall(r'href="([^"#]+)"', (outputs / name).read_text()):
        assert not re.match(r"\w+:", link), "a link leads out of the record"


def test_the_verdicts_are_chosen_by_keyboard_without_script(browser: Browser, outputs: Path) -> None:
    page = outputs / "joan" / "local" / NEW / "index.html"
    everything = 6 + len(checks())  # the six other phases have one check each
    said = browser.drive(
        page,
        ("ask", VISIBLE),
        ("focus", "#verdict-none"),
        ("press", "ArrowRight"),  # all but PASS
        ("ask", VISIBLE),
        ("press", "ArrowRight"),  # all
        ("ask", VISIBLE),
        ("press", "ArrowRight"),  # FAIL stands first
        ("ask", "document.activeElement.id"),
        ("ask", VISIBLE),
        ("ask", "getComputedStyle(document.activeElement.labels[0]).outlineStyle"),
        ("ask", "getComputedStyle(document.querySelector('.shown'), '::after').content"),
        ("press", "Tab"),
        ("ask", "document.activeElement.name + ' ' + document.activeElement.id"),
        ("press", "ArrowRight"),
        ("ask", "document.activeElement.labels[0].textContent"),
        ("ask", VISIBLE),
    )
    assert said[:5] == [0, 6, everything, "verdict-fail", 2]
    assert said[5] == "solid"
    assert "Checks shown: " in said[6]
    assert said[7] == "surface surface-all"
    assert said[8].startswith("</td></style><script>")
    assert said[9] == 1


def test_what_is_clicked_is_chosen_too(browser: Browser, outputs: Path) -> None:
    page = outputs / "joan" / "local" / NEW / "index.html"
    choose = ("click", "label[for=verdict-waived]")
    assert browser.drive(page, choose, ("ask", VISIBLE), ("click", "label[for=verdict-all]"), ("ask", VISIBLE)) == [
        1,
        6 + len(checks()),
    ]


def test_code_is_folded_and_opens_by_keyboard(browser: Browser, outputs: Path) -> None:
    page = outputs / "joan" / "local" / NEW / "05-validate.html"
    opened = "document.querySelectorAll('details.code[open]').length"
    said = browser.drive(page, ("ask", opened), ("focus", "details.code summary"), ("press", "Enter"), ("ask", opened))
    assert said == [0, 1]


def test_ten_thousand_checks_and_files_make_no_large_page(browser: Browser, tmp_path: Path) -> None:
    long = "a finding that takes some words to say, and a few more words, because it is a real one; " * 3
    many = tuple(
        Check("TB412", "tables", f"table_{place}", long, long, Verdict.FAIL, long, tuple(f"key {n}" for n in range(20)))
        for place in range(10_000)
    )
    files = tuple(Artefact(f"log/{place}-{'x' * 80}.txt", "cd" * 32, 1) for place in range(10_000))
    bad = result("00-ready", verdict=Verdict.FAIL, checks=many, artefacts=files, error=long * 40)
    folder = run_folder(tmp_path, [bad])
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Ready")])
    made.cells += [_printing("x" * 700_000), _printing("<b>" * 200_000), _printing("small and last")]
    nbformat.write(made, folder / "00-ready.ipynb")
    for page in (render_index(folder), render_phase(folder, "00-ready")):
        assert page.stat().st_size < LARGEST
        seen = browser.look(page, rules=[], most=2)
        assert (seen["console"], seen["wide"]) == ([], {"folded": [], "unfolded": []})
        assert "more" in seen["text"]
    index, phase = ((folder / name).read_text() for name in ("index.html", "00-ready.html"))
    assert re.search(r"no room for [\d,]+ more\. They stand in <a href=\"00-ready\.result\.json\">", index)
    assert "10,000 files" in index
    assert "10,000 failed checks" in index
    assert "small and last" in phase
    assert 'is too large for a page: it stands in <a href="00-ready.ipynb">the notebook</a>' in phase


def _printing(text: str) -> Any:
    return nbformat.v4.new_code_cell("show()", outputs=[nbformat.v4.new_output("stream", text=text)])
