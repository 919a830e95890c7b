"""Pages for reviewers: `<phase>.html` for each executed notebook and `index.html` for the run.

A page is one file that loads nothing: no script, no font, no picture from elsewhere; its own content policy forbids it.
The verdict stands first and comes from the result file, never from papermill's status.
"""

from __future__ import annotations

import functools
import html
import re
import urllib.parse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from towpath.checks import Verdict
from towpath.errors import BadInput
from towpath.runs import journal
from towpath.runs.files import write_text
from towpath.runs.overview import Attempt, Overview, read_attempt, read_overview
from towpath.runs.rendering import (
    LARGEST,
    TEMPLATES,
    fitting,
    head_of,
    in_order,
    rendered,
    said,
    table_of,
    thinner,
    time_of,
)
from towpath.runs.review import MEANING, demanded, needs_of, numbers_of, timeline_of
from towpath.runs.standing import SIGNED, standing
from towpath.secrets import scrub
from towpath.show.markup import amount, duration

MARKER = "papermill-error-cell-tag"  # cells that papermill adds to point at an error; the banner says it better
CHECKS, FILES, ATTENTION = 450_000, 150_000, 150_000  # bytes of the page for these tables
# An output is the notebook's own HTML; what could act on the whole page is shown as text instead.
_ACTING = re.compile(r"<(?=/?(?:script|meta|base|link|iframe|object|embed|form|frame|frameset)\b)", re.IGNORECASE)
_EMPTY = re.compile(r"<th(\s[^>]*)?></th>")  # a heading of nothing is none
_ATTEMPT = re.compile(r"\.(\d+)$")


def render_phase(run_folder: Path, stem: str) -> Path:
    """Write `<stem>.html` from `<stem>.ipynb` and `<stem>.result.json` and return its path.

    Raises BadInput when the notebook is missing or is none.  A missing result is shown as INCOMPLETE.
    """
    notebook = _read_notebook(run_folder / f"{stem}.ipynb")
    found = _ATTEMPT.search(stem)
    phase, attempt = (stem[: found.start()], int(found[1])) if found else (stem, 1)
    seen = _contradicted(read_attempt(run_folder, phase, attempt), notebook)
    view = read_overview(run_folder)
    title = _taken_title(notebook) or phase
    notebook.cells = [cell for cell in notebook.cells if MARKER not in cell.metadata.get("tags", [])]
    parts = {
        "head": head_of(f"{seen.verdict} · {title} · {view.run}"),
        "top": rendered("phase_head.html.j2", **_phase_head(view, seen, title)),
    }
    path = run_folder / f"{stem}.html"
    write_text(path, _small_enough(notebook, parts, stem))
    return path


def _small_enough(notebook: Any, parts: Mapping[str, str], stem: str) -> str:
    """The page; where it would be too large, its largest outputs are named instead of shown, one after the other."""
    outputs = [
        (len(html.escape(repr(one))), cell, number)
        for cell in notebook.cells
        for number, one in enumerate(_outputs(cell))
    ]
    largest = sorted(outputs, key=lambda item: item[0])
    while True:
        page, _ = _exporter().from_notebook_node(notebook, resources={"towpath": parts})
        page = thinner(str(page))
        over = len(page.encode()) - LARGEST
        if over <= 0 or not largest:
            return page
        while over > 0 and largest:
            size, cell, number = largest.pop()
            over -= size
            cell.outputs[number] = _named(stem, size)


def _outputs(cell: Any) -> list[Any]:
    return list(cell.outputs) if cell.cell_type == "code" else []


def _named(stem: str, size: int) -> Any:
    from nbformat.v4 import new_output

    link = f'<a href="{urllib.parse.quote(stem)}.ipynb">the notebook</a>'
    text = f"<p>An output of {amount(size, 'bytes')} is too large for a page: it stands in {link}.</p>"
    return new_output("display_data", {"text/html": text})  # type: ignore[no-untyped-call]


def render_index(run_folder: Path, sealing: tuple[str, str] | None = None) -> Path:
    """Write `index.html`, the page of the run, and return its path.

    `sealing` is the attempt that is sealed right afterwards, with the fingerprint of its key, "" where there is none.
    """
    path = run_folder / "index.html"
    write_text(path, index_text(run_folder, sealing))
    return path


def index_text(
    run_folder: Path, sealing: tuple[str, str] | None = None, approval: tuple[str, str, str, str] | None = None
) -> str:
    """The page of the run; what is missing or unreadable is said on it.

    `approval` is one that is about to be signed: name, key, time, state.
    """
    view = read_overview(run_folder)
    signed = standing(run_folder, sealing, approval)
    artefacts, left = fitting(view.artefacts, FILES)
    wanted = demanded(run_folder)
    page = rendered(
        "run.html.j2",
        title=f"{view.system or 'Run'}, {view.environment}",
        meaning=MEANING[view.verdict],
        view=view,
        facts=[*_run_facts(view), ("Seal", signed.sentence, "")],
        signed=signed,
        is_signed=any(state.startswith(SIGNED) for _, state in signed.seals),
        needs=needs_of(run_folder, view, signed),
        timeline=timeline_of(run_folder, view),
        demanded=", ".join(f"{count} before {phase}" for phase, count in wanted.items()),
        numbers=numbers_of(view),
        checks=table_of(view.checks, CHECKS),
        stems=[attempt.stem for attempt in view.newest],
        artefacts=artefacts,
        artefacts_left=left,
        artefact_bytes=amount(sum(artefact.bytes for _, artefact in view.artefacts), "bytes"),
        journal=_journal(run_folder / "journal.jsonl"),
    )
    return scrub(page)


def _read_notebook(path: Path) -> Any:
    import nbformat

    try:
        return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise BadInput("the notebook is missing", object=str(path), next="run the phase again") from None
    except Exception as error:  # nbformat raises whatever its parsers raise
        what = f"is no notebook: {type(error).__name__}"
        raise BadInput(what, object=str(path), next="run the phase again") from None


def _contradicted(attempt: Attempt, notebook: Any) -> Attempt:
    """An attempt whose result says more than its notebook shows is INCOMPLETE."""
    if attempt.verdict not in (Verdict.PASS, Verdict.DRY_RUN):
        return attempt
    account = notebook.metadata.get("papermill", {})
    states = Counter(
        cell.metadata.get("papermill", {}).get("status") for cell in notebook.cells if cell.cell_type == "code"
    )
    cut = sum(states[state] for state in ("failed", "running", "pending"))
    if not account.get("exception") and not cut:
        return attempt
    reason = f"the result says {attempt.verdict}, but the notebook did not come to its end"
    reason = f"{reason}: {account['reason']}" if account.get("reason") else reason
    return Attempt(attempt.phase, attempt.number, Verdict.INCOMPLETE, reason, attempt.result)


def _taken_title(notebook: Any) -> str:
    """The notebook's title, taken out of it: the banner says it."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            lines = cell.source.splitlines()
            for number, line in enumerate(lines):
                if line.startswith("# "):
                    cell.source = "\n".join(lines[:number] + lines[number + 1 :])
                    return str(line[2:].strip())
    return ""


def _phase_head(view: Overview, seen: Attempt, title: str) -> dict[str, Any]:
    result = seen.result
    facts: list[tuple[str, str, str]] = [("Phase", f"{seen.phase}, attempt {seen.number}", "")]
    if result:
        seconds, memory = result.number("seconds"), result.number("kernel_peak_memory")
        facts += [
            ("Source", result.source, ""),
            ("Target", result.target, ""),
            ("Target fingerprint", result.fingerprint, "hash"),
            ("Started", time_of(result.started), ""),
            ("Ended", time_of(result.ended), ""),
            ("Took", duration(seconds) if seconds is not None else "", ""),
            ("Peak memory", amount(memory, "bytes") if memory else "", ""),
            ("Plan", result.plan, "hash"),
            ("Approval", {"plan": "the plan's hash was named", "rehearsal": "rehearsal"}.get(result.approval, ""), ""),
        ]
    checks = in_order(("", check) for check in result.checks) if result else []
    attention, left = fitting([item for item in checks if item[1].verdict is not Verdict.PASS], ATTENTION)
    counts = said(Counter(check.verdict for _, check in checks))
    return {
        "system": view.system,
        "environment": view.environment,
        "run": view.run,
        "stem": seen.stem,
        "verdict": seen.verdict,
        "title": title,
        "sentence": seen.reason or counts,
        "facts": facts,
        "attention": attention,
        "left": left,
        "counts": counts,
    }


def _run_facts(view: Overview) -> list[tuple[str, str, str]]:
    results = [attempt.result for attempt in view.newest if attempt.result]
    sources = dict.fromkeys(result.source for result in results if result.source)
    targets = dict.fromkeys(result.target for result in results if result.target)
    return [
        ("Environment", view.environment, ""),
        ("Run", view.run, ""),
        ("Opened", time_of(view.opened), ""),
        ("Plan", view.plan, "hash"),
        ("Source", " | ".join(sources), ""),
        ("Target", " | ".join(targets), ""),
        *((f"Target before {one.stem}", one.fingerprint, "hash") for one in results if one.fingerprint),
    ]


def _journal(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {"count": 0, "said": "there is no journal"}
    said = journal.verify(path) or ["its chain of hashes holds", *journal.cuts(path)]
    return {"count": journal.head(path)[0], "said": "; ".join(said[:5])}


@functools.cache
def _exporter() -> Any:
    from nbconvert import HTMLExporter

    make: Any = HTMLExporter  # nbconvert is not typed
    exporter = make(template_name="phase", extra_template_basedirs=[str(TEMPLATES)], exclude_anchor_links=True)
    exporter.register_filter("inert", _inert)
    return exporter


def _inert(text: str) -> str:
    text = _EMPTY.sub("<td></td>", _ACTING.sub("&lt;", text))
    return text.replace(
        '<div style="overflow-x:auto">', '<div style="overflow-x:auto" tabindex="0">'
    )  # scrolled by key
