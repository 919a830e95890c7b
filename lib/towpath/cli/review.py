"""`towpath review`: where the pages for reviewers lie, made again where no seal names them; two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from towpath.cli.records import find_run
from towpath.errors import BadInput, WrongUse
from towpath.plan.root import inside, project_root
from towpath.runs.folder import RunFolder
from towpath.runs.seal import ENDING
from towpath.runs.site import OUTPUTS, render_site


def review(
    run: Annotated[
        str, typer.Argument(help="A run id, or the path of a run folder; without it, all runs.", show_default=False)
    ] = "",
    against: Annotated[
        str,
        typer.Option("--against", help="Another run of the same system, held against RUN.", metavar="RUN"),
    ] = "",
    to: Annotated[
        str,
        typer.Option("--to", help="Where the comparison goes: a file that ends with .html.", metavar="FILE"),
    ] = "",
) -> None:
    """Print where the pages for reviewers lie.

    Without RUN, the index over all runs, which is made again from the records. With RUN, the page of that run; it is
    part of the record, so it is made only where there is none and no seal names it. With --against, a page that shows
    both runs side by side: plan, findings new and gone, durations, rows, numbers, code. It is written beside the
    environments of the system, never into a run. No network is needed, and no record is changed.

    \b
    Examples:
        towpath review
        towpath review 20260131T081500Z-1a2b
        towpath review 20260201T060000Z-0c0d --against 20260131T081500Z-1a2b
    """
    if to and not against:
        raise WrongUse("belongs to --against", object="--to", next="name the run to compare with")
    if against:
        if not run:
            raise WrongUse("which run shall be compared?", object="--against", next="name it: towpath review RUN")
        typer.echo(_shown(_compared(find_run(against), find_run(run), to)))
        return
    if not run:
        typer.echo(_shown(render_site(project_root() / OUTPUTS)))
        return
    typer.echo(_shown(_page(find_run(run))))


def _page(folder: RunFolder) -> Path:
    """The page of a run.  Raises BadInput where a sealed record has lost it."""
    from towpath.runs.pages import render_index  # jinja2 and what it needs

    page = folder.path / "index.html"
    if page.is_file():
        return page
    if any(folder.path.glob(f"*{ENDING}")):
        step = f"read `towpath verify {folder.run_id}`, and restore the file"
        raise BadInput("the page is missing", object=str(page), next=step)
    return render_index(folder.path)


def _compared(a: RunFolder, b: RunFolder, to: str) -> Path:
    from towpath.runs.comparing import comparison_path, render_comparison  # nbdime: seconds of imports

    if to:
        return render_comparison(a, b, Path(to))
    outputs = project_root() / OUTPUTS
    for folder in (a, b):
        if not folder.path.is_relative_to(outputs.resolve()):
            step = "say where the page goes with --to FILE"
            raise WrongUse("lies outside of the project's outputs", object=str(folder.path), next=step)
    made = render_comparison(a, b, comparison_path(outputs, a, b))
    render_site(outputs)
    return made


def _shown(path: Path) -> str:
    """The path as somebody can open it from where they are."""
    try:
        return inside(project_root(), path.resolve())
    except WrongUse:
        return str(path)
