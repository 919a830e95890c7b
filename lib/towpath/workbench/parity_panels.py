"""What a reader sees of parity, latency and load."""

from __future__ import annotations

from towpath import show
from towpath.parity.load import Load, Loaded
from towpath.parity.replay import Outcome, Route
from towpath.parity.speed import Times
from towpath.workbench.panels import comparison, sentence
from towpath.workbench.parity import Parity

NO_LOAD = "No load step: load_users is 0."
NOTHING = "Nothing was answered by both sides: there is no speed to look at, and nothing to put under load."


def outcomes(parity: Parity) -> show.Shown:
    """Route by route what came of its requests, the worst first; or why nothing was asked."""
    if parity.why:
        return sentence(parity.why)
    routes = sorted(parity.routes, key=lambda route: (-list(Outcome).index(route.outcome), route.name))
    rows = [(str(route.outcome), route.name, len(route.requests), *_counts(route), _why(route)) for route in routes]
    counts = [(sum(route.outcome is one for route in routes), one) for one in reversed(Outcome)]
    title = (
        f"{len(routes)} routes: {', '.join(f'{count} {one}' for count, one in counts if count)}; asked: {parity.asked}"
    )
    columns = ("Outcome", "Route", "Requests", "Same", "Noise only", "Not exercised", "Different", "Why")
    return show.table(rows, columns, title, numeric=columns[2:7])


def _counts(route: Route) -> list[int]:
    return [sum(one.outcome is outcome for one in route.requests) for outcome in Outcome]


def _why(route: Route) -> str:
    left = not route.requests or any(one.outcome is Outcome.NOT_EXERCISED for one in route.requests)
    return route.why() if left else ""


def told(parity: Parity) -> show.Shown:
    """Every difference with both values, and below it the noise, which was not compared."""
    if parity.why:
        return sentence("There is no answer to compare.")
    differing, noise = comparison(parity.compared), parity.noise
    if not noise:
        return differing
    rows = [(one.object, one.key, one.column, one.expected, one.found) for one in noise]
    title = f"{len(rows)} places at which the old side answers the same request in two ways: not compared"
    shown = show.table(rows, ("Route", "Request", "Place", "First", "Second"), title, numeric=())
    return show.Shown(differing.html + shown.html, f"{differing.text}\n\n{shown.text}")


def latency(parity: Parity, measured: tuple[Times, Times] | None) -> show.Shown:
    """Both sides' times as a chart with its numbers."""
    if measured is None:
        return sentence(parity.why or NOTHING)
    old, new = measured
    alt = (
        f"Two curves: 95 of 100 answers of the old side took at most {old.at(95):.1f} ms, "
        f"of the new side at most {new.at(95):.1f} ms"
    )
    title = "Milliseconds until the last byte, both sides asked in turn, the first round left out"
    series = [(f"{times.side} side", times.milliseconds) for times in measured]
    shown = show.ecdf(title, alt, series, "ms")
    silent = [
        f"{times.side} side: {times.unanswered} requests without an answer" for times in measured if times.unanswered
    ]
    if not silent:
        return shown
    more = sentence("; ".join(silent))
    return show.Shown(shown.html + more.html, f"{shown.text}\n\n{more.text}")


def under_load(parity: Parity, done: Load | None) -> show.Shown:
    """What the users saw, route by route; or why there were none."""
    if done is None:
        asked = parity.bench.params.load_users
        return sentence(NO_LOAD if not asked else parity.why or NOTHING)
    rows = [_row(one, one.route) for one in done.routes]
    rows.append(_row(done.total, "all routes"))
    title = f"{done.users} users, each with one request a second, for {done.seconds} s, on the new side"
    columns = ("Route", "Requests", "Errors", "Errors, %", "p50, ms", "p95, ms", "p99, ms")
    return show.table(rows, columns, title, numeric=columns[1:])


def _row(one: Loaded, name: str) -> tuple[str | float, ...]:
    return name, one.requests, one.errors, round(one.errors_percent, 2), one.p50, one.p95, one.p99
