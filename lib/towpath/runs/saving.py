"""Papermill's local files, written atomically: a reader and a killed process see the old notebook or the new one."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from papermill.iorw import papermill_io

Refuse = Callable[[dict[str, Any]], None]


def install(refuse: Refuse) -> None:
    """Make papermill's handler for local paths write atomically; relative paths are its own affair as before.

    `refuse` is called with each notebook that papermill has prepared but not run (`--prepare-only`), and may raise.
    Registering a second handler for "local" would have no effect: papermill keeps the oldest.
    """
    handler = papermill_io.get_handler("local")
    handler.write = functools.partial(_write, handler, refuse)


def folder_of(output_path: str | None) -> Path | None:
    """The folder of an output on this machine; None when it goes somewhere else (s3://…, stdout) or nowhere."""
    handler = papermill_io.get_handler("local")
    if not output_path or papermill_io.get_handler(output_path) is not handler:
        return None
    return _resolved(handler, output_path).parent


def _resolved(handler: Any, path: str) -> Path:
    start = handler.cwd(None)  # papermill's way to read it is to set it
    handler.cwd(start)
    return (Path(start or "") / path).resolve()


def _write(handler: Any, refuse: Refuse, text: str, path: str) -> None:
    target = _resolved(handler, path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"output folder {target.parent} doesn't exist.")
    if target.exists() and not target.is_file():  # a device or a pipe is written to, not replaced
        with target.open("w", encoding="utf-8") as file:
            file.write(text)
        return
    notebook = _notebook(text)
    run = notebook.get("metadata", {}).get("papermill", {})
    if "start_time" not in run:
        refuse(notebook)
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            if run.get("end_time"):  # between cells the rename is enough; the last state must survive the machine
                file.flush()
                os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _notebook(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
