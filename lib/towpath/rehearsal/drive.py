"""The acts of a rehearsal: over with a new side that fails, back by itself; over again and well; back once more.

Everybody uses the system meanwhile.  What a side holds is compared with the ledger after each act that moved users.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from towpath.checks import Verdict
from towpath.errors import CHECKS_FAILED, TowpathError
from towpath.plan.plan import make_plan
from towpath.rehearsal import observed, telling
from towpath.rehearsal.playing import Stopped
from towpath.rehearsal.stage import Asked, Stage, now, staged, used
from towpath.rehearsal.telling import Act, Told
from towpath.runs.results import PhaseResult
from towpath.traffic import setting

OVER, BACK = "06-cutover", "07-roll-back"
STUMBLES, FROM = 0.05, 50  # the share of answers that fail, and from which percentage of the ramp on
WRITES = 60  # acknowledged writes between two acts


def rehearse(asked: Asked, say: Callable[[str], None]) -> Told:
    """Play every act.  What goes wrong is told, not raised; what was found up to there is told too."""
    told = Told(asked.system, asked.params.environment, _utc(), make_plan(asked.params, asked.root).hash)
    try:
        with staged(asked, say) as stage, used(stage):
            try:
                _acts(stage, told)
            finally:
                observed.write_seconds(stage.requests(), stage.traffic.folder / "seconds.jsonl")
        _judge_promises(stage, told)
    except TowpathError as error:
        told.broken = error.line
    except Stopped as error:
        told.broken, told.signal = str(error), error.number
    told.ended = _utc()
    return told


def _acts(stage: Stage, told: Told) -> None:
    stage.live(WRITES, "origin")
    stage.stumble(STUMBLES, FROM)
    _over_and_failed(stage, told)
    _back(stage, told, "back after the abort")
    stage.live(WRITES, "origin")
    stage.mark("an empty target, and everything to the old side")
    stage.begin_anew()
    stage.live(WRITES, "origin")
    _over(stage, told)
    stage.live(WRITES, "worker")
    _back(stage, told, "back from the new side")
    stage.live(WRITES, "origin")
    _settle(stage, told, "old", "at the end")


def _over_and_failed(stage: Stage, told: Told) -> None:
    stage.mark("over, with a new side that fails")
    code = stage.towpath("run")
    act, result = _act(stage, OVER, "over, with a new side that fails")
    told.acts.append(act)
    failed = sorted({check.code for check in result.checks if check.verdict is Verdict.FAIL})
    gave_up = "TR102" in failed and result.verdict is Verdict.FAIL
    told.judge(
        "06-cutover gave up by itself when the new side failed", gave_up, ", ".join(failed) or str(result.verdict)
    )
    told.judge("… and says so with its exit code", code == CHECKS_FAILED, str(code))
    fact = _fact(stage)
    told.judge("… and users read on the old side", fact in ("frozen", "origin"), fact)


def _over(stage: Stage, told: Told) -> None:
    stage.mark("over")
    code = stage.towpath("run")
    act, result = _act(stage, OVER, "over")
    told.acts.append(act)
    told.judge("06-cutover is PASS", code == 0 and result.verdict is Verdict.PASS, f"{result.verdict}, exit {code}")
    told.judge("… and everything goes to the new side", _fact(stage) == "worker", _fact(stage))
    told.within("no client could write during the cutover", act.no_write, telling.FREEZE)
    told.within("the freeze, as the record says", result.number("freeze_seconds"), telling.FREEZE)
    told.within("the whole of 06-cutover", act.seconds, telling.WHOLE)
    _judge_errors(told, act)
    _settle(stage, told, "new", "after the way over")


def _back(stage: Stage, told: Told, name: str) -> None:
    begun = stage.mark(name)
    code = stage.towpath("run", "--phase", BACK)
    stage.live(1, "origin")
    act, result = _act(stage, BACK, name)
    requests = stage.requests()
    on_new = observed.last(requests, begun, now(), side="worker")
    writing = observed.first(requests, begun, writes=True, side="origin")
    traffic = ((on_new or begun) - begun) / 1000
    data = None if writing is None else (writing - begun) / 1000
    act.more.update({"traffic back after": traffic, **({} if data is None else {"data back after": data})})
    told.acts.append(act)
    told.judge(
        f"{name}: 07-roll-back is PASS", code == 0 and result.verdict is Verdict.PASS, f"{result.verdict}, exit {code}"
    )
    told.judge(f"{name}: everything goes to the old side", _fact(stage) == "origin", _fact(stage))
    told.within(f"{name}: traffic is back", traffic, telling.TRAFFIC_BACK)
    told.within(f"{name}: data is back, and users write", data, telling.DATA_BACK)
    _judge_errors(told, act)
    _settle(stage, told, "old", name)


def _settle(stage: Stage, told: Told, side: str, when: str) -> None:
    settled = stage.settle(side)
    told.settled.append(settled)
    words = f"{settled.entities:,} entities, {len(settled.faults):,} wrong"
    told.judge(f"{when}: every acknowledged write is on the {side} side exactly once", settled.holds, words)


def _judge_errors(told: Told, act: Act) -> None:
    errors = sum(counts["errors"] for counts in act.sides.values())
    percent = 100 * errors / act.requests if act.requests else None  # nobody who asks sees no error
    words = "no request" if percent is None else f"{percent:.2f} %"
    holds = percent is not None and percent <= telling.ERRORS
    told.judge(f"{act.name}: errors that users saw", holds, words, f"{telling.ERRORS} %")


def _judge_promises(stage: Stage, told: Told) -> None:
    requests = stage.requests()
    broken, waited = observed.broken_promises(requests, stage.changes.modes)
    reads = sum(one.what == "look" and one.succeeded for one in requests)
    shown = "; ".join(f"{one.missed} by {one.side}" for one in broken[:3])
    words = f"{len(broken):,} of {reads:,} reads {shown}".strip()
    told.judge("everybody reads what they have written", bool(reads) and not broken, words)
    stage.say(f"{waited:,} reads waited for the way back, as docs/traffic.md says")


def _act(stage: Stage, phase: str, name: str) -> tuple[Act, PhaseResult]:
    """A phase that has ended, with what the clients saw between its begin and its end."""
    result = stage.result(phase)
    begin, end = _milliseconds(result.started), _milliseconds(result.ended) if result.ended else now()
    saw = observed.seen(stage.requests(), begin, end)
    act = Act(
        name=name,
        run=result.run,
        phase=result.stem,
        verdict=str(result.verdict),
        begin=begin,
        end=end,
        seconds=round((end - begin) / 1000, 3),
        requests=saw.requests,
        sides=saw.sides,
        no_write=saw.no_write,
        no_read=saw.no_read,
    )
    return act, result


def _fact(stage: Stage) -> str:
    found = setting.read(stage.kv)
    return found.fact if found else "no setting"


def _milliseconds(utc: str) -> int:
    return round(dt.datetime.fromisoformat(utc).timestamp() * 1000)


def _utc() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
