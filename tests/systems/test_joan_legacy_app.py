"""Joan's routes: accounts, tasks, notes, folders, attachments, and the maintenance switch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest
from runbooks.joan.legacy import storage
from runbooks.joan.legacy.app import create_app
from runbooks.joan.legacy.generator import SCALES, generate
from runbooks.joan.legacy.generator.people import PASSWORD
from runbooks.joan.legacy.maintenance import MaintenanceMiddleware, MaintenanceSwitch
from runbooks.joan.legacy.settings import Settings
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

SECRET = "a secret of this test, long enough for HS256"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Joan at scale small."""
    asyncio.run(generate(tmp_path / "joan", SCALES["small"]))
    return tmp_path / "joan"


def values(folder: Path, query: str) -> list[tuple[Any, ...]]:
    return list(apsw.Connection(str(folder / "joan.sqlite"), flags=apsw.SQLITE_OPEN_READONLY).execute(query))


@asynccontextmanager
async def client_of(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(folder, folder / "maintenance.json", SECRET, largest_upload=1_000))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://joan") as client:
            yield client
    finally:
        await app.state.database.close()


async def registered(client: httpx.AsyncClient, name: str = "Mina") -> None:
    body = {"email": f"{name}@Example.net", "username": name, "password": "longer than ten", "name": "Ü"}
    assert (await client.post("/auth/register", json=body)).status_code == 201
    answer = await client.post(
        "/auth/login", json={"email": f"{name}@example.NET".upper(), "password": body["password"]}
    )
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def test_accounts(data: Path) -> None:
    async def story() -> None:
        async with client_of(data) as client:
            for path in ("/auth/me", "/tasks", "/notes", "/folders"):
                assert (await client.get(path)).status_code == 401
            await registered(client)
            assert (await client.get("/auth/me")).json()["email"] == "Mina@Example.net"
            twice = {"email": "mina@example.net", "username": "other", "password": "longer than ten"}
            assert (await client.post("/auth/register", json=twice)).status_code == 400
            wrong = {"email": "mina@example.net", "password": "wrong"}
            assert (await client.post("/auth/login", json=wrong)).status_code == 401
            old = {"email": "joan@example.org", "password": PASSWORD}
            assert (await client.post("/auth/login", json=old)).status_code == 200
            client.headers["Authorization"] += "x"
            assert (await client.get("/auth/me")).status_code == 401

    asyncio.run(story())


def test_tasks_notes_and_folders(data: Path) -> None:
    async def story() -> None:
        async with client_of(data) as client:
            await registered(client)
            top = (await client.post("/folders", json={"name": "Top"})).json()["id"]
            below = (await client.post("/folders", json={"name": "Below", "parent_id": top})).json()["id"]
            assert (await client.post("/folders", json={"name": "Below", "parent_id": top})).status_code == 409
            assert (await client.patch(f"/folders/{top}", json={"parent_id": below})).status_code == 422
            body = {"title": "Write", "folder_id": below, "estimated_minutes": 60, "hourly_rate": "12.50"}
            task = (await client.post("/tasks", json=body)).json()
            child = (await client.post("/tasks", json={"title": "Part", "parent_task_id": task["id"]})).json()
            assert (await client.post("/tasks", json={"title": "", "priority": 9})).status_code == 422
            assert (await client.post("/tasks", json={"title": "x", "project_id": "no such"})).status_code == 404
            loop = await client.patch(f"/tasks/{task['id']}", json={"parent_task_id": child["id"]})
            assert loop.status_code == 422
            done = await client.patch(f"/tasks/{task['id']}", json={"status": "done", "actual_minutes": 30})
            assert done.json()["completed_at"]
            assert done.json()["progress_percent"] == 50
            note = (await client.post("/notes", json={"title": "N", "content": "# é\n\\n", "folder_id": below})).json()
            assert (await client.get(f"/notes/{note['id']}")).json()["content"] == "# é\n\\n"
            tree = (await client.get("/folders")).json()
            assert tree[0]["children"][0]["folder"] == {
                "id": below,
                "name": "Below",
                "parent_id": top,
                "color": None,
                "note_count": 1,
            }
            assert (await client.delete(f"/folders/{below}")).status_code == 200
            assert (await client.get(f"/notes/{note['id']}")).json()["folder_id"] == top
            assert (await client.delete(f"/tasks/{task['id']}")).status_code == 200
            assert (await client.get(f"/tasks/{child['id']}")).json()["parent_task_id"] is None
            assert [row["title"] for row in (await client.get("/tasks")).json()] == ["Part"]
            theirs = values(data, "SELECT id FROM tasks WHERE title = 'Position 0'")[0][0]
            assert (await client.get(f"/tasks/{theirs}")).status_code == 404

    asyncio.run(story())
    assert len(values(data, "PRAGMA foreign_key_check")) == 6, "the planted ones and no other"


def test_attachments(data: Path) -> None:
    async def story() -> None:
        async with client_of(data) as client:
            await registered(client)
            file = {"file": ("../größe ✓.txt", b"content", "text/plain")}
            made = (await client.post("/attachments/upload", files=file)).json()
            assert made["filename"] == "größe ✓.txt"
            assert (data / made["storage_key"]).read_bytes() == b"content"
            got = await client.get(f"/attachments/{made['id']}")
            assert (got.content, got.headers["content-type"]) == (b"content", "text/plain; charset=utf-8")
            assert (await client.post("/attachments/upload", files={"file": ("big", b"x" * 1_001)})).status_code == 413
            assert (await client.delete(f"/attachments/{made['id']}")).status_code == 200
            assert not (data / made["storage_key"]).exists()
            assert (await client.get(f"/attachments/{made['id']}")).status_code == 404

    asyncio.run(story())


def test_maintenance_stops_writes_only(data: Path) -> None:
    async def story() -> None:
        async with client_of(data) as client:
            await registered(client)
            task = (await client.post("/tasks", json={"title": "before"})).json()
            (data / "maintenance.json").write_text('{"retry_after": 90}')
            for method, path in (("POST", "/tasks"), ("PATCH", f"/tasks/{task['id']}"), ("DELETE", "/notes/x")):
                refused = await client.request(method, path, json={"title": "during"})
                assert (refused.status_code, refused.headers["Retry-After"]) == (503, "90")
            assert (await client.get(f"/tasks/{task['id']}")).json()["title"] == "before"
            login = {"email": "joan@example.org", "password": PASSWORD}
            assert (await client.post("/auth/login", json=login)).status_code == 200
            assert (await client.get("/health")).json() == {"maintenance": True, "writes_in_flight": 0}
            (data / "maintenance.json").write_text("not json")
            assert (await client.post("/tasks", json={})).headers["Retry-After"] == "60"
            (data / "maintenance.json").unlink()
            assert (await client.delete(f"/tasks/{task['id']}")).status_code == 200

    asyncio.run(story())


def test_a_write_under_way_is_counted_until_it_ends(tmp_path: Path) -> None:
    async def story() -> None:
        arrived, finish = asyncio.Event(), asyncio.Event()

        async def slow_app(scope: Scope, receive: Receive, send: Send) -> None:
            arrived.set()
            await finish.wait()
            await Response("written")(scope, receive, send)

        switch = MaintenanceSwitch(tmp_path / "maintenance.json")
        app = MaintenanceMiddleware(slow_app, switch)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://joan") as client:
            write = asyncio.create_task(client.post("/tasks"))
            await arrived.wait()
            switch.path.write_text("{}")
            assert (await client.post("/tasks")).status_code == 503
            assert (switch.on, switch.writes_in_flight) == (True, 1)
            finish.set()
            assert (await write).text == "written"
            assert switch.writes_in_flight == 0

    asyncio.run(story())


@pytest.mark.parametrize(
    ("name", "safe"),
    [("../../etc/passwd", "passwd"), ("a\\b\x00c.txt", "b_c.txt"), ("", "file"), (" .. ", "file"), ("ä?.md", "ä_.md")],
)
def test_file_names_are_made_safe(name: str, safe: str) -> None:
    assert storage.safe_name(name) == safe


def test_long_file_names_keep_their_suffix() -> None:
    name = storage.safe_name("ü" * 300 + ".pdf")
    assert name.endswith(".pdf")
    assert len(name.encode()) <= storage.LONGEST_NAME


def test_a_storage_key_never_leaves_the_attachments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside"):
        storage.located(tmp_path, "attachments/../joan.sqlite")
