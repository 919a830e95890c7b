"""Any text is the sum of its tokens; any schema that SQLite takes converts, and its values stay what they are."""

from __future__ import annotations

from typing import Any

import apsw
from helpers.census import look_at
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from towpath.checks import Verdict
from towpath.tables.ddl import BROKEN, NAME, SPACE, STRING, spoken, tidied, tokens, written
from towpath.tables.proof import prove
from towpath.tables.schema import literal, quoted

QUIET = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

FRAGMENTS = st.sampled_from(
    ["'", '"', "`", "[", "]", "''", '""', "--", "/*", "*/", "\r\n", "\n", " ", "x'", "X'41'", ";", "(", ")", ",", ".",
     "1e5",
     ".5", "0x1F", "5.", "?1", ":a", "@b", "$c::d(e)", "#", "é", "\0",
     "->>", "||", "NOT", "NULL", "DEFAULT", "1_000", "😀"]
)  # fmt: skip
TEXT = st.one_of(st.text(max_size=60), st.lists(FRAGMENTS, max_size=25).map("".join))
# what a name can be: SQLite takes any text but NUL and lone surrogates
NAMES = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.sampled_from(["select", "check", 'a"b', "a'b", "[x]", "a]b", "`", "--", "/*", "a;b", "primary key", "é", " "]),
)


@given(TEXT)
@example("CREATE TABLE t (a /* never closed")
@example("'never closed ''")
@example("x'4")
@settings(max_examples=500, deadline=None)
def test_tokens_are_the_text(text: str) -> None:
    assert "".join(token.text for token in tokens(text)) == text


@given(NAMES)
@settings(max_examples=300, deadline=None)
def test_a_quoted_name_is_one_token_and_means_the_name(name: str) -> None:
    for text in (quoted(name), literal(name), f"`{name.replace('`', '``')}`"):
        (token,) = tokens(text)
        assert token.identifier == name
        assert token.kind in (NAME, STRING)


@given(TEXT)
@settings(max_examples=300, deadline=None)
def test_what_is_spoken_stays_when_space_and_comments_go(text: str) -> None:
    parts = spoken(text)
    assume(all(token.kind != BROKEN for token in parts))
    assert [token.text for token in spoken(written(parts))] == [token.text for token in parts]
    tidy = tidied(text)
    assert [token.text for token in spoken(tidy)] == [token.text for token in parts]
    assert all("\r" not in token.text for token in tokens(tidy) if token.kind == SPACE)


TYPES = st.sampled_from(
    ["", "TEXT", "VARCHAR(20)", "INTEGER", "BIGINT", "INT", "REAL", "FLOAT", "BLOB", "NUMERIC", "DECIMAL(10, 2)",
     "BOOLEAN", "DATETIME", "TIMESTAMP WITH TIME ZONE", "JSON", "UUID", "STRING", "WEIRD TYPE",
     "FLOATING POINT", "CHARINT",
     "TINYINT(1)",
     "DECIMAL(9,0)", "INTERVAL", "MONEY", "SERIAL", '"quoted type"']
)  # fmt: skip
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.sampled_from(["", "5", "007", "1e5", "12345678901234567890", "true", "2024-01-01 00:00:00", "{}", " 3 ", "-0"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.binary(max_size=6),
    st.integers(0, 1),
)
EXTRAS = st.sampled_from(
    ["", "NOT NULL DEFAULT 0", "UNIQUE", "DEFAULT 'it''s'", 'DEFAULT "dqs"', "DEFAULT (1 + 2)", "DEFAULT -1.5",
     "COLLATE NOCASE",
     "CHECK (length({me}) < 1000)", "CHECK ({me} IS NOT 'nope' /* why */)", "DEFAULT NULL -- none\r\n", "NULL",
     'CONSTRAINT "c" CHECK (abs(1) = 1) DEFAULT CURRENT_TIMESTAMP', "CHECK (power(2, 2) = 4)", "REFERENCES parent",
     "REFERENCES parent (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED"]
)  # fmt: skip
COLUMNS = st.lists(st.tuples(NAMES, TYPES, EXTRAS), min_size=1, max_size=6)
KEYS = st.sampled_from(["", "first", "table", "without rowid"])


def declaration(name: str, columns: list[tuple[str, str, str]], key: str) -> str:
    parts = []
    for number, (column, declared, extra) in enumerate(columns):
        own = " PRIMARY KEY" if key == "first" and number == 0 else ""
        parts.append(f"{quoted(column)} {declared}{own} {extra.replace('{me}', quoted(column))}")
    if key in ("table", "without rowid"):
        parts.append(f"PRIMARY KEY ({', '.join(quoted(c) for c, _, _ in columns[:2])})")
    options = " WITHOUT ROWID" if key == "without rowid" else ""
    return f"CREATE TABLE {quoted(name)} ({', '.join(parts)}){options}"


@given(NAMES, COLUMNS, KEYS, st.data())
@QUIET
def test_any_schema_converts_and_its_values_stay_what_they_are(
    name: str, columns: list[tuple[str, str, str]], key: str, data: st.DataObject
) -> None:
    db = apsw.Connection(":memory:")
    try:
        db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)").fetchall()
        db.execute(declaration(name, columns, key)).fetchall()
    except (apsw.Error, UnicodeError):
        assume(False)  # not a schema that SQLite takes: names that collide, reserved names
    marks = ", ".join("?" * len(columns))
    for row in data.draw(st.lists(st.tuples(*[VALUES] * len(columns)), max_size=6)):
        try:
            db.execute(f"INSERT INTO {quoted(name)} VALUES ({marks})", row).fetchall()
        except (apsw.ConstraintError, apsw.MismatchError):
            continue
    looked = look_at(db)
    conversion = looked.convert(looked.decided())
    assert [c for c in prove(conversion, looked.schema) if c.verdict is not Verdict.PASS] == []
    target = apsw.Connection(":memory:")
    target.execute(";".join(conversion.table_statements)).fetchall()
    moved = f"SELECT * FROM {quoted(name)} ORDER BY {', '.join(str(n + 1) for n in range(len(columns)))}"
    for row in list(db.execute(moved)):
        target.execute(f"INSERT INTO {quoted(name)} VALUES ({marks})", row).fetchall()
    assert exact(target, moved) == exact(db, moved)


def exact(db: apsw.Connection, sql: str) -> list[list[tuple[str, Any]]]:
    """Rows with the type of each value, which 1 == 1.0 would hide."""
    return [[(type(value).__name__, value) for value in row] for row in db.execute(sql)]
