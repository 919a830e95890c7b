"""Personality Spark's committed document is its application's own; the committed requests work on generated data."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from helpers import markdown
from helpers.spark import NAME, old_side

from towpath.local.postgresql import Postgresql
from towpath.local.redis import RedisServer
from towpath.plan.mapping import SystemMapping, load_mapping
from towpath.routes import corpus
from towpath.routes.filling import Sample, filled, sampled

places, app = (import_module(f"{NAME}.{name}") for name in ("settings", "app"))
RUNBOOK = markdown.ROOT / "runbooks" / "personality-spark"


def read() -> SystemMapping:
    return load_mapping(RUNBOOK / "mapping.yaml", "mapping.yaml", "personality-spark")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with old_side(tmp_path_factory.mktemp("spark")) as folder:
        yield folder


def test_the_committed_document_is_the_applications_own(tmp_path: Path) -> None:
    servers = Postgresql(tmp_path, 1, "nobody asks it"), RedisServer(tmp_path, 1, "nobody asks it")
    made = app.create_app(places.Settings(tmp_path, tmp_path / "maintenance.json", *servers))
    committed = json.loads((RUNBOOK / "openapi.json").read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(made.openapi()))


def test_the_old_side_answers_each_request_as_it_is_expected(data: Path) -> None:
    settings: Any = places.Settings.of(data)
    server = settings.postgresql
    address = f"host=127.0.0.1 port={server.port} dbname={places.DATABASE} user={server.user}"
    with psycopg.connect(address, password=server.password) as connection:
        samples = {name: Sample(one.query, one.form) for name, one in read().traffic.samples.items()}
        values = sampled(samples, lambda query: connection.execute(query).fetchall())

    async def story() -> list[str]:
        surprises, transport = [], httpx.ASGITransport(app.create_app(settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://spark") as client:
            for item in corpus.read(RUNBOOK / "corpus.jsonl"):
                one = filled(item, values)
                answer = await client.request(one.method, one.path, headers=dict(one.headers), content=one.body)
                if item.expects not in (0, answer.status_code):
                    surprises.append(f"{item.method} {item.path} ({item.note}): {answer.status_code}, {answer.text}")
        return surprises

    assert asyncio.run(story()) == []
