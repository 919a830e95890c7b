"""`python -m runbooks.joan.legacy`: generate, live, serve."""

from __future__ import annotations

import asyncio
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from runbooks.joan.legacy.app import create_app
from runbooks.joan.legacy.generator import SCALES, NotOurs, generate
from runbooks.joan.legacy.live import LEAST_CHANGES, NoWrites, live
from runbooks.joan.legacy.settings import Settings

WRONG_USE = 3
cli = typer.Typer(help="Joan as it runs today: make its data, keep it busy, serve it.", no_args_is_help=True)


class ScaleName(StrEnum):
    """How much to generate."""

    SMALL = "small"
    DEMO = "demo"
    LARGE = "large"


class JournalMode(StrEnum):
    """How SQLite keeps its journal."""

    DELETE = "delete"
    WAL = "wal"


def _stop(line: str) -> typer.Exit:
    print(line, file=sys.stderr)
    return typer.Exit(WRONG_USE)


@cli.command("generate")
def generate_command(
    scale: Annotated[ScaleName, typer.Option(help="How much: about 2,000, 200,000 or 5,000,000 rows.")],
    to: Annotated[Path, typer.Option(help="The data folder; an older generated one is replaced.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows and files.")] = 1,
    journal_mode: Annotated[JournalMode, typer.Option(help="The journal mode the file is left in.")] = (
        JournalMode.DELETE
    ),
) -> None:
    """Write joan.sqlite and attachments/ from a seed."""
    started, size = time.monotonic(), SCALES[scale]
    done = 0

    def report(users: int) -> None:
        nonlocal done
        done += users
        if sys.stderr.isatty():
            print(f"\r{done:,} of {size.users:,} users", end="" if done < size.users else "\n", file=sys.stderr)

    try:
        made = asyncio.run(generate(to, size, seed, journal_mode, report))
    except NotOurs as error:
        raise _stop(f"STOP: {error}. Next: give another folder with --to, or move that data away") from None
    print(
        f"{to}: {made.rows:,} rows in {len(made.tables)} tables ({made.database_bytes / 1e6:,.1f} MB), "
        f"{made.files:,} files ({made.file_bytes / 1e6:,.1f} MB), seed {seed}, {time.monotonic() - started:.1f} s"
    )


@cli.command("live")
def live_command(
    data: Annotated[Path, typer.Option(help="The data folder.")],
    seed: Annotated[int, typer.Option(help="The same seed over the same data makes the same changes.")] = 7,
    changes: Annotated[int, typer.Option(min=LEAST_CHANGES, help="How many changes.")] = 200,
) -> None:
    """Go on working: insert, update and delete through the application's own models."""
    settings = Settings.of(data)
    if not settings.database.is_file():
        raise _stop(f"STOP: {settings.database} is not there. Next: generate it first")
    try:
        worked = asyncio.run(live(settings, seed, changes))
    except NoWrites as error:
        raise _stop(f"STOP: {error}. Next: remove {settings.maintenance_switch} to let Joan write again") from None
    for name, count in sorted(worked.changes.items()):
        print(f"{count:6,}  {name}")
    print(f"{worked.total:6,}  changes in {data}, seed {seed}")


@cli.command("serve")
def serve_command(
    data: Annotated[Path, typer.Option(help="The data folder.")],
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.")] = 8000,
) -> None:
    """Serve the application with uvicorn until it is interrupted."""
    settings = Settings.of(data)
    if not settings.database.is_file():
        raise _stop(f"STOP: {settings.database} is not there. Next: generate it first")
    uvicorn.run(create_app(settings), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    cli()
