"""Jobs exported: each id once with what becomes of it, in a file that is whole or not there."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from helpers import celery_side
from helpers.celery_side import DIGEST, HOLD, SHARED

from towpath.checks import Decision
from towpath.errors import BadInput, WrongUse
from towpath.jobs import Disposition, Entry, Manifest, delta, export, inventory, known, read, write
from towpath.local.redis import RedisServer

SEND, PARK, DONE = Disposition.SEND, Disposition.PARK, Disposition.DONE


def entry(id: str, disposition: Disposition = SEND, **other: Any) -> Entry:
    return Entry(id, "celery", SHARED, "waiting", disposition, **({"body": "[[], {}, {}]"} | other))


@pytest.fixture
def made(tmp_path: Path) -> Manifest:
    parked = entry("c", PARK, body=None, raw="e30=", why="JO201: it is broken")
    return write(tmp_path / "jobs.jsonl", [entry("b", eta="2099-01-01T00:00:00+00:00"), entry("a"), parked])


def test_what_is_written_is_read_again_in_its_order(made: Manifest) -> None:
    assert (made.jobs, made.sent, made.parked, made.done) == (3, 2, 1, 0)
    assert [one.id for one in made] == ["b", "a", "c"]
    assert list(made)[2].raw == "e30="
    assert [one.id for one in made.handed_over] == ["b", "a"]
    assert read(made.file) == made
    assert list(made.file.parent.iterdir()) == [made.file]


def test_the_same_jobs_give_the_same_bytes(made: Manifest, tmp_path: Path) -> None:
    assert write(tmp_path / "other.jsonl", list(made)).file.read_bytes() == made.file.read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"kind":"towpath jobs"', b'"kind":"towpath cats"', "line 1: not a list of jobs"),
        (b'"version":1', b'"version":2', "line 1: version 2"),
        (b'"send":2', b'"send":1', "line 1 tells other numbers"),
        (b'{"kind"', b'["kind"', "line 1 is not a manifest's first line"),
        (b'"id":"a"', b'"id":"b"', "line 3: job b stands here twice"),
        (b'"id":"a"', b'"id":"d"', "a value was changed"),
        (b'"disposition":"park"', b'"disposition":"lost"', "line 4 is not a job's line"),
        (b'"raw":"e30="}\n', b'"raw":"e30="}', "line 4 is cut"),
        (b'"body":"[[], {}, {}]"', b'"bodi":"[[], {}, {}]"', "line 2 is not a job's line"),
        (b'"body":"[[], {}, {}]",', b"", "cannot be handed over"),
        (b'"state":"waiting",', b'"state":7,', "a text is missing"),
    ],
)
def test_damage_is_named_by_its_line(made: Manifest, old: bytes, new: bytes, said: str) -> None:
    content = made.file.read_bytes()
    if b"body" in old and b"bodi" not in new:  # the key stands at the end of its line
        old, new = b',"body":"[[], {}, {}]"}', b"}"
    assert old in content
    made.file.write_bytes(content.replace(old, new, 1))
    with pytest.raises(BadInput, match=said) as caught:
        list(read(made.file))
    assert str(made.file) in caught.value.line


def test_a_manifest_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="run 03-export first"):
        read(tmp_path / "jobs.jsonl")


def test_an_export_that_fails_leaves_no_manifest(tmp_path: Path) -> None:
    def broken() -> Iterator[Entry]:
        yield entry("a")
        yield entry("a")

    with pytest.raises(WrongUse, match="the same job comes twice"):
        write(tmp_path / "jobs.jsonl", broken())
    assert list(tmp_path.iterdir()) == []


def test_every_id_is_done_sent_or_parked_exactly_once(
    redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
) -> None:
    celery = celery_side.celery_app(celery_side.url_of(redis_server))
    now = dt.datetime.now(dt.UTC)
    finished = celery.send_task(SHARED, ("finished",)).id
    held = celery.send_task(HOLD, ("a",)).id
    before = inventory(redis_client, ["celery"]).known
    with celery_side.worker(redis_server, tmp_path / "worker.log") as child:
        celery_side.begun(redis_server)
        celery_side.kill(child)
    plain = celery.send_task(SHARED, (1,), {"name": "é"}).id
    later = celery.send_task(DIGEST, (1,), eta=now + dt.timedelta(hours=30)).id
    undecided = celery.send_task(SHARED, (1,), serializer="pickle").id
    followed = celery.send_task(SHARED, (1,), link=celery.signature(DIGEST, (2,))).id
    gone = celery.send_task(SHARED, (1,), expires=now + dt.timedelta(hours=1)).id
    redis_client.lpush("celery", b"no job")
    decisions = [
        Decision("JO203", "celery", "send", "its worker was killed"),
        Decision("JO205", "cel*", "park", "somebody sends it by hand"),
        Decision("JO201", "celery", "park", "noise"),
        Decision("JO209", HOLD, "send", "the consumer learns it"),
    ]
    made = export(
        redis_client,
        ["celery"],
        tmp_path / "export",
        decisions=decisions,
        known=before,
        tasks={SHARED, DIGEST},
        now=now + dt.timedelta(hours=2),
    )
    entries = {one.id: one for one in made.manifest}
    noise = next(id for id in entries if id.startswith("message "))
    assert {id: str(one.disposition) for id, one in entries.items()} == {
        finished: "done",
        held: "send",
        plain: "send",
        later: "park",
        undecided: "park",
        followed: "park",
        gone: "done",
        noise: "park",
    }
    assert entries[held].why == "JO203: its worker was killed; JO209: the consumer learns it"
    assert entries[undecided].why.startswith("JO202: nobody has decided (content type application/x-python-serialize)")
    assert entries[followed].why == "JO208: nobody has decided"
    assert entries[followed].body
    assert json.loads(entries[plain].body or "")[:2] == [[1], {"name": "é"}]
    assert "\\u00e9" in (entries[plain].body or "")  # Celery's own text, not ours
    assert entries[later].eta == (now + dt.timedelta(hours=30)).isoformat(timespec="microseconds")
    assert entries[held].expires is None
    assert entries[noise].raw == "bm8gam9i"
    assert [str(check.verdict) for check in made.checks] == ["PASS"]
    assert made.findings
    # what was exported is accounted for again by the next one
    redis_client.delete("celery", "unacked", "unacked_index")
    after = export(redis_client, ["celery"], tmp_path / "after", known=known(made.manifest)).manifest
    assert {one.id for one in after} == set(entries)
    assert after.done == after.jobs == 8


def test_a_delta_names_what_came_what_went_and_what_was_retried(tmp_path: Path) -> None:
    before = write(
        tmp_path / "1", [entry("stays"), entry("goes"), entry("retried"), entry("p", PARK), entry("q", PARK)]
    )
    after = write(
        tmp_path / "2",
        [
            entry("stays"),
            entry("retried", body="[[2], {}, {}]"),
            entry("new"),
            entry("goes", DONE),
            entry("q"),
            entry("p", PARK),
        ],
    )
    found = delta(before, after)
    assert (set(found.came), set(found.gone), found.unchanged) == ({"new", "q", "retried"}, {"goes", "retried"}, 1)
