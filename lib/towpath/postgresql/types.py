"""How each type of PostgreSQL is captured: rules as data.

A rule gives PostgreSQL's own expression for a value as a SQL literal of SQLite, so that no value becomes an object of
Python on its way.  `{c}` is the column.  What is not named here is captured as the text that PostgreSQL writes for it.
The expressions rely on the settings that `connection` pins (ISO dates, UTC, ISO intervals, shortest doubles).
docs/postgresql.md tells the same table for people; a test compares the two and runs its examples.
"""

from __future__ import annotations

from dataclasses import dataclass

from towpath.postgresql.relations import Column, quoted

_FIRST, _AFTER = "0001-01-01", "10000-01-01"  # what SQLite's date functions read
_DOUBLED = "'''' || replace({t}, '''', '''''') || ''''"  # a text as a literal
_AS_TEXT = _DOUBLED.format(t="{c}::text")
_PLAIN = "'''' || {c}::text || ''''"  # for texts that never hold a quote


def _real(integral: str) -> str:
    """`integral`: below it a whole number is written without point and exponent, and would be an integer."""
    return (
        "CASE {c} WHEN 'NaN' THEN '''NaN''' WHEN 'Infinity' THEN '9e999' WHEN '-Infinity' THEN '-9e999'"
        f" ELSE {{c}}::text || CASE WHEN {{c}} = trunc({{c}}) AND abs({{c}}) < {integral} THEN '.0' ELSE '' END END"
    )


def _moment(value: str, zone: str, mark: str) -> str:
    return (
        f"CASE WHEN {{c}} >= '{_FIRST}{zone}' AND {{c}} < '{_AFTER}{zone}'"
        f" THEN to_char({value}, '''YYYY-MM-DD\"T\"HH24:MI:SS.US{mark}''') ELSE {_PLAIN} END"
    )


@dataclass(frozen=True, slots=True)
class TypeRule:
    """Types with one captured form.

    `storage`: what SQLite's typeof says of a value that is not NULL; `sql`: the literal, NULL where the value is.
    """

    form: str
    bases: tuple[str, ...]  # Column.base; none for the two rules that are chosen by other means
    storage: str  # integer, real, text, blob
    sql: str
    meaning: str  # one line for people
    code: str = ""  # the rule of towpath.postgresql.rules that tells what changes; "" where nothing does


RULES: tuple[TypeRule, ...] = (
    TypeRule("integer", ("int2", "int4", "int8", "oid"), "integer", "{c}::text", "the number"),
    TypeRule("boolean", ("bool",), "integer", "{c}::int4::text", "1 or 0", "PG301"),
    TypeRule("real", ("float8",), "real", _real("1e15"), "the double; NaN as text, infinities as numbers"),
    TypeRule(
        "real", ("float4",), "real", _real("1e6"), "the double of its shortest text; NaN and infinities as float8"
    ),
    TypeRule("decimal", ("numeric",), "text", _PLAIN, "all digits, the scale too", "PG302"),
    TypeRule("decimal", ("money",), "text", "'''' || {c}::numeric::text || ''''", "the number as numeric", "PG302"),
    TypeRule("text", ("text", "varchar", "name", "char", "citext", "enum"), "text", _AS_TEXT, "its characters"),
    TypeRule("text", ("bpchar",), "text", _AS_TEXT, "its characters without the padding of char(n)", "PG303"),
    TypeRule(
        "timestamptz",
        ("timestamptz",),
        "text",
        _moment("{c} AT TIME ZONE 'UTC'", "+00", '"Z"'),
        "UTC, always six digits, Z; infinity, BC and years beyond 9999 as PostgreSQL writes them",
        "PG304",
    ),
    TypeRule(
        "timestamp",
        ("timestamp",),
        "text",
        _moment("{c}", "", ""),
        "always six digits, no zone; infinity, BC and years beyond 9999 as PostgreSQL writes them",
        "PG304",
    ),
    TypeRule("date", ("date",), "text", _PLAIN, "year, month, day; infinity and BC as PostgreSQL writes them", "PG304"),
    TypeRule("time", ("time", "timetz"), "text", _PLAIN, "as PostgreSQL writes it", "PG304"),
    TypeRule("interval", ("interval",), "text", _PLAIN, "ISO 8601, months, days and seconds apart", "PG304"),
    TypeRule("uuid", ("uuid",), "text", _PLAIN, "small letters, with dashes", "PG305"),
    TypeRule("json", ("json", "jsonb"), "text", _AS_TEXT, "the bytes of its text", "PG306"),
    TypeRule("bytes", ("bytea",), "blob", "'x''' || encode({c}, 'hex') || ''''", "its bytes"),
    TypeRule(  # a cast to text would add /32 to a host, which its default and an array of it do not have
        "other", ("inet",), "text", "'''' || inet_out({c})::text || ''''", "as PostgreSQL writes it", "PG308"
    ),
)
ARRAY = TypeRule(
    "array",
    (),
    "text",
    _DOUBLED.format(t="to_json({c})::text"),
    "a JSON array of what to_json writes; dimensions are nested, lower bounds are lost",
    "PG307",
)
PADDED_ARRAY = TypeRule("array", ("bpchar[]",), "text", _DOUBLED.format(t="to_json({c}::text[])::text"), "", "PG307")
OTHER = TypeRule("other", (), "text", _AS_TEXT, "the text that PostgreSQL writes", "PG308")
_BY_BASE = {base: rule for rule in (*RULES, PADDED_ARRAY) for base in rule.bases}


def rule_for(column: Column) -> TypeRule:
    """The rule that captures a column."""
    return _BY_BASE.get(column.base) or (ARRAY if column.array else OTHER)


def literal_sql(column: Column) -> str:
    """PostgreSQL's expression for a column's value as a literal of SQLite; never NULL."""
    return f"coalesce({rule_for(column).sql.format(c=quoted(column.name))}, 'NULL')"


def tuple_sql(columns: tuple[Column, ...]) -> str:
    """PostgreSQL's expression for a row as `(literal,literal,…)`; `(NULL)` for a table without columns."""
    parts = [literal_sql(column) for column in columns] or ["'NULL'"]
    return "'(' || " + " || ',' || ".join(parts) + " || ')'"
