"""Personality Spark's legacy side: what the generator plants, that it repeats itself, and work during a migration."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from helpers.ports import free_port
from helpers.spark import FREE, NAME, SMALL
from helpers.waiting import until

from towpath.local import processes

generator, planted = import_module(f"{NAME}.generator"), import_module(f"{NAME}.planted")
places, working, draining = (import_module(f"{NAME}.{name}") for name in ("settings", "live", "drain"))
tasks, maintenance = import_module(f"{NAME}.tasks"), import_module(f"{NAME}.maintenance")
LONG = 240.0  # seconds that a server and a worker may take to begin beside other tests
PLANTED_ROWS = (
    "SELECT r::text, u::text FROM quiz_results r JOIN users u ON u.id = r.user_id "
    f"WHERE u.email LIKE '%@{planted.PLANTED_DOMAIN}' ORDER BY r.id"
)
QUERIES = [plant for plant in planted.PLANTED + planted.ODDITIES if plant.query]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder whose servers run for all tests of this module."""
    made = tmp_path_factory.mktemp("spark")
    yield made
    places.down(made)


@pytest.fixture(scope="module")
def small(folder: Path) -> Any:
    """Scale small, seed 1; `pristine` looks whether a test changed it."""
    return generator.generate(folder, SMALL, **FREE)


@pytest.fixture
def changed(folder: Path, small: Any) -> Iterator[Any]:
    """The settings of data that a test may change; it is generated again afterwards."""
    yield places.Settings.of(folder)
    assert generator.generate(folder, SMALL, **FREE) == small


def ask(folder: Path, query: str) -> list[tuple[Any, ...]]:
    server = places.Settings.of(folder).postgresql
    with psycopg.connect(server.url("spark"), password=server.password) as connection:
        return connection.execute(query).fetchall()


def value(folder: Path, query: str) -> Any:
    return ask(folder, query)[0][0]


def dump(folder: Path) -> dict[str, list[str]]:
    """Every row of every table, as PostgreSQL writes it."""
    tables = ask(
        folder,
        "SELECT format('%I.%I', n.nspname, c.relname), c.relkind::text "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname IN ('public', 'stats') AND c.relkind IN ('r', 'p', 'm', 'S') AND NOT c.relispartition",
    )
    cells = {"S": "(last_value, is_called)::text"}
    parts = (f"SELECT '{name}', {cells.get(kind, 't::text')} FROM {name} t" for name, kind in tables)
    found: dict[str, list[str]] = {}
    for name, row in sorted(ask(folder, " UNION ALL ".join(parts))):
        found.setdefault(name, []).append(row)
    return found


def on_disk(folder: Path) -> dict[str, str]:
    files = (path for path in (folder / "shares").iterdir())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def cached(folder: Path) -> dict[bytes, Any]:
    """Every key of the cache with its value; those that end within a minute are left out."""
    with places.Settings.of(folder).cache() as client:
        readers = {
            b"string": client.get,
            b"hash": client.hgetall,
            b"list": lambda key: client.lrange(key, 0, -1),
            b"set": client.smembers,
            b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
            b"stream": client.xrange,
        }
        ending = {name.encode() for name in planted.ENDING_KEYS}
        return {key: readers[client.type(key)](key) for key in client.scan_iter() if key not in ending}


def jobs(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What is waiting and what is reserved: id, task, ETA and body of each, as far as the seed decides them."""
    with places.Settings.of(folder).broker() as client:
        found = {queue: [json.loads(raw) for raw in client.lrange(queue, 0, -1)] for queue in tasks.QUEUES}
        found["unacked"] = [json.loads(raw)[0] for raw in client.hvals("unacked")]
        assert client.zcard("unacked_index") == len(found["unacked"])
    return {
        place: sorted(
            (one["headers"]["id"], one["headers"]["task"], one["headers"]["eta"] or "", one["body"]) for one in messages
        )
        for place, messages in found.items()
    }


def everything(folder: Path) -> tuple[Any, ...]:
    return dump(folder), on_disk(folder), cached(folder), jobs(folder)


def spark(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process that hashes strings otherwise than this one."""
    environment = os.environ | {"PYTHONHASHSEED": "4711"}
    command = [sys.executable, "-m", NAME, *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_scale_small_has_its_size(folder: Path, small: Any) -> None:
    assert small.tables == {name: value(folder, f"SELECT count(*) FROM {name}") for name in small.tables}
    assert 1_800 < small.rows < 2_200
    assert (small.keys, small.files) == (200, 21)
    assert sum(small.jobs.waiting.values()) + small.jobs.reserved == SMALL.jobs == 40
    assert small.file_bytes == sum(path.stat().st_size for path in (folder / "shares").iterdir())
    assert json.loads((folder / generator.MARKER).read_text())["tables"] == small.tables


def test_same_seed_same_content_another_seed_another(folder: Path, small: Any, root: Path) -> None:
    before = everything(folder)
    done = spark(root, "generate", "--scale", "small", "--to", str(folder), "--seed", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{small.rows:,} rows in 10 tables, 200 keys, 40 jobs (4 of them reserved), 21 files" in done.stdout
    other = everything(folder)
    assert spark(root, "generate", "--scale", "small", "--to", str(folder)).returncode == 0
    assert everything(folder) == before
    for mine, theirs in zip(before, other, strict=True):
        assert mine != theirs


@pytest.mark.parametrize("plant", QUERIES, ids=lambda plant: plant.name)
def test_planted_exactly(folder: Path, small: Any, plant: Any) -> None:
    assert small.seed == 1
    assert value(folder, plant.query) == plant.count


def test_planted_beside_the_database(folder: Path, small: Any) -> None:
    rows = {path for (path,) in ask(folder, "SELECT path FROM share_cards")}
    files = set(on_disk(folder))
    assert files - rows == {planted.STRAY_CARD}
    assert rows - files == {planted.LOST_CARD}
    assert small.jobs.planted == 2
    with places.Settings.of(folder).broker() as client:
        messages = [json.loads(raw) for queue in tasks.QUEUES for raw in client.lrange(queue, 0, -1)]
    kinds = [message["content-type"] for message in messages]
    assert kinds.count("application/x-python-serialize") == planted.PICKLED
    broken = 0
    for message in messages:
        try:
            if message["content-type"] == "application/json":
                json.loads(base64.b64decode(message["body"]))
        except ValueError:
            broken += 1
    assert broken == planted.MALFORMED
    ids = [message["headers"]["id"] for message in messages]
    assert len(set(ids)) == len(ids)


PROMISED = {
    "an enum": "pg_type WHERE typname = 'plan_type' AND typtype = 'e'",
    "a domain": "pg_type WHERE typname = 'email_address' AND typtype = 'd'",
    "an identity": "pg_attribute WHERE attrelid = 'purchases'::regclass AND attidentity = 'a'",
    "a generated column": "pg_attribute WHERE attrelid = 'purchases'::regclass AND attgenerated = 's'",
    "a serial": "pg_get_serial_sequence('quiz_analytics', 'id') s WHERE s IS NOT NULL",
    "a partial unique index": "pg_index WHERE indisunique AND indpred IS NOT NULL",
    "an expression index": "pg_indexes WHERE indexdef LIKE '%UNIQUE%lower(%email%'",
    "an index on an array": "pg_indexes WHERE indexdef LIKE '%gin (tags)%'",
    "a GIN index on jsonb": "pg_indexes WHERE indexdef LIKE '%gin (results jsonb_path_ops)%'",
    "a view": "pg_views WHERE viewname = 'result_overview'",
    "a materialized view": "pg_matviews WHERE matviewname = 'quiz_type_totals' AND ispopulated",
    "a PL/pgSQL function": "pg_proc JOIN pg_language l ON l.oid = prolang WHERE lanname = 'plpgsql'",
    "a composite key": "pg_index WHERE indrelid = 'user_badges'::regclass AND indisprimary AND indnatts = 2",
    "a second schema": "pg_tables WHERE schemaname = 'stats'",
    "a table without a key": "pg_class WHERE oid = 'import_log'::regclass AND NOT relhasindex",
    "a comment on a table": "obj_description('users'::regclass) d WHERE d <> ''",
    "a comment on a column": "col_description('users'::regclass, 2) d WHERE d <> ''",
}


@pytest.mark.parametrize("what", PROMISED)
def test_everything_promised_is_there(folder: Path, small: Any, what: str) -> None:
    assert small.seed == 1
    assert value(folder, f"SELECT count(*) FROM {PROMISED[what]}") == 1


def test_types_partitions_triggers_and_sequences(folder: Path, small: Any) -> None:
    kinds = dict(
        ask(
            folder,
            "SELECT attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attnum > 0 AND attrelid::regclass::text IN ('users', 'quiz_results', 'quiz_analytics', 'purchases', "
            "'import_log')",
        )
    )
    expected = {
        "users.id": "uuid",
        "users.email": "email_address",
        "users.plan": "plan_type",
        "users.avatar": "bytea",
        "users.birth_date": "date",
        "users.created_at": "timestamp with time zone",
        "quiz_results.results": "jsonb",
        "quiz_results.tags": "text[]",
        "quiz_results.duration": "interval",
        "quiz_results.shared": "boolean",
        "quiz_analytics.completion_rate": "numeric(5,4)",
        "quiz_analytics.share_rate": "real",
        "purchases.amount": "numeric(12,2)",
        "purchases.currency": "character(3)",
        "import_log.logged_at": "timestamp without time zone",
    }
    assert {name: kinds[name] for name in expected} == expected
    assert value(folder, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'quiz_events'::regclass") == 13
    assert value(folder, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == 2
    assert value(folder, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated") == 5
    for sequence, ahead in planted.SEQUENCES_AHEAD.items():
        table = sequence.removesuffix("_id_seq")
        last = value(folder, f"SELECT last_value - (SELECT max(id) FROM {table}) FROM {sequence}")
        assert last == ahead
    assert small.tables["quiz_events"] == value(folder, "SELECT count(DISTINCT id) FROM quiz_events")


def test_references_hold(folder: Path, small: Any) -> None:
    assert small.seed == 1
    references = ask(
        folder,
        "SELECT conrelid::regclass::text, a.attname, confrelid::regclass::text FROM pg_constraint "
        "JOIN pg_attribute a ON attrelid = conrelid AND attnum = conkey[1] WHERE contype = 'f'",
    )
    for child, column, parent in references:
        lost = f"SELECT count(*) FROM {child} WHERE {column} NOT IN (SELECT id FROM {parent})"
        assert value(folder, lost) == 0, (child, column)
    addresses = "SELECT count(*) FROM quiz_results r JOIN share_cards c ON quiz_result_id = r.id WHERE "
    assert value(folder, addresses + "results #>> '{share,url}' = c.url") == SMALL.files
    assert (
        value(
            folder, "SELECT count(*) FROM share_cards WHERE url <> 'https://cdn.personalityspark.com/static/' || path"
        )
        == 0
    )


def test_cards_are_pictures(folder: Path, small: Any) -> None:
    assert small.files == len(on_disk(folder))
    for path in (folder / "shares").iterdir():
        content = path.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        at, kinds, pixels = 8, [], b""
        while at < len(content):
            (length,) = struct.unpack(">I", content[at : at + 4])
            kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
            assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
            kinds.append(kind)
            pixels += body if kind == b"IDAT" else b""
            at += 12 + length
        assert kinds == [b"IHDR", b"IDAT", b"IEND"]
        assert len(zlib.decompress(pixels)) == SMALL.side * (SMALL.side * 3 + 1)


def test_the_cache_has_every_kind(folder: Path, small: Any) -> None:
    with places.Settings.of(folder).cache() as client:
        kinds = {key: client.type(key) for key in client.scan_iter()}
        lives = {key: client.pttl(key) for key in kinds}
        names = {
            kind: {key.split(b":")[0] for key, its in kinds.items() if its == kind} for kind in set(kinds.values())
        }
        assert client.type("leaderboard:weekly") == b"zset"
        assert client.get("blob:0")[:3] == b"\x00\xff\xfe"
    assert small.keys == SMALL.keys
    assert names == {
        b"string": {b"quiz", b"config", b"blob", b"result"}
        | ({b"otp", b"lock"} & {key.split(b":")[0] for key in kinds}),
        b"hash": {b"session", b"config"},
        b"list": {b"recent"},
        b"set": {b"feature"},
        b"zset": {b"leaderboard"},
        b"stream": {b"events"},
    }
    without = {key for key, life in lives.items() if life == -1}
    assert {key.split(b":")[0] for key in without} == {b"config", b"recent", b"feature", b"leaderboard", b"events"}
    assert all(
        life > 3_600_000 for key, life in lives.items() if key.split(b":")[0] in (b"session", b"result", b"quiz")
    )


def test_the_broker_has_every_state(folder: Path, small: Any) -> None:
    found = jobs(folder)
    assert {place: len(these) for place, these in found.items()} == small.jobs.waiting | {
        "unacked": small.jobs.reserved
    }
    assert sum(bool(eta) for place in tasks.QUEUES for _, _, eta, _ in found[place]) == small.jobs.scheduled
    assert {bool(eta) for _, _, eta, _ in found["unacked"]} == {True, False}
    assert {task for these in found.values() for _, task, _, _ in these} == set(tasks.TASKS)
    ids = [id for these in found.values() for id, *_ in these]
    assert len(set(ids)) == len(ids) == SMALL.jobs


def test_live_changes_everything_and_adds_no_defect(folder: Path, changed: Any) -> None:
    before, planted_rows = everything(folder), ask(folder, PLANTED_ROWS)
    assert len(planted_rows) == 17
    worked = working.live(changed, changes=600)
    assert worked.total == 600
    assert ask(folder, PLANTED_ROWS) == planted_rows
    assert set(worked.changes) == {change.make.__name__.replace("_", " ") for change in working.CHANGES}
    after = everything(folder)
    for table in set(before[0]) - {"public.quiz_type_totals"}:
        assert set(after[0][table]) - set(before[0][table]), f"{table}: nothing was changed or added"
    for table in ("users", "quiz_results", "saved_quizzes", "quiz_events", "user_badges", "purchases", "share_cards"):
        gone = before[0][f"public.{table}"]
        assert set(gone) - set(after[0][f"public.{table}"]), f"{table}: nothing was changed or deleted"
    for mine, theirs, what in zip(before[1:], after[1:], ("files", "keys", "jobs"), strict=True):
        assert mine != theirs, what
    assert before[2].keys() - after[2].keys(), "no key ended"
    assert any(after[2].get(key, kept) != kept for key, kept in before[2].items()), "no key changed"
    assert set(before[3]["unacked"]) == set(after[3]["unacked"])
    for plant in QUERIES:
        assert value(folder, plant.query) == plant.count, plant.name
    rows = {path for (path,) in ask(folder, "SELECT path FROM share_cards")}
    files = set(on_disk(folder))
    assert (files - rows, rows - files) == ({planted.STRAY_CARD}, {planted.LOST_CARD})
    shared = "SELECT count(*) FROM quiz_results WHERE results #>> '{share,url}' NOT IN (SELECT url FROM share_cards)"
    assert value(folder, shared) == 0


def test_live_repeats_itself_and_a_second_shift_goes_on(folder: Path, small: Any, changed: Any) -> None:
    working.live(changed, seed=5, changes=80)
    first = everything(folder)
    working.live(changed, seed=5, changes=80)
    second = everything(folder)
    assert generator.generate(folder, SMALL, **FREE) == small
    working.live(changed, seed=5, changes=80)
    assert everything(folder) == first
    assert set(second[0]["public.quiz_results"]) - set(first[0]["public.quiz_results"])


def test_live_stops_at_the_maintenance_switch(folder: Path, changed: Any, root: Path) -> None:
    assert spark(root, "freeze", "--data", str(folder)).returncode == 0
    assert json.loads((folder / "maintenance.json").read_text())["by"] == "hand"
    before = everything(folder)
    with pytest.raises(working.NoWrites):
        working.live(changed)
    done = spark(root, "live", "--data", str(folder))
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "maintenance" in done.stderr
    assert everything(folder) == before
    assert spark(root, "thaw", "--data", str(folder)).returncode == 0
    done = spark(root, "live", "--data", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert "200  changes" in done.stdout


def test_a_worker_works_and_is_drained(folder: Path, changed: Any, root: Path, tmp_path: Path) -> None:
    idle = draining.drain(changed)
    assert (idle.stopped, idle.reserved) == (0, 4)
    with (tmp_path / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", NAME, "work", "--data", str(folder)]
        worker = subprocess.Popen(command, cwd=root, stdout=log, stderr=log, start_new_session=True)
    try:
        app = tasks.celery_app(changed)
        with changed.broker() as client:
            # it takes what waits, runs what may run, and reserves what has an ETA
            reserved = 4 + sum(bool(eta) for queue in tasks.QUEUES for _, _, eta, _ in jobs(folder)[queue])
            while client.llen("celery") + client.llen("analytics") or client.hlen("unacked") > reserved:
                assert worker.poll() is None, (tmp_path / "worker.log").read_text()
                app.control.ping(timeout=0.2)
        app.close()
        drained = draining.drain(changed)
        assert worker.wait(timeout=60) == 0
    finally:
        if worker.poll() is None:
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
    assert (drained.stopped, drained.reserved) == (1, 4)
    assert sum(drained.waiting.values()) == 4  # those with an ETA, given back
    assert value(folder, "SELECT count(*) FROM quiz_events WHERE payload ? 'completion_time'") > 0


def names_of_workers(settings: Any) -> list[str]:
    """The worker that answers Celery's ping, if there is one."""
    app = tasks.celery_app(settings)
    try:
        return sorted(app.control.inspect(timeout=5.0, limit=1).ping() or {})  # the first one answers for all
    finally:
        app.close()


def waiting(folder: Path) -> int:
    """Jobs in the queues, also while a worker takes them."""
    with places.Settings.of(folder).broker() as client:
        return sum(client.llen(queue) for queue in tasks.QUEUES)


def test_served_with_a_worker_that_rests_while_the_switch_is_on(
    folder: Path, changed: Any, root: Path, tmp_path: Path
) -> None:
    port, switch = free_port(), maintenance.MaintenanceSwitch(folder / "maintenance.json")
    written = tmp_path / "served.log"

    def comes(found: Callable[[], bool]) -> None:
        def ask() -> bool:
            assert served.poll() is None, written.read_text()
            return found()

        until(ask, written.read_text, LONG)

    switch.freeze("a test")
    before = waiting(folder)
    with written.open("wb") as log:
        command = [sys.executable, "-m", NAME, "serve", "--data", str(folder), "--port", str(port), "--worker"]
        served = subprocess.Popen(command, cwd=root, stdout=log, stderr=log, start_new_session=True)
    try:
        comes(lambda: answers(port) == {"maintenance": True, "writes_in_flight": 0})
        assert (names_of_workers(changed), waiting(folder)) == ([], before)
        switch.thaw()
        comes(lambda: waiting(folder) == 0)
        comes(lambda: len(names_of_workers(changed)) == 1)

        switch.freeze("a test")
        comes(lambda: not names_of_workers(changed))
        events = value(folder, "SELECT count(*) FROM quiz_events")
        app = tasks.celery_app(changed)
        app.send_task(tasks.SHARED, args=("abc", "mail"))
        app.close()
        assert names_of_workers(changed) == []
        assert value(folder, "SELECT count(*) FROM quiz_events") == events
        switch.thaw()
        comes(lambda: value(folder, "SELECT count(*) FROM quiz_events") == events + 1)

        done = spark(root, "down", "--data", str(folder))
        assert (done.returncode, done.stdout.strip()) == (0, f"{folder}: stopped")
        assert served.wait(timeout=60) == 0
        assert not list((folder / "running").iterdir())
    finally:
        if served.poll() is None:
            os.killpg(served.pid, signal.SIGKILL)
            served.wait()
        places.up(folder, 0, 0, ends_with_us=True)


def answers(port: int) -> dict[str, Any] | None:
    """What /health says; None while nobody does."""
    try:
        return dict(httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False, timeout=10).json())
    except httpx.HTTPError:
        return None


def test_a_worker_ends_with_whom_it_stands_beside(folder: Path, changed: Any, root: Path, tmp_path: Path) -> None:
    port = free_port()
    with (tmp_path / "served.log").open("wb") as log:
        command = [sys.executable, "-m", NAME, "serve", "--data", str(folder), "--port", str(port)]
        served = subprocess.Popen(
            command,
            cwd=root,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PERSONALITY_SPARK_WORKER": "1"},
        )
    try:
        until(lambda: names_of_workers(changed), (tmp_path / "served.log").read_text, LONG)
        (worker,) = psutil.Process(served.pid).children()
        served.kill()
        assert worker.wait(timeout=120) in (0, None)
    finally:
        served.kill()
        served.wait()


def test_down_and_up_keep_the_data(folder: Path, small: Any, root: Path) -> None:
    before, ports = everything(folder), places.Settings.of(folder)
    done = spark(root, "down", "--data", str(folder))
    assert (done.returncode, done.stdout.strip()) == (0, f"{folder}: stopped")
    with pytest.raises(places.NotUp):
        places.Settings.of(folder)
    done = spark(root, "live", "--data", str(folder))
    assert done.returncode == 3
    assert "is down. Next: generate it first, or start it" in done.stderr
    assert "was down" in spark(root, "down", "--data", str(folder)).stdout
    again = places.up(folder, ports.postgresql.port, ports.redis.port, ends_with_us=True)
    assert everything(folder) == before
    assert again.postgresql.password not in spark(root, "up", "--data", str(folder)).stdout
    assert small.seed == 1


def test_ports_in_use_and_foreign_data_are_refused(folder: Path, small: Any, root: Path, tmp_path: Path) -> None:
    taken = places.Settings.of(folder).redis.port
    arguments = ("--port-postgresql", "0", "--port-redis", str(taken))
    try:
        done = spark(root, "generate", "--scale", "small", "--to", str(tmp_path / "new"), *arguments)
        assert done.returncode == 3
        assert done.stderr.startswith("STOP: ")
        assert f"port {taken} is in use" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    finally:
        places.down(tmp_path / "new")
    (tmp_path / "foreign" / "shares").mkdir(parents=True)
    with pytest.raises(generator.NotOurs):
        generator.generate(tmp_path / "foreign", SMALL, **FREE)
    done = spark(root, "up", "--data", str(tmp_path / "foreign"))
    assert (done.returncode, done.stderr.startswith("STOP: there is no database")) == (3, True)
    assert small.seed == 1


def test_the_password_is_in_no_argument(folder: Path, small: Any) -> None:
    settings = places.Settings.of(folder)
    hidden = (settings.postgresql.password, settings.redis.password)
    assert not any(secret in repr(settings) or secret in str(settings.database_url) for secret in hidden)
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        assert not any(secret in line for secret in hidden)
    assert small.seed == 1
    assert processes.holder(settings.redis.port) is not None
