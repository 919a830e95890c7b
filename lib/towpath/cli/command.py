"""The commands.  Each is a few calls into the library; errors are one line on stderr and an exit code.

0 pass   1 checks failed   2 could not finish   3 wrong use   130, 143 stopped by a signal
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from towpath.cli import approval, corpus, local, places, proposal, records, rehearsal, review, shelf, stepping
from towpath.cli.options import Changes, Environment, System, changes_from, help_without_command
from towpath.errors import COULD_NOT_FINISH, WRONG_USE, TowpathError, WrongUse
from towpath.plan.plan import make_plan
from towpath.plan.problems import PlanRefused
from towpath.plan.root import project_root
from towpath.runs.redaction import learn, redact, root_of_files

HELP = """Towpath moves a running application to Cloudflare, phase by phase; the record proves that nothing was lost.

Each phase is a notebook. This command runs them in order through their gates and writes the record. Plain papermill
and JupyterLab go through the same gates and write the same results; pages for reviewers are written here alone.

A first voyage, on this machine:

\b
    towpath local up joan --env local   start Cloudflare's own runtime
    towpath plan joan --env local       read what will be done, and its hash
    towpath run joan --env local        do it, as far as it is PASS
    towpath status joan                 see what ran, and how it ended

Exit codes: 0 pass, 1 checks failed, 2 could not finish, 3 wrong use, 130 or 143 stopped by a signal.
"""

app = typer.Typer(help=HELP, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.callback(invoke_without_command=True)(help_without_command)
app.add_typer(local.app, name="local")
app.add_typer(places.app, name="place")
app.command("list")(shelf.list_all)
app.command("prune")(shelf.prune)
app.command("status")(records.status)
app.command("rehearse")(rehearsal.rehearse)
app.command("review")(review.review)
app.command("verify")(records.verify)
app.command("approve")(approval.approve)
app.command("prepare")(stepping.prepare)
app.command("seal")(stepping.seal)
app.command("corpus")(corpus.corpus)


@app.command("run")
def run(
    system: System,
    env: Environment,
    phase: Annotated[
        list[str] | None, typer.Option("--phase", help="Only this phase, in the current run; repeatable.", metavar="P")
    ] = None,
    start: Annotated[str, typer.Option("--from", help="This phase and those after it.", metavar="P")] = "",
    approve: Annotated[
        str | None,
        typer.Option("--approve", help="The plan hash: a real run, if the plan still has it.", metavar="HASH"),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="The target fingerprint that the dry run printed.", metavar="FP")
    ] = None,
    run_id: Annotated[str, typer.Option("--run", help="Go on in this run.", metavar="ID")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; ending before the first write is then exit code 0.")
    ] = False,
    kept_at: places.Place = "",
    param: Changes = None,
) -> None:
    """Run phases up to one that is not PASS.

    Without --phase and --from, all phases in a new run. Phases that write to the target are dry runs until the plan is
    approved: the dry run prints what it would do, and the words to approve it with. It then ends with exit code 2, so
    that no pipeline takes it for a migration, unless --dry-run says that nothing else was wanted.

    \b
    Examples:
        towpath run joan --env local
        towpath run joan --env staging --dry-run
        towpath run joan --env staging --phase 02-schema --approve 5f0c…
        towpath run joan --env local --from 04-import
        towpath run joan --env local --phase 05-validate
    """
    from towpath.runs.runner import run_system
    from towpath.runs.starting import Order

    for option, value in (("--approve", approve), ("--target", target)):
        if value is not None and not value.strip():
            raise WrongUse("is empty", object=option, next="give what the dry run printed, or leave the option out")
    if dry_run and approve:
        raise WrongUse("--dry-run and --approve exclude each other", next="use one of them")
    order = Order(
        system=system,
        environment=env,
        phases=tuple(phase or ()),
        start=start,
        approve=approve or "",
        target=target or "",
        run_id=run_id,
        dry_run=dry_run,
        overrides=changes_from(param),
    )
    raise typer.Exit(run_system(order, keeper=places.keeper_for(kept_at)))


@app.command("plan")
def plan(
    system: System,
    env: Environment,
    proposing: Annotated[
        bool, typer.Option("--propose", help="Print what mapping.yaml lacks for the newest inventory's findings.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="With --propose: append it to mapping.yaml.")] = False,
    to: Annotated[
        str, typer.Option("--to", help="With --propose: write the whole mapping to a new file.", metavar="FILE")
    ] = "",
    param: Changes = None,
) -> None:
    """Print a plan and its hash, or propose what its mapping.yaml lacks.

    Every file that belongs to it is validated first, and every notebook must declare the params. The plan is params,
    runbook, mapping and waivers. Approving its hash approves exactly this: one changed value, and the approval is void.

    A proposal answers findings of the newest 01-inventory (and 02-schema) that mapping.yaml does not answer: by a row
    where an answer loses nothing, by comments with every answer where only a person can choose. It prints, unless
    --write or --to is given, and changes no row that is there.

    \b
    Examples:
        towpath plan joan --env staging
        towpath plan joan --env local --propose
        towpath plan joan --env local --propose --write
    """
    from towpath.runs.notebooks import check_parameters, notebook_path
    from towpath.runs.starting import Order, load_order

    if (write or to) and not (proposing and bool(write) != bool(to)):
        raise WrongUse("--write and --to exclude each other, and belong to --propose", next="use one of them with it")
    root = project_root()
    made = make_plan(load_order(root, Order(system, env, overrides=changes_from(param))), root)
    if proposing:
        proposal.run_proposal(made, root, write=write, to=to)
        return
    for phase in made.runbook.phases:
        check_parameters(root, notebook_path(root, phase))
    for line in made.lines():
        typer.echo(line)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and end the process with its exit code."""
    sys.exit(run_command(arguments))


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; errors are one line each on stderr."""
    try:
        code = app(args=list(arguments) if arguments is not None else None, prog_name="towpath", standalone_mode=False)
    except PlanRefused as refused:
        for problem in refused.problems:
            _say(problem.text)
        return refused.exit_code
    except TowpathError as error:
        _say(error.line)
        return error.exit_code
    except typer.TyperException as error:  # an unknown option, a missing argument, …
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "towpath"
        _say(f"{error.format_message().rstrip('.')}. Next: read `{path} --help`")
        return WRONG_USE
    except (typer.Abort, KeyboardInterrupt):
        _say("stopped by SIGINT")
        return 130
    except OSError as error:
        _say(f"{error.filename or 'the system'}: {error.strerror or error}. Next: repair it and start again")
        return COULD_NOT_FINISH
    except Exception as error:
        typer.echo(_clean(traceback.format_exc()), err=True)
        _say(f"{type(error).__name__}, which Towpath did not expect. Next: report it, with the lines above")
        return COULD_NOT_FINISH
    return code if isinstance(code, int) else 0


def _say(text: str) -> None:
    typer.echo(f"towpath: {_clean(text)}", err=True)


def _clean(text: str) -> str:
    """The text without the secrets of this machine: what a terminal shows is kept by CI."""
    learn({}, root_of_files())
    return redact(text)
