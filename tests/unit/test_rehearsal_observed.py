"""What the clients saw, out of a list of requests: gaps, errors by side, promises that were kept or broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from towpath.rehearsal.observed import (
    Request,
    broken_promises,
    first,
    last,
    per_second,
    read_requests,
    seen,
    write_seconds,
)


def request(
    at: int, *, writes: bool = False, status: int = 200, side: str = "origin", ms: int = 10, **more: Any
) -> Request:
    return Request(at, ms, "look", writes, status, side, more.get("revision", 1), more.get("missed"))


def test_lines_are_read_by_the_time_at_which_they_were_sent(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    line = {"ms": 5, "what": "create", "writes": True, "status": 0, "side": "", "revision": 0}
    path.write_bytes(b"".join(orjson.dumps({**line, "at": at}) + b"\n" for at in (30, 10, 20)) + b'{"cut')
    found = read_requests(path)
    assert [one.at for one in found] == [10, 20, 30]
    assert (found[0].side, found[0].until, found[0].succeeded) == ("nobody", 15, False)


def test_the_longest_time_without_a_write_counts_from_edge_to_edge() -> None:
    writes = [request(at, writes=True) for at in (1_000, 2_000, 9_000)]
    refused = [request(at, writes=True, status=503, side="gateway") for at in (4_000, 5_000)]
    reads = [request(at) for at in range(500, 10_000, 500)]
    saw = seen([*writes, *refused, *reads], 0, 10_000)
    assert (saw.no_write, saw.no_write_from) == (7.0, 2_010)
    assert saw.no_read == 0.51
    assert saw.sides == {
        "gateway": {"requests": 2, "refused": 2, "errors": 0},
        "origin": {"requests": 22, "refused": 0, "errors": 0},
    }
    assert seen([], 0, 4_000).no_write == 4.0


def test_an_error_is_what_neither_succeeded_nor_asked_to_come_back() -> None:
    statuses = [200, 201, 500, 502, 404, 503, 0]
    saw = seen([request(1, status=status, side="worker") for status in statuses], 0, 10)
    assert saw.sides == {"worker": {"requests": 7, "refused": 1, "errors": 4}}
    waits = request(1, status=404, missed={"seen": None})
    assert seen([waits], 0, 10).sides == {"origin": {"requests": 1, "refused": 0, "errors": 0}}


def test_only_what_was_sent_in_the_window_belongs_to_it() -> None:
    assert seen([request(9), request(10), request(19), request(20)], 10, 20).requests == 2


def test_each_second_has_a_row_for_each_side(tmp_path: Path) -> None:
    rows = per_second([request(100), request(900, ms=70, writes=True), request(950, side="worker"), request(1_100)])
    assert [(row["second"], row["side"], row["requests"], row["writes"]) for row in rows] == [
        (0, "origin", 2, 1),
        (0, "worker", 1, 0),
        (1, "origin", 1, 0),
    ]
    assert (rows[0]["statuses"], rows[0]["slowest_ms"]) == ({"200": 2}, 70)
    write_seconds([request(100)], tmp_path / "seconds.jsonl")
    assert orjson.loads((tmp_path / "seconds.jsonl").read_bytes())["second"] == 0


def test_a_read_on_the_old_side_may_wait_for_the_way_back_and_nothing_else_may() -> None:
    modes = {1: "split", 2: "frozen", 3: "origin"}

    def missed(side: str, revision: int, wrote: str = "worker") -> Request:
        told = {"expected": "x v2", "seen": None, "wrote_side": wrote, "wrote_revision": 1}
        return request(1, side=side, revision=revision, missed=told)

    waits = missed("origin", 2)
    broken = [missed("origin", 1), missed("worker", 2), missed("origin", 3), missed("origin", 2, "origin")]
    assert broken_promises([waits, *broken, request(5)], modes) == (broken, 1)


def test_when_a_side_answered_first_and_last() -> None:
    found = [
        request(10, writes=True),
        request(20, writes=True, status=503),
        request(30, writes=True, side="worker"),
        request(40, writes=True),
        request(50, side="worker"),
    ]
    assert first(found, 15, writes=True, side="origin") == 50
    assert first(found, 45, writes=True, side="origin") is None
    assert last(found, 0, 100, side="worker") == 60
    assert last(found, 0, 30, side="worker") is None
