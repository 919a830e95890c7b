"""The route map held against the routes that there are, and against the requests that were recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from towpath.checks import Finding
from towpath.findings import Findings
from towpath.routes.corpus import Recorded
from towpath.routes.filling import placeholders
from towpath.routes.route import ANY, Route, find, shape
from towpath.routes.rules import RULES

SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the map: a route of the old application by its title, what the new one calls it, what it asks."""

    source: str
    target: str
    auth: str = "none"
    writes: bool | None = None  # whether it writes, where its method says something else
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Mapped:
    """The map as it was found: each route with its row, if it has one, and what is to be said about it."""

    pairs: tuple[tuple[Route, Row | None], ...]
    left: Mapping[str, str]
    findings: tuple[Finding, ...]

    @property
    def complete(self) -> bool:
        """Whether every route has a row or stays behind, and every row has a route."""
        return not any(finding.code in ("RT101", "RT102") for finding in self.findings)


def mapped(routes: Sequence[Route], rows: Sequence[Row], left: Mapping[str, str]) -> Mapped:
    """Every route with its row, and every finding about the map."""
    found = Findings(RULES, SAMPLES)
    by_source, known = {row.source: row for row in rows}, {route.title for route in routes}
    for route in routes:
        if route.title not in by_source and route.title not in left:
            found.add("RT101", route.title, detail=route.name)
        if route.method == ANY:
            found.add("RT107", route.title, detail=route.name)
        if (row := by_source.get(route.title)) is not None:
            _changes(found, route, row)
    for title in sorted({*by_source, *left} - known):
        found.add("RT102", title)
    for title in sorted(set(left) & known):
        found.add("RT106", title, detail=left[title])
    _merged(found, [row for row in rows if row.source in known])
    pairs = tuple((route, by_source.get(route.title)) for route in routes)
    return Mapped(pairs, dict(left), found.sorted())


def _changes(found: Findings, route: Route, row: Row) -> None:
    if shape(route.title) != shape(row.target):
        found.add("RT103", route.title, detail=f"it becomes {row.target}")
    if route.auth != row.auth:
        found.add("RT104", route.title, detail=f"{route.auth} becomes {row.auth}")
    if row.writes is not None and row.writes != route.writes:
        found.add("RT110", route.title, detail="it writes" if row.writes else "it only reads")


def _merged(found: Findings, rows: Iterable[Row]) -> None:
    into: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        into[shape(row.target)].append(row.source)
    for sources in into.values():
        for source in sources if len(sources) > 1 else ():
            found.add("RT105", source, detail=f"with {', '.join(one for one in sources if one != source)}")


def exercised(
    routes: Sequence[Route], left: Collection[str], items: Iterable[Recorded], filled: Collection[str]
) -> tuple[dict[str, int], tuple[Finding, ...]]:
    """How many requests each route has, and what is wrong with the corpus; `filled`: the placeholders with a value."""
    found, counted = Findings(RULES, SAMPLES), dict.fromkeys((route.title for route in routes), 0)
    for number, item in enumerate(items, start=1):
        where = f"line {number}"
        met = find(routes, item.method, item.path.partition("?")[0])
        if item.route not in counted or (met is not None and met.title != item.route):
            found.add("RT109", item.route, where, f"{item.method} {item.path}")
            continue
        counted[item.route] += 1
        for name in placeholders(item) - set(filled):
            found.add("RT111", f"{{{name}}}", where)
    for title, count in counted.items():
        if not count and title not in left:
            found.add("RT108", title)
    return counted, found.sorted()
