"""`towpath plan --propose`: what mapping.yaml lacks for the findings of the newest inventory, printed or written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from towpath.checks import Check, Verdict
from towpath.errors import BadInput, CannotFinish, WrongUse
from towpath.plan.mapping import mapping_of
from towpath.plan.params import parse_document
from towpath.plan.plan import Plan
from towpath.plan.problems import refuse
from towpath.plan.proposal import Open, Proposal, propose
from towpath.plan.root import inside
from towpath.plan.written import printable, together, with_rows
from towpath.runs.files import read_json
from towpath.runs.folder import RunFolder, list_runs
from towpath.runs.results import PhaseResult

INVENTORY, SCHEMA, CENSUS = "01-inventory", "02-schema", "inventory/profile.json"


def run_proposal(plan: Plan, root: Path, *, write: bool, to: str) -> None:
    """Print what mapping.yaml lacks; with `write` append it there, with `to` write the whole to a new file.

    Raises WrongUse where there is no inventory or the new file exists, PlanRefused where the text cannot be continued.
    """
    folder, results = newest_results(root, plan)
    checks = [check for result in results for check in result.checks]
    made = propose(checks, plan.mapping, _columns(folder, results[0]))
    path = root / "runbooks" / plan.system / "mapping.yaml"
    text = _read(path, inside(root, path))
    phases = " and ".join(result.phase for result in results)
    heading = f"Proposed on {results[-1].started[:10]} from {phases} of run {folder.run_id}."
    rows, notes = made.parts(text, heading)
    whole = with_rows(text, inside(root, path), rows, notes)
    mapping_of(parse_document(whole, inside(root, path)), plan.system)  # what is proposed must load
    typer.echo(f"read     {', '.join(result.stem for result in results)} of run {folder.run_id}: {results[0].verdict}")
    _warn(plan, results)
    if not rows and not notes:
        told = "complete the comments in it" if made.open or made.elsewhere else "it answers every finding"
        typer.echo(f"nothing  is new for mapping.yaml: {told}")
    elif to:
        _create(Path(to), whole)
        typer.echo(f"written  {to}; runbooks/{plan.system}/mapping.yaml is as it was")
    elif write:
        _replace(path, text, whole)
        typer.echo(f"written  {inside(root, path)}; what stood there is unchanged")
    else:
        for line in together(rows, notes):
            typer.echo(f"  {line}".rstrip())
    _summary(made)
    command = f"towpath plan {plan.system} --env {plan.environment} --propose"
    again = f"towpath run {plan.system} --env {plan.environment} --phase {INVENTORY}"
    if (rows or notes) and not (to or write):
        typer.echo(f"next     {command} --write, or --to FILE")
    elif rows or made.open or made.elsewhere:
        typer.echo(f"next     read every row, then {again}: the plan is another one now")


def newest_results(root: Path, plan: Plan) -> tuple[RunFolder, list[PhaseResult]]:
    """The newest 01-inventory of the system in the environment, whatever its verdict, and a 02-schema that followed.

    Raises WrongUse when there is none.
    """
    for folder in reversed(list_runs(root, plan.system, plan.environment)):
        first = folder.newest(INVENTORY)
        if first is not None:
            second = folder.newest(SCHEMA)
            return folder, [first] if second is None or second.started < first.started else [first, second]
    step = f"towpath run {plan.system} --env {plan.environment} --phase {INVENTORY}"
    raise WrongUse("no run has an inventory yet", object=f"{plan.system} {plan.environment}", next=step)


def _columns(folder: RunFolder, result: PhaseResult) -> set[str]:
    """Every column of the census, as findings name it; none where the inventory ended before its census."""
    relative = (result.outputs or {}).get(CENSUS)
    if relative is None:
        return set()
    census: Any = read_json(folder.inside(relative))
    try:
        return {f"{table['name']}.{column['name']}" for table in census["tables"] for column in table["columns"]}
    except (KeyError, TypeError):
        raise BadInput("is no census", object=relative, next=f"run {INVENTORY} again") from None


def _warn(plan: Plan, results: Sequence[PhaseResult]) -> None:
    if results[0].verdict is Verdict.INCOMPLETE:
        typer.echo("careful  the inventory did not come to its end: findings may be missing")
    if any(result.plan != plan.hash for result in results):
        typer.echo("careful  the plan has changed since then: what is new in it was not looked at")


def _summary(made: Proposal) -> None:
    if made.rows:
        answered = _counted([check for row in made.rows for check in row.findings])
        typer.echo(f"proposed an answer that loses nothing for {answered}")
    if made.open:
        typer.echo(f"yours    only a person can answer {_counted([one.finding for one in made.open])}")
    if made.elsewhere:
        typer.echo("yours    other keys of mapping.yaml must say more: see the comments")
    if made.unwaived:
        typer.echo(f"waivers  nobody has accepted what is lost by {_counted(made.unwaived)}; waivers.yaml needs:")
        for check in made.unwaived:
            for line in Open(check).waiver()[1:]:
                typer.echo(f"  {line.removeprefix('# ')}")
    if made.refused:
        typer.echo(f"correct  no decision answers {_counted(made.refused)}")


def _counted(checks: Sequence[Check]) -> str:
    """How many findings, and the first three by name."""
    names = [printable(f"{check.code} {check.object}") for check in checks]
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"{len(names):,} finding{'' if len(names) == 1 else 's'} ({', '.join(names[:3])}{more})"


def _read(path: Path, shown: str) -> str:
    """The text with its own line ends."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise refuse("PL008", shown, "", "is not UTF-8 text", "save the file as UTF-8") from None


def _create(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise WrongUse("is there already", object=str(path), next="name a file that does not exist") from None


def _replace(path: Path, before: str, text: str) -> None:
    """Write the file whole or not at all, and only over the text that was read."""
    beside = path.with_name(f".{path.name}.proposed")
    with beside.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if path.read_bytes() != before.encode():
        beside.unlink()
        raise CannotFinish("was changed while the proposal was made", object=str(path), next="propose again")
    beside.replace(path)
