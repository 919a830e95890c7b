"""Bad input of servers, caches and brokers, phase by phase: the run stops, says why in one line, and writes nothing.

What each rule and each error looks for is proved in tests/unit and tests/faults (tests/README.md lists which); here
real phases meet a real PostgreSQL and a real Redis that nobody should move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import apsw
import pytest
from helpers.attempts import Attempt, commands, tried
from helpers.ports import free_port
from helpers.spark import SYSTEM, Spark, spark

WRONG = "correct-horse-battery-staple"  # nobody's password
LONG = "quiz:" + "k" * 508  # bytes: one more than KV takes
NOTHING: tuple[dict[str, int], dict[str, bytes], list[str]] = ({}, {}, [])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    """Personality Spark, who would move well, and an empty target."""
    with spark(tmp_path_factory.mktemp("bad") / "spark") as made:
        yield made


Try = Callable[..., Attempt]


@pytest.fixture
def attempt(project: Spark, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Try]:
    """Run phases with some params changed, in this process; the params are put back at the end."""
    with commands(project, monkeypatch, capsys) as run:
        yield lambda *phases, **changed: tried(project, lambda: run(*phases, **changed))


def untouched(project: Spark) -> bool:
    """Whether the target is as empty as it was, and the application as free to write."""
    return project.held() == NOTHING and not project.switch.exists()


# -- servers that are not there, or do not let us in


def test_a_server_that_is_unreachable(project: Spark, attempt: Try) -> None:
    port = free_port()
    made = attempt("01-inventory", "02-schema", source_database=f"postgresql://postgres@127.0.0.1:{port}/spark")
    made.stops(2, f"127.0.0.1:{port}/spark", "is unreachable", "look that the server is up")
    assert made.verdicts() == {"01-inventory": "INCOMPLETE"}
    assert untouched(project)


def test_a_wrong_password_is_said_and_echoed_nowhere(project: Spark, attempt: Try) -> None:
    (project.root / "build" / "wrong").write_text(f"{WRONG}\n", encoding="utf-8")
    reference = "file:build/wrong"
    made = attempt("00-ready", "01-inventory", source_password=reference, source_cache_password=reference)
    assert (made.code, made.verdicts()) == (1, {"00-ready": "FAIL"})
    found = {check["code"]: check for check in made.results["00-ready"]["checks"] if check["verdict"] == "FAIL"}
    assert found.keys() == {"RD004", "RD008", "RD013"}, "nor could the size of the record be asked"
    assert "refuses the user or the password" in found["RD004"]["found"]
    assert "password" in found["RD013"]["found"]
    assert WRONG not in made.said
    for file in (path for path in (project.root / "outputs").rglob("*") if path.is_file()):
        assert WRONG.encode() not in file.read_bytes(), file
    assert untouched(project)


def test_a_cache_that_is_down(project: Spark, attempt: Try) -> None:
    port = free_port()
    made = attempt("01-inventory", "02-schema", source_cache=f"redis://127.0.0.1:{port}/0")
    made.stops(2, f"127.0.0.1:{port}")
    assert made.verdicts() == {"01-inventory": "INCOMPLETE"}
    assert untouched(project)


# -- databases that cannot be read in full


@contextmanager
def ascii_database(project: Spark) -> Iterator[str]:
    project.change("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")
    try:
        yield project.settings.postgresql.url("ascii")
    finally:
        project.change("DROP DATABASE ascii WITH (FORCE)")


def test_a_database_that_does_not_know_its_characters(project: Spark, attempt: Try) -> None:
    with ascii_database(project) as url:
        made = attempt("01-inventory", "02-schema", source_database=url)
    made.stops(2, "/ascii", "SQL_ASCII")
    assert made.verdicts() == {"01-inventory": "INCOMPLETE"}
    assert untouched(project)


@contextmanager
def reader(project: Spark) -> Iterator[dict[str, str]]:
    """A user who may read everything but one table; params that name it."""
    (project.root / "build" / "reader").write_text("reading-is-all-it-may\n", encoding="utf-8")
    project.change(
        "CREATE ROLE reader LOGIN PASSWORD 'reading-is-all-it-may'",
        "GRANT USAGE ON SCHEMA public, stats TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public, stats TO reader",
        "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public, stats TO reader",
        "REVOKE SELECT ON public.purchases FROM reader",
    )
    url = project.settings.postgresql.url("spark").replace("postgres@", "reader@")
    try:
        yield {"source_database": url, "source_password": "file:build/reader"}
    finally:
        project.change("DROP OWNED BY reader", "DROP ROLE reader")


@pytest.fixture
def odd_keys(project: Spark) -> Iterator[None]:
    """A key and a value that KV does not take, and a message that is no job."""
    with project.cache() as cache, project.broker() as broker:
        cache.set(LONG, "too long a name")
        cache.set("quiz:huge", b"0" * 26_214_401)
        broker.lpush("celery", '{"body": "W1tdLCB7fSwg')
        yield
        cache.delete(LONG, "quiz:huge")
        broker.lpop("celery")


@pytest.mark.usefixtures("odd_keys")
def test_one_table_without_permission_and_keys_that_kv_does_not_take_are_named(project: Spark, attempt: Try) -> None:
    """All of them by one inventory: what cannot be read does not keep the rest from being looked at."""
    with reader(project) as params:
        made = attempt("01-inventory", "02-schema", **params)
    assert (made.code, made.verdicts()) == (1, {"01-inventory": "FAIL"}), made.said
    found = made.failed()
    assert "public.purchases: permission denied" in found["TB100", "source"]["found"]
    assert found["KE103", "quiz:*"]["keys"]
    assert found["KE201", "quiz:*"]["keys"] == ["quiz:huge"]
    assert "no job that can be read" in found["JO201", "celery"]["found"]
    run = made.results["01-inventory"]["run"]
    captured = project.root / "outputs" / SYSTEM / "local" / run / "inventory" / "capture.sqlite"
    db = apsw.Connection(str(captured), flags=apsw.SQLITE_OPEN_READONLY)
    for table in ("users", "quiz_results", "quiz_events", "user_badges"):
        there = db.execute(f"SELECT count(*) FROM {table}").get
        assert there == project.ask(f"SELECT count(*) FROM {table}")[0][0], "the others are unaffected"
    db.close()
    assert untouched(project)


# -- a database that changes under the move


@pytest.fixture
def fitted(project: Spark, attempt: Try) -> dict[str, int]:
    """Inventory and schema done on a target of its own; the tables there, empty."""
    project.fresh_target()
    made = attempt("01-inventory", "02-schema")
    assert made.code == 0, made.said
    rows = project.fingerprint()[0]
    assert rows["users"] == 0
    return rows


CHANGES = {  # what somebody does after 02-schema, and how it is undone
    "altered": (
        "ALTER TABLE import_log ALTER COLUMN message SET DEFAULT ''",
        "ALTER TABLE import_log ALTER COLUMN message DROP DEFAULT",
    ),
    "dropped": ("ALTER TABLE import_log SET SCHEMA elsewhere", "ALTER TABLE elsewhere.import_log SET SCHEMA public"),
}


def test_a_table_that_changes_and_a_row_that_comes_after_the_inventory(
    project: Spark, attempt: Try, fitted: dict[str, int]
) -> None:
    """A declaration is refused by its fingerprint; a row that the target would refuse is named by its key."""
    project.change("CREATE SCHEMA elsewhere")
    for change, back in CHANGES.values():
        project.change(change)
        try:
            made = attempt("03-export", "04-import")
        finally:
            project.change(back)
        made.stops(3, "RN002", "01-inventory.result.json", "start a new run if the source was changed on purpose")
        assert made.verdicts() == {"03-export": "INCOMPLETE"}
    project.change("DROP SCHEMA elsewhere")

    project.change("INSERT INTO quiz_events (id, occurred_at, kind) VALUES (-7, '2026-05-01T00:00:00Z', 'shrugged')")
    try:
        made = attempt("03-export", "04-import")
    finally:
        project.change("DELETE FROM quiz_events WHERE id = -7")
    assert made.code == 2, made.said
    assert made.verdicts() == {"03-export": "INCOMPLETE"}
    refused = [check for (code, _), check in made.failed().items() if code == "FT303"]
    assert [check["keys"] for check in refused] == [["id=-7, occurred_at='2026-05-01T00:00:00.000000Z'"]]

    assert project.fingerprint() == (fitted, {})
    assert project.names() == {}
    again = attempt("03-export")
    assert again.code == 0, f"everything as it was: the same phase passes\n{again.said}"
