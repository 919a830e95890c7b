"""01-inventory: the application's routes, what becomes of each, what a Worker cannot run, and the recorded requests.

None where mapping.yaml names no application: then no traffic is moved, and nobody asks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from towpath import show
from towpath.checks import Check, Finding, Verdict
from towpath.routes import corpus, filling
from towpath.routes.application import Application, inventory, without_ours
from towpath.routes.fitness import Looked, fitness
from towpath.routes.mapped import Mapped, Row, exercised, mapped
from towpath.routes.rules import RULES
from towpath.workbench.panels import sentence
from towpath.workbench.workbench import Workbench

NO_ROUTES = "No traffic in this system: mapping.yaml names no application whose routes could be asked."
MADE_UP = "new:"  # placeholders that whoever sends the request makes up


@dataclass(frozen=True, slots=True)
class Routes:
    """What is known about the routes."""

    mapped: Mapped
    requests: Mapping[str, int] = field(hash=False)  # how many of each route are recorded
    looked: Looked | None = None


def look(bench: Workbench) -> Routes | None:
    """Every route with its row and its requests, every finding judged; the application's source is read, not run."""
    traffic = bench.run.mapping.traffic
    given = traffic.application
    if given is None:
        return None
    application = Application(given.kind, given.of, given.interpreter, given.also)
    routes = inventory(application, bench.root, without_ours(os.environ)).routes
    rows = [Row(row.source, row.target, row.auth, row.writes, row.notes) for row in traffic.routes]
    found = mapped(routes, rows, traffic.left)
    items = list(corpus.read(bench.root / traffic.corpus)) if traffic.corpus else []
    requests, about = exercised(routes, traffic.left, items, _known(bench, items))
    looked = fitness(bench.root / given.source, given.apart) if given.source else None
    findings: list[Finding] = [*found.findings, *about, *(looked.findings if looked else ())]
    bench.run.judge(findings, RULES)
    told = f"{len(routes)} routes, {len(rows)} rows, {len(traffic.left)} stay behind"
    bench.run.check("RT100", "routes", given.of, "every route has a row, every row a route", told, found.complete)
    if looked is not None:
        read = f"{looked.files} files, {looked.lines:,} lines"
        bench.run.check("RT200", "routes", given.source, "every file looked at", read, looked.files > 0)
    bench.run.number("routes", len(routes), "routes")
    bench.run.number("requests", len(items), "recorded requests")
    return Routes(found, requests, looked)


def _known(bench: Workbench, items: Sequence[corpus.Recorded]) -> set[str]:
    """The placeholders that a replay can fill: names alone, because the source may not be there to ask."""
    traffic = bench.run.mapping.traffic
    wanted = {name for item in items for name in filling.placeholders(item)}
    logins = {f"login:{name}.{key}" for name, one in traffic.tokens.items() for key in one.body}
    known = {f"id:{name}" for name in traffic.samples} | {f"token:{name}" for name in traffic.tokens} | logins
    return known | {name for name in wanted if name.startswith(MADE_UP)}


def table(found: Routes | None) -> show.Shown:
    """Every route: what it becomes, what it asks for, how many requests are recorded."""
    if found is None:
        return sentence(NO_ROUTES)
    rows = []
    for route, row in found.mapped.pairs:
        stays = found.mapped.left.get(route.title)
        becomes = "stays behind" if stays is not None else "" if row is None else row.target
        changes = "the same" if row is not None and row.target == route.title else becomes
        notes = stays or (row.notes if row else "")
        rows.append((route.title, changes, row.auth if row else route.auth, found.requests[route.title], notes))
    moving = sum(row is not None for _, row in found.mapped.pairs)
    recorded = sum(found.requests.values())
    title = f"{len(rows)} routes, {moving} of them move; {recorded:,} recorded requests"
    return show.table(rows, ("Route", "Becomes", "Asks for", "Requests", "Notes"), title, numeric=("Requests",))


def unfit(found: Routes | None) -> show.Shown:
    """What of the source a Worker cannot run, place by place."""
    if found is None or found.looked is None:
        return sentence("No source of the application was looked at.")
    rows = [
        (one.code, RULES[one.code].title, place, RULES[one.code].advice)
        for one in found.looked.findings
        for place in one.samples
    ]
    read = f"{found.looked.files} files, {found.looked.lines:,} lines"
    if not rows:
        return sentence(f"Nothing in {read} that a Worker could not run, as far as its syntax shows.")
    title = f"{len(rows)} places in {read} that a Worker cannot run as they are"
    return show.table(rows, ("Code", "What", "Where", "What to do"), title, numeric=())


def judged(bench: Workbench) -> show.Shown:
    """What was found about routes and source, judged."""
    checks: list[Check] = [one for one in bench.run.checks if one.surface == "routes"]
    if not checks:
        return sentence(NO_ROUTES)
    failed = sum(one.verdict is Verdict.FAIL for one in checks)
    return show.check_table(checks, "Findings about routes" if not failed else f"{failed} findings about routes fail")
