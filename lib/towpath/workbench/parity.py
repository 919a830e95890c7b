"""05-validate: both applications asked the same, timed, and the new one put under load.

Nothing is written to either side: whatever writes is sent to copies (`workbench.pair`) or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import apsw
import psycopg

from towpath.checks import Comparison, Difference, Progress
from towpath.errors import BadInput
from towpath.parity import findings, speed
from towpath.parity.answers import Side
from towpath.parity.forms import Rule
from towpath.parity.load import Asked, Load, put_under_load
from towpath.parity.replay import Exercised, Outcome, Replay, Route, Standing, by_route, made_up, not_exercised
from towpath.parity.rules import RULES
from towpath.parity.speed import Times
from towpath.parity.telling import differences
from towpath.postgresql.connection import connect
from towpath.routes import corpus, filling
from towpath.routes.corpus import READING, Recorded
from towpath.workbench.asked import MUST_ASK, lacking
from towpath.workbench.copied import Pair
from towpath.workbench.pair import pair, reason_against
from towpath.workbench.workbench import Workbench

NOT_ASKED = ("PA106",)
ASKED = ("PA101", "PA102", "PA103", "PA104", "PA105")


@dataclass
class Parity:
    """What was asked so far, and what came of it.  `why` says why nothing was, "" where something can be."""

    bench: Workbench
    why: str
    against: str = ""  # why there were no copies to ask
    reads: list[Exercised] = field(default_factory=list)
    writes: list[Exercised] = field(default_factory=list)
    met: set[Rule] = field(default_factory=set)

    @property
    def routes(self) -> list[Route]:
        """Every route of the map and of the corpus, but for those that stay behind."""
        traffic = self.bench.run.mapping.traffic
        every = by_route([*self.reads, *self.writes], [row.source for row in traffic.routes])
        return [route for route in every if route.name not in traffic.left]

    @property
    def compared(self) -> Comparison:
        """Every difference, with the values that may be shown."""
        requests = len(self.reads) + len(self.writes)
        counted = {"routes": len(self.routes), "requests": requests}
        return Comparison("parity", counted, (), tuple(self._told()))

    @property
    def asked(self) -> str:
        """Who was asked, in words."""
        params = self.bench.params
        themselves = f"{params.source_url} and {params.worker_url}, reading only"
        made = "the servers as they are now" if params.source_is_server else "the snapshot of this run"
        return themselves if self.against else f"copies of both sides, made from {made}"

    @property
    def noise(self) -> tuple[Difference, ...]:
        """What the old side gave differently when it was asked twice."""
        return tuple(self._told(noise=True))

    def _told(self, *, noise: bool = False) -> Iterable[Difference]:
        return differences([*self.reads, *self.writes], self.bench.sensitive, noise=noise)

    @cached_property
    def rules(self) -> list[Rule]:
        """The rules of mapping.yaml for what may differ."""
        return [Rule.of(r.route, r.path, r.form, r.reason) for r in self.bench.run.mapping.traffic.parity.rules]

    @cached_property
    def requests(self) -> list[Recorded]:
        """The corpus, without the routes that stay behind.  Raises BadInput when it is damaged."""
        traffic = self.bench.run.mapping.traffic
        return [one for one in corpus.read(self.bench.root / traffic.corpus) if one.route not in traffic.left]

    def is_writing(self, request: Recorded) -> bool:
        """Whether a request writes: the route map may say otherwise than its method.

        Of what the corpus says, only that it writes counts: the map may have been another one when it was made.
        """
        rows = {row.source: row.writes for row in self.bench.run.mapping.traffic.routes}
        said = rows.get(request.route)
        return request.method not in READING or request.writes if said is None else said

    @property
    def reading(self) -> list[Recorded]:
        """The requests that write nothing."""
        return [one for one in self.requests if not self.is_writing(one)]

    @property
    def writing(self) -> list[Recorded]:
        """The requests that write."""
        return [one for one in self.requests if self.is_writing(one)]

    @property
    def answered(self) -> list[Exercised]:
        """The reading requests that both sides answered."""
        return [one for one in self.reads if one.outcome is not Outcome.NOT_EXERCISED and one.answers[1].status]


def prepare(bench: Workbench) -> Parity:
    """Look whether there are two sides and requests to send them."""
    missing = lacking(bench.params, bench.run.mapping.traffic)
    return Parity(bench, f"Parity was not exercised: {missing}." if missing else "")


def ask(parity: Parity, report: Progress) -> None:
    """Send every request to copies of both sides, or, where there can be none, those that only read to the sides.

    Copies answer from the snapshot; the old side itself has moved on since, if anybody uses it.  `report` counts
    requests.  Raises CannotFinish when a side is not there, BadInput when it refuses a login.
    """
    if parity.why:
        return
    parity.against = reason_against(parity.bench)
    if not parity.against:
        with pair(parity.bench) as copies:
            _ask_copies(parity, copies, report)
        return
    with ExitStack() as stack:
        old, new = standings(parity, stack)
        parity.reads = _replay(parity).run(parity.reading, old, new, report=report)
    parity.writes = not_exercised(parity.writing, f"it writes, and there are no copies to write to: {parity.against}")


def _ask_copies(parity: Parity, copies: Pair, report: Progress) -> None:
    with ExitStack() as stack:
        standings = []
        for copy, name in ((copies.old, "old"), (copies.new, "new"), (copies.again, "old")):
            side = stack.enter_context(Side(name, copy.url))
            standing = Standing(side, _values(parity, side), _names(parity, side), copy.watch)
            standing.watch()  # what logging in may have written is not compared
            standings.append(standing)
        old, new, again = standings
        # reading first: what is written afterwards changes what would be read
        parity.reads = _replay(parity).run(parity.reading, old, new, again, report)
        parity.writes = _replay(parity).run(parity.writing, old, new, again, report)


def judge(parity: Parity) -> None:
    """The checks about both sides, and every difference into the record."""
    bench, run = parity.bench, parity.bench.run
    if parity.why:
        if bench.params.environment in MUST_ASK:
            run.judge(list(findings.not_asked(parity.why)), RULES, NOT_ASKED)
        return
    routes = parity.routes
    digest = hashlib.sha256((bench.root / run.mapping.traffic.corpus).read_bytes()).hexdigest()
    run.add([findings.answered(routes, f"{parity.asked}; corpus sha256 {digest[:16]}")])
    run.judge([*findings.of_routes(routes), *findings.of_rules(parity.rules, parity.met)], RULES, ASKED)
    for outcome in Outcome:
        count = sum(route.outcome is outcome for route in routes)
        run.number(f"routes_{outcome.replace(' ', '_')}", count, "routes")
    bench.keep_differences(parity.compared)
    if parity.noise:
        bench.keep_differences(Comparison("parity-noise", {}, (), parity.noise))


def measure(parity: Parity, report: Progress) -> tuple[Times, Times] | None:
    """Time both sides with the requests that both answered; None where there are none.  `report` counts requests."""
    requests = [one.recorded for one in parity.answered if not made_up(one.recorded)]
    if not requests:
        return None
    with ExitStack() as stack:
        old, new = speed.measure(requests, *standings(parity, stack), report=report)
    for times in (old, new):
        for percent in (50, 95, 99) if times.milliseconds else ():
            parity.bench.run.number(f"{times.side}_p{percent}_ms", round(times.at(percent), 1), "ms")
    return old, new


def load(parity: Parity) -> Load | None:
    """Let users read from the new side; None where params ask for none, or nothing can be asked."""
    params = parity.bench.params
    if not params.load_users or not parity.answered:
        return None
    with ExitStack() as stack:
        _, new = standings(parity, stack)
        requests = [
            Asked(one.recorded.route, new.ready(one.recorded, made_up(one.recorded)), one.answers[1].status)
            for one in parity.answered
        ]
    done = put_under_load(params.worker_url, requests, params.load_users, params.load_seconds)
    parity.bench.run.add(
        findings.of_load(
            done,
            p95=params.load_p95_ms,
            errors=params.load_errors_percent,
            target_p95=params.target_p95_ms,
            target_errors=params.target_errors_percent,
        )
    )
    parity.bench.run.number("load_requests", done.total.requests, "requests")
    parity.bench.run.number("load_p95_ms", done.total.p95, "ms")
    parity.bench.run.number("load_errors_percent", round(done.total.errors_percent, 3), "%")
    return done


def _replay(parity: Parity) -> Replay:
    return Replay(parity.bench.run.mapping.traffic.parity.headers, parity.rules, parity.met)


def standings(parity: Parity, stack: ExitStack) -> tuple[Standing, Standing]:
    """The old side and the new one themselves, ready to be asked; closed with `stack`.  Raises as `ask` does."""
    params = parity.bench.params
    if params.environment in MUST_ASK:
        _only_reading_logins(parity)
    old, new = (
        stack.enter_context(Side(name, url)) for name, url in (("old", params.source_url), ("new", params.worker_url))
    )
    for side in (old, new):
        side.prove()
    first, second = (Standing(side, _values(parity, side), _names(parity, side)) for side in (old, new))
    return first, second


def _only_reading_logins(parity: Parity) -> None:
    """Raises BadInput for a login that writes: people use these sides."""
    for name, login in _logins(parity).items():
        if parity.is_writing(filling.login_request(name, login)):
            what = f"a login by {login.route} writes, and people use both sides"
            step = "if it stores nothing, say writes: false in the row of its route"
            raise BadInput(what, object=f"traffic.tokens.{name}", next=step)


def _logins(parity: Parity) -> dict[str, filling.Login]:
    """The logins that recorded requests ask for."""
    wanted = {name for one in parity.requests for name in filling.placeholders(one)}
    tokens = parity.bench.run.mapping.traffic.tokens
    return {n: filling.Login(one.route, one.body, one.at) for n, one in tokens.items() if f"token:{n}" in wanted}


def _names(parity: Parity, side: Side) -> Mapping[str, str]:
    """What the new side calls the routes; the old one calls them as the corpus does."""
    rows = parity.bench.run.mapping.traffic.routes
    return {row.source: row.target for row in rows} if side.name == "new" else {}


def _asking(bench: Workbench) -> Callable[[str], Sequence[Sequence[Any]]]:
    """Who is asked for samples: the snapshot of a file, or the server, in its own words."""
    params = bench.params
    if not params.source_is_server:
        return lambda query: _of_file(bench.state.exporter.db, query)

    def ask(query: str) -> Sequence[Sequence[Any]]:
        with closing(connect(params.source_database, bench.run.secret("source_password"))) as connection:
            try:
                return list(connection.execute(query.encode()).fetchall())
            except psycopg.Error as error:
                step = "correct its query; tables are named with their schema: public.users"
                words = str(error).partition("\n")[0]
                raise BadInput(f"the server refuses a sample: {words}", object="traffic.samples", next=step) from error

    return ask


def _of_file(db: apsw.Connection, query: str) -> Sequence[Sequence[Any]]:
    try:
        return list(db.execute(query))
    except apsw.Error as error:
        what = f"the snapshot refuses a sample: {error}"
        raise BadInput(what, object="traffic.samples", next="correct its query") from error


def _values(parity: Parity, side: Side) -> dict[str, str]:
    """What the placeholders stand for on one side; each is asked for its own tokens."""
    traffic, bench = parity.bench.run.mapping.traffic, parity.bench
    logins = {name: filling.Login(one.route, one.body, one.at) for name, one in traffic.tokens.items()}
    samples = {name: filling.Sample(one.query, one.form) for name, one in traffic.samples.items()}
    values = filling.login_values(logins, bench.root) | filling.sampled(samples, _asking(bench))
    for name, login in _logins(parity).items():
        values[f"token:{name}"] = side.token(name, login, values, _names(parity, side))
    return values
