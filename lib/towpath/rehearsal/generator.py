"""The process in which the clients live: `python -m towpath.rehearsal.generator <folder>`.

The folder holds order.json (what is asked), control (one word: go, pause, stop) and what this process writes: state,
requests.jsonl and ledger.jsonl.  It outlives every restart of gateway, runtime and old application; it ends when it is
told to stop, by SIGTERM, or when its stdin closes because whoever started it has died.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from towpath.errors import CannotFinish
from towpath.rehearsal.application import application_of
from towpath.rehearsal.clients import Client, Shared
from towpath.rehearsal.ledger import Ledger

LOOK = 0.05  # seconds between two looks at `control`
PATIENCE = 60.0  # seconds until it does what it was told: a request may take 15


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a generator.  `rate` is requests a second, of all clients together."""

    root: str
    system: str
    data: str  # the old application's folder
    url: str
    prefix: str
    seed: int = 1
    clients: int = 12
    rate: float = 25.0


@dataclass(frozen=True, slots=True)
class Generator:
    """A generator that runs, seen from the process that started it."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def ledger(self) -> Path:
        """Every write."""
        return self.folder / "ledger.jsonl"

    @property
    def requests(self) -> Path:
        """Every request."""
        return self.folder / "requests.jsonl"

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nobody writes or reads meanwhile, and nothing is under way.  Raises CannotFinish."""
        self._say("pause", "paused")
        try:
            yield
        finally:
            self._say("go", "going")

    def stop(self) -> None:
        """Let everybody come to an end; may be repeated.  Raises CannotFinish."""
        if self.process.poll() is None:
            self._say("stop", "stopped")
            self.process.wait(PATIENCE)

    def _say(self, word: str, until: str) -> None:
        _put(self.folder / "control", word)
        self._wait(lambda: _get(self.folder / "state") == until)

    def _wait(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            if self.process.poll() is not None and not holds():
                said = (self.folder / "generator.log").read_text(encoding="utf-8", errors="replace").strip()
                what = f"the traffic generator ended with {self.process.returncode}: {said[-500:]}"
                raise CannotFinish(what, object=str(self.folder), next="read generator.log there")
            if time.monotonic() > end:
                what = f"the traffic generator does not obey after {PATIENCE:.0f} s"
                raise CannotFinish(what, object=str(self.folder), next="read generator.log there")
            time.sleep(LOOK)


@contextmanager
def generating(folder: Path, order: Order) -> Iterator[Generator]:
    """Run a generator for the length of a `with` block, in a folder that no other has written to."""
    folder.mkdir(parents=True)
    (folder / "order.json").write_bytes(orjson.dumps(asdict(order), option=orjson.OPT_INDENT_2))
    _put(folder / "control", "go")
    with (folder / "generator.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "towpath.rehearsal.generator", str(folder)],
            cwd=order.root,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    generator = Generator(folder, process)
    try:
        generator._wait(lambda: _get(folder / "state") == "going")
        yield generator
        generator.stop()
    finally:
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        process.kill()
        process.wait()


async def generate(folder: Path, order: Order, stop: asyncio.Event) -> None:
    """Let the clients live until `control` says stop, or `stop` is set."""
    ledger = Ledger(folder / "ledger.jsonl")
    with (folder / "requests.jsonl").open("ab", buffering=0) as requests:  # others read it meanwhile

        def note(line: dict[str, Any]) -> None:
            requests.write(orjson.dumps(line) + b"\n")

        application = application_of(Path(order.root), order.system)
        application.prepare(Path(order.data))
        shared = Shared(application, ledger, note, order.url, order.prefix)
        clients = [Client(shared, number, order.clients, order.seed) for number in range(order.clients)]
        shared.going.set()
        pause = order.clients / order.rate
        lives = [asyncio.create_task(client.live(pause)) for client in clients]
        state = "going"
        _put(folder / "state", state)
        while not (stop.is_set() or _get(folder / "control") == "stop"):
            broken = [life for life in lives if life.done()]
            if broken:
                break
            wanted = _get(folder / "control")
            if wanted == "pause":
                shared.going.clear()
            elif not shared.going.is_set():
                shared.going.set()
            now = "going" if shared.going.is_set() else "paused" if shared.busy == 0 else state
            if now != state:
                state = now
                _put(folder / "state", state)
            await asyncio.sleep(LOOK)
        shared.over = True
        shared.going.set()
        await asyncio.gather(*lives)
    ledger.close()
    _put(folder / "state", "stopped")


def main(folder: Path) -> None:
    """Run the generator of this folder."""
    order = Order(**orjson.loads((folder / "order.json").read_bytes()))

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)

        def orphaned() -> None:
            os.read(0, 1)  # not through a buffer, which the interpreter locks when it ends
            with contextlib.suppress(RuntimeError):  # it is over already
                loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=orphaned, daemon=True).start()
        await generate(folder, order, stop)

    asyncio.run(run())


def _put(path: Path, word: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.write_text(word, encoding="utf-8")
    draft.replace(path)


def _get(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
