"""`towpath approve`: somebody has read the record so far and signs that it may go on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from towpath.cli.places import Place, kept_after
from towpath.cli.records import find_run
from towpath.plan.root import project_root


def approve(
    run: Annotated[str, typer.Argument(help="A run id, or the path of a run folder.", show_default=False)],
    name: Annotated[
        str,
        typer.Option("--as", help="Your name as allowed_signers has it, e.g. ana@example.org.", show_default=False),
    ],
    key: Annotated[
        str,
        typer.Option(
            "--key",
            help="Your SSH key, or env:NAME or file:PATH of an ed25519 key; without it, your ~/.ssh/id_ed25519.",
            show_default=False,
        ),
    ] = "",
    signers: Annotated[
        str,
        typer.Option("--signers", help="Another list than params/<system>/allowed_signers.", show_default=False),
    ] = "",
    records: Place = "",
) -> None:
    """Approve a run as it stands, with your signature.

    You approve the plan, its waivers, and the result of every attempt up to now. Read index.html first. In staging and
    production a phase starts only with as many approvals as its step in the runbook demands, by different people with
    different keys; anything that changes afterwards, a new attempt included, voids yours. Where records are kept at a
    place, the run is brought here before you sign it, and kept after.

    \b
    Examples:
        towpath approve 20260131T081500Z-1a2b --as ana@example.org
        towpath approve 20260131T081500Z-1a2b --as ana@example.org --key env:ANA_KEY
    """
    from towpath.runs.approving import approve_run

    with kept_after(records, run):
        folder = find_run(run)
        made = approve_run(project_root(), folder, name, key, Path(signers) if signers else None)
        typer.echo(f"approved {folder.run_id} as {name}, key {made.key}")
        typer.echo(f"plan     {made.predicate['plan']}")
        attempts = sorted(file.removesuffix(".result.json") for file in made.subjects if file.endswith(".result.json"))
        typer.echo(f"record   {', '.join(attempts)}")
        typer.echo(f"file     {made.path}")
