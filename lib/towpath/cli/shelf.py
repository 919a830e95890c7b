"""`towpath list` and `towpath prune`: which runs there are, here or at a place, and which of them may go."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from towpath.cli.options import AnySystem, Environment, System
from towpath.errors import WRONG_USE
from towpath.places.address import open_place
from towpath.places.pruning import nobody_else, prune_here, prune_there, size_of, sweep, sweep_there
from towpath.places.remote import Shelf, shelf
from towpath.places.retention import Choice, choose
from towpath.places.store import Store
from towpath.plan.root import project_root
from towpath.runs.shelf import RunSummary, runs_in
from towpath.runs.site import OUTPUTS, render_site

There = Annotated[
    str,
    typer.Option(
        "--records",
        help="The runs at this place (s3://bucket/prefix or a folder), not those in outputs/.",
        metavar="PLACE",
        show_default=False,
    ),
]


def list_all(
    system: AnySystem = "",
    env: Annotated[str, typer.Option("--env", "-e", help="Only this environment.", show_default=False)] = "",
    records: There = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the runs with their verdicts, newest first.

    One line each: verdict, phases that passed, when it was opened, its plan, its seals, its size. * marks the current
    run of an environment. A folder that is broken, or is no run, is shown and says why.

    \b
    Examples:
        towpath list
        towpath list joan --env staging --records s3://records/towpath
        towpath list --json
    """
    with _shelf(records, system, env) as found:
        wanted = [one for one in found.runs if system in ("", one.system) and env in ("", one.environment)]
        rows = [_row(one, found) for one in wanted]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    if not rows:
        typer.echo("no runs yet")
    width = max((len(_name(row)) for row in rows), default=0)
    for row in rows:
        typer.echo(_line(row, width))
        if row["verdict"] != "PASS":
            typer.echo(f"    {row['sentence']}")


def prune(
    system: System,
    env: Environment,
    newest: Annotated[
        int | None, typer.Option("--keep", help="All but the newest N may go.", metavar="N", show_default=False)
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            "--older-than", help="What is older than so many days may go.", metavar="DAYS", show_default=False
        ),
    ] = None,
    approved: Annotated[bool, typer.Option("--approved", help="Also runs that somebody approved.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only show what would go.")] = False,
    records: There = "",
) -> None:
    """Remove old runs, after showing them.

    Never a record of production, never the current run, never one that another run refers to, and one that somebody
    approved only with --approved. What goes leaves a line in outputs/pruned.jsonl (at a place: an object under
    pruned/): run, verdict, plan, digest of its last seal, when, and by whom.

    \b
    Examples:
        towpath prune joan --env local --keep 5
        towpath prune joan --env staging --older-than 90 --yes
    """
    root, store = project_root(), open_place(records, project_root()) if records else None
    choose(root / "outputs", system, env, newest=newest, days=days)  # what is refused is refused before a lock
    with nobody_else(root, system, env, store), _shelf(records, system, env) as found:
        choices = choose(found.outputs, system, env, newest=newest, days=days, approved_too=approved)
        going = [choice for choice in choices if not choice.stays]
        for choice in choices:
            typer.echo(_said(choice, found))
        if not going:
            typer.echo("nothing may go")
        elif not yes:
            typer.echo(f"{len(going)} of {len(choices)} runs would go; nothing was removed. Next: repeat with --yes")
            raise typer.Exit(WRONG_USE)
        else:
            if store is None:
                sweep(root, system, env)
            else:
                sweep_there(store, system, env)
            for choice in going:
                _prune(root, store, choice.summary)
            if store is None:
                render_site(root / OUTPUTS)
            typer.echo(f"{len(going)} of {len(choices)} runs are gone; pruned.jsonl names them")


@contextlib.contextmanager
def _shelf(records: str, system: str, env: str) -> Iterator[Shelf]:
    root = project_root()
    if records:
        with shelf(open_place(records, root), system, env) as found:
            yield found
        return
    runs = tuple(runs_in(root / "outputs"))
    sizes = {(one.system, one.environment, one.run): size_of(one.path) for one in runs}
    yield Shelf(root / "outputs", runs, sizes)


def _row(one: RunSummary, found: Shelf) -> dict[str, Any]:
    passed = sum(1 for _, verdict in one.phases if verdict == "PASS")
    return {
        "system": one.system,
        "environment": one.environment,
        "run": one.run,
        "is_run": one.is_run,
        "is_current": one.is_current,
        "verdict": str(one.verdict),
        "sentence": one.sentence,
        "phases": {phase: str(verdict) if verdict else None for phase, verdict in one.phases},
        "passed": passed,
        "opened": one.opened,
        "plan": one.plan,
        "seal": one.seal,
        "approvals": dict(one.approvals),
        "bytes": found.sizes.get((one.system, one.environment, one.run), 0),
    }


def _name(row: dict[str, Any]) -> str:
    return " ".join(part for part in (row["system"], row["environment"], row["run"]) if part)


def _line(row: dict[str, Any], width: int) -> str:
    name = _name(row).ljust(width)
    if not row["is_run"]:
        return f"! {name}  no run"
    mark = "*" if row["is_current"] else " "
    phases = f"{row['passed']} of {len(row['phases'])} phases"
    plan, size = f"plan {row['plan'][:12]}", f"{row['bytes'] / 1e6:,.1f} MB"
    return (
        f"{mark} {name}  {row['verdict']:<10}  {phases}  {row['opened'][:16]}  {plan}  {size}  {row['seal']}".rstrip()
    )


def _said(choice: Choice, found: Shelf) -> str:
    one = choice.summary
    size = found.sizes.get((one.system, one.environment, one.run), 0)
    word = f"stays  {choice.stays}" if choice.stays else "goes"
    return f"{one.run}  {one.verdict!s:<10}  {size / 1e6:8,.1f} MB  {word}"


def _prune(root: Path, store: Store | None, summary: RunSummary) -> None:
    if store is None:
        prune_here(root, summary)
    else:
        prune_there(store, summary)
