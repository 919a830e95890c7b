"""06-cutover: the source frozen, what changed since the snapshot applied, everything proved, the new side opened.

Where a gateway stands before both sides, `crossing` moves the traffic; else the source stays frozen when the phase
ends, and the new side takes over by the runbook.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass

import towpath.workbench.export as exporting
from towpath import objects, show
from towpath.checks import Comparison, Progress, Verdict
from towpath.errors import CannotFinish, WrongUse
from towpath.tables import changes as tables
from towpath.tables import fence
from towpath.tables import load as loading
from towpath.tables.acceptance import received
from towpath.tables.changes import TableChanges
from towpath.tables.export import Exporter
from towpath.tables.manifest import Manifest
from towpath.workbench import before, going_on, inventory, switch, validate
from towpath.workbench.crossing import Crossing
from towpath.workbench.delta import file_delta, row_delta
from towpath.workbench.gateway import in_flight
from towpath.workbench.rules import RULES
from towpath.workbench.state import State
from towpath.workbench.workbench import Workbench

QUIET_SECONDS = 1.0  # without a commit, before the writes under way count as ended
SETTLE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Freeze:
    """The moment since which the source may not change."""

    started: float  # monotonic seconds
    at: str  # UTC
    version: tuple[int, ...]  # of the data: see `Origin.version`
    approved: bool


@dataclass(frozen=True, slots=True)
class ChangedFiles:
    """What the bucket lacks of the source's files, how many of those were read now, and how many need not be."""

    delta: objects.Delta
    read: int
    unread: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A delta that was written down and sent."""

    manifest: Manifest
    loaded: loading.Loaded


def base(bench: Workbench) -> State:
    """The state that the target holds, or was on its way to.

    Raises WrongUse when it holds none of this run, CannotFinish (CU108) when it may be ahead of the source.
    """
    state = bench.state
    if not bench.has_begun(state):
        raise WrongUse("the target holds no snapshot of this run", object=bench.run.phase, next="run 04-import first")
    _refuse_ahead(bench)
    return state


def _refuse_ahead(bench: Workbench) -> None:
    stands = fence.read(bench.d1)
    if stands is not None and stands.ahead:
        bench.done_before = going_on.taken_up(bench, stands)
        if bench.done_before is not None:
            found = f"opened by this run at {stands.changed_at}, which goes on"
            report_check(bench, "CU108", "target", "not ahead of the source", found, True)
            return
        report_check(bench, "CU108", "target", "not ahead of the source", f"may be, since {stands.changed_at}", False)
        what = "the target may hold what the source does not: writes were let in there, and nobody carried them back"
        raise CannotFinish(what, object=bench.d1.database_id, next=RULES["CU108"].advice, code="CU108")
    found = "no fence stands" if stands is None else "nothing was let in"
    report_check(bench, "CU108", "target", "not ahead of the source", found, True)


def begin(bench: Workbench) -> Crossing:
    """The way over: asks whether this phase may write, and puts the fence up, closed, where traffic moves."""
    bench.run.approve_write(bench.fingerprint)
    crossing = Crossing(bench, "over")
    if bench.done_before is None:
        crossing.begin()
    else:
        crossing.go_on(bench.done_before.words)
    return crossing


def freeze(bench: Workbench, crossing: Crossing) -> Freeze:
    """Switch the application's writes off, and remember the state of its data.

    A dry run leaves the switch alone: what it then shows may be overtaken by the application.
    """
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    if not bench.run.approved or bench.done_before is not None:
        return Freeze(time.monotonic(), at, (), approved=False)
    begun = time.monotonic()
    _shut_old(bench, at)
    started = time.monotonic()
    version = _quiet(bench)
    if crossing.way == "over":
        crossing.knows["old quiet"] = lambda: True
        crossing.worked("shut old", started - begun, f"the maintenance switch is on since {at}")
        crossing.worked("old quiet", time.monotonic() - started, f"nobody wrote for {QUIET_SECONDS:.0f} s")
    return Freeze(started, at, version, approved=True)


def _shut_old(bench: Workbench, at: str) -> None:
    there = bench.run.source("source_maintenance_switch")
    switch.write(there, at, f"towpath {bench.run.run_folder.run_id}")
    found = f"{bench.params.source_maintenance_switch} since {at}"
    report_check(bench, "CU101", "switch", "on", found, there.is_file())


def _quiet(bench: Workbench) -> tuple[int, ...]:
    """Wait until writes that were under way have ended; return the version of the data then."""
    last: tuple[int, ...] = ()
    since, end = time.monotonic(), time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < end:
        version = bench.origin.version()
        if version != last or in_flight(bench.params.source_url):
            last, since = version, time.monotonic()
        elif time.monotonic() - since >= QUIET_SECONDS:
            return version
        time.sleep(0.05)
    raise CannotFinish(
        f"the source is still written to {SETTLE_SECONDS} s after the switch",
        object=bench.params.source_maintenance_switch,
        next="stop the application that ignores the switch, then run 06-cutover again",
        code="CU101",
    )


@going_on.once
def snapshot(bench: Workbench, report: Progress) -> Exporter:
    """The last snapshot of the source; its orphans are judged like those of the first."""
    begun = time.monotonic()
    exporter = exporting.snapshot(bench, report)
    exporting.judge_snapshot(bench, exporter)
    bench.snapshot_seconds = time.monotonic() - begun
    return exporter


@going_on.once
def changes(bench: Workbench, base: State, final: Exporter, report: Progress) -> dict[str, TableChanges]:
    """What changed since the last snapshot that was exported; `report` counts rows."""
    found = tables.find_changes(base.manifest, base.exporter, final, report)
    bench.run.number("changed_rows", sum(change.count for change in found.values()), "rows")
    return found


@going_on.once
def rows(
    bench: Workbench, base: State, final: Exporter, found: dict[str, TableChanges], freeze: Freeze, report: Progress
) -> Sent | None:
    """Write the delta down and apply it; `report` counts rows.  None in a dry run."""
    if not freeze.approved:
        return None
    refused = [check for check in bench.run.checks if check.verdict is Verdict.FAIL]
    if refused:
        what = f"nothing of the delta was sent, because {refused[0].code} {refused[0].object} fails: {refused[0].found}"
        step = f"{refused[0].next or 'see the checks'}; the source is still frozen"
        raise CannotFinish(what, object=bench.run.phase, next=step, code=refused[0].code)
    loading.load(bench.d1, base.folder, base.manifest)  # sends only what an earlier attempt left out
    made = row_delta(bench, base, final, found)
    bench.run.artefact(final.folder)
    loaded = loading.load(bench.d1, final.folder, made, report)
    for check in received(bench.d1, made):
        report_check(bench, "CU103", check.object, check.expected, check.found, check.verdict is Verdict.PASS)
    bench.run.number("rows", made.rows, "rows")
    bench.forget_state()
    return Sent(made, loaded)


@going_on.once
def prove_copy(bench: Workbench, final: Exporter, last: Sent | None, report: Progress) -> Comparison | None:
    """The last snapshot against the source's own values, as in 03-export; `report` counts rows."""
    return exporting.prove(bench, final, last.manifest if last else None, report)


@going_on.once
def changed_files(bench: Workbench, final: Exporter, report: Progress) -> ChangedFiles:
    """List the files beside the last snapshot, and find what of them the bucket lacks; `report` counts bytes.

    Files that are as they were when they were last read are not read again.  This is done before anything is sent: a
    state that the target has begun to become is then complete, rows and files.
    """
    walked = inventory.walk(bench, report, known=before.seen(bench))
    found = file_delta(bench, exporting.list_files(bench, final, walked))
    bench.run.number("changed_files", len(found.put) + len(found.delete), "files")
    unread = walked.unread or 0
    bench.run.number("files_read", walked.objects - unread, "files")
    return ChangedFiles(found, walked.objects - unread, unread)


@going_on.once
def files(bench: Workbench, found: ChangedFiles, freeze: Freeze, report: Progress) -> objects.Applied | None:
    """Apply what changed among the files; `report` counts bytes and deletions.  None in a dry run."""
    if not freeze.approved:
        return None
    done = objects.apply_delta(found.delta, bench.run.source("source_files"), bench.s3, bench.params.r2_bucket, report)
    bench.run.add(done.checks)
    return done


@going_on.once
def prove_rows(bench: Workbench, report: Progress) -> Comparison:
    """Every cell again, and what stands around the rows.  In a dry run the old state is what must be there."""
    found = validate.rows(bench, report)
    validate.around_the_rows(bench)
    return found


@going_on.once
def prove_files(bench: Workbench, report: Progress) -> Comparison:
    """Every object that was written since 05-validate proved it, and the circle of rows and objects."""
    found = validate.changed_files(bench, report)
    validate.closure(bench)
    return found


def still_frozen(bench: Workbench, freeze: Freeze) -> float:
    """Prove that nobody wrote to the source since the freeze; returns the seconds it lasted so far.

    Once the new side is open, a source that nobody can write to is no news: 0.
    """
    if bench.done_before is not None:
        return 0.0
    unchanged = not freeze.approved or bench.origin.unwritten(freeze.version)
    found = "unchanged" if unchanged else "changed by another connection"
    seconds = time.monotonic() - freeze.started
    if freeze.approved:
        report_check(bench, "CU102", "source", "unchanged", f"{found} since {freeze.at}", unchanged)
        budget = 60 * bench.run.plan.runbook.step(bench.run.phase).minutes
        report_check(bench, "CU104", "freeze", f"under {budget} s", f"{seconds:.1f} s", seconds < budget)
        bench.run.number("freeze_seconds", round(seconds, 3), "s")
    return seconds


def applied(crossing: Crossing, freeze: Freeze) -> show.Shown:
    """Note that the source was read once more, and that what had changed is on the target."""
    if crossing.bench.done_before is not None:
        return crossing.to("delta")
    seconds, first = crossing.seconds_since_the_last(), crossing.bench.snapshot_seconds
    crossing.worked("snapshot", first, f"the source as it is since {freeze.at}")
    crossing.worked("delta", seconds - first, "what had changed since the export")
    return crossing.to("delta")


def open_new(bench: Workbench, crossing: Crossing, freeze: Freeze) -> show.Shown:
    """Let the new side take writes, if every check so far passes and nobody has written to the source meanwhile."""
    failed = [check for check in bench.run.checks if check.verdict is Verdict.FAIL]
    if bench.done_before is not None:
        return crossing.to("open new")
    if failed:
        crossing.stop(f"{failed[0].code} {failed[0].object} fails, so the new side stays shut")
    crossing.knows["equal"] = lambda: bench.origin.unwritten(freeze.version)
    if not failed:
        crossing.worked("prove", crossing.seconds_since_the_last(), "every cell and byte; nobody wrote meanwhile")
    return crossing.to("open new")


def report_check(
    bench: Workbench, code: str, object: str, expected: str, found: str, ok: bool, keys: Sequence[str] = ()
) -> None:
    """Add one check of the cutover or of the way back."""
    bench.run.add([RULES[code].check(object, expected, found, ok, keys)])
