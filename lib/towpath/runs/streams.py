"""What a cell prints: one merged text per stream, redacted as a whole, cut in the middle when it is long.

A secret can arrive in two messages, so nothing that may be the beginning of one is shown before the rest is there.
The whole text of a long output goes to a file in log/, and the cell names that file and its SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import IO

from towpath.runs.redaction import ANSI, mask_open_end, open_end, redact
from towpath.secrets import known

HEAD = TAIL = 4_000  # characters shown of a long text, at its beginning and at its end
LINES = 40  # lines shown of it, at its beginning and at its end
LINE = 64_000  # a line longer than this is passed on in pieces
_OPEN_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*)?$")


class LongText:
    """A text that grows: its first and last lines in memory, all of it in `path` once it is long."""

    def __init__(self, path: Path | None, shown: str = "") -> None:
        self.path, self.shown = path, shown or (path.name if path else "")
        self.size = self.lines = 0
        self.sha256 = ""
        self._head, self._tail = "", ""
        self._is_cut = False
        self._file: IO[bytes] | None = None
        self._sha = hashlib.sha256()
        self._trouble = ""

    def put(self, text: str) -> None:
        """Append text that is already redacted."""
        self.size += len(text)
        self.lines += text.count("\n")
        self._write(text)
        room = HEAD - len(self._head) if not self._tail else 0
        self._head += text[:room] if room > 0 else ""
        self._tail += text[room:] if room > 0 else text
        if len(self._tail) > 2 * TAIL:
            if not self._is_cut:
                self._is_cut = True
                self._open()
                self._write(self._head + self._tail)
            self._tail = self._tail[-TAIL:]

    def text(self) -> str:
        """What the notebook shows."""
        if not self._is_cut:
            return self._head + self._tail
        head, tail = self._head, self._tail[-TAIL:]
        if "\n" in head:
            head = "".join(head[: head.rindex("\n") + 1].splitlines(keepends=True)[:LINES])
        if "\n" in tail[:-1]:
            tail = "".join(tail[tail.index("\n") + 1 :].splitlines(keepends=True)[-LINES:])
        return f"{head}\n… {self.lines:,} lines, {self.size:,} characters in all; {self._where()} …\n\n{tail}"

    def close(self) -> None:
        """Finish the file; after this `sha256` names its content."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self.sha256 = self._sha.hexdigest()

    def _where(self) -> str:
        if self.path is None or self._trouble:
            return f"the middle was not kept{': ' + self._trouble if self._trouble else ''}"
        return f"whole text in {self.shown}" + (f", sha256 {self.sha256}" if self.sha256 else ", still being written")

    def _open(self) -> None:
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("wb")
        except OSError as error:
            self._trouble = error.strerror or type(error).__name__

    def _write(self, text: str) -> None:
        if self._file is None:
            return
        data = text.encode("utf-8", "backslashreplace")
        try:
            self._file.write(data)
            self._sha.update(data)
        except OSError as error:  # a full disk must not stop the run: the loss is said in the cell
            self._trouble, self._file = error.strerror or type(error).__name__, None


class StreamText:
    """One stream (stdout or stderr) of one cell, as a terminal would show it."""

    def __init__(self, path: Path | None, shown: str = "") -> None:
        self._kept = LongText(path, shown)
        self._line = ""  # the unfinished line, as it came

    def feed(self, text: str) -> str:
        """Take the text of one message; returns the finished lines, redacted, for a terminal log."""
        line = self._line + text
        finished, newline, line = line.rpartition("\n")
        out = _shown(finished) + newline if newline else ""
        if "\r" in line.rstrip("\r"):
            line = _last_state(line)
        if len(line) > LINE:
            line = redact(ANSI.sub("", line))
            hold = max([4096, *(len(form) for form in known())])
            out, line = out + line[:-hold], line[-hold:]
        self._line = line
        if out:
            self._kept.put(out)
        return out

    def text(self) -> str:
        """What the notebook may show now; a possible beginning of a secret stays back."""
        line = _OPEN_ESCAPE.sub("", self._line)
        shown = _shown(line)
        return self._kept.text() + shown[: len(shown) - open_end(shown)]

    def close(self) -> str:
        """The final text; a secret that was cut off is masked."""
        self._kept.put(mask_open_end(_shown(_OPEN_ESCAPE.sub("", self._line))))
        self._line = ""
        self._kept.close()
        return self._kept.text()


def _shown(text: str) -> str:
    text = ANSI.sub("", text)
    if "\r" in text or "\b" in text:
        text = "\n".join(_last_state(line).rstrip("\r") for line in text.split("\n"))
    return redact(text)


def _last_state(line: str) -> str:
    """A line after its carriage returns and backspaces: what a person would see."""
    end = "\r" if line.endswith("\r") else ""
    line = line.rstrip("\r").rpartition("\r")[2] + end
    if "\b" in line:
        seen: list[str] = []
        for character in line:
            if character != "\b":
                seen.append(character)
            elif seen:
                seen.pop()
        line = "".join(seen)
    return line
