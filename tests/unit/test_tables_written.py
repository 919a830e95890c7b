"""What was written is found without a log on the target, because such a log misses rows (docs/decisions/0012)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from helpers.carry import carry, make_source

from towpath.cloudflare.d1 import D1
from towpath.tables.written import find_written

OWNERS = """
CREATE TABLE owner (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE);
INSERT INTO owner VALUES (1, 'ann'), (2, 'bob'), (3, 'cy');
"""
LOG = (
    "CREATE TABLE log (what TEXT, id INTEGER)",
    "CREATE TRIGGER came AFTER INSERT ON owner BEGIN INSERT INTO log VALUES ('insert', new.id); END",
    "CREATE TRIGGER went AFTER DELETE ON owner BEGIN INSERT INTO log VALUES ('delete', old.id); END",
    "CREATE TRIGGER changed AFTER UPDATE ON owner BEGIN INSERT INTO log VALUES ('update', new.id); END",
)


@pytest.mark.parametrize(
    ("write", "logged", "inserted", "updated", "deleted"),
    [
        ("REPLACE INTO owner VALUES (4, 'bob')", [("insert", 4)], {4}, set(), {2}),
        ("UPDATE OR REPLACE owner SET email = 'bob' WHERE id = 1", [("update", 1)], set(), {1}, {2}),
    ],
    ids=["REPLACE INTO", "UPDATE OR REPLACE"],
)
def test_a_log_of_triggers_on_the_target_misses_the_row_that_was_replaced(
    tmp_path: Path, d1: D1, write: str, logged: list[object], inserted: set[int], updated: set[int], deleted: set[int]
) -> None:
    with closing(make_source(tmp_path / "s.sqlite", OWNERS)):
        state = carry(tmp_path / "s.sqlite", tmp_path / "0", d1)
    d1.batch(LOG)
    d1.batch([write])
    assert [tuple(row) for row in d1.query("SELECT what, id FROM log").rows] == logged
    found = find_written(d1, state.manifest, state.exporter)["owner"]
    kinds = (found.inserted, found.updated, found.deleted)
    assert [{int(bytes.fromhex(key)) for key in kind} for kind in kinds] == [inserted, updated, deleted]
