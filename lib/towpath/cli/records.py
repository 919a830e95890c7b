"""`towpath status` and `towpath verify`: what ran, how it ended, and whether its record is whole."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from towpath.checks import Verdict
from towpath.cli.options import AnySystem
from towpath.cli.places import brought
from towpath.errors import CHECKS_FAILED, BadInput, WrongUse
from towpath.places.address import S3
from towpath.plan.root import inside, project_root
from towpath.runs.folder import RunFolder, list_runs
from towpath.runs.overview import read_attempt
from towpath.runs.verification import verify_run
from towpath.signing.keys import load_public
from towpath.signing.signers import FILE


def status(
    system: AnySystem = "",
    env: Annotated[str, typer.Option("--env", "-e", help="Only this environment.", show_default=False)] = "",
) -> None:
    """List the runs with their verdicts.

    * marks the current run of an environment, in which a phase goes on that is run alone.

    \b
    Examples:
        towpath status
        towpath status joan --env staging
    """
    root = project_root()
    runs = list_runs(root, system, env)
    if not runs:
        typer.echo("no runs yet")
    for folder in runs:
        current = RunFolder.current(root, folder.system, folder.environment)
        mark = "*" if current and current.run_id == folder.run_id else " "
        try:
            typer.echo(f"{mark} {folder.system} {folder.environment} {folder.run_id}  plan {folder.plan_hash[:12]}")
            attempts = folder.attempts()
        except BadInput as error:
            typer.echo(f"{mark} {folder.system} {folder.environment} {folder.run_id}  {error.what}")
            continue
        for phase, attempt in attempts:
            one = read_attempt(folder.path, phase, attempt)
            ended = (one.result and one.result.ended) or "not ended"
            line = f"{one.stem:<16}{one.verdict!s:<11}{ended:<25}{one.reason}"
            typer.echo(f"    {line.rstrip()}")


def verify(
    run: Annotated[str, typer.Argument(help="A run id, the path of a run folder, or s3://….", show_default=False)],
    key: Annotated[
        str,
        typer.Option("--key", help="The ed25519 public key that must have signed.", metavar="PUB", show_default=False),
    ] = "",
    signers: Annotated[
        str,
        typer.Option(
            "--signers", help="The allowed_signers that must list who approved.", metavar="FILE", show_default=False
        ),
    ] = "",
) -> None:
    """Check that a record is whole, and who signed it.

    Every file must be as the seals and the results name it, none may be missing, none added, and all parts must agree.
    Exit code 1, and a line for each thing that is wrong, when they are not. No network is needed; a record that lies at
    a place is fetched into a temporary folder first. It says nothing about the migration itself: for that, read the
    verdicts.

    \b
    Examples:
        towpath verify 20260131T081500Z-1a2b
        towpath verify outputs/joan/local/20260131T081500Z-1a2b
        towpath verify 20260131T081500Z-1a2b --key towpath.pub
        towpath verify s3://records/towpath/joan/staging/20260131T081500Z-1a2b
    """
    public = load_public(Path(key)) if key else None
    with brought(run) if run.startswith(S3) else contextlib.nullcontext(Path(run)) as path:
        folder = find_run(str(path))
        checks = verify_run(folder, public, Path(signers) if signers else None, _listed(folder))
    failed = [check for check in checks if check.verdict is Verdict.FAIL]
    for check in failed:
        typer.echo(f"FAIL {check.object}: {check.found} (expected {check.expected})")
    if failed:
        typer.echo(f"{len(failed)} of {len(checks)} things are wrong in {folder.run_id}")
        raise typer.Exit(CHECKS_FAILED)
    warned: dict[str, list[str]] = {}
    for check in checks:
        if check.verdict is Verdict.WARN:
            warned.setdefault(check.found, []).append(check.object)
    for found, objects in warned.items():
        typer.echo(f"WARN {', '.join(objects)}: {found}")
    typer.echo(f"PASS {folder.run_id}: {len(checks)} things looked at, all as the record says")


def _listed(folder: RunFolder) -> Path | None:
    """The project's list of who may approve; None outside of a project, and where it has none."""
    with contextlib.suppress(WrongUse):
        path = project_root() / "params" / folder.system / FILE
        return path if path.is_file() else None
    return None


def find_run(name: str) -> RunFolder:
    """The run with this id or at this path.  Raises WrongUse when there is none."""
    path = Path(name)
    if (path / "run.json").is_file():
        parts = path.resolve().parts[-3:]
        return RunFolder(path.resolve(), *parts)
    root = project_root()
    found = [folder for folder in list_runs(root) if folder.run_id == name]
    if not found:
        step = f"use an id that `towpath status` lists, or a folder under {inside(root, root / 'outputs')}"
        raise WrongUse("no such run", object=name, next=step)
    return found[0]
