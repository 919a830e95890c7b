"""Errors of notebook cells: one line for the record, the whole trace for the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from towpath.errors import COULD_NOT_FINISH, TowpathError
from towpath.runs.redaction import redact

LONGEST = 500  # characters of an error in a result
_watching: list[Callable[[Any], None]] = []


def error_line(error: BaseException) -> str:
    """An error in one line, known secrets removed."""
    if isinstance(error, TowpathError):
        line = error.line
    elif isinstance(error, KeyboardInterrupt):
        line = "interrupted. Next: run the phase again; receipts in the target say how far it got"
    else:
        line = f"{type(error).__name__}: {error}"
    return redact(" ".join(line.split()))[:LONGEST]


def exit_code_of(error: BaseException) -> int:
    """The exit code that an error stands for."""
    return error.exit_code if isinstance(error, TowpathError) else COULD_NOT_FINISH


def watch_cells(on_error: Callable[[BaseException], None]) -> None:
    """In a notebook, call `on_error` for every cell that raises; the newest caller replaces the one before."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is None:
        return

    def after_cell(outcome: Any) -> None:
        error = outcome.error_before_exec or outcome.error_in_exec
        if isinstance(error, BaseException):
            on_error(error)

    while _watching:
        shell.events.unregister("post_run_cell", _watching.pop())
    shell.events.register("post_run_cell", after_cell)
    _watching.append(after_cell)
