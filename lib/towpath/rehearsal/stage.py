"""The stage of a rehearsal: both sides up, the gateway before them, clients at work; and what can be done on it.

The acts (drive.py) and the tests of kills stand on it alike.  Phases are run as people run them, by the command.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from towpath.cloudflare.client import Client
from towpath.cloudflare.d1 import D1
from towpath.cloudflare.kv import KV
from towpath.errors import CannotFinish, WrongUse
from towpath.local import State, processes
from towpath.local.gateway import STUMBLE
from towpath.plan.params import Params
from towpath.rehearsal import observed, playing
from towpath.rehearsal.application import Application, application_of
from towpath.rehearsal.generator import Generator, Order, generating
from towpath.rehearsal.ledger import Told, read_ledger
from towpath.rehearsal.observed import Request
from towpath.rehearsal.settling import Settled, settle
from towpath.rehearsal.sides import Changes, OldSide, served, watched
from towpath.runs.folder import RunFolder
from towpath.runs.results import PhaseResult
from towpath.traffic import requests, setting

PATIENCE = 60.0  # seconds for what the clients should do meanwhile
LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Asked:
    """What is rehearsed, and with how much traffic."""

    root: Path
    system: str
    params: Params
    data: Path  # the old application's folder
    folder: Path  # where the traffic is written down; not there yet
    clients: int = 12
    rate: float = 25.0  # requests a second
    seed: int = 1


@dataclass
class Stage:
    """Everything that runs during a rehearsal."""

    asked: Asked
    application: Application
    old: OldSide
    kv: KV
    d1: D1
    lines: D1
    prefix: str
    changes: Changes
    say: Callable[[str], None]
    generator: Generator | None = None
    marks: list[tuple[int, str]] = field(default_factory=list)

    def mark(self, name: str) -> int:
        """A new phase of time begins."""
        at = now()
        self.marks.append((at, name))
        self.say(f"== {name}")
        return at

    # -- the two sides

    def towpath(self, *words: str) -> int:
        """Run a command of Towpath to its end; what it says goes to the terminal."""
        # A session of its own: it is asked to end once, by us, and not by the terminal as well.
        process = subprocess.Popen(self.words(*words), cwd=self.asked.root, env=self.variables, start_new_session=True)
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                processes.end([psutil.Process(process.pid)], playing.PATIENCE)
                process.wait()

    def words(self, *words: str) -> list[str]:
        """A command of Towpath for this system and environment."""
        head, rest = (words[:2], words[2:]) if words[0] == "local" else (words[:1], words[1:])
        ours = (self.asked.system, "--env", self.asked.params.environment)
        return [sys.executable, "-m", "towpath", *head, *ours, *rest]

    @property
    def variables(self) -> dict[str, str]:
        """The environment of our commands."""
        return {**os.environ, "TOWPATH_ROOT": str(self.asked.root), "PYTHONUNBUFFERED": "1"}

    def begin_anew(self) -> None:
        """An empty target, and a gateway that sends everything to the old side.  Raises CannotFinish."""
        if self.towpath("local", "up", "--fresh", "--stumble"):
            raise CannotFinish("the local runtime did not start", object=self.asked.system, next="read what it said")
        requests.prepare(self.lines)
        self.changes.add(setting.begin(self.kv, dt.datetime.now(dt.UTC)))

    def stumble(self, share: float, percent: int) -> None:
        """Let the new side answer this share of requests with 500 from this percentage of the ramp on."""
        self.kv.put_alone(STUMBLE, json.dumps({"share": share, "from": percent}).encode(), {})

    # -- the record

    def folder(self) -> RunFolder:
        """The run that is on.  Raises CannotFinish."""
        found = RunFolder.current(self.asked.root, self.asked.system, self.asked.params.environment)
        if found is None:
            raise CannotFinish("there is no run", object=self.asked.system, next="read what `towpath run` said")
        return found

    def result(self, phase: str) -> PhaseResult:
        """What became of the newest attempt at a phase of the run that is on.  Raises CannotFinish."""
        found = self.folder().newest(phase)
        if found is None:
            what = f"{phase} has not begun"
            raise CannotFinish(what, object=self.folder().run_id, next="read what `towpath run` said")
        return found

    # -- the clients

    @property
    def traffic(self) -> Generator:
        """The clients.  Raises WrongUse before they are there."""
        if self.generator is None:
            raise WrongUse("nobody uses the system yet", object=self.asked.system, next="begin the traffic first")
        return self.generator

    def requests(self) -> list[Request]:
        """What the clients have done so far."""
        return observed.read_requests(self.traffic.requests)

    def live(self, writes: int, side: str) -> None:
        """Wait until so many more writes were acknowledged by this side.  Raises CannotFinish."""
        begun, end = self._acknowledged(side), time.monotonic() + PATIENCE
        while self._acknowledged(side) < begun + writes:
            if time.monotonic() > end:
                what = f"clients could not write {writes} times in {PATIENCE:.0f} s"
                raise CannotFinish(what, object=side, next=f"read {self.traffic.folder}")
            time.sleep(LOOK)

    def settle(self, side: str) -> Settled:
        """Hold the ledger against what the `old` or the `new` side holds, while nobody writes."""
        with self.traffic.paused():
            found = list(
                self.application.on_old(self.asked.data, self.prefix)
                if side == "old"
                else self.application.on_new(self.d1, self.prefix)
            )
            settled = settle(read_ledger(self.traffic.ledger), found, side=f"{side} side", phases=self.marks)
        for line in settled.lines:
            self.say(line)
        return settled

    def _acknowledged(self, side: str) -> int:
        writes = read_ledger(self.traffic.ledger)
        return sum(write.told is Told.ACKNOWLEDGED and write.side == side for write in writes)


@contextmanager
def staged(asked: Asked, say: Callable[[str], None]) -> Iterator[Stage]:
    """Both sides and the gateway up with an empty target; nobody uses them yet.  Everything ends with the block."""
    params = asked.params
    if not params.moves_traffic or not params.is_practice or not params.on_this_machine:
        step = "use --env rehearsal, with source_url, worker_url and gateway_url on this machine"
        what = "no traffic moves there, or it is no environment for practice"
        raise WrongUse(what, object=f"{asked.system} {params.environment}", next=step)
    application = application_of(asked.root, asked.system)
    asked.folder.mkdir(parents=True)
    state = State.of(asked.root, asked.system, params.environment)
    old = OldSide(asked.root, asked.system, asked.data, params.source_url, asked.folder / "old.log")
    prefix = f"towpath-{secrets.token_hex(3)}"
    with Client(params.cloudflare_api, timeout=5.0, attempts=2) as client, Client(params.cloudflare_api) as patient:
        quick = KV(client, params.gateway_namespace_id)
        d1, lines = D1(patient, params.d1_database_id), D1(patient, params.gateway_database_id)
        kv = KV(patient, params.gateway_namespace_id)
        stage = Stage(asked, application, old, kv, d1, lines, prefix, Changes(), say)
        with playing.playing(state) as left:
            if left:
                say(f"ended what a killed rehearsal had left: pid {', '.join(map(str, left))}")
            stage.mark("both sides begin")
            try:
                stage.begin_anew()
                old.environment = application.environment(state.secrets)
                with served(old), watched(quick, stage.changes):
                    yield stage
            finally:
                stage.towpath("local", "down")


@contextmanager
def used(stage: Stage) -> Iterator[Stage]:
    """Clients at work for the length of a `with` block."""
    asked = stage.asked
    order = Order(
        root=str(asked.root),
        system=asked.system,
        data=str(asked.data),
        url=asked.params.gateway_url,
        prefix=stage.prefix,
        seed=asked.seed,
        clients=asked.clients,
        rate=asked.rate,
    )
    with generating(asked.folder / "traffic", order) as generator:
        stage.generator = generator
        yield stage


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
