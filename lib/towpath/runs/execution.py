"""One notebook through papermill, watched: progress, memory, and signals that leave a true record.

papermill runs in a thread of its own, so that the main thread gets the signals.  The first SIGINT or SIGTERM interrupts
the kernel, whose cell then ends with KeyboardInterrupt, which papermill records as it does any error; after `PATIENCE`
seconds, or with the second signal, the kernel is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from towpath.runs.memory import peak_memory

LOOK = 0.1  # seconds between two looks at the kernel
PATIENCE = 10.0  # seconds that an interrupted kernel has to stop
ENGINE = "towpath"


@dataclass
class Ended:
    """How an execution ended."""

    error: BaseException | None = None  # what papermill raised
    signal: int = 0  # the signal that stopped it
    seconds: float = 0.0
    peak: int | None = None  # bytes


@dataclass
class Interruptions:
    """Signals that arrived during a `with` block, instead of ending the process."""

    numbers: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch SIGINT and SIGTERM where that is possible (in the main thread)."""

        def take(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            self.numbers.append(number)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, take) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def execute(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any],
    environment: Mapping[str, str],
    interruptions: Interruptions,
    look: Callable[[float], None],
) -> Ended:
    """Execute `notebook` into `output`; `look` is called with the seconds so far, about ten times a second.

    `environment` is added to the kernel's.  Never raises for what happens in the notebook: it is in `Ended.error`.
    """
    from papermill.execute import execute_notebook  # three seconds of imports that `--help` need not wait for

    ended = Ended()

    def work() -> None:
        try:
            execute_notebook(
                str(notebook), str(output), parameters=dict(parameters), engine_name=ENGINE, progress_bar=False
            )
        except BaseException as error:
            ended.error = error

    started = time.monotonic()
    before = {child.pid for child in _children()}
    with _environment(environment):
        thread = threading.Thread(target=work, name="papermill", daemon=True)
        thread.start()
        kernel: psutil.Process | None = None
        asked = 0.0
        while thread.is_alive():
            thread.join(LOOK)
            kernel = kernel or _kernel(before)
            if kernel is not None and (peak := peak_memory(kernel.pid)) is not None:
                ended.peak = max(ended.peak or 0, peak)
            seconds = time.monotonic() - started
            if interruptions.numbers:
                ended.signal = interruptions.numbers[0]
                is_late = asked and seconds - asked > PATIENCE
                if kernel is None and not asked:
                    continue  # nothing to interrupt yet; it is starting
                if not asked:
                    asked = seconds
                    _signal(kernel, signal.SIGINT)
                elif is_late or len(interruptions.numbers) > 1:
                    _signal(kernel, signal.SIGKILL)
            look(seconds)
    ended.seconds = time.monotonic() - started
    return ended


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _kernel(before: set[int]) -> psutil.Process | None:
    for child in _children():
        with contextlib.suppress(psutil.Error):
            if child.pid not in before and any("ipykernel" in word for word in child.cmdline()):
                return child
    return None


def _signal(process: psutil.Process | None, number: int) -> None:
    with contextlib.suppress(psutil.Error):
        if process is not None:
            process.send_signal(number)


@contextlib.contextmanager
def _environment(added: Mapping[str, str]) -> Iterator[None]:
    """The kernel inherits this process's environment; there is no other way in through papermill."""
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
