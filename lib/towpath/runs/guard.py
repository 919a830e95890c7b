"""In a kernel: every message is redacted before it leaves, so that JupyterLab's copy is as clean as papermill's.

JupyterLab saves what the kernel sends, message by message.  So the end of a stream's text that may be the beginning of
a secret is held back until the rest has come, or until the cell is over.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from towpath.runs.redaction import (
    ANNOUNCE,
    ENGINE,
    learn,
    mask_open_end,
    open_end,
    redact,
    redact_message,
    redact_value,
)
from towpath.secrets import known

Watcher = Callable[[dict[str, Any]], None]
_watchers: list[Watcher] = []


def guard(parameters: Mapping[str, Any] | None = None, root: Path | str = "") -> bool:
    """In a kernel: redact every message that leaves it from now on.  False when there is no kernel around.

    Safe to call again.  What the parameters' references hold is learned first; `file:` paths are relative to `root`.
    The engine calls it before the first cell, `open_run` for JupyterLab.
    """
    learn(parameters or {}, Path(root))
    kernel = running_kernel()
    if kernel is None:
        return False
    if not isinstance(kernel.session.serialize, _Guard):
        kernel.session.serialize = _Guard(kernel, kernel.session.serialize)
        kernel.log.addFilter(_no_farewell)
    return True


def running_kernel() -> Any:
    """The kernel that this process is, or None."""
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return kernel if getattr(kernel, "session", None) is not None else None


def watch(watcher: Watcher) -> None:
    """Call `watcher` with every message that a guarded kernel sends, redacted; the newest replaces the one before."""
    _watchers[:] = [watcher]


class _Guard:
    """Stands in for `session.serialize`, through which every message passes."""

    def __init__(self, kernel: Any, serialize: Callable[..., Any]) -> None:
        self._kernel, self._serialize = kernel, serialize
        self._announced: dict[str, str] = {}
        self._to_engine = bool(os.environ.get(ENGINE))  # the engine takes streams as a whole
        self._held: dict[str, tuple[str, Any]] = {}  # stream -> text, parent header
        self._is_sending = False
        self._lock = threading.RLock()  # streams are sent by a thread of their own

    def __call__(self, message: dict[str, Any], ident: Any = None) -> Any:
        kind = message["header"]["msg_type"]
        if kind != ANNOUNCE and isinstance(message.get("content"), dict):
            self._announce(message)
            if kind == "stream":
                self._stream(message)
            elif kind == "execute_reply":
                message["content"] = redact_value(message["content"])
            else:
                if kind == "status" and message["content"].get("execution_state") == "idle":
                    self._send_held()
                redact_message(message)
            for watcher in _watchers:
                watcher(message)
        return self._serialize(message, ident)

    def _send_held(self) -> None:
        """Send what is held back, masked where it is long enough to give something away."""
        with self._lock:
            held, self._held = self._held, {}
            self._is_sending = True
            for name, (text, parent) in held.items():
                content = {"name": name, "text": mask_open_end(text)}
                self._kernel.session.send(self._kernel.iopub_socket, "stream", content, parent={"header": parent})
            self._is_sending = False

    def _announce(self, message: dict[str, Any]) -> None:
        new = {form: name for form, name in known().items() if form not in self._announced}
        if new and self._to_engine and message.get("parent_header"):
            self._announced.update(new)
            parent = {"header": message["parent_header"]}
            self._kernel.session.send(self._kernel.iopub_socket, ANNOUNCE, {"known": new}, parent=parent)

    def _stream(self, message: dict[str, Any]) -> None:
        content, parent = message["content"], message.get("parent_header") or {}
        if self._to_engine:
            content["text"] = redact(content["text"])
            return
        with self._lock:
            if self._is_sending:
                return
            before, _ = self._held.pop(content["name"], ("", None))
            text = redact(before + content["text"])
            end = len(text) - open_end(text)
            if text[end:]:
                self._held[content["name"]] = text[end:], parent
            content["text"] = text[:end]


def _no_farewell(record: logging.LogRecord) -> bool:
    """jupyter_client interrupts a kernel before it shuts it down; the kernel would tell the terminal of an error."""
    return "KeyboardInterrupt caught in kernel" not in record.getMessage()
