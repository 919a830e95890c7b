"""Whatever the new application writes on the target, it can be carried back into the file, and nothing else changes."""

from __future__ import annotations

import secrets
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
from helpers.carry import Carried, carry, make_source, prepare, same_rows
from helpers.life import FILL, FILLED, LIFE, POPULATION, SCHEMA, Operations, live
from hypothesis import HealthCheck, given, settings

from towpath.cloudflare import Client
from towpath.cloudflare.d1 import D1
from towpath.cloudflare.errors import D1Error
from towpath.tables.back import carry_back, target_sequences
from towpath.tables.compare import compare
from towpath.tables.written import against_source, find_written


def literal(value: object) -> str:
    """A Python value in SQL, by another way than the product's."""
    if isinstance(value, str):
        return f"CAST(x'{value.encode().hex()}' AS TEXT)"
    return "NULL" if value is None else repr(value)


def live_there(d1: D1, operations: Operations) -> None:
    """What the new application does on the target: each operation holds its constraints, or changes nothing."""
    for sql, values in operations:
        statements = [sql]
        if sql == "SWAP":
            left, right = map(literal, values)
            statements = [
                f"UPDATE owner SET email = email || ' ' WHERE id = {left}",
                f"UPDATE owner SET email = (SELECT rtrim(email) FROM owner WHERE id = {left}) WHERE id = {right}",
            ]
        elif sql == "REPLACED":
            taken = f"SELECT id + 1, email FROM owner WHERE id = {literal(values[0])}"
            statements = [f"INSERT OR REPLACE INTO owner (id, email) {taken}"]
        else:
            for value in values:
                statements = [statements[0].replace("?", literal(value), 1)]
        with suppress(D1Error):
            d1.batch(statements)


def back(state: Carried, folder: Path) -> None:
    """Carry what the target has into the source, and prove it by the product's own comparison."""
    written = find_written(state.d1, state.manifest, state.exporter)
    now, _ = prepare(state.source, folder / "now", FILL)
    todo, conflicts = against_source(state.manifest, state.exporter, now, written)
    assert conflicts == []
    carry_back(state.source, now, todo, target_sequences(state.d1, now.schema))
    after, made = prepare(state.source, folder / "after", FILL)
    found = compare(state.d1, made, after.db, after.relations)
    assert found.equal, found.differences
    for exporter in (now, after):
        exporter.close()


@given(before=LIFE, there=LIFE)
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_what_the_target_holds_comes_back(client: Client, before: Operations, there: Operations) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        with closing(make_source(folder / "s.sqlite", SCHEMA + POPULATION)) as db:
            live(db, before)
        state = carry(folder / "s.sqlite", folder / "0", D1(client, f"b{secrets.token_hex(8)}"), FILL)
        declared = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
        with closing(apsw.Connection(str(state.source))) as db:
            was = list(db.execute(declared))
        live_there(state.d1, there)
        back(state, folder)
        with closing(apsw.Connection(str(state.source))) as db:
            for table in state.exporter.schema.moving:
                assert same_rows(db, state.d1, table), table.name
            for sql in FILLED:
                assert state.d1.query(sql).rows == [list(row) for row in db.execute(sql)]
            assert list(db.execute(declared)) == was
            assert not list(db.execute("PRAGMA foreign_key_check"))
        state.exporter.close()
