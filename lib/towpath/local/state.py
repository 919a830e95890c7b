"""The folder of one local runtime: its data, its credentials, its log, and the record of who serves it.

build/local/<system>-<environment>/
    state/            D1, R2 and KV as the runtime keeps them; `reset` removes this and nothing else
    r2-access-key     made up at the first start, readable by its owner alone; params name these two files
    r2-secret-key
    worker-token      the same for the Worker's own door (ENQUEUE_TOKEN)
    secrets/          what the Worker's secrets.required asks for, a file for each: put there by its owner, or made up
    worker.js         the system's Worker, bundled, where it has one; gateway.js the same for its gateway
    runtime.json      the process that serves it, with its start time and port
    rehearsal.json    the process that plays a rehearsal over it
    runtime.log       what the runtime said since its last start
    lock              held while somebody starts, stops or resets
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from towpath.errors import WrongUse
from towpath.local.gateway import Gateway
from towpath.secrets import Secret

NAME = re.compile(r"^[a-z0-9][a-z0-9-]*$")
LOG_TAIL = 1500  # characters shown in an error
LOCK = "lock"  # of a state's folder


@dataclass(frozen=True, slots=True)
class Record:
    """Who serves a state: a process is meant only if its start time is the same too, so a reused pid never is."""

    pid: int
    created: float  # start time of the process, seconds since 1970
    port: int
    life: str  # stdin: ends with its parent; signal: runs on until `down`
    bucket: str
    database_id: str
    namespace: str = ""
    worker: str = ""  # digest of the Worker that is served; "" without one
    gateway: str = ""  # the same of the gateway
    gateway_port: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a runtime is asked to serve; `worker` is the folder of a Worker."""

    port: int
    bucket: str
    database_id: str
    namespace: str
    worker: Path | None
    gateway: Gateway | None = None


@dataclass(frozen=True, slots=True)
class State:
    """One folder under build/local."""

    folder: Path

    @classmethod
    def of(cls, root: Path, system: str, environment: str) -> State:
        """The folder for a system and an environment.  Raises WrongUse for names that are not plain words."""
        for word, key in ((system, "system"), (environment, "environment")):
            if not NAME.match(word):
                raise WrongUse(f"not a name: {word!r}", object=key, next="use small letters, digits and hyphens")
        return cls(root.resolve() / "build" / "local" / f"{system}-{environment}")

    @property
    def data(self) -> Path:
        """D1, R2 and KV as the runtime keeps them."""
        return self.folder / "state"

    @property
    def scratch(self) -> Path:
        """Where the runtime keeps what it needs only while it runs."""
        return self.folder / "tmp"

    @property
    def log(self) -> Path:
        """What the runtime said since its last start."""
        return self.folder / "runtime.log"

    @property
    def ready(self) -> Path:
        """Written by the runtime itself once it answers."""
        return self.folder / "ready.json"

    @property
    def access_key(self) -> Secret:
        """The access key that `prepare` made up."""
        return Secret("file:r2-access-key", self.folder)

    @property
    def secret_key(self) -> Secret:
        """The secret key that `prepare` made up."""
        return Secret("file:r2-secret-key", self.folder)

    @property
    def worker_token(self) -> Secret:
        """The token of the Worker that `prepare` made up."""
        return Secret("file:worker-token", self.folder)

    @property
    def secrets(self) -> Path:
        """Where the secrets of the Worker lie."""
        return self.folder / "secrets"

    @property
    def namespace(self) -> str:
        """The id of the KV namespace where nobody named one."""
        return f"{self.folder.name}-kv"

    def prepare(self) -> None:
        """Make the folder and, once, the credentials of R2's S3 route and of the Worker."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.data.mkdir(exist_ok=True)
        for name, length in (("r2-access-key", 16), ("r2-secret-key", 32), ("worker-token", 32)):
            _make_up(self.folder / name, length)

    def keep(self, names: Iterable[str]) -> None:
        """Make up each secret of the Worker that nobody has put there."""
        for name in names:
            _make_up(self.secrets / name, 32)

    def worker_secret(self, name: str) -> Secret:
        """A secret of the Worker, by its name in wrangler.jsonc."""
        return Secret(f"file:secrets/{name}", self.folder)

    def read(self) -> Record | None:
        """The record of the last start; None if there is none or it cannot be read."""
        try:
            return Record(**json.loads((self.folder / "runtime.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, record: Record) -> None:
        """Keep the record, at once or not at all."""
        new = self.folder / "runtime.json.new"
        new.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
        new.replace(self.folder / "runtime.json")

    def forget(self) -> None:
        """Remove what is true only while a runtime is up."""
        for name in ("runtime.json", "ready.json"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def wipe(self) -> None:
        """Remove the data; an interrupted wipe leaves none of it in place."""
        old = self.folder / "state.old"
        shutil.rmtree(old, ignore_errors=True)
        if self.data.exists():
            self.data.replace(old)
        shutil.rmtree(old, ignore_errors=True)

    def versions(self) -> dict[str, str]:
        """Versions of node, miniflare and workerd, as the runtime said when it was ready; empty if it is not."""
        try:
            said = json.loads(self.ready.read_text(encoding="utf-8"))["versions"]
        except (FileNotFoundError, ValueError, KeyError):
            return {}
        return {str(name): str(version) for name, version in said.items()}

    def said(self) -> str:
        """The end of the log, in one line."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return " ".join(text.split())[-LOG_TAIL:]

    @contextmanager
    def locked(self, patience: float = 0.0) -> Iterator[None]:
        """Keep others from starting, stopping or resetting this state meanwhile.

        Raises WrongUse if one of them is not done within `patience` seconds.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        deadline = time.monotonic() + patience
        with (self.folder / LOCK).open("a") as handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as cause:
                    if time.monotonic() >= deadline:
                        step = "wait until that one is done, then try again"
                        what = "somebody else starts or stops this local runtime at the moment"
                        raise WrongUse(what, object=str(self.folder), next=step) from cause
                    time.sleep(0.05)
            yield


def _make_up(path: Path, length: int) -> None:
    if path.is_file() and path.stat().st_size:
        return
    path.parent.mkdir(exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(secrets.token_hex(length) + "\n")
