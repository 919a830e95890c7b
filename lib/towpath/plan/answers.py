"""Does a decision answer a rule that some surface has?  Asked of the files, before anything runs."""

from __future__ import annotations

import difflib

from towpath.checks import Rule, Severity
from towpath.fitting.rules import RULES as FITTING
from towpath.jobs.rules import RULES as JOBS
from towpath.keys.rules import RULES as KEYS
from towpath.objects.rules import RULES as OBJECTS
from towpath.parity.rules import RULES as PARITY
from towpath.plan.document import Document, Place
from towpath.plan.problems import Problem, key_of
from towpath.postgresql.rules import RULES as POSTGRESQL
from towpath.routes.rules import RULES as ROUTES
from towpath.tables.rules import RULES as TABLES

SURFACES: dict[str, Rule] = {**TABLES, **POSTGRESQL, **FITTING, **OBJECTS, **KEYS, **JOBS, **ROUTES, **PARITY}


def decision_problem(document: Document, place: Place, code: str, do: str) -> Problem | None:
    """What is wrong with a decision, if anything: its code, or an answer that its rule does not allow."""
    rule = SURFACES.get(code)
    if rule is None:
        return _problem(document, place, "code", f"no surface has {code}", _near(code))
    if rule.severity is not Severity.DECIDE:
        what = f"{code} ({rule.title}) is not decided here"
        step = f"remove the row: {rule.advice}" if rule.severity is Severity.REFUSE else "remove the row"
        return _problem(document, place, "code", what, step)
    if do not in rule.choices:
        what = f"{do!r} does not answer {code} ({rule.title})"
        return _problem(document, place, "do", what, f"allowed: {', '.join(rule.choices)}")
    return None


def waiver_problem(document: Document, place: Place, code: str) -> Problem | None:
    """What is wrong with a waiver, if anything: only what a decision can lose is ever waived."""
    rule = SURFACES.get(code)
    if rule is None:
        return _problem(document, place, "code", f"no surface has {code}", _near(code))
    if not rule.lossy:
        what = f"{code} ({rule.title}) loses nothing that could be waived"
        return _problem(document, place, "code", what, "remove the row")
    return None


def _problem(document: Document, place: Place, key: str, what: str, step: str) -> Problem:
    inner = (*place, key)
    return Problem("PL014", document.file, document.line(inner), key_of(inner), what, step)


def _near(code: str) -> str:
    near = difflib.get_close_matches(code, SURFACES, n=3, cutoff=0.6)
    return f"see docs/checks.md; near it: {', '.join(near)}" if near else "see docs/checks.md"
