"""Progress of long work: one display that is rewritten, and JSON lines for the terminal that runs the notebook.

The display is no widget: the saved notebook holds the last state as plain HTML and text.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from towpath.show.markup import Shown, amount, displayed, duration, escaped, shell

FILE = "TOWPATH_PROGRESS"  # environment variable: the file that `towpath run` reads
EVERY = 0.25  # seconds between two updates
WINDOW = 10.0  # seconds over which the present rate is taken
_numbers = itertools.count(1)


class Meter:
    """Counts what is done; call it with the number of items done since the last call.  Threads may share it."""

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self.started = time.monotonic()
        self.ended: float | None = None
        self.reason = ""
        self._seen: deque[tuple[float, int]] = deque([(self.started, 0)])
        self._last = 0.0
        self._lock = threading.Lock()
        self._handle: Any = None
        self._file = os.environ.get(FILE, "")

    def __call__(self, done: int, /) -> None:
        """Report `done` more items."""
        with self._lock:
            self.done += done
            now = time.monotonic()
            if now - self._last >= EVERY:
                self._last = now
                self._seen.append((now, self.done))
                while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW:
                    self._seen.popleft()
                self._publish()

    @property
    def seconds(self) -> float:
        """Seconds since the start, or until the end."""
        return (self.ended if self.ended is not None else time.monotonic()) - self.started

    @property
    def rate(self) -> float | None:
        """Items per second: lately while it runs, over all when it has ended; None before there is one."""
        if self.ended is not None:
            return self.done / self.seconds if self.seconds > 0 else None
        (then, before), now = self._seen[0], time.monotonic()
        return (self.done - before) / (now - then) if now - then > EVERY else None

    @property
    def left(self) -> float | None:
        """Seconds left, where a total and a rate are known."""
        if self.ended is not None or not self.total or not self.rate:
            return None
        return max(0, self.total - self.done) / self.rate

    @property
    def state(self) -> dict[str, Any]:
        """The state as the terminal's file has it: label, done, total, unit, rate (items/s), left (s)."""
        rate, left = self.rate, self.left
        return {
            "label": self.label,
            "done": self.done,
            "total": self.total,
            "unit": self.unit,
            "rate": round(rate, 1) if rate else None,
            "left": round(left, 1) if left is not None else None,
        }

    @property
    def line(self) -> str:
        """The state in one line."""
        text = f"{self.label}: {amount(self.done, '' if self.total else self.unit)}"
        if self.unit == "bytes":
            text = f"{self.label}: {amount(self.done, self.unit)}"
        if self.total:
            text += f" of {amount(self.total, self.unit)} ({min(100, 100 * self.done / self.total):.0f} %)"
        if self.rate:
            text += f", {amount(self.rate, self.unit)}/s"
        if self.reason:
            return f"{text}, stopped after {duration(self.seconds)}: {self.reason}"
        if self.ended is not None:
            return f"{text}, in {duration(self.seconds)}"
        return f"{text}, {duration(self.left)} left" if self.left is not None else text

    @property
    def shown(self) -> Shown:
        """The state as a bar with its line; nothing where there was nothing to do, which another line says."""
        if self.ended is not None and not self.reason and not self.total and not self.done:
            return Shown("", "")
        bar = ""
        if self.total or self.ended is not None:
            total = self.total or max(self.done, 1)
            style = "width:14em;max-width:40%;vertical-align:middle;margin-right:.8em"
            values = f'value="{min(self.done, total)}" max="{total}" aria-label="{escaped(self.label)}"'
            bar = f'<progress {values} style="{style}"></progress>'
        return Shown(f'<div style="font-variant-numeric:tabular-nums">{bar}{escaped(self.line)}</div>', self.line)

    def open(self) -> None:
        """Show the first state."""
        if shell() is not None:
            self._handle = displayed(self.shown, f"towpath-progress-{next(_numbers)}")
        self._write()

    def close(self, reason: str = "") -> None:
        """Show the last state, which stays."""
        with self._lock:
            self.ended, self.reason = time.monotonic(), reason
            self._publish()

    def _publish(self) -> None:
        if self._handle is not None:
            self._handle.update(self.shown.bundle, raw=True)
        self._write()

    def _write(self) -> None:
        if not self._file:
            return
        try:
            with open(self._file, "a", encoding="utf-8") as file:  # noqa: PTH123  # one write, one line
                file.write(json.dumps(self.state) + "\n")
        except OSError:  # a terminal that shows nothing must not stop the work
            self._file = ""


@contextlib.contextmanager
def progress(label: str, total: int | None = None, unit: str = "rows") -> Iterator[Meter]:
    """Show how far long work is; yields what to call with the number of items done since the last call.

    with progress("export", total=200_000, unit="rows") as report:
        export(..., report=report)
    """
    meter = Meter(label, total, unit)
    meter.open()
    try:
        yield meter
    except BaseException as error:
        meter.close(type(error).__name__)
        raise
    meter.close()
