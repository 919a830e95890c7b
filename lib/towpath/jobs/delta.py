"""The cutover: what came into the broker after the export, and what the old side ran itself since."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from towpath.checks import Progress, silent
from towpath.cloudflare.d1 import D1
from towpath.jobs.load import Loaded, load
from towpath.jobs.manifest import Manifest
from towpath.jobs.push import Push
from towpath.jobs.receipts import Receipts
from towpath.jobs.target import withdraw


@dataclass(frozen=True, slots=True)
class Delta:
    """Ids: `came` go to the queue now; `gone` were handed over, and the old side has run or parked them since."""

    manifest: Manifest  # the new one, which is what the target must hold afterwards
    came: tuple[str, ...]
    gone: tuple[str, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class Applied:
    """A delta brought to the target.  `withdrawn`: jobs that had arrived, and must not run a second time."""

    loaded: Loaded
    withdrawn: int


def delta(before: Manifest, after: Manifest) -> Delta:
    """Compare two exports; the later one must have been given the earlier one's jobs as `known`."""
    old = {entry.id: entry.digest for entry in before.handed_over}
    new = {entry.id: entry.digest for entry in after.handed_over}
    came = tuple(id for id in new if id not in old)
    gone = tuple(id for id in old if new.get(id) != old[id])
    # a retry keeps the id and may change the body: the old message is withdrawn, the new one is sent
    changed = tuple(id for id in gone if id in new)
    return Delta(after, came + changed, gone, len(old) - len(gone))


def apply_delta(
    push: Push, d1: D1, difference: Delta, report: Progress = silent, *, again: Collection[str] = ()
) -> Applied:
    """Withdraw what is gone, then hand over what came; safe to repeat.

    What did not change is not sent again, except for `again`.  `report` receives jobs.  Raises CannotFinish.
    """
    accepted = Receipts(difference.manifest, push.url).accepted
    # what an earlier attempt sent anew under an old id stays
    withdrawn = withdraw(d1, [id for id in difference.gone if id not in accepted])
    loaded = load(push, difference.manifest, report, only={*difference.came, *again}, again=again)
    return Applied(loaded, withdrawn)


def known(manifest: Manifest) -> tuple[tuple[str, str, str], ...]:
    """Id, queue and task of every job of an export: what the next one must account for."""
    return tuple((entry.id, entry.queue, entry.task) for entry in manifest)
