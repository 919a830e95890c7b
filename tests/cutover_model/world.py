"""What can happen during a cutover, and what must never be.

The runner's moves are made from the very steps that 06-cutover and 07-roll-back walk through (towpath.traffic.steps);
what those steps mean for the data, and everything that happens around them, stands here.

The model is harsher than life wherever that makes it smaller:

- A client may send any write to either side at any moment, as if the gateway were not there: cron jobs, old DNS answers
  and the Worker's own address do that.  So only the switch and the fence keep the sides apart, never the gateway.
- An isolate may work by an older setting for as long as it likes; it may lose what it knows at any moment.
- Somebody may change source or target behind everybody's back, once, past switch and fence.
- Evidence may become stale at any moment.  The operator may begin 06 or 07 anew at any moment, even in the middle.
- The runner may die at any moment; what it has noted stays.
- Carrying back makes the source what D1 is: whoever carries back once too often overwrites what came in since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cutover_model.layout import Field, Layout, Mask, States
from towpath.traffic.steps import FACTS, Step, Work

UNSENT, TO_OLD, INSIDE, TO_NEW, ACKNOWLEDGED, REFUSED = range(6)  # a write
OVER, BACK = range(2)
UNKNOWN = len(FACTS["setting"])  # what an isolate works by when it knows nothing
SETTINGS = {name: at for at, name in enumerate(FACTS["setting"])}
EVIDENCE = ("validated", "rehearsed", "approved", "watched")
# What the gate of a step must have seen fresh, said a second time: a table that forgets one is found out.
GATES: dict[str, tuple[str, ...]] = {
    "freeze": ("validated", "rehearsed", "approved"),
    "open new": ("equal", "validated", "rehearsed", "approved"),
    "split 50": ("watched",),
    "split 100": ("watched",),
    "all new": ("watched",),
    "retire": ("approved", "watched"),
}


@dataclass(frozen=True, slots=True)
class Move:
    """What may happen: where it may, and what is then.  `ours`: operator, runner and the mere course of time."""

    name: str
    ours: bool
    may: Callable[[States], Mask]
    then: Callable[[States], States]
    gate: tuple[str, ...] = ()  # what had to be fresh, if the states where it is not are to be found
    runner: bool = False  # it is a turn of the runner


class World:
    """All moves and all properties, for a table of steps, so many writes and so many isolates."""

    def __init__(self, over: Sequence[Step], back: Sequence[Step], writes: int = 2, isolates: int = 2) -> None:
        self.ways = (tuple(over), tuple(back))
        layout = Layout()
        self.layout = layout
        self.kv = layout.field("setting", len(SETTINGS))
        self.isolates = [layout.field(f"isolate {n}", len(SETTINGS) + 1) for n in range(isolates)]
        self.flags = {
            name: layout.field(name, 2) for name in ("old writes", "new writes", "ahead", "fallback", "old side")
        }
        self.evidence = {name: layout.field(name, 2) for name in EVIDENCE}
        self.whole = layout.field("new side whole", 2)  # fit to be read
        self.way = layout.field("way", 2)
        self.at = layout.field("steps noted", max(map(len, self.ways)) + 1)
        self.progress = layout.field("progress", 3)  # of the step's work: 0 not begun, 1 in the middle, 2 done
        self.writes = [layout.field(f"write {n}", 6) for n in range(writes)]
        self.clients = (1 << writes) - 1
        self.foreign = 1 << writes  # somebody's change behind our back
        rows = 1 << (writes + 1)
        self.old, self.new, self.snapshot = (layout.field(name, rows) for name in ("old has", "new has", "snapshot"))
        self.taken = layout.field("snapshot taken", 2)
        self.moves = tuple(self._moves())

    @property
    def start(self) -> int:
        """Everything on the old side; the new one has been imported, and its fence is shut."""
        return 0

    # -- what can be asked of the world

    def seen(self, s: States) -> Mask:
        """Whether every isolate works by what stands in KV."""
        kv = self.kv.get(s)
        return np.logical_and.reduce([isolate.get(s) == kv for isolate in self.isolates])

    def quiet(self, s: States) -> Mask:
        """Whether no write is inside the old side."""
        return np.logical_and.reduce([write.get(s) != INSIDE for write in self.writes])

    def equal(self, s: States) -> Mask:
        """Whether D1 is the snapshot, and the source has not changed since."""
        snapshot = self.snapshot.get(s)
        return (self.taken.get(s) == 1) & (self.new.get(s) == snapshot) & (self.old.get(s) == snapshot)

    def carried(self, s: States) -> Mask:
        """Whether the source holds all that was written on D1."""
        return (self.flags["ahead"].get(s) == 0) | ((self.old.get(s) ^ self.new.get(s)) & self.clients == 0)

    def fact(self, s: States, name: str, value: str) -> Mask:
        """Whether a fact of the table has this value."""
        if name == "setting":
            return self.kv.get(s) == SETTINGS[value]
        if name in self.flags:
            return self.flags[name].get(s) == FACTS[name].index(value)
        asked = {"seen": self.seen, "old quiet": self.quiet, "equal": self.equal, "carried back": self.carried}
        return asked[name](s) == (value == "yes")

    def fresh(self, s: States, name: str) -> Mask:
        """Whether evidence is fresh."""
        return self.equal(s) if name == "equal" else self.evidence[name].get(s) == 1

    def _all(self, s: States, masks: Iterator[Mask]) -> Mask:
        result = np.ones(len(s), dtype=np.bool_)
        for mask in masks:
            result &= mask
        return result

    # -- what may happen

    def _moves(self) -> Iterator[Move]:
        for way, steps in enumerate(self.ways):
            for at, step in enumerate(steps):
                for move in self._runner(way, at, step, [one.name for one in steps]):
                    yield replace(move, runner=True)
        yield from self._people()
        yield from self._isolates()
        yield from self._clients()
        yield from self._nature()

    def _runner(self, way: int, at: int, step: Step, names: list[str]) -> Iterator[Move]:
        def here(s: States) -> Mask:
            return (self.way.get(s) == way) & (self.at.get(s) == at) & self._there(s)

        def done(s: States) -> Mask:
            if step.work is not Work.NONE:
                return self.progress.get(s) == 2
            wanted = (*step.makes.items(), *step.until.items())
            return self._all(s, (self.fact(s, name, value) for name, value in wanted))

        def met(s: States) -> Mask:
            needs = step.needs.items()
            either = (np.logical_or.reduce([self.fact(s, name, value) for value in values]) for name, values in needs)
            return self._all(s, either)

        def allowed(s: States) -> Mask:
            return met(s) & self._all(s, (self.fresh(s, name) for name in step.fresh))

        def noted(s: States) -> States:
            return self.progress.put(self.at.put(s, at + 1), 0)

        def begun(s: States) -> States:
            for name, value in step.makes.items():
                if name == "setting":
                    s = self.evidence["watched"].put(self.kv.put(s, SETTINGS[value]), 0)
                else:
                    s = self.flags[name].put(s, FACTS[name].index(value))
            if "new writes" in step.makes and step.makes["new writes"] == "open":
                s = self.whole.put(s, 1)
            return s

        yield Move(f"note: {step.name}", True, lambda s: here(s) & done(s), noted)
        if step.makes:
            gate = GATES.get(step.name, ())
            yield Move(f"do: {step.name}", True, lambda s: here(s) & ~done(s) & allowed(s), begun, gate)
        if step.work is not Work.NONE:
            for part in (0, 1):
                yield Move(
                    f"{step.name}, part {part + 1}",
                    True,
                    lambda s, part=part: here(s) & (self.progress.get(s) == part) & allowed(s),
                    lambda s, part=part: self.progress.put(self._work(s, step.work, part), part + 1),
                )
        if step.otherwise and step.otherwise in names:
            target = names.index(step.otherwise)
            others = [name for name in step.fresh if name != "equal"]

            def outdated(s: States) -> Mask:
                return met(s) & ~done(s) & ~allowed(s) if step.fresh else met(s) & ~done(s)

            yield Move(
                f"again from {step.otherwise}: {step.name}",
                True,
                lambda s: here(s) & outdated(s) & self._all(s, (self.fresh(s, name) for name in others)),
                lambda s: self.at.put(s, target),
            )

    def _work(self, s: States, work: Work, part: int) -> States:
        half = (1 << (len(self.writes) // 2 + 1)) - 1  # of the rows, with what comes after in the other part
        rows = half if part == 0 else self.clients | self.foreign
        if work is Work.SNAPSHOT:  # one transaction of the source: it is read in one moment
            return s if part == 0 else self.taken.put(self.snapshot.put(s, self.old.get(s)), 1)
        if work is Work.DELTA:
            s = self.whole.put(s, 0)
            return self.new.put(s, (self.new.get(s) & ~rows) | (self.snapshot.get(s) & rows))
        rows &= self.clients
        carried = self.old.put(s, (self.old.get(s) & ~rows) | (self.new.get(s) & rows))
        return np.where(self.flags["ahead"].get(s) == 1, carried, s)

    def _there(self, s: States) -> Mask:
        return self.flags["old side"].get(s) == 0

    def _people(self) -> Iterator[Move]:
        for way, name in ((OVER, "06 is begun anew"), (BACK, "07 is begun anew")):
            yield Move(
                name,
                way == BACK,
                self._there,
                lambda s, way=way: self.progress.put(self.at.put(self.way.put(s, way), 0), 0),
            )
        yield Move("the runner dies", False, lambda s: self.progress.get(s) > 0, lambda s: self.progress.put(s, 0))
        for name in EVIDENCE[:-1]:
            field = self.evidence[name]
            yield Move(f"{name}: fresh", False, lambda s, f=field: f.get(s) == 0, lambda s, f=field: f.put(s, 1))
        watched = self.evidence["watched"]
        split = SETTINGS["split 10"]
        yield Move(
            "the watch says enough",
            False,
            lambda s: (watched.get(s) == 0) & (self.kv.get(s) >= split),
            lambda s: watched.put(s, 1),
        )

    def _isolates(self) -> Iterator[Move]:
        for field in self.isolates:
            yield Move(
                f"{field.name} reads the setting",
                True,
                lambda s, f=field: f.get(s) != self.kv.get(s),
                lambda s, f=field: f.put(s, self.kv.get(s)),
            )
            yield Move(
                f"{field.name} knows nothing",
                False,
                lambda s, f=field: f.get(s) != UNKNOWN,
                lambda s, f=field: f.put(s, UNKNOWN),
            )

    def _clients(self) -> Iterator[Move]:
        old_open, new_open = self.flags["old writes"], self.flags["new writes"]

        def lets_in(s: States) -> Mask:
            return (old_open.get(s) == 0) & self._there(s)

        def accepts(s: States) -> Mask:
            return new_open.get(s) == 1

        for at, write in enumerate(self.writes):
            row = 1 << at

            def is_in(state: int, write: Field = write) -> Callable[[States], Mask]:
                return lambda s: write.get(s) == state

            def to(state: int, write: Field = write) -> Callable[[States], States]:
                return lambda s: write.put(s, state)

            def kept_old(s: States, write: Field = write, row: int = row) -> States:
                return write.put(self.old.put(s, self.old.get(s) | row), ACKNOWLEDGED)

            def kept_new(s: States, write: Field = write, row: int = row) -> States:
                return write.put(self.new.put(s, self.new.get(s) | row), ACKNOWLEDGED)

            name = write.name
            unsent, to_old, inside, to_new = map(is_in, (UNSENT, TO_OLD, INSIDE, TO_NEW))
            yield Move(f"{name} goes to old", False, lambda s, u=unsent: u(s) & self._there(s), to(TO_OLD))
            yield Move(f"{name} goes to new", False, unsent, to(TO_NEW))
            yield Move(
                f"{name} is let in by old",
                True,
                lambda s, t=to_old: t(s) & lets_in(s),
                to(INSIDE),
            )
            yield Move(
                f"{name} is refused by old",
                True,
                lambda s, t=to_old: t(s) & ~lets_in(s),
                to(REFUSED),
            )
            yield Move(f"{name} is acknowledged by old", True, inside, kept_old)
            yield Move(f"{name} is acknowledged by new", True, lambda s, t=to_new: t(s) & accepts(s), kept_new)
            yield Move(f"{name} is refused by new", True, lambda s, t=to_new: t(s) & ~accepts(s), to(REFUSED))

    def _nature(self) -> Iterator[Move]:
        for name, field in self.evidence.items():
            yield Move(f"{name}: stale", False, lambda s, f=field: f.get(s) == 1, lambda s, f=field: f.put(s, 0))
        for name, rows in (("source", self.old), ("target", self.new)):
            yield Move(
                f"somebody changes the {name}",
                False,
                lambda s, rows=rows: (rows.get(s) & self.foreign == 0) & self._there(s),
                lambda s, rows=rows: rows.put(s, rows.get(s) | self.foreign),
            )

    # -- what must never be

    def acknowledged(self, s: States) -> States:
        """The writes that their clients were told are kept, as rows."""
        rows = np.zeros(len(s), dtype=np.int64)
        for at, write in enumerate(self.writes):
            rows |= np.where(write.get(s) == ACKNOWLEDGED, 1 << at, 0)
        return rows

    def violations(self, s: States) -> dict[str, Mask]:
        """The properties of a state, and where they are broken."""
        old_accepts = ((self.flags["old writes"].get(s) == 0) | ~self.quiet(s)) & self._there(s)
        new_accepts = self.flags["new writes"].get(s) == 1
        kept = self.acknowledged(s)
        lost = (self.flags["old writes"].get(s) == 0) & (kept & ~self.old.get(s) != 0)
        lost |= new_accepts & (kept & ~self.new.get(s) != 0)
        unread = np.zeros(len(s), dtype=np.bool_)
        gone, falls_to_new = ~self._there(s), self.flags["fallback"].get(s) == 1
        for isolate in self.isolates:
            setting = isolate.get(s)
            unknown = setting == UNKNOWN
            split = (setting > SETTINGS["frozen"]) & (setting < SETTINGS["split 100"])
            new = (
                split | (setting == SETTINGS["split 100"]) | (setting == SETTINGS["worker"]) | (unknown & falls_to_new)
            )
            old = split | (setting <= SETTINGS["frozen"]) | (unknown & ~falls_to_new)
            unread |= (old & gone) | (new & (self.whole.get(s) == 0))
        return {"two writers": old_accepts & new_accepts, "a write is lost": lost, "no reader": unread}

    def home(self, s: States) -> Mask:
        """Everything is back on the old side, and nothing is missing."""
        kept = self.acknowledged(s)
        here = (self.way.get(s) == BACK) & (self.at.get(s) == len(self.ways[BACK])) & self._there(s)
        here &= (self.kv.get(s) == SETTINGS["origin"]) & (self.flags["old writes"].get(s) == 0)
        return here & (self.flags["new writes"].get(s) == 0) & (kept & ~self.old.get(s) == 0)

    def told(self, state: int) -> str:
        """A state in words: what is not 0."""
        return ", ".join(f"{field.name} {field.one(state)}" for field in self.layout.fields if field.one(state))
