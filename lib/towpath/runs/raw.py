"""What a kernel's process writes past the kernel: C libraries and child processes, straight to its terminal.

Nothing of that is a message, so no guard sees it; and what a terminal shows, CI keeps.  So the process gets a pipe
instead of the terminal, and each line is passed on without secrets.
"""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType

from towpath.runs.redaction import mask_open_end, redact

LINE = 64_000  # bytes; a longer line is passed on in pieces
PATIENCE = 2.0  # seconds to read what is left; a child that was left running keeps the pipe open


class RawOutput:
    """A pipe whose lines come out on this process's stderr.  `descriptor` is for the process that is started."""

    def __enter__(self) -> RawOutput:
        reading, self.descriptor = os.pipe()
        self._thread = threading.Thread(target=_pass_on, args=(reading,), name="raw output", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)
        self._thread.join(PATIENCE)


def _pass_on(reading: int) -> None:
    rest = b""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while piece := pipe.read(LINE):
            lines, newline, rest = (rest + piece).rpartition(b"\n")
            if len(rest) > LINE:
                lines, newline, rest = lines + newline + rest, b"", b""
            if lines or newline:
                _say(redact((lines + newline).decode("utf-8", "replace")))
    if rest:
        _say(mask_open_end(redact(rest.decode("utf-8", "replace"))))


def _say(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody listens any more
        return
