"""SQLite → D1, read back: every value of every storage class in every kind of column, through the converted schema.

Both sides are read cell by cell, in a way that shares nothing with the product's proof: storage class, integers by
their digits, reals as doubles, texts and blobs by their bytes.  `make roundtrip` makes thousands.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import pytest
from helpers.carry import CLAIM, prepare
from helpers.file_values import Made, fill, tables
from helpers.tally import Tally, lasting
from hypothesis import given
from hypothesis import strategies as st

from towpath.checks import Check, Verdict
from towpath.cloudflare import Client
from towpath.cloudflare.d1 import D1
from towpath.tables import acceptance, compare, load, target
from towpath.tables.convert import convert
from towpath.tables.profile import profile
from towpath.tables.proof import prove
from towpath.tables.reproved import reproved
from towpath.tables.schema import quoted

TABLES = 8  # of one example's file
Cell = tuple[str, object]


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    counts = Tally("SQLite → D1")
    yield counts
    print(counts.line(f"SQLite {apsw.sqlite_lib_version()}"))


def cells_sql(name: str, columns: Sequence[str]) -> str:
    """Each cell as its storage class and a value that neither JSON nor a driver changes."""
    cells = (
        f"typeof({c}), CASE typeof({c}) WHEN 'integer' THEN CAST({c} AS TEXT) WHEN 'real' THEN CASE {c} WHEN 9e999"
        f" THEN 'Infinity' WHEN -9e999 THEN '-Infinity' ELSE {c} END WHEN 'null' THEN NULL ELSE hex({c}) END"
        for c in map(quoted, columns)
    )
    return f"SELECT {', '.join(cells)} FROM {quoted(name)}"


def rows(found: Iterable[Sequence[object]]) -> list[tuple[Cell, ...]]:
    """Rows of cells, in an order of their own; a double that JSON writes without a point is one all the same."""

    def cell(kind: object, value: object) -> Cell:
        number = isinstance(value, int | float)
        return str(kind), repr(float(str(value)) + 0.0) if number else value

    made = (tuple(cell(*pair) for pair in zip(row[::2], row[1::2], strict=True)) for row in found)
    return sorted(made, key=repr)


def carried(folder: Path, d1: D1, made: Sequence[Made]) -> list[str]:
    """Move a file of these tables; what is wrong, by the product's checks and by our own reading."""
    with closing(apsw.Connection(str(folder / "source.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        exporter, manifest = prepare(folder / "source.sqlite", folder / "run")
        conversion = convert(exporter.schema, profile(exporter.db, exporter.schema))
        statements = [*conversion.table_statements, *conversion.after_statements]
        checks: list[Check] = prove(conversion, exporter.schema)
        target.apply_migration(d1, "0001_tables.sql", conversion.table_statements, CLAIM)
        load.load(d1, folder / "run", manifest)
        load.finish(d1, manifest, conversion.after_statements, exporter.schema.sequences)
        found = compare.compare(d1, manifest, exporter.db, exporter.relations)
        checks += [*found.checks, *acceptance.schema_present(d1, statements), *acceptance.sequences(d1, manifest)]
        checks += reproved(d1, manifest, exporter.db, exporter.relations, statements)
        exporter.close()
        wrong = [f"{c.code} {c.object}: {c.expected}; {c.found}" for c in checks if c.verdict is Verdict.FAIL]
        for table in made:
            columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_xinfo(?)", (table.name,))]
            sql = cells_sql(table.name, columns)
            there, here = rows(db.execute(sql)), rows(d1.query(sql).rows)
            wrong += [f"{table.name}: {there} became {here}"] if there != here else []
    return wrong


@given(made=st.tuples(*(tables(f"t{number}") for number in range(TABLES))))
@lasting(100, TABLES)
def test_what_arrives_is_what_was_there(made: tuple[Made, ...], client: Client, tally: Tally) -> None:
    with TemporaryDirectory() as folder:
        values = fill(Path(folder) / "source.sqlite", made)
        with tally.example(len(made), values):
            assert carried(Path(folder), D1(client, f"trip-{secrets.token_hex(8)}"), made) == []


def test_the_reading_sees_every_change(d1: D1, tmp_path: Path) -> None:
    made = Made("t", ("CREATE TABLE t (a, b, c, d, e)",), ((5, 5.0, "x", b"x", None),), ("a", "b", "c", "d", "e"))
    fill(tmp_path / "source.sqlite", [made])
    assert carried(tmp_path, d1, [made]) == []
    sql = cells_sql("t", made.columns)
    before = rows(d1.query(sql).rows)
    for change in (
        "a = '5'",
        "b = 5",
        "b = 5.000000000000001",
        "c = 'X'",
        "c = x'78'",
        "d = 'x'",
        "e = ''",
        "a = NULL",
    ):
        d1.batch([f"UPDATE t SET {change}"])
        assert rows(d1.query(sql).rows) != before, change
        d1.batch(["UPDATE t SET a = 5, b = 5.0, c = 'x', d = x'78', e = NULL"])
    assert rows(d1.query(sql).rows) == before
