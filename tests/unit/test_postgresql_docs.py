"""docs/postgresql.md tells the forms that the code captures, and its examples are what happens."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
from helpers import markdown
from helpers.postgresql import run

from towpath.local.postgresql import Postgresql
from towpath.postgresql.capture import capture, open_capture
from towpath.postgresql.snapshot import Snapshot
from towpath.postgresql.types import ARRAY, OTHER, RULES

PAGE = markdown.ROOT / "docs" / "postgresql.md"


def test_the_forms_of_the_types_are_those_of_the_code() -> None:
    told = [
        (tuple(markdown.code(row[0])), row[1], row[2], row[3], row[4].strip("`"))
        for row in markdown.rows(markdown.section(PAGE, "The form of each type"), "type")
    ]
    assert told == [(rule.bases, rule.form, rule.storage, rule.meaning, rule.code) for rule in (*RULES, ARRAY, OTHER)]


def test_the_examples_are_what_happens(postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path) -> None:
    rows = [
        (markdown.code(row[0])[0], markdown.code(row[1])[0])
        for row in markdown.rows(markdown.section(PAGE, "Examples"), "in PostgreSQL")
    ]
    assert len(rows) > 20
    columns = ", ".join(f"{sql} AS c{number}" for number, (sql, _) in enumerate(rows))
    run(postgresql_server, postgresql_url, f"CREATE TABLE t AS SELECT {columns}")
    with Snapshot(postgresql_url, postgresql_server.secret) as snapshot:
        done = capture(snapshot, snapshot.read_catalog(), tmp_path / "capture.sqlite")
    with closing(open_capture(done.path)) as db:
        (found,) = db.execute(f"SELECT {', '.join(f'quote(c{n})' for n in range(len(rows)))} FROM t")
    expected = apsw.Connection(":memory:").execute(f"SELECT {', '.join(f'quote({text})' for _, text in rows)}")
    assert dict(zip((sql for sql, _ in rows), found, strict=True)) == dict(
        zip((sql for sql, _ in rows), next(iter(expected)), strict=True)
    )
