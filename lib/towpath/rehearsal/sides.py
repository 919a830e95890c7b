"""Both sides of a rehearsal as processes: the served old application, and who watches the gateway's setting."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from towpath.cloudflare.kv import KV
from towpath.errors import CannotFinish, TowpathError, WrongUse
from towpath.local import processes, servers
from towpath.traffic import setting

PATIENCE = 60.0  # seconds until the old application answers, or has ended
LOOK = 0.1  # seconds between two looks at the setting


@dataclass
class OldSide:
    """The old application, served by its own command; it may be killed and started again."""

    root: Path
    system: str
    data: Path
    url: str
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    _leash: ExitStack = field(default_factory=ExitStack, init=False, repr=False)

    def start(self) -> None:
        """Serve it, and wait until it answers.  Raises WrongUse for a port in use, CannotFinish.

        It ends with this process, in whatever way that ends.
        """
        port = urllib.parse.urlsplit(self.url).port
        if port is None or not processes.freed(port):
            who = processes.described(processes.holder(port)) if port else "nobody: source_url names no port"
            raise WrongUse(f"port {port} is in use by {who}", object="source_url", next="stop it, or name another port")
        serve = (sys.executable, "-m", f"runbooks.{self.system}.legacy", "serve")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*serve, "--data", str(self.data), "--port", str(port)],
                cwd=self.root,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._leash.enter_context(servers.ending_with_us(self.process.pid, signal.SIGTERM))
        end = time.monotonic() + PATIENCE
        while not (self._answers() and self._listens(port)):
            if self.process.poll() is not None or time.monotonic() > end:
                said = self.log.read_text(encoding="utf-8", errors="replace").strip()[-500:]
                what = f"the old application does not answer: {said}"
                raise CannotFinish(what, object=self.url, next=f"read {self.log}")
            time.sleep(LOOK)

    def kill(self) -> None:
        """As a crash does it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._leash.close()

    def stop(self) -> None:
        """Ask it to end, and wait."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
        self._leash.close()

    def _listens(self, port: int) -> bool:
        """Whether it is this process that answers: somebody else may have taken a free port a moment before it."""
        holder = processes.holder(port)
        return self.process is not None and (holder is None or holder.pid == self.process.pid)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", trust_env=False, timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def served(old: OldSide) -> Iterator[OldSide]:
    """The old application for the length of a `with` block."""
    try:
        old.start()
        yield old
    finally:
        old.stop()


@dataclass
class Changes:
    """The settings that the gateway was given, in their order: (when it was first seen, the setting)."""

    found: list[tuple[int, setting.Setting]] = field(default_factory=list)

    @property
    def modes(self) -> dict[int, str]:
        """Revision -> mode."""
        return {one.revision: str(one.mode) for _, one in self.found}

    def add(self, one: setting.Setting) -> None:
        """Note a setting; one that is known is not noted again."""
        if not self.found or self.found[-1][1] != one:
            self.found.append((time.time_ns() // 1_000_000, one))


@contextmanager
def watched(kv: KV, changes: Changes) -> Iterator[None]:
    """Note every setting that stands in KV meanwhile, some times a second; silence of KV is no error."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK):
            with contextlib.suppress(TowpathError):
                found = setting.read(kv)
                if found is not None:
                    changes.add(found)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
