"""Every conversion gives the same value in SQLite, over captured forms, and in PostgreSQL, over the source's types."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from decimal import Decimal

import apsw
import psycopg
import pytest
from helpers.postgresql import as_captured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from towpath.fitting import conversions, postgres, source
from towpath.local.postgresql import Postgresql

INT8 = st.integers(-(2**63), 2**63 - 1)
MOMENT = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999)).map(str)
ODD_MOMENTS = st.sampled_from(
    ["infinity", "-infinity", "0044-03-15 10:00:00 BC", "11999-01-01 00:00:00", "0001-01-01", "9999-12-31 23:59:59"]
)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NUMBERS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.decimals(Decimal("-1e20"), Decimal("1e20"), allow_nan=False),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "-0.05", "1e17", "999999999999999999", "1e400", "0.10", "1.100"]),
).map(lambda value: f"{value:f}" if isinstance(value, Decimal) else value)
VALUES = {
    source.BOOLEAN: ("boolean", st.booleans().map(str)),
    source.INTEGER: ("bigint", st.one_of(INT8, st.integers(-2, 2)).map(str)),
    source.REAL: ("float8", st.floats().map(repr)),
    source.FLOAT4: ("float4", st.floats(width=32).map(repr)),
    source.NUMERIC: ("numeric", NUMBERS),
    source.MONEY: ("money", st.decimals(-(10**12), 10**12, places=2).map(str)),
    source.TEXT: (
        "text",
        st.one_of(TEXTS, INT8.map(str), st.sampled_from(["t", "false", "1", "-0", "01", "--1", "-"])),
    ),
    source.CHAR: ("char(5)", st.from_regex(r"[a-z0-9]{0,5}", fullmatch=True)),
    source.UUID: ("uuid", st.uuids().map(str)),
    source.JSON: ("json", st.sampled_from(['{"a": 1.10, "b":[1,2]}', "null", '"x"', " [1] "])),
    source.JSONB: ("jsonb", st.sampled_from(['{"a": 1.10, "b":[1,2]}', "null", '"x"', " [1] "])),
    source.ARRAY: (
        "text[]",
        st.lists(st.from_regex("[a-z0-9é]{1,4}", fullmatch=True), max_size=3).map(lambda v: "{" + ",".join(v) + "}"),
    ),
    source.CHAR_ARRAY: (
        "char(3)[]",
        st.lists(st.from_regex("[a-z0-9]{1,3}", fullmatch=True), max_size=3).map(lambda v: "{" + ",".join(v) + "}"),
    ),
    source.TIMESTAMPTZ: ("timestamptz", st.one_of(MOMENT, ODD_MOMENTS)),
    source.TIMESTAMP: ("timestamp", st.one_of(MOMENT, ODD_MOMENTS)),
    source.DATE: (
        "date",
        st.one_of(st.dates().map(str), st.sampled_from(["infinity", "0044-03-15 BC", "11999-01-01"])),
    ),
    source.TIME: ("time", st.times().map(str)),
    source.INTERVAL: ("interval", st.sampled_from(["1 year 2 mons 3 days", "-00:00:01.5", "1 mon -1 day"])),
    source.BYTEA: ("bytea", st.binary().map(lambda b: "\\x" + b.hex())),
    source.OTHER: ("cidr", st.ip_addresses().map(str)),
    source.INET: ("inet", st.ip_addresses().map(str) | st.ip_addresses().map("{}/9".format)),
}


@pytest.fixture(scope="module")
def server(postgresql_server: Postgresql) -> Iterator[psycopg.Connection]:
    with as_captured(postgresql_server) as db:
        yield db


@pytest.fixture(scope="module")
def lite() -> apsw.Connection:
    db = apsw.Connection(":memory:")
    conversions.register(db)
    return db


def comparable(value: object) -> object:
    """A value with its type; a real by its digits."""
    if isinstance(value, float):
        return ("real", repr(value + 0.0))
    return (type(value).__name__, value)


@pytest.mark.parametrize(("name", "kind"), sorted(conversions.CONVERSIONS))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_both_engines_agree(
    name: str, kind: str, data: st.DataObject, server: psycopg.Connection, lite: apsw.Connection
) -> None:
    conversion = conversions.CONVERSIONS[name, kind]
    declared, strategy = VALUES[kind]
    values = [*data.draw(st.lists(strategy, min_size=5, max_size=60)), None]
    one = conversion.applied("v", "v")
    form = postgres.FORMS[kind].replace("{v}", "v")
    typed = f"(SELECT x::{declared} AS v FROM unnest(%s::text[]) WITH ORDINALITY AS t(x, n) ORDER BY n) AS s"
    rows = server.execute(f"SELECT v::text, {form}, {one.postgres} FROM {typed}", (values,)).fetchall()
    for shown, captured, expected in rows:
        stored = int(captured) if isinstance(captured, bool) else captured
        stored = "NaN" if isinstance(stored, float) and stored != stored else stored
        found, impossible, losing = lite.execute(
            f"SELECT {one.sqlite}, {one.impossible or 0}, {one.losing or 0} FROM (SELECT ? AS v)", (stored,)
        ).get
        expected = bytes(expected) if isinstance(expected, memoryview) else expected
        expected = "NaN" if isinstance(expected, float) and expected != expected else expected
        assert comparable(found) == comparable(expected), (shown, stored)
        assert (found is None) == (captured is None or bool(impossible)), (shown, stored)
        if found is not None:
            kinds = {"TEXT": str, "INTEGER": int, "REAL": (float, str), "BLOB": bytes}
            assert isinstance(found, kinds[conversion.storage]), (shown, found)
        assert losing in (0, 1, None)


@pytest.mark.parametrize(
    "tiny", ["1e-400", "-1e-400", "2e-324", "9.9999999999999999e-311", "1e-310", "-3.3e-310", "1e-308"]
)
def test_both_engines_agree_on_numbers_that_a_double_rounds_to_nothing(
    tiny: str, server: psycopg.Connection, lite: apsw.Connection
) -> None:
    one = conversions.CONVERSIONS["real", source.NUMERIC].applied("v", "v")
    form = postgres.FORMS[source.NUMERIC].replace("{v}", "v")
    [(captured, expected)] = server.execute(
        f"SELECT {form}, {one.postgres} FROM (SELECT %s::numeric AS v) AS s", (tiny,)
    ).fetchall()
    assert comparable(lite.execute(f"SELECT {one.sqlite} FROM (SELECT ? AS v)", (captured,)).get) == comparable(
        expected
    )


@pytest.mark.parametrize(
    ("name", "kind", "captured", "expected", "loses"),
    [
        ("unix_seconds", source.TIMESTAMPTZ, "2024-01-01T00:00:00.123456Z", 1704067200, True),
        ("unix_seconds", source.TIMESTAMPTZ, "1969-12-31T23:59:59.500000Z", -1, True),
        ("unix_seconds", source.TIMESTAMP, "2024-01-01T00:00:00.000000", 1704067200, False),
        ("unix_milliseconds", source.TIMESTAMPTZ, "1969-12-31T23:59:59.500000Z", -500, False),
        ("unix_microseconds", source.TIMESTAMPTZ, "2024-01-01T00:00:00.123456Z", 1704067200123456, False),
        ("iso_milliseconds", source.TIMESTAMPTZ, "2024-01-01T00:00:00.123000Z", "2024-01-01T00:00:00.123Z", False),
        ("sqlite_datetime", source.TIMESTAMP, "2024-01-01T10:11:12.000001", "2024-01-01 10:11:12", True),
        ("date", source.TIMESTAMPTZ, "2024-01-01T00:00:00.000000Z", "2024-01-01", False),
        ("cents", source.NUMERIC, "12.5", 1250, False),
        ("cents", source.NUMERIC, "-0.05", -5, False),
        ("cents", source.MONEY, "12.50", 1250, False),
        ("real", source.NUMERIC, "0.1", 0.1, False),
        ("real", source.NUMERIC, "12345678901234567890.123", 1.2345678901234567e19, True),
        ("real", source.NUMERIC, "1e-400", 0.0, True),
        ("real", source.NUMERIC, "-9.9e-311", 0.0, True),
        ("uuid_hex", source.UUID, str(uuid.UUID(int=1)), "0" * 31 + "1", False),
        ("hex", source.BYTEA, b"\x00\xff", "00ff", False),
        ("boolean", source.TEXT, "t", 1, False),
        ("unix_seconds", source.DATE, "2024-01-01", 1704067200, False),
    ],
)
def test_what_a_conversion_gives(
    name: str, kind: str, captured: object, expected: object, loses: bool, lite: apsw.Connection
) -> None:
    one = conversions.CONVERSIONS[name, kind].applied("v", "v")
    found = lite.execute(f"SELECT {one.sqlite}, {one.losing or 0} FROM (SELECT ? AS v)", (captured,)).get
    assert (found[0], bool(found[1])) == (expected, loses)


@pytest.mark.parametrize(
    ("name", "kind", "captured"),
    [
        ("unix_seconds", source.TIMESTAMPTZ, "infinity"),
        ("cents", source.NUMERIC, "0.001"),
        ("cents", source.NUMERIC, "NaN"),
        ("integer", source.NUMERIC, "1.5"),
        ("integer", source.TEXT, "01"),
        ("boolean", source.INTEGER, 2),
        ("real", source.REAL, "NaN"),
    ],
)
def test_what_has_no_such_form(name: str, kind: str, captured: object, lite: apsw.Connection) -> None:
    one = conversions.CONVERSIONS[name, kind].applied("v", "v")
    assert lite.execute(f"SELECT {one.sqlite}, {one.impossible} FROM (SELECT ? AS v)", (captured,)).get == (None, 1)
