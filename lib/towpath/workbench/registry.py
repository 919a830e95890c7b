"""Every rule of every room in one list: what docs/checks.md explains and what the fixtures of the tests answer for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from towpath.checks import Rule
from towpath.fitting.rules import RULES as FITTING
from towpath.jobs.rules import RULES as JOBS
from towpath.keys.rules import RULES as KEYS
from towpath.objects.rules import RULES as OBJECTS
from towpath.parity.rules import RULES as PARITY
from towpath.plan.rules import RULES as PLAN
from towpath.postgresql.rules import RULES as POSTGRESQL
from towpath.routes.rules import RULES as ROUTES
from towpath.runs.rules import RULES as RUNS
from towpath.tables.acceptance import RULES as ACCEPTANCE
from towpath.tables.rules import RULES as TABLES
from towpath.traffic.rules import RULES as TRAFFIC
from towpath.workbench.rules import RULES as JOINTS


@dataclass(frozen=True, slots=True)
class Registered:
    """A rule and where it belongs: the room that asks it, and the kind of source of which it is asked."""

    room: str
    engine: str  # "" where it is asked of no source
    rule: Rule


_ROOMS: tuple[tuple[str, str, Mapping[str, Rule]], ...] = (
    ("plan", "", PLAN),
    ("runs", "", RUNS),
    ("tables", "SQLite", TABLES),
    ("tables", "", ACCEPTANCE),
    ("postgresql", "PostgreSQL", POSTGRESQL),
    ("fitting", "SQLite or PostgreSQL", FITTING),
    ("objects", "files", OBJECTS),
    ("keys", "Redis", KEYS),
    ("jobs", "Celery on Redis", JOBS),
    ("parity", "", PARITY),
    ("routes", "an application", ROUTES),
    ("traffic", "", TRAFFIC),
    ("workbench", "", JOINTS),
)


def registry() -> dict[str, Registered]:
    """Every rule by its code, in the order of the rooms."""
    return {code: Registered(room, engine, rule) for room, engine, rules in _ROOMS for code, rule in rules.items()}
