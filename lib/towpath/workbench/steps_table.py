"""The steps of a way as a reader sees them: what each does, when it was done and how, or what it would send."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from towpath import show
from towpath.tables.fence import TABLE, Fence
from towpath.traffic.setting import KEY
from towpath.traffic.steps import Step, Work
from towpath.traffic.walk import Noted

COLUMNS = ("", "Step", "What it does", "Done, UTC", "Took", "How")
DRY = ("", "Step", "What it does", "What would be sent")
_FENCE = {
    "open new": f"D1: UPDATE {TABLE} SET closed = 0, ahead = 1",
    "shut new": f"D1: UPDATE {TABLE} SET closed = 1",
    "even": f"D1: UPDATE {TABLE} SET ahead = 0",
    "shut old": "the file of source_maintenance_switch is written",
    "open old": "the file of source_maintenance_switch is removed",
}
_WORK = {
    Work.SNAPSHOT: "nothing: the source is read",
    Work.DELTA: "D1, R2, KV and queue: what has changed since the export",
    Work.CARRY_BACK: "the source: what D1, R2, KV and queue hold otherwise",
}


def shown(way: str, steps: Sequence[Step], noted: Sequence[Noted], stopped: str, *, dry: bool) -> show.Shown:
    """The table; `stopped` says why nothing more is moved, if that is so."""
    title = "The way over, step by step" if way == "over" else "The way back, step by step"
    if dry:
        rows = [(at, step.name, step.does, would_send(step)) for at, step in enumerate(steps, 1)]
        return show.table(rows, DRY, f"{title}: a dry run", numeric=("",))
    done = {one.name: one for one in noted}
    told = [(at, step.name, step.does, *_told(done.get(step.name))) for at, step in enumerate(steps, 1)]
    if stopped:
        told.append((len(told) + 1, "STOP", "nothing more is moved", "", "", stopped))
    return show.table(told, COLUMNS, title, numeric=("",))


def would_send(step: Step) -> str:
    """What a step sends, in words; "" for one that only asks and waits."""
    if step.work is not Work.NONE:
        return _WORK[step.work]
    mode = step.makes.get("setting", "")
    if mode:
        name, _, percent = mode.partition(" ")
        return f"KV: PUT {KEY} {{mode: {name}, percent: {percent or (100 if name == 'worker' else 0)}}}"
    return _FENCE.get(step.name, "")


def sentence(done: Noted) -> str:
    """One step that is done, in a sentence."""
    how = "found in place" if done.found else f"{done.words or 'done'}, in {done.seconds:.1f} s"
    return f"{done.name}: {how} ({done.at[11:19]} UTC)."


def fenced(stands: Fence) -> str:
    """How the fence stands, in words."""
    words = "D1 refuses writes" if stands.closed else "D1 accepts writes"
    ahead = "may be" if stands.ahead else "is not"
    return f"{words}; it {ahead} ahead of the source; {len(stands.fenced)} tables fenced"


def now() -> str:
    """This moment, UTC, as steps are noted."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def _told(done: Noted | None) -> tuple[str, str, str]:
    if done is None:
        return "not reached", "", ""
    return done.at[11:23], f"{done.seconds:.1f} s", "found in place" if done.found else done.words
