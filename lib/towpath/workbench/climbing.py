"""The ramp: a percentage of the sessions reads on the new side, is watched, and then more of them, or none."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from towpath import show
from towpath.cloudflare import D1
from towpath.errors import TowpathError
from towpath.traffic import requests
from towpath.traffic.rules import RULES
from towpath.traffic.series import Point, series
from towpath.traffic.watch import Budget, Outcome, Sample, Word, watch
from towpath.workbench.crossing import DRY, NO_TRAFFIC, Crossing
from towpath.workbench.sampling import Sampled, Sampler
from towpath.workbench.workbench import Workbench

PATIENCE = 600.0  # seconds beyond the bake time, until the least number of requests must be there
EVERY = 3.0  # seconds between two drawings of the chart
REFUSED_SECONDS = 300  # "under five minutes total downtime" is what the runbooks promise


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the ramp: its percentage, when it began (milliseconds since 1970), and how it ended."""

    percent: int
    began: int
    revision: int  # of the setting that was watched
    outcome: Outcome
    samples: Sampled  # both sides asked the same, once the watch had seen enough


def budget(bench: Workbench) -> Budget:
    """What each step must show, as the params say it."""
    params = bench.params
    return Budget(
        error_rate=params.ramp_errors_percent / 100,
        p95_ms=params.ramp_p95_ms,
        requests=params.ramp_requests,
        bake=float(params.ramp_bake_seconds),
        patience=params.ramp_bake_seconds + PATIENCE,
    )


def ramp_up(bench: Workbench, crossing: Crossing) -> list[Stage]:
    """Walk through every step of the ramp under watch; one that is over budget, or silent, takes traffic back to 0 %.

    So does whatever stops this page in the middle, a person too.  Nothing where no traffic moves, in a dry run, and
    after the crossing was stopped.
    """
    stages: list[Stage] = []
    chart = _Chart(bench, crossing)
    try:
        _climb(bench, crossing, stages, chart)
    except BaseException as error:
        if crossing.open_for_traffic:
            crossing.abort(f"{type(error).__name__} in the middle of the ramp")
        raise
    chart.draw()
    return stages


def _climb(bench: Workbench, crossing: Crossing, stages: list[Stage], chart: _Chart) -> None:
    sampler = Sampler(bench)
    for percent in bench.params.ramp_steps if crossing.open_for_traffic else ():
        if crossing.is_past(f"split {percent} seen"):
            continue  # an attempt that was cut had come further
        crossing.to(f"split {percent} seen")
        if not stages:
            _report_refused(bench, crossing)
        stages.append(_stage(bench, crossing, percent, chart, sampler))
        outcome = stages[-1].outcome
        bench.run.add(outcome.checks(f"split {percent}"))
        crossing.watched = (stages[-1].revision, outcome.word is Word.ENOUGH)
        if outcome.word is not Word.ENOUGH:
            crossing.abort(f"{percent} %: {outcome.word}: {outcome.why}")
            break
        if not stages[-1].samples.holds:
            crossing.abort(f"{percent} %: the new side answers otherwise than the old one: {stages[-1].samples.line}")
            break


def stages_table(crossing: Crossing, stages: list[Stage]) -> show.Shown:
    """Each step of the ramp with what was counted at the new side."""
    if not stages:
        words = DRY if crossing.moves and not crossing.aborted else crossing.aborted or NO_TRAFFIC
        return show.table([[words]], ["The ramp"], "The ramp", numeric=())
    rows = []
    for stage in stages:
        last = stage.outcome.samples[-1]
        share = f"{last.errors / last.requests:.2%}" if last.requests else "no requests"
        counted = (last.requests, last.errors, share, last.slow, f"{last.seconds:.0f} s")
        rows.append((f"{stage.percent} %", *counted, str(stage.outcome.word), stage.samples.line))
    columns = ("Sessions", "Requests", "Errors", "Share", "Too slow", "Watched", "Word", "Samples")
    return show.table(rows, columns, "The ramp: what the new side answered", numeric=("Requests", "Errors", "Too slow"))


def _stage(bench: Workbench, crossing: Crossing, percent: int, chart: _Chart, sampler: Sampler) -> Stage:
    began, allowed = round(time.time() * 1000), budget(bench)
    lines, revision = crossing.gateway.lines, crossing.holds.revision

    def look() -> Sample:
        now = round(time.time() * 1000)
        return requests.sample(lines, began, now, revision=revision, p95_ms=allowed.p95_ms)

    samples: list[Sample] = []

    def seen(sample: Sample) -> None:
        samples.append(sample)
        chart.draw(every=EVERY)

    try:
        outcome = watch(look, allowed, seen=seen)
    except TowpathError as error:  # what cannot be counted is no success
        samples = samples or [Sample(0.0, 0, 0, 0, 0, 0.0)]
        outcome = Outcome(Word.NO_DATA, "TR104", f"the lines cannot be counted: {error.line}", tuple(samples))
    if outcome.word is Word.OVER_BUDGET:
        outcome = replace(outcome, why=f"{outcome.why}{_worst(lines, began, revision, outcome.code, allowed)}")
    bench.run.number(f"split_{percent}_requests", outcome.samples[-1].requests, "requests")
    bench.run.number(f"split_{percent}_errors", outcome.samples[-1].errors, "requests")
    return Stage(percent, began, revision, outcome, _samples(crossing, percent, sampler, outcome))


def _worst(lines: D1, began: int, revision: int, code: str, allowed: Budget) -> str:
    """The routes that were over the budget, for who must look into them; "" where they cannot be asked for."""
    try:
        found = requests.window(lines, began, round(time.time() * 1000), revision=revision)
    except TowpathError:
        return ""  # traffic goes back with them or without
    named = found.worst("worker", slower_than=allowed.p95_ms if code == "TR103" else None)
    return f"; {'; '.join(named)}" if named else ""


def _samples(crossing: Crossing, percent: int, sampler: Sampler, outcome: Outcome) -> Sampled:
    """Ask both sides the same, where the watch has seen enough; what cannot be asked counts as unlike."""
    if outcome.word is not Word.ENOUGH:
        return Sampled(0, (), "not asked any more")
    try:
        found = sampler.take()
    except TowpathError as error:
        found = Sampled(0, (f"nothing could be asked: {error.line}",))
    if not found.why:  # what nobody asked is no pass: the table of the ramp says why
        expected = "answers of one shape: status, type, names and kinds of JSON"
        crossing.bench.run.add([RULES["TR113"].check(f"split {percent}", expected, found.line, found.holds)])
    return found


def _report_refused(bench: Workbench, crossing: Crossing) -> None:
    seconds = crossing.refused_seconds
    if seconds is None:
        return  # an attempt that was cut has said it
    bench.run.number("writes_refused_seconds", round(seconds, 3), "s")
    expected, found = f"under {REFUSED_SECONDS} s", f"{seconds:.1f} s from the freeze until the new side took writes"
    bench.run.add([RULES["TR108"].check("writes", expected, found, seconds <= REFUSED_SECONDS)])


class _Chart:
    """Requests over time, drawn again while the ramp goes on; the last drawing stays."""

    def __init__(self, bench: Workbench, crossing: Crossing) -> None:
        self.bench, self.crossing = bench, crossing
        self.live, self.drawn = show.Live(), 0.0

    def draw(self, *, every: float = 0.0) -> None:
        if not self.crossing.moves or not self.crossing.approved or time.monotonic() - self.drawn < every:
            return
        since = self.crossing.began_ms
        points = _points(self.crossing, since)
        self.drawn = time.monotonic()
        self.live.put(
            show.requests_over_time(
                "Requests through the gateway",
                _words(points),
                [(point.at, point.side, point.rate, point.errors, point.p95) for point in points],
                [show.Moment(at, name) for at, name in self.crossing.moments() if _is_mark(name)],
                self.bench.params.ramp_p95_ms,
            )
        )


def _is_mark(name: str) -> bool:
    """The steps that users feel; the others stand in the table of steps."""
    return name in ("freeze", "open new", "ABORT") or (name.startswith("split") and not name.endswith("seen"))


def _points(crossing: Crossing, since: int) -> tuple[Point, ...]:
    try:
        return series(crossing.gateway.lines, since, round(time.time() * 1000))
    except TowpathError:
        return ()  # a chart that cannot be drawn must not stop the ramp; the watch says so by itself


def _words(points: tuple[Point, ...]) -> str:
    if not points:
        return "No request line was written."
    new = sum(point.errors for point in points if point.side == "worker")
    old = sum(point.errors for point in points if point.side == "origin")
    last = max(point.at for point in points)
    return f"Requests of {last:.0f} s, old and new side; {old} errors of the old side, {new} of the new one."
