"""What all tests share: the project's root, and one real Cloudflare runtime for each pytest-xdist worker.

runtime     session  towpath.local.Runtime on a port that the system chose, in a temporary folder
client      session  towpath.cloudflare.Client of it
d1          test     towpath.cloudflare.D1 of a database that nobody has used before
r2_client   session  boto3 S3 client of its R2
bucket      test     the name of its one bucket, empty before and after the test

postgresql_server  session  towpath.local.postgresql.Postgresql in a temporary folder
postgresql_url     test     the URL (without password) of a database in it that nobody has used before
redis_server       session  towpath.local.redis.RedisServer in a temporary folder
redis_client       test     redis.Redis of its database 0, binary answers; all databases are empty before and after

Secrets that a test reveals are masked in that test alone: a made-up one may be part of what the next one writes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from helpers.postgresql import new_database

import towpath.secrets
from towpath.cloudflare import D1, Client
from towpath.local import Runtime, State, start
from towpath.local.postgresql import Postgresql, start_postgresql
from towpath.local.redis import RedisServer, start_redis

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture(autouse=True)
def _secrets_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.secrets._known", dict(towpath.secrets.known()))


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    state = State(tmp_path_factory.mktemp("runtime"))
    with start(
        "test", "local", 0, bucket="towpath-test", database_id="towpath-test", root=ROOT, state=state, deadline=120.0
    ) as running:
        yield running


@pytest.fixture(scope="session")
def client(runtime: Runtime) -> Iterator[Client]:
    with runtime.client() as made:
        yield made


@pytest.fixture
def d1(client: Client) -> D1:
    return D1(client, f"test-{secrets.token_hex(8)}")


@pytest.fixture(scope="session")
def r2_client(runtime: Runtime) -> Iterator[Any]:
    made = runtime.r2()
    yield made
    made.close()


@pytest.fixture
def bucket(runtime: Runtime, r2_client: Any) -> Iterator[str]:
    _empty(r2_client, runtime.bucket)
    yield runtime.bucket
    _empty(r2_client, runtime.bucket)


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgresql]:
    server = start_postgresql(tmp_path_factory.mktemp("postgresql"), ends_with_us=True)
    yield server
    server.stop()


@pytest.fixture
def postgresql_url(postgresql_server: Postgresql) -> Iterator[str]:
    with new_database(postgresql_server) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = start_redis(tmp_path_factory.mktemp("redis"), ends_with_us=True)
    yield server
    server.stop()


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis(port=redis_server.port, password=redis_server.password, decode_responses=False) as made:
        made.flushall()
        yield made
        made.flushall()


def _empty(r2_client: Any, bucket: str) -> None:
    for page in r2_client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            r2_client.delete_object(Bucket=bucket, Key=item["Key"])
