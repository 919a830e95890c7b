"""Keys in trouble: a Redis that refuses, stops or begins anew, a bad line to KV, time that goes by."""

from __future__ import annotations

import importlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import faulty
from helpers.keys import EVERYTHING, exported, failing, fill
from redis import Redis

from towpath import keys
from towpath.cloudflare import KV, Client, CloudflareError
from towpath.errors import BadInput, CannotFinish
from towpath.keys import KeyRule
from towpath.local.redis import RedisServer, start_redis
from towpath.local.runtime import Runtime
from towpath.secrets import Secret

source = importlib.import_module("towpath.keys.source")
WORK: list[Callable[[Redis, Path, Any], Any]] = [
    lambda redis, _, report: keys.inventory(redis, EVERYTHING, report),
    lambda redis, folder, report: keys.export(redis, EVERYTHING, folder, report),
]
READS = pytest.mark.parametrize("work", WORK, ids=["inventory", "export"])


@pytest.fixture
def kv(client: Client) -> KV:
    return KV(client, f"test-{secrets.token_hex(8)}")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may stop."""
    server = start_redis(tmp_path / "server", ends_with_us=True)
    yield server
    server.stop()


def opened(server: RedisServer) -> Redis:
    return keys.connect(server.url(0), server.secret)


# -- Redis


def test_a_wrong_password_is_told_and_not_echoed(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "not-the-password-1234")
    for redis in (keys.connect(redis_server.url(0), Secret("env:WRONG")), keys.connect(redis_server.url(0))):
        for work in (keys.facts, lambda redis: keys.export(redis, EVERYTHING, tmp_path / "export")):
            with pytest.raises(BadInput, match=r"Redis refuses the password.*source_cache_password") as told:
                work(redis)  # type: ignore[operator]
            seen = repr(told.value) + told.value.line + repr(told.value.__cause__)
            assert "not-the-password" not in seen
            assert redis_server.password not in seen
    assert not (tmp_path / "export").exists()


def test_a_server_that_is_not_there_is_told_with_the_next_step() -> None:
    with pytest.raises(CannotFinish, match=r"127\.0\.0\.1:1/0: Redis does not answer.*start Redis or correct"):
        keys.facts(keys.connect("redis://127.0.0.1:1/0"))


@READS
def test_a_server_that_stops_midway_ends_the_work_and_nothing_counts(
    work: Callable[[Redis, Path, Any], Any], own: RedisServer, tmp_path: Path
) -> None:
    redis, done = opened(own), list[int]()
    fill(redis, 2_500)

    def stop(count: int) -> None:
        done.append(count)
        own.stop()

    with pytest.raises(CannotFinish, match=r"Redis does not answer.*run the phase again: nothing half read counts"):
        work(redis, tmp_path / "export", stop)
    assert done == [1_000]
    with pytest.raises(BadInput, match="run 03-export"):
        keys.read(tmp_path / "export")


@READS
def test_a_server_that_begins_anew_midway_ends_the_work(
    work: Callable[[Redis, Path, Any], Any], own: RedisServer, tmp_path: Path
) -> None:
    redis, done = opened(own), list[int]()
    fill(redis, 1_500)

    def begin_anew(count: int) -> None:
        if not done:
            own.stop()
            start_redis(own.folder, port=own.port, ends_with_us=True)
        done.append(count)

    with pytest.raises(CannotFinish, match="Redis was started anew while it was read"):
        work(redis, tmp_path / "export", begin_anew)
    assert sum(done) == 1_514


@pytest.mark.parametrize("command", ["-memory", "-scan", "-hgetall", "-info"])
def test_a_command_that_the_user_may_not_run_is_named(
    command: str, redis_server: RedisServer, redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(redis_client)
    redis_client.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">reader-password", "~*", "+@all", command)
    monkeypatch.setenv("READER", "reader-password")
    url = redis_server.url(0).replace("redis://", "redis://reader@")
    try:
        with pytest.raises(BadInput, match=f"Redis refuses a command.*'{command[1:]}.*docs/keys"):
            keys.export(keys.connect(url, Secret("env:READER")), EVERYTHING, tmp_path)
    finally:
        redis_client.execute_command("ACL", "DELUSER", "reader")


def test_the_user_that_the_documentation_makes_is_enough(
    root: Path, redis_server: RedisServer, redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(redis_client)
    line = next(text for text in (root / "docs" / "keys.md").read_text().split("`") if text.startswith("ACL SETUSER"))
    words = line.replace(">…", ">towpath-password").split()
    redis_client.execute_command(*words)
    monkeypatch.setenv("READER", "towpath-password")
    redis = keys.connect(redis_server.url(0).replace("redis://", "redis://towpath@"), Secret("env:READER"))
    try:
        assert keys.inventory(redis, EVERYTHING).keys == redis_client.dbsize()
        assert keys.export(redis, EVERYTHING, tmp_path).keys == redis_client.dbsize()
    finally:
        redis_client.execute_command("ACL", "DELUSER", "towpath")


def answering(monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], fake: Any) -> None:
    """A fake: a server that answers this command in another way."""
    real = source.Source.one

    def fake_one(self: Any, *given: Any) -> Any:
        return fake if given == command else real(self, *given)

    monkeypatch.setattr(source.Source, "one", fake_one)


def test_one_node_of_a_cluster_is_refused(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, ("INFO", "cluster"), b"# Cluster\r\ncluster_enabled:1\r\n")
    with pytest.raises(BadInput, match="one node of a cluster"):
        keys.inventory(redis_client, EVERYTHING)


def after_the_look(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """A fake for the moment, not for the change: what an application does between the look and the reading."""
    real = source.Source.look

    def fake_look(self: Any, names: Sequence[bytes], **given: Any) -> Any:
        looks = real(self, names, **given)
        change()
        return looks

    monkeypatch.setattr(source.Source, "look", fake_look)


def test_a_key_that_changes_its_type_while_it_is_read_is_read_as_it_is_then(
    redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_client.mset({"a": 1, "b": 1})
    after_the_look(monkeypatch, lambda: [redis_client.delete("a"), redis_client.rpush("a", "x")])
    assert [(entry.key, entry.type) for entry in exported(redis_client, tmp_path)] == [("a", "list"), ("b", "string")]
    made = exported(redis_client, tmp_path, [KeyRule("*", "string")])
    assert [(finding.code, finding.samples) for finding in made.findings] == [("KE202", ("a",))]


def test_a_key_that_vanishes_while_it_is_read_is_listed_and_no_failure(
    redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_client.mset({"a": 1, "b": 1})
    redis_client.set("c", 1, ex=100)
    after_the_look(monkeypatch, lambda: [redis_client.delete("a"), redis_client.pexpire("c", -1)])
    made = exported(redis_client, tmp_path)
    assert [entry.key for entry in made] == ["b"]
    assert [(finding.code, finding.samples) for finding in made.findings] == [("KE107", ("a", "c"))]
    assert [line["key"] for line in made.left_behind()] == ["a", "c"]
    assert failing(made.checks) == []


def test_a_folder_that_cannot_be_written_is_told(redis_client: Redis, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CannotFinish, match=r"the export could not be written.*run 03-export again"):
        keys.export(redis_client, EVERYTHING, tmp_path / "file")


# -- KV


@pytest.mark.parametrize("fault", faulty.FAULTS)
def test_a_bad_line_changes_nothing_of_the_result(
    fault: str, redis_client: Redis, runtime: Runtime, tmp_path: Path
) -> None:
    fill(redis_client, 300)
    made = exported(redis_client, tmp_path)
    with (
        faulty.faulty_line(runtime.api, faulty.always(fault)) as line,
        Client(line.api, sleep=lambda _: None) as client,
    ):
        kv = KV(client, f"test-{secrets.token_hex(8)}")
        loaded = keys.load(kv, made)
        proof = keys.compare(kv, made)
    assert line.happened[fault] > 5
    assert failing(loaded.checks) == []
    assert proof.equal, proof.differences


def test_a_runtime_that_goes_away_ends_the_import_and_the_next_one_goes_on(
    redis_client: Redis, runtime: Runtime, tmp_path: Path
) -> None:
    fill(redis_client, 1_000)
    made = exported(redis_client, tmp_path)
    namespace = f"test-{secrets.token_hex(8)}"
    chunks: list[int] = []

    def decide(body: bytes, _: int) -> str:
        chunks.append(body.startswith(b'[{"key":"string:'))
        return faulty.RESET if sum(chunks) > 2 else faulty.PASS

    with (
        faulty.faulty_line(runtime.api, decide) as line,
        Client(line.api, sleep=lambda _: None) as client,
        pytest.raises(CloudflareError, match=r"no answer.*start the phase again"),
    ):
        keys.load(KV(client, namespace), made)
    with runtime.client() as client:
        kv = KV(client, namespace)
        loaded = keys.load(kv, made)
        assert 0 < loaded.sent < len(made.chunks)
        assert keys.compare(kv, made).equal


def test_a_body_that_was_too_long_on_its_way_is_made_anew(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    redis_client.set("a", 1, ex=100)
    made = exported(redis_client, tmp_path, [KeyRule("*", ttl="lift")])
    late = iter([time.time() - 3_600])  # a clock that was an hour behind when the body was made
    moment = time.time() + 45
    (entry,) = made
    object.__setattr__(made.chunks[0], "earliest", int(moment))
    bodies: list[bytes] = []
    real = kv.put

    def fake_put(body: bytes) -> None:
        """A fake for the delay, not for the refusal: what KV would see 50 seconds later."""
        bodies.append(body)
        real(body.replace(str(entry.expiration).encode(), str(int(moment)).encode()))

    object.__setattr__(kv, "put", fake_put)
    loaded = keys.load(kv, made, clock=lambda: next(late, moment))
    assert loaded.lifted == ("a",)
    assert [one.key for one in kv.list() if not one.key.startswith("_")] == ["a"]


def test_a_receipt_that_somebody_changed_is_told(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    redis_client.set("a", 1)
    made = exported(redis_client, tmp_path)
    keys.load(kv, made)
    kv.put(b'[{"key":"_towpath/receipt/x/0","value":"[]","metadata":{"sha256":"","notes":1}}]')
    with pytest.raises(CannotFinish, match="the receipt is not what was written"):
        keys.compare(kv, made)
