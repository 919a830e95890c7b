"""How clients use Joan in a rehearsal: they sign in, write tasks and notes, now and then attach a file to a task."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from random import Random

import httpx

from runbooks.joan.legacy.generator.people import PASSWORD
from towpath.cloudflare.d1 import D1
from towpath.rehearsal.application import Call, Entity, Kind
from towpath.rehearsal.settling import Found

# Where each kind's text stands.  A text is unique to a rehearsal, so that it can be found by its beginning.
COLUMNS = {"task": ("tasks", "title"), "note": ("notes", "title"), "attachment": ("attachments", "filename")}
FILE_BYTES = 4_000
RECORDED = 4  # users, the first by name, who are named in mapping.yaml, or whose rows are


def remove(entity: Entity) -> Call:
    """A task or a note goes."""
    return Call("DELETE", f"/{entity.kind}s/{entity.id}")


class Joan:
    """See towpath.rehearsal.application."""

    # A file that goes between 03-export and 04-import stops the import (OB303), so these clients remove none.
    kinds: Mapping[str, Kind] = {
        "task": Kind(6, remove=remove),
        "note": Kind(3, remove=remove),
        "attachment": Kind(1, versions=1),
    }

    def environment(self, secrets: Path) -> dict[str, str]:
        """One secret signs the tokens of both sides, so that nobody has to sign in again."""
        return {"JOAN_JWT_SECRET": (secrets / "JWT_SECRET").read_text(encoding="utf-8").strip()}

    def __init__(self) -> None:
        self.addresses: list[str] = []

    def prepare(self, data: Path) -> None:
        """The users who may sign in.

        Those that the recorded requests use are left alone: what clients write before the cutover is on the old side
        alone, and 05-validate would find it.
        """
        asked = "SELECT email FROM users WHERE is_active ORDER BY username COLLATE NOCASE LIMIT -1 OFFSET ?"
        with closing(sqlite3.connect(f"file:{data / 'joan.sqlite'}?mode=ro", uri=True)) as db:
            self.addresses = [email for (email,) in db.execute(asked, (RECORDED,))]

    def sign_in(self, number: int) -> Call:
        """Generated users have one password."""
        email = self.addresses[number % len(self.addresses)]
        return Call("POST", "/auth/login", json={"email": email, "password": PASSWORD})

    def signed_in(self, answer: httpx.Response) -> dict[str, str] | None:
        """A bearer's token."""
        return {"Authorization": f"Bearer {answer.json()['access_token']}"} if answer.status_code == 200 else None

    def create(self, kind: str, text: str, _client: int, entities: list[Entity], random: Random) -> Call:
        """A task, a note, or a file, of a task where the client has one."""
        if kind == "task":
            return Call("POST", "/tasks", json={"title": text, "priority": random.randrange(6)})
        if kind == "note":
            return Call("POST", "/notes", json={"title": text, "content": f"# {text}\n", "tags": ["rehearsal"]})
        tasks = [entity.id for entity in entities if entity.kind == "task"]
        data = {"task_id": random.choice(tasks)} if tasks else {}
        content = (text.encode() + b"\n") * (FILE_BYTES // (len(text) + 1))
        return Call("POST", "/attachments/upload", files={"file": (text, content, "text/plain")}, data=data)

    def created(self, answer: httpx.Response) -> str:
        """The id that Joan gave."""
        return str(answer.json()["id"])

    def change(self, entity: Entity, text: str) -> Call:
        """Another title."""
        return Call("PATCH", f"/{entity.kind}s/{entity.id}", json={"title": text})

    def look(self, entity: Entity) -> Call:
        """The entity itself."""
        return Call("GET", f"/{entity.kind}s/{entity.id}")

    def seen(self, entity: Entity, answer: httpx.Response) -> str | None:
        """Its title, or the first line of its file."""
        if answer.status_code != 200:
            return None
        return answer.text.partition("\n")[0] if entity.kind == "attachment" else str(answer.json()["title"])

    def wander(self, random: Random) -> Call:
        """One of the lists."""
        return Call("GET", random.choice(("/tasks?limit=20", "/tasks?status=pending&limit=20", "/notes", "/folders")))

    def on_old(self, data: Path, prefix: str) -> Iterable[Found]:
        """Rows of Joan's file."""
        with closing(sqlite3.connect(f"file:{data / 'joan.sqlite'}?mode=ro", uri=True)) as db:
            for kind, (table, column) in COLUMNS.items():
                asked = f'SELECT "{column}" FROM "{table}" WHERE "{column}" GLOB ?'
                yield from (Found(kind, text) for (text,) in db.execute(asked, (f"{prefix}*",)))

    def on_new(self, d1: D1, prefix: str) -> Iterable[Found]:
        """Rows of D1."""
        for kind, (table, column) in COLUMNS.items():
            asked = f'SELECT "{column}" FROM "{table}" WHERE "{column}" GLOB ?'
            yield from (Found(kind, str(row[0])) for row in d1.query(asked, f"{prefix}*").rows)


application = Joan()
