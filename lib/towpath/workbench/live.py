"""What a reader sees of a server's rows, its cache and its queued jobs; one line for what a system lacks."""

from __future__ import annotations

from collections import Counter

from towpath import jobs, keys, show
from towpath.checks import Comparison
from towpath.fitting.fitted import (
    COMPUTED,
    DEFAULTED,
    DROPPED,
    EMPTY,
    FILLED,
    GENERATED,
    LEFT,
    MAPPED,
    UNFILLED,
    UNMAPPED,
    USED,
    Fitted,
)
from towpath.workbench import going_on
from towpath.workbench.panels import comparison, sentence
from towpath.workbench.workbench import Workbench

NO_CACHE, NO_JOBS = "No cache in this system.", "No queued jobs in this system."


def cached(found: keys.Inventory | None) -> show.Shown:
    """The keys by rule and type."""
    if found is None:
        return sentence(NO_CACHE)
    rows = [
        (
            group.pattern,
            group.type,
            group.do,
            group.keys,
            group.bytes,
            _life(group),
            f"{group.largest:,} bytes: {group.largest_key}",
        )
        for group in found.groups
    ]
    columns = ("Rule", "Type", "Becomes", "Keys", "Bytes in Redis", "Time to live", "Largest")
    gone = f"; {found.vanished:,} ended while they were looked at" if found.vanished else ""
    title = f"{found.keys:,} keys in {found.facts.address}, Redis {found.facts.version}{gone}"
    return show.table(rows, columns, title, numeric=("Keys", "Bytes in Redis"))


def _life(group: keys.Group) -> str:
    if not group.with_ttl or group.shortest is None or group.longest is None:
        return "stay"
    span = f"{group.shortest / 1000:,.0f} to {group.longest / 1000:,.0f} s"
    return span if group.with_ttl == group.keys else f"{group.with_ttl:,} of them {span}"


def keys_exported(made: keys.Manifest | None) -> show.Shown:
    """What an export of keys wrote down."""
    if made is None:
        return sentence(NO_CACHE)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in made.types.items())
    left = f"; {made.left:,} stay behind, named in the record" if made.left else ""
    return sentence(f"{made.keys:,} keys ({kinds}), {made.bytes:,} bytes in {len(made.chunks):,} chunks{left}.")


def keys_sent(bench: Workbench, done: keys.Loaded | keys.Applied | None) -> show.Shown:
    """What an import of keys did."""
    if bench.kv is None:
        return sentence(NO_CACHE)
    if done is None:
        return sentence("Dry run: no key was sent.")
    if isinstance(done, keys.Applied):
        return sentence(f"{done.put:,} keys put, {done.deleted:,} deleted: the cutover that was cut off is finished.")
    if done.chunks and not done.sent:
        return sentence(f"Already done: all {done.chunks:,} chunks have their receipts; nothing was sent.")
    ended = f"; {len(done.expired):,} had ended meanwhile" if done.expired else ""
    there = f"; {done.chunks - done.sent:,} chunks were there already" if done.chunks > done.sent else ""
    return sentence(f"{done.keys:,} keys in {done.sent:,} chunks sent in {done.seconds:.1f} s{there}{ended}.")


@going_on.shown
def keys_changed(found: keys.Delta | None) -> show.Shown:
    """What changed among the keys."""
    if found is None:
        return sentence(NO_CACHE)
    ended = f", {found.expired:,} ended by themselves" if found.expired else ""
    return sentence(
        f"{len(found.put):,} keys to put, {len(found.delete):,} to delete, {found.unchanged:,} as they are{ended}."
    )


@going_on.shown
def compared(found: Comparison | None, what: str) -> show.Shown:
    """Differences by name, or the one line for a surface that the system lacks."""
    return sentence(f"No {what} in this system.") if found is None else comparison(found)


def queued(found: jobs.Inventory | None) -> show.Shown:
    """The jobs by queue, task and state."""
    if found is None:
        return sentence(NO_JOBS)
    counted = Counter((job.queue, job.task or "(unreadable)", str(job.state)) for job in found.jobs)
    rows = [(queue, task, state, count) for (queue, task, state), count in sorted(counted.items())]
    workers = f"; {found.consumers:,} connections take jobs" if found.consumers else "; no worker is connected"
    title = f"{len(found.jobs):,} jobs in {found.address}, each id once{workers}"
    return show.table(rows, ("Queue", "Task", "State", "Jobs"), title, numeric=("Jobs",))


@going_on.shown
def jobs_exported(made: jobs.Exported | None) -> show.Shown:
    """What becomes of the jobs."""
    if made is None:
        return sentence(NO_JOBS)
    total = made.manifest
    return sentence(
        f"{total.jobs:,} jobs: {total.sent:,} to hand over, {total.parked:,} parked in the record, "
        f"{total.done:,} done before."
    )


def fit_of_source(fitted: Fitted | None) -> show.Shown:
    """What becomes of every source column, what is wrong first."""
    if fitted is None:
        return sentence("The target's schema is made from the source's: every column goes to the column of its name.")
    order = (UNMAPPED, DROPPED, LEFT, COMPUTED, USED, MAPPED)
    found = sorted(fitted.sources, key=lambda a: (order.index(a.outcome), a.table))
    rows = [(a.table, a.column or "(whole table)", a.type, a.outcome, a.into, a.reason) for a in found]
    counts = Counter(a.outcome for a in found)
    title = f"{len(rows)} source columns: {', '.join(f'{n} {what}' for what, n in counts.items())}"
    return show.table(rows, ("Table", "Column", "Type", "Outcome", "Goes to", "Why"), title, numeric=())


def fit_of_target(fitted: Fitted | None) -> show.Shown:
    """Where every target column comes from, what is wrong first."""
    if fitted is None:
        return sentence("Nothing is filled in that the source does not hold.")
    order = (UNFILLED, EMPTY, DEFAULTED, GENERATED, FILLED)
    found = sorted(fitted.targets, key=lambda a: (order.index(a.outcome), a.table))
    rows = [(a.table, a.column, a.type, a.outcome, a.by) for a in found]
    counts = Counter(a.outcome for a in found)
    title = f"{len(rows)} target columns: {', '.join(f'{n} {what}' for what, n in counts.items())}"
    return show.table(rows, ("Table", "Column", "Type", "Outcome", "By"), title, numeric=())


@going_on.shown
def proved(found: Comparison | None, made: object | None) -> show.Shown:
    """The source's own values against the exported pages."""
    if made is None:
        return sentence("Dry run: nothing was exported.")
    if found is None:
        return sentence("The snapshot is SQLite's own backup of the file: nothing lies between them that could err.")
    return comparison(found)
