"""Receipts, claim and migrations: everything is written exactly once, and only into a target that is this run's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.carry import CLAIM, Carried, carry, make_source, prepare

from towpath.cloudflare import D1, D1Error
from towpath.errors import BadInput, WrongUse
from towpath.tables import load, target
from towpath.tables.acceptance import refuse_other_snapshots
from towpath.tables.manifest import read_chunk
from towpath.tables.schema import quoted
from towpath.tables.target import (
    OWNER,
    RECEIPTS,
    Receipt,
    apply_migration,
    claim_checks,
    once,
    owner,
    receipt,
    receipts,
)

OTHER = {**CLAIM, "run": "another"}
TABLE = ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)"]


def everything(d1: D1) -> list[list[object]]:
    """Every object and every row of the target, Towpath's own included."""
    tables = d1.query("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE '_cf_%' ORDER BY 1, 2").rows
    names = [name for kind, name, _ in tables if kind == "table"]
    return [*tables, *(row for name in names for row in d1.query(f"SELECT * FROM {quoted(name)}").rows)]


def refused(error: BadInput | WrongUse) -> str:
    assert "\n" not in error.line
    assert error.next
    return error.line


# -- receipts


def test_a_new_target_has_no_receipts_and_no_owner(d1: D1) -> None:
    assert receipts(d1, "x") == {}
    assert owner(d1) == {}


def test_a_transaction_with_a_receipt_is_written_once(d1: D1) -> None:
    d1.batch([*target.CREATE, *TABLE])
    body = d1.body([receipt("s/000000", "aa", 1), "INSERT INTO t (v) VALUES ('one')"])
    assert once(d1, body, "s/000000", "aa")
    before = everything(d1)
    assert not once(d1, body, "s/000000", "aa")
    assert everything(d1) == before
    assert receipts(d1, "s") == {"s/000000": Receipt("aa", 1)}


def test_a_receipt_of_the_same_name_for_another_content_is_refused(d1: D1) -> None:
    d1.batch([*target.CREATE, *TABLE, receipt("s/000000", "aa", 1)])
    before = everything(d1)
    with pytest.raises(WrongUse) as caught:
        once(d1, d1.body([receipt("s/000000", "bb", 1), "INSERT INTO t (v) VALUES (2)"]), "s/000000", "bb")
    assert "another content" in refused(caught.value)
    assert everything(d1) == before


def test_a_unique_value_that_is_no_receipt_is_an_error_of_its_own(d1: D1) -> None:
    d1.batch([*target.CREATE, "CREATE TABLE u (v UNIQUE)", "INSERT INTO u VALUES (1)"])
    body = d1.body([receipt("s/000000", "aa", 1), "INSERT INTO u VALUES (1)"])
    with pytest.raises(D1Error, match=r"UNIQUE constraint failed: u\.v"):
        once(d1, body, "s/000000", "aa")
    assert receipts(d1, "s") == {}


def test_a_failed_transaction_leaves_no_receipt(d1: D1) -> None:
    d1.batch([*target.CREATE, *TABLE])
    with pytest.raises(D1Error):
        once(d1, d1.body([receipt("s/0", "aa", 1), "INSERT INTO t (v) VALUES (1)", "SELECT gone FROM t"]), "s/0", "aa")
    assert receipts(d1, "s") == {}
    assert d1.query("SELECT count(*) FROM t").rows == [[0]]


def test_receipts_are_found_by_their_whole_prefix(d1: D1) -> None:
    ids = ["a/1", "a/2", "ab/1", "a-after/1", "A/1", "a", "a0", "it's/1", "b/1"]
    d1.batch([*target.CREATE, *(receipt(id, "x", n) for n, id in enumerate(ids))])
    assert list(receipts(d1, "a")) == ["a/1", "a/2"]
    assert receipts(d1, "it's") == {"it's/1": Receipt("x", 7)}
    assert receipts(d1, "none") == {}


def test_many_receipts_come_in_several_answers(d1: D1) -> None:
    numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
    d1.batch([*target.CREATE, f"INSERT INTO {RECEIPTS} (id, sha256, rows) {numbers} SELECT 'a/' || i, i, i FROM n"])
    found = receipts(d1, "a")
    assert len(found) == 10_001
    assert all(id == f"a/{held.rows}" for id, held in found.items())


# -- whose the target is


def test_an_empty_target_may_be_claimed_and_is_then_this_runs(d1: D1) -> None:
    assert not claim_checks(d1, CLAIM)
    assert apply_migration(d1, "0001.sql", TABLE, CLAIM) == "applied"
    assert claim_checks(d1, CLAIM)
    assert owner(d1) == CLAIM


def test_a_target_of_another_run_is_refused(d1: D1) -> None:
    apply_migration(d1, "0001.sql", TABLE, CLAIM)
    before = everything(d1)
    for attempt in (lambda: claim_checks(d1, OTHER), lambda: apply_migration(d1, "0002.sql", TABLE, OTHER)):
        with pytest.raises(BadInput) as caught:
            attempt()
        assert "belongs to another run: one of test" in refused(caught.value)
    assert everything(d1) == before


@pytest.mark.parametrize("ddl", ["CREATE TABLE theirs (a)", 'CREATE TABLE "it\'s ""x""" (a)'])
def test_a_target_that_is_not_empty_is_refused(d1: D1, ddl: str) -> None:
    d1.batch([ddl])
    before = everything(d1)
    for attempt in (lambda: claim_checks(d1, CLAIM), lambda: apply_migration(d1, "0001.sql", TABLE, CLAIM)):
        with pytest.raises(BadInput) as caught:
            attempt()
        assert "the target is not empty: 1 tables" in refused(caught.value)
        assert d1.database_id in caught.value.line
    assert everything(d1) == before


def test_tables_that_are_not_an_applications_do_not_make_a_target_full(d1: D1) -> None:
    d1.batch([target.MIGRATIONS, "CREATE TABLE _towpath_note (a)"])
    assert not claim_checks(d1, CLAIM)


# -- migrations


def test_a_migration_is_applied_once_and_noted_as_wrangler_does(d1: D1) -> None:
    statements = [*TABLE, "INSERT INTO t (v) VALUES ('it''s')"]
    assert apply_migration(d1, "0001_it's.sql", statements, CLAIM) == "applied"
    before = everything(d1)
    assert apply_migration(d1, "0001_it's.sql", statements, CLAIM) == "already done"
    assert everything(d1) == before
    assert d1.query("SELECT id, name FROM d1_migrations").rows == [[1, "0001_it's.sql"]]
    assert apply_migration(d1, "0002_empty.sql", [], CLAIM) == "applied"
    assert apply_migration(d1, "0002_empty.sql", [], CLAIM) == "already done"
    assert d1.query("SELECT name FROM d1_migrations ORDER BY id").rows == [["0001_it's.sql"], ["0002_empty.sql"]]


def test_a_migration_with_another_content_is_refused(d1: D1) -> None:
    apply_migration(d1, "0001.sql", TABLE, CLAIM)
    before = everything(d1)
    with pytest.raises(WrongUse) as caught:
        apply_migration(d1, "0001.sql", ["CREATE TABLE t (id INTEGER PRIMARY KEY, w)"], CLAIM)
    assert "applied with another content" in refused(caught.value)
    assert everything(d1) == before


def test_a_migration_that_fails_leaves_neither_table_nor_claim(d1: D1) -> None:
    with pytest.raises(D1Error, match="no such table"):
        apply_migration(d1, "0001.sql", [*TABLE, "INSERT INTO gone VALUES (1)"], CLAIM)
    assert owner(d1) == {}
    assert d1.facts().empty
    assert apply_migration(d1, "0001.sql", TABLE, OTHER) == "applied"


# -- one snapshot, and its fingerprint


@pytest.fixture
def carried(d1: D1, tmp_path: Path) -> Carried:
    make_source(
        tmp_path / "s.sqlite", "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t (v) VALUES (1), (2)"
    ).close()
    return carry(tmp_path / "s.sqlite", tmp_path / "run", d1)


def test_loading_again_changes_nothing(carried: Carried) -> None:
    before = everything(carried.d1)
    seen: list[int] = []
    done = load.load(carried.d1, carried.folder, carried.manifest, seen.append)
    assert (done.chunks, done.skipped, done.rows, done.bytes) == (0, 1, 0, 0)
    assert sum(seen) == 2  # rows that are there count as done
    assert load.finish(carried.d1, carried.manifest, [], {}) == 0
    assert everything(carried.d1) == before


def test_a_chunk_of_the_same_name_with_another_content_is_refused(carried: Carried) -> None:
    before = everything(carried.d1)
    chunks = tuple(replace(chunk, sha256="0" * 64) for chunk in carried.manifest.chunks)
    with pytest.raises(WrongUse) as caught:
        load.load(carried.d1, carried.folder, replace(carried.manifest, chunks=chunks))
    assert "another content" in refused(caught.value)
    assert everything(carried.d1) == before


def test_a_body_is_its_receipt_and_the_chunk_as_it_lies_on_disk(carried: Carried) -> None:
    (chunk,) = carried.manifest.chunks
    body = load.body(carried.folder, chunk)
    assert body.startswith(b'{"batch":[{"sql":"INSERT INTO _towpath_receipt')
    assert body.endswith(read_chunk(carried.folder, chunk) + b"]}")


def test_rows_of_another_snapshot_are_refused(carried: Carried, tmp_path: Path) -> None:
    id = carried.manifest.id
    refuse_other_snapshots(carried.d1, [id])
    refuse_other_snapshots(carried.d1, ["older", id])
    exporter, other = prepare(carried.source, tmp_path / "other")
    exporter.close()
    for known in ([], [other.id], [id[:-1]], [f"{id}0"]):
        with pytest.raises(BadInput) as caught:
            refuse_other_snapshots(carried.d1, known)
        assert f"rows of another snapshot ({id}" in refused(caught.value)
        assert carried.d1.database_id in caught.value.line


def test_an_empty_target_holds_no_other_snapshot(d1: D1) -> None:
    refuse_other_snapshots(d1, [])
    apply_migration(d1, "0001.sql", TABLE, CLAIM)
    refuse_other_snapshots(d1, ["any"])


def test_the_fingerprint_tells_what_the_application_holds_and_nothing_else(carried: Carried) -> None:
    facts = carried.d1.facts()
    assert (facts.database_id, facts.name, facts.tables) == (
        carried.d1.database_id, carried.d1.database_id, (("t", 2),),
    )  # fmt: skip
    carried.d1.batch(["INSERT INTO t (v) VALUES (3)"])
    assert carried.d1.facts().tables == (("t", 3),)
    assert {name for name, in carried.d1.query("SELECT name FROM sqlite_schema WHERE name GLOB '_towpath*'").rows} == {
        RECEIPTS, OWNER,
    }  # fmt: skip
