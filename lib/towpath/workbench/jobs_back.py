"""The way back of queued jobs: what did not run on the new side is Celery's again.  None where nothing is queued."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from towpath import jobs, show
from towpath.checks import Progress
from towpath.workbench.cutover import Freeze, report_check
from towpath.workbench.live import NO_JOBS
from towpath.workbench.panels import sentence
from towpath.workbench.rollback import counted, refuse_failed
from towpath.workbench.workbench import Workbench

LISTED = "roll-back/jobs.jsonl"


def find(bench: Workbench, freeze: Freeze, report: Progress) -> jobs.Back | None:
    """Wait until the new side's queue is quiet, and find whose each job is now; `report` counts jobs.

    In a dry run nobody waits.
    """
    if bench.broker is None:
        return None
    quiet = jobs.wait_until_quiet(bench.d1) if freeze.approved else jobs.wait_until_quiet(bench.d1, 0, 0)
    told = f"{len(quiet.under_way):,} under way, nothing new for {quiet.quiet:.0f} s"
    good = not quiet.under_way and (not freeze.approved or quiet.quiet >= jobs.QUIET)
    report_check(bench, "CU215", "queue", f"quiet for {jobs.QUIET:.0f} s", told, good, quiet.under_way[:20])
    mapped = bench.run.mapping.jobs
    handed = next((made for state in bench.states() if state.is_delta and (made := state.jobs) is not None), None)
    back = jobs.find_back(bench.d1, bench.broker, handed, mapped.queues, mapped.tasks or None, report)
    workers = [f"{one.address} {one.name}".strip() for one in back.consumers]
    report_check(bench, "CU215", "workers", "none connected", counted(workers), not workers, workers)
    named = [f"{id}: {why}" for id, why in back.conflicts]
    report_check(bench, "CU215", "jobs", "none in the way", counted(named), not named, named[:20])
    bench.run.number("jobs_to_carry_back", back.count, "jobs")
    return back


def carry(bench: Workbench, back: jobs.Back | None, freeze: Freeze, report: Progress) -> int:
    """Give Celery its jobs, and take out of its broker what has run; `report` counts messages.  0 in a dry run.

    What becomes of each job is written down before, with the messages that are pushed or taken out.
    """
    if back is None or bench.broker is None or not freeze.approved:
        return 0
    refuse_failed(bench)
    path = bench.run.output(LISTED)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in _lines(back))
    path.chmod(0o600)  # it holds the bodies of jobs
    bench.run.artefact(path)
    return jobs.carry_jobs_back(bench.d1, bench.broker, back, report, now=int(time.time()))


def prove(bench: Workbench, back: jobs.Back | None, freeze: Freeze) -> jobs.Proved | None:
    """Both sides again: each job is Celery's, or has run, and never both.  None in a dry run."""
    if back is None or bench.broker is None or not freeze.approved:
        return None
    proved = jobs.prove_jobs_back(bench.d1, bench.broker, back, bench.run.mapping.jobs.queues)
    wrong = list(proved.wrong)
    told = f"{proved.jobs:,} jobs, each on one side"
    report_check(bench, "CU216", "jobs", told, counted(wrong) if wrong else told, not wrong, wrong[:20])
    return proved


def found(back: jobs.Back | None) -> show.Shown:
    """What becomes of the jobs."""
    if back is None:
        return sentence(NO_JOBS)
    fates = (
        ("has run on the new side: done", len(back.done)),
        ("of these still in Celery's broker: taken out", len(back.take)),
        ("has not run, waits in Celery's broker: stays", len(back.stay) + len(back.given)),
        ("has not run, the broker lacks it: pushed", len(back.give)),
        ("has expired, or is no job: nobody would run it", len(back.over)),
        ("in the way", len(back.conflicts)),
    )
    return show.table(fates, ("What becomes of it", "Jobs"), "The jobs that the new side knows", numeric=("Jobs",))


def proved(done: jobs.Proved | None, bench: Workbench) -> show.Shown:
    """What the proof saw."""
    if done is None:
        return sentence(NO_JOBS if bench.broker is None else "Dry run: no job was handed back.")
    return sentence(f"{done.jobs:,} jobs, {len(done.wrong):,} of them wrong.")


def _lines(back: jobs.Back) -> Iterator[dict[str, Any]]:
    for give in back.give:
        message = base64.b64encode(give.message).decode()
        yield {"id": give.id, "fate": "pushed", "queue": give.queue, "task": give.task, "message": message}
    for take in back.take:
        yield {"id": take.id, "fate": "taken out", "message": base64.b64encode(take.message).decode()}
    taken = Counter(one.id for one in back.take)
    for fate, ids in (("stays", back.stay), ("Celery's before", back.given), ("done", back.done), ("over", back.over)):
        yield from ({"id": id, "fate": fate} for id in ids if not taken[id])
