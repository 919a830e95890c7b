"""Traffic, moved step by step: the table of `traffic.steps` walked over a real gateway, both fences, and the record.

Where the params name no gateway nothing is moved, and every step says so.  A dry run shows what would be sent.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property

from towpath import show
from towpath.errors import CannotFinish, TowpathError
from towpath.show.markup import escaped
from towpath.tables import fence
from towpath.traffic import notices, requests, setting, steps
from towpath.traffic.rules import RULES
from towpath.traffic.setting import Mode, Setting
from towpath.traffic.walk import Noted, Walk
from towpath.workbench import steps_table
from towpath.workbench.gateway import Gateway, fallback, gateway
from towpath.workbench.workbench import Workbench

NO_TRAFFIC = "No traffic is moved: the params name no gateway."
DRY = "A dry run moves nothing: the table above says what would be done."
MEASURED = {  # steps whose time since the way began is a number of the result
    "all new seen": "traffic_moved_seconds",
    "all old seen": "traffic_back_seconds",
    "open old": "service_back_seconds",
}
LAST = {"over": "all new seen", "back": "to old seen"}


class Crossing:
    """One way, over or back.  The table of its steps stands on the page, and is rewritten as they are done."""

    def __init__(self, bench: Workbench, way: str) -> None:
        self.bench, self.way = bench, way
        table = steps.over(bench.params.ramp_steps) if way == "over" else steps.back()
        last = next(at for at, step in enumerate(table) if step.name == LAST[way])
        self.moves, self.approved = bench.params.moves_traffic, bench.run.approved
        self.began_ms = round(time.time() * 1000)
        # what only the phase itself can know: asked each time, because the world goes on
        self.knows: dict[str, Callable[[], bool]] = dict.fromkeys(("old quiet", "equal", "carried back"), lambda: False)
        self.watched: tuple[int, bool] = (0, False)  # the revision that was watched, and whether it was enough
        self.aborted = self._frozen_at = ""
        self.does: dict[str, Callable[[], str]] = {**self._gateway_steps(), **self._fence_steps()}
        self.walk = Walk(table[: last + 1], self.facts, self._fresh, self.does, self._tell)
        self._live, self._seen = show.Live(), 0
        self._began = time.monotonic()
        self._told, self._untold, self._aborts = 0, list[str](), list[Noted]()
        if self.moves:
            self._file = bench.run.output("traffic/steps.jsonl")
            bench.on_close(lambda: bench.run.artefact(self._file) if self._file.exists() else None)
            self._live.put(self.table())

    # -- what notebooks call

    def to(self, name: str) -> show.Shown:
        """Walk until this step is done.  Raises CannotFinish where it may not be begun, or is not done in the end."""
        if not self.moves:
            return show.Shown(f"<p>{NO_TRAFFIC}</p>", NO_TRAFFIC)
        if self.aborted or not self.approved:
            words = f"Nothing more is moved: {self.aborted}." if self.aborted else DRY
            return show.Shown(f"<p>{escaped(words)}</p>", words)
        self.walk.to(name)
        done = self.walk.noted[-1]
        return show.Shown(f"<p>{escaped(steps_table.sentence(done))}</p>", steps_table.sentence(done))

    def worked(self, name: str, seconds: float, words: str) -> None:
        """Note work that the cells have done."""
        if self.moves and self.approved and not self.aborted:
            self.walk.worked(name, seconds, words)

    def stop(self, why: str) -> None:
        """Move nothing more, and leave everything as it is."""
        self.aborted = self.aborted or why
        if self.moves:
            self._live.put(self.table())

    def abort(self, why: str) -> None:
        """Traffic to 0 %, at once: reads to the old side, writes nowhere.  What the new side got is not lost.

        Raises CannotFinish where the setting cannot be written or is not seen at the gateway, or the fence cannot be
        shut: then somebody has to do it by hand, at once.
        """
        self.aborted = why
        begun = time.monotonic()
        try:
            self._set(Mode.FROZEN, 0)
            try:
                self._wait()
            finally:  # whatever the gateway works by, the fence is what holds
                fence.shut(self.bench.d1, by=self._by)
        except TowpathError as error:
            what = f"traffic could not be taken back after {why}: {error.line}"
            step = "run 07-roll-back as soon as the gateway's setting can be written; it begins with this"
            raise CannotFinish(what, object=self.gateway.url, next=step, code="TR107") from error
        seconds = time.monotonic() - begun
        self.bench.run.number("abort_seconds", round(seconds, 3), "s")
        self._aborts.append(Noted("ABORT", steps_table.now(), seconds, False, f"traffic back to 0 %: {why}"))
        self._write(self._aborts[-1])
        self._notify(self._aborts[-1].name)
        self._live.put(self.table())

    @property
    def open_for_traffic(self) -> bool:
        """True while this way may move traffic."""
        return self.moves and self.approved and not self.aborted

    def is_past(self, name: str) -> bool:
        """Whether the step after this one is noted too."""
        return self.walk.has(name) and self.walk.noted[-1].name != name

    def seconds_since_the_last(self) -> float:
        """Seconds since a step was noted last; 0.0 before the first."""
        noted = self.walk.noted[-1:]
        return sum((dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(one.at)).total_seconds() for one in noted)

    @property
    def refused_seconds(self) -> float | None:
        """Seconds since the gateway was told to refuse writes, by whichever attempt; None if this one never saw it."""
        with contextlib.suppress(ValueError, TypeError):  # somebody wrote the setting by hand, at no moment
            return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(self._frozen_at)).total_seconds()
        return None

    def moments(self) -> list[tuple[float, str]]:
        """When each step was noted, in seconds since this way began."""
        began = self.began_ms / 1000
        noted = [*self.walk.noted, *self._aborts]
        return [(dt.datetime.fromisoformat(one.at).timestamp() - began, one.name) for one in noted]

    # -- facts and evidence

    @cached_property
    def gateway(self) -> Gateway:
        """The gateway; asked for when it is first needed, so that nobody needs one where no traffic moves."""
        return gateway(self.bench)

    @property
    def holds(self) -> Setting:
        """The setting that stands in KV; written for the first time where there is none."""
        return setting.read(self.gateway.kv) or setting.begin(self.gateway.kv, dt.datetime.now(dt.UTC))

    def facts(self) -> Mapping[str, str]:
        """Every fact of `steps.FACTS`, asked of the world."""
        holds, stands = self.holds, fence.read(self.bench.d1)
        if holds.mode is Mode.FROZEN:
            self._frozen_at = holds.changed_at
        switch = self.bench.run.source("source_maintenance_switch")
        return {
            "setting": holds.fact,
            "seen": "yes" if self._seen == holds.revision else "no",
            "old writes": "shut" if switch.exists() else "open",
            "new writes": "open" if stands is not None and not stands.closed else "shut",
            "ahead": "yes" if stands is not None and stands.ahead else "no",
            "fallback": fallback(self.gateway.url),
            "old side": "there",
            **{fact: "yes" if ask() else "no" for fact, ask in self.knows.items()},
        }

    def _fresh(self) -> list[str]:
        # The gates of this phase have asked for the first three when it was opened; see runs.gates.
        found = ["validated", "rehearsed", "approved"] if self.approved else []
        found += ["equal"] if self.knows["equal"]() else []
        return found + (["watched"] if self.watched == (self.holds.revision, True) else [])

    # -- steps

    def _gateway_steps(self) -> dict[str, Callable[[], str]]:
        def change(mode: Mode, percent: int, *, new: bool = False) -> Callable[[], str]:
            return lambda: self._set(mode, percent, new=new)

        found = {
            "freeze": change(Mode.FROZEN, 0, new=True),
            "all old": change(Mode.FROZEN, 0),
            "all new": change(Mode.WORKER, 100),
            "to old": change(Mode.ORIGIN, 0),
            "fall back": self._fall_back,
        }
        for percent in self.bench.params.ramp_steps:
            found |= {f"split {percent}": change(Mode.SPLIT, percent), f"split {percent} seen": self._wait}
        return found | dict.fromkeys(("freeze seen", "all new seen", "all old seen", "to old seen"), self._wait)

    def _fence_steps(self) -> dict[str, Callable[[], str]]:
        def opened() -> str:
            return steps_table.fenced(fence.open(self.bench.d1, by=self._by))

        def shut() -> str:
            return steps_table.fenced(fence.shut(self.bench.d1, by=self._by))

        def even() -> str:
            return steps_table.fenced(fence.even(self.bench.d1, by=self._by))

        return {"open new": opened, "shut new": shut, "even": even}

    @property
    def _by(self) -> str:
        return f"towpath {self.bench.run.run_folder.run_id} {self.bench.run.result.stem}"

    def begin(self) -> None:
        """Before the first step of the way over: the fence stands, closed, and the lines have their table."""
        if self.moves and self.approved:
            requests.prepare(self.gateway.lines)
            fence.install(self.bench.d1, exempt=self.bench.run.mapping.tables.empty, by=self._by)

    def go_on(self, words: str) -> None:
        """Begin where an earlier attempt was cut, after it had opened the new side: after the step that holds now."""
        holds = self.holds.fact
        last = "all new" if holds == "worker" else holds if holds.startswith("split") else "open new"
        if last not in {step.name for step in self.walk.steps}:
            what = f"the gateway's setting is {holds}, which is no step of this ramp"
            raise CannotFinish(what, object=self.gateway.url, next=RULES["TR106"].advice, code="TR106")
        for step in self.walk.steps:
            self.walk.noted.append(Noted(step.name, steps_table.now(), 0.0, True, words))
            if step.name == last:
                break
        self._live.put(self.table())

    def _set(self, mode: Mode, percent: int, *, new: bool = False) -> str:
        holds = setting.change(self.gateway.kv, self.holds, mode, percent, dt.datetime.now(dt.UTC), new_salt=new)
        return f"the gateway's setting is {holds.line}"

    def _wait(self) -> str:
        holds = self.holds
        seen = setting.wait_until_seen(self.gateway.url, holds.revision, cache_seconds=self.gateway.cache_seconds)
        self._seen = holds.revision
        return f"{seen.answers} answers in a row by revision {seen.revision}"

    def _fall_back(self) -> str:
        what = "the deployed gateway gives to the new side what it cannot know"
        step = "deploy it with FALLBACK origin, then run 07-roll-back again; users read on the old side meanwhile"
        raise CannotFinish(what, object=self.gateway.url, next=step, code="TR106")

    # -- the record

    def _tell(self, noted: Noted) -> None:
        self._write(noted)
        self._notify(noted.name)
        if noted.name in MEASURED:
            self.bench.run.number(MEASURED[noted.name], round(time.monotonic() - self._began, 3), "s")
        self._live.put(self.table())

    def _notify(self, name: str) -> None:
        """Tell the status page what users feel; what it does not take is reported at the end."""
        words = (notices.OVER if self.way == "over" else notices.BACK).get(name)
        url = self.bench.run.secret("status_webhook")
        if words is None or url is None:
            return
        title = self.bench.run.plan.runbook.title
        self._untold += filter(None, [notices.tell(url.reveal(), notices.Notice(title, *words))])
        self._told += 1

    def _write(self, noted: Noted) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"way": self.way, **asdict(noted)}, ensure_ascii=False) + "\n")
        self.bench.run.log("step", noted.name, "-", noted.words or "found in place")

    def table(self) -> show.Shown:
        """Every step of this way: what it does, and when it was done, or what it would send."""
        return steps_table.shown(self.way, self.walk.steps, self.walk.noted, self.aborted, dry=not self.approved)

    def at_its_end(self) -> show.Shown:
        """Walk the last steps, and report whether traffic is where this way ends (TR107).

        Nothing where no traffic moves, or in a dry run.
        """
        shown = self.to(LAST[self.way])
        if not self.moves or not self.approved:
            return shown
        side = "new" if self.way == "over" else "old"
        there = self.walk.has(LAST[self.way]) and not self.aborted
        words = f"everything on the {side} side"
        found = words if there else self.aborted or f"stopped after `{self._last}`"
        self.bench.run.add([RULES["TR107"].check("traffic", words, found, there)])
        if self._told:
            missed = "; ".join(self._untold) or f"{self._told} delivered"
            told = RULES["TR110"].check("notices", f"{self._told} delivered", missed, not self._untold)
            self.bench.run.add([told])
        return show.Shown(f"<p>{escaped(found)}.</p>", f"{found}.")

    @property
    def _last(self) -> str:
        return self.walk.noted[-1].name if self.walk.noted else "nothing"
