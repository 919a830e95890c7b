"""What a SQLite file may hold: values of every storage class, names, declared types, and whole tables of them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw
from hypothesis import strategies as st

from towpath.tables.schema import quoted

INT64 = st.integers(-(2**63), 2**63 - 1)
EDGES = st.sampled_from([0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
FLOATS = st.floats(allow_nan=False) | st.sampled_from(
    [float("inf"), -float("inf"), 5e-324, 1.7976931348623157e308, 100.0]
)
AWKWARD = st.sampled_from(
    [
        "",
        "'",
        "''",
        "\0",
        "a\0b",
        "\ufffd",
        "BEGIN TRANSACTION;",
        "COMMIT;",
        "-- x",
        "; drop",
        "\\n\n",
        "\r\n",
        "5",
        "007",
    ]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | AWKWARD
BLOBS = st.binary(max_size=40)
BAD_UTF8 = st.sampled_from([b"\xff", b"a\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc3("])
VALUES = st.one_of(st.none(), INT64, EDGES, FLOATS, TEXTS, BLOBS, st.builds(lambda b: ("bad", b), BAD_UTF8))
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12).filter(
    lambda n: n.strip() and not n.lower().startswith(("sqlite_", "_cf_", "_towpath_"))
)
# numbers, dates and truths as applications write them into columns of any name
WRITTEN = st.sampled_from(
    ["1.10", "1e5", "0x10", "+5", " 5", "2024-02-29", "2024-02-29T12:00:00Z", "2024-02-29 12:00:00.5", "true", "NULL"]
) | st.sampled_from([1.1, 5.0, 1e15, 2.0**53, 1e100, 0, 1, 1_700_000_000, 1_700_000_000_000])
ANYTHING = VALUES | WRITTEN
TYPES = (
    *("", "TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", "INT", "BIGINT", "TINYINT(1)", "BOOLEAN", "BOOL", "CHAR(3)"),
    *("VARCHAR(255)", "NVARCHAR", "CLOB", "DOUBLE PRECISION", "FLOAT", "DECIMAL(10, 2)", "MONEY", "DATE", "DATETIME"),
    *(
        "TIMESTAMP",
        "TIME",
        "JSON",
        "UUID",
        "STRING",
        "CHARINT",
        "FLOATING POINT",
        "ANY",
        "unsigned big int",
        "[odd type]",
    ),
)
STRICT = ("INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY")
COLLATIONS = ("", " COLLATE NOCASE", " COLLATE RTRIM", " COLLATE BINARY")
KEYS = (
    "k INTEGER PRIMARY KEY",
    "k INTEGER PRIMARY KEY AUTOINCREMENT",
    "k INT PRIMARY KEY",
    "k BIGINT PRIMARY KEY NOT NULL",
    "k TEXT PRIMARY KEY",
    "k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL",
    "k PRIMARY KEY",
    "k VARCHAR(20) NOT NULL PRIMARY KEY DESC",
    "k",
)


@dataclass(frozen=True)
class Made:
    """One generated table: what declares it, and rows that are tried in this order."""

    name: str
    statements: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    columns: tuple[str, ...]  # those that rows fill


def put(value: object) -> tuple[str, object]:
    """The SQL and the binding that store a generated value."""
    if isinstance(value, tuple):
        return "CAST(? AS TEXT)", value[1]
    return "?", value


@st.composite
def tables(draw: st.DrawFn, name: str) -> Made:
    """A table of any kind, with indexes and a generated column now and then."""
    strict = draw(st.integers(0, 4)) == 0
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=str.casefold))
    names = [n for n in names if n.casefold() not in ("k", "computed", "rowid")] or ["a"]
    kinds = [draw(st.sampled_from(STRICT if strict else TYPES)) for _ in names]
    columns = []
    for column, kind in zip(names, kinds, strict=True):
        extra = draw(st.sampled_from(["", "", "", " NOT NULL", " DEFAULT 5", " DEFAULT 'x'", " CHECK (1)", " UNIQUE"]))
        columns.append(f"{quoted(column)} {kind}{draw(st.sampled_from(COLLATIONS))}{extra}")
    key = "k INTEGER PRIMARY KEY" if strict else draw(st.sampled_from(KEYS))
    keyed = "PRIMARY KEY" in key and "AUTOINCREMENT" not in key
    tail = ["STRICT"] if strict else []
    if keyed and draw(st.booleans()):
        tail.append("WITHOUT ROWID")
    computed = draw(st.sampled_from(["", "", "AS (k) STORED", "AS (typeof(k) || ' ' || ifnull(k, '')) VIRTUAL"]))
    if computed:
        columns.append(f"computed {'ANY ' if strict else ''}{computed}")
    made = [f"CREATE TABLE {name} ({', '.join([key, *columns])}) {', '.join(tail)}"]
    if draw(st.booleans()):
        unique, where = (
            draw(st.sampled_from(["", "UNIQUE "])),
            draw(st.sampled_from(["", f" WHERE {quoted(names[0])} > 1"])),
        )
        made.append(f"CREATE {unique}INDEX {name}_i ON {name} ({quoted(names[0])} DESC){where}")
    row = st.tuples(ANYTHING, *(ANYTHING for _ in names))
    return Made(name, tuple(made), tuple(draw(st.lists(row, max_size=8))), ("k", *names))


def fill(path: Path, made: list[Made] | tuple[Made, ...]) -> int:
    """Write the tables into a new file, the rows that their constraints take; how many values were kept."""
    values = 0
    with closing(apsw.Connection(str(path))) as db:
        db.execute("PRAGMA journal_mode = off; PRAGMA synchronous = off").fetchall()
        for table in made:
            for sql in table.statements:
                db.execute(sql)
            for row in table.rows:
                parts = [put(value) for value in row]
                columns = ", ".join(map(quoted, table.columns))
                sql = f"INSERT OR IGNORE INTO {table.name} ({columns}) VALUES ({', '.join(sql for sql, _ in parts)})"
                try:
                    db.execute(sql, tuple(binding for _, binding in parts))
                except (apsw.MismatchError, apsw.ConstraintError, apsw.FullError):
                    continue  # no such value in STRICT, or in an INTEGER PRIMARY KEY; no number left to AUTOINCREMENT
                values += len(row)
    return values
