"""The cache, phase by phase: keys of Redis become keys of a KV namespace.  None where the system has no cache."""

from __future__ import annotations

import itertools

from towpath import keys
from towpath.checks import Comparison, Progress
from towpath.cloudflare.kv import KV
from towpath.workbench import going_on
from towpath.workbench.state import KEYS, SNAPSHOT, State
from towpath.workbench.workbench import Workbench


def look(bench: Workbench, report: Progress) -> keys.Inventory | None:
    """Every key by pattern and type, every finding judged; `report` counts keys."""
    if bench.redis is None:
        return None
    found = keys.inventory(bench.redis, bench.key_rules, report)
    bench.run.judge(found.findings, keys.RULES, more=found.decisions)
    bench.run.check("KE100", "keys", found.facts.address, "every key looked at", f"{found.keys:,} keys", True)
    bench.run.number("keys", found.keys, "keys")
    return found


def export(bench: Workbench, report: Progress) -> keys.Manifest | None:
    """Every key read once and written down as ready requests, beside the snapshot; `report` counts keys."""
    if bench.redis is None:
        return None
    folder = bench.run.output(SNAPSHOT) / KEYS
    made = keys.export(bench.redis, bench.key_rules, folder, report)
    bench.run.add(made.checks)
    bench.run.number("keys", made.keys, "keys")
    bench.run.artefact(folder)
    return made


def load(bench: Workbench, report: Progress) -> keys.Loaded | keys.Applied | None:
    """Put every key that the namespace does not hold yet; `report` counts keys.

    After a cutover that was cut off it is the delta that is brought to its end.
    """
    made = bench.state.keys
    if bench.kv is None or made is None:
        return None
    bench.run.number("keys", made.keys, "keys")
    done = _follow(bench, bench.kv, made, report) if bench.state.is_delta else keys.load(bench.kv, made, report)
    bench.run.add(done.checks)
    return done


@going_on.once
def compare(bench: Workbench, report: Progress) -> Comparison | None:
    """Every key of the namespace against the export: value, type, expiry; `report` counts keys."""
    made = bench.state.keys
    if bench.kv is None or made is None:
        return None
    found = keys.compare(bench.kv, made, report)
    bench.run.add(found.checks)
    bench.keep_differences(found)
    return found


@going_on.once
def changes(bench: Workbench, base: State, report: Progress) -> keys.Delta | None:
    """A second export, and what changed since the first; `report` counts keys."""
    made = export(bench, report)
    if made is None or base.keys is None:
        return None
    found = keys.delta(base.keys, made)
    bench.run.number("changed_keys", len(found.put) + len(found.delete), "keys")
    return found


@going_on.once
def apply(bench: Workbench, report: Progress, *, approved: bool) -> keys.Applied | None:
    """Bring the namespace to the newest export; `report` counts puts and deletions.  None in a dry run."""
    if bench.kv is None or not approved:
        return None
    done = _follow(bench, bench.kv, keys.read(bench.run.output(SNAPSHOT) / KEYS), report)
    bench.run.add(done.checks)
    return done


def _follow(bench: Workbench, kv: KV, last: keys.Manifest, report: Progress) -> keys.Applied:
    """From export to export up to the last one, whichever of them an attempt that was cut off had reached."""
    older = [made for state in bench.states() if (made := state.keys) is not None and made.moment < last.moment]
    steps = [*reversed(older), last]
    for old, new in itertools.pairwise(steps):
        done = keys.apply(kv, keys.delta(old, new), new, report)
    return done
