"""The way back of the cache: keys of the namespace become keys of Redis again.  None where the system has no cache."""

from __future__ import annotations

from towpath import keys, show
from towpath.checks import Progress
from towpath.cloudflare.kv import KV
from towpath.errors import WrongUse
from towpath.workbench.cutover import Freeze, report_check
from towpath.workbench.live import NO_CACHE
from towpath.workbench.panels import sentence
from towpath.workbench.rollback import counted, refuse_failed
from towpath.workbench.workbench import Workbench

BEFORE = "roll-back/keys"


def find(bench: Workbench, freeze: Freeze, report: Progress) -> keys.Back | None:
    """Find what was written into the namespace, and what stands in its way; `report` counts keys.

    Redis as it is before anything is written lies in the record, but for a dry run.
    """
    if bench.redis is None or bench.kv is None:
        return None
    if freeze.approved:
        folder = bench.run.output(BEFORE)
        keys.export(bench.redis, bench.key_rules, folder)
        bench.run.artefact(folder)
    back = keys.find_back(bench.kv, bench.redis, _held(bench, bench.kv), bench.key_rules, report)
    bench.run.number("keys_to_carry_back", len(back.changes), "keys")
    named = [f"{key}: {why}" for key, why in back.conflicts]
    report_check(bench, "CU213", "keys", "none in the way", counted(named), not named, named)
    return back


def carry(bench: Workbench, back: keys.Back | None, freeze: Freeze, report: Progress) -> int:
    """Write the keys into Redis, each whole or not at all; `report` counts keys.  0 in a dry run."""
    if back is None or bench.redis is None or not freeze.approved:
        return 0
    refuse_failed(bench)
    return keys.carry_back(bench.redis, back, report)


def prove(bench: Workbench, back: keys.Back | None, freeze: Freeze, report: Progress) -> keys.Proved | None:
    """Every key of Redis that moves against the namespace; `report` counts keys.  None in a dry run."""
    if back is None or bench.redis is None or bench.kv is None or not freeze.approved:
        return None
    proved = keys.prove_back(bench.kv, bench.redis, bench.key_rules, back, report)
    named = [f"{one.key}: {one.column or one.kind}" for one in proved.differences]
    equal = f"{proved.keys:,} equal on both sides"
    own = f"; {len(proved.own):,} that Redis changed itself stay: {', '.join(proved.own[:5])}" if proved.own else ""
    found = counted(named) if named else equal + own
    report_check(bench, "CU214", "keys", equal, found, not named, named)
    return proved


def found(back: keys.Back | None) -> show.Shown:
    """What the new application wrote into the cache."""
    if back is None:
        return sentence(NO_CACHE)
    told = f"{len(back.changes) - back.deleted:,} keys to write, {back.deleted:,} to delete"
    told += f", {len(back.conflicts):,} in the way" if back.conflicts else ""
    told += f"; {len(back.expired):,} were written and have ended since" if back.expired else ""
    told += f"; {len(back.left):,} stay behind by their rule" if back.left else ""
    return sentence(f"{told}.")


def proved(done: keys.Proved | None, bench: Workbench) -> show.Shown:
    """What the proof saw."""
    if done is None:
        return sentence(NO_CACHE if bench.redis is None else "Dry run: no key was written.")
    return sentence(f"{len(done.differences):,} differences in {done.keys:,} keys.")


def _held(bench: Workbench, kv: KV) -> keys.Manifest:
    """The newest export that the namespace holds: a cutover that was cut may have written down another one."""
    held = keys.held(kv, (made for state in bench.states() if (made := state.keys) is not None))
    if held is None:
        step = "look whether kv_namespace_id names the namespace that 04-import filled"
        raise WrongUse("the namespace holds no export of this run", object=f"KV {kv.namespace}", next=step)
    return held
