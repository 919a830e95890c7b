"""Options that several commands share, and what they mean."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import yaml

from towpath.errors import WRONG_USE, WrongUse
from towpath.plan.params import APPROVALS, Params

System = Annotated[str, typer.Argument(help="A folder under runbooks/, e.g. joan.", show_default=False)]
AnySystem = Annotated[str, typer.Argument(help="Only this system; without it, all.", show_default=False)]
Environment = Annotated[
    str,
    typer.Option(
        "--env",
        "-e",
        help="local, rehearsal, staging or production: which file under params/<system>/.",
        show_default=False,
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--param", help="Another value for one key of the params file, as key=value; repeatable.", metavar="K=V"
    ),
]


def help_without_command(context: typer.Context) -> None:
    """Print the help where a command is missing; that is wrong use."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(WRONG_USE)


def changes_from(words: list[str] | None) -> dict[str, Any]:
    """`key=value` words as params; values are read as YAML does.  Raises WrongUse."""
    changes: dict[str, Any] = {}
    for word in words or []:
        key, equals, text = word.partition("=")
        if not equals or key not in Params.model_fields:
            known = ", ".join(Params.model_fields)
            raise WrongUse(
                "is no key of the params", object=f"--param {key}", next=f"write key=value with one of {known}"
            )
        if key in APPROVALS:
            option = {"approved_plan": "--approve", "approved_target": "--target", "run_id": "--run"}[key]
            raise WrongUse("is not given this way", object=f"--param {key}", next=f"use {option}")
        try:
            value = yaml.safe_load(text) if Params.model_fields[key].annotation is not str else text
        except yaml.YAMLError:
            value = text
        changes[key] = value
    return changes
