"""A run folder and what a place holds of it: which of them is ahead, and the other one brought up to it.

A run is written by one machine at a time.  Files that are written once decide: where only one side has new ones, that
side is ahead; where both have, or one of them differs, two machines wrote the same run, and that is refused.  Approvals
are the exception: people sign on machines of their own, and each adds a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import BadInput, CannotFinish, WrongUse
from towpath.places.record import Home, Kept, State, next_state, read_state
from towpath.places.store import Outgoing, Store
from towpath.runs.files import digest, write_text
from towpath.runs.folder import RunFolder, environment_folder
from towpath.runs.seal import APPROVALS, ENDING, GROWING, LIST, files_of, merged, readable_seals

CONFLICT = "RN020"
UNFINISHED = ".fetch.tmp"
_GROWING = {*GROWING, LIST}


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did."""

    home: Home
    number: int  # of the state that both sides have now
    files: int  # how many the copy carried
    bytes: int

    @property
    def sentence(self) -> str:
        """In words."""
        if not self.files:
            return f"state {self.number}, nothing new"
        return f"state {self.number}, {self.files} files, {self.bytes / 1e6:,.1f} MB"


def home_of(folder: RunFolder) -> Home:
    """Where a run lies at its place."""
    return Home(folder.system, folder.environment, folder.run_id)


def contents(folder: Path, before: State | None = None) -> dict[str, Kept]:
    """Every file of a run folder, seals included.

    A file below the top that `before` holds with the same size is not read once more: snapshots are large, what is in
    them is sealed, and `towpath verify` reads it.  Raises BadInput for a file that is not as its seal names it.
    """
    known = before.by_path if before else {}
    sealed = merged(readable_seals(RunFolder(folder, "", "", "")))
    found: dict[str, Kept] = {}
    for path, file in _files(folder):
        status = file.stat()
        is_read_only = not status.st_mode & 0o222
        old = known.get(path)
        if old and old.bytes == status.st_size and "/" in path and not path.startswith(f"{APPROVALS}/"):
            found[path] = old
            continue
        sha256, size = digest(file)
        if path in sealed and path not in _GROWING and sha256 != sealed[path]:
            step = f"`towpath verify {folder.name}` says what is wrong; a record that is not whole is kept nowhere"
            raise BadInput("is not as its seal names it", object=f"{folder.name}/{path}", next=step)
        found[path] = Kept(path, sha256, size, is_read_only)
    return found


def keep(store: Store, folder: RunFolder) -> Copied:
    """Bring a run to its place; safe to repeat after any interruption.

    Raises WrongUse (RN020) when the place holds something else under the same run, or the run was pruned there.
    """
    home = home_of(folder)
    if store.read(home.tombstone) is not None:
        step = f"read {home.tombstone} there; a new run has a new id"
        raise WrongUse("was pruned at that place", object=f"{store.address}, {home.run}", next=step, code=CONFLICT)
    if _cut(folder.path).exists():
        step = f"finish it: towpath place fetch {home.run}"
        raise _conflict(store, home, "a copy from the place into this folder was cut", step)
    before = read_state(store, home)
    here = contents(folder.path, before)
    there = before.by_path if before else {}
    if before is not None and here == there:
        return Copied(home, before.number, 0, 0)
    if before is not None and _ahead(here, there, store, home) == "there":
        raise _conflict(store, home, "the place is ahead of this folder", f"towpath place fetch {home.run}")
    new = [one for path, one in here.items() if there.get(path) != one]
    store.send([Outgoing(home.file(one.path, one.sha256), folder.path, one.path, one.sha256) for one in new])
    state = next_state(home, before, here)
    if not store.create(home.state(state.number), state.text):
        other = read_state(store, home, state.number)
        who = f"{other.by} at {other.time}" if other else "somebody"
        raise _conflict(store, home, f"{who} kept the run meanwhile", f"towpath place fetch {home.run}, then repeat")
    return Copied(home, state.number, len(new), sum(one.bytes for one in new))


def bring(store: Store, root: Path, home: Home) -> Copied:
    """Bring a run from its place into outputs/, beside what is there of it; safe to repeat.

    What this folder has and the place does not (a copy that was cut, an approval) stays, and `keep` takes it there.
    Raises WrongUse where the place does not have the run, and RN020 where both have something else.
    """
    state = _held(store, home)
    folder = environment_folder(root, home.system, home.environment) / home.run
    if not (folder / "run.json").is_file():
        return _whole(store, home, state, folder)
    here, there = contents(folder, state), state.by_path
    ahead, cut = _ahead(here, there, store, home), _cut(folder)
    if here == there or (ahead == "here" and not cut.exists()):
        cut.unlink(missing_ok=True)
        return Copied(home, state.number, 0, 0)
    new = [one for path, one in there.items() if here.get(path) != one]
    write_text(cut, state.digest + "\n")
    _write(store, home, new, folder)
    cut.unlink()
    return Copied(home, state.number, len(new), sum(one.bytes for one in new))


def bring_to(store: Store, home: Home, folder: Path, small: bool = False) -> Path:
    """Bring a run into an empty folder elsewhere, e.g. to verify it; `small`: only what a list of runs reads."""
    state = _held(store, home)
    target = folder / home.system / home.environment / home.run
    files = [one for one in state.files if not small or _is_told(one.path)]
    _write(store, home, files, target)
    return target


def _is_told(path: str) -> bool:
    """True for what a list of runs reads: results, seals, approvals."""
    return path.endswith(".json") and ("/" not in path or path.startswith(f"{APPROVALS}/"))


def _held(store: Store, home: Home) -> State:
    state = read_state(store, home)
    if state is None:
        step = "use an id that `towpath list --records` shows"
        raise WrongUse("no such run at that place", object=f"{store.address}, {home.beginning}", next=step)
    return state


def _cut(folder: Path) -> Path:
    """There while files of a newer state are written into a folder: without them, what grows seems to be ours."""
    return folder.with_name(f".{folder.name}.fetching")


def _whole(store: Store, home: Home, state: State, folder: Path) -> Copied:
    """A run that is not here yet appears with all its files at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        raise _conflict(store, home, "the folder is there and is no run", f"look into {folder.name}, and remove it")
    unfinished = folder.with_name(f".{home.run}.fetch")  # an interrupted copy goes on in it
    _write(store, home, list(state.files), unfinished)
    unfinished.rename(folder)
    return Copied(home, state.number, len(state.files), state.size)


def _write(store: Store, home: Home, files: list[Kept], folder: Path) -> None:
    """Write files from the place: those that are written once first, run.json, which names the attempts, last."""
    order = sorted(files, key=lambda one: (one.path in _GROWING, one.path == "run.json", one.path))
    for one in order:
        target = folder / one.path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() and one.path not in _GROWING:
                continue
            temporary = target.with_name(f".{target.name}{UNFINISHED}")
            temporary.unlink(missing_ok=True)
        except OSError as error:
            raise CannotFinish(f"cannot be written: {error.strerror}", object=str(target), next="make room") from None
        store.fetch(home.file(one.path, one.sha256), one.sha256, temporary)
        if one.is_read_only:
            temporary.chmod(0o444)
        temporary.replace(target)


def _ahead(here: dict[str, Kept], there: dict[str, Kept], store: Store, home: Home) -> str:
    """Which side has what the other one lacks: here, there, or both alike.  Raises WrongUse (RN020)."""
    both = (here.keys() & there.keys()) - _GROWING
    if other := sorted(path for path in both if here[path].sha256 != there[path].sha256):
        raise _conflict(store, home, f"two machines wrote {other[0]}")
    only_here = sorted(path for path in here.keys() - there.keys() if path not in _approvals(here))
    only_there = sorted(path for path in there.keys() - here.keys() if path not in _approvals(there))
    if only_here and only_there:
        raise _conflict(store, home, f"{only_here[0]} is only here, {only_there[0]} only there")
    if only_there:
        return "there"
    return "here" if only_here or here.keys() >= there.keys() else "there"


def _approvals(files: dict[str, Kept]) -> dict[str, Kept]:
    return {path: one for path, one in files.items() if path.startswith(f"{APPROVALS}/")}


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    yield from sorted((name, path) for name, path in files_of(folder).items() if not name.endswith(UNFINISHED))
    for path in sorted(folder.glob(f"*{ENDING}")):
        yield path.name, path
    if (folder / LIST).is_file():
        yield LIST, folder / LIST


def _conflict(store: Store, home: Home, what: str, step: str = "") -> WrongUse:
    step = step or "verify both; keep the one that tells what happened, and open a new run"
    return WrongUse(what, object=f"{store.address}, {home.beginning}", next=step, code=CONFLICT)


def point_to(root: Path, home: Home) -> None:
    """Make a run the current one of its environment, unless a newer one is."""
    pointer = environment_folder(root, home.system, home.environment) / "current"
    try:
        current = pointer.read_text(encoding="utf-8").strip()
    except OSError:
        current = ""
    if home.run > current:
        write_text(pointer, home.run + "\n")
