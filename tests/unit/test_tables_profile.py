"""The census counts what is there: against Python's own look at the same rows, and for each odd kind of value."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest
from helpers.census import look, look_at

from towpath.errors import BadInput
from towpath.tables.census import DATE_FORMS, ColumnProfile, Profile
from towpath.tables.orphans import NO_KEY, NO_TABLE, SOUND
from towpath.tables.profile import profile
from towpath.tables.schema import reflect
from towpath.tables.source import open_source

K = "id INTEGER PRIMARY KEY"


def column(sql: str, name: str = "a", table: str = "t") -> ColumnProfile:
    return look(sql).profile.table(table).column(name)


def values(*literals: str, declared: str = "") -> ColumnProfile:
    """The census of one column that holds these SQL literals under keys 1, 2, 3, …"""
    rows = ", ".join(f"({number}, {literal})" for number, literal in enumerate(literals, 1))
    return column(f"CREATE TABLE t ({K}, a {declared}); INSERT INTO t VALUES {rows}")


ODD = ["NULL", "0", "-5", "9007199254740993", "1.5", "-9e999", "''", "'ä€😀'", "'x'||char(0)", "CAST(x'ff41' AS TEXT)",
       "x''", "x'00ff'", "'\ufffd'", "'2024-01-01 10:00:00'", "'true'", "9223372036854775807", "2.5e-310"]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_counts_equal_what_python_sees(seed: int) -> None:
    """Random mixtures over several pages, in tables of every shape of key."""
    chance = random.Random(seed)
    shapes = (f"({K}, a, b TEXT)", "(a, b TEXT)", "(k INTEGER, j TEXT, a, b TEXT, PRIMARY KEY (k, j)) WITHOUT ROWID")
    shape = shapes[seed % 3]
    db = apsw.Connection(":memory:")
    db.execute(f"CREATE TABLE t {shape}").fetchall()
    rows = 700 + seed
    few = [chance.choice(ODD) for _ in range(4)]
    with db:
        for number in range(rows):
            pair = f"{chance.choice(few)}, {chance.choice(ODD)}"
            names = "k, j, a, b" if "k INTEGER" in shape else "a, b"
            key = f"{number % 7}, 'j{number:05}', " if "k INTEGER" in shape else ""
            db.execute(f"INSERT INTO t ({names}) VALUES ({key}{pair})")
    seen: list[int] = []
    schema = reflect(db)
    census = profile(db, schema, seen.append).table("t")
    assert census.rows == rows == sum(seen)
    assert len(seen) > 1
    for name in ("a", "b"):
        assert_equal(
            census.column(name),
            [tuple(row) for row in db.execute(f"SELECT typeof({name}), CAST({name} AS BLOB) FROM t")],
        )


def assert_equal(found: ColumnProfile, cells: list[tuple[Any, ...]]) -> None:
    by_kind = {kind: [data for k, data in cells if k == kind] for kind in ("null", "integer", "real", "text", "blob")}
    assert (found.nulls, found.integers, found.reals, found.texts, found.blobs) == tuple(map(len, by_kind.values()))
    integers = [int(data) for data in by_kind["integer"]]
    assert (found.least_integer, found.largest_integer) == (min(integers, default=None), max(integers, default=None))
    assert found.beyond_safe == sum(abs(number) > 2**53 for number in integers)
    assert found.infinities == sum(data == b"-Inf" for data in by_kind["real"])
    texts = by_kind["text"]
    assert found.longest_text == max(map(len, texts), default=0)
    assert found.longest_blob == max(map(len, by_kind["blob"]), default=0)
    assert found.empty_texts == texts.count(b"")
    assert found.nul_texts == sum(b"\0" in text for text in texts)
    assert found.replaced_texts == sum(b"\xef\xbf\xbd" in text for text in texts)
    assert found.invalid_texts == sum(text.startswith(b"\xff") for text in texts)


def test_the_profile_survives_its_file() -> None:
    found = look(f"CREATE TABLE t ({K}, a); INSERT INTO t (a) VALUES {', '.join(f'({v})' for v in ODD)}").profile
    assert Profile.from_json(orjson.loads(orjson.dumps(found.to_json()))) == found
    assert found.rows == len(ODD)


def test_bounds_of_reals_are_finite_and_infinities_counted() -> None:
    found = values("9e999", "-9e999", "1.5", "-2.25", "NULL", declared="REAL")
    assert (found.least_real, found.largest_real, found.infinities) == (-2.25, 1.5, 2)
    assert found.samples["infinities"] == ("1", "2")
    only = values("9e999", declared="REAL")
    assert (only.least_real, only.largest_real, only.infinities) == (None, None, 1)


@pytest.mark.parametrize(
    ("literal", "form"),
    [
        ("'2024-05-06 07:08:09.000010'", "s"),
        ("'2024-05-06 07:08:09'", "S"),
        ("'2024-05-06 07:08:09.123'", "m"),
        ("'2024-05-06 07:08'", "M"),
        ("'2024-05-06T07:08:09.5'", "T"),
        ("'2024-05-06T07:08:09Z'", "Z"),
        ("'2024-05-06 07:08:09.000010Z'", "Z"),
        ("'2024-05-06T07:08:09+02:00'", "o"),
        ("'2024-05-06 07:08:09-0230'", "o"),
        ("'2024-05-06 07:08:09+02'", "o"),
        ("'2024-05-06'", "d"),
        ("'07:08:09'", "h"),
        ("1714972089", "e"),
        ("1714972089123", "E"),
        ("1714972089123456", "u"),
        ("1714972089.5", "f"),
        ("2460436.5", "j"),
        ("'06/05/2024'", "x"),
        ("'2024-13-06'", "d"),
        ("'2024-20-06'", "x"),
        ("7", "i"),
        ("7.5", "r"),
    ],
)
def test_forms_of_dates(literal: str, form: str) -> None:
    found = values(literal, "'2000-01-01 00:00:00'", "NULL", "''", declared="DATETIME")
    wanted = {DATE_FORMS[form]: 1, DATE_FORMS["S"]: 1} if form != "S" else {DATE_FORMS["S"]: 2}
    assert dict(found.dates) == wanted
    assert (found.nulls, found.empty_texts) == (1, 1)


def test_a_column_of_dates_is_known_by_its_values() -> None:
    assert column(f"CREATE TABLE t ({K}, a TEXT); INSERT INTO t VALUES (1, '2024-05-06')").dates
    assert not column(f"CREATE TABLE t ({K}, a TEXT); INSERT INTO t VALUES (1, 'not 2024-05-06')").dates
    assert not column(f"CREATE TABLE t ({K}, updated INTEGER); INSERT INTO t VALUES (1, 5)", "updated").dates


def test_halves_of_a_character_in_two_rows_do_not_make_a_whole_one() -> None:
    found = values("CAST(x'c3' AS TEXT)", "CAST(x'a4' AS TEXT)", "'ä'")
    assert (found.invalid_texts, found.samples["invalid"]) == (2, ("1", "2"))


def test_a_surrogate_is_not_utf8() -> None:
    assert values("CAST(x'eda080' AS TEXT)").invalid_texts == 1


def test_booleans_as_words_only_where_every_text_is_one() -> None:
    assert values("'True'", "'no'", "NULL").boolean_texts == 2
    assert values("'True'", "'maybe'").boolean_texts == 0


def test_numbers_as_text_under_a_numeric_type() -> None:
    """Only a type that was changed afterwards leaves them so."""
    db = apsw.Connection(":memory:")
    db.execute(
        f"CREATE TABLE t ({K}, a TEXT); INSERT INTO t VALUES (1, '123'), (2, 'x1'), (3, ' 1e5 '), (4, '1-2')"
    ).fetchall()
    db.execute(
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'a TEXT', 'a JSON')"
    ).fetchall()
    db.execute("PRAGMA writable_schema = RESET").fetchall()
    found = look_at(db).profile.table("t").column("a")
    assert (found.numeric_texts, found.samples["numeric"]) == (2, ("1", "3"))


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_lengths_are_those_of_utf8(encoding: str) -> None:
    db = apsw.Connection(":memory:")
    db.execute(f"PRAGMA encoding = '{encoding}'").fetchall()
    db.execute(
        f"CREATE TABLE t ({K}, a TEXT, b BLOB); INSERT INTO t VALUES (1, 'ä€😀', x'0102'), (2, 'a'||char(0), NULL)"
    ).fetchall()
    found = look_at(db).profile
    assert found.encoding == encoding
    table = found.table("t")
    assert (table.column("a").longest_text, table.column("b").longest_blob, table.column("a").nul_texts) == (9, 2, 1)
    assert (table.longest_row, table.longest_row_key) == (8 + 9 + 2, "1")


def test_the_longest_row_is_named_by_its_key() -> None:
    rows = ", ".join(f"('k{n}', {n % 7}, zeroblob({n}))" for n in range(400))
    found = look(f"CREATE TABLE t (a TEXT, n, b, PRIMARY KEY (a, n)); INSERT INTO t VALUES {rows}").profile.table("t")
    assert (found.longest_row, found.longest_row_key) == (4 + 8 + 399, "k399, 0")


def test_texts_too_long_to_join_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.tables.profile.TEXTS_AT_ONCE", 10)
    found = values("'x'||char(0)", "'ä'", "CAST(x'ff' AS TEXT)", "'long enough'")
    assert (found.nul_texts, found.invalid_texts, found.texts) == (1, 1, 4)


def test_a_table_without_rows_and_one_without_a_name_for_its_rowid() -> None:
    looked = look(
        "CREATE TABLE e (a); CREATE TABLE h (rowid, _rowid_, oid); INSERT INTO h VALUES (1, 2, NULL), ('x', 2, 3)"
    )
    assert [table.rows for table in looked.profile.tables] == [0, 2]
    assert looked.profile.table("h").column("oid").nulls == 1


def test_a_wide_table() -> None:
    names = ", ".join(f"c{n}" for n in range(1_000))
    db = apsw.Connection(":memory:")
    db.execute(f"CREATE TABLE t ({names}); INSERT INTO t (c0, c999) VALUES ('ä', x'00')").fetchall()
    found = profile(db, reflect(db)).table("t")
    assert (found.column("c0").texts, found.column("c500").nulls, found.column("c999").blobs) == (1, 1, 1)


def test_hostile_names() -> None:
    name = "a\"b'c]d`e;--/*"
    quoted = '"' + name.replace('"', '""') + '"'
    rows = "('x', 9007199254740993)"
    looked = look(f'CREATE TABLE {quoted} ({quoted} TEXT PRIMARY KEY, "" INTEGER); INSERT INTO {quoted} VALUES {rows}')
    found = looked.profile.table(name).column("")
    assert (found.beyond_safe, found.samples["beyond_safe"]) == (1, ("x",))


def registered(path: Path) -> apsw.Connection:
    """A connection as the application has it: with functions and a collation of its own."""
    db = apsw.Connection(str(path))
    db.create_scalar_function("slug", lambda *v: str(v[0]).lower(), 1, deterministic=True)
    db.create_scalar_function("regexp", lambda *v: v[0] in (v[1] or ""), 2, deterministic=True)
    db.create_collation("german", lambda a, b: (a > b) - (a < b))
    return db


@pytest.mark.parametrize(
    ("ddl", "code"),
    [
        (f"CREATE TABLE t ({K}, a TEXT CHECK (a REGEXP '^x'))", "TB108"),
        (f"CREATE TABLE t ({K}, a TEXT, b TEXT AS (slug(a)))", "TB111"),
        (f"CREATE TABLE t ({K}, a TEXT); CREATE INDEX i ON t (slug(a))", "TB108"),
        (f"CREATE TABLE t ({K}, a TEXT COLLATE german UNIQUE)", "TB110"),
        ("CREATE TABLE t (a TEXT COLLATE german REFERENCES t, id TEXT COLLATE german PRIMARY KEY)", "TB110"),
    ],
)
def test_what_only_the_application_knows_does_not_stop_the_census(tmp_path: Path, ddl: str, code: str) -> None:
    path = tmp_path / "a.sqlite"
    db = registered(path)
    db.execute(f"{ddl}; INSERT INTO t (id, a) VALUES (1, '^xB'), (2, '^xz')").fetchall()
    db.close()
    looked = look_at(open_source(path, closed_cleanly=False))
    assert looked.profile.table("t").column("a").texts == 2
    assert code in {f.code for f in looked.findings()}


def test_rows_in_an_order_that_only_the_application_knows(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    db = registered(path)
    db.execute(
        "CREATE TABLE t (a TEXT COLLATE german PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES ('x')"
    ).fetchall()
    db.close()
    with pytest.raises(BadInput, match="without its application"):
        look_at(open_source(path, closed_cleanly=False))


def test_a_damaged_page_stops_the_census(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
    db.executemany("INSERT INTO t VALUES (?, ?)", ((n, "x" * 200) for n in range(500)))
    db.commit()
    db.close()
    content = bytearray(path.read_bytes())
    content[4096 * 5 : 4096 * 5 + 96] = b"\xff" * 96
    path.write_bytes(bytes(content))
    with pytest.raises(BadInput, match="t: the file is damaged"):
        look_at(open_source(path, closed_cleanly=False))


ORPHANS = """
CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, loose TEXT, code TEXT UNIQUE, a, b,
  UNIQUE (a, b));
INSERT INTO p VALUES (1, 'Ada', 'x', '5', 1, NULL), (2, 'Bob', 'x', '05', 1, 2);
CREATE TABLE c (id INTEGER PRIMARY KEY, p, name TEXT REFERENCES p (name), code INTEGER REFERENCES p (code),
  a, b, loose REFERENCES p (loose), gone REFERENCES nobody, up INTEGER REFERENCES c,
  FOREIGN KEY (p) REFERENCES p, FOREIGN KEY (a, b) REFERENCES p (a, b));
INSERT INTO c (id, p, name, code, a, b, loose, gone, up) VALUES
  (1, 1, 'ADA', 5, 1, 2, 'x', 7, 1), (2, '2', 'bob', 6, 1, NULL, 'y', NULL, 3),
  (3, 9, 'Eve', 05, 1, 3, NULL, NULL, NULL), (4, NULL, NULL, NULL, NULL, 9, NULL, NULL, 99);
"""


def test_orphans_are_those_that_sqlite_itself_finds() -> None:
    looked = look(ORPHANS)
    found = {orphan.object: (orphan.count, orphan.keys, orphan.problem) for orphan in looked.orphans}
    assert found == {
        "c.p": (1, ("3",), SOUND),
        "c.name": (1, ("3",), SOUND),
        "c.code": (1, ("2",), SOUND),
        "c.a+b": (1, ("3",), SOUND),
        "c.loose": (1, ("2",), NO_KEY),
        "c.gone": (1, ("1",), NO_TABLE),
        "c.up": (1, ("4",), SOUND),
    }
    # SQLite's own check refuses a key that is not unique, so that one is taken away before it is asked
    whole = ORPHANS.replace("loose REFERENCES p (loose)", "loose")
    native = look(whole).db.execute("SELECT count(*) FROM pragma_foreign_key_check('c')").get
    assert native == sum(count for count, _, problem in found.values() if problem != NO_KEY)
