"""Any value in any kind of table arrives as it was, through the real D1."""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import pytest
from helpers.carry import carry, same_rows
from helpers.file_values import INT64, NAMES, TEXTS, VALUES, put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from towpath.cloudflare import Client
from towpath.cloudflare.d1 import D1
from towpath.tables.schema import quoted

TYPES = st.sampled_from(["", "TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", "DATETIME", "VARCHAR(3)"])
KEYS = {
    "integer": "k INTEGER PRIMARY KEY",
    "text": "k TEXT PRIMARY KEY NOT NULL",
    "any": "k PRIMARY KEY NOT NULL",
    "nulls": "k TEXT PRIMARY KEY",
    "none": "k",
    "without rowid": "k NOT NULL PRIMARY KEY",
    "nocase": "k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL",
}
LASTING = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, str, list[list[object]]]:
    """(kind of key, DDL, rows: the key first)."""
    kind = draw(st.sampled_from(sorted(KEYS)))
    name = draw(NAMES)
    others = draw(
        st.lists(NAMES, max_size=4, unique_by=lambda n: n.lower()).map(lambda ns: [n for n in ns if n.lower() != "k"])
    )
    columns = [KEYS[kind], *(f"{quoted(n)} {draw(TYPES)}" for n in others)]
    tail = " WITHOUT ROWID" if kind == "without rowid" else ""
    key = {"integer": INT64, "none": VALUES, "nulls": st.none() | TEXTS, "any": VALUES.filter(lambda v: v is not None)}
    keys = key.get(kind, VALUES.filter(lambda v: v is not None) if kind == "without rowid" else TEXTS)
    rows = draw(st.lists(st.tuples(keys, *(VALUES for _ in others)).map(list), max_size=8))
    return kind, f"CREATE TABLE {quoted(name)} ({', '.join(columns)}){tail}", rows


def fill(path: Path, ddl: str, rows: list[list[object]]) -> None:
    with closing(apsw.Connection(str(path))) as db:
        db.execute(ddl)
        name = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").get
        for row in rows:
            parts = [put(value) for value in row]
            sql = f"INSERT OR IGNORE INTO {quoted(name)} VALUES ({', '.join(sql for sql, _ in parts)})"
            db.execute(sql, tuple(binding for _, binding in parts))


@given(made=tables())
@LASTING
def test_every_value_arrives_as_it_was(client: Client, made: tuple[str, str, list[list[object]]]) -> None:
    _, ddl, rows = made
    with TemporaryDirectory() as folder:
        source = Path(folder) / "source.sqlite"
        fill(source, ddl, rows)
        carried = carry(source, Path(folder) / "run", D1(client, f"p{secrets.token_hex(8)}"))
        table = carried.exporter.schema.moving[0]
        assert same_rows(carried.exporter.db, carried.d1, table)
        found = carried.compare()
        assert found.equal, found.differences


@pytest.mark.parametrize("size", [97_000, 150_000, 999_999, 1_900_000])
@pytest.mark.parametrize("kind", ["text", "unicode", "bad text", "nul text", "blob", "row of many"])
def test_a_long_value_arrives_as_it_was(d1: D1, tmp_path: Path, kind: str, size: int) -> None:
    values = {
        "text": ["it's " * (size // 5)],
        "unicode": ["é漢" * (size // 5)],
        "bad text": [("bad", b"\xff" + b"x" * (size - 1))],
        "nul text": ["a\0" * (size // 2)],
        "blob": [bytes(range(256)) * (size // 256)],
        "row of many": ["x" * (size // 20)] * 10 + [b"y" * (size // 20)] * 10,
    }[kind]
    columns = ", ".join(f"c{n}" for n in range(len(values)))
    fill(
        tmp_path / "s.sqlite",
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns})",
        [[1, *values], [2, *values[:1], *[None] * (len(values) - 1)]],
    )
    carried = carry(tmp_path / "s.sqlite", tmp_path / "run", d1)
    assert carried.compare().equal
    table = carried.exporter.schema.moving[0]
    sizes = f"SELECT {', '.join(f'octet_length({quoted(c.name)})' for c in table.columns)} FROM t"
    assert [tuple(r) for r in d1.query(sizes).rows] == list(carried.exporter.db.execute(sizes))
    d1.batch(["UPDATE t SET c0 = CAST(c0 || 'x' AS BLOB) WHERE id = 1"])
    found = carried.compare()
    assert [(d.key, d.column) for d in found.differences] == [("1", "c0")]
