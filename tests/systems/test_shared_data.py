"""Databases that real applications wrote: each is carried into a real D1 as the notebooks do it, and proved twice.

They lie beside the project (../shared/data/sqlite, each with a SOURCE.md that says where it is from), not in it.
"""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest
from helpers.carry import CLAIM, same_rows
from helpers.census import look_at
from helpers.project import HERE

from towpath.checks import Check, Decision, Verdict
from towpath.cloudflare import D1
from towpath.cloudflare.limits import PAID
from towpath.errors import BadInput
from towpath.tables import load, snapshot, virtual
from towpath.tables.acceptance import (
    constraints,
    exported,
    leaving_orphans,
    received,
    refuse_other_snapshots,
    schema_present,
    sequences,
)
from towpath.tables.changes import find_changes
from towpath.tables.compare import compare
from towpath.tables.delta import write_delta
from towpath.tables.export import Exporter
from towpath.tables.proof import prove
from towpath.tables.rules import RULES
from towpath.tables.schema import Named, quoted, reflect
from towpath.tables.source import open_source
from towpath.tables.target import apply_migration

DATA = HERE.parent / "shared" / "data" / "sqlite"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real databases lie beside the project, in ../shared/data")


@dataclass(frozen=True)
class Real:
    """What one database holds, and the findings that stop it until somebody decides: (code, object, decision)."""

    rows: int
    tables: int
    stops: tuple[tuple[str, str, str], ...] = ()


MOVES = {
    "chinook/Chinook_Sqlite.sqlite": Real(15_607, 11),
    "chinook/Chinook_Sqlite_AutoIncrementPKs.sqlite": Real(15_607, 11),
    "conduit-hono-libsql/local.db": Real(275, 8),
    "datasette-fixtures/extra_database.db": Real(2, 1, (("TB109", "searchable_fts", "drop"),)),
    "datasette-fixtures/fixtures.db": Real(1_462, 24),
    "essential-sql/EssentialSQL.db": Real(80, 5),
    "northwind/Northwind_small.sqlite": Real(3_308, 13),
    "northwind/northwind.db": Real(3_310, 13, (("TB117", "ProductDetails_V", "drop"),)),
    "pgloader-collision/collision.db": Real(1, 1),
    "pgloader-sqlite/sqlite.db": Real(37, 20),
    "pgloader-testpk/test_pk.db": Real(0, 2),
    "pgloader-type-mismatch/type-mismatch.db": Real(3, 1),
    "realworld-prisma/dev.db": Real(8, 8),
    "sakila/sakila.db": Real(44_820, 16),
    "strict-sqlite-utils/strict.db": Real(3_976, 5),
}
REFUSED = {"wrangler-d1-export-fixture/db.sqlite3": "zero tables of an application"}


@real
def test_no_database_is_left_out() -> None:
    found = {
        path.relative_to(DATA).as_posix() for path in DATA.rglob("*") if path.suffix in (".db", ".sqlite", ".sqlite3")
    }
    assert found == {*MOVES, *REFUSED}


@real
@pytest.mark.parametrize("name", REFUSED)
def test_one_with_nothing_to_move_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match=REFUSED[name]):
        open_source(DATA / name, closed_cleanly=True)


@real
@pytest.mark.parametrize("name", MOVES)
def test_a_real_database_arrives_whole_and_is_followed(name: str, tmp_path: Path, d1: D1) -> None:
    wanted = MOVES[name]
    source = writable(DATA / name, tmp_path / "source.sqlite")
    with closing(open_source(source, closed_cleanly=True)) as db:
        looked = look_at(db)
        stopping = [f for f in looked.findings() if str(RULES[f.code].severity) in ("decide", "refuse")]
        assert [(f.code, f.object) for f in stopping] == [(code, object) for code, object, _ in wanted.stops]
        decisions = [Decision(code, object, do, "in a test") for code, object, do in wanted.stops]
        conversion = looked.convert(decisions)
        checks = prove(conversion, looked.schema, PAID)
        exporter = Exporter(snapshot.take(db, tmp_path / "run"), decisions)
    manifest = exporter.export("plan", {})
    checks += [*exported(exporter, manifest), *leaving_orphans(exporter)]

    apply_migration(d1, "0001_tables.sql", conversion.table_statements, CLAIM)
    load.load(d1, tmp_path / "run", manifest)
    made = {statement.name for statement in (*conversion.fill, *conversion.virtual)}
    after = [*conversion.after_statements, *virtual.ranking(exporter.db, exporter.schema, made)]
    load.finish(d1, manifest, after, manifest.sequences)

    refuse_other_snapshots(d1, [manifest.id])
    found = compare(d1, manifest, exporter.db, exporter.relations)
    checks += [*found.checks, *received(d1, manifest), *sequences(d1, manifest)]
    checks += constraints(d1, [table.name for table in conversion.tables])
    checks += schema_present(d1, [*conversion.table_statements, *conversion.after_statements])
    assert failed(checks) == []
    assert found.equal
    assert (found.compared["rows"], found.compared["tables"]) == (wanted.rows, wanted.tables)
    assert unlike(exporter, d1) == [], "a reading of its own, that shares nothing with the product's"

    live(source)
    with closing(open_source(source, closed_cleanly=True)) as db:
        new = Exporter(snapshot.take(db, tmp_path / "later"), decisions)
    changes = find_changes(manifest, exporter, new)
    on = {trigger.name: trigger.table for trigger in new.schema.triggers}
    triggers = [Named(trigger.name, trigger.sql, on[trigger.name]) for trigger in conversion.triggers]
    again = [sql for table in new.schema.tables if table.name in made for sql in virtual.after_statements(table)]
    delta = write_delta(new, changes, manifest, triggers, "plan", {}, again)
    load.load(d1, tmp_path / "later", delta)
    found = compare(d1, delta, new.db, new.relations)
    checks = [*found.checks, *received(d1, delta), *sequences(d1, delta)]
    checks += constraints(d1, [table.name for table in conversion.tables])
    checks += schema_present(d1, [*conversion.table_statements, *conversion.after_statements])
    assert failed(checks) == []
    assert unlike(new, d1) == []
    assert bool(wanted.rows) == any(change.count for change in changes.values())
    exporter.close()
    new.close()


def writable(path: Path, copy: Path) -> Path:
    """A copy that may be changed, its write-ahead log included."""
    with closing(open_source(path, closed_cleanly=True)) as db, closing(apsw.Connection(str(copy))) as made:
        with made.backup("main", db, "main") as backup:
            backup.step()
        made.execute("PRAGMA journal_mode = DELETE")
    return copy


def live(source: Path) -> None:
    """What an application may do: in every table one row goes, one comes, one changes, where constraints let it."""
    with closing(apsw.Connection(str(source))) as db:
        db.execute("PRAGMA foreign_keys = on")
        for table in reflect(db).moving:
            name, bound = quoted(table.name), {c for fk in table.foreign_keys for c in fk.columns}
            free = [quoted(c.name) for c in table.stored if not c.key and c.name not in bound]
            listed = ", ".join(quoted(c.name) for c in table.stored if table.rowid_alias != c.name)
            for sql in (
                f"DELETE FROM {name} WHERE _rowid_ = (SELECT max(_rowid_) FROM {name})",
                f"INSERT INTO {name} ({listed}) SELECT {listed} FROM {name} LIMIT 1" if listed else "SELECT 1",
                *(f"UPDATE {name} SET {c} = NULL WHERE _rowid_ = (SELECT min(_rowid_) FROM {name})" for c in free[:3]),
            ):
                with suppress(apsw.ConstraintError):
                    db.execute(sql)


def unlike(exporter: Exporter, d1: D1) -> list[str]:
    return [table.name for table in exporter.schema.moving if not same_rows(exporter.db, d1, table)]


def failed(checks: list[Check]) -> list[tuple[str, str, str]]:
    return [(check.code, check.object, check.found) for check in checks if check.verdict is not Verdict.PASS]
