"""An application that searches: its FTS5 and R*Tree tables make the whole voyage, by the command that people use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import apsw
import pytest
import yaml
from helpers.project import Project
from helpers.tiny import tiny

SEARCH = """
CREATE VIRTUAL TABLE words USING fts5 (title, body, tokenize = 'porter');
CREATE VIRTUAL TABLE places USING rtree (id, west, east, south, north, +name TEXT);
CREATE VIRTUAL TABLE titles USING fts5 (title, content = 'tasks');
CREATE TRIGGER tasks_found AFTER INSERT ON tasks BEGIN
    INSERT INTO words (rowid, title) VALUES (new.rowid, new.title);
    INSERT INTO titles (rowid, title) VALUES (new.rowid, new.title);
END;
INSERT INTO words (rowid, title, body) VALUES (1, 'anchors', 'how to drop them'), (40, 'ropes', NULL);
INSERT INTO words (words, rank) VALUES ('rank', 'bm25(9.0, 1.0)');
INSERT INTO places VALUES (1, 9.5, 9.6, 47.1, 47.2, 'the lake'), (2, -1, 1, 51, 52, NULL);
INSERT INTO titles (titles) VALUES ('rebuild');
"""
LATER = """
UPDATE words SET body = 'how to weigh them' WHERE rowid = 1;
DELETE FROM words WHERE rowid = 40;
INSERT INTO tasks (id, owner_id, title) VALUES ('t9', 'p2', 'sailing at night');
UPDATE places SET east = 9.75 WHERE id = 1;
DELETE FROM places WHERE id = 2;
INSERT INTO places VALUES (3, 0, 1, 0, 1, 'null island');
"""
READ = (
    "SELECT rowid, title, body FROM words ORDER BY rowid",
    "SELECT id, west, east, south, north, name FROM places ORDER BY id",
    "SELECT rowid FROM words WHERE words MATCH 'sail OR anchor' ORDER BY rank",
    "SELECT title FROM titles WHERE titles MATCH 'sailing OR note' ORDER BY title",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with tiny(tmp_path_factory.mktemp("search") / "tiny") as made:
        with closing(apsw.Connection(str(made.database))) as db:
            db.execute(SEARCH)
        mapping = yaml.safe_load(made.runbook("mapping.yaml").read_text(encoding="utf-8"))
        fill = [{"code": "TB116", "object": name, "do": "fill", "reason": "searched"} for name in ("words", "places")]
        mapping["decisions"] += fill
        made.runbook("mapping.yaml").write_text(yaml.safe_dump(mapping), encoding="utf-8")
        yield made


def both(project: Project) -> tuple[list[list[list[object]]], list[list[list[object]]]]:
    return [[list(row) for row in project.source(sql)] for sql in READ], [project.target(sql) for sql in READ]


def test_what_an_application_searches_moves_is_proved_and_follows(project: Project) -> None:
    moved = project.phases("01-inventory", "02-schema", "03-export", "04-import", "05-validate")
    assert moved.code == 0, moved.text
    before, there = both(project)
    assert there == before

    project.target("UPDATE words SET body = 'how to lose them' WHERE rowid = 1")
    project.target("DELETE FROM places WHERE id = 2")
    damaged = project.phases("05-validate")
    assert damaged.code == 1, damaged.text
    found = {(d["object"], d["key"], d["kind"]) for d in project.differences("05-validate.2")}
    assert found == {("words", "1", "changed"), ("places", "2", "missing")}
    project.target("UPDATE words SET body = 'how to drop them' WHERE rowid = 1")
    project.target("INSERT INTO places VALUES (2, -1, 1, 51, 52, NULL)")

    with closing(apsw.Connection(str(project.database))) as db:
        db.execute(LATER)
    done = project.phases("05-validate", "06-cutover")
    assert done.code == 0, done.text
    now, there = both(project)
    assert now != before
    assert there == now
