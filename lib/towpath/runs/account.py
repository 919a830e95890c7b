"""Papermill's account of how a notebook ran (`metadata.papermill`), told truthfully.

Papermill marks every cell completed when a run ends by a time-out, a dead kernel or Ctrl-C.  Here the running cell is
failed with the reason, cells that never ran stay pending, and the notebook says on top that it did not come to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from papermill.engines import NotebookExecutionManager
from papermill.execute import ERROR_MARKER_TAG
from papermill.log import logger

from towpath.runs.kernel import KernelClient, part, reason_of
from towpath.runs.redaction import redact_notebook, redact_value
from towpath.runs.saving import folder_of

OUTPUT_PATIENCE = 300  # seconds to take what a cell printed after it has ended; nbclient gives up after 4


class Account(NotebookExecutionManager):  # type: ignore[misc]  # papermill has no types
    """Papermill's manager without its kindness at the end, and with merged streams before each save."""

    before_save: Callable[[], None] | None = None

    def save(self, **options: Any) -> None:
        """Write the notebook as it stands."""
        if self.before_save is not None:
            self.before_save()
        super().save(**options)

    def cell_exception(self, cell: Any, cell_index: int | None = None, **options: Any) -> None:
        """The cell failed; `reason` says why."""
        super().cell_exception(cell, cell_index=cell_index, **options)
        self.nb.metadata.papermill["reason"] = cell.metadata.papermill["reason"] = options.get("reason", "")

    def notebook_complete(self, **_options: Any) -> None:
        """The run is over, however it ended: note the time, and leave every cell's status as it is."""
        self.end_time = self.now()
        self.nb.metadata.papermill["end_time"] = self.end_time.isoformat()
        if self.start_time is not None:
            self.nb.metadata.papermill["duration"] = (self.end_time - self.start_time).total_seconds()
        self.cleanup_pbar()
        redact_notebook(self.nb)  # every message was clean; this is for what was learned late
        self.save()

    def not_finished(self, error: BaseException) -> None:
        """Something other than a cell ended the run: say so on top of the notebook and in its metadata."""
        account = self.nb.metadata.papermill
        reason = account.get("reason") or f"the kernel did not start: {reason_of(error)}"
        account["exception"], account["reason"] = True, reason
        first = next((c for c in self.nb.cells if c.metadata.get("papermill", {}).get("status") == self.FAILED), None)
        where = f" in cell {first.get('id', '')}" if first is not None else ""
        marker = part(
            cell_type="markdown",
            id="incomplete",
            metadata={"tags": [ERROR_MARKER_TAG], "papermill": {"status": self.COMPLETED}},
            source=f"**INCOMPLETE**{where}: {reason}. Later cells did not run.",
        )
        self.nb.cells.insert(0, marker)


def execute(
    nb: Any,
    kernel_name: str,
    output_path: str | None = None,
    progress_bar: Any = True,
    log_output: bool = False,
    autosave_cell_every: int = 30,
    start_timeout: int = 60,
    execution_timeout: int | None = None,
    **options: Any,
) -> Any:
    """Run a notebook as papermill's own engine does, and return it.

    A cell that fails is marked and stops the run; papermill raises for it.  Anything else that ends the run (time-out
    in seconds per cell, dead kernel, kernel that does not start, Ctrl-C, SIGTERM) is written down and raised again.
    """
    for unused in ("input_path", "timeout", "startup_timeout"):
        options.pop(unused, None)
    account = Account(
        nb, output_path, progress_bar=progress_bar, log_output=log_output, autosave_cell_every=autosave_cell_every
    )
    folder = folder_of(output_path)
    nb.metadata.papermill = redact_value(nb.metadata.papermill)
    client = KernelClient(
        account,
        keep=folder / "log" if folder is not None else None,
        stem=Path(output_path or "notebook").name.removesuffix(".ipynb").removesuffix(".partial"),
        kernel_name=kernel_name,
        timeout=execution_timeout,
        startup_timeout=start_timeout,
        log_output=log_output,
        log=logger,
        **options,
    )
    client.iopub_timeout = OUTPUT_PATIENCE
    account.before_save = client.render_streams
    account.notebook_start()
    try:
        client.execute()
    except BaseException as error:
        account.not_finished(error)
        raise
    finally:
        account.notebook_complete()
    return nb
