"""What a notebook shows, as the kernel sent it: the proof that nobody edited the outputs of a stepped notebook.

The kernel keeps the outputs of each cell as a front end does (streams joined, displays rewritten in place) and notes
the SHA-256 of each in a working file, `log/<stem>.outputs.json`; `towpath seal` compares the saved notebook with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from towpath.errors import CannotFinish
from towpath.runs.files import write_json
from towpath.runs.guard import running_kernel, watch

_SHOWN = frozenset({"display_data", "execute_result", "error"})


class Outputs:
    """The outputs of cells, built from the kernel's messages."""

    def __init__(self) -> None:
        self._of: dict[str, list[dict[str, Any]]] = {}  # by the id of the message that asked for them
        self._clears: set[str] = set()
        self._lock = threading.Lock()

    def take(self, message: Mapping[str, Any]) -> None:
        """One message that left the kernel."""
        kind, content = message["header"]["msg_type"], message["content"]
        asked = str((message.get("parent_header") or {}).get("msg_id", ""))
        with self._lock:
            if kind == "update_display_data":
                self._rewrite(content)
            elif kind == "clear_output":
                if content.get("wait"):
                    self._clears.add(asked)
                else:
                    self._of[asked] = []
            elif kind == "stream" or kind in _SHOWN:
                if asked in self._clears:
                    self._clears.discard(asked)
                    self._of[asked] = []
                # serialised now: the sender may change its dictionaries later
                self._of.setdefault(asked, []).append({"output_type": kind, **json.loads(json.dumps(content))})

    def of(self, asked: str) -> list[dict[str, Any]]:
        """The outputs that one message asked for."""
        with self._lock:
            return list(self._of.get(asked, ()))

    def _rewrite(self, content: Mapping[str, Any]) -> None:
        name = (content.get("transient") or {}).get("display_id")
        for outputs in self._of.values():
            for output in outputs:
                if name and (output.get("transient") or {}).get("display_id") == name:
                    output["data"] = json.loads(json.dumps(content["data"]))


def digests(outputs: Iterable[Mapping[str, Any]]) -> list[str]:
    """SHA-256 of each output, alike for the kernel's messages and for what a front end saved of them."""
    return [
        hashlib.sha256(json.dumps(one, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
        for one in _plain(outputs)
    ]


def _plain(outputs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            text = _joined(output["text"])
            if made and made[-1].get("stream") == output["name"]:
                made[-1]["text"] += text
            elif text:
                made.append({"stream": output["name"], "text": text})
        elif kind == "error":
            made.append({"error": [output["ename"], output["evalue"], list(output["traceback"])]})
        else:
            made.append({kind: {mime: _joined(value) for mime, value in output["data"].items()}})
    for one in made:
        if "stream" in one:
            one["text"] = _on_screen(one["text"])
    return made


def _joined(value: Any) -> Any:
    """nbformat keeps a text as a list of its lines."""
    is_lines = isinstance(value, list) and all(isinstance(line, str) for line in value)
    return "".join(value) if is_lines else value


def _on_screen(text: str) -> str:
    """A text after its carriage returns and backspaces, which move back and let the next characters overwrite."""
    if "\r" not in text and "\b" not in text:
        return text
    lines = []
    for line in text.split("\n"):
        seen: list[str] = []
        at = 0
        for character in line:
            if character == "\r":
                at = 0
            elif character == "\b":
                at = max(0, at - 1)
            else:
                seen[at : at + 1] = [character]
                at += 1
        lines.append("".join(seen))
    return "\n".join(lines)


def note_path(folder: Path, stem: str) -> Path:
    """Where the kernel notes what the cells of an attempt show; `towpath seal` removes it."""
    return folder / "log" / f"{stem}.outputs.json"


def keep_note(path: Path) -> None:
    """From now on, note what this kernel's cells show, whenever one is over.  Nothing happens outside a kernel."""
    kernel = running_kernel()
    if kernel is None:
        return
    outputs = Outputs()
    asked: dict[str, str] = {}  # cell -> the message that executed it last
    first: list[str] = []

    def executed(outcome: Any) -> None:
        cell = str(getattr(outcome.info, "cell_id", None) or "")
        asked[cell] = str(kernel.get_parent().get("header", {}).get("msg_id", ""))
        first[:] = first or [cell]

    def sent(message: dict[str, Any]) -> None:
        outputs.take(message)
        parent = str((message.get("parent_header") or {}).get("msg_id", ""))
        if message["content"].get("execution_state") == "idle" and parent in asked.values():
            shown = {name: digests(outputs.of(one)) for name, one in asked.items()}
            with contextlib.suppress(CannotFinish):  # a full disk: without the note nothing is sealed
                write_json(path, {"first": first[0], "cells": shown})

    watch(sent)
    kernel.shell.events.register("post_run_cell", executed)
