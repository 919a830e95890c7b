"""The end of an attempt, the same for a batch and for one stepped by hand: journal, pages, files, seal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from towpath.errors import CannotFinish, TowpathError
from towpath.plan.plan import Plan
from towpath.runs import journal
from towpath.runs.folder import RunFolder
from towpath.runs.results import PhaseResult, artefact_of, write_result
from towpath.runs.seal import seal_attempt
from towpath.runs.site import OUTPUTS, render_site
from towpath.signing.keys import Signer


def finish_attempt(
    root: Path,
    folder: RunFolder,
    plan: Plan,
    result: PhaseResult,
    signer: Signer | None,
    approvals: Sequence[Mapping[str, str]],
) -> PhaseResult:
    """Write the attempt's result as it stays, render its pages, seal it, and show it in the index over all runs.

    Raises CannotFinish.

    The executed notebook, where there is one, lies under its final name already.
    """
    entries, last = journal.head(folder.path / "journal.jsonl")
    result = replace(result, journal_entries=entries, journal_hash=last)
    write_result(folder.path, result)
    notebook = folder.path / f"{result.stem}.ipynb"
    files = [notebook] if notebook.is_file() else []
    files += _pages(folder, result, signer)
    result = result.with_artefacts(artefact_of(folder.path, file) for file in files)
    write_result(folder.path, result)
    seal_attempt(root, folder, plan, result, signer, approvals)
    render_site(root / OUTPUTS)
    return result


def _pages(folder: RunFolder, result: PhaseResult, signer: Signer | None) -> list[Path]:
    """The page of the phase and the index of the run, as far as they can be rendered; the index is no artefact."""
    from towpath.runs.pages import render_index, render_phase  # nbconvert: seconds of imports

    made = []
    try:
        if (folder.path / f"{result.stem}.ipynb").is_file():
            made.append(render_phase(folder.path, result.stem))
        render_index(folder.path, sealing=(result.stem, signer.public.name if signer else ""))
    except (OSError, ValueError, TowpathError) as error:
        raise CannotFinish(
            f"the pages cannot be rendered: {error}", object=result.stem, next="the result file holds the verdict"
        ) from error
    return made
