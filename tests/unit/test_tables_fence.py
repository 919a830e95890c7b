"""The fence in the real D1: no way of writing gets through while it is closed, and a delta of ours does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest
from helpers.carry import Carried, after_statements, carry, make_source, same_rows, table_statements
from helpers.fires import fires, not_passed

from towpath.checks import Check, Verdict
from towpath.cloudflare.d1 import D1
from towpath.cloudflare.errors import D1Error
from towpath.errors import CannotFinish, WrongUse
from towpath.tables import acceptance, delta, fence, load
from towpath.tables.reproved import reproved
from towpath.tables.schema import quoted
from towpath.tables.written import find_written
from towpath.workbench import cutover

SCHEMA = """
CREATE TABLE owner (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE);
CREATE TABLE item (id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL REFERENCES owner (id) ON DELETE CASCADE,
    next_id INTEGER REFERENCES item (id), name TEXT);
CREATE TABLE tag (item_id INTEGER NOT NULL, word TEXT NOT NULL, PRIMARY KEY (item_id, word)) WITHOUT ROWID;
CREATE TABLE "odd ""name" (what TEXT);
CREATE TABLE job (id TEXT PRIMARY KEY NOT NULL, body TEXT);
CREATE VIRTUAL TABLE words USING fts5 (name, content='item', content_rowid='id');
CREATE VIEW named AS SELECT id, email FROM owner;
CREATE TRIGGER named_instead INSTEAD OF INSERT ON named BEGIN INSERT INTO owner (email) VALUES (new.email); END;
CREATE TRIGGER item_named AFTER UPDATE ON item BEGIN INSERT INTO "odd ""name" VALUES ('item ' || new.id); END;
CREATE TRIGGER job_done AFTER INSERT ON job BEGIN INSERT OR IGNORE INTO tag VALUES (9, new.id); END;
INSERT INTO owner VALUES (1, 'ann'), (2, 'bob');
INSERT INTO item VALUES (1, 1, NULL, 'one'), (2, 1, 1, 'two'), (3, 2, NULL, 'three');
INSERT INTO tag VALUES (1, 'a'), (2, 'b');
INSERT INTO words (words) VALUES ('rebuild');
DELETE FROM "odd ""name";
"""
ORDINARY = ("item", "job", 'odd "name', "owner", "tag")
WRITES = (
    "INSERT INTO owner (email) VALUES ('cy')",
    "INSERT OR IGNORE INTO owner (email) VALUES ('cy')",
    "INSERT OR IGNORE INTO owner (email) VALUES ('ann')",
    "INSERT OR REPLACE INTO owner VALUES (1, 'ann')",
    "REPLACE INTO owner VALUES (3, 'bob')",
    "INSERT OR FAIL INTO tag VALUES (3, 'c')",
    "INSERT OR ROLLBACK INTO tag VALUES (3, 'c')",
    "INSERT INTO owner VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET email = excluded.email",
    "INSERT INTO owner VALUES (1, 'x') ON CONFLICT DO NOTHING",
    "INSERT INTO tag SELECT id, 'z' FROM item",
    "INSERT INTO item (owner_id) VALUES (1) RETURNING id",
    "INSERT INTO named (email) VALUES ('by the view')",
    'INSERT INTO "odd ""name" DEFAULT VALUES',
    "UPDATE tag SET word = 'q' WHERE item_id = 1",
    "UPDATE item SET name = name",
    "UPDATE OR IGNORE item SET name = 'x'",
    "UPDATE OR REPLACE owner SET email = 'bob' WHERE id = 1",
    "UPDATE item SET name = email FROM owner WHERE owner.id = item.owner_id",
    "WITH found AS (SELECT 1 AS id) UPDATE item SET name = 'x' WHERE id IN found",
    "DELETE FROM tag",
    "DELETE FROM tag WHERE word = 'a'",
    "DELETE FROM owner WHERE id = 1",
    "DELETE FROM owner",
)


def moved(folder: Path, d1: D1) -> Carried:
    """A source that was carried to the target."""
    make_source(folder / "s.sqlite", SCHEMA).close()
    state = carry(folder / "s.sqlite", folder / "0", d1)
    d1.batch([table.sql for table in state.exporter.schema.tables if table.name == "words"])
    return state


def contents(d1: D1) -> list[list[list[object]]]:
    """All rows of the ordinary tables."""
    return [d1.query(f"SELECT * FROM {quoted(name)}").rows for name in ORDINARY]


def refused(d1: D1, *statements: str) -> bool:
    """True if the fence, and nothing else, refuses these statements in one transaction."""
    try:
        d1.batch(list(statements))
    except D1Error as error:
        if fence.REFUSAL in str(error):
            return True
        raise
    return False


@pytest.mark.parametrize("statement", WRITES)
def test_no_statement_writes_through_a_closed_fence(tmp_path: Path, d1: D1, statement: str) -> None:
    moved(tmp_path, d1)
    fence.install(d1)
    before = contents(d1)
    assert refused(d1, statement)
    assert refused(d1, "PRAGMA defer_foreign_keys = on", "PRAGMA recursive_triggers = on", statement)
    assert contents(d1) == before
    fence.open(d1)
    assert not refused(d1, statement)


def test_what_an_exempt_table_sets_off_elsewhere_is_refused(tmp_path: Path, d1: D1) -> None:
    moved(tmp_path, d1)
    standing = fence.install(d1, exempt=("JOB",))
    assert (standing.exempt, standing.fenced) == (("JOB",), tuple(t for t in ORDINARY if t != "job"))
    assert refused(d1, "INSERT INTO job VALUES ('a', 'b')"), "its trigger writes a tag"
    d1.batch(["DROP TRIGGER job_done"])
    assert not refused(d1, "INSERT INTO job VALUES ('a', 'b')", "DELETE FROM job")


def test_it_is_put_up_closed_and_never_opened_by_being_put_up_again(tmp_path: Path, d1: D1) -> None:
    moved(tmp_path, d1)
    assert fence.read(d1) is None
    first = fence.install(d1, by="run one")
    assert (first.closed, first.ahead, first.fenced, first.missing) == (True, False, ORDINARY, ())
    assert (first.virtual, first.exempt, first.changed_by) == (("words",), (), "run one")
    assert fence.install(d1, by="run two") == first
    opened = fence.open(d1, by="run two")
    assert (opened.closed, opened.ahead, opened.changed_by) == (False, True, "run two")
    assert fence.open(d1, by="again") == opened
    assert fence.install(d1) == opened
    shut = fence.shut(d1, by="back")
    assert (shut.closed, shut.ahead, shut.changed_by) == (True, True, "back")
    assert fence.shut(d1, by="again") == shut == fence.read(d1)
    even = fence.even(d1)
    assert (even.closed, even.ahead) == (True, False)
    assert fence.even(d1) == even


def test_a_table_exempted_later_and_one_exempt_no_more(tmp_path: Path, d1: D1) -> None:
    moved(tmp_path, d1)
    fence.install(d1, exempt=("tag",))
    assert not refused(d1, "DELETE FROM tag")
    assert fence.install(d1, exempt=("job",)).fenced == tuple(t for t in ORDINARY if t != "job")
    assert refused(d1, "INSERT INTO tag VALUES (1, 'a')")
    assert fence.shut(d1).exempt == ("job",)


def test_a_table_made_since_is_missing_until_the_fence_is_shut(tmp_path: Path, d1: D1) -> None:
    moved(tmp_path, d1)
    fence.install(d1)
    fence.open(d1)
    d1.batch(["CREATE TABLE new (a)", "ALTER TABLE tag RENAME TO label", "DROP TRIGGER _towpath_fence_update_item"])
    assert (standing := fence.read(d1))
    assert standing.missing == ("item", "label", "new")
    with pytest.raises(CannotFinish, match="3 tables lack the triggers of the fence"):
        fence.open(d1)
    assert fence.shut(d1).missing == ()
    assert all(refused(d1, f"INSERT INTO {name} DEFAULT VALUES") for name in ("new", "label", "item"))


def test_what_is_refused(tmp_path: Path, d1: D1) -> None:
    moved(tmp_path, d1)
    steps: tuple[Callable[[D1], object], ...] = (fence.open, fence.shut, fence.even)
    for step in steps:
        with pytest.raises(WrongUse, match="no fence stands"):
            step(d1)
    fence.remove(d1)
    fence.install(d1)
    with pytest.raises(WrongUse, match="the fence is closed"):
        fence.remove(d1)
    fence.open(d1)
    with pytest.raises(WrongUse, match="the fence is open"):
        fence.even(d1)


def test_nothing_is_left_of_it(tmp_path: Path, d1: D1) -> None:
    moved(tmp_path, d1)
    fence.install(d1)
    fence.open(d1)
    d1.batch(["ALTER TABLE tag RENAME TO label"])
    fence.remove(d1)
    assert d1.query("SELECT name FROM sqlite_schema WHERE name LIKE '%fence%'").rows == []
    assert not refused(d1, "DELETE FROM label")


def test_a_fence_without_its_row_refuses_and_is_taken_for_ahead(tmp_path: Path, d1: D1) -> None:
    moved(tmp_path, d1)
    fence.install(d1)
    fence.open(d1)
    d1.batch([f"DELETE FROM {fence.TABLE}"])
    assert refused(d1, "DELETE FROM tag")
    with pytest.raises(CannotFinish, match="the row of the fence is missing"):
        fence.read(d1)
    standing = fence.install(d1)
    assert (standing.closed, standing.ahead) == (True, True)


def test_what_reads_the_target_does_not_see_it(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1)
    before = d1.facts()
    fence.install(d1)
    statements = [*table_statements(state.exporter), *after_statements(state.exporter)]
    statements += [table.sql for table in state.exporter.schema.tables if table.name == "words"]
    checks = [
        *acceptance.schema_present(d1, statements),
        *acceptance.constraints(d1, [entry.name for entry in state.manifest.tables]),
        *acceptance.received(d1, state.manifest),
        *acceptance.sequences(d1, state.manifest),
        *reproved(d1, state.manifest, state.exporter.db, state.exporter.relations, statements),
    ]
    assert {check.code for check in checks if check.verdict is not Verdict.PASS} == set()
    assert state.compare().equal
    assert d1.facts() == before


def life(state: Carried) -> None:
    """What the old application wrote since the export: a unique value moves, references in a circle, deletes."""
    with closing(apsw.Connection(str(state.source))) as db:
        db.execute("PRAGMA foreign_keys = on")
        db.execute("UPDATE owner SET email = 'was ann' WHERE id = 1; UPDATE owner SET email = 'ann' WHERE id = 2")
        db.execute("UPDATE owner SET email = 'bob' WHERE id = 1; DELETE FROM item WHERE id = 3")
        db.execute("INSERT INTO item VALUES (4, 2, 4, 'four'); DELETE FROM tag; INSERT INTO tag VALUES (4, 'd')")
        db.execute("INSERT INTO owner (email) VALUES ('dee'); UPDATE item SET name = 'two again' WHERE id = 2")


def test_a_delta_goes_through_and_nobody_with_it(tmp_path: Path, d1: D1, monkeypatch: pytest.MonkeyPatch) -> None:
    state = moved(tmp_path, d1)
    fence.install(d1)
    life(state)
    monkeypatch.setattr(delta, "CHUNK_BYTES", 150)  # many transactions
    done, tried, through = threading.Event(), list[str](), list[str]()

    def outside(number: int) -> None:
        while not done.is_set():
            statement = f"INSERT INTO owner (email) VALUES ('outside {number} {len(tried)}')"
            tried.append(statement)
            with suppress(D1Error):
                d1.batch([statement])
                through.append(statement)

    writers = [threading.Thread(target=outside, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    try:
        after = state.cutover(tmp_path / "1")
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert len(after.manifest.chunks) > 5
    assert len(tried) > 5
    assert through == []
    assert after.compare().equal
    with closing(apsw.Connection(str(state.source))) as db:
        for table in after.exporter.schema.moving:
            assert same_rows(db, d1, table)
    standing = fence.read(d1)
    assert standing
    assert (standing.closed, standing.ahead, standing.missing) == (True, False, ())
    assert d1.query(f"SELECT lifted FROM {fence.TABLE}").rows == [[0]]
    assert refused(d1, "DELETE FROM tag")


def test_a_delta_that_fails_leaves_the_fence_closed(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1)
    life(state)
    fence.install(d1)
    d1.batch([fence.LIFT, "INSERT INTO owner VALUES (99, 'dee')", fence.PUT_BACK])
    before = contents(d1)
    with pytest.raises(D1Error, match="UNIQUE constraint failed"):
        state.cutover(tmp_path / "1")
    assert contents(d1) == before
    assert refused(d1, "DELETE FROM owner")


def test_a_target_that_may_be_ahead_takes_no_delta(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1)
    fence.install(d1)
    life(state)
    fence.open(d1)
    with pytest.raises(WrongUse, match=r"may hold what the source does not.*07-roll-back"):
        state.cutover(tmp_path / "1")
    with pytest.raises(D1Error, match="the fence is open, or D1 may be ahead"):
        d1.batch([fence.LIFT, "DELETE FROM tag", fence.PUT_BACK])
    fence.shut(d1)
    with pytest.raises(WrongUse, match=r"may hold what the source does not.*07-roll-back"):
        state.cutover(tmp_path / "2")
    with pytest.raises(D1Error, match="the fence is open, or D1 may be ahead"):
        d1.batch([fence.LIFT, "DELETE FROM tag", fence.PUT_BACK])
    assert load.load(d1, state.folder, state.manifest).chunks == 0, "what is there already may be asked for"
    fence.even(d1)
    assert state.cutover(tmp_path / "3").compare().equal


def test_the_way_back_finds_what_was_written_behind_it(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1)
    fence.install(d1)
    fence.open(d1)
    d1.batch(["INSERT INTO tag VALUES (3, 'new')"])
    fence.shut(d1)
    found = find_written(d1, state.manifest, state.exporter)
    assert {name: change.count for name, change in found.items() if change.count} == {"tag": 1}


@fires("CU108")
def test_a_cutover_begun_anew_while_the_target_may_be_ahead(d1: D1) -> Iterable[str]:
    checks: list[Check] = []
    state = object()
    folder = SimpleNamespace(run_id="another", results=list)
    run = SimpleNamespace(phase="06-cutover", add=checks.extend, run_folder=folder)
    bench: Any = SimpleNamespace(run=run, d1=d1, state=state, has_begun=lambda _: True)
    assert cutover.base(bench) is state
    fence.install(d1)
    assert cutover.base(bench) is state
    assert not_passed(checks) == set()
    fence.open(d1)
    for step in (fence.read, fence.shut):
        step(d1)
        with pytest.raises(CannotFinish, match=r"CU108 .*nobody carried them back.*07-roll-back"):
            cutover.base(bench)
    return not_passed(checks)
