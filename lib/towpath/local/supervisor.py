"""A runtime that goes on after the command that started it: up, status, down, reset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from towpath.errors import WrongUse
from towpath.local import processes
from towpath.local.gateway import Gateway
from towpath.local.runtime import DEADLINE, Runtime, answers, bundles, halt, launch, serving
from towpath.local.state import Record, State, Wanted

PRACTICE = ("local", "rehearsal")  # environments whose target may be emptied


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a local runtime."""

    folder: Path
    record: Record | None  # None if nothing serves the state
    answering: bool
    leftovers: tuple[int, ...]  # pids of ours that outlived their node

    @property
    def line(self) -> str:
        """The status in one line."""
        if self.record is not None and self.answering:
            until = "until `towpath local down`" if self.record.life == "signal" else "as long as its parent"
            return f"up on port {self.record.port}, pid {self.record.pid}, {until}"
        if self.record is not None:
            log = self.folder / "runtime.log"
            return f"pid {self.record.pid} lives but port {self.record.port} does not answer; see {log}"
        left = f" (left over: pid {', '.join(map(str, self.leftovers))})" if self.leftovers else ""
        return f"down{left}"


def status(state: State) -> Status:
    """Look, change nothing."""
    record = state.read()
    if record is not None and not processes.alive(record.pid, record.created):
        record = None
    ours = [process.pid for process in processes.marked(state.folder)]
    if record is None:
        return Status(state.folder, None, False, tuple(ours))
    return Status(state.folder, record, bool(record.port) and answers(record.port), ())


def up(
    system: str,
    environment: str,
    port: int,
    *,
    bucket: str,
    database_id: str,
    root: Path,
    state: State | None = None,
    fresh: bool = False,
    deadline: float = DEADLINE,
    namespace: str = "",
    worker: Path | None = None,
    gateway: Gateway | None = None,
) -> tuple[Runtime, bool]:
    """See to it that a runtime serves this system on this port; return it, and whether it was started now.

    One that serves already is used if it answers on the same port with the same bucket, database, namespace, Worker and
    gateway; else it is stopped and started anew.  `fresh` empties D1, R2 and KV first (practice only).
    Raises WrongUse, BadInput (the Worker cannot be bundled), CannotFinish.
    """
    state = state or State.of(root, system, environment)
    now = status(state)
    if fresh:
        reset(state, environment)
    elif now.record is not None and now.answering:
        record = now.record
        digests = tuple(one.digest if one else "" for one in bundles(state, worker, gateway, root))
        asked = (bucket, database_id, namespace or state.namespace, *digests)
        same = asked == (record.bucket, record.database_id, record.namespace, record.worker, record.gateway)
        if same and port in (0, record.port):
            return serving(state, record, state.versions()), False
    down(state)
    wanted = Wanted(port, bucket, database_id, namespace or state.namespace, worker, gateway)
    _, runtime = launch(state, wanted, root, "signal", deadline)
    return runtime, True


def down(state: State) -> bool:
    """Stop the runtime of this state, and what a killed one left behind; True if there was anything to stop."""
    if not state.folder.is_dir():
        return False
    with state.locked():
        found = bool(processes.marked(state.folder))
        halt(state)
    return found


def reset(state: State, environment: str) -> None:
    """Stop the runtime and empty D1, R2 and KV; the credentials stay.

    Raises WrongUse outside the environments for practice.
    """
    if environment not in PRACTICE:
        step = "use --env local or rehearsal, or remove the data by hand if you are sure"
        raise WrongUse("only a rehearsal may be started afresh", object=f"environment {environment}", next=step)
    down(state)
    if state.folder.is_dir():
        with state.locked():
            state.wipe()


def down_all(root: Path) -> list[Path]:
    """Stop every local runtime of this project; return the folders of those that were up."""
    folders = sorted(path for path in (root / "build" / "local").glob("*") if path.is_dir())
    return [folder for folder in folders if down(State(folder.resolve()))]
