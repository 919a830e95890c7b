"""Joan's committed document is her application's own, and the committed requests work on generated data."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path

import apsw
import httpx
from helpers import markdown
from runbooks.joan.legacy.app import create_app
from runbooks.joan.legacy.generator import SCALES, generate
from runbooks.joan.legacy.settings import Settings

from towpath.plan.mapping import SystemMapping, load_mapping
from towpath.routes import corpus
from towpath.routes.filling import (
    Login,
    Sample,
    filled,
    login_request,
    login_values,
    placeholders,
    sampled,
    token_of,
)

RUNBOOK = markdown.ROOT / "runbooks" / "joan"
SECRET = "a secret of this test, long enough for HS256"


def read() -> SystemMapping:
    return load_mapping(RUNBOOK / "mapping.yaml", "mapping.yaml", "joan")


def test_the_committed_document_is_the_applications_own(tmp_path: Path) -> None:
    app = create_app(Settings(tmp_path, tmp_path / "maintenance.json", SECRET))
    committed = json.loads((RUNBOOK / "openapi.json").read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(app.openapi()))
    also = {route.path for route in app.routes if getattr(route, "include_in_schema", True) is False}
    application = read().traffic.application
    assert application is not None
    assert {title.partition(" ")[2] for title in application.also} == also


def test_the_old_side_answers_each_request_as_it_is_expected(tmp_path: Path) -> None:
    asyncio.run(generate(tmp_path / "joan", SCALES["small"]))
    traffic = read().traffic
    logins = {name: Login(one.route, one.body, one.at) for name, one in traffic.tokens.items()}
    samples = {name: Sample(one.query, one.form) for name, one in traffic.samples.items()}
    database = apsw.Connection(str(tmp_path / "joan" / "joan.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
    values = {**login_values(logins, RUNBOOK), **sampled(samples, lambda query: list(database.execute(query)))}

    async def story() -> list[str]:
        app = create_app(Settings(tmp_path / "joan", tmp_path / "maintenance.json", SECRET))
        surprises = []
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://joan") as client:

            async def sent(item: corpus.Recorded) -> httpx.Response:
                new = {name: uuid.uuid4().hex for name in placeholders(item) if name.startswith("new:")}
                one = filled(item, {**values, **new})
                return await client.request(one.method, one.path, headers=dict(one.headers), content=one.body)

            for name, login in logins.items():
                values[f"token:{name}"] = token_of((await sent(login_request(name, login))).content, login)
            for item in corpus.read(RUNBOOK / "corpus.jsonl"):
                answer = await sent(item)
                if answer.status_code != item.expects:
                    surprises.append(f"{item.method} {item.path} ({item.note}): {answer.status_code}, {answer.text}")
        await app.state.database.close()
        return surprises

    assert asyncio.run(story()) == []
