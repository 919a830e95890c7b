"""`towpath place`: where records are kept besides outputs/, by hand; and what other commands do with a place."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from towpath.cli.options import Environment, System, help_without_command
from towpath.errors import WRONG_USE, WrongUse
from towpath.places.address import PLACE, address_of, open_place
from towpath.places.holding import Holding
from towpath.places.keeper import PlaceKeeper
from towpath.places.record import Home, newest_number
from towpath.places.remote import find
from towpath.places.store import Store
from towpath.places.sync import bring, bring_to, home_of, keep
from towpath.plan.ends import NAME
from towpath.plan.params import RUN_ID
from towpath.plan.root import project_root
from towpath.runs.folder import RunFolder, environment_folder, list_runs
from towpath.runs.lock import Lock
from towpath.runs.redaction import root_of_files
from towpath.runs.site import OUTPUTS, render_site

HELP = """Where records are kept besides outputs/.

A place is a folder, or a prefix of an R2 bucket: --records, or the environment variable TOWPATH_RECORDS. `towpath run`
keeps a run there after each phase; these commands do it by hand.
"""

Place = Annotated[
    str,
    typer.Option(
        "--records",
        help="s3://bucket/prefix or a folder; without it, TOWPATH_RECORDS.",
        metavar="PLACE",
        show_default=False,
    ),
]
Run = Annotated[str, typer.Argument(help="A run id.", show_default=False)]

app = typer.Typer(help=HELP, rich_markup_mode=None)
app.callback(invoke_without_command=True)(help_without_command)


@app.command("keep")
def keep_run(run: Run, records: Place = "") -> None:
    """Bring a run of outputs/ to the place.

    For what plain papermill or JupyterLab wrote, and for a copy that was cut: it goes on where it stopped. Nothing at
    the place is overwritten.

    \b
    Example:
        towpath place keep 20260131T081500Z-1a2b --records s3://records/towpath
    """
    store, root = place_of(records), project_root()
    found = [folder for folder in list_runs(root) if folder.run_id == run]
    if not found:
        raise WrongUse("no such run", object=run, next="use an id that `towpath list` shows")
    folder = found[0]
    with _locked(root, folder.system, folder.environment), _held(store, folder.system, folder.environment, "keep"):
        typer.echo(f"kept     {run}: {keep(store, folder).sentence}")


@app.command("fetch")
def fetch_run(run: Run, records: Place = "") -> None:
    """Bring a run from the place into outputs/.

    Each file is held against its SHA-256 on its way. What this folder has and the place has not stays.

    \b
    Example:
        towpath place fetch 20260131T081500Z-1a2b --records s3://records/towpath
    """
    store, root = place_of(records), project_root()
    home = find(store, run)
    with _locked(root, home.system, home.environment):
        typer.echo(f"fetched  {run}: {bring(store, root, home).sentence}")
        render_site(root / OUTPUTS)


@app.command("unlock")
def unlock(
    system: System,
    env: Environment,
    records: Place = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only say who holds the place.")] = False,
) -> None:
    """Say which machine holds the place, and let another one go on.

    A machine that died while it worked cannot give its lock back. Be sure that it is dead: two machines that write to
    one target see each other too late.

    \b
    Example:
        towpath place unlock joan --env staging --yes
    """
    holding = Holding(place_of(records), system, env)
    holder = holding.unlock() if yes else holding.holder()
    if not holder:
        typer.echo("nobody holds it")
        return
    typer.echo(f"{'unlocked; it was held by' if yes else 'held by'} {holder}")
    if not yes:
        typer.echo("Nothing was done. Next: be sure that it is dead, then repeat with --yes")
        raise typer.Exit(WRONG_USE)


def place_of(given: str) -> Store:
    """The place that a command is given, or that the environment names.  Raises WrongUse without one."""
    address = address_of(given)
    if not address:
        raise WrongUse("names no place", object=f"--records and {PLACE}", next="write s3://bucket/prefix, or a folder")
    return open_place(address, project_root())


@contextlib.contextmanager
def _locked(root: Path, system: str, environment: str) -> Iterator[None]:
    """No phase runs here meanwhile."""
    lock = Lock(environment_folder(root, system, environment))
    lock.take(f"towpath place, {system} in {environment}")
    try:
        yield
    finally:
        lock.release()


def _held(store: Store, system: str, environment: str, what: str) -> Holding:
    return Holding(store, system, environment).take(f"towpath place {what}")


def keeper_for(given: str) -> PlaceKeeper | None:
    """What keeps a run while its phases run; None without --records and TOWPATH_RECORDS."""
    address = address_of(given)
    root = project_root()
    return PlaceKeeper(open_place(address, root), root) if address else None


@contextlib.contextmanager
def kept_after(records: str, run: str) -> Iterator[None]:
    """For a command that adds to a run: the run as the place has it is brought here before, and kept after.

    Without --records and TOWPATH_RECORDS it does nothing.
    """
    if not (address := address_of(records)):
        yield
        return
    root = project_root()
    store = open_place(address, root)
    home = next((home_of(folder) for folder in list_runs(root) if folder.run_id == run), None) or find(store, run)
    with _locked(root, home.system, home.environment), _held(store, home.system, home.environment, "approve"):
        if newest_number(store, home):
            typer.echo(f"fetched  {bring(store, root, home).sentence}")
        yield
        folder = RunFolder.open(root, home.system, home.environment, home.run)
        typer.echo(f"kept     {keep(store, folder).sentence}")


@contextlib.contextmanager
def brought(address: str) -> Iterator[Path]:
    """The run folder at s3://bucket/prefix/<system>/<environment>/<run id>, in a temporary folder."""
    place, _, rest = address.rstrip("/").rpartition("/")[0].rpartition("/")[0].rpartition("/")
    names = (rest, *address.rstrip("/").split("/")[-2:])
    if not (NAME.match(names[0]) and NAME.match(names[1]) and RUN_ID.match(names[2])):
        step = "write s3://bucket/prefix/<system>/<environment>/<run id>"
        raise WrongUse("does not name a run at a place", object=f"…/{'/'.join(names[1:])}", next=step)
    with tempfile.TemporaryDirectory(prefix="towpath-") as name:
        yield bring_to(open_place(place, root_of_files()), Home(*names), Path(name))
