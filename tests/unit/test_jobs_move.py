"""Jobs through the real queue: from Celery's Redis over the Worker into D1, exactly once, and proved."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from helpers import celery_side
from helpers.celery_side import DIGEST, SHARED
from helpers.fires import fires, not_passed

from towpath.checks import Comparison
from towpath.cloudflare import D1
from towpath.errors import BadInput, CannotFinish, WrongUse
from towpath.jobs import Disposition, Entry, Manifest, Push, apply_delta, arrived, compare, delta, export, known, load
from towpath.jobs import write as write_manifest
from towpath.jobs.envelope import size
from towpath.jobs.message import Job
from towpath.local import Runtime
from towpath.local.redis import RedisServer
from towpath.secrets import Secret

SEND, PARK, DONE = Disposition.SEND, Disposition.PARK, Disposition.DONE


@pytest.fixture
def d1(jobs_d1: D1) -> D1:
    """Here the database is the Worker's."""
    return jobs_d1


def entry(id: str, disposition: Disposition = SEND, **other: Any) -> Entry:
    task = other.pop("task", SHARED)
    return Entry(id, "celery", task, "waiting", disposition, **({"body": f'[["{id}"], {{}}, {{}}]'} | other))


def write(path: Path, *entries: Entry) -> Manifest:
    return write_manifest(path / "jobs.jsonl", entries)


def failed(comparison: Comparison) -> dict[str, tuple[str, ...]]:
    return {check.code: check.keys for check in comparison.checks if str(check.verdict) == "FAIL"}


class KilledError(Exception):
    """Stands for the end of the process at this point."""


def test_what_celery_wrote_arrives_and_is_proved(
    redis_server: RedisServer, redis_client: redis.Redis, push: Push, d1: D1, tmp_path: Path
) -> None:
    celery = celery_side.celery_app(celery_side.url_of(redis_server))
    ids = [celery.send_task(SHARED, (n,), {"name": "é \u2028 \x00"}).id for n in range(230)]
    ids.append(celery.send_task(DIGEST, (1,), countdown=40_000).id)
    steps: list[int] = []
    made = export(redis_client, ["celery"], tmp_path).manifest
    loaded = load(push, made, steps.append)
    assert (loaded.jobs, loaded.sent, loaded.skipped, loaded.requests, sum(steps)) == (231, 231, 0, 3, 231)
    assert [str(check.verdict) for check in loaded.checks] == ["PASS"]
    compared: list[int] = []
    found = compare(d1, made, compared.append)
    assert failed(found) == {}
    assert found.compared["jobs"] == found.compared["received"] == sum(compared) == 231
    assert arrived(d1) == set(ids)
    bodies = dict(d1.query("SELECT id, body FROM received_jobs").rows)
    assert bodies == {one.id: one.body for one in made}


def test_a_load_that_is_killed_anywhere_and_repeated_gives_the_same(
    push: Push, d1: D1, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = write(tmp_path, *(entry(f"job-{n:03}") for n in range(350)))
    before, after = Push.send, 0

    def accepted_but_not_noted(self: Push, items: Any) -> None:
        nonlocal after
        before(self, items)
        after += 1
        if after == 2:
            raise KilledError

    monkeypatch.setattr(Push, "send", accepted_but_not_noted)
    with pytest.raises(KilledError):
        load(push, made)
    receipts = made.file.with_name("jobs.jsonl.receipts")
    receipts.write_bytes(receipts.read_bytes() + b'{"ids":["job-1')  # and its last line was cut
    loaded = load(push, made)
    assert (loaded.jobs, loaded.sent, loaded.skipped) == (350, 250, 100)
    assert failed(compare(d1, made)) == {}
    again = load(push, made)
    assert (again.sent, again.skipped, again.requests) == (0, 350, 0)


def test_a_message_that_the_queue_lost_is_sent_again(push: Push, d1: D1, tmp_path: Path) -> None:
    made = write(tmp_path, entry("a"), entry("b"))
    load(push, made)
    assert failed(compare(d1, made)) == {}
    d1.batch(["DELETE FROM received_jobs WHERE id = 'b'"])
    assert failed(compare(d1, made, deadline=0.0)) == {"JO401": (), "JO402": ("b",)}
    lost = {one.id for one in made.handed_over} - arrived(d1)
    assert load(push, made, again=lost).sent == 1
    assert failed(compare(d1, made)) == {}


@pytest.mark.parametrize(
    ("damage", "code", "key"),
    [
        ("DELETE FROM received_jobs WHERE id = 'a'", "JO402", "a"),
        ("UPDATE received_jobs SET id = 'z' WHERE id = 'a'", "JO402", "a"),
        ("INSERT INTO received_jobs VALUES ('foreign', 'celery', 't', '[]', 1)", "JO403", "foreign"),
        ("UPDATE received_jobs SET body = body || ' ' WHERE id = 'a'", "JO404", "a"),
        ("UPDATE received_jobs SET task = 'another' WHERE id = 'a'", "JO404", "a"),
        ("UPDATE received_jobs SET queue = 'another' WHERE id = 'a'", "JO404", "a"),
        (
            "INSERT INTO received_jobs_dead SELECT id, queue, task, body, 'r', 1, 1 FROM received_jobs WHERE id = 'a'",
            "JO406",
            "a",
        ),
        ("INSERT INTO received_jobs VALUES ('parked', 'celery', 't', '[]', 1)", "JO406", "parked"),
        ("INSERT INTO received_jobs VALUES ('done', 'celery', 't', '[]', 1)", "JO406", "done"),
    ],
)
def test_damage_is_named_and_nothing_else(push: Push, d1: D1, tmp_path: Path, damage: str, code: str, key: str) -> None:
    made = write(tmp_path, entry("a"), entry("b"), entry("parked", PARK), entry("done", DONE, body=None))
    load(push, made)
    assert failed(compare(d1, made)) == {}
    d1.batch([damage])
    found = compare(d1, made, deadline=0.0)
    assert failed(found)[code] == (key,)
    codes = {code, "JO401"} | ({"JO403"} if "'z'" in damage else set())
    assert failed(found).keys() == (codes - {"JO401"} if code == "JO403" else codes)
    assert {difference.key for difference in found.differences} <= {key, "z"}


@fires("JO401", "JO402")
def test_a_job_that_nobody_handed_over(push: Push, d1: D1, tmp_path: Path) -> Iterable[str]:
    assert push
    return not_passed(compare(d1, write(tmp_path, entry("a")), deadline=0.0).checks)


@fires("JO405", "JO401")
def test_a_job_that_always_fails_is_found_in_the_dead_letter_queue(push: Push, d1: D1, tmp_path: Path) -> Iterable[str]:
    made = write(tmp_path, entry("good"), entry("bad", task="nobody.knows"))
    load(push, made)
    found = compare(d1, made)
    assert failed(found) == {"JO401": (), "JO405": ("bad",)}
    assert found.differences[0].found == "no task nobody.knows"
    return not_passed(found.checks)


def test_a_comparison_waits_for_what_is_on_its_way_and_no_longer(push: Push, d1: D1, tmp_path: Path) -> None:
    made = write(tmp_path, entry("a"), entry("b"))
    # a stranger's row makes the numbers equal before the jobs are there
    d1.batch(
        [
            "INSERT INTO received_jobs VALUES ('x', '', '', '', 1)",
            "INSERT INTO received_jobs VALUES ('y', '', '', '', 1)",
        ]
    )
    moments = iter(range(1000))
    waited: list[float] = []

    def arrives(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            load(push, made)
            compare(d1, made)

    assert failed(compare(d1, made, deadline=100.0, clock=lambda: next(moments), pause=arrives)).keys() == {"JO403"}
    assert len(waited) == 3
    d1.batch(["DELETE FROM received_jobs WHERE task = ''"])
    d1.batch(["DELETE FROM received_jobs WHERE id = 'a'"])
    late = compare(d1, made, deadline=5.0, clock=lambda: next(moments), pause=lambda _: None)
    assert failed(late) == {"JO401": (), "JO402": ("a",)}


def test_the_cutover_brings_what_came_and_takes_back_what_the_old_side_ran(
    redis_server: RedisServer, redis_client: redis.Redis, push: Push, d1: D1, tmp_path: Path
) -> None:
    celery = celery_side.celery_app(celery_side.url_of(redis_server))
    first = celery.send_task(SHARED, (1,)).id
    second = celery.send_task(SHARED, (2,)).id
    before = export(redis_client, ["celery"], tmp_path / "before").manifest
    load(push, before)
    assert failed(compare(d1, before)) == {}
    with celery_side.worker(redis_server, tmp_path / "worker.log") as child:  # the old side lives on
        celery.send_task(celery_side.HOLD, ("end",))
        celery_side.begun(redis_server)
        celery_side.let_go(redis_server, "end")
        child.terminate()
        child.wait(timeout=60)
    third = celery.send_task(SHARED, (3,)).id
    after = export(redis_client, ["celery"], tmp_path / "after", known=known(before)).manifest
    assert {one.id: str(one.disposition) for one in after} == {third: "send", first: "done", second: "done"}
    assert failed(compare(d1, after, deadline=0.0))["JO406"] == tuple(sorted((first, second)))
    for withdrawn, sent in ((2, 1), (0, 0)):
        applied = apply_delta(push, d1, delta(before, after))
        assert (applied.withdrawn, applied.loaded.sent) == (withdrawn, sent)
        assert failed(compare(d1, after)) == {}


def test_a_retried_job_is_taken_back_and_sent_anew_once(push: Push, d1: D1, tmp_path: Path) -> None:
    before = write(tmp_path / "1", entry("a"), entry("same"))
    after = write(tmp_path / "2", entry("a", body="[[2], {}, {}]"), entry("same"))
    load(push, before)
    compare(d1, before)
    for withdrawn, sent in ((1, 1), (0, 0)):
        applied = apply_delta(push, d1, delta(before, after))
        assert (applied.withdrawn, applied.loaded.jobs, applied.loaded.sent) == (withdrawn, 1, sent)
        assert failed(compare(d1, after)) == {}


def test_receipts_of_another_export_or_worker_are_refused(push: Push, d1: D1, tmp_path: Path) -> None:
    made = write(tmp_path, entry("a"))
    load(push, made)
    assert failed(compare(d1, made)) == {}  # nothing is on its way into the next test
    other = write(tmp_path, entry("b"))
    with pytest.raises(BadInput, match="another export or another Worker"):
        load(push, other)
    made.file.with_name("jobs.jsonl.receipts").write_bytes(b"[]\n[]\n")
    with pytest.raises(BadInput, match="cannot be read"):
        load(push, other)


def test_batches_keep_the_limits_of_a_queue(push: Push, d1: D1, tmp_path: Path) -> None:
    made = write(tmp_path, *(entry(f"long-{n}", body="x" * 120_000) for n in range(5)))
    assert load(push, made).requests == 3  # two of them are 240,000 bytes, three would be more than 256,000
    assert failed(compare(d1, made)) == {}


@pytest.mark.parametrize("answer", ["refused", "wrong ids", "no json", "busy"])
def test_a_worker_that_does_not_take_jobs_is_named(served: Runtime, answer: str, tmp_path: Path) -> None:
    fakes: dict[str, Callable[[httpx.Request], httpx.Response]] = {
        "wrong ids": lambda _: httpx.Response(202, json={"ids": ["b"]}),
        "no json": lambda _: httpx.Response(404, text="<html>not here"),
        "busy": lambda _: httpx.Response(503, json={"error": "busy"}),
    }
    (tmp_path / "token").write_text("wrong-canary-4711", encoding="utf-8")
    waits: list[float] = []
    with Push(served.url, Secret("file:token", tmp_path), sleep=waits.append) as push:
        if answer in fakes:  # what the real Worker does not do on demand
            push._http = httpx.Client(transport=httpx.MockTransport(fakes[answer]))
        said = {
            "refused": "refuses the token: the token is missing or wrong.*worker_token",
            "wrong ids": "accepted other jobs than were sent",
            "no json": "answers HTTP 404: <html>not here.*worker_url",
            "busy": r"answers HTTP 503: busy \(6 attempts\)",
        }[answer]
        with pytest.raises(CannotFinish, match=said) as caught:
            load(push, write(tmp_path, entry("a")))
    assert "canary" not in caught.value.line
    assert waits == ([0.5, 1.0, 2.0, 4.0, 8.0] if answer == "busy" else [])


def test_both_times_travel_with_a_job(tmp_path: Path) -> None:
    sent: list[Any] = []

    def fake(request: httpx.Request) -> httpx.Response:
        sent.extend(json.loads(request.content))
        return httpx.Response(202, json={"ids": ["a"]})

    times = {"eta": "2099-01-01T00:00:00.000001+00:00", "expires": "2099-01-02T00:00:00.000000+00:00"}
    with Push("http://127.0.0.1:1", None) as push:
        push._http = httpx.Client(transport=httpx.MockTransport(fake))
        load(push, write(tmp_path, entry("a", **times)))
    assert sent == [{"id": "a", "queue": "celery", "task": SHARED, "body": '[["a"], {}, {}]', **times}]


def test_a_worker_that_is_down_is_named(tmp_path: Path) -> None:
    with (
        Push("http://127.0.0.1:1", None, sleep=lambda _: None) as push,
        pytest.raises(CannotFinish, match=r"Worker http://127.0.0.1:1: does not answer.*start the phase again"),
    ):
        load(push, write(tmp_path, entry("a")))


def test_a_token_never_leaves_this_machine_unencrypted() -> None:
    with pytest.raises(WrongUse, match="unencrypted"):
        Push("http://jobs.example.org", None)


def test_json_that_the_worker_sends_is_as_long_as_it_was_measured(served: Runtime, d1: D1, tmp_path: Path) -> None:
    """A message one byte too long is refused by the Worker, one that just fits is not: both sides count alike."""
    base = 'é\u2028"\\\n\x01'
    room = 128_000 - size(Job("id", "celery", SHARED, base, "tag"))
    for extra, accepted in ((0, True), (1, False)):
        body = base + "x" * (room + extra)
        assert (size(Job("id", "celery", SHARED, body, "tag")) <= 128_000) is accepted
        with Push(served.url, served.worker_token) as push:
            made = write(tmp_path / str(extra), entry("id", body=body))
            if accepted:
                assert load(push, made).sent == 1
                assert failed(compare(d1, made)) == {}
            else:
                with pytest.raises(CannotFinish, match=r"its message has 128001 bytes"):
                    load(push, made)
