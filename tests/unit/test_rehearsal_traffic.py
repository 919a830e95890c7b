"""Clients in a process of their own, against Joan's old side: the ledger is what happened, also when she is killed."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest
from helpers.ports import free_port
from helpers.waiting import until

from towpath.errors import CannotFinish, WrongUse
from towpath.rehearsal import observed
from towpath.rehearsal.application import Call, Entity, Kind, application_of
from towpath.rehearsal.clients import Client, Kept, Shared
from towpath.rehearsal.generator import Generator, Order, generating
from towpath.rehearsal.ledger import Deed, Ledger, Told, read_ledger
from towpath.rehearsal.settling import Settled, Wrong, settle
from towpath.rehearsal.sides import OldSide, served

PREFIX = "towpath-abc"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """Joan's data, made once."""
    data = tmp_path_factory.mktemp("made") / "joan"
    command = (sys.executable, "-m", "runbooks.joan.legacy", "generate", "--scale", "small", "--to", str(data))
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    return data


@pytest.fixture
def joan(made: Path, tmp_path: Path, root: Path) -> Iterator[OldSide]:
    """Joan, served."""
    data = shutil.copytree(made, tmp_path / "joan")
    old = OldSide(
        root, "joan", data, f"http://127.0.0.1:{free_port()}", tmp_path / "old.log", {"JOAN_JWT_SECRET": "s" * 32}
    )
    with served(old):
        yield old


@contextmanager
def clients(joan: OldSide, folder: Path, **more: Any) -> Iterator[Generator]:
    order = Order(str(joan.root), "joan", str(joan.data), joan.url, PREFIX, clients=6, rate=60.0, **more)
    with generating(folder, order) as generator:
        yield generator


def writes(generator: Generator, told: Told = Told.ACKNOWLEDGED) -> int:
    return sum(one.told is told for one in read_ledger(generator.ledger))


def settled(joan: OldSide, generator: Generator) -> Settled:
    found = application_of(joan.root, "joan").on_old(joan.data, PREFIX)
    return settle(read_ledger(generator.ledger), found, side="old side")


def test_what_clients_were_told_is_what_is_there(joan: OldSide, tmp_path: Path) -> None:
    with clients(joan, tmp_path / "traffic") as generator:
        until(lambda: writes(generator) > 60, "nobody writes")
        with generator.paused():
            before = generator.ledger.stat().st_size
            assert settled(joan, generator).holds
            assert generator.ledger.stat().st_size == before
        joan.kill()
        until(lambda: writes(generator, Told.REFUSED) > 3, "nobody notices that the old side is gone")
        joan.start()
        until(lambda: writes(generator) > 120, "nobody writes again")
        (joan.data / "maintenance.json").write_text("{}", encoding="utf-8")
        refused = writes(generator, Told.REFUSED)
        until(lambda: writes(generator, Told.REFUSED) > refused + 5, "the switch refuses nothing")
    found = settled(joan, generator)
    assert found.holds, found.lines
    deeds = {(one.deed, one.told) for one in read_ledger(generator.ledger)}
    assert {(deed, Told.ACKNOWLEDGED) for deed in Deed} <= deeds
    kinds = {one.kind for one in read_ledger(generator.ledger) if one.told is Told.ACKNOWLEDGED}
    assert kinds == {"task", "note", "attachment"}
    requests = observed.read_requests(generator.requests)
    assert observed.broken_promises(requests, {}) == ([], 0)
    assert {one.what for one in requests} >= {"sign in", "look", "wander", "create", "change", "remove"}

    # one write deleted, and one doubled, by hand
    with closing(sqlite3.connect(joan.data / "joan.sqlite")) as db:
        gone = db.execute("SELECT title FROM tasks WHERE title GLOB ? LIMIT 1", (f"{PREFIX}*",)).fetchone()[0]
        db.execute("DELETE FROM tasks WHERE title = ?", (gone,))
        twice = db.execute("SELECT title FROM notes WHERE title GLOB ? LIMIT 1", (f"{PREFIX}*",)).fetchone()[0]
        db.execute(
            "INSERT INTO notes (id, user_id, title, content) SELECT 'x', user_id, title, '' FROM notes WHERE title = ?",
            (twice,),
        )
        db.commit()
    faults = {(fault.wrong, fault.marker) for fault in settled(joan, generator).faults}
    assert faults == {(Wrong.MISSING, gone.split()[0]), (Wrong.DOUBLED, twice.split()[0])}


def test_a_client_that_does_not_read_what_it_wrote_says_so(joan: OldSide, tmp_path: Path) -> None:
    with clients(joan, tmp_path / "traffic") as generator:
        until(lambda: writes(generator) > 30, "nobody writes")
        with generator.paused(), closing(sqlite3.connect(joan.data / "joan.sqlite")) as db:
            db.execute("UPDATE tasks SET title = 'somebody else was here' WHERE title GLOB ?", (f"{PREFIX}*",))
            db.commit()
        until(
            lambda: any(one.missed for one in observed.read_requests(generator.requests)),
            "nobody misses what was changed",
        )
    missed = [one for one in observed.read_requests(generator.requests) if one.missed]
    assert missed[0].missed is not None
    assert missed[0].missed["seen"] == "somebody else was here"
    assert observed.broken_promises(missed, {})[0] == missed


def test_it_ends_when_whoever_started_it_dies(joan: OldSide, tmp_path: Path) -> None:
    script = (
        "import sys, json; from pathlib import Path; from towpath.rehearsal.generator import *\n"
        "order = Order(**json.loads(sys.argv[1]))\n"
        "with generating(Path(sys.argv[2]), order) as g: print(g.process.pid, flush=True); sys.stdin.read()"
    )
    order = {"root": str(joan.root), "system": "joan", "data": str(joan.data), "url": joan.url, "prefix": PREFIX}
    starter = subprocess.Popen(
        [sys.executable, "-c", script, json.dumps(order), str(tmp_path / "traffic")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        process = psutil.Process(pid)
        os.kill(starter.pid, signal.SIGKILL)
        psutil.wait_procs([process], timeout=60)
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_generator_that_cannot_begin_says_why(tmp_path: Path, root: Path) -> None:
    order = Order(str(root), "nobody", str(tmp_path), "http://127.0.0.1:9", PREFIX)
    with (
        pytest.raises(
            CannotFinish, match=r"traffic generator ended with 1: .*nobody knows how clients use this system"
        ),
        generating(tmp_path / "traffic", order),
    ):
        raise AssertionError


def test_a_system_that_says_nothing_of_itself_is_not_rehearsed(root: Path) -> None:
    with pytest.raises(WrongUse, match=r"rehearsal\.py: is not there, .* Next: write it, see docs/rehearsal\.md"):
        application_of(root, "nobody")


# -- what an answer tells the client


@pytest.mark.parametrize(
    ("answer", "told", "left"),
    [
        (httpx.Response(201, json={"id": "1"}), Told.ACKNOWLEDGED, 1),
        (httpx.Response(503, headers={"retry-after": "30"}), Told.REFUSED, 0),
        (httpx.Response(404), Told.REFUSED, 0),
        (httpx.Response(503), Told.UNKNOWN, 0),
        (httpx.Response(500), Told.UNKNOWN, 0),
        (httpx.Response(502), Told.UNKNOWN, 0),
        (httpx.ReadTimeout("late"), Told.UNKNOWN, 0),
        (httpx.ReadError("cut"), Told.UNKNOWN, 0),
        (httpx.RemoteProtocolError("gone"), Told.UNKNOWN, 0),
        (httpx.ConnectError("refused"), Told.REFUSED, 0),
        (httpx.ConnectTimeout("nobody there"), Told.REFUSED, 0),
    ],
    ids=str,
)
def test_what_a_client_is_told(tmp_path: Path, root: Path, answer: Any, told: Told, left: int) -> None:
    def transport(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    lines: list[dict[str, Any]] = []
    ledger = Ledger(tmp_path / "ledger.jsonl")
    shared = Shared(application_of(root, "joan"), ledger, lines.append, "http://gateway", PREFIX, itertools.count(1))
    client = Client(shared, 0, 1, 1)
    client.http = httpx.AsyncClient(base_url="http://gateway", transport=httpx.MockTransport(transport))
    client.random = Random(1)
    asyncio.run(client._create())
    assert [one.told for one in read_ledger(tmp_path / "ledger.jsonl")] == [told]
    assert len(client.kept) == left
    assert [line["writes"] for line in lines] == [True]


@pytest.mark.parametrize("kept", [("card",), ("card", "note")], ids="+".join)
def test_clients_remove_nothing_of_a_kind_that_has_no_such_request(tmp_path: Path, kept: tuple[str, ...]) -> None:
    """There may be many: that is when clients rather remove than make."""
    application = SimpleNamespace(
        kinds={
            "card": Kind(1, versions=1),
            "note": Kind(1, versions=1, remove=lambda entity: Call("DELETE", f"/{entity.kind}")),
        },
        create=lambda *_: Call("POST", "/made"),
        created=lambda _: "1",
    )
    shared = Shared(application, Ledger(tmp_path / "ledger.jsonl"), lambda _: None, "http://gateway", PREFIX)  # type: ignore[arg-type]
    client = Client(shared, 0, 1, 1)
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(f"{request.method} {request.url.path}")
        return httpx.Response(201)

    client.http = httpx.AsyncClient(base_url="http://gateway", transport=httpx.MockTransport(answer))

    async def write() -> None:
        for _ in range(60):
            client.kept = [Kept(Entity(kind, "1", f"{PREFIX}-1", 1, 0), "", 0) for kind in kept * 30]
            await client._write()

    asyncio.run(write())
    assert set(sent) == {"POST /made", *(("DELETE /note",) if "note" in kept else ())}
