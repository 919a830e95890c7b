"""Foreign keys that refer to a unique index: D1 checks references from the first row, so it is made with the tables."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
from helpers.carry import CLAIM, make_source, prepare
from helpers.census import look

from towpath.cloudflare import D1
from towpath.tables import load, target
from towpath.tables.compare import compare

SCRIPT = """
CREATE TABLE "user" (id TEXT PRIMARY KEY NOT NULL, email TEXT NOT NULL, realm INTEGER, name TEXT, nick TEXT);
CREATE TABLE post (id INTEGER PRIMARY KEY, mail TEXT REFERENCES "USER" (EMAIL), realm INTEGER, name TEXT,
    FOREIGN KEY (realm, name) REFERENCES user (realm, name) ON DELETE CASCADE);
CREATE UNIQUE INDEX user_email ON user (email);
CREATE UNIQUE INDEX user_named ON user (name, realm);
CREATE UNIQUE INDEX user_nick ON user (nick);
CREATE UNIQUE INDEX user_some ON user (realm) WHERE nick IS NULL;
CREATE INDEX post_mail ON post (mail);
INSERT INTO user VALUES ('a', 'ann@example.com', 1, 'Ann', 'a');
INSERT INTO post VALUES (1, 'ann@example.com', 1, 'Ann'), (2, NULL, 2, NULL);
"""


def test_a_unique_index_that_a_reference_needs_is_made_with_the_tables() -> None:
    made = look(SCRIPT).convert()
    assert {statement.name for statement in made.keys} == {"user_email", "user_named"}
    assert {statement.name for statement in made.indexes} == {"user_nick", "user_some", "post_mail"}
    assert [sql.split()[1] for sql in made.table_statements] == ["TABLE", "TABLE", "UNIQUE", "UNIQUE"]
    assert made.migration_tables().count("CREATE UNIQUE INDEX") == 2
    assert made.migration_after().count("CREATE UNIQUE INDEX") == 2
    told = {account.name: account.outcome for account in made.accounting if account.kind == "index"}
    assert {told[name] for name in ("user_email", "user_named", "user_nick", "user_some", "post_mail")} == {"kept"}


def test_rows_arrive_that_refer_to_a_unique_index(tmp_path: Path, d1: D1) -> None:
    with closing(make_source(tmp_path / "s.sqlite", SCRIPT)):
        exporter, manifest = prepare(tmp_path / "s.sqlite", tmp_path / "run")
    made = look(SCRIPT).convert()
    target.apply_migration(d1, "0001_tables.sql", made.table_statements, CLAIM)
    load.load(d1, tmp_path / "run", manifest)
    load.finish(d1, manifest, made.after_statements, manifest.sequences)
    found = compare(d1, manifest, exporter.db, exporter.relations)
    exporter.close()
    assert found.equal
    assert found.compared["rows"] == 3
    assert d1.query("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name LIKE 'user%'").rows == [[4]]


def test_one_whose_reference_was_dropped_is_made_later() -> None:
    """A reference to columns that are not unique is no reference (TB113): it needs nothing to be there first."""

    def application(db: apsw.Connection) -> None:
        db.create_scalar_function("slug", lambda *v: str(v[0]).lower(), 1, deterministic=True)

    script = """CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT); CREATE UNIQUE INDEX p_name ON p (slug(name));
        CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p (name))"""
    looked = look(script, application)
    made = looked.convert(looked.decided())
    assert made.keys == made.indexes == ()
