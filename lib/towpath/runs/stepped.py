"""A notebook that somebody stepped through: was it run whole, in order, once, as it was prepared?

What is wrong is said in one line for each thing.  The notebook as JupyterLab saved it is held against what was prepared
(`run.json`), what was executed (`journal.jsonl`) and what the kernel sent (`log/<stem>.outputs.json`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from towpath.checks import Verdict
from towpath.runs.outputs import digests
from towpath.runs.prepared import fingerprint
from towpath.runs.results import PhaseResult

NOTE = "operators-note"  # the one cell that is written while the phase runs
NOT_SAVED = "or the notebook was not saved afterwards"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps a stepped attempt from being sealed."""

    cell: str
    what: str

    @property
    def line(self) -> str:
        """Cell and reason in one line."""
        return f"{self.cell}: {self.what}"


def without_blanks(cells: Iterable[Any], prepared: Mapping[str, str]) -> list[Any]:
    """The cells without the empty ones that a front end appends, e.g. after Shift+Enter in the last one."""

    def is_blank(cell: Any) -> bool:
        return not (cell.source.strip() or cell.get("outputs") or cell.get("execution_count"))

    return [cell for cell in cells if str(cell.get("id")) in prepared or not is_blank(cell)]


def problems(
    cells: Sequence[Any],
    prepared: Mapping[str, str],
    journal: Sequence[Mapping[str, Any]],
    note: Mapping[str, Any],
    result: PhaseResult,
) -> list[Problem]:
    """Everything that is wrong; empty when the attempt may be sealed.

    `cells` are the notebook's as it was saved, `prepared` the digests that were noted, `journal` the lines of this
    attempt in order, `note` what the kernel noted of its outputs.
    """
    found = list(_unlike(cells, prepared))
    if found:
        return found
    code = [cell for cell in cells if cell.cell_type == "code"]
    if not journal:
        return [Problem(code[0].id if code else "notebook", f"nothing of it was executed, {NOT_SAVED}")]
    found = [*_executions(code, journal), *_failures(code, journal, result)]
    found += _shown(code, note)
    if result.verdict is Verdict.INCOMPLETE:
        found.append(
            Problem(code[-1].id, f"the phase was not closed: its result says INCOMPLETE {result.error}".rstrip())
        )
    return found


def _unlike(cells: Sequence[Any], prepared: Mapping[str, str]) -> Iterator[Problem]:
    """How the notebook differs from the prepared one."""
    there = [str(cell.get("id")) for cell in cells]
    for name in prepared.keys() - set(there):
        yield Problem(name, "was deleted")
    for name in (name for name in there if name not in prepared):
        yield Problem(name, "was added")
    common = [name for name in there if name in prepared]
    expected = [name for name in prepared if name in set(there)]
    if common != expected:
        yield Problem(next(a for a, b in zip(common, expected, strict=False) if a != b), "was moved")
    for cell in cells:
        name = str(cell.get("id"))
        if name in prepared and name != NOTE and fingerprint(cell) != prepared[name]:
            yield Problem(name, "was edited: it is not the cell that was prepared")


def _executions(code: Sequence[Any], journal: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Every code cell once, from the first to the last."""
    lines = {str(entry["cell"]): entry for entry in journal}
    names = [str(cell.id) for cell in code]
    for name in lines.keys() - set(names):
        yield Problem(name or "a cell without an id", "is in the journal and not in the notebook")
    again = [name for name, times in Counter(str(entry["cell"]) for entry in journal).items() if times > 1]
    for name in again:
        numbers = " and ".join(str(entry["count"]) for entry in journal if entry["cell"] == name)
        yield Problem(name, f"was executed more than once, as number {numbers}")
    opening = names.index(str(journal[0]["cell"])) if journal[0]["cell"] in names else 0
    is_shifted = bool(again)
    for number, cell in enumerate(code, start=1):
        count, entry = cell.execution_count, lines.get(str(cell.id))
        if count is None:
            yield Problem(cell.id, f"was not executed, {NOT_SAVED}")
            is_shifted = True
        elif count != number and not is_shifted:
            yield Problem(
                cell.id, f"was executed as number {count}, expected {number}: out of order, or executed again"
            )
            is_shifted = True
        if entry is None:
            if number > opening and count is not None:
                yield Problem(cell.id, "is not in the journal: this kernel did not execute it")
        elif entry["source_sha256"] != hashlib.sha256(cell.source.encode("utf-8", "surrogatepass")).hexdigest():
            yield Problem(cell.id, "is not the code that was executed")
        elif count is not None and entry["count"] != count and cell.id not in again:
            yield Problem(cell.id, f"says number {count}, the journal says {entry['count']}")


def _failures(code: Sequence[Any], journal: Sequence[Mapping[str, Any]], result: PhaseResult) -> Iterator[Problem]:
    """No cell raised, but for the one that closes a phase whose checks failed."""
    closing = str(code[-1].id) if result.verdict is Verdict.FAIL else ""
    raised = {str(entry["cell"]): str(entry["error"]) for entry in journal if not entry["success"]}
    for cell in code:
        errors = [f"{one['ename']}: {one['evalue']}" for one in cell.outputs if one["output_type"] == "error"]
        error = raised.get(str(cell.id)) or next(iter(errors), "")
        if (error or str(cell.id) in raised) and not (cell.id == closing and error.startswith("ChecksFailed")):
            yield Problem(cell.id, f"raised {error or 'an error'}"[:300])


def _shown(code: Sequence[Any], note: Mapping[str, Any]) -> Iterator[Problem]:
    """Every output is as the kernel sent it."""
    noted = note.get("cells") or {}
    for cell in code:
        found, expected = digests(cell.outputs), list(noted.get(str(cell.id)) or [])
        if cell.id == note.get("first"):  # noted from the moment in which it opened the run
            found = found[len(found) - len(expected) :] if expected else []
        if found != expected:
            yield Problem(cell.id, "does not show what the kernel sent: its output was edited, or not saved")
