"""What other keys of mapping.yaml than `decisions` must say: sentences for a person, because nothing here is safe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from towpath.checks import Check, Verdict
from towpath.plan.inline import secret_kind
from towpath.plan.mapping import SystemMapping

ANSWERED = ("FT101", "FT102", "FT105", "KE101", "JO101")  # refusals that another key of mapping.yaml answers


def hints(checks: Sequence[Check], mapping: SystemMapping) -> Iterator[str]:
    """One sentence for each thing that only `tables`, `keys` or `jobs` of mapping.yaml can answer."""
    failed = [check for check in checks if check.verdict is Verdict.FAIL]
    unfilled = {check.object for check in checks if check.code in ("FT103", "FT104")}
    for check in failed:
        if check.code == "FT101":
            yield _column(check.object, mapping, unfilled)
        elif check.code == "FT102":
            yield f"tables.fit: no proposal is safe for {check.object}: write a rule for it, or name it under left"
        elif check.code == "FT105":
            yield f"tables.fit: no proposal is safe for the target's {check.object}: fill it, or name it under empty"
        elif check.code == "KE101":
            yield from _keys(check.keys)
        elif check.code == "JO101":
            yield f"jobs.queues: add {check.object}, or let its workers empty it"


def _column(column: str, mapping: SystemMapping, unfilled: set[str]) -> str:
    table, _, name = column.rpartition(".")
    targets = [rule.target for rule in mapping.tables.fit if rule.source == table]
    same = [target for target in targets if f"{target}.{name}" in unfilled]
    if len(same) == 1:
        rule = f"tables.fit, from {table} to {same[0]}, columns: `{name}: {name}`"
        return f"{rule}: nothing fills that column of the target yet; 02-schema proves that type and values fit"
    return f"tables.fit: no proposal is safe for {column}: map it, or name it under drop with the reason"


def _keys(samples: Sequence[str]) -> Iterator[str]:
    """One pattern for each beginning of the keys that were named; json takes every type of Redis."""
    names = [sample for sample in samples if not secret_kind(sample)]
    for start in sorted({name.partition(":")[0] for name in names if ":" in name}):
        row = f'- {{ pattern: "{start}:*", do: json }}'
        yield f"keys.rules: `{row}` takes such keys of every type; string and drop exist too"
    alone = [name for name in names if ":" not in name]
    if alone:
        yield f"keys.rules: a rule for {', '.join(sorted(alone))}"
    if len(names) < len(samples):
        yield f"keys.rules: a pattern for {len(samples) - len(names)} keys whose names look like secrets"
