"""`python -m runbooks.personality-spark.legacy`: generate, up, down, live, freeze, thaw, drain, serve, work."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from towpath.errors import TowpathError

from . import running
from . import settings as places
from .app import create_app
from .drain import StillWorking, drain
from .generator import SCALES, NotOurs, generate
from .live import LEAST_CHANGES, NoWrites, live
from .maintenance import MaintenanceSwitch
from .work import work, working_beside

WRONG_USE = 3
cli = typer.Typer(
    help="Personality Spark as it runs today: make its data, keep it busy, serve it.", no_args_is_help=True
)
Data = Annotated[Path, typer.Option(help="The data folder.")]
PortPostgresql = Annotated[
    int | None,
    typer.Option(
        help=f"PostgreSQL's port on 127.0.0.1, {places.PORT_POSTGRESQL} by default; 0: a free one.",
        envvar="PERSONALITY_SPARK_PORT_POSTGRESQL",
    ),
]
PortRedis = Annotated[
    int | None,
    typer.Option(
        help=f"Redis' port on 127.0.0.1, {places.PORT_REDIS} by default; 0: a free one.",
        envvar="PERSONALITY_SPARK_PORT_REDIS",
    ),
]


class ScaleName(StrEnum):
    """How much to generate."""

    SMALL = "small"
    DEMO = "demo"
    LARGE = "large"


def _stop(line: str, code: int = WRONG_USE) -> typer.Exit:
    print(line, file=sys.stderr)
    return typer.Exit(code)


def _settings(data: Path) -> places.Settings:
    try:
        return places.Settings.of(data)
    except places.NotUp as error:
        step = f"generate it first, or start it: python -m runbooks.personality-spark.legacy up --data {data}"
        raise _stop(f"STOP: {error}. Next: {step}") from None


@cli.command("generate")
def generate_command(
    scale: Annotated[ScaleName, typer.Option(help="How much: about 2,000, 500,000 or 5,000,000 rows.")],
    to: Annotated[Path, typer.Option(help="The data folder; an older generated one is replaced.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows, keys, jobs and files.")] = 1,
    plant: Annotated[bool, typer.Option(help="Put the two broken jobs into the queues.")] = True,
    port_postgresql: PortPostgresql = None,
    port_redis: PortRedis = None,
) -> None:
    """Start PostgreSQL and Redis where they are down, and fill them; they go on running."""
    started, size, done = time.monotonic(), SCALES[scale], 0

    def report(rows: int) -> None:
        nonlocal done
        done += rows
        if sys.stderr.isatty():
            print(f"\r{done:,} rows", end="", file=sys.stderr)

    try:
        made = generate(
            to, size, seed, plant=plant, port_postgresql=port_postgresql, port_redis=port_redis, report=report
        )
    except NotOurs as error:
        raise _stop(f"STOP: {error}. Next: give another folder with --to, or move that data away") from None
    except TowpathError as error:
        raise _stop(f"STOP: {error.line}", error.exit_code) from None
    waiting = sum(made.jobs.waiting.values())
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    print(
        f"{to}: {made.rows:,} rows in {len(made.tables)} tables, {made.keys:,} keys, {waiting + made.jobs.reserved:,} "
        f"jobs ({made.jobs.reserved} of them reserved), {made.files:,} files ({made.file_bytes / 1e6:,.1f} MB), "
        f"seed {seed}, {time.monotonic() - started:.1f} s"
    )


@cli.command("up")
def up_command(data: Data, port_postgresql: PortPostgresql = None, port_redis: PortRedis = None) -> None:
    """Start both servers on the data that is there."""
    if not (data / "postgresql" / "data").is_dir():
        raise _stop(f"STOP: there is no database in {data}. Next: generate it first")
    try:
        settings = places.up(data, port_postgresql, port_redis)
    except TowpathError as error:
        raise _stop(f"STOP: {error.line}", error.exit_code) from None
    print(f"{data}: {settings.postgresql.url(places.DATABASE)}, {settings.redis.url(places.CACHE)}")


@cli.command("down")
def down_command(data: Data) -> None:
    """Stop the application, its workers and both servers; what they hold stays."""
    served, up = running.end_all(data), places.down(data)
    print(f"{data}: stopped" if served or up else f"{data}: was down")


@cli.command("live")
def live_command(
    data: Data,
    seed: Annotated[int, typer.Option(help="The same seed over the same data makes the same changes.")] = 7,
    changes: Annotated[int, typer.Option(min=LEAST_CHANGES, help="How many changes.")] = 200,
) -> None:
    """Go on working: rows through the application's models, keys, jobs and share cards."""
    settings = _settings(data)
    try:
        worked = live(settings, seed, changes)
    except NoWrites as error:
        raise _stop(f"STOP: {error}. Next: remove {settings.maintenance_switch} to let it write again") from None
    for name, count in sorted(worked.changes.items()):
        print(f"{count:6,}  {name}")
    print(f"{worked.total:6,}  changes in {data}, seed {seed}")


@cli.command("drain")
def drain_command(
    data: Data, patience: Annotated[float, typer.Option(help="Seconds that running tasks may take.")] = 60.0
) -> None:
    """Stop every worker of Celery; each finishes what it runs and gives back what it had reserved."""
    try:
        drained = drain(_settings(data), patience)
    except StillWorking as error:
        raise _stop(f"STOP: {error}. Next: look at that worker, then drain again", 2) from None
    waiting = ", ".join(f"{count:,} in {queue}" for queue, count in drained.waiting.items())
    print(f"{data}: {drained.stopped} workers stopped; waiting: {waiting}; {drained.reserved:,} held by dead workers")


@cli.command("freeze")
def freeze_command(data: Data) -> None:
    """Switch writes off by the maintenance switch."""
    if not data.is_dir():
        raise _stop(f"STOP: {data} is not there. Next: generate it first")
    MaintenanceSwitch(data / "maintenance.json").freeze("hand")


@cli.command("thaw")
def thaw_command(data: Data) -> None:
    """Let writes through again."""
    MaintenanceSwitch(data / "maintenance.json").thaw()


@cli.command("serve")
def serve_command(
    data: Data,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.")] = 8000,
    worker: Annotated[
        bool, typer.Option("--worker", help="Run a worker of Celery beside it.", envvar="PERSONALITY_SPARK_WORKER")
    ] = False,
) -> None:
    """Serve the application with uvicorn until it is interrupted."""
    settings = _settings(data)
    with running.noted(data), working_beside(data) if worker else nullcontext():
        uvicorn.run(create_app(settings), host="127.0.0.1", port=port, log_level="warning")


@cli.command("work")
def work_command(
    data: Data, beside: Annotated[int | None, typer.Option(help="A process without which it ends.", hidden=True)] = None
) -> None:
    """Run a worker of Celery until it is drained or interrupted; while the maintenance switch is on it rests."""
    settings = _settings(data)
    with running.noted(data):
        work(settings, beside)


if __name__ == "__main__":
    cli()
