"""07-roll-back of a PostgreSQL source whose new side brought its own schema: the notebooks' own cells, a real D1.

Both sides are written to after the cutover, the way back is cut before and after its COMMIT, and what has no way back
is named before anything is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from helpers.project import PHASES
from helpers.rehearsal import Rehearsal, rehearse

from towpath.cloudflare import Client
from towpath.cloudflare.d1 import D1
from towpath.errors import CannotFinish
from towpath.fitting import carrying
from towpath.local import Runtime
from towpath.local.postgresql import Postgresql

SOURCE = """
CREATE TABLE people (id uuid PRIMARY KEY, name varchar(20) NOT NULL, since timestamptz NOT NULL, seen timestamptz);
CREATE TABLE orders (id bigserial PRIMARY KEY, person uuid REFERENCES people (id), price numeric(10, 2), more jsonb);
CREATE TABLE rates (id int PRIMARY KEY, rate numeric);
CREATE TABLE log (what text);
INSERT INTO people SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'p' || n, '2024-01-01 00:00:00Z', now()
    FROM generate_series(1, 3) AS n;
INSERT INTO orders (person, price, more) SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, n, '{"a": 1}'
    FROM generate_series(1, 3) AS n;
INSERT INTO rates VALUES (1, 'NaN'), (2, 0.5);
INSERT INTO log VALUES ('a'), ('a'), ('b');
"""
TARGET = """
CREATE TABLE people (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, since INTEGER NOT NULL, tongue TEXT NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, person TEXT REFERENCES people (id), cents INTEGER,
    more TEXT);
CREATE TABLE rates (id INTEGER PRIMARY KEY, rate REAL);
CREATE TABLE log (what TEXT);
"""
FIT = [
    {
        "from": "public.people",
        "to": "people",
        "columns": {
            "id": "id",
            "name": "name",
            "since": {"from": "since", "as": "unix_seconds"},
            "tongue": {"constant": "en"},
        },
        "drop": {"seen": "nobody asks"},
        "back": {"seen": "keep"},
    },
    {
        "from": "public.orders",
        "to": "orders",
        "columns": {"id": "id", "person": "person", "cents": {"from": "price", "as": "cents"}, "more": "more"},
    },
    {
        "from": "public.rates",
        "to": "rates",
        "rows": "rate <> 'NaN'",
        "columns": {"id": "id", "rate": {"from": "rate", "as": "real"}},
    },
    {"from": "public.log", "to": "log", "columns": {"what": "what"}},
]
NEW = "00000000-0000-0000-0000-00000000000a"


@dataclass
class Crossed:
    """A source that went over."""

    trial: Rehearsal
    server: Postgresql
    url: str
    d1: D1

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """One query to the source."""
        with psycopg.connect(self.url, password=self.server.password) as db:
            return list(db.execute(sql.encode()).fetchall())

    def run(self, sql: str) -> None:
        """Change the source."""
        with psycopg.connect(self.url, password=self.server.password, autocommit=True) as db:
            db.execute(sql.encode())

    def failed(self) -> dict[str, list[str]]:
        """The checks that fail, with what they name."""
        return {one["code"]: one["keys"] for one in self.trial.checks("07-roll-back", "FAIL")}

    @property
    def frozen(self) -> bool:
        """Whether the old application still refuses writes."""
        return (self.trial.root / "data" / "maintenance.json").exists()


@pytest.fixture
def crossed(
    tmp_path: Path, runtime: Runtime, client: Client, postgresql_server: Postgresql, postgresql_url: str
) -> Crossed:
    with psycopg.connect(postgresql_url, password=postgresql_server.password, autocommit=True) as db:
        db.execute(SOURCE.encode())
    secret = tmp_path / "password"
    secret.write_text(postgresql_server.password, encoding="utf-8")
    secret.chmod(0o600)
    where = {"source_database": postgresql_url, "source_password": f"file:{secret}"}
    trial = rehearse(tmp_path / "root", runtime, where)
    (trial.root / "migrations").mkdir()
    (trial.root / "migrations" / "0001_init.sql").write_text(TARGET, encoding="utf-8")
    trial.tables = {"mode": "adopt", "migrations": "migrations", "fit": FIT}
    for phase in PHASES[1:]:
        while (verdict := trial.phase(phase)) == "FAIL" and trial.decide_all(phase):
            for earlier in PHASES[1 : PHASES.index(phase)]:  # another plan
                assert trial.phase(earlier) == "PASS"
        assert verdict == "PASS", trial.checks(phase, "FAIL")
    return Crossed(trial, postgresql_server, postgresql_url, D1(client, trial.params["d1_database_id"]))


def test_there_and_back(crossed: Crossed, monkeypatch: pytest.MonkeyPatch) -> None:
    told = crossed.trial.checks("02-schema", "WARN")
    assert [one["keys"] for one in told if one["code"] == "CU212"] == [["people.tongue: no value but constant 'en'"]]
    crossed.d1.batch(
        [
            f"INSERT INTO people VALUES ('{NEW}', 'new', 1700000000, 'en')",
            f"INSERT INTO orders (person, cents, more) VALUES ('{NEW}', 1999, '{{\"b\":1,\"a\":[]}}')",
            "UPDATE people SET name = 'other' WHERE name = 'p1'",
            "UPDATE orders SET more = '{\"a\":1}' WHERE id = 2",  # the same in other words
            "DELETE FROM orders WHERE id = 3",
            "INSERT INTO log VALUES ('b')",
            "DELETE FROM log WHERE rowid = 1",
        ]
    )
    before = crossed.ask("SELECT * FROM people ORDER BY id")

    # a row that has no way back, a value that no column takes, a key that a parked row has, a row of the source's own
    crossed.d1.batch(
        [
            "UPDATE people SET tongue = 'de' WHERE name = 'p2'",
            "UPDATE orders SET person = NULL, more = 'no json' WHERE id = 1",
            "INSERT INTO rates VALUES (1, 0.25)",
        ]
    )
    crossed.run("UPDATE people SET name = 'mine' WHERE name = 'p3'")
    assert crossed.trial.phase("07-roll-back") == "INCOMPLETE"
    named = crossed.failed()
    assert named["CU208"][0].startswith("people.tongue '00000000-0000-0000-0000-000000000002': constant 'en'")
    assert named["CU209"] == ["orders 1: invalid input syntax for type json"]
    assert named["CU201"] == [
        "people '00000000-0000-0000-0000-000000000003': the source was written to after the cutover",
        "rates 1: a row that stayed behind has this key",
    ]
    crossed.run("UPDATE people SET name = 'p3' WHERE name = 'mine'")
    assert crossed.ask("SELECT * FROM people ORDER BY id") == before
    person = "00000000-0000-0000-0000-000000000001"
    crossed.d1.batch(
        [
            "UPDATE people SET tongue = 'en' WHERE name = 'p2'",
            f"UPDATE orders SET person = '{person}', more = '{{\"a\": 1}}' WHERE id = 1",
            "DELETE FROM rates WHERE id = 1",
        ]
    )

    # cut before the COMMIT, and after it
    def cut(*_: object) -> None:
        raise CannotFinish("cut", object="here", next="again")

    with monkeypatch.context() as patch:
        patch.setattr(carrying, "_prove", cut)
        assert crossed.trial.phase("07-roll-back") == "INCOMPLETE"
    assert crossed.ask("SELECT * FROM people ORDER BY id") == before
    assert crossed.frozen
    with monkeypatch.context() as patch:
        patch.setattr("towpath.workbench.server_back.ServerBack.look_again", cut)
        assert crossed.trial.phase("07-roll-back") == "INCOMPLETE"
    assert crossed.frozen
    assert crossed.ask("SELECT count(*) FROM people") == [(4,)]
    assert crossed.trial.phase("07-roll-back") == "PASS", crossed.trial.checks("07-roll-back", "FAIL")
    assert not crossed.frozen
    assert crossed.trial.numbers("07-roll-back")["rows_to_carry_back"] == 0
    assert crossed.trial.numbers("07-roll-back")["cells_in_other_words"] == 2

    assert crossed.ask("SELECT name, extract(epoch FROM since)::int, seen FROM people WHERE name = 'new'") == [
        ("new", 1700000000, None)
    ]
    assert crossed.ask("SELECT count(*) FROM people WHERE seen IS NULL OR name IN ('other', 'p2', 'p3')") == [(4,)]
    assert crossed.ask("SELECT id, price::text, more FROM orders ORDER BY id") == [
        (1, "1.00", {"a": 1}),
        (2, "2.00", {"a": 1}),
        (4, "19.99", {"a": [], "b": 1}),
    ]
    assert crossed.ask("SELECT nextval('orders_id_seq')") == [(5,)]
    assert crossed.ask("SELECT what FROM log ORDER BY 1") == [("a",), ("b",), ("b",)]
    assert crossed.ask("SELECT count(*) FROM rates") == [(2,)]
