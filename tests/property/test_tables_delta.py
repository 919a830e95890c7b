"""Whatever the application does between export and cutover, the delta brings the target to the same state."""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from helpers.carry import carry, make_source, same_rows
from helpers.life import FILL, FILLED, LIFE, POPULATION, SCHEMA, Operations, live
from hypothesis import HealthCheck, given, settings

from towpath.cloudflare import Client
from towpath.cloudflare.d1 import D1


@given(before=LIFE, after=LIFE, more=LIFE)
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_the_delta_reaches_the_new_state(
    client: Client,
    before: Operations,
    after: Operations,
    more: Operations,
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        with closing(make_source(folder / "s.sqlite", SCHEMA + POPULATION)) as db:
            live(db, before)
            state = carry(folder / "s.sqlite", folder / "0", D1(client, f"p{secrets.token_hex(8)}"), FILL)
            for number, operations in enumerate((after, more), 1):
                live(db, operations)
                state = state.cutover(folder / str(number), FILL)
                for table in state.exporter.schema.moving:
                    assert same_rows(state.exporter.db, state.d1, table), table.name
                for sql in FILLED:
                    assert state.d1.query(sql).rows == [list(row) for row in db.execute(sql)]
                found = state.compare()
                assert found.equal, found.differences
            triggers = state.d1.query("SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY 1").rows
            assert triggers == [["item_named"], ["owner_made"]]
            seq = "SELECT seq FROM sqlite_sequence WHERE name = 'owner'"
            assert [tuple(r) for r in state.d1.query(seq).rows] == list(db.execute(seq))
            assert not state.d1.query("PRAGMA foreign_key_check").rows


def test_nothing_changed_sends_nothing(d1: D1, tmp_path: Path) -> None:
    with closing(make_source(tmp_path / "s.sqlite", SCHEMA)) as db:
        live(db, [("INSERT INTO owner VALUES (?, ?, ?, NULL)", (1, "a@b", "n"))])
        state = carry(tmp_path / "s.sqlite", tmp_path / "0", d1).cutover(tmp_path / "1")
    assert state.manifest.chunks == ()
