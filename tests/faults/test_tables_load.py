"""A load that is killed, a line that loses answers, a runtime that goes away: every row arrives, and only once.

TOWPATH_KILLS=<number> kills more often than the few times that are enough for every day.
"""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.carry import CLAIM, Carried, after_statements, make_source, prepare, same_rows
from helpers.faulty import CUT, FAULTS, GATEWAY, LOST, PASS, Decide, FaultyLine, always, faulty_line, now_and_then

from towpath.cloudflare import D1, Client, D1Error
from towpath.errors import COULD_NOT_FINISH
from towpath.local import Runtime, State, start
from towpath.tables import changes, delta, export, load, snapshot, statements, target
from towpath.tables.target import RECEIPTS, receipts

KILLS = int(os.environ.get("TOWPATH_KILLS", "8"))
SCRIPT = """
CREATE TABLE owner (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT UNIQUE);
CREATE TABLE folder (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES folder, owner INTEGER NOT NULL REFERENCES owner);
CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER NOT NULL REFERENCES b);
CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES a);
CREATE TABLE metric (at TEXT, value);
CREATE INDEX folder_owner ON folder (owner);
CREATE VIEW owners AS SELECT email FROM owner;
CREATE TRIGGER owner_made AFTER INSERT ON owner BEGIN INSERT INTO metric VALUES ('trigger', new.id); END;
"""
ROWS = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
INSERT INTO owner (email) SELECT i || '@example.com' FROM n;
INSERT INTO folder SELECT id, iif(id % 7, (id * 31) % 600 + 1, NULL), id FROM owner;
INSERT INTO a SELECT id, 601 - id FROM owner; INSERT INTO b SELECT id, id FROM owner;
DELETE FROM metric;
INSERT INTO metric SELECT 'same', id % 3 FROM owner;
"""
LOADER = """
import sys
from pathlib import Path
from towpath.cloudflare import D1, Client
from towpath.tables import load
from towpath.tables.manifest import read_manifest
api, database, folder = sys.argv[1:]
with Client(api) as client:
    load.load(D1(client, database), Path(folder), read_manifest(Path(folder)))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carried]:
    """A source cut into many small chunks, exported once; `d1` is set by each test."""
    folder = tmp_path_factory.mktemp("load")
    make_source(folder / "s.sqlite", SCRIPT + ROWS).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "CHUNK_BYTES", 500)
        exporter, made = prepare(folder / "s.sqlite", folder / "run")
    assert len(made.chunks) > 60
    yield Carried(folder / "s.sqlite", folder / "run", None, exporter, made)  # type: ignore[arg-type]
    exporter.close()


def bound_for(exported: Carried, d1: D1) -> Carried:
    """The export with its tables applied to a new target."""
    target.apply_migration(d1, "0001.sql", [t.sql for t in exported.exporter.schema.moving], CLAIM)
    return replace(exported, d1=d1)


def assert_whole(made: Carried) -> None:
    """Every row once, by two readings, and a receipt for every chunk."""
    for table in made.exporter.schema.moving:
        assert same_rows(made.exporter.db, made.d1, table), table.name
    found = made.compare()
    assert found.equal, found.differences
    assert len(receipts(made.d1, made.manifest.id)) == len(made.manifest.chunks)


def test_a_load_killed_at_any_receipt_goes_on(exported: Carried, client: Client, runtime: Runtime) -> None:
    luck = random.Random()
    proved = 0
    while proved < KILLS:
        made = bound_for(exported, D1(client, f"kill-{secrets.token_hex(8)}"))
        wanted = luck.randrange(1, len(made.manifest.chunks) // 2)
        command = [sys.executable, "-c", LOADER, runtime.api, made.d1.database_id, str(made.folder)]
        with subprocess.Popen(command) as loader:
            try:
                held = 0
                while held < wanted and loader.poll() is None:
                    held = made.d1.query(f"SELECT count(*) FROM {RECEIPTS}").rows[0][0]
            finally:
                loader.kill()
        held = len(receipts(made.d1, made.manifest.id))
        proved += held < len(made.manifest.chunks)  # one that was killed too late proves nothing
        done = load.load(made.d1, made.folder, made.manifest)
        assert done.skipped >= held
        assert_whole(made)


def through(line: FaultyLine, waits: list[float]) -> Client:
    return Client(line.api, sleep=waits.append)


@pytest.mark.parametrize("fault", [LOST, CUT, GATEWAY])
def test_an_answer_lost_to_every_request_duplicates_nothing(
    exported: Carried, runtime: Runtime, client: Client, fault: str
) -> None:
    with faulty_line(runtime.api, always(fault)) as line, through(line, []) as bad:
        voyage(exported, D1(bad, f"lost-{secrets.token_hex(8)}"), client)
    # each request went twice: carried out without an answer, then refused by its receipt, or read again
    assert line.happened[PASS] >= line.happened[fault] > len(exported.manifest.chunks)


@pytest.mark.parametrize("seed", range(2))
def test_a_line_with_every_fault_now_and_then(exported: Carried, runtime: Runtime, client: Client, seed: int) -> None:
    with faulty_line(runtime.api, now_and_then(0.2, seed)) as line, through(line, []) as bad:
        voyage(exported, D1(bad, f"bad-{secrets.token_hex(8)}"), client)
    assert all(line.happened[fault] for fault in FAULTS)
    assert sum(line.happened[fault] for fault in FAULTS) > 0.1 * line.happened[PASS]


def voyage(exported: Carried, bad: D1, client: Client) -> None:
    """Migration, load, what comes after, and the proof, all over a bad line; looked at over a good one."""
    made = bound_for(exported, bad)
    done = load.load(bad, made.folder, made.manifest)
    assert (done.skipped, done.rows) == (0, made.manifest.rows)
    load.finish(bad, made.manifest, after_statements(made.exporter), made.manifest.sequences)
    assert made.compare().equal
    good = D1(client, bad.database_id)
    assert_whole(replace(made, d1=good))
    assert good.query("SELECT seq FROM sqlite_sequence WHERE name = 'owner'").rows == [[600]]
    kinds = good.query("SELECT type FROM sqlite_schema WHERE name IN ('folder_owner', 'owners', 'owner_made')").rows
    assert len(kinds) == 3


def test_a_delta_over_a_bad_line_keeps_its_order(
    runtime: Runtime, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its chunks stand on each other, so only one is ever under way."""
    monkeypatch.setattr(delta, "CHUNK_BYTES", 300)
    with closing(make_source(tmp_path / "s.sqlite", SCRIPT + ROWS)) as db:
        exporter, base = prepare(tmp_path / "s.sqlite", tmp_path / "0")
        d1 = D1(client, f"delta-{secrets.token_hex(8)}")
        made = bound_for(Carried(tmp_path / "s.sqlite", tmp_path / "0", d1, exporter, base), d1)
        load.load(d1, made.folder, base)
        load.finish(d1, base, [], base.sequences)
        db.execute("DROP TRIGGER owner_made; DELETE FROM folder WHERE id % 5 = 0 AND parent IS NULL AND id NOT IN"
                   " (SELECT parent FROM folder WHERE parent IS NOT NULL)")  # fmt: skip
        db.execute("UPDATE owner SET email = (id % 600 + 1) || '@new' ; UPDATE metric SET value = 'v' WHERE rowid % 2")
        db.execute("UPDATE owner SET email = iif(id = 600, '1@example.com', (id + 1) || '@example.com')")
        db.execute(SCRIPT[SCRIPT.index("CREATE TRIGGER") :])
        new = export.Exporter(snapshot.take(db, tmp_path / "1"))
        found = changes.find_changes(base, exporter, new)
        monkeypatch.setattr(statements, "STATEMENT_BYTES", 1_000)  # many rows stand in one statement
        written = delta.write_delta(new, found, base, [], "plan", {})
        assert len(written.chunks) > 20
        with faulty_line(runtime.api, quiet_reads(now_and_then(0.2, 7))) as line, through(line, []) as bad:
            load.load(D1(bad, d1.database_id), new.folder, written)
        assert line.most_at_once == 1
        for table in new.schema.moving:
            assert same_rows(db, d1, table), table.name
        assert Carried(made.source, new.folder, d1, new, written).compare().equal
        new.close()
        exporter.close()


def quiet_reads(decide: Decide) -> Decide:
    """Faults for receipted transactions alone."""
    return lambda body, attempt: decide(body, attempt) if b"INSERT INTO _towpath_receipt" in body[:60] else PASS


def test_a_runtime_that_goes_away_is_told_and_the_load_goes_on_later(
    exported: Carried, root: Path, tmp_path: Path
) -> None:
    state = State(tmp_path / "runtime")
    options = {"bucket": "b", "database_id": "d", "root": root, "state": state, "deadline": 120.0}
    runtime = ExitStack()
    running = runtime.enter_context(start("away", "local", 0, **options))
    with runtime, running.client(sleep=lambda _: None) as client:
        made = bound_for(exported, D1(client, "d"))
        seen: list[int] = []

        def stop_after_a_while(done: int) -> None:
            seen.append(done)
            if len(seen) == 20:
                runtime.close()

        with pytest.raises(D1Error) as caught:
            load.load(made.d1, made.folder, made.manifest, stop_after_a_while)
    assert caught.value.exit_code == COULD_NOT_FINISH
    assert "\n" not in caught.value.line
    assert "no connection" in caught.value.line or "no answer" in caught.value.line
    assert "start" in caught.value.next
    with start("away", "local", 0, **options) as running, running.client() as client:
        made = replace(made, d1=D1(client, "d"))
        done = load.load(made.d1, made.folder, made.manifest)
        assert 15 < done.skipped < len(made.manifest.chunks)
        assert_whole(made)
