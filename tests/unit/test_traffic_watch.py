"""The watch over one step of the ramp: its judgement, and what it counts from the gateway's lines."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from towpath.checks import Verdict, worst
from towpath.cloudflare import D1
from towpath.cloudflare.client import Client
from towpath.traffic import requests
from towpath.traffic.requests import TABLE, sample, window
from towpath.traffic.watch import Budget, Sample, Word, judge, watch

BUDGET = Budget(error_rate=0.01, p95_ms=500, requests=100, bake=60, silence=30, patience=600)
FINE = Sample(seconds=60, requests=100, errors=0, slow=0, lost=0, quiet=1)


@pytest.mark.parametrize(
    ("changes", "word", "code"),
    [
        ({}, Word.ENOUGH, ""),
        ({"seconds": 59.9}, Word.KEEP_GOING, ""),
        ({"requests": 99}, Word.KEEP_GOING, ""),
        ({"requests": 0}, Word.KEEP_GOING, ""),
        ({"errors": 1}, Word.ENOUGH, ""),  # one in a hundred is allowed
        ({"errors": 2}, Word.OVER_BUDGET, "TR102"),
        ({"requests": 10, "errors": 1, "seconds": 5}, Word.KEEP_GOING, ""),  # ninety more may be faultless
        ({"requests": 10, "errors": 2, "seconds": 5}, Word.OVER_BUDGET, "TR102"),  # even those cannot help
        ({"requests": 1000, "errors": 10}, Word.ENOUGH, ""),
        ({"requests": 1000, "errors": 11}, Word.OVER_BUDGET, "TR102"),
        ({"slow": 5}, Word.ENOUGH, ""),
        ({"slow": 6}, Word.OVER_BUDGET, "TR103"),
        ({"requests": 10, "slow": 5, "seconds": 5}, Word.KEEP_GOING, ""),
        ({"requests": 1000, "slow": 51}, Word.OVER_BUDGET, "TR103"),
        ({"quiet": 29.9}, Word.ENOUGH, ""),
        ({"quiet": 30}, Word.NO_DATA, "TR104"),
        ({"seconds": 5, "quiet": 30}, Word.NO_DATA, "TR104"),
        ({"seconds": 600, "requests": 99}, Word.NO_DATA, "TR104"),
        ({"seconds": 600, "requests": 0}, Word.NO_DATA, "TR104"),
        ({"lost": 11}, Word.ENOUGH, ""),
        ({"lost": 12}, Word.NO_DATA, "TR104"),
        ({"lost": 1000, "errors": 2}, Word.OVER_BUDGET, "TR102"),
    ],
)
def test_the_judgement(changes: dict[str, float], word: Word, code: str) -> None:
    assert judge(replace(FINE, **changes), BUDGET)[:2] == (word, code)


def test_a_step_that_bakes_longer_than_its_patience_is_not_given_up_before() -> None:
    slow = replace(BUDGET, bake=900)
    assert judge(replace(FINE, seconds=899, requests=99), slow)[0] is Word.KEEP_GOING
    assert judge(replace(FINE, seconds=900, requests=99), slow)[0] is Word.NO_DATA


def test_it_looks_until_there_is_enough_and_tells_every_sample() -> None:
    coming = iter([replace(FINE, seconds=second, requests=second * 2) for second in range(0, 90, 20)])
    told: list[Sample] = []
    outcome = watch(lambda: next(coming), BUDGET, seen=told.append, pause=lambda _: None)
    assert (outcome.word, outcome.code) == (Word.ENOUGH, "")
    assert [one.seconds for one in told] == [0, 20, 40, 60]
    assert outcome.samples == tuple(told)
    assert worst(outcome.checks("split 10")) is Verdict.PASS


def test_what_it_says_is_a_row_of_the_result() -> None:
    outcome = watch(lambda: replace(FINE, requests=300, errors=30, lost=3), BUDGET)
    failed, lost = outcome.checks("split 50")
    assert (failed.code, failed.object, failed.verdict) == ("TR102", "split 50", Verdict.FAIL)
    assert failed.found == "300 requests, 30 errors, 0 over 500 ms in 60 s: 1.0% errors are allowed"
    assert (lost.code, lost.verdict, lost.found) == ("TR105", Verdict.WARN, "3 lines")
    silent = watch(lambda: replace(FINE, requests=0, quiet=60), BUDGET).checks("split 10")
    assert [(check.code, check.verdict) for check in silent] == [("TR104", Verdict.FAIL)]
    late = watch(lambda: replace(FINE, slow=100), BUDGET).checks("split 10")
    assert [(check.code, check.verdict) for check in late] == [("TR103", Verdict.FAIL)]


def test_an_error_while_looking_is_not_a_success() -> None:
    def broken() -> Sample:
        raise ConnectionError("D1 is away")

    with pytest.raises(ConnectionError):
        watch(broken, BUDGET)


# -- the lines


@pytest.fixture
def lines(client: Client) -> D1:
    d1 = D1(client, f"lines-{secrets.token_hex(4)}")
    requests.prepare(d1)
    requests.prepare(d1)
    return d1


def write(d1: D1, *rows: tuple[int, str, str, int, int, int, int]) -> None:
    """Lines as (at, route, side, status, ms, revision, lost)."""
    values = ", ".join(
        f"({at}, '{route}', '{side}', 'GET', {status}, {ms}, NULL, {revision}, {lost})"
        for at, route, side, status, ms, revision, lost in rows
    )
    d1.batch([f"INSERT INTO {TABLE} VALUES {values}"])


def test_a_window_counts_sides_and_routes(lines: D1) -> None:
    write(
        lines,
        *((1000 + n, "/a", "worker", 200, n, 7, 0) for n in range(1, 101)),
        (1101, "/b", "worker", 502, 3000, 7, 0),
        (1102, "/a", "origin", 404, 5, 7, 2),
        (1103, "/a", "gateway", 503, 0, 7, 1),
        (1104, "/a", "worker", 200, 1, 6, 4),  # an isolate that still works by the old setting
        (999, "/a", "worker", 500, 9, 7, 8),
        (2000, "/a", "worker", 500, 9, 7, 16),
    )
    found = window(lines, 1000, 2000, revision=7)
    assert [(group.side, group.requests, group.errors) for group in found.sides] == [
        ("gateway", 1, 1),
        ("origin", 1, 0),
        ("worker", 101, 1),
    ]
    worker = found.side("worker")
    assert worker is not None
    assert (worker.p50, worker.p95, worker.p99, worker.slowest) == (51, 96, 100, 3000)
    assert worker.error_rate == 1 / 101
    assert [(group.side, group.route, group.requests) for group in found.routes] == [
        ("gateway", "/a", 1),
        ("origin", "/a", 1),
        ("worker", "/a", 100),
        ("worker", "/b", 1),
    ]
    assert (found.lost, found.newest) == (3, 1103)
    assert window(lines, 5000, 6000).sides == ()
    assert window(lines, 5000, 6000).side("worker") is None


def test_the_worst_routes_are_named(lines: D1) -> None:
    write(
        lines,
        *((1000 + n, "/a", "worker", 500 if n < 2 else 200, 10, 7, 0) for n in range(20)),
        *((1000 + n, "/b", "worker", 502 if n < 3 else 200, 900, 7, 0) for n in range(4)),
        *((1000 + n, "/c", "worker", 200, 501, 7, 0) for n in range(3)),
        *((1000 + n, "/d", "origin", 500, 9000, 7, 0) for n in range(3)),
    )
    found = window(lines, 1000, 2000)
    assert found.worst("worker") == ["/b: 3 of 4 with errors", "/a: 2 of 20 with errors"]
    assert found.worst("worker", slower_than=500) == ["/b: p95 900 ms of 4", "/c: p95 501 ms of 3"]
    assert found.worst("gateway") == []


def test_a_sample_counts_the_new_side_since_the_step_began(lines: D1) -> None:
    assert sample(lines, 1000, 4000, revision=7, p95_ms=500) == Sample(3.0, 0, 0, 0, 0, 3.0)
    write(
        lines,
        (1000, "/a", "worker", 200, 500, 7, 0),
        (1100, "/a", "worker", 200, 501, 7, 2),
        (1200, "/a", "worker", 500, 1, 8, 0),
        (1300, "/a", "worker", 499, 1, 6, 0),
        (3500, "/a", "origin", 500, 900, 7, 1),
        (900, "/a", "worker", 500, 900, 7, 50),
    )
    assert sample(lines, 1000, 4000, revision=7, p95_ms=500) == Sample(3.0, 3, 1, 1, 3, 0.5)


def test_old_lines_are_forgotten(lines: D1) -> None:
    write(lines, *((at, "/a", "worker", 200, 1, 1, 0) for at in range(10)))
    assert requests.forget(lines, 4, at_once=3) == 4
    assert window(lines, 0, 100).sides[0].requests == 6
