"""One notebook in one kernel: what nbclient does, with clean messages and a true account of how each cell ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient

from towpath.runs.lengths import EXIT, Lengths
from towpath.runs.raw import RawOutput
from towpath.runs.redaction import ANNOUNCE, ENGINE, redact, redact_cell, redact_message, references, root_of_files
from towpath.runs.streams import StreamText
from towpath.secrets import remember

SOCKET_LIMIT = 90  # bytes of a Unix socket's path; the kernel's limit is 108
GUARD = "__import__('towpath.runs.guard', fromlist=['guard']).guard({references!r}, {root!r})"


class Stopped(SystemExit):
    """SIGTERM arrived: the run ends with the exit code a shell expects, and the notebook says why."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class KernelClient(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Runs the cells.  `keep` is the folder for the whole text of long outputs, `stem` names the notebook there."""

    timeout: Any
    clear_before_next_output: bool

    def __init__(self, manager: Any, keep: Path | None, stem: str, **options: Any) -> None:
        super().__init__(manager, **options)
        self._lengths = Lengths(keep, stem)
        self._streams: dict[str, tuple[StreamText, Any]] = {}
        self._cell_id = ""
        self._sockets = ""

    def create_kernel_manager(self) -> Any:
        """A kernel manager that talks over sockets in a private folder instead of TCP ports."""
        manager = super().create_kernel_manager()
        sockets = tempfile.mkdtemp(prefix="towpath-")
        if len(os.fsencode(sockets)) < SOCKET_LIMIT:
            manager.transport, manager.ip = "ipc", f"{sockets}/k"
        self._sockets = sockets
        return manager

    def execute(self, **options: Any) -> Any:
        """Run the notebook.  Raises what ended it; a failed cell only stops it and is marked in the notebook."""
        try:
            with _stoppable(), RawOutput() as raw:
                environment = {**os.environ, ENGINE: "papermill"}
                return super().execute(env=environment, stdout=raw.descriptor, stderr=raw.descriptor, **options)
        finally:
            self.finish_streams()
            shutil.rmtree(self._sockets, ignore_errors=True)

    def start_new_kernel_client(self, **options: Any) -> Any:
        """Connect, and guard the kernel before the first cell."""
        client = super().start_new_kernel_client(**options)
        parameters = self.nb.metadata.get("papermill", {}).get("parameters", {})
        limit, self.timeout = (
            self.timeout,
            self.startup_timeout,
        )  # the cells' time limit is not for the import of the guard
        try:
            told = GUARD.format(references=references(parameters), root=str(root_of_files()))
            reply = self.wait_for_reply(client.execute(told, silent=True))
        finally:
            self.timeout = limit
        if reply is None or reply["content"]["status"] != "ok":
            self.log.warning("The kernel cannot import towpath: only this process masks secrets.")
        make = client.session.msg

        def with_cell_id(kind: str, *args: Any, **named: Any) -> Any:
            # JupyterLab sends the cell's id; nbclient does not, and the journal wants it
            message = make(kind, *args, **named)
            if kind == "execute_request" and self._cell_id:
                message["metadata"]["cellId"] = self._cell_id
            return message

        client.session.msg = with_cell_id
        return client

    def papermill_execute_cells(self) -> None:
        """Run the cells in order up to the first that fails."""
        for index, cell in enumerate(self.nb.cells):
            self._cell_id = str(cell.get("id", ""))
            self._streams = {}
            try:
                self.nb_man.cell_start(cell, index)
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                self.finish_streams()
                reason = EXIT if error.ename == "SystemExit" else f"{error.ename}: {error.evalue}"
                self.nb_man.cell_exception(cell, cell_index=index, exception=error, reason=redact(reason))
                return
            except BaseException as error:
                self.shutdown_kernel = "immediate"  # the cell may be writing: stop it now
                self.finish_streams()
                reason = reason_of(error, self.timeout)
                kind = type(error).__name__
                if "outputs" in cell:
                    cell.outputs.append(
                        part(output_type="error", ename=kind, evalue=reason, traceback=[f"STOP: {reason}"])
                    )
                self.nb_man.cell_exception(cell, cell_index=index, exception=error, reason=reason)
                raise
            finally:
                self.finish_streams()
                self.nb_man.cell_complete(cell, cell_index=index)

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Take one message of the kernel; only its redacted form reaches the notebook."""
        kind = msg["msg_type"]
        if kind == ANNOUNCE:
            for form, name in msg["content"]["known"].items():
                remember(form, name)
            for earlier in self.nb.cells[: cell_index + 1]:
                redact_cell(earlier)
            return None
        if kind == "stream":
            output = self._take_stream(msg, cell, cell_index)
        else:
            redact_message(msg)
            self._lengths.cap(kind, msg["content"], str(cell.get("id", "cell")))
            output = NotebookClient.process_message(self, msg, cell, cell_index)
        self.nb_man.autosave_cell()
        if output and (self.log_output or self.stderr_file or self.stdout_file):
            self.log_output_message(output)
        return output

    def render_streams(self) -> None:
        """Bring what was printed so far into the notebook."""
        for stream, node in self._streams.values():
            node["text"] = stream.text()

    def finish_streams(self) -> None:
        """Bring all that was printed into the notebook and close the files of long outputs."""
        for stream, node in self._streams.values():
            node["text"] = stream.close()
        self._streams = {}

    def _take_stream(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        name, text = msg["content"]["name"], msg["content"]["text"]
        if self.output_hook_stack[msg["parent_header"].get("msg_id")]:
            msg["content"]["text"] = redact(text)
            return NotebookClient.process_message(self, msg, cell, cell_index)
        if self.clear_before_next_output:
            cell.outputs[:] = []
            self.clear_display_id_mapping(cell_index)
            self.clear_before_next_output = False
        stream, node = self._streams.get(name, (None, None))
        if stream is None or not any(output is node for output in cell.outputs):
            # one output per stream and cell, never moved: nbclient finds displays by their position
            stream, node = (
                self._lengths.stream(str(cell.get("id", "cell")), name),
                part(output_type="stream", name=name, text=""),
            )
            cell.outputs.append(node)
            node = cell.outputs[-1]
            self._streams[name] = stream, node
        return part(output_type="stream", name=name, text=stream.feed(text))

    async def _check_raise_for_error(self, cell: Any, cell_index: int, exec_reply: dict[str, Any] | None) -> None:
        content = exec_reply["content"] if exec_reply else {}
        if any(payload.get("source") == "ask_exit" for payload in content.get("payload") or []):
            # exit() and quit() tell the kernel to go and report success
            error = {"ename": "SystemExit", "evalue": EXIT, "traceback": [f"STOP: {EXIT}"]}
            cell.outputs.append(part(output_type="error", **error))
            raise CellExecutionError.from_cell_and_msg(cell, {**error, "status": "error"})
        await super()._check_raise_for_error(cell, cell_index, exec_reply)


def part(**values: Any) -> Any:
    """A part of a notebook (a cell, an output) as nbformat wants it."""
    return nbformat.from_dict(values)  # type: ignore[no-untyped-call]


def reason_of(error: BaseException, timeout: float | None = None) -> str:
    """Why a notebook ended early, in one line for its reader."""
    if isinstance(error, CellTimeoutError):
        return f"timed out after {timeout:g} s" if timeout else "timed out"
    if isinstance(error, DeadKernelError):
        return "the kernel died (killed, out of memory, or a crash in native code)"
    if isinstance(error, Stopped):
        return "stopped by SIGTERM"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by SIGINT (Ctrl-C)"
    return redact(f"{type(error).__name__}: {error}".replace("\n", " "))


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Turn SIGTERM into an exception while a notebook runs, unless somebody else handles it."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Stopped

    if ours:
        signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
