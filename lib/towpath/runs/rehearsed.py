"""Was the way back rehearsed?  Before the last step of a move in earnest, a record must say so, and be fresh.

It counts what ran with the same runbook, mapping and waivers in any environment but production: params name other ends
there.  The result must be sealed and unchanged; in `local` and `rehearsal` nobody has to have signed it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.checks import Verdict
from towpath.errors import TowpathError, WrongUse
from towpath.plan.ends import UNSIGNED
from towpath.plan.plan import Plan, content_hash
from towpath.runs.files import digest
from towpath.runs.folder import RunFolder, list_runs
from towpath.runs.results import PhaseResult
from towpath.runs.seal import merged, readable_seals

EARNEST = "production"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A way back that was rehearsed."""

    environment: str
    run: str
    stem: str
    ended: dt.datetime

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.stem} of run {self.run} ({self.environment}) is PASS, {self.ended:%Y-%m-%d %H:%M} UTC"


def fresh_rehearsal(root: Path, plan: Plan, now: dt.datetime) -> Rehearsed | None:
    """The newest rehearsal of this plan's way back that is fresh enough; None if there is none, or no way back."""
    back = plan.runbook.way_back
    if back is None:
        return None
    oldest = now - dt.timedelta(days=back.rehearsed_within_days)
    found = [one for one in _rehearsals(root, plan, back.phase) if oldest <= one.ended <= now]
    return max(found, key=lambda one: one.ended, default=None)


def check_rehearsed(folder: RunFolder, plan: Plan, phase: str) -> None:
    """The last step begins for real in staging and production only if the way back was rehearsed.

    Raises WrongUse (RN010).  A runbook without a way back has nothing to rehearse; a dry run needs no rehearsal.
    """
    back = plan.runbook.way_back
    if plan.environment in UNSIGNED or back is None or phase != plan.runbook.phases[-1] or not plan.approved:
        return
    root = folder.path.parents[3]
    if fresh_rehearsal(root, plan, dt.datetime.now(dt.UTC)) is None:
        days = back.rehearsed_within_days
        raise WrongUse(
            f"no sealed run of this runbook, mapping and waivers shows a {back.phase} that is PASS and at most {days} "
            "days old",
            object=phase,
            next=f"towpath rehearse {plan.system}, or {back.phase} in staging; or towpath place fetch",
            code="RN010",
        )


def _rehearsals(root: Path, plan: Plan, phase: str) -> Iterator[Rehearsed]:
    for folder in list_runs(root, plan.system):
        if folder.environment == EARNEST:
            continue
        try:
            if not _is_of(folder, plan):
                continue
            sealed = merged(readable_seals(folder))
            passed = [one for one in folder.results() if one.phase == phase and one.verdict is Verdict.PASS]
            yield from (_rehearsed(folder, one) for one in passed if _is_whole(folder, one, sealed))
        except (TowpathError, OSError, ValueError, KeyError, TypeError):
            continue  # a record that cannot be read proves nothing


def _is_of(folder: RunFolder, plan: Plan) -> bool:
    """Whether the run has the same runbook, mapping and waivers, and its plan is the one that it names."""
    text = (folder.path / "plan.json").read_bytes().removesuffix(b"\n")
    same = content_hash(json.loads(text)) == plan.content_hash
    return same and hashlib.sha256(text).hexdigest() == folder.plan_hash


def _is_whole(folder: RunFolder, result: PhaseResult, sealed: dict[str, str]) -> bool:
    name = f"{result.stem}.result.json"
    return result.plan == folder.plan_hash and sealed.get(name) == digest(folder.path / name)[0]


def _rehearsed(folder: RunFolder, result: PhaseResult) -> Rehearsed:
    ended = dt.datetime.fromisoformat(result.ended)
    return Rehearsed(folder.environment, folder.run_id, result.stem, ended)
