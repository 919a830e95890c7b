"""Any expression of the language gives the same value in SQLite, over captured forms, and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import psycopg
import pytest
from helpers.postgresql import as_captured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from towpath.errors import BadInput
from towpath.fitting import postgres, sqlite
from towpath.fitting import source as kinds
from towpath.fitting.expressions import parse
from towpath.fitting.language import T_BOOLEAN
from towpath.fitting.source import SourceColumn, SourceTable
from towpath.local.postgresql import Postgresql

COLUMNS = {
    "id": (kinds.INTEGER, "bigint"),
    "n": (kinds.INTEGER, "bigint"),
    "t": (kinds.TEXT, "text"),
    "u": (kinds.TEXT, "text"),
    "b": (kinds.BOOLEAN, "boolean"),
    "j": (kinds.JSONB, "jsonb"),
    "k": (kinds.JSON, "json"),
    "at": (kinds.TIMESTAMPTZ, "timestamptz"),
    "price": (kinds.NUMERIC, "numeric"),
    "real": (kinds.REAL, "float8"),
}
TABLE = SourceTable(
    "public.things", "things", "things", tuple(SourceColumn(n, kind, kind) for n, (kind, _) in COLUMNS.items()), ("id",)
)
WORDS = st.sampled_from(["", "a", "A", "é", "É", "ß", "  x ", "it's", "a%b_c\\d", "日本", "𝄞z", "Straße", '"q"', "b a"])
JSON = st.sampled_from(
    [
        '{"a": {"b": "x"}}',
        '{"a": {"b": 1.10}, "l": [1, "é", null]}',
        '{"a": {"b": null}}',
        '{"a": {"b": [1]}}',
        '{"a": {"b": true}}',
        '{"a": {"b": 1e400}}',
        '{"a": {"b": "\\u00e9\\n\\""}}',
        '{"a": []}',
        "[{}]",
        "3",
        "null",
    ]
)
ROW = st.tuples(
    st.one_of(st.none(), st.integers(-1000, 1000)),
    st.one_of(st.none(), WORDS),
    st.one_of(st.none(), WORDS),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), JSON),
    st.one_of(st.none(), JSON),
    st.one_of(st.none(), st.datetimes().map(lambda value: f"{value} UTC")),
    st.one_of(st.none(), st.decimals(-99, 99, places=3).map(str)),
    st.one_of(st.none(), st.floats(-9, 9).map(repr)),
)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def deeper(inner: tuple[st.SearchStrategy[str], ...]) -> tuple[st.SearchStrategy[str], ...]:
    """One more level of texts, numbers and conditions."""
    text, number, truth = inner
    comparison = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
    case = "(CASE WHEN {} THEN {} WHEN {} THEN {} ELSE {} END)".format
    short = "(CASE WHEN {} THEN {} END)".format
    texts = st.one_of(
        st.builds("({} || {})".format, text, st.one_of(text, number)),
        *(st.builds(f"{f}({{}})".format, text) for f in ("lower", "upper", "trim")),
        st.builds("substr({}, {}, {})".format, text, st.integers(1, 4), st.integers(0, 4)),
        st.builds("substr({}, {})".format, text, st.integers(1, 4)),
        st.builds("replace({}, {}, {})".format, text, WORDS.filter(bool).map(quoted), WORDS.map(quoted)),
        st.builds("coalesce({}, {})".format, text, text),
        st.builds(case, truth, text, truth, text, text),
        st.builds(short, truth, text),
        st.builds("json_value({}, '{}')".format, st.sampled_from("jk"), st.sampled_from(["$.a.b", "$.l[1]", "$[0]"])),
    )
    numbers = st.one_of(
        st.builds("({} {} {})".format, number, st.sampled_from("+-*"), number),
        st.builds("(-{})".format, number),
        st.builds("length({})".format, text),
        st.builds("coalesce({}, {})".format, number, number),
        st.builds(case, truth, number, truth, number, number),
        st.builds("occurrence({}, id)".format, st.sampled_from(["t", "lower(t)", "n", "1", "t || u", "b"])),
    )
    truths = st.one_of(
        st.builds("({} {} {})".format, text, comparison, text),
        st.builds("({} {} {})".format, number, comparison, number),
        st.builds("({} AND {})".format, truth, truth),
        st.builds("({} OR {})".format, truth, truth),
        st.builds("(NOT {})".format, truth),
        st.builds("({} IS NULL)".format, st.one_of(text, number, truth)),
        st.builds("({} IS NOT NULL)".format, st.one_of(text, number, truth)),
        st.builds("({} IN ({}, {}))".format, text, text, WORDS.map(quoted)),
        st.builds("({} <> {})".format, truth, truth),
    )
    return st.one_of(text, texts), st.one_of(number, numbers), st.one_of(truth, truths)


LEAVES = (
    st.one_of(st.sampled_from(["t", "u", "at", "price", "things.t", "NULL"]), WORDS.map(quoted)),
    st.one_of(st.sampled_from(["n", "id"]), st.integers(0, 50).map(str)),
    st.sampled_from(["b", "TRUE", "FALSE"]),
)
EXPRESSIONS = st.one_of(*deeper(deeper(deeper(LEAVES))), st.sampled_from(["real", "coalesce(real, NULL)"]))


@pytest.fixture(scope="module")
def server(postgresql_server: Postgresql) -> Iterator[psycopg.Connection]:
    with as_captured(postgresql_server) as db:
        columns = ", ".join(f'"{name}" {declared}' for name, (_, declared) in COLUMNS.items())
        db.execute("CREATE TEMP TABLE things (" + columns + ")")
        yield db


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(expression=EXPRESSIONS, data=st.lists(ROW, min_size=1, max_size=6))
def test_both_engines_agree(expression: str, data: list[tuple[object, ...]], server: psycopg.Connection) -> None:
    node = parse(expression, TABLE, None, "test")
    occurrences = list(dict.fromkeys(node.occurrences()))
    server.execute("TRUNCATE things")
    places = ", ".join(f"%s::{declared}" for _, declared in COLUMNS.values())
    with server.cursor() as cursor:
        cursor.executemany(f"INSERT INTO things VALUES ({places})", [(i, *row) for i, row in enumerate(data)])
    forms = ", ".join(postgres.form("s", column) for column in TABLE.columns)
    captured = server.execute(f"SELECT {forms} FROM things AS s ORDER BY id").fetchall()
    lite = apsw.Connection(":memory:")
    lite.execute(f"CREATE TABLE things ({', '.join(COLUMNS)})")
    lite.executemany(
        f"INSERT INTO things VALUES ({', '.join('?' * len(COLUMNS))})",
        [tuple(int(v) if isinstance(v, bool) else v for v in row) for row in captured],
    )
    found = lite.execute(f"SELECT {made(sqlite, node, occurrences, 'things')} ORDER BY s.id").fetchall()
    expected = server.execute(f"SELECT {made(postgres, node, occurrences, 'things')} ORDER BY s.id").fetchall()
    values = [int(v) if isinstance(v, bool) else v for (v,) in expected]
    assert [value for (value,) in found] == values
    assert all(node.type != T_BOOLEAN or value in (0, 1, None) for value in values)


def made(engine: object, node: object, occurrences: list[object], table: str) -> str:
    """The expression and FROM of an engine, as `fitted.Part` writes them."""
    own = []
    for number, one in enumerate(occurrences):
        what, order = (engine.expression(part, []) for part in one.parts)  # type: ignore[attr-defined]
        own.append(f', row_number() OVER (PARTITION BY {what} ORDER BY {order}) AS "{engine.OCCURRENCE}{number}"')  # type: ignore[attr-defined]
    written = engine.expression(node, occurrences)  # type: ignore[attr-defined]
    return f"{written} FROM (SELECT s.*{''.join(own)} FROM {table} AS s) AS s"


@pytest.mark.parametrize(
    ("expression", "place", "said"),
    [
        ("md5(t)", 1, "MD5(t) is not in the language"),
        ("lower(t) || random()", 13, "is not in the language"),
        ("t LIKE 'a%'", 1, "is not in the language"),
        ("t::int", 1, "is not in the language"),
        ("n / 2", 1, "is not in the language"),
        ("n % 2", 1, "is not in the language"),
        ("(SELECT 1)", None, "is not in the language"),
        ("t || nothing", 6, "public.things has no column nothing"),
        ("other.t", 1, "there is no table other here"),
        ("1.5", 1, "no whole number"),
        ("9999999999999999999", 1, "no whole number"),
        ("real > 1", 1, "several types"),
        ("real = real", 1, "are not compared"),
        ("price > 1", 1, "several types"),
        ("n || b", 6, "b is boolean, text or integer is wanted"),
        ("lower(n)", 7, "n is integer, text is wanted"),
        ("CASE n WHEN 1 THEN 2 END", 6, "CASE WHEN"),
        ("CASE WHEN b THEN 1 ELSE 'a' END", None, "several types"),
        ("b < TRUE", 1, "no order"),
        ("n IS TRUE", 1, "IS is followed by NULL"),
        ("n IN (SELECT 1)", 1, "IN is followed by a list"),
        ("substr(t, 0)", 1, "counts characters from 1"),
        ("substr(t, n)", 1, "substr takes"),
        ("replace(t, u, 'x')", 1, "literals"),
        ("trim('x' FROM t)", 6, "trim takes one text"),
        ("json_value(t, '$.a')", 12, "of type json or jsonb"),
        ("json_value(j, 'a')", 12, "the path of json_value"),
        ("occurrence(t)", 1, "occurrence takes two values"),
        ("occurrence(real, id)", 1, "texts and whole numbers"),
        ("nothing_like(t)", 1, "there is no function nothing_like"),
        ("t ||", None, "cannot be used"),
        ("t; n", None, "one expression is wanted"),
        ("", None, "one expression is wanted"),
        ("a.b.c.t", None, "a column is named by itself"),
    ],
)
def test_anything_else_is_refused_with_its_place(expression: str, place: int | None, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(expression, TABLE, None, "users.handle")
    assert (caught.value.code, caught.value.object) == ("FT109", "users.handle")
    assert said in caught.value.line
    assert place is None or f"at character {place}:" in caught.value.what
