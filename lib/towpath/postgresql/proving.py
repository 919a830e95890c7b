"""Proof of a conversion before anything is written: its statements run under D1's rules, and nothing is left unsaid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from towpath.checks import Check
from towpath.postgresql.catalog import Catalog
from towpath.postgresql.generated import Generated
from towpath.postgresql.rules import RULES
from towpath.tables.dialect import Sandbox


def prove(generated: Generated, catalog: Catalog) -> list[Check]:
    """One check for each statement that fails, one for all that run, one for the accounts."""
    wrong = list(_failing(generated))
    total = len(generated.table_statements) + len(generated.after_statements)
    found = f"{total - len(wrong)} of {total} run"
    checks = [_check("PG324", "schema", f"{total} statements run", found, not wrong)]
    checks += [_check("PG324", name, "runs under D1's rules", error, False) for name, error in wrong]
    there = Counter((item.kind, item.name) for item in catalog.objects)
    told = Counter((a.kind, a.name) for a in generated.accounts if a.kind != "grant")
    missing = [f"{kind} {name}" for kind, name in (there - told) + (told - there)]
    outcomes = Counter(account.outcome for account in generated.accounts if account.kind != "grant")
    said = " + ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) + f" = {told.total()}"
    found = f"not accounted for: {', '.join(missing)}" if missing else said
    checks.append(_check("PG325", "schema", f"{there.total()} objects accounted for", found, not missing))
    return checks


def _failing(generated: Generated) -> Iterator[tuple[str, str]]:
    with Sandbox() as sandbox:
        named = [(t.source, t.sql) for t in generated.tables]
        named += [(s.source, s.sql) for s in (*generated.indexes, *generated.views)]
        for name, sql in named:
            if error := sandbox.run(sql):
                yield name, error


def _check(code: str, name: str, expected: str, found: str, good: bool) -> Check:
    return RULES[code].check(name, expected, found, good, step="open an issue with the declaration of this object")
