"""Which rows move: decisions about orphans laid over the rows, and no reference ever leaves without its parent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from helpers.carry import carry, make_source, prepare, same_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.checks import Decision, Verdict
from towpath.cloudflare import D1
from towpath.errors import BadInput
from towpath.tables import encode
from towpath.tables.acceptance import exported, leaving_orphans
from towpath.tables.export import Exporter
from towpath.tables.overlay import Overlay, orphans_after, relations
from towpath.tables.relation import KEY_BYTES, Key, keys
from towpath.tables.schema import Schema, reflect


def decided(**choices: str) -> list[Decision]:
    """Decisions about orphans: table__column="park"."""
    return [Decision("TB203", name.replace("__", "."), do, "in a test") for name, do in choices.items()]


class Laid:
    """A source by SQL with decisions laid over."""

    def __init__(self, script: str, decisions: list[Decision]) -> None:
        self.db = apsw.Connection(":memory:")
        self.db.execute(script)
        self.schema: Schema = reflect(self.db)
        overlay = Overlay(self.schema, decisions, keys(self.db, self.schema))
        overlay.prepare(self.db)
        self.relations = relations(overlay)

    def rows(self, table: str) -> list[tuple[object, ...]]:
        """The rows as they must arrive."""
        relation = self.relations[table]
        literals = [row.literal.decode() for row in encode.rows(self.db, relation)]
        values = f"VALUES {', '.join(literals)}" if literals else "SELECT 1 WHERE 0"
        return [tuple(row) for row in self.db.execute(values)]


PARENTS = "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2);"


def test_null_empties_only_the_references_whose_parent_is_missing() -> None:
    laid = Laid(
        PARENTS + "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p, q INTEGER REFERENCES p);"
        "INSERT INTO c VALUES (1, 1, 9), (2, 9, 2), (3, NULL, 9), (4, 9, 9)",
        decided(c__p="null"),
    )
    assert laid.rows("c") == [(1, 1, 9), (2, None, 2), (3, None, 9), (4, None, 9)]


def test_park_keeps_the_row_back() -> None:
    laid = Laid(
        PARENTS + "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER NOT NULL REFERENCES p, q INTEGER REFERENCES p);"
        "INSERT INTO c VALUES (1, 1, 9), (2, 9, 2), (3, 2, NULL)",
        decided(c__p="park", c__q="null"),
    )
    assert laid.rows("c") == [(1, 1, None), (3, 2, None)]


def test_without_a_decision_nothing_changes() -> None:
    laid = Laid(PARENTS + "CREATE TABLE c (p REFERENCES p); INSERT INTO c VALUES (9), (1)", decided(other__p="park"))
    assert [row[1:] for row in laid.rows("c")] == [(9,), (1,)]


def test_an_orphan_is_what_sqlite_takes_for_one() -> None:
    """The parent's affinity and collation decide, the child's do not."""
    laid = Laid(
        "CREATE TABLE p (k UNIQUE, n TEXT COLLATE NOCASE UNIQUE); INSERT INTO p VALUES ('1', 'Ann'), (2, 'bob');"
        "CREATE TABLE c (id INTEGER PRIMARY KEY, k INTEGER REFERENCES p (k), n TEXT REFERENCES p (n));"
        "INSERT INTO c VALUES (1, 1, 'ANN'), (2, 2, 'BOB'), (3, 2.0, 'bob ')",
        decided(c__k="null", c__n="null"),
    )
    wrong = {(rowid, fk) for _, rowid, _, fk in laid.db.execute("PRAGMA foreign_key_check")}
    assert wrong == {(1, 1), (3, 0)}
    assert laid.rows("c") == [(1, None, "ANN"), (2, 2, "BOB"), (3, 2, None)]


COMPOSITE = """
CREATE TABLE tenant (id INTEGER PRIMARY KEY);
CREATE TABLE client (tenant INTEGER NOT NULL, no TEXT NOT NULL, PRIMARY KEY (tenant, no)) WITHOUT ROWID;
CREATE TABLE invoice (id INTEGER PRIMARY KEY, tenant INTEGER {bound} REFERENCES tenant, client TEXT,
    FOREIGN KEY (tenant, client) REFERENCES client (tenant, no));
INSERT INTO tenant VALUES (1), (2);
INSERT INTO client VALUES (1, 'a'), (2, 'b');
INSERT INTO invoice VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 2, NULL), (4, 2, 'b');
"""


@pytest.mark.parametrize("bound", ["", "NOT NULL"])
def test_of_a_composite_reference_only_its_own_column_is_emptied(bound: str) -> None:
    laid = Laid(COMPOSITE.replace("{bound}", bound), [Decision("TB203", "invoice.tenant+client", "null", "")])
    assert laid.rows("invoice") == [(1, 1, "a"), (2, 1, None), (3, 2, None), (4, 2, "b")]


def test_a_composite_reference_parks_its_row() -> None:
    laid = Laid(COMPOSITE.replace("{bound}", ""), [Decision("TB203", "invoice.tenant+client", "park", "")])
    assert laid.rows("invoice") == [(1, 1, "a"), (3, 2, None), (4, 2, "b")]


CHAIN = """
CREATE TABLE a (id INTEGER PRIMARY KEY, gone INTEGER REFERENCES lost (id));
CREATE TABLE lost (id INTEGER PRIMARY KEY);
CREATE TABLE b (x TEXT NOT NULL, a INTEGER NOT NULL REFERENCES a, PRIMARY KEY (x, a)) WITHOUT ROWID;
CREATE TABLE c (id INTEGER PRIMARY KEY, x TEXT, a INTEGER, FOREIGN KEY (x, a) REFERENCES b (x, a));
INSERT INTO a VALUES (1, NULL), (2, 77);
INSERT INTO b VALUES ('x', 1), ('x', 2), ('y', 2);
INSERT INTO c VALUES (1, 'x', 1), (2, 'x', 2), (3, 'y', 2), (4, NULL, 2);
"""


def test_what_depends_on_a_parked_row_is_an_orphan_too_and_must_be_decided() -> None:
    with closing(make_source(Path(":memory:"), CHAIN)) as db:
        schema = reflect(db)
        counts = {o.object: o.count for o in orphans_after(db, schema, decided(a__gone="park"))}
        assert counts == {"a.gone": 1, "b.a": 2, "c.x+a": 0}
        counts = {o.object: o.count for o in orphans_after(db, schema, decided(a__gone="park", b__a="park"))}
        assert counts == {"a.gone": 1, "b.a": 2, "c.x+a": 2}


def test_a_chain_of_decisions_leaves_no_orphan() -> None:
    decisions = [*decided(a__gone="park", b__a="park"), Decision("TB203", "c.x+a", "null", "")]
    laid = Laid(CHAIN, decisions)
    assert laid.rows("a") == [(1, None)]
    assert laid.rows("b") == [("x", 1)]
    assert laid.rows("c") == [(1, "x", 1), (2, None, None), (3, None, None), (4, None, 2)]


SELF = """
CREATE TABLE folder (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES folder, name TEXT);
INSERT INTO folder VALUES (1, NULL, 'root'), (2, 1, 'kept'), (3, 99, 'lost'), (4, 3, 'its child'), (5, 4, 'its child'),
    (6, 6, 'its own parent');
"""


def test_a_self_reference_parks_everything_below() -> None:
    laid = Laid(SELF, decided(folder__parent="park"))
    assert [row[0] for row in laid.rows("folder")] == [1, 2, 6]
    with closing(make_source(Path(":memory:"), SELF)) as db:
        assert [o.count for o in orphans_after(db, reflect(db), decided(folder__parent="park"))] == [3]
        assert [o.count for o in orphans_after(db, reflect(db), decided(folder__parent="null"))] == [1]


def test_a_self_reference_emptied_keeps_everything_below() -> None:
    assert Laid(SELF, decided(folder__parent="null")).rows("folder") == [
        (1, None, "root"), (2, 1, "kept"), (3, None, "lost"), (4, 3, "its child"), (5, 4, "its child"),
        (6, 6, "its own parent"),
    ]  # fmt: skip


def test_a_circle_of_tables_parks_what_hangs_together() -> None:
    laid = Laid(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER NOT NULL REFERENCES b);"
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES a);"
        "INSERT INTO a VALUES (1, 1), (2, 2), (3, 9); INSERT INTO b VALUES (1, 1), (2, 3), (3, 2)",
        [Decision("TB203", "*", "park", "")],
    )
    assert laid.rows("a") == [(1, 1)]
    assert laid.rows("b") == [(1, 1)]


@pytest.mark.parametrize("declared", ["nowhere (id)", "p (n)"])
def test_a_reference_that_does_not_move_parks_and_empties_nothing(declared: str) -> None:
    script = "CREATE TABLE p (id INTEGER PRIMARY KEY, n);" + f"CREATE TABLE c (p REFERENCES {declared});"
    laid = Laid(script + "INSERT INTO c VALUES (5)", [Decision("TB203", "*", "park", "")])
    assert [row[1:] for row in laid.rows("c")] == [(5,)]


def test_hostile_names() -> None:
    laid = Laid(
        'CREATE TABLE """p" (id INTEGER PRIMARY KEY, g INTEGER REFERENCES "g ""h""");'
        'CREATE TABLE "p" (id INTEGER PRIMARY KEY, q INTEGER REFERENCES """p");'
        'CREATE TABLE "g ""h""" (id INTEGER PRIMARY KEY); CREATE TABLE "parent of p" (p REFERENCES p (id));'
        'INSERT INTO """p" VALUES (1, NULL), (2, 5); INSERT INTO p VALUES (1, 1), (2, 2);'
        'INSERT INTO "parent of p" VALUES (1), (2)',
        [Decision("TB203", "*", "park", "")],
    )
    assert [len(laid.rows(table)) for table in ('"p', "p", "parent of p")] == [1, 1, 1]


NODES = st.integers(1, 6)
EDGE = st.none() | st.integers(1, 7)


@given(
    rows=st.lists(st.tuples(st.sampled_from("ab"), NODES, EDGE, EDGE), max_size=14),
    choices=st.tuples(*[st.sampled_from(["park", "null"])] * 4),
)
@settings(deadline=None, max_examples=200)
def test_no_orphan_leaves_and_nothing_stays_without_a_reason(
    rows: list[tuple[str, int, int | None, int | None]], choices: tuple[str, str, str, str]
) -> None:
    decisions = decided(a__one=choices[0], a__two=choices[1], b__one=choices[2], b__two=choices[3])
    columns = "one INTEGER REFERENCES a (id), two INTEGER REFERENCES b (id)"
    script = "".join(f"CREATE TABLE {t} (id INTEGER PRIMARY KEY, {columns});" for t in "ab")
    for table, id, one, two in rows:
        values = ", ".join("NULL" if v is None else str(v) for v in (id, one, two))
        script += f"INSERT OR IGNORE INTO {table} VALUES ({values});"
    laid = Laid(script, decisions)
    do = {("a", 1): choices[0], ("a", 2): choices[1], ("b", 1): choices[2], ("b", 2): choices[3]}
    before = {t: {row[0]: row for row in laid.db.execute(f"SELECT * FROM {t}")} for t in "ab"}
    stay = {t: dict(before[t]) for t in "ab"}
    while True:  # the same in Python: take rows away until nobody's parked reference is broken
        gone = [
            (t, id)
            for t in "ab"
            for id, row in stay[t].items()
            if any(do[t, n] == "park" and row[n] is not None and row[n] not in stay["ab"[n - 1]] for n in (1, 2))
        ]
        if not gone:
            break
        for t, id in gone:
            del stay[t][id]
    for t in "ab":
        wanted = [
            (id, *(row[n] if row[n] in stay["ab"[n - 1]] else None for n in (1, 2)))
            for id, row in sorted(stay[t].items())
        ]
        assert laid.rows(t) == wanted


def test_the_rows_that_are_left_arrive_and_every_count_is_told(d1: D1, tmp_path: Path) -> None:
    decisions = [*decided(a__gone="park", b__a="park", folder__parent="park"), Decision("TB203", "c.x+a", "null", "")]
    make_source(tmp_path / "s.sqlite", CHAIN + SELF).close()
    carried = carry(tmp_path / "s.sqlite", tmp_path / "run", d1, decisions)
    assert carried.manifest.parked == {"a": 1, "b": 2, "folder": 3}
    assert carried.compare().equal
    assert not d1.query("PRAGMA foreign_key_check").rows
    checks = [*exported(carried.exporter, carried.manifest), *leaving_orphans(carried.exporter)]
    assert {c.verdict for c in checks} == {Verdict.PASS}
    assert list(carried.exporter.parked_rows("folder")) == [
        ("3", "99", "CAST(x'6C6F7374' AS TEXT)"),
        ("4", "3", "CAST(x'697473206368696C64' AS TEXT)"),
        ("5", "4", "CAST(x'697473206368696C64' AS TEXT)"),
    ]


def test_an_undecided_child_of_a_parked_row_fails_before_anything_is_sent(tmp_path: Path) -> None:
    make_source(tmp_path / "s.sqlite", CHAIN).close()
    exporter, _ = prepare(tmp_path / "s.sqlite", tmp_path / "run", decided(a__gone="park"))
    found = {c.object: (c.verdict, c.found) for c in leaving_orphans(exporter)}
    assert found == {
        "a.gone": (Verdict.PASS, "1 in the source, 0 after decisions"),
        "b.a": (Verdict.FAIL, "0 in the source, 2 after decisions"),
        "c.x+a": (Verdict.PASS, "0 in the source, 0 after decisions"),
    }
    exporter.close()


# -- which key names the rows


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    with closing(apsw.Connection(":memory:")) as made:
        yield made


def key(db: apsw.Connection, ddl: str) -> Key:
    db.execute(ddl)
    return keys(db, reflect(db))["t"]


@pytest.mark.parametrize(
    ("ddl", "names", "carries"),
    [
        ("CREATE TABLE t (a INTEGER PRIMARY KEY)", ('"a"',), False),
        ("CREATE TABLE t (a TEXT, b, PRIMARY KEY (b, a))", ('"b"', '"a"'), False),
        ("CREATE TABLE t (a TEXT PRIMARY KEY); INSERT INTO t VALUES ('x')", ('"a"',), False),
        ("CREATE TABLE t (a TEXT PRIMARY KEY); INSERT INTO t VALUES (NULL)", ("rowid",), True),
        ("CREATE TABLE t (a, rowid)", ("_rowid_",), True),
        ("CREATE TABLE t (a, rowid, [_ROWID_])", ("oid",), True),
    ],
)
def test_the_key_of_a_table(db: apsw.Connection, ddl: str, names: tuple[str, ...], carries: bool) -> None:
    assert key(db, ddl) == Key(names, carries, False)


@pytest.mark.parametrize("kind", ["zeroblob", "CAST(zeroblob"])
def test_a_key_that_no_statement_can_hold_gives_way_to_the_rowid(db: apsw.Connection, kind: str) -> None:
    value = f"zeroblob({KEY_BYTES + 1})"
    value = f"CAST({value} AS TEXT)" if kind.startswith("CAST") else value
    assert key(db, f"CREATE TABLE t (a PRIMARY KEY); INSERT INTO t VALUES ({value})") == Key(("rowid",), True, False)


@pytest.mark.parametrize(
    ("ddl", "words"),
    [
        ("CREATE TABLE t (rowid, oid, _rowid_)", "no primary key"),
        ("CREATE TABLE t (rowid PRIMARY KEY, oid, _rowid_); INSERT INTO t VALUES (NULL, 1, 1)", "with NULLs"),
        (
            f"CREATE TABLE t (a PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES (zeroblob({KEY_BYTES + 1}))",
            "more than",
        ),
    ],
)
def test_a_table_whose_rows_cannot_be_named_is_refused(db: apsw.Connection, ddl: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        key(db, ddl)
    assert caught.value.object == "t"


def test_a_key_in_an_order_that_only_the_application_knows_is_paged_by_bytes(tmp_path: Path) -> None:
    with closing(apsw.Connection(str(tmp_path / "s.sqlite"))) as db:
        db.create_collation("backwards", lambda a, b: (a < b) - (a > b))
        db.execute("CREATE TABLE t (k TEXT COLLATE backwards NOT NULL PRIMARY KEY, v COLLATE backwards)")
        db.executemany("INSERT INTO t VALUES (?, ?)", [("b", 1), ("a", 2), ("C", 3)])
    exporter, made = prepare(tmp_path / "s.sqlite", tmp_path / "run")
    assert made.rows == 3
    assert [row.literal for row in encode.rows(exporter.db, exporter.relations["t"])] == [
        b"('C',3)", b"('a',2)", b"('b',1)",
    ]  # fmt: skip
    assert not exporter.relations["t"].carries_rowid
    exporter.close()


def test_other_connections_of_an_exporter_keep_the_same_rows_back(tmp_path: Path) -> None:
    make_source(tmp_path / "s.sqlite", SELF).close()
    exporter, made = prepare(tmp_path / "s.sqlite", tmp_path / "run", decided(folder__parent="park"))
    assert [page.rows for page in made.table("folder").pages] == [3]
    again = Exporter(tmp_path / "run" / "snapshot.sqlite", decided(folder__parent="park"))
    assert again.parked_count("folder") == exporter.parked_count("folder") == 3
    again.close()
    exporter.close()


def test_same_rows_means_what_it_says(d1: D1, tmp_path: Path) -> None:
    """The helper of these tests sees a changed row."""
    make_source(tmp_path / "s.sqlite", PARENTS).close()
    carried = carry(tmp_path / "s.sqlite", tmp_path / "run", d1)
    table = carried.exporter.schema.moving[0]
    assert same_rows(carried.exporter.db, d1, table)
    d1.batch(["UPDATE p SET id = 3 WHERE id = 2"])
    assert not same_rows(carried.exporter.db, d1, table)
