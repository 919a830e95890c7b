"""The queued jobs, phase by phase: Celery's jobs become messages of a queue.  None where nothing is queued.

Before the cutover jobs are only read: the application still works on them.  They are handed over once, when its workers
have stopped.
"""

from __future__ import annotations

from towpath import jobs
from towpath.checks import Check, Comparison, Progress, Verdict
from towpath.errors import CannotFinish
from towpath.jobs.manifest import NAME as JOBS_FILE
from towpath.workbench import going_on
from towpath.workbench.cutover import Freeze
from towpath.workbench.rules import RULES
from towpath.workbench.state import JOBS, SNAPSHOT
from towpath.workbench.workbench import Workbench

NOTHING = "validate/no-jobs.jsonl"
DRAIN_SECONDS = 300.0
LATE_SECONDS = 5.0  # long after the hand-over
ARRIVAL_SECONDS = 120.0  # from the door to the consumer's table; a queue delivers at least every minute


def look(bench: Workbench, report: Progress) -> jobs.Inventory | None:
    """Every job in the broker, every finding judged; `report` counts messages."""
    if bench.broker is None:
        return None
    found = jobs.inventory(bench.broker, _queues(bench), report, tasks=_tasks(bench))
    bench.run.judge(found.findings, jobs.RULES)
    bench.run.check("JO100", "jobs", found.address, "every job looked at", f"{len(found.jobs):,} jobs", True)
    bench.run.number("jobs", len(found.jobs), "jobs")
    return found


def export(bench: Workbench, report: Progress) -> jobs.Exported | None:
    """Every job written down with what becomes of it, beside the snapshot; `report` counts messages."""
    if bench.broker is None:
        return None
    folder = bench.run.output(SNAPSHOT) / JOBS
    before = next((listed for state in bench.states() if (listed := state.jobs) is not None), None)
    known = jobs.known(before) if before is not None else ()
    made = jobs.export(
        bench.broker, _queues(bench), folder, report, decisions=bench.decisions, known=known, tasks=_tasks(bench)
    )
    bench.run.add(made.checks)
    bench.run.artefact(folder)
    return made


@going_on.once
def drain(bench: Workbench, freeze: Freeze, report: Progress) -> jobs.Exported | None:
    """Wait until no worker takes jobs, then write down what is left.  In a dry run nobody waits.

    Raises CannotFinish when a worker is still there: a job that it takes now would be done twice, or by nobody.
    """
    if bench.broker is None:
        return None
    if freeze.approved:
        found = jobs.drain(bench.broker, deadline=DRAIN_SECONDS)
        bench.run.add(found.checks)
        refused = [check for check in found.checks if check.verdict is Verdict.FAIL]
        if refused:
            first = refused[0]
            raise CannotFinish(f"workers still take jobs: {first.found}", object=first.object, next=first.next)
    return export(bench, report)


@going_on.once
def apply(bench: Workbench, report: Progress, *, approved: bool) -> jobs.Loaded | None:
    """Hand the jobs over at the new Worker's door; `report` counts jobs.  None in a dry run.

    Where an earlier attempt had handed jobs over, those that the old side has run since are withdrawn first.
    """
    if bench.push is None or not approved:
        return None
    made = jobs.read(bench.run.output(SNAPSHOT) / JOBS / JOBS_FILE)
    before = next((s.jobs for s in bench.states() if s.is_delta and s.jobs and s.jobs.file != made.file), None)
    if before is None:
        done = jobs.load(bench.push, made, report)
    else:
        lost = {entry.id for entry in made.handed_over} - jobs.arrived(bench.d1)
        done = jobs.apply_delta(bench.push, bench.d1, jobs.delta(before, made), report, again=lost).loaded
    bench.run.add(done.checks)
    bench.run.number("jobs_handed_over", done.jobs, "jobs")
    return done


@going_on.once
def compare(bench: Workbench, report: Progress) -> Comparison | None:
    """What the new consumer keeps against what was handed over; `report` counts jobs.

    A state that no cutover made has handed over nothing, and so nothing may have arrived.  Right after the hand-over
    jobs that are on their way are waited for.
    """
    if bench.broker is None:
        return None
    state = bench.state
    made = state.jobs if state.is_delta else None
    made = made or jobs.write(bench.run.output(NOTHING), [])
    waiting = ARRIVAL_SECONDS if bench.run.phase == "06-cutover" else LATE_SECONDS
    found = jobs.compare(bench.d1, made, report, deadline=waiting)
    bench.run.add(found.checks)
    bench.keep_differences(found)
    if bench.run.phase == "06-cutover" and state.is_delta:
        bench.run.add([_none_came(bench, made)])
    return found


def _none_came(bench: Workbench, made: jobs.Manifest) -> Check:
    """Whether the broker still holds no other jobs than were written down when the workers had stopped."""
    assert bench.broker is not None
    now = jobs.inventory(bench.broker, _queues(bench), tasks=_tasks(bench)).ids
    came = sorted(now - {entry.id for entry in made})
    told = f"{len(came)} jobs came since" if came else "no job came since"
    return RULES["CU102"].check("broker", "unchanged", told, not came, came[:20])


def _queues(bench: Workbench) -> tuple[str, ...]:
    return bench.run.mapping.jobs.queues


def _tasks(bench: Workbench) -> tuple[str, ...] | None:
    return bench.run.mapping.jobs.tasks or None
