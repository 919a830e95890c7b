"""`towpath local`: Cloudflare's own runtime on this machine, for rehearsals."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import Annotated

import typer

from towpath.cli.options import Environment, System, help_without_command
from towpath.errors import COULD_NOT_FINISH, PASS, WrongUse
from towpath.local import Gateway, State, gateway_folder, read_gateway, selftest, worker_folder
from towpath.local import down as stop
from towpath.local import status as look
from towpath.local import up as start
from towpath.plan.params import Params, load_params, params_path
from towpath.plan.root import inside, project_root
from towpath.rehearsal.playing import end_left_behind

HELP = """The runtime for rehearsals.

Start, look at and stop Cloudflare's own runtime (D1 and R2) on this machine.

Port, bucket, database and KV namespace are those of params/<system>/<env>.yaml; the data lies in
build/local/<system>-<env>/. A system with a Worker of its own (runbooks/<system>/worker/) gets it served on the same
port, with its queues; a gateway (runbooks/<system>/gateway/) stands before it on a port of its own.
"""

app = typer.Typer(help=HELP, rich_markup_mode=None)
app.callback(invoke_without_command=True)(help_without_command)


@app.command("up")
def up(
    system: System,
    env: Environment = "local",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Empty D1, R2 and KV first (environments local and rehearsal only).")
    ] = False,
    stumble: Annotated[
        bool, typer.Option("--stumble", help="Put a fake before the new side that can be told to fail (rehearsal).")
    ] = False,
) -> None:
    """Start the runtime, and prove it.

    It must behave as Towpath was measured against; one that does not is stopped again. It runs on until
    `towpath local down`.

    \b
    Examples:
        towpath local up joan --env local
        towpath local up joan --env local --fresh
    """
    root = project_root()
    params = _params(root, system, env)
    gateway = _gateway(root, params)
    runtime, is_new = start(
        system,
        env,
        _port(params),
        bucket=params.r2_bucket,
        database_id=params.d1_database_id,
        root=root,
        fresh=fresh,
        namespace=params.kv_namespace_id,
        worker=worker_folder(root, system),
        gateway=gateway.stumbling() if gateway and stumble else gateway,
    )
    try:
        proofs = selftest(runtime, root)
    except BaseException:
        if is_new:  # nobody should find it up, and take it for one that was proved
            stop(runtime.state)
        raise
    typer.echo(f"{'started' if is_new else 'already up'}: port {runtime.port}, pid {runtime.pid}")
    also = ", the queues and the gateway" if runtime.gateway_url else " and the queues" if runtime.worker else ""
    proved = f"D1, R2{also}" if also else "D1 and R2"
    typer.echo(f"proved   {len(proofs)} facts about {proved}")
    if runtime.worker:
        typer.echo(f"worker   {runtime.url}")
    if runtime.gateway_url:
        typer.echo(f"gateway  {runtime.gateway_url}")
    typer.echo(f"state    {inside(root, runtime.state.folder)}")


@app.command("down")
def down(system: System, env: Environment = "local") -> None:
    """Stop the runtime, and what a killed rehearsal left behind; its data stays.

    \b
    Example:
        towpath local down joan --env local
    """
    state = State.of(project_root(), system, env)
    left = end_left_behind(state)
    typer.echo("stopped" if stop(state) or left else "was not up")


@app.command("status")
def status(system: System, env: Environment = "local") -> None:
    """Say whether the runtime is up; exit code 2 when it is not.

    \b
    Example:
        towpath local status joan --env local
    """
    found = look(State.of(project_root(), system, env))
    typer.echo(found.line)
    raise typer.Exit(PASS if found.answering else COULD_NOT_FINISH)


def _params(root: Path, system: str, env: str) -> Params:
    params = load_params(params_path(root, system, env))
    if not params.on_this_machine:
        raise WrongUse(
            f"{params.cloudflare_api} is not on this machine",
            object=f"{system} {env}",
            next="use --env local; staging and production have no local runtime",
        )
    return params


def _gateway(root: Path, params: Params) -> Gateway | None:
    """What stands before both sides, where the params say that traffic moves; addresses are theirs."""
    if not params.moves_traffic:
        return None
    folder = gateway_folder(root, params.system)
    if folder is None:
        step = f"write runbooks/{params.system}/gateway/wrangler.jsonc, or leave gateway_url empty"
        raise WrongUse("there is no gateway to serve", object="gateway_url", next=step)
    port = urllib.parse.urlsplit(params.gateway_url).port
    if port is None:
        raise WrongUse("names no port", object="gateway_url", next="write http://127.0.0.1:<port>")
    return read_gateway(folder).before(params.source_url, port)


def _port(params: Params) -> int:
    urls = [params.cloudflare_api, params.r2_endpoint, *filter(None, [params.worker_url])]
    ports = {urllib.parse.urlsplit(url).port for url in urls}
    port = ports.pop()
    if ports or port is None:
        step = "write the same address with the same port, e.g. http://127.0.0.1:8787/…"
        raise WrongUse("name no common port", object="cloudflare_api and r2_endpoint", next=step)
    return port
