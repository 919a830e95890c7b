"""Pages for reviewers: `<phase>.html` for each executed notebook and `index.html` for the run.

A page is one file that loads nothing: no script, no font, no picture from elsewhere; its own content policy forbids it.
The verdict stands first and comes from the result file, never from papermill's status.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from towpath.checks import Check, Verdict
from towpath.errors import BadInput
from towpath.runs import journal
from towpath.runs.files import write_text
from towpath.runs.overview import Attempt, Overview, read_attempt, read_overview
from towpath.runs.standing import standing
from towpath.secrets import scrub
from towpath.show.markup import ORDER, amount, number

TEMPLATES = Path(__file__).parent / "templates"
MARKER = "papermill-error-cell-tag"  # cells that papermill adds to point at an error; the banner says it better
MOST = 500  # rows of one table on a page
# An output is the notebook's own HTML; what could act on the whole page is shown as text instead.
_ACTING = re.compile(r"<(?=/?(?:script|meta|base|link|iframe|object|embed|form|frame|frameset)\b)", re.IGNORECASE)
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
    title = _title(notebook) or phase
    notebook.cells = [cell for cell in notebook.cells if MARKER not in cell.metadata.get("tags", [])]
    head = _jinja().from_string("{%- import 'parts.html.j2' as parts -%}{{ parts.head(title, css) }}")
    top = _jinja().get_template("phase_head.html.j2").render(_phase_head(view, seen, title))
    parts = {"head": head.render(title=f"{seen.verdict} · {title} · {view.run}", css=_css()), "top": top}
    html, _ = _exporter().from_notebook_node(notebook, resources={"towpath": parts})
    path = run_folder / f"{stem}.html"
    write_text(path, html)
    return path


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
    checks = sorted(view.checks, key=lambda item: (ORDER.index(item[1].verdict), item[0], item[1].code, item[1].object))
    newest = {attempt.stem for attempt in view.newest}
    artefacts = view.artefacts
    page = _jinja().get_template("run.html.j2")
    signed = standing(run_folder, sealing, approval)
    return scrub(
        page.render(
            title=f"{view.system or 'Run'}, {view.environment}",
            css=_css(),
            view=view,
            facts=[*_run_facts(view), ("Seal", signed.sentence, "")],
            signed=signed,
            broken=[a for a in view.newest if a.verdict is not Verdict.PASS and not _is_explained(a)],
            attention=[
                item for item in checks if item[1].verdict in (Verdict.FAIL, Verdict.DRY_RUN, Verdict.INCOMPLETE)
            ],
            phases=[_phase_row(run_folder, attempt, attempt.stem not in newest) for attempt in view.attempts],
            waived=_once(item for item in checks if item[1].verdict is Verdict.WAIVED),
            groups=[(v, rows) for v in ORDER if (rows := [item for item in checks if item[1].verdict is v])],
            numbers=[
                (a.stem, n.name, number(n.value), n.unit) for a in view.newest if a.result for n in a.result.numbers
            ],
            artefacts=artefacts,
            artefact_bytes=amount(sum(artefact.bytes for _, artefact in artefacts), "bytes"),
            journal=_journal(run_folder / "journal.jsonl"),
            most=MOST,
        )
    )


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


def _title(notebook: Any) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("# "):
                    return str(line[2:].strip())
    return ""


def _phase_head(view: Overview, seen: Attempt, title: str) -> dict[str, Any]:
    result = seen.result
    checks = sorted(result.checks, key=lambda check: ORDER.index(check.verdict)) if result else []
    facts: list[tuple[str, str, str]] = [("Phase", f"{seen.phase}, attempt {seen.number}", "")]
    if result:
        seconds, memory = result.number("seconds"), result.number("kernel_peak_memory")
        facts += [
            ("Source", result.source, ""),
            ("Target", result.target, ""),
            ("Target fingerprint", result.fingerprint, "hash"),
            ("Started", _time(result.started), ""),
            ("Ended", _time(result.ended), ""),
            ("Took", f"{seconds:,.1f} s" if seconds is not None else "", ""),
            ("Peak memory", amount(memory, "bytes") if memory else "", ""),
            ("Plan", result.plan, "hash"),
            ("Approval", {"plan": "the plan's hash was named", "rehearsal": "rehearsal"}.get(result.approval, ""), ""),
        ]
    return {
        "system": view.system,
        "environment": view.environment,
        "run": view.run,
        "verdict": seen.verdict,
        "title": title,
        "sentence": seen.reason or _said(Counter(check.verdict for check in checks)),
        "facts": facts,
        "attention": [("", check) for check in checks if check.verdict is not Verdict.PASS][:MOST],
        "counts": _said(Counter(check.verdict for check in checks)),
    }


def _run_facts(view: Overview) -> list[tuple[str, str, str]]:
    results = [attempt.result for attempt in view.newest if attempt.result]
    sources = dict.fromkeys(result.source for result in results if result.source)
    targets = dict.fromkeys(result.target for result in results if result.target)
    prints = dict.fromkeys(result.fingerprint for result in results if result.fingerprint)
    return [
        ("Environment", view.environment, ""),
        ("Run", view.run, ""),
        ("Opened", _time(view.opened), ""),
        ("Plan", view.plan, "hash"),
        ("Source", " | ".join(sources), ""),
        ("Target", " | ".join(targets), ""),
        *(("Target fingerprint", print, "hash") for print in prints),
    ]


def _phase_row(folder: Path, attempt: Attempt, is_old: bool) -> Mapping[str, Any]:
    result = attempt.result
    seconds = result.number("seconds") if result else None
    memory = result.number("kernel_peak_memory") if result else None
    rows = result.number("rows") if result else None
    files = [("page", ".html"), ("notebook", ".ipynb"), ("notebook, cut", ".partial.ipynb"), ("result", ".result.json")]
    return {
        "stem": attempt.stem,
        "is_old": is_old,
        "verdict": attempt.verdict,
        "started": _time(result.started).removesuffix(" UTC") if result else "",
        "seconds": f"{seconds:,.1f}" if seconds is not None else "",
        "rows": number(rows) if rows is not None else "",
        "memory": amount(memory, "bytes") if memory else "",
        "counts": _said(Counter(check.verdict for check in result.checks)) if result else "",
        "links": [
            (label, f"{attempt.stem}{end}") for label, end in files if (folder / f"{attempt.stem}{end}").is_file()
        ],
    }


def _is_explained(attempt: Attempt) -> bool:
    """A failed attempt whose failed checks stand in the table needs no line of its own."""
    checks = attempt.result.checks if attempt.result else ()
    return attempt.verdict is Verdict.FAIL and any(check.verdict is Verdict.FAIL for check in checks)


def _journal(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {"count": 0, "said": "there is no journal"}
    problems = journal.verify(path)
    return {
        "count": journal.head(path)[0],
        "said": "; ".join(problems[:5]) if problems else "its chain of hashes holds",
    }


def _said(counts: Mapping[Verdict, int]) -> str:
    return ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in ORDER if counts.get(verdict))


def _time(text: str) -> str:
    """2026-01-31T08:15:00.123Z → 2026-01-31 08:15:00 UTC."""
    return f"{text[:10]} {text[11:19]} UTC" if len(text) >= 19 and text.endswith("Z") else text


@functools.cache
def _css() -> str:
    return (TEMPLATES / "page.css").read_text(encoding="utf-8")


@functools.cache
def _jinja() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)


@functools.cache
def _exporter() -> Any:
    from nbconvert import HTMLExporter

    make: Any = HTMLExporter  # nbconvert is not typed
    exporter = make(template_name="phase", extra_template_basedirs=[str(TEMPLATES)], exclude_anchor_links=True)
    exporter.register_filter("inert", _inert)
    return exporter


def _inert(html: str) -> str:
    return _ACTING.sub("&lt;", html)


def _once(items: Iterable[tuple[str, Check]]) -> list[tuple[str, Check]]:
    """Each accepted loss once, with all the phases that met it."""
    phases: dict[tuple[str, ...], list[str]] = {}
    first: dict[tuple[str, ...], Check] = {}
    for phase, check in items:
        loss = (check.code, check.object, check.found, check.expected)
        phases.setdefault(loss, []).append(phase)
        first.setdefault(loss, check)
    return [(", ".join(phases[loss]), check) for loss, check in first.items()]
