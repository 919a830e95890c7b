"""Any value of any type of PostgreSQL is captured in its form, and can be read back from it."""

from __future__ import annotations

import datetime as dt
import json
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Json

from towpath.local.postgresql import Postgresql
from towpath.postgresql.capture import capture, open_capture
from towpath.postgresql.snapshot import Snapshot

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)
WHOLE = st.integers(-(2**63), 2**63 - 1)
YEARS = {"min_value": dt.datetime(1, 1, 2), "max_value": dt.datetime(9999, 12, 30)}
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-(10**30), max_value=10**30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def zoned(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def same_double(value: float, found: object) -> bool:
    if value != value:
        return found == "NaN"
    return isinstance(found, float) and found == value


def same_single(value: float, found: object) -> bool:
    if value != value:
        return found == "NaN"
    return isinstance(found, float) and struct.unpack("f", struct.pack("f", found)) == (value,)


def same_interval(value: tuple[int, int, int], found: object) -> bool:
    """ISO 8601 as PostgreSQL writes it, read here by hand: years and months, days, the time."""
    months, days, microseconds = value
    parts, number, time = {"M": 0, "D": 0, "T": 0}, "", False
    for letter in str(found)[1:]:
        if letter == "T":
            time = True
        elif letter.isalpha():
            step = {"Y": ("M", 12), "M": ("M", 1), "D": ("D", 1)}
            clock = {"H": ("T", 3_600_000_000), "M": ("T", 60_000_000), "S": ("T", 1_000_000)}
            part, factor = (clock if time else step)[letter]
            parts[part] += int(Decimal(number) * factor)
            number = ""
        else:
            number += letter
    return parts == {"M": months, "D": days, "T": microseconds}


@dataclass(frozen=True)
class Kind:
    """A type, values of it, and whether what was captured is what was written."""

    type: str
    values: st.SearchStrategy[Any]
    same: Callable[[Any, Any], bool]
    sent: Callable[[Any], Any] = lambda value: value


def exactly(expected: Callable[[Any], Any]) -> Callable[[Any, Any], bool]:
    return lambda value, found: type(found) is type(expected(value)) and found == expected(value)


def interval(value: tuple[int, int, int]) -> str:
    return "{} months {} days {} microseconds".format(*value)


KINDS = (
    Kind("smallint", st.integers(-(2**15), 2**15 - 1), exactly(int)),
    Kind("integer", st.integers(-(2**31), 2**31 - 1), exactly(int)),
    Kind("bigint", WHOLE, exactly(int)),
    Kind("boolean", st.booleans(), exactly(int)),
    Kind("double precision", st.floats(), same_double),
    Kind("real", st.floats(width=32), same_single),
    Kind("numeric", DECIMALS, exactly(lambda value: format(value, "f").replace("-0.00000", "0.00000"))),
    Kind("text", TEXT, exactly(str)),
    Kind("varchar(40)", TEXT, exactly(str)),
    Kind("char(44)", TEXT, exactly(lambda value: value.rstrip(" "))),
    Kind("timestamptz", st.datetimes(timezones=ZONES, **YEARS), exactly(zoned)),
    Kind("timestamp", st.datetimes(**YEARS), exactly(lambda value: value.isoformat(timespec="microseconds"))),
    Kind("date", st.dates(), exactly(dt.date.isoformat)),
    Kind("time", st.times(), lambda value, found: dt.time.fromisoformat(found) == value),
    Kind(
        "interval",
        st.tuples(st.integers(-9_999, 9_999), st.integers(-9_999, 9_999), st.integers(-(10**14), 10**14)),
        same_interval,
        interval,
    ),
    Kind("uuid", st.uuids(), exactly(str)),
    Kind("json", JSON, exactly(json.dumps), Json),
    Kind("jsonb", JSON.filter(lambda v: "\\u0000" not in json.dumps(v)), lambda v, f: json.loads(f) == v, Json),
    Kind("bytea", st.binary(max_size=60), exactly(bytes)),
    Kind("integer[]", st.lists(st.none() | st.integers(-99, 99)), exactly(lambda v: json.dumps(v).replace(" ", ""))),
    Kind("text[]", st.lists(st.none() | TEXT, max_size=4), lambda value, found: json.loads(found) == value),
    Kind("mood", st.sampled_from(["sad", "it's", "ok"]), exactly(str)),
    Kind("level", st.integers(0, 9), exactly(int)),
)


@pytest.fixture(scope="module")
def writer(postgresql_server: Postgresql, database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, password=postgresql_server.password, autocommit=True) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('sad', 'it''s', 'ok')")
        connection.execute("CREATE DOMAIN level AS smallint CHECK (VALUE < 10)")
        columns = ", ".join(f"c{number} {kind.type}" for number, kind in enumerate(KINDS))
        connection.execute(f"CREATE TABLE v (id serial PRIMARY KEY, {columns})".encode())
        yield connection


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(*[st.none() | kind.values for kind in KINDS]), min_size=1, max_size=12))
def test_values_are_captured_in_their_form(
    rows: list[tuple[Any, ...]],
    writer: psycopg.Connection,
    database: str,
    postgresql_server: Postgresql,
    tmp_path: Path,
) -> None:
    writer.execute("TRUNCATE v RESTART IDENTITY")
    names = ", ".join(f"c{number}" for number in range(len(KINDS)))
    places = ", ".join(f"%s::{kind.type}" for kind in KINDS)
    sent = [[None if v is None else kind.sent(v) for kind, v in zip(KINDS, row, strict=True)] for row in rows]
    with writer.cursor() as cursor:
        cursor.executemany(f"INSERT INTO v ({names}) VALUES ({places})".encode(), sent)
    with Snapshot(database, postgresql_server.secret) as snapshot:
        done = capture(snapshot, snapshot.read_catalog(), tmp_path / "capture.sqlite")
    assert (done.rows, done.failed) == (len(rows), ())
    with closing(open_capture(done.path)) as db:
        found = list(db.execute(f"SELECT {names} FROM v ORDER BY id"))
    for row, captured in zip(rows, found, strict=True):
        for kind, value, cell in zip(KINDS, row, captured, strict=True):
            assert (value is None) == (cell is None)
            assert value is None or kind.same(value, cell), f"{kind.type}: {value!r} became {cell!r}"
