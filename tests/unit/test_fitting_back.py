"""The way back through a fit: what changed on the target becomes the source's own rows again, or is refused by name."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from helpers.fitting import rule
from helpers.return_trip import ReturnTrip

from towpath.errors import CannotFinish
from towpath.fitting.account import fit
from towpath.fitting.carrying import carry_back
from towpath.fitting.source import source_of
from towpath.fitting.spec import BackRule, ColumnRule, Constant, Fit, Rewrite
from towpath.fitting.turned import turn
from towpath.local.postgresql import Postgresql
from towpath.plan.fit import TableFit
from towpath.postgresql.connection import writing
from towpath.secrets import Secret

SOURCE = """
CREATE TABLE people (id uuid PRIMARY KEY, name varchar(20) NOT NULL, mail text UNIQUE, since timestamptz NOT NULL,
    seen timestamptz DEFAULT now());
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person uuid REFERENCES people (id) ON DELETE CASCADE, price numeric(10, 2) NOT NULL,
    tags text[] NOT NULL DEFAULT '{}', more jsonb, ends timestamptz);
CREATE TABLE log (what text, at timestamp);
INSERT INTO people SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'p' || n, n || '@x',
    '2024-01-01 00:00:00.123456Z' FROM generate_series(1, 5) AS n;
INSERT INTO orders (person, price, tags, more, ends)
    SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, n + 0.25, ARRAY['a', 'b'],
    '{"url": "https://old/x", "b": 1}', 'infinity' FROM generate_series(1, 5) AS n;
INSERT INTO log VALUES ('a', '2024-01-01'), ('a', '2024-01-01'), ('b', NULL), ('c', NULL);
"""
TARGET = """
CREATE TABLE people (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, handle TEXT, mail TEXT UNIQUE,
    language TEXT NOT NULL, since INTEGER NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, person TEXT REFERENCES people (id) ON DELETE CASCADE,
    cents INTEGER NOT NULL, tags TEXT NOT NULL, more TEXT, ends TEXT);
CREATE TABLE log (what TEXT, at TEXT);
"""
RULES = Fit(
    (
        rule(
            "public.people",
            "people",
            {
                "id": "id",
                "name": "name",
                "handle": ColumnRule(expression="CASE WHEN occurrence(name, id) = 1 THEN name END"),
                "mail": "mail",
                "language": ColumnRule(constant=Constant("en")),
                "since": ColumnRule(source="since", form="unix_seconds"),
            },
            drop={"seen": "nobody asks"},
            back={"seen": BackRule(keep=True)},
            follows={"handle": "it is the name again"},
        ),
        rule(
            "public.orders",
            "orders",
            {
                "id": "id",
                "person": "person",
                "cents": ColumnRule(source="price", form="cents"),
                "tags": "tags",
                "more": ColumnRule(source="more", rewrite=Rewrite("https://old/", "https://new/")),
                "ends": ColumnRule(expression="CASE WHEN ends = 'infinity' THEN NULL ELSE ends END"),
            },
            back={"ends": BackRule(target="ends", default="infinity")},
        ),
        rule("public.log", "log", {"what": "what", "at": "at"}),
    )
)
NEW = "00000000-0000-0000-0000-00000000000a"
FIRST = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def trip(postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path) -> ReturnTrip:
    return ReturnTrip.begin(postgresql_server, postgresql_url, tmp_path / "trip", SOURCE, TARGET, RULES)


def test_rows_of_every_kind_go_back_and_what_did_not_change_is_not_written(trip: ReturnTrip) -> None:
    trip.write(
        f"INSERT INTO people VALUES ('{NEW}', 'new', 'new', 'n@x', 'en', 1700000000)",
        f'INSERT INTO orders VALUES (9, \'{NEW}\', 1999, \'["x",null]\', \'{{"url":"https://new/y","a":2}}\', NULL)',
        f"UPDATE people SET mail = 'other' WHERE id = '{FIRST}'",
        "UPDATE orders SET cents = 100, ends = '2030-01-01T00:00:00.5Z' WHERE id = 2",
        "DELETE FROM people WHERE mail = '3@x'",
    )
    assert trip.back() == 6
    since = dt.datetime(2024, 1, 1, 0, 0, 0, 123456, dt.UTC)
    assert trip.ask(f"SELECT mail, since FROM people WHERE id = '{FIRST}'") == [("other", since)]
    assert trip.ask("SELECT price, tags, more, ends::text FROM orders WHERE id = 9") == [
        (Decimal("19.99"), ["x", None], {"a": 2, "url": "https://old/y"}, "infinity")
    ]
    assert trip.ask("SELECT seen IS NOT NULL, since FROM people WHERE name = 'new'") == [
        (True, dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=dt.UTC))
    ]
    assert trip.ask("SELECT count(*) FROM orders WHERE person = '00000000-0000-0000-0000-000000000003'") == [(0,)]
    assert trip.ask("SELECT nextval('orders_id_seq')") == [(10,)]


def test_rows_without_a_key(trip: ReturnTrip) -> None:
    trip.write(
        "DELETE FROM log WHERE rowid = 2",
        "INSERT INTO log VALUES ('a', '2024-01-02T00:00:00.000000'), ('c', NULL)",
        "UPDATE log SET what = 'd' WHERE what = 'b'",
    )
    assert trip.back() == 5
    assert sorted(str(row) for row in trip.ask("SELECT what, at::date::text FROM log")) == [
        "('a', '2024-01-01')", "('a', '2024-01-02')", "('c', None)", "('c', None)", "('d', None)",
    ]  # fmt: skip


def test_a_unique_value_of_a_row_that_is_gone_goes_to_a_new_one(trip: ReturnTrip) -> None:
    trip.write(
        "DELETE FROM people WHERE mail = '3@x'",
        f"INSERT INTO people VALUES ('{NEW}', 'new', 'new', '3@x', 'en', 1700000000)",
    )
    assert trip.back() == 3


REFUSED = {
    "UPDATE people SET language = 'de'": ("no_way", "language", "constant 'en' has no way back"),
    "UPDATE people SET since = 'soon'": ("no_value", "since", "it is of another storage class"),
    "UPDATE people SET name = 'a name of more than twenty characters'": ("no_value", "name", "the source would give"),
    "UPDATE people SET id = 'nobody' WHERE name = 'p1'": ("no_value", "", "invalid input syntax for type uuid"),
    "UPDATE orders SET more = 'no json'": ("no_value", "", "invalid input syntax for type json"),
    'UPDATE orders SET more = \'{"a":"https://old/"}\'': ("no_value", "more", "the source would give"),
    "UPDATE orders SET cents = 99999999999": ("no_value", "", "numeric field overflow"),
    "UPDATE orders SET tags = '[[1],2]'": ("no_value", "tags", "the source would give"),
    f"INSERT INTO people VALUES ('{NEW.upper()}', 'n', 'n', 'n', 'en', 1)": ("no_value", "id", "writes this key"),
    f"INSERT INTO people VALUES ('{NEW}', 'n', 'n', 'n', 'fr', 1)": ("no_value", "language", "would give back"),
    "UPDATE people SET name = 'a' || char(0)": ("no_value", "name", "PostgreSQL keeps no text with NUL"),
}


@pytest.mark.parametrize("statement", REFUSED)
def test_what_cannot_go_back_is_named_before_anything_is_written(trip: ReturnTrip, statement: str) -> None:
    kind, column, why = REFUSED[statement]
    trip.write("PRAGMA foreign_keys = off", statement)
    found = [one for looked in trip.look().values() for one in getattr(looked, kind)]
    assert found
    assert {one.column for one in found} == {column}
    assert all(why in one.why for one in found), found


MOMENTS: dict[tuple[str, str], str] = {  # what the source holds then; "": it is refused
    ("a", "2024-01-01 10:00"): "2024-01-01 10:00:00+00",
    ("a", "2024-01-01T10:00:00.5+02:00"): "2024-01-01 08:00:00.5+00",
    ("a", "infinity"): "infinity",
    ("b", "2024-01-01T10:00:00.000Z"): "2024-01-01 10:00:00",
    ("c", "2024-01-01 00:00"): "2024-01-01",
    ("a", "2024-01-01T10:00:00.1234567Z"): "",
    ("a", "now"): "",
    ("a", "J2451187"): "",
    ("a", "2024-01-01 10:00:00 Europe/Berlin"): "",
    ("b", "tomorrow"): "",
    ("b", "2024-01-01T10:00:00+02:00"): "",
    ("b", "2024-01-01T10:00:00 PST"): "",
    ("c", "2024-01-01T00:00:00+05:00"): "",
    ("c", "Jan 2 2024"): "",
}


def test_moments_in_other_words_are_iso_8601_and_no_zone_is_dropped(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    source = "CREATE TABLE m (id int PRIMARY KEY, a timestamptz, b timestamp, c date);"
    source += f"INSERT INTO m SELECT * FROM generate_series(1, {len(MOMENTS)});"
    target = "CREATE TABLE m (id INTEGER PRIMARY KEY, a TEXT, b TEXT, c TEXT);"
    rules = Fit((rule("public.m", "m", {name: name for name in ("id", "a", "b", "c")}),))
    trip = ReturnTrip.begin(postgresql_server, postgresql_url, tmp_path / "trip", source, target, rules)
    trip.write(*(f"UPDATE m SET {column} = '{text}' WHERE id = {n}" for n, (column, text) in enumerate(MOMENTS, 1)))
    refused = {int(bytes.fromhex(one.key)) for one in trip.look()["m"].no_value}
    assert refused == {n for n, held in enumerate(MOMENTS.values(), 1) if not held}
    trip.write(*(f"UPDATE m SET a = NULL, b = NULL, c = NULL WHERE id = {n}" for n in refused))
    trip.back()
    held = dict(trip.ask("SELECT id, coalesce(a::text, b::text, c::text) FROM m WHERE num_nonnulls(a, b, c) > 0"))
    assert held == {n: text for n, text in enumerate(MOMENTS.values(), 1) if text}


def test_a_cell_that_does_not_follow_leaves_the_source_as_it_was(trip: ReturnTrip) -> None:
    trip.write(f"UPDATE people SET handle = 'another', mail = 'm' WHERE id = '{FIRST}'")
    with pytest.raises(CannotFinish, match="otherwise than the target has them: 1 of handle; nothing was") as told:
        trip.carry(trip.look())
    assert told.value.code == "CU211"
    assert trip.ask(f"SELECT mail FROM people WHERE id = '{FIRST}'") == [("1@x",)]


def test_a_trigger_that_changes_what_it_is_told_leaves_the_source_as_it_was(trip: ReturnTrip) -> None:
    trip.run(
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN NEW.name := upper(NEW.name); RETURN NEW; END$$;"
        "CREATE TRIGGER shout BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION shout()"
    )
    trip.write(f"UPDATE people SET mail = 'm' WHERE id = '{FIRST}'")
    with pytest.raises(CannotFinish, match="1 of name, 1 of handle; nothing was written"):
        trip.carry(trip.look())


def test_a_constraint_of_the_source_is_named_and_nothing_is_written(trip: ReturnTrip) -> None:
    trip.run("ALTER TABLE orders ADD CONSTRAINT dear CHECK (price > 1)")
    trip.write("UPDATE orders SET cents = 50 WHERE id = 2", "UPDATE orders SET cents = 300 WHERE id = 3")
    with pytest.raises(CannotFinish, match="orders refuses a row by dear; nothing was written") as told:
        trip.carry(trip.look())
    assert told.value.code == "CU210"
    assert trip.ask("SELECT price FROM orders WHERE id = 3") == [(Decimal("3.25"),)]


def test_what_has_no_way_back_is_told_from_the_rules_alone(trip: ReturnTrip) -> None:
    told = [line for turned in trip.turning.tables.values() for line in turned.told()]
    assert told == ["people.language: no value but constant 'en'"]


def test_a_server_that_goes_away_leaves_the_source_as_it_was(trip: ReturnTrip) -> None:
    trip.run(
        "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END$$;"
        "CREATE TRIGGER gone BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION gone()"
    )
    trip.write("UPDATE people SET mail = 'm' WHERE name = 'p1'", "INSERT INTO orders (cents, tags) VALUES (1, '[]')")
    looked = trip.look()
    with pytest.raises(CannotFinish, match="the server went away"):
        trip.carry(looked)
    assert trip.ask("SELECT count(*) FROM people WHERE mail = 'm'") == [(0,)]
    trip.run("DROP TRIGGER gone ON orders")
    assert trip.back() == 2


def test_a_user_who_may_not_write_is_told_what_to_grant(trip: ReturnTrip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READER", "a reader")
    trip.run("CREATE ROLE reader LOGIN PASSWORD 'a reader'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    trip.write("UPDATE people SET mail = 'm' WHERE name = 'p1'")
    looked = trip.look()
    url = trip.url.replace("postgres@", "reader@")
    with closing(writing(url, Secret("env:READER"))) as connection:
        todo = [(trip.turning.tables[name], one.changes) for name, one in looked.items()]
        with pytest.raises(CannotFinish, match=r"permission denied for table people; nothing .* GRANT INSERT") as told:
            carry_back(connection, trip.catalog, todo, {})
    assert told.value.code == "CU210"


def test_sequences_are_set_to_what_the_target_gave_out_and_never_back(trip: ReturnTrip) -> None:
    assert trip.carry(trip.look(), {"orders": 77}) == 0
    assert trip.ask("SELECT last_value, is_called FROM orders_id_seq") == [(77, True)]
    trip.carry(trip.look(), {"orders": 5})
    assert trip.ask("SELECT nextval('orders_id_seq')") == [(78,)]


def test_a_sequence_that_a_default_asks_goes_on_although_no_column_owns_it(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    source = """CREATE SCHEMA "My own"; CREATE SEQUENCE "My own".numbers; CREATE SEQUENCE other;
        CREATE TABLE t (id bigint PRIMARY KEY DEFAULT nextval('"My own".numbers'), n text);
        INSERT INTO t (n) VALUES ('a');
    """
    target = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT);"
    rules = Fit((rule("public.t", "t", {"id": "id", "n": "n"}),))
    trip = ReturnTrip.begin(postgresql_server, postgresql_url, tmp_path / "trip", source, target, rules)
    trip.write("INSERT INTO t (n) VALUES ('b')")
    trip.carry(trip.look(), {"t": 7})
    assert trip.ask("SELECT nextval('\"My own\".numbers'), nextval('other')") == [(8, 1)]


def test_an_exchange_of_unique_values_is_refused_by_name(trip: ReturnTrip) -> None:
    trip.write(
        "UPDATE people SET mail = 'x' WHERE name = 'p1'",
        "UPDATE people SET mail = '1@x' WHERE name = 'p2'",
        "UPDATE people SET mail = '2@x' WHERE name = 'p1'",
    )
    with pytest.raises(CannotFinish, match="people refuses a row by people_mail_key; nothing was written"):
        trip.carry(trip.look())


TREE = """
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree (id), place int NOT NULL UNIQUE, word text UNIQUE);
INSERT INTO tree VALUES (1, NULL, 1, 'a'), (2, 1, 2, 'b'), (3, 1, 3, 'c'), (4, 1, 4, 'd');
"""
ORDERS = {
    "a row moves below a new one": (
        "INSERT INTO tree VALUES (10, 1, 10, 'n')",
        "UPDATE tree SET parent = 10 WHERE id = 3",
    ),
    "every place is passed on upwards": ("UPDATE tree SET place = -place - 1", "UPDATE tree SET place = -place"),
    "every place is passed on downwards": ("UPDATE tree SET place = place - 1",),
    "a chain of rows that changed in other cells": (
        "UPDATE tree SET word = 'x', parent = NULL WHERE id = 4",
        "UPDATE tree SET word = 'd' WHERE id = 3",
        "UPDATE tree SET word = 'c', place = 9 WHERE id = 2",
        "INSERT INTO tree VALUES (11, 4, 2, 'b')",
    ),
    "a new row has what a deleted one had, and a row moves below it": (
        "DELETE FROM tree WHERE id = 4",
        "INSERT INTO tree VALUES (12, 1, 4, 'd')",
        "UPDATE tree SET parent = 12 WHERE id = 3",
    ),
}


@pytest.mark.parametrize("statements", ORDERS.values(), ids=ORDERS)
def test_rows_are_written_in_an_order_that_the_constraints_let_pass(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path, statements: tuple[str, ...]
) -> None:
    target = "CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INTEGER, place INTEGER UNIQUE, word TEXT UNIQUE);"
    rules = Fit((rule("public.tree", "tree", {name: name for name in ("id", "parent", "place", "word")}),))
    trip = ReturnTrip.begin(postgresql_server, postgresql_url, tmp_path / "trip", TREE, target, rules)
    trip.write(*statements)
    assert trip.back() > 0


def test_a_cascade_that_would_take_rows_of_the_target_leaves_the_source_as_it_was(trip: ReturnTrip) -> None:
    trip.write("PRAGMA foreign_keys = off", "DELETE FROM people WHERE name = 'p3'")
    with pytest.raises(CannotFinish, match=r"1 rows of public\.orders would go beside ours; nothing was") as told:
        trip.carry(trip.look())
    assert told.value.code == "CU211"
    assert trip.ask("SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM orders)") == [(5, 5)]


@pytest.mark.parametrize("statement", ["UPDATE people SET mail = 'mine'", "DELETE FROM people"])
def test_a_source_that_is_written_to_between_look_and_carry_is_left_as_it_is(trip: ReturnTrip, statement: str) -> None:
    trip.write("UPDATE people SET mail = 'theirs' WHERE name = 'p1'", "DELETE FROM people WHERE name = 'p2'")
    looked = trip.look()
    trip.run(f"{statement} WHERE name = 'p1'")
    with pytest.raises(CannotFinish, match=r"wrote to rows of public\.people meanwhile: .*; nothing was") as told:
        trip.carry(looked)
    assert told.value.code == "CU201"
    assert trip.ask("SELECT count(*) FROM people WHERE mail = 'theirs' OR name = 'p2'") == [(1,)]


WRONG: dict[str, tuple[dict[str, BackRule], dict[str, str], str]] = {
    "a source column that is not there": ({"nobody": BackRule(keep=True)}, {}, "FT106"),
    "a target column that is not there": ({"seen": BackRule(target="nothing")}, {}, "FT106"),
    "a conversion of another kind": ({"seen": BackRule(target="since", form="cents")}, {}, "FT107"),
    "a column that follows and is not there": ({"seen": BackRule(keep=True)}, {"nothing": "why"}, "FT106"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_rules_of_the_way_back_are_findings(trip: ReturnTrip, wrong: str) -> None:
    back, follows, code = WRONG[wrong]
    people = replace(RULES.tables[0], back=back, follows=follows)
    fitted = fit(source_of(trip.catalog), trip.schema, Fit((people, *RULES.tables[1:])))
    assert [one.code for one in turn(fitted, Fit((people, *RULES.tables[1:])), trip.catalog).findings] == [code]


def test_what_the_rules_leave_without_a_way_back(trip: ReturnTrip) -> None:
    people = replace(RULES.tables[0], back={}, follows={})
    again = replace(RULES.tables[2], columns={"what": ColumnRule(source="what"), "at": ColumnRule(source="at")})
    rules = Fit((people, RULES.tables[1], RULES.tables[2], again))
    told = [
        line
        for one in turn(fit(source_of(trip.catalog), trip.schema, rules), rules, trip.catalog).tables.values()
        for line in one.told()
    ]
    assert told == [
        "people.handle: CASE WHEN occurrence(name, id) = 1 THEN name END has no way back",
        "people.language: no value but constant 'en'",
        "people: no new row, because public.people.seen gets no value: say so with back: keep, or give it one",
        "log: several rules read or fill its rows",
    ]


def test_the_words_of_mapping_yaml() -> None:
    row = {
        "from": "public.t",
        "to": "t",
        "columns": {"id": "id"},
        "back": {"a": "keep", "b": {"from": "x", "as": "cents", "default": 0}, "c": {"constant": None}},
        "follows": {"y": "why"},
    }
    made = TableFit.model_validate(row).rule()
    assert made.back == {
        "a": BackRule(keep=True),
        "b": BackRule(target="x", form="cents", default=0),
        "c": BackRule(constant=Constant(None)),
    }
    assert made.follows == {"y": "why"}
    for wrong in ({}, {"from": "x", "constant": 1}, {"keep": False}, "stay", {"keep": True, "from": "x"}):
        with pytest.raises(ValueError, match="back"):
            TableFit.model_validate({**row, "back": {"a": wrong}})


def test_what_the_source_computes_comes_out_again(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    source = "CREATE TABLE t (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO t VALUES (1);"
    target = "CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER);"
    rules = Fit((rule("public.t", "t", {"a": "a", "b": "b"}),))
    trip = ReturnTrip.begin(postgresql_server, postgresql_url, tmp_path / "trip", source, target, rules)
    assert not [line for turned in trip.turning.tables.values() for line in turned.told()]
    trip.write("INSERT INTO t VALUES (2, 7)")
    with pytest.raises(CannotFinish, match="1 of b; nothing was written"):
        trip.carry(trip.look())
    trip.write("UPDATE t SET b = 4 WHERE a = 2")
    assert trip.back() == 1
