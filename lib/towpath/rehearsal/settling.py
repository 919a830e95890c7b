"""Holds a ledger against what a side holds: every acknowledged write exactly once, a refused one not at all.

What an entity may be follows from its writes alone.  After an unknown write two answers are right, the state before and
the state after it; the clients leave such an entity alone, so that it never becomes more than two.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from towpath.rehearsal.ledger import Deed, Told, Write, parts_of, text_of

SHOWN = 20  # faults that are named one by one
ABSENT = 0  # the version of an entity that is not there


class Wrong(StrEnum):
    """What is wrong with an entity."""

    MISSING = "missing"  # acknowledged, and not there
    DOUBLED = "doubled"  # there more than once
    STALE = "stale"  # there in an older version than the one acknowledged last
    RISEN = "risen"  # its removal was acknowledged, and it is there
    UNTOLD = "untold"  # there in a version that no client was told is kept, or that nobody wrote


@dataclass(frozen=True, slots=True)
class Found:
    """One entity as a side holds it."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One entity that is not as it must be, and the write that says so."""

    wrong: Wrong
    kind: str
    marker: str
    expected: str
    found: str
    at: int  # milliseconds since 1970 of the write acknowledged last; 0 without one

    @property
    def line(self) -> str:
        """The fault in one line."""
        return f"{self.wrong}: {self.kind} {self.marker}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class Settled:
    """A ledger held against a side."""

    side: str
    told: dict[str, int]  # writes by what the client was told
    entities: int  # that were looked for
    certain: int  # of which only one state is right
    open: int  # of which two states are right, because a write's fate is unknown
    applied: int  # unknown writes that are there
    faults: tuple[Fault, ...]
    phases: dict[str, dict[str, int]]  # phase of time -> writes by what the client was told

    @property
    def holds(self) -> bool:
        """Whether every acknowledged write is there exactly once, and nothing else."""
        return not self.faults

    @property
    def lines(self) -> list[str]:
        """What is wrong, for people; one line if nothing is."""
        kept, refused, unknown = (self.told.get(told, 0) for told in Told)
        head = (
            f"{self.side}: {kept:,} writes acknowledged, {refused:,} refused, {unknown:,} unknown "
            f"({self.applied:,} of the unknown are there); {self.entities:,} entities looked for, "
        )
        if self.holds:
            return [head + "each as it must be"]
        more = [f"… and {len(self.faults) - SHOWN:,} more"] if len(self.faults) > SHOWN else []
        return [head + f"{len(self.faults):,} are wrong", *(fault.line for fault in self.faults[:SHOWN]), *more]


def settle(
    writes: Sequence[Write], found: Iterable[Found], *, side: str, phases: Sequence[tuple[int, str]] = ()
) -> Settled:
    """Hold a ledger against everything that a side holds of it.

    `phases`: since when (milliseconds since 1970) which phase holds, ascending.
    """
    there: dict[tuple[str, str], list[int]] = defaultdict(list)
    faults: list[Fault] = []
    for one in found:
        parts = parts_of(one.text)
        if parts is None:
            faults.append(Fault(Wrong.UNTOLD, one.kind, one.text, "no such text", one.text, 0))
        else:
            there[one.kind, parts[0]].append(parts[1])
    entities: dict[tuple[str, str], list[Write]] = defaultdict(list)
    for write in writes:
        entities[write.kind, write.marker].append(write)
    certain = applied = 0
    for name, own in entities.items():
        versions = there.pop(name, [])
        right = right_versions(own)
        certain += len(right) == 1
        fault = _fault(name, own, right, versions)
        if fault:
            faults.append(fault)
        elif len(right) > 1:
            applied += (versions or [ABSENT])[0] == right[-1]
    for (kind, marker), versions in there.items():
        texts = ", ".join(text_of(marker, version) for version in versions)
        faults.append(Fault(Wrong.UNTOLD, kind, marker, "nothing: no client wrote it", texts, 0))
    told = dict(Counter(str(write.told) for write in writes))
    by_phase = _by_phase(writes, phases)
    total = len(entities)
    return Settled(side, told, total, certain, total - certain, applied, tuple(faults), by_phase)


def right_versions(writes: Sequence[Write]) -> tuple[int, ...]:
    """The versions in which an entity may be, by its writes in their order; ABSENT where it may be absent.

    One, or two where the last write is unknown: then the second one is what that write wanted.
    """
    right: tuple[int, ...] = (ABSENT,)
    for write in writes:
        wanted = ABSENT if write.deed is Deed.REMOVE else write.version
        if write.told is Told.ACKNOWLEDGED:
            right = (wanted,)
        elif write.told is Told.UNKNOWN:
            right = (*(one for one in right if one != wanted), wanted)
    return right


def _fault(name: tuple[str, str], writes: list[Write], right: tuple[int, ...], versions: list[int]) -> Fault | None:
    kind, marker = name
    acknowledged = [write for write in writes if write.told is Told.ACKNOWLEDGED]
    at = acknowledged[-1].told_at if acknowledged else 0
    expected = " or ".join("nothing" if one == ABSENT else f"v{one}" for one in right)
    shown = " and ".join(f"v{one}" for one in versions) or "nothing"
    if len(versions) > 1:
        return Fault(Wrong.DOUBLED, kind, marker, expected, shown, at)
    is_there = versions[0] if versions else ABSENT
    if is_there in right:
        return None
    if is_there == ABSENT:
        wrong = Wrong.MISSING
    elif acknowledged and acknowledged[-1].deed is Deed.REMOVE:
        wrong = Wrong.RISEN
    elif acknowledged and is_there < acknowledged[-1].version:
        wrong = Wrong.STALE
    else:
        wrong = Wrong.UNTOLD
    return Fault(wrong, kind, marker, expected, shown, at)


def _by_phase(writes: Sequence[Write], phases: Sequence[tuple[int, str]]) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = {name: Counter() for _, name in phases}
    for write in writes:
        names = [name for since, name in phases if since <= write.at]
        if names:
            counted[names[-1]][str(write.told)] += 1
    return {name: dict(counts) for name, counts in counted.items()}
