"""Generated columns that the target computes, held against what PostgreSQL had stored."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from helpers.fires import fires, not_passed
from helpers.postgresql import run

from towpath.checks import Check
from towpath.fitting.account import fit, same_names
from towpath.fitting.computed import computed
from towpath.fitting.shape import shape
from towpath.fitting.source import source_of
from towpath.local.postgresql import Postgresql
from towpath.postgresql import convert
from towpath.postgresql.capture import capture
from towpath.postgresql.snapshot import Snapshot
from towpath.workbench.server_fit import declared_by


def judged(server: Postgresql, url: str, folder: Path, key: str) -> list[Check]:
    """What is said of a table with one generated column."""
    columns = f"id integer {key}, i integer, g integer GENERATED ALWAYS AS (i + 1) STORED"
    run(server, url, f"CREATE TABLE t ({columns}); INSERT INTO t VALUES (1, 5), (2, NULL), (3, 0)")
    with Snapshot(url, server.secret) as snapshot:
        catalog = snapshot.read_catalog()
        captured = capture(snapshot, catalog, folder / "capture.sqlite")
    made = convert.convert(catalog)
    schema, source = declared_by([*made.table_statements, *made.after_statements]), source_of(catalog)
    shaped = shape(captured.path, schema, fit(source, schema, same_names(source, schema)), folder / "shaped.sqlite")
    return computed(captured.path, shaped.path, made, schema)


def erring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the translator take every `+` for a `-`."""
    real = convert.translate
    monkeypatch.setattr(convert, "translate", lambda sql, *given: real(sql.replace("+", "-"), *given))


@fires("FT404")
def test_another_value_than_postgresqls_fails(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterable[str]:
    erring(monkeypatch)
    return not_passed(judged(postgresql_server, postgresql_url, tmp_path, "PRIMARY KEY"))


@pytest.mark.parametrize(("key", "keys"), [("PRIMARY KEY", ("1", "3")), ("NOT NULL", ())])
def test_its_rows_are_named_by_their_keys(
    key: str,
    keys: tuple[str, ...],
    postgresql_server: Postgresql,
    postgresql_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    erring(monkeypatch)
    (found,) = judged(postgresql_server, postgresql_url, tmp_path, key)
    assert (found.object, found.found, found.keys) == ("public.t.g", "2 rows with other values", keys)


def test_the_same_values_pass(postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path) -> None:
    (found,) = judged(postgresql_server, postgresql_url, tmp_path, "PRIMARY KEY")
    assert (found.found, found.verdict) == ("in every row", "PASS")
