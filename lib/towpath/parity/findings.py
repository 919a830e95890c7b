"""What a replay and a load mean for the phase: findings, and the checks that no finding speaks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from towpath.checks import Check, Finding
from towpath.parity.diff import Change
from towpath.parity.forms import Rule, unused
from towpath.parity.load import Load
from towpath.parity.paths import shown
from towpath.parity.replay import Exercised, Outcome, Route
from towpath.parity.rules import RULES

NAMED = 5  # requests, places or routes that one finding names


def of_routes(routes: Iterable[Route]) -> Iterator[Finding]:
    """Routes that differ, that write other rows, that were not exercised, and whose answers are not always the same."""
    for route in routes:
        if differing := [one for one in route.requests if one.of_answers]:
            yield _differs("PA101", route, differing, [c for one in differing for c in one.of_answers])
        if differing := [one for one in route.requests if one.of_rows]:
            yield _differs("PA102", route, differing, [c for one in differing for c in one.of_rows])
        left = [one for one in route.requests if one.outcome is Outcome.NOT_EXERCISED]
        if left or not route.requests:
            said = f"{len(left)} of {len(route.requests)} requests: {route.why()}" if left else route.why()
            yield Finding("PA103", route.name, max(1, len(left)), said, _named(left))
        if noisy := [one for one in route.requests if one.noise]:
            places = ", ".join(_places(change for one in noisy for change in one.noise))
            yield Finding("PA104", route.name, len(noisy), f"noise, not compared: {places}", _named(noisy))


def of_rules(rules: Sequence[Rule], met: Iterable[Rule]) -> Iterator[Finding]:
    """Rules that met nothing."""
    for rule in unused(rules, met):
        yield Finding("PA105", rule.name, 1, "no answer has such a place, or no request is of such a route")


def _differs(code: str, route: Route, requests: Sequence[Exercised], changes: Sequence[Change]) -> Finding:
    said = f"{len(requests)} of {len(route.requests)} requests: {', '.join(_places(changes))}"
    return Finding(code, route.name, len(requests), said, _named(requests))


def _named(requests: Sequence[Exercised]) -> tuple[str, ...]:
    return tuple(f"{one.recorded.method} {one.recorded.path}" for one in requests[:NAMED])


def _places(changes: Iterable[Change]) -> list[str]:
    places = list(dict.fromkeys(shown(change.path) for change in changes))
    more = [f"and {len(places) - NAMED} places more"] if len(places) > NAMED else []
    return [*places[:NAMED], *more]


def not_asked(why: str) -> list[Finding]:
    """Both sides were not asked at all."""
    return [Finding("PA106", "both sides", 1, why)]


def answered(routes: Sequence[Route], corpus: str = "") -> Check:
    """One check over all routes: how many came out how.  Each that is wrong has a check of its own besides."""
    counts = {outcome: sum(route.outcome is outcome for route in routes) for outcome in Outcome}
    found = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    requests = sum(len(route.requests) for route in routes)
    ok = bool(requests) and any(counts[outcome] for outcome in (Outcome.SAME, Outcome.NOISE, Outcome.DIFFERS))
    said = f"{requests} requests of {len(routes)} routes: {found}{corpus and f'; {corpus}'}"
    step = "make a corpus whose requests can be sent"
    return RULES["PA101"].check("all routes", "each named below, or the same", said, ok, step=step)


def of_load(load: Load, *, p95: float, errors: float, target_p95: float, target_errors: float) -> list[Check]:
    """The budget, which fails, and the success target, which warns; milliseconds and per cent."""
    return [_held("PA107", load, p95, errors), _held("PA108", load, target_p95, target_errors)]


def _held(code: str, load: Load, p95: float, errors: float) -> Check:
    total = load.total
    ok = total.p95 <= p95 and total.errors_percent <= errors
    slow = () if ok else sorted(load.routes, key=lambda one: (-one.errors, -one.p95))[:NAMED]
    return RULES[code].check(
        f"{load.users} users for {load.seconds} s",
        f"p95 ≤ {p95:g} ms, errors ≤ {errors:g} %",
        f"{total.requests:,} requests: p95 {total.p95:g} ms, errors {total.errors_percent:.2g} %",
        ok,
        (f"{one.route}: p95 {one.p95:g} ms, {one.errors} errors" for one in slow),
    )
