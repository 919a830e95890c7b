"""Copies of a server, of keys, and of a runtime's state: they hold what the original held, and leave it as it was."""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path

import orjson
import psycopg
import pytest
import redis
from helpers.postgresql import run

from towpath.cloudflare import D1
from towpath.cloudflare.kv import KV
from towpath.errors import CannotFinish
from towpath.local import Runtime, State, start
from towpath.local.copies import copy_postgresql, copy_redis, copy_state
from towpath.local.postgresql import Postgresql, start_postgresql
from towpath.local.redis import start_redis
from towpath.secrets import Secret

ROOT = Path(__file__).resolve().parents[2]


def test_copies_of_a_server_are_of_one_moment_and_work_on_their_own(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    run(postgresql_server, postgresql_url, "CREATE TABLE t (id serial PRIMARY KEY, a text)")
    run(postgresql_server, postgresql_url, "INSERT INTO t (a) VALUES ('one'), ('gone'); DELETE FROM t WHERE a = 'gone'")
    name = postgresql_url.rpartition("/")[2]
    folders = [tmp_path / "a", tmp_path / "b"]
    with psycopg.connect(postgresql_url, password=postgresql_server.password) as busy:
        busy.execute("INSERT INTO t (a) VALUES ('not committed')")
        copy_postgresql(postgresql_url, postgresql_server.secret, folders)
        busy.execute("UPDATE t SET a = 'later'")
    for folder in folders:
        copy = start_postgresql(folder, ends_with_us=True)
        try:
            assert copy.port != postgresql_server.port
            with psycopg.connect(copy.url(name), password=copy.password) as connection:
                assert connection.execute("SELECT * FROM t").fetchall() == [(1, "one")]
                (row,) = connection.execute("INSERT INTO t (a) VALUES ('mine') RETURNING id").fetchall()
                assert row[0] > 2, "the number of the deleted row is not given out again"
        finally:
            copy.stop()
    with psycopg.connect(postgresql_url, password=postgresql_server.password) as connection:
        assert {a for (a,) in connection.execute("SELECT a FROM t").fetchall()} == {"later"}


def test_a_server_that_refuses_is_told_in_a_line_without_its_password(postgresql_url: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong-and-secret", encoding="ascii")
    with pytest.raises(CannotFinish, match="authentication failed") as refused:
        copy_postgresql(postgresql_url, Secret("file:password", tmp_path), [tmp_path / "a", tmp_path / "b"])
    assert "\n" not in refused.value.line
    assert "wrong-and-secret" not in refused.value.line


def test_every_key_is_copied_with_the_moment_of_its_end(redis_client: redis.Redis, tmp_path: Path) -> None:
    redis_client.set(b"\xff\x00", b"\x00\x01")
    redis_client.rpush("list", "a", "b", "a")
    redis_client.hset("hash", mapping={"f": "1"})
    redis_client.zadd("scores", {"x": 0.1})
    redis_client.xadd("stream", {"a": "1"}, id="5-1")
    redis_client.set("ends", "x", px=3_600_000)
    for number in range(1_200):
        redis_client.set(f"many:{number}", number)
    before = {name: redis_client.dump(name) for name in redis_client.scan_iter()}
    server = start_redis(tmp_path, ends_with_us=True)
    try:
        with closing(redis.Redis.from_url(server.url(3), password=server.password)) as copy:
            assert copy_redis(redis_client, copy) == len(before) == 1_206
            assert {name: copy.dump(name) for name in copy.scan_iter()} == before
            assert copy.pttl("list") == -1
            assert 3_590_000 < copy.pttl("ends") <= 3_600_000
    finally:
        server.stop()
    assert {name: redis_client.dump(name) for name in redis_client.scan_iter()} == before


def test_a_redis_that_is_not_there_is_told(redis_client: redis.Redis) -> None:
    redis_client.set("a", "1")
    with (
        closing(redis.Redis(port=1, socket_connect_timeout=1.0)) as nobody,
        pytest.raises(CannotFinish, match="the keys cannot be copied: ConnectionError"),
    ):
        copy_redis(redis_client, nobody)


def test_the_state_of_a_runtime_that_is_up_is_copied_and_works_on_its_own(runtime: Runtime, tmp_path: Path) -> None:
    database, namespace, key = (f"copied-{secrets.token_hex(4)}" for _ in range(3))
    with runtime.client() as client, closing(runtime.r2()) as s3:
        d1, kv = D1(client, database), KV(client, namespace)
        d1.batch(["CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES ('kept')"])
        kv.put_alone("name", orjson.dumps("kept"), {})
        s3.put_object(Bucket=runtime.bucket, Key=key, Body=b"kept")
        ours = State(tmp_path / "copy")
        copy_state(runtime.state, ours)
        with (
            start(
                "test",
                "copy",
                0,
                bucket=runtime.bucket,
                database_id=database,
                root=ROOT,
                state=ours,
                namespace=namespace,
            ) as copy,
            copy.client() as other,
            closing(copy.r2()) as objects,
        ):
            there = D1(other, database)
            assert there.query("SELECT a FROM t").rows == [["kept"]]
            assert KV(other, namespace).get("name") == b'"kept"'
            assert objects.get_object(Bucket=copy.bucket, Key=key)["Body"].read() == b"kept"
            there.batch(["UPDATE t SET a = 'changed'"])
            KV(other, namespace).put_alone("name", orjson.dumps("less"), {})
            objects.put_object(Bucket=copy.bucket, Key=key, Body=b"less")
            objects.delete_object(Bucket=copy.bucket, Key=key)
            assert kv.get("name") == b'"kept"'
            assert d1.query("SELECT a FROM t").rows == [["kept"]]
            assert s3.get_object(Bucket=runtime.bucket, Key=key)["Body"].read() == b"kept"
        s3.delete_object(Bucket=runtime.bucket, Key=key)


def test_a_state_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    broken = State(tmp_path / "broken")
    broken.data.mkdir(parents=True)
    (broken.data / "x.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(CannotFinish, match="the state of the local runtime cannot be copied"):
        copy_state(broken, State(tmp_path / "copy"))
