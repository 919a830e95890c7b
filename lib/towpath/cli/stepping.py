"""`towpath prepare` and `towpath seal`: a phase that an engineer steps through in JupyterLab."""

from __future__ import annotations

from typing import Annotated

import typer

from towpath.cli.options import Changes, Environment, System, changes_from
from towpath.cli.records import find_run
from towpath.errors import WrongUse
from towpath.plan.root import project_root
from towpath.runs.folder import RunFolder

Phase = Annotated[str, typer.Option("--phase", help="The phase, e.g. 02-schema.", metavar="P", show_default=False)]


def prepare(
    system: System,
    env: Environment,
    phase: Phase,
    approve: Annotated[
        str, typer.Option("--approve", help="The plan hash: a real run, if the plan still has it.", metavar="HASH")
    ] = "",
    target: Annotated[
        str, typer.Option("--target", help="The target fingerprint that the dry run printed.", metavar="FP")
    ] = "",
    run_id: Annotated[str, typer.Option("--run", help="Go on in this run.", metavar="ID")] = "",
    param: Changes = None,
) -> None:
    """Prepare one phase to be stepped by hand.

    Plan, gate, approvals and lock are those of `towpath run`. The notebook with its parameters is written into the run
    folder; open it in JupyterLab, execute every cell once from the first to the last, save it, and seal it.

    \b
    Examples:
        towpath prepare joan --env local --phase 00-ready
        towpath prepare joan --env staging --phase 02-schema --approve 5f0c…
    """
    from towpath.runs.starting import Order
    from towpath.runs.stepping import prepare as prepare_phase

    order = Order(
        system=system,
        environment=env,
        phases=(phase,),
        approve=approve,
        target=target,
        run_id=run_id,
        overrides=changes_from(param),
    )
    prepare_phase(order)


def seal(
    run: Annotated[
        str, typer.Argument(help="A run id, the path of a run folder, or a system with --env.", show_default=False)
    ],
    phase: Phase,
    env: Annotated[
        str, typer.Option("--env", "-e", help="With a system: its current run here.", show_default=False)
    ] = "",
    key: Annotated[
        str,
        typer.Option(
            "--key",
            help="env:NAME or file:PATH of the ed25519 key; without it, TOWPATH_SIGNING_KEY.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Seal a phase that was stepped by hand.

    Every cell must have been executed once, in order, as it was prepared, without an error, and show what the kernel
    sent. Then the record is what a batch run leaves, and the next gate opens. Otherwise nothing is sealed: exit code 1,
    and a line for each thing that is wrong.

    \b
    Examples:
        towpath seal 20260131T081500Z-1a2b --phase 02-schema
        towpath seal joan --env local --phase 02-schema
    """
    from towpath.runs.sealing import seal_by_hand

    root = project_root()
    if env:
        folder = RunFolder.current(root, run, env)
        if folder is None:
            raise WrongUse("there is no run yet", object=f"{run} {env}", next=f"towpath prepare {run} --env {env}")
    else:
        folder = find_run(run)
    raise typer.Exit(seal_by_hand(root, folder, phase, key))
