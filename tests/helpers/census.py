"""A source in memory, and everything that is measured of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import apsw

from towpath.checks import Decision, Finding
from towpath.cloudflare.limits import PAID, Limits
from towpath.tables.census import Profile
from towpath.tables.conversion import Conversion
from towpath.tables.convert import convert
from towpath.tables.findings import find
from towpath.tables.orphans import Orphans, orphans
from towpath.tables.profile import profile
from towpath.tables.rules import RULES
from towpath.tables.schema import Schema, reflect


@dataclass(frozen=True)
class Looked:
    """One source and what was found in it."""

    db: apsw.Connection
    schema: Schema
    profile: Profile
    orphans: tuple[Orphans, ...]

    def findings(self, limits: Limits = PAID, time_zone: str = "UTC") -> list[Finding]:
        return find(self.schema, self.profile, self.orphans, limits, time_zone=time_zone)

    def convert(self, decisions: Sequence[Decision] = ()) -> Conversion:
        return convert(self.schema, self.profile, decisions)

    def decided(self, choice: int = 0) -> list[Decision]:
        """A decision for each finding that wants one: its first choice, or another."""
        wanted = [f for f in self.findings() if RULES[f.code].choices]
        return [
            Decision(f.code, f.object, RULES[f.code].choices[min(choice, len(RULES[f.code].choices) - 1)], "in a test")
            for f in wanted
        ]


def look_at(db: apsw.Connection) -> Looked:
    """Measure an open source."""
    schema = reflect(db)
    return Looked(db, schema, profile(db, schema), orphans(db, schema))


def look(sql: str, prepare: Callable[[apsw.Connection], None] | None = None) -> Looked:
    """Make a source by SQL and measure it."""
    db = apsw.Connection(":memory:")
    if prepare is not None:
        prepare(db)
    db.execute(sql).fetchall()
    return look_at(db)
