"""Joan's two sides over the same data: the old application, and the new Worker in Cloudflare's runtime.

Each request goes to both, and the answers are held against each other, as are the rows that they leave.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import httpx
import jwt
import pytest
from helpers.project import HERE, Project, joan
from helpers.serving import served
from runbooks.joan.legacy.app import create_app
from runbooks.joan.legacy.generator.people import PASSWORD
from runbooks.joan.legacy.maintenance import READING_POSTS
from runbooks.joan.legacy.security import new_token
from runbooks.joan.legacy.settings import Settings

from towpath.cloudflare import D1
from towpath.local import State, gateway_folder, read_gateway, start, worker_folder
from towpath.local.runtime import tools
from towpath.plan.params import load_params
from towpath.tables import fence

BEFORE = ("00-ready", "01-inventory", "02-schema", "03-export", "04-import")
# What a client may depend on; etag and last-modified are each side's own.
TOLD = (
    *("content-type", "content-length", "content-disposition", "content-range", "accept-ranges"),
    *("allow", "location", "retry-after", "www-authenticate"),
)
# What mapping.yaml decides about Joan's orphans; the old side goes on with them.
DECIDED = (
    "UPDATE tasks SET project_id = NULL WHERE project_id NOT IN (SELECT id FROM projects)",
    "UPDATE notes SET folder_id = NULL WHERE folder_id NOT IN (SELECT id FROM folders)",
    "DELETE FROM daily_schedule_tasks WHERE task_id NOT IN (SELECT id FROM tasks)",
)
TABLES = (
    *("users", "user_settings", "folders", "tasks", "notes", "attachments", "task_activities", "pomodoro_sessions"),
    *("ai_workflow_executions", "task_resources", "task_goal_links", "daily_schedule_tasks"),
)
ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{6})?")
STORED_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
BROKEN = """
import joan from 'JOAN';
const ATTACHMENTS = { put() { throw new Error('the bucket takes nothing'); } };
export default { fetch: (request, environment) => joan.fetch(request, { ...environment, ATTACHMENTS }) };
"""
PASSPHRASE = "p" + "ü" * 40  # bcrypt reads 72 bytes: half of a letter is cut off
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass
class Sides:
    """Both sides, each with a client of its own, and what is new since they were equal."""

    project: Project
    settings: Settings
    old: httpx.Client
    new: httpx.Client
    begun: str  # nothing in the data is as young as this
    known: frozenset[str]  # every id that was in the data
    names: dict[str, str] = field(default_factory=dict)  # id of either side -> the name that both are called by

    def ask(self, method: str, path: str, **other: Any) -> tuple[httpx.Response, httpx.Response]:
        """The same request to both; each side's own ids where a name stands in braces."""
        return (
            self.old.request(method, **self._with_ids("old", path, other)),
            self.new.request(method, **self._with_ids("new", path, other)),
        )

    def same(self, method: str, path: str, called: str = "", **other: Any) -> httpx.Response:
        """Ask both and demand the same status, headers and body; `called` names what is made.  The new answer."""
        old, new = self.ask(method, path, **other)
        if called:
            assert (old.status_code, new.status_code) == (201, 201), (old.text, new.text)
            for side, answer in (("old", old), ("new", new)):
                self.names[answer.json()["id"]] = called
                self.ids[side, called] = answer.json()["id"]
        assert self.told(new) == self.told(old), (method, path)
        return new

    ids: dict[tuple[str, str], str] = field(default_factory=dict)

    def told(self, answer: httpx.Response) -> tuple[int, dict[str, str], str]:
        """What a client is told, without ids and times that are new."""
        headers = {name: self.plain(answer.headers[name]) for name in TOLD if name in answer.headers}
        headers["location"] = httpx.URL(headers.get("location", "")).path
        if not headers.get("content-type", "").startswith("application/json"):
            return answer.status_code, headers, answer.content.hex()
        headers.pop("content-length", None)
        return answer.status_code, headers, self.plain(answer.text)

    def plain(self, text: str) -> str:
        """A text with names for new ids and none for new times."""
        text = ID.sub(lambda found: found[0] if bare(found[0]) in self.known else self._named(found[0]), text)
        text = re.sub(r"attachments/[0-9a-f]{2}/<", "attachments/<", text)  # the first digits of the id
        return TIME.sub(lambda found: found[0] if found[0].replace("T", " ") < self.begun else "<time>", text)

    def rows(self, side: str, table: str) -> list[list[str]]:
        """Every row of a table by type and value, without ids and times that are new."""
        order = "1, 2" if table == "task_goal_links" else "1"
        names = [row[0] for row in self.project.source(f"SELECT name FROM pragma_table_xinfo('{table}')")]
        cells = ", ".join(f"typeof(\"{name}\") || ' ' || coalesce(hex(\"{name}\"), '')" for name in names)
        sql = f'SELECT {cells} FROM "{table}" ORDER BY {order}'
        found = self.project.source(sql) if side == "old" else self.project.target(sql)
        return sorted([self._cell(str(cell), name) for cell, name in zip(row, names, strict=True)] for row in found)

    def _cell(self, cell: str, column: str) -> str:
        kind, value = cell.split(" ", 1)
        text = bytes.fromhex(value).decode("utf-8", errors="replace")
        if kind == "text" and TIME.match(text) and text >= self.begun:
            assert STORED_TIME.fullmatch(text), (column, text)
        if column == "hashed_password" and text.startswith("$2b$10$"):
            return f"{column} <a new hash of {len(text)}>"
        return f"{column} {kind} {self.plain(text)}"

    def _named(self, id: str) -> str:
        found = next((name for known, name in self.names.items() if bare(known) == bare(id)), "new")
        return f"<{found}, {len(id)} characters>"

    def _with_ids(self, side: str, path: str, other: dict[str, Any]) -> dict[str, Any]:
        def filled(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: filled(one) for key, one in value.items()}
            found = re.fullmatch(r"\{(\w+)\}", value) if isinstance(value, str) else None
            return self.ids[side, found[1]] if found else value

        url = re.sub(r"\{(\w+)\}", lambda found: self.ids[side, found[1]], path)
        bodies = {key: filled(value) for key, value in other.items() if key in ("json", "data")}
        return {**other, **bodies, "url": url}

    def token(self, row: Any) -> dict[str, str]:
        """A header with a token that the old side would give to this user."""
        return {"Authorization": f"Bearer {new_token(self.settings, SimpleNamespace(id=dashed(row[0]), email=row[1]))}"}


def bare(id: str) -> str:
    return id.replace("-", "")


def dashed(id: str) -> str:
    return f"{id[:8]}-{id[8:12]}-{id[12:16]}-{id[16:20]}-{id[20:]}"


@contextmanager
def old_side(settings: Settings) -> Iterator[httpx.Client]:
    """The old application, and a client of it."""
    with served(create_app(settings)) as url, client_of(url) as client:
        yield client


def client_of(url: str) -> httpx.Client:
    # the local runtime packs what it may, and then tells no length
    return httpx.Client(base_url=url, timeout=60, trust_env=False, headers={"Accept-Encoding": "identity"})


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Sides]:
    with joan(tmp_path_factory.mktemp("worker") / "joan", worker=worker_folder(root, "joan")) as project:
        ran = project.phases(*BEFORE)
        assert ran.code == 0, ran.text
        for statement in DECIDED:
            project.source(statement)
        known = frozenset(
            bare(found)
            for table in project.source("SELECT name FROM sqlite_schema WHERE type = 'table'")
            for row in project.source(f'SELECT * FROM "{table[0]}"')
            for found in ID.findall(repr(row))
        )
        secret = project.runtime.state.worker_secret("JWT_SECRET").reveal()
        settings = Settings(project.data, project.switch, secret)
        begun = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
        with old_side(settings) as old, client_of(project.runtime.url) as new:
            yield Sides(project, settings, old, new, begun, known)


@pytest.fixture
def mina(sides: Sides) -> Iterator[Sides]:
    """Both sides as one of Joan's users sees them."""
    row = sides.project.source("SELECT id, email FROM users WHERE username = 'Joan'")[0]
    sides.old.headers.update(sides.token(row))
    sides.new.headers.update(sides.token(row))
    yield sides
    for client in (sides.old, sides.new):
        del client.headers["Authorization"]


# -- reading


def test_everybody_reads_the_same(sides: Sides) -> None:
    users = sides.project.source("SELECT id, email, is_active FROM users ORDER BY id")
    assert len(users) == 18
    asked = 0
    for user in users:
        paths = ["/auth/me", "/folders", "/tasks?limit=200", "/tasks", "/notes?limit=200", "/notes?limit=7&offset=3"]
        paths += [f"/tasks?status={status}" for status in ("pending", "in_progress", "blocked", "done")]
        for kind in ("task", "note", "attachment", "folder"):
            owned = sides.project.source(f"SELECT id FROM {kind}s WHERE user_id = '{user[0]}'")
            pattern = {"folder": "/tasks?folder_id={}"}.get(kind, f"/{kind}s/{{}}")
            paths += [pattern.format(dashed(row[0])) for row in owned]
        for path in paths:
            answer = sides.same("GET", path, headers=sides.token(user))
            assert user[2] or answer.status_code == 401
        asked += len(paths)
    assert asked > 700


def test_a_missing_file_is_404_on_both(mina: Sides) -> None:
    rows = mina.project.source("SELECT id, storage_key FROM attachments")
    lost = [row[0] for row in rows if not (mina.project.data / row[1]).is_file()]
    assert len(lost) == 1
    assert mina.same("GET", f"/attachments/{dashed(lost[0])}").json() == {"detail": "The file is missing"}


@pytest.mark.parametrize(
    "asked",
    [
        *("bytes=0-9", "bytes=5-", "bytes=-7", "bytes=0-0", "bytes=2-99999999", "bytes=0-3,2-8", "bytes = 1-2"),
        *("bytes=99999999-", "bytes=9-3", "bytes=x-y", "lines=1-2", "bytes", "bytes=", "bytes=-0", "bytes=-99999999"),
    ],
)
def test_a_part_of_a_file(mina: Sides, asked: str) -> None:
    sql = "SELECT id FROM attachments WHERE size > 1000 AND mime_type LIKE 'text/%' ORDER BY id"
    owner = mina.project.source(f"{sql.replace('SELECT id', 'SELECT id, user_id')} LIMIT 1")[0]
    user = mina.project.source(f"SELECT id, email FROM users WHERE id = '{owner[1]}'")[0]
    mina.same("GET", f"/attachments/{dashed(owner[0])}", headers={"Range": asked, **mina.token(user)})


def test_a_part_of_a_file_that_has_changed_is_the_whole_file(mina: Sides) -> None:
    one = mina.project.source("SELECT a.id, u.id, u.email FROM attachments a JOIN users u ON u.id = a.user_id LIMIT 1")
    headers = {"Range": "bytes=0-3", "If-Range": '"another"', **mina.token(one[0][1:])}
    assert mina.same("GET", f"/attachments/{dashed(one[0][0])}", headers=headers).status_code == 200


# -- who may


@pytest.mark.parametrize(
    "header",
    [
        *("", "Bearer", "Basic abc", "Bearer a.b", "Bearer a.b.c", "Bearer e30.e30.e30", "bearer  x"),
        *("Bearer {other secret}", "Bearer {expired}", "Bearer {no end}", "Bearer {nobody}", "Bearer {none}"),
        *(
            "Bearer {other algorithm}",
            "Bearer {not yet}",
            "Bearer {for others}",
            "Bearer {no id}",
            "bearer {good}",
            "Bearer {good}x",
        ),
    ],
)
def test_only_a_good_token_is_taken(sides: Sides, header: str) -> None:
    row = sides.project.source("SELECT id, email FROM users WHERE username = 'Joan'")[0]
    hour, secret = dt.timedelta(hours=1), sides.settings.jwt_secret
    now = dt.datetime.now(dt.UTC)
    good: dict[str, Any] = {"sub": row[1], "user_id": dashed(row[0]), "exp": now + hour}
    made = {
        "good": jwt.encode(good, secret, "HS256"),
        "other secret": jwt.encode(good, "another secret, long enough for HS256", "HS256"),
        "expired": jwt.encode({**good, "exp": now - hour}, secret, "HS256"),
        "no end": jwt.encode({k: v for k, v in good.items() if k != "exp"}, secret, "HS256"),
        "nobody": jwt.encode({**good, "user_id": NOBODY}, secret, "HS256"),
        "none": jwt.encode(good, None, "none"),
        "not yet": jwt.encode({**good, "nbf": now + hour}, secret, "HS256"),
        "for others": jwt.encode({**good, "aud": "others"}, secret, "HS256"),
        "no id": jwt.encode({k: v for k, v in good.items() if k != "user_id"}, secret, "HS256"),
    }
    told = base64.urlsafe_b64encode(b'{"alg":"HS384","typ":"JWT"}').decode() + "." + made["good"].split(".")[1]
    signature = hmac.digest(secret.encode(), told.encode(), "sha256")
    made["other algorithm"] = f"{told}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    header = re.sub(r"\{(.+)\}", lambda found: made[found[1]], header)
    answer = sides.same("GET", "/auth/me", headers={"Authorization": header})
    assert answer.status_code == (200 if header == f"bearer {made['good']}" else 401)


def test_a_token_of_one_side_is_taken_by_the_other(sides: Sides) -> None:
    body = {"email": "JOAN@example.org", "password": PASSWORD}
    for giver, taker in ((sides.old, sides.new), (sides.new, sides.old)):
        answer = giver.post("/auth/login", json=body)
        assert answer.json()["token_type"] == "bearer"
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert taker.get("/auth/me", headers=headers).json()["username"] == "Joan"
        claims = jwt.decode(answer.json()["access_token"], sides.settings.jwt_secret, ["HS256"])
        assert sorted(claims) == ["exp", "sub", "user_id"]
        assert abs(claims["exp"] - dt.datetime.now(dt.UTC).timestamp() - 7 * 86_400) < 60
    for wrong in ({**body, "password": "wrong"}, {**body, "email": "nobody@example.org"}, {**body, "more": 1}, {}):
        sides.same("POST", "/auth/login", json=wrong)


REFUSED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", "/", {}),
    ("GET", "/nowhere", {}),
    ("GET", "/tasks/", {}),
    ("POST", "/tasks/?a=b", {}),
    ("GET", "/health/", {}),
    ("PUT", "/tasks", {}),
    ("HEAD", "/tasks", {}),
    ("OPTIONS", "/tasks", {}),
    ("POST", f"/attachments/{NOBODY}", {}),
    ("GET", "/attachments/upload", {}),
    ("POST", "/health", {}),
    ("GET", "/tasks/not-an-id", {}),
    ("GET", f"/tasks/{NOBODY}", {}),
    ("GET", f"/tasks/{bare(NOBODY)}", {}),
    ("GET", f"/notes/{{{NOBODY}}}".replace("{", "%7B").replace("}", "%7D"), {}),
    ("GET", f"/attachments/urn:uuid:{NOBODY.upper()}", {}),
    ("PATCH", f"/folders/{NOBODY}", {"json": {}}),
    ("DELETE", f"/notes/{NOBODY}", {}),
    ("GET", "/tasks?limit=0", {}),
    ("GET", "/tasks?limit=201&offset=-1&status=late&folder_id=x", {}),
    ("GET", "/tasks?limit=ten&status=", {}),
    ("GET", "/tasks?limit=1&limit=2", {}),
    ("GET", "/notes?offset=1.5", {}),
    ("POST", "/tasks", {"content": b"{"}),
    ("POST", "/tasks", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
    ("POST", "/tasks", {"content": b"\xff", "headers": {"Content-Type": "application/json"}}),
    ("POST", "/tasks", {"content": b'{"title": "x"}', "headers": {"Content-Type": "text/plain"}}),
    ("POST", "/tasks", {"content": b"", "headers": {"Content-Type": "application/json"}}),
    ("POST", "/tasks", {"json": None, "headers": {"Content-Type": "application/json"}}),
    ("POST", "/tasks", {"json": []}),
    ("POST", "/tasks", {"json": {}}),
    ("POST", "/tasks", {"json": {"title": "", "priority": 9, "more": True, "status": "late"}}),
    ("POST", "/tasks", {"json": {"title": "x" * 501, "priority": -1, "due_date": "2026-02-30"}}),
    ("POST", "/tasks", {"json": {"title": 5, "priority": "x", "due_date": "soon", "folder_id": 7}}),
    ("POST", "/tasks", {"json": {"title": None, "priority": 1.5, "description": [], "estimated_minutes": None}}),
    ("POST", "/tasks", {"json": {"title": "x", "priority": None, "status": None}}),
    ("POST", "/tasks", {"json": {"title": "x", "hourly_rate": "12.345"}}),
    ("POST", "/tasks", {"json": {"title": "x", "hourly_rate": 123456789}}),
    ("POST", "/tasks", {"json": {"title": "x", "hourly_rate": 12345678901}}),
    ("POST", "/tasks", {"json": {"title": "x", "hourly_rate": True}}),
    ("POST", "/tasks", {"json": {"title": "x", "hourly_rate": "much"}}),
    ("POST", "/tasks", {"json": {"title": "x", "folder_id": NOBODY}}),
    ("POST", "/tasks", {"json": {"title": "x", "parent_task_id": NOBODY}}),
    ("POST", "/tasks", {"json": {"title": "x", "project_id": "no such"}}),
    ("POST", "/notes", {"json": {"title": "x", "tags": "x"}}),
    ("POST", "/notes", {"json": {"title": "x", "tags": ["x", 5, None]}}),
    ("POST", "/folders", {"json": {"name": "x" * 201}}),
    ("POST", "/folders", {"json": {"name": "x", "parent_id": NOBODY}}),
    ("POST", "/auth/register", {"json": {"email": "no address", "username": "a b", "password": "short"}}),
    ("POST", "/auth/register", {"json": {"email": "joan@EXAMPLE.org", "username": "o", "password": "x" * 201}}),
    ("POST", "/auth/register", {"json": {"email": "joan@EXAMPLE.org", "username": "fresh", "password": "0123456789"}}),
    ("POST", "/auth/register", {"json": {"email": "f@example.org", "username": "jOAN", "password": "0123456789"}}),
    ("POST", "/attachments/upload", {}),
    ("POST", "/attachments/upload", {"data": {"file": "text", "task_id": "x"}}),
    ("POST", "/attachments/upload", {"files": {"file": ("a", b"a")}, "data": {"task_id": "x", "note_id": NOBODY}}),
    ("POST", "/attachments/upload", {"files": {"file": ("a", b"a")}, "data": {"note_id": NOBODY}}),
)


@pytest.mark.parametrize(("method", "path", "other"), REFUSED, ids=[f"{m} {p} {o}"[:90] for m, p, o in REFUSED])
def test_what_is_refused_is_refused_alike(mina: Sides, method: str, path: str, other: dict[str, Any]) -> None:
    """Types and places of faults are equal; the words are each side's own where a parser speaks."""
    old, new = mina.ask(method, path, **other)
    assert outline(mina, new) == outline(mina, old)


def outline(sides: Sides, answer: httpx.Response) -> tuple[Any, ...]:
    status, headers, body = sides.told(answer)
    if status != 422 or isinstance(answer.json()["detail"], str):
        return status, headers, body
    faults = [(fault["type"], fault["loc"]) for fault in answer.json()["detail"]]
    # where the parser stopped is the parser's own
    return status, headers, [(kind, at[:1] if kind == "json_invalid" else at) for kind, at in faults]


def test_nobody_without_a_token_learns_what_is_wrong_with_a_request(sides: Sides) -> None:
    for method, path in (("GET", "/tasks?limit=0"), ("PATCH", "/notes/x"), ("DELETE", "/folders/x")):
        assert sides.same(method, path, json={"title": 5}).status_code == 401


# -- writing


def test_what_is_written_is_the_same_row_on_both_sides(sides: Sides) -> None:
    """A story of one user through every writing route; then every table is held against the other side's."""
    account = {"email": "Mina@Example.net", "username": "Mina", "password": PASSPHRASE, "name": "Ü"}
    sides.same("POST", "/auth/register", "mina", json=account)
    for client in (sides.old, sides.new):
        answer = client.post("/auth/login", json={"email": "MINA@example.NET", "password": account["password"]})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    try:
        _story(sides)
        for table in TABLES:
            assert sides.rows("new", table) == sides.rows("old", table), table
        for path in ("/auth/me", "/tasks", "/notes", "/folders"):
            sides.same("GET", path)
        _the_old_side_goes_on_with_what_the_new_one_wrote(sides)
    finally:
        for client in (sides.old, sides.new):
            del client.headers["Authorization"]


def _story(sides: Sides) -> None:
    same = sides.same
    same("POST", "/folders", "top", json={"name": "Top", "color": "#ff0000"})
    same("POST", "/folders", "below", json={"name": "Bélow", "parent_id": "{top}"})
    same("POST", "/folders", "twin", json={"name": "Twin"})
    same("POST", "/folders", "twin_below", json={"name": "Twin", "parent_id": "{top}"})
    same("POST", "/folders", json={"name": "Twin", "parent_id": "{top}"})  # taken
    same("PATCH", "/folders/{top}", json={"parent_id": "{below}"})  # a circle
    same("PATCH", "/folders/{top}", json={"name": None})
    same("PATCH", "/folders/{below}", json={})
    same("PATCH", "/folders/{below}", json={"name": "Below"})
    body = {"title": "Wríte", "description": "é\n\u2028", "due_date": "2026-12-24", "folder_id": "{below}"}
    body |= {"estimated_minutes": 60, "hourly_rate": "12.50", "priority": "3"}
    same("POST", "/tasks", "write", json=body)
    same("POST", "/tasks", "part", json={"title": "Part", "parent_task_id": "{write}", "hourly_rate": 12.0})
    same("POST", "/tasks", "done", json={"title": "Done", "status": "done", "priority": True, "hourly_rate": 0.1})
    same("POST", "/tasks", "loose", json={"title": "x" * 500, "due_date": "2026-01-01T00:00:00", "description": ""})
    same("PATCH", "/tasks/{write}", json={"parent_task_id": "{part}"})  # a circle
    same("PATCH", "/tasks/{write}", json={"status": "done", "actual_minutes": 30})
    same("PATCH", "/tasks/{done}", json={"status": "pending"})
    same("PATCH", "/tasks/{loose}", json={"priority": None})
    same("PATCH", "/tasks/{loose}", json={"title": "x" * 500})
    same("PATCH", "/tasks/{part}", json={"folder_id": "{twin}", "title": "Part 2"})
    same("POST", "/notes", "note", json={"title": "N", "content": "# é\n\\n", "folder_id": "{below}"})
    same("POST", "/notes", "tagged", json={"title": "T", "tags": ["ü", 'quote"d', "\u007f\u2028😀", "a/b\t"]})
    same("POST", "/notes", "bare", json={"title": "B", "tags": []})
    same("PATCH", "/notes/{note}", json={"folder_id": "{twin}", "is_pinned": True})
    same("PATCH", "/notes/{tagged}", json={"tags": None, "content": "now"})
    same("PATCH", "/notes/{bare}", json={"tags": [], "is_pinned": "no"})
    same("PATCH", "/notes/{bare}", json={"content": None})
    files = {"file": ("../größe ✓.txt", b"content", "text/plain")}
    same("POST", "/attachments/upload", "file", files=files, data={"task_id": "{write}", "note_id": "{note}"})
    same(
        "POST", "/attachments/upload", "empty", files={"file": ("a.PDF", b"", "application/pdf")}, data={"task_id": ""}
    )
    same("POST", "/attachments/upload", "gone", files={"file": ("ü" * 300 + ".png", bytes(1000), "image/png")})
    for name in ("file", "empty", "gone"):
        same("GET", f"/attachments/{{{name}}}")
    same("DELETE", "/attachments/{gone}")
    same("GET", "/attachments/{gone}")
    same("DELETE", "/folders/{top}")  # Twin moves up beside Twin
    same("DELETE", "/tasks/{write}")
    same("DELETE", "/notes/{note}")
    same("GET", "/attachments/{file}")


def _the_old_side_goes_on_with_what_the_new_one_wrote(sides: Sides) -> None:
    """The way back in small: the new side's rows in a copy of Joan's file, her old application over it."""
    data = sides.project.data.with_name("joan-back")
    shutil.copytree(sides.project.data, data)
    with closing(apsw.Connection(str(data / "joan.sqlite"))) as db:
        for (trigger,) in list(db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")):
            db.execute(f'DROP TRIGGER "{trigger}"')
        for table in ("users", "user_settings", "folders", "tasks", "notes", "attachments"):
            info = db.execute(f"SELECT name FROM pragma_table_xinfo('{table}') WHERE hidden = 0").fetchall()
            names = ", ".join(f'"{row[0]}"' for row in info)
            tuples = " || ', ' || ".join(f'quote("{row[0]}")' for row in info)
            rows = sides.project.target(f'SELECT {tuples} FROM "{table}"')
            db.execute(f'DELETE FROM "{table}"')
            for (values,) in rows:
                db.execute(f'INSERT INTO "{table}" ({names}) VALUES ({values})')
    headers = {"Authorization": sides.new.headers["Authorization"]}
    with old_side(Settings(data, data / "maintenance.json", sides.settings.jwt_secret)) as back:
        for path in ("/auth/me", "/tasks", "/notes", "/folders"):
            assert back.get(path, headers=headers).json() == sides.new.get(path).json(), path
        for name in ("part", "done", "loose"):
            path = f"/tasks/{sides.ids['new', name]}"
            assert back.get(path, headers=headers).json() == sides.new.get(path).json()
        login = {"email": "mina@example.net", "password": PASSPHRASE}
        assert back.post("/auth/login", json=login).status_code == 200
        change = back.patch(f"/tasks/{sides.ids['new', 'part']}", headers=headers, json={"status": "done"})
        assert change.status_code == 200
        assert back.delete(f"/notes/{sides.ids['new', 'tagged']}", headers=headers).status_code == 200


# -- the fence, and what fails


def test_a_row_that_names_what_has_just_gone_is_404(mina: Sides) -> None:
    """The old side would keep an orphan; D1 refuses it."""
    folder = mina.new.post("/folders", json={"name": "gone in a moment"}).json()["id"]
    goes = "DELETE FROM folders WHERE id = NEW.folder_id"
    with mina.project.d1() as d1:
        d1.batch([f"CREATE TRIGGER meanwhile BEFORE INSERT ON notes BEGIN {goes}; END"])
        answer = mina.new.post("/notes", json={"title": "late", "folder_id": folder})
        d1.batch(["DROP TRIGGER meanwhile"])
    assert (answer.status_code, answer.json()) == (404, {"detail": "What the request names was not found"})
    assert mina.new.delete(f"/folders/{folder}").status_code == 200, "the whole batch was undone"


def test_while_the_fence_is_shut_reading_and_logging_in_work_and_nothing_is_written(mina: Sides) -> None:
    tasks = mina.project.source("SELECT t.id FROM tasks t JOIN users u ON u.id = t.user_id AND username = 'Joan'")
    task = dashed(tasks[0][0])
    assert mina.new.get("/health").json() == {"maintenance": False, "writes_in_flight": 0}
    with mina.project.d1() as d1:
        fence.install(d1)
        before, objects = mina.project.fingerprint()
        try:
            writes: tuple[tuple[str, str, dict[str, Any]], ...] = (
                ("POST", "/tasks", {"json": {"title": "x"}}),
                ("PATCH", f"/tasks/{task}", {"json": {"title": "x"}}),
                ("DELETE", f"/tasks/{task}", {}),
                ("POST", "/folders", {"json": {"name": "x"}}),
                ("POST", "/auth/register", {"json": {"email": "s@x", "username": "shut", "password": "0123456789"}}),
                ("POST", "/attachments/upload", {"files": {"file": ("a", b"a", "text/plain")}}),
            )
            for method, path, other in writes:
                answer = mina.new.request(method, path, **other)
                assert (answer.status_code, answer.headers.get("retry-after")) == (503, "10"), path
                assert "maintenance" in answer.json()["detail"]
            assert mina.new.get(f"/tasks/{task}").status_code == 200
            login = {"email": "joan@example.org", "password": PASSWORD}
            assert mina.new.post("/auth/login", json=login).status_code == 200
            assert mina.new.get("/health").json() == {"maintenance": True, "writes_in_flight": 0}
            assert mina.project.fingerprint() == (before, objects)
        finally:
            fence.open(d1)
            fence.remove(d1)
    assert mina.new.patch(f"/tasks/{task}", json={"title": "open again"}).status_code == 200


def test_a_row_goes_again_when_its_file_cannot_be_kept(mina: Sides, tmp_path: Path) -> None:
    """The Worker over a bucket that takes nothing."""
    folder = tmp_path / "worker"
    folder.mkdir()
    shutil.copy(HERE / "runbooks/joan/worker/wrangler.jsonc", folder)
    (folder / "src").mkdir()
    (folder / "src" / "index.ts").write_text(BROKEN.replace("JOAN", str(HERE / "runbooks/joan/worker/src/index")))
    state = State(tmp_path / "state")
    state.folder.mkdir()
    state.secrets.mkdir()
    (state.secrets / "JWT_SECRET").write_text(mina.settings.jwt_secret)
    names = {"bucket": "none", "database_id": "broken", "worker": folder}
    with (
        start("joan", "local", 0, root=HERE, state=state, deadline=120.0, **names) as runtime,
        runtime.client() as client,
    ):
        d1 = D1(client, "broken")
        user = mina.project.source("SELECT id, email FROM users WHERE username = 'Joan'")[0]
        for table in ("users", "attachments", "tasks", "notes"):
            d1.batch([mina.project.source(f"SELECT sql FROM sqlite_schema WHERE name = '{table}'")[0][0]])
        row = f"'{user[0]}', '{user[1]}', 'J', ''"
        d1.batch([f"INSERT INTO users (id, email, username, hashed_password) VALUES ({row})"])
        d1.batch(["CREATE TABLE kept (id)"])
        d1.batch(["CREATE TRIGGER keeps AFTER INSERT ON attachments BEGIN INSERT INTO kept VALUES (NEW.id); END"])
        with client_of(runtime.url) as http:
            sent: dict[str, Any] = {"files": {"file": ("a.txt", b"a", "text/plain")}, "headers": mina.token(user)}
            assert http.post("/attachments/upload", **sent).status_code == 500
        assert d1.query("SELECT count(*) FROM kept").rows == [[1]], "the row comes first: D1 may refuse it"
        assert d1.query("SELECT count(*) FROM attachments").rows == [[0]]


# -- the code


def test_it_type_checks(root: Path) -> None:
    node, _ = tools(root)
    project = root / "runbooks/joan/worker/tsconfig.json"
    command = [node, root / "node_modules/typescript/bin/tsc", "--noEmit", "-p", project]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_gateway_knows_every_route_and_what_only_reads(root: Path, tmp_path: Path) -> None:
    folder = gateway_folder(root, "joan")
    assert folder is not None
    gateway, params = read_gateway(folder), load_params(root / "params" / "joan" / "rehearsal.yaml")
    paths = create_app(Settings.of(tmp_path)).openapi()["paths"]
    routes = gateway.variables["ROUTES"]
    assert sorted(routes) == sorted(re.sub(r"\{\w+\}", ":id", path) for path in paths)
    assert routes.index("/attachments/upload") < routes.index("/attachments/:id"), "the first that fits counts"
    assert gateway.variables["READS"] == [f"POST {path}" for path in READING_POSTS]
    assert (gateway.variables["ORIGIN"], f":{gateway.port}") == (params.source_url, params.gateway_url[-5:])


def test_its_row_types_are_those_of_the_schema(sides: Sides, root: Path) -> None:
    made = (sides.project.folder / "schema" / "rows.d.ts").read_text(encoding="utf-8")
    assert (root / "runbooks/joan/worker/src/rows.d.ts").read_text(encoding="utf-8") == made
