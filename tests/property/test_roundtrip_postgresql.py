"""PostgreSQL → D1 → PostgreSQL: nothing is lost, by PostgreSQL's own word, and what is declared lost is counted.

Tables over every built-in type, and arrays, domains, enums, composites and ranges over them, are moved into a real D1
in mode generate.  What D1 holds then goes back as texts, becomes values again by PostgreSQL's casts, and is compared
with the source by PostgreSQL, in the binary form that it sends.  `make roundtrip` makes thousands.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from helpers.moves import move
from helpers.server_tables import REBUILT, Made, batches, counted, held, make, read_back, scalar
from helpers.server_values import ABSENT, SCALARS
from helpers.tally import Tally, lasting
from hypothesis import given
from hypothesis import strategies as st

from towpath.cloudflare import Client
from towpath.cloudflare.d1 import D1
from towpath.local.postgresql import Postgresql

TABLES = 10  # of one example's database
COUNTED = ("PG205", "PG212", "PG213")  # what arrives as another value; each row of it must be counted
DIGITS = 131_072  # before the point: what numeric can hold


@pytest.fixture(scope="module")
def db(postgresql_server: Postgresql, database: str) -> Iterator[psycopg.Connection]:
    quiet = "-c timezone=UTC -c client_min_messages=warning"
    with psycopg.connect(database, password=postgresql_server.password, autocommit=True, options=quiet) as connection:
        connection.execute(REBUILT.encode())
        yield connection


@pytest.fixture(scope="module")
def tally(db: psycopg.Connection) -> Iterator[Tally]:
    counts = Tally("PostgreSQL → D1 → PostgreSQL")
    yield counts
    print(counts.line(f"PostgreSQL {db.info.parameter_status('server_version')}"))


class Trip:
    """One database, moved and read back."""

    def __init__(self, server: Postgresql, url: str, db: psycopg.Connection, client: Client) -> None:
        self.server, self.url, self.db, self.client = server, url, db, client

    def run(self, *tables: Made) -> tuple[list[str], dict[tuple[str, str], int], D1]:
        """What is wrong; what the findings that name a loss count; the target."""
        make(self.db, tables)
        d1 = D1(self.client, f"trip-{secrets.token_hex(8)}")
        with TemporaryDirectory() as folder:
            moved = move(self.server, self.url, Path(folder), d1)
        wrong = moved.failed + [line for table in tables for line in read_back(self.db, d1, table)]
        return wrong, {(f.code, f.object): f.count for f in moved.findings}, d1


@pytest.fixture
def trip(postgresql_server: Postgresql, database: str, db: psycopg.Connection, client: Client) -> Trip:
    return Trip(postgresql_server, database, db, client)


@given(batch=batches(TABLES))
@lasting(100, TABLES)
def test_what_arrives_is_what_was_there(batch: tuple[Made, ...], trip: Trip, tally: Tally) -> None:
    with tally.example(len(batch), sum(table.cells for table in batch)):
        wrong, findings, _ = trip.run(*batch)
        assert wrong == []
        expected = counted(batch)
        assert {at: n for at, n in findings.items() if at[0] in COUNTED or at in expected} == expected


@given(data=st.data())
@lasting(4, share=0.04)
def test_every_type_at_once(data: st.DataObject, trip: Trip, tally: Tally) -> None:
    """One table of every built-in type, so that none is missing however the dice fall."""
    kinds = tuple(scalar(name) for name in sorted(SCALARS))
    row = st.tuples(*(kind.values for kind in kinds))
    table = Made("every_type", kinds, "one", (data.draw(row), data.draw(row)))
    with tally.example(1, table.cells):
        assert trip.run(table)[0] == []


def test_every_type_of_the_server_is_generated_or_has_its_reason(db: psycopg.Connection) -> None:
    sql = """SELECT t.typname FROM pg_type t WHERE t.typnamespace = 'pg_catalog'::regnamespace
      AND t.typtype IN ('b', 'r', 'm') AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)"""
    there = {name for (name,) in db.execute(sql)}
    assert there == SCALARS.keys() | ABSENT.keys()
    assert not SCALARS.keys() & ABSENT.keys()
    for name in ABSENT:
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            db.execute(f"SELECT ''::{name}".encode())


def test_the_longest_numbers_arrive(trip: Trip) -> None:
    numeric = scalar("numeric")
    values = ("9" * DIGITS, "-" + "1" * DIGITS + "." + "7" * 16_383, "0." + "0" * 16_382 + "1")
    table = Made("long", (numeric, numeric), "one", tuple((value, None) for value in values))
    wrong, _, d1 = trip.run(table)
    assert wrong == []
    assert [row[0][1] for row in held(d1, table).values()] == list(values)


def test_a_value_that_changed_in_d1_is_told(trip: Trip) -> None:
    """The reading back can fail: of every form, one value is changed behind its back."""
    names = ("int8", "bool", "float8", "numeric", "timestamptz", "json", "bytea", "inet", "tsvector")
    values = ("5", "t", "0.1", "1.10", "J2460000 12:00:00+00", '{"a":1}', "\\x00ff", "10.0.0.1", "'a':1")
    changed = (6, 0, 0.1 + 2**-56, "'1.1'", "'2023-02-24T12:00:00.000001Z'", "'{\"a\": 1}'", "x'00fe'", "'10.0.0.1/8'",
               "'''a'':2'")  # fmt: skip
    table = Made("t", tuple(map(scalar, names)), "one", (values,))
    wrong, _, d1 = trip.run(table)
    assert wrong == []
    for n, (name, value) in enumerate(zip(names, changed, strict=True)):
        (before,) = d1.query(f"SELECT quote(c{n}) FROM t").rows[0]
        d1.batch([f"UPDATE t SET c{n} = {value}"])
        (line,) = read_back(trip.db, d1, table)
        assert line.startswith(f"t.c{n} "), (name, line)
        d1.batch([f"UPDATE t SET c{n} = {before}"])
    assert read_back(trip.db, d1, table) == []
    d1.batch(["UPDATE t SET c0 = CAST(c0 AS BLOB)"])
    assert "is blob" in read_back(trip.db, d1, table)[0]
    d1.batch(["DELETE FROM t"])
    assert read_back(trip.db, d1, table) == ["t: 1 rows on one side alone"]


def test_what_an_array_loses_is_counted(trip: Trip, db: psycopg.Connection) -> None:
    """PG213, by the row: NULL and null, a list and a dimension, bounds inside of composites."""
    db.execute(REBUILT.encode())
    make(db, ())
    db.execute(
        """CREATE TYPE pair AS (a json, b int[]);
        CREATE TABLE t (k int PRIMARY KEY, c0 jsonb[], c1 pair[]);
        INSERT INTO t VALUES (1, '{NULL,"[1]"}', ARRAY[ROW('[null]', '{{1,2}}')::pair, NULL]),
          (2, '{"null"}', ARRAY[ROW(NULL, '[0:1]={1,2}')::pair]), (3, '{{1,2}}', ARRAY[ROW('null', NULL)::pair])"""
    )
    with TemporaryDirectory() as folder:
        target = D1(trip.client, f"trip-{secrets.token_hex(8)}")
        moved = move(trip.server, trip.url, Path(folder), target)
    assert moved.failed == []
    lost = {(f.object, f.count, f.samples) for f in moved.findings if f.code == "PG213"}
    assert lost == {("public.t.c0", 2, ("2", "3")), ("public.t.c1", 2, ("2", "3"))}
    assert json.loads(target.query("SELECT c0 FROM t WHERE k = 2").rows[0][0]) == [None]
