"""`towpath rehearse`: a whole cutover and its way back under live traffic, judged."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from towpath.cli.options import Environment, System
from towpath.errors import CHECKS_FAILED, COULD_NOT_FINISH, PASS
from towpath.plan.params import load_params, params_path
from towpath.plan.root import inside, project_root


def rehearse(
    system: System,
    env: Environment = "rehearsal",
    data: Annotated[
        str,
        typer.Option("--data", help="The old application's folder; build/<env>/<system> if left out.", metavar="DIR"),
    ] = "",
    clients: Annotated[int, typer.Option(min=1, max=200, help="How many clients.")] = 12,
    rate: Annotated[float, typer.Option(min=1, max=500, help="Requests a second, of all clients together.")] = 25.0,
    seed: Annotated[int, typer.Option(help="The same seed lets clients do the same things in the same order.")] = 1,
) -> None:
    """Rehearse a cutover and its way back while clients read and write.

    Serves the old application, starts the local runtime with the gateway, lets clients work, and plays: over with a new
    side that fails at 50 %, back, over again, back again. Every write that a client was told is kept must then be there
    exactly once; the time in which nobody could write, and the way back, must keep within their budgets. Writes
    rehearsal.json and rehearsal.txt into outputs/<system>/<env>/. What it started ends with it; what a killed one left
    is ended by the next.

    \b
    Examples:
        towpath rehearse joan
        towpath rehearse joan --rate 50
    """
    from towpath.rehearsal.drive import rehearse as play
    from towpath.rehearsal.playing import stoppable
    from towpath.rehearsal.stage import Asked
    from towpath.rehearsal.telling import write

    root = project_root()
    params = load_params(params_path(root, system, env))
    folder = root / "build" / env / f"{system}.traffic" / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}"
    place = Path(data) if data else root / "build" / env / system
    with stoppable():
        told = play(Asked(root, system, params, place.resolve(), folder, clients, rate, seed), typer.echo)
    files = [folder / "traffic" / name for name in ("ledger.jsonl", "requests.jsonl", "seconds.jsonl")]
    path = write(told, root / "outputs" / system / env, files)
    typer.echo("")
    for line in told.lines():
        typer.echo(line)
    typer.echo(f"written to {inside(root, path)}")
    if told.signal:
        raise typer.Exit(128 + told.signal)
    raise typer.Exit(PASS if told.holds else COULD_NOT_FINISH if told.broken else CHECKS_FAILED)
