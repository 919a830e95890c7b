"""The delta: changes that break a constraint if they are written in the wrong order, one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest
from helpers.carry import Carried, carry, make_source, same_rows

from towpath.cloudflare import D1
from towpath.errors import BadInput
from towpath.tables import changes, delta, export, load, snapshot
from towpath.tables.manifest import read_chunk, statements
from towpath.tables.schema import Named
from towpath.tables.vacate import Vacated


@dataclass
class Voyage:
    """A source, and a target that follows it."""

    db: apsw.Connection
    folder: Path
    state: Carried
    number: int = 0

    def follow(self, *sql: str) -> Carried:
        """Change the source, carry the delta over, and prove the whole target."""
        for statement in sql:
            self.db.execute(statement)
        self.number += 1
        self.state = self.state.cutover(self.folder / str(self.number))
        for table in self.state.exporter.schema.moving:
            assert same_rows(self.db, self.state.d1, table), table.name
        found = self.state.compare()
        assert found.equal, found.differences
        assert not self.state.d1.query("PRAGMA foreign_key_check").rows
        return self.state

    def sent(self) -> str:
        """All the SQL of the last delta."""
        state = self.state
        bodies = (read_chunk(state.folder, chunk) for chunk in state.manifest.chunks)
        return "\n".join(sql for body in bodies for sql, _ in statements(body))


@contextmanager
def voyage(d1: D1, tmp_path: Path, script: str) -> Iterator[Voyage]:
    with closing(make_source(tmp_path / "s.sqlite", script)) as db:
        made = Voyage(db, tmp_path, carry(tmp_path / "s.sqlite", tmp_path / "0", d1))
        yield made
        made.state.exporter.close()


REFERRED = """
CREATE TABLE owner (id INTEGER PRIMARY KEY, email TEXT {bound} UNIQUE, n INTEGER);
CREATE TABLE item (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL REFERENCES owner (id) ON DELETE CASCADE);
INSERT INTO owner VALUES (1, 'a@x', 1), (2, 'b@x', 2), (3, 'c@x', 3);
INSERT INTO item VALUES (1, 1), (2, 2), (3, 3);
"""
ALONE = REFERRED.split("CREATE TABLE item")[0].replace("REFERENCES", "") + "INSERT INTO owner VALUES {rows};".format(
    rows="(1, 'a@x', 1), (2, 'b@x', 2), (3, 'c@x', 3)"
)
SWAP = (
    "UPDATE owner SET email = 'tmp' WHERE id = 1",
    "UPDATE owner SET email = 'a@x' WHERE id = 2",
    "UPDATE owner SET email = 'b@x' WHERE id = 1",
)
ROUND = (
    "UPDATE owner SET email = 'tmp' WHERE id = 1",
    "UPDATE owner SET email = 'a@x' WHERE id = 3",
    "UPDATE owner SET email = 'c@x' WHERE id = 2",
    "UPDATE owner SET email = 'b@x' WHERE id = 1",
)


@pytest.mark.parametrize("script", [REFERRED, ALONE], ids=["referred to", "alone"])
@pytest.mark.parametrize("bound", ["", "NOT NULL"])
@pytest.mark.parametrize("moves", [SWAP, ROUND], ids=["swap", "round"])
def test_unique_values_change_places(d1: D1, tmp_path: Path, script: str, bound: str, moves: tuple[str, ...]) -> None:
    with voyage(d1, tmp_path, script.replace("{bound}", bound)) as made:
        made.follow(*moves)


@pytest.mark.parametrize("script", [REFERRED, ALONE], ids=["referred to", "alone"])
def test_without_vacating_a_swap_cannot_be_written(
    d1: D1, tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the tests above need step 1 of the delta: without it the target refuses."""
    monkeypatch.setattr(delta, "vacate", lambda *_: Vacated([], False))
    with (
        voyage(d1, tmp_path, script.replace("{bound}", "")) as made,
        pytest.raises(Exception, match=r"UNIQUE constraint failed: owner\.email"),
    ):
        made.follow(*SWAP)


def test_a_unique_value_moves_from_a_row_that_goes_to_one_that_comes(d1: D1, tmp_path: Path) -> None:
    with voyage(d1, tmp_path, REFERRED.replace("{bound}", "NOT NULL")) as made:
        made.follow(
            "UPDATE item SET owner = 2 WHERE owner = 1",
            "DELETE FROM owner WHERE id = 1",
            "INSERT INTO owner VALUES (9, 'a@x', 9)",
        )


def test_the_same_number_as_integer_and_real_is_one_unique_value(d1: D1, tmp_path: Path) -> None:
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE); INSERT INTO t VALUES (1, 5), (2, 6.0)"
    with voyage(d1, tmp_path, script) as made:
        made.follow("DELETE FROM t", "INSERT INTO t VALUES (1, 6), (2, 5.0)")


def test_nulls_are_no_unique_value(d1: D1, tmp_path: Path) -> None:
    """A column that others refer to cannot be set aside, and need not."""
    script = """CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT UNIQUE); INSERT INTO p VALUES (1, NULL), (2, 'b');
        CREATE TABLE c (code TEXT REFERENCES p (code)); INSERT INTO c VALUES ('b'), (NULL)"""
    with voyage(d1, tmp_path, script) as made:
        made.follow("UPDATE p SET code = 'n' WHERE id = 1", "INSERT INTO p VALUES (3, NULL), (4, NULL)")


def test_a_unique_pair_of_references(d1: D1, tmp_path: Path) -> None:
    script = """CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY);
        CREATE TABLE link (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES a, b INTEGER NOT NULL REFERENCES b,
            UNIQUE (a, b));
        CREATE TABLE note (link INTEGER REFERENCES link);
        INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1), (2); INSERT INTO link VALUES (1, 1, 1), (2, 2, 2);"""
    with voyage(d1, tmp_path, script) as made:
        made.follow(
            "INSERT INTO a VALUES (3)", "UPDATE link SET a = 3 WHERE id = 1", "INSERT INTO link VALUES (3, 1, 1)"
        )
        made.db.execute("INSERT INTO note VALUES (1), (2)")
        made.follow()
        made.db.execute("UPDATE link SET a = 1, b = 2 WHERE id = 1")
        made.follow()


def test_a_swap_that_no_order_can_write_is_refused_before_anything_is_sent(d1: D1, tmp_path: Path) -> None:
    script = """CREATE TABLE p (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE);
        CREATE TABLE c (slug TEXT REFERENCES p (slug));
        INSERT INTO p VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES ('a')"""
    with voyage(d1, tmp_path, script) as made:
        before = [d1.query("SELECT * FROM p").rows, d1.query("SELECT id FROM _towpath_receipt").rows]
        with pytest.raises(BadInput) as caught:
            made.follow(
                "UPDATE p SET slug = 'x' WHERE id = 1", "UPDATE p SET slug = 'a' WHERE id = 2",
                "UPDATE p SET slug = 'b' WHERE id = 1",
            )  # fmt: skip
        assert "03-export" in caught.value.next
        assert "\n" not in caught.value.line
        assert [d1.query("SELECT * FROM p").rows, d1.query("SELECT id FROM _towpath_receipt").rows] == before


@pytest.mark.parametrize("action", ["", "ON UPDATE CASCADE", "ON UPDATE SET NULL", "ON UPDATE RESTRICT"])
def test_a_value_that_others_refer_to_changes(d1: D1, tmp_path: Path, action: str) -> None:
    """The application changed parent and children alike, in one transaction or with foreign keys off."""
    script = f"""CREATE TABLE p (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE);
        CREATE TABLE c (id INTEGER PRIMARY KEY, slug TEXT REFERENCES p (slug) {action}, v);
        INSERT INTO p VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (1, 'a', 1), (2, 'b', 2), (3, NULL, 3)"""
    with voyage(d1, tmp_path, script) as made:
        made.follow("UPDATE p SET slug = 'new' WHERE id = 1", "UPDATE c SET slug = 'new' WHERE slug = 'a'")


@pytest.mark.parametrize(
    "index",
    [
        "CREATE UNIQUE INDEX i ON t (lower(email))",
        "CREATE UNIQUE INDEX i ON t (email COLLATE NOCASE)",
        "CREATE UNIQUE INDEX i ON t (substr(email, 1, 8))",
        "CREATE UNIQUE INDEX i ON t (coalesce(email, '-')) WHERE id > 0",
    ],
)
@pytest.mark.parametrize("referred", [True, False])
def test_unique_expressions_and_collations(d1: D1, tmp_path: Path, index: str, referred: bool) -> None:
    script = f"""CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT); {index};
        INSERT INTO t VALUES (1, 'ann@x'), (2, 'bob@x'), (3, NULL), (4, 'dan@x');"""
    script += "CREATE TABLE c (t INTEGER REFERENCES t (id)); INSERT INTO c VALUES (1), (2), (3);" if referred else ""
    with voyage(d1, tmp_path, script) as made:
        made.follow(
            "UPDATE t SET email = 'zzz' WHERE id = 1", "UPDATE t SET email = 'ANN@Y' WHERE id = 2",
            "UPDATE t SET email = 'Bob@Y' WHERE id = 1",
        )  # fmt: skip
        made.follow("UPDATE t SET email = 'eve' WHERE id = 3", "UPDATE t SET email = NULL WHERE id = 4")


def test_a_column_declared_nocase_and_unique(d1: D1, tmp_path: Path) -> None:
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE);"
    with voyage(d1, tmp_path, script + "INSERT INTO t VALUES (1, 'Ann'), (2, 'bob')") as made:
        made.follow("UPDATE t SET name = 'x' WHERE id = 1", "UPDATE t SET name = 'ANN' WHERE id = 2",
                    "UPDATE t SET name = 'Bob' WHERE id = 1")  # fmt: skip
        made.follow("UPDATE t SET name = 'BOB' WHERE id = 1")


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "RESTRICT", "NO ACTION"])
def test_a_parent_goes_whose_children_found_another(d1: D1, tmp_path: Path, action: str) -> None:
    script = f"""CREATE TABLE owner (id INTEGER PRIMARY KEY);
        CREATE TABLE item (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owner ON DELETE {action}, v);
        CREATE TABLE part (item INTEGER REFERENCES item ON DELETE {action}, v);
        INSERT INTO owner VALUES (1), (2), (3); INSERT INTO item VALUES (1, 1, 'x'), (2, 1, 'y'), (3, 2, 'z');
        INSERT INTO part VALUES (1, 1), (2, 2), (3, 3)"""
    with voyage(d1, tmp_path, script) as made:
        made.follow("UPDATE item SET owner = 3 WHERE id IN (1, 3)", "DELETE FROM part WHERE item = 2",
                    "DELETE FROM item WHERE id = 2", "DELETE FROM owner WHERE id < 3")  # fmt: skip
        assert "INSERT" in made.sent()


def test_a_tree_loses_a_branch_and_a_leaf_climbs(d1: D1, tmp_path: Path) -> None:
    script = """CREATE TABLE f (id INTEGER PRIMARY KEY, up INTEGER REFERENCES f ON DELETE CASCADE, name TEXT UNIQUE);
        INSERT INTO f VALUES (1, NULL, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, 3, 'd'), (5, 9, 'e'), (9, 1, 'f')"""
    with voyage(d1, tmp_path, script) as made:
        made.follow("UPDATE f SET up = 1 WHERE id = 4", "DELETE FROM f WHERE id IN (2, 3)",
                    "INSERT INTO f VALUES (0, 4, 'b'), (2, 0, 'c')")  # fmt: skip


def test_rows_without_a_key_change(d1: D1, tmp_path: Path) -> None:
    script = "CREATE TABLE log (at TEXT, what); INSERT INTO log VALUES ('a', 1), ('a', 1), ('b', NULL), ('c', 2.5)"
    with voyage(d1, tmp_path, script) as made:
        made.follow("UPDATE log SET what = what + 1 WHERE at = 'a' AND rowid = 1", "INSERT INTO log VALUES ('a', 1)")
        made.follow("DELETE FROM log WHERE rowid = 1", "UPDATE log SET at = NULL")
        made.follow("DELETE FROM log")
        made.follow("INSERT INTO log VALUES (NULL, NULL), (NULL, NULL)")


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "RESTRICT"])
def test_children_keep_a_parent_that_is_named_by_its_rowid(d1: D1, tmp_path: Path, action: str) -> None:
    script = f"""CREATE TABLE p (code TEXT PRIMARY KEY, v TEXT UNIQUE);
        CREATE TABLE c (code TEXT REFERENCES p ON DELETE {action} ON UPDATE {action}, v);
        INSERT INTO p VALUES ('a', 1), (NULL, 2), ('c', 3); INSERT INTO c VALUES ('a', 1)"""
    with voyage(d1, tmp_path, script) as made:
        assert made.state.exporter.relations["p"].carries_rowid
        made.follow("UPDATE p SET v = 'new' WHERE code = 'a'", "UPDATE p SET v = 4 WHERE code IS NULL",
                    "INSERT INTO p VALUES (NULL, 'in')", "DELETE FROM p WHERE code = 'c'")  # fmt: skip
        made.follow("UPDATE p SET v = 'tmp' WHERE code = 'a'", "UPDATE p SET v = 'new' WHERE v = '4'",
                    "UPDATE p SET v = 4 WHERE code = 'a'")  # fmt: skip
        made.follow("UPDATE p SET code = 'b' WHERE code = 'a'", "UPDATE c SET code = 'b'")


CIRCLE = """
CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER NOT NULL REFERENCES b (id), v);
CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES a (id), v);
CREATE TABLE node (id INTEGER PRIMARY KEY, root INTEGER NOT NULL REFERENCES node (id));
INSERT INTO a VALUES (1, 1, 'x'), (2, 2, 'x'); INSERT INTO b VALUES (1, 2, 'x'), (2, 1, 'x');
INSERT INTO node VALUES (1, 1), (2, 1), (3, 2);
"""


def test_rows_of_a_circle_come_and_go(d1: D1, tmp_path: Path) -> None:
    with voyage(d1, tmp_path, CIRCLE) as made:
        made.follow("INSERT INTO a VALUES (3, 9, 'in')", "INSERT INTO b VALUES (9, 3, 'in')",
                    "INSERT INTO node VALUES (4, 5), (5, 4)")  # fmt: skip
        made.follow("DELETE FROM a WHERE id = 3", "DELETE FROM b WHERE id = 9", "DELETE FROM node WHERE id > 2",
                    "UPDATE a SET b = 1, v = 'out'")  # fmt: skip


def test_a_circle_that_changed_too_much_for_one_transaction_is_refused(
    d1: D1, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with voyage(d1, tmp_path, CIRCLE) as made:
        monkeypatch.setattr(delta, "TOGETHER_BYTES", 5_000)
        with pytest.raises(BadInput, match="too much of it for one transaction") as caught:
            made.follow("UPDATE a SET v = hex(zeroblob(3000))")
        assert "03-export" in caught.value.next
        assert d1.query("SELECT v FROM a").rows == [["x"], ["x"]]


def test_the_next_number_of_autoincrement_follows(d1: D1, tmp_path: Path) -> None:
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO t (v) VALUES (1), (2)"
    with voyage(d1, tmp_path, script) as made:
        made.follow("INSERT INTO t VALUES (50, 1)", "DELETE FROM t WHERE id = 50")
        assert d1.query("SELECT seq FROM sqlite_sequence WHERE name = 't'").rows == [[50]]
        made.follow("DELETE FROM t", "DELETE FROM sqlite_sequence")
        d1.batch(["INSERT INTO t (v) VALUES ('first')"])
        assert d1.query("SELECT id FROM t").rows == [[1]]


def test_triggers_rest_while_the_delta_is_written(d1: D1, tmp_path: Path) -> None:
    script = """CREATE TABLE t (id INTEGER PRIMARY KEY, v, changed TEXT); CREATE TABLE log (what);
        CREATE TABLE quiet (id INTEGER PRIMARY KEY);
        CREATE TRIGGER a AFTER UPDATE ON t BEGIN UPDATE t SET changed = 'now' WHERE id = new.id; END;
        CREATE TRIGGER b AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.id); END;
        CREATE TRIGGER c BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'never'); END;
        CREATE TRIGGER d AFTER INSERT ON quiet BEGIN INSERT INTO log VALUES ('quiet'); END;
        INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'y');"""
    with voyage(d1, tmp_path, script) as made:
        made.db.execute("DROP TRIGGER a; DROP TRIGGER c")
        made.db.execute("UPDATE t SET v = 5 WHERE id = 1; DELETE FROM t WHERE id = 2")
        made.db.execute("CREATE TRIGGER a AFTER UPDATE ON t BEGIN UPDATE t SET changed = 'now' WHERE id = new.id; END")
        made.db.execute("CREATE TRIGGER c BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'never'); END")
        made.follow("INSERT INTO t VALUES (3, 3, 'z')")
        names = d1.query("SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY 1").rows
        assert names == [["a"], ["b"], ["c"], ["d"]]
        assert '"d"' not in made.sent()


def test_a_table_is_emptied_and_filled_again(d1: D1, tmp_path: Path) -> None:
    with voyage(d1, tmp_path, REFERRED.replace("{bound}", "")) as made:
        made.follow("DELETE FROM item", "DELETE FROM owner")
        assert made.state.manifest.rows == 0
        made.follow("INSERT INTO owner VALUES (1, 'b@x', 0)", "INSERT INTO item VALUES (7, 1)")


def test_a_table_grown_tenfold_is_cut_into_pages_again(d1: D1, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "CHUNK_BYTES", 4_000)
    monkeypatch.setattr(changes, "CHUNK_BYTES", 4_000)
    monkeypatch.setattr(changes, "PAGE_BYTES", 6_000)
    grow = "WITH RECURSIVE n (i) AS (SELECT {0} UNION ALL SELECT i + 1 FROM n WHERE i < {1})"
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);"
    fill = "INSERT INTO t SELECT i * 2, hex(zeroblob(20)) FROM n"
    with voyage(d1, tmp_path, script + grow.format(1, 100) + fill) as made:
        before = made.state.manifest.table("t").pages
        made.follow(grow.format(101, 1000) + fill)
        after = made.state.manifest.table("t").pages
        assert len(after) > 5 * len(before)
        assert max(page.bytes for page in after) <= 6_000
        assert after[: len(before) - 1] == before[:-1]  # what did not change is not opened
        made.follow(
            "UPDATE t SET v = 'short' WHERE id = 1000", grow.format(0, 400) + fill.replace("i * 2", "i * 2 + 1")
        )
        assert max(page.bytes for page in made.state.manifest.table("t").pages) <= 6_000


@pytest.mark.parametrize("cut", range(6))
def test_a_delta_that_is_cut_goes_on_where_it_stopped(
    d1: D1, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    """Its chunks stand on each other: vacated values, triggers away, children before parents."""
    monkeypatch.setattr(delta, "CHUNK_BYTES", 60)
    script = REFERRED.replace("{bound}", "NOT NULL") + (
        "CREATE TRIGGER seen AFTER UPDATE ON owner BEGIN UPDATE owner SET n = -1 WHERE id = new.id; END;"
    )
    with voyage(d1, tmp_path, script) as made:
        made.db.execute("DROP TRIGGER seen")
        for statement in (*ROUND, "DELETE FROM item WHERE id = 3", "INSERT INTO item VALUES (4, 1), (5, 2)"):
            made.db.execute(statement)
        made.db.execute(script[script.index("CREATE TRIGGER") :])
        new = snapshot_of(made)
        found = changes.find_changes(made.state.manifest, made.state.exporter, new)
        triggers = [Named(t.name, t.sql, t.table) for t in new.schema.triggers]
        written = delta.write_delta(new, found, made.state.manifest, triggers, "plan", {})
        assert len(written.chunks) > 5
        for chunk in written.chunks[:cut]:  # as far as an earlier attempt came
            assert load.send_chunk(d1, new.folder, chunk)
        done = load.load(d1, new.folder, written)
        assert (done.skipped, done.rows) == (cut, sum(chunk.rows for chunk in written.chunks[cut:]))
        for table in new.schema.moving:
            assert same_rows(made.db, d1, table)
        assert Carried(made.state.source, new.folder, d1, new, written).compare().equal
        assert d1.query("SELECT name FROM sqlite_schema WHERE type = 'trigger'").rows == [["seen"]]
        new.close()


def test_a_reference_without_an_index_gets_one_while_parents_go(
    d1: D1, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta, "SCANNED_ROWS", 4)
    script = REFERRED.replace("{bound}", "") + (
        "CREATE TABLE note (item INTEGER, owner INTEGER REFERENCES owner (id)); CREATE INDEX of ON note (owner, item);"
        "CREATE TABLE twin (owner INTEGER PRIMARY KEY REFERENCES owner (id));"
        "CREATE TABLE pair (a INTEGER, b INTEGER, c INTEGER REFERENCES owner (id), PRIMARY KEY (c, a)) WITHOUT ROWID;"
        "CREATE TABLE part (owner INTEGER REFERENCES owner (id)); CREATE INDEX some ON part (owner) WHERE owner > 2;"
        "INSERT INTO part VALUES (3), (3), (3); INSERT INTO note VALUES (1, 3), (2, 3), (3, 3);"
        "INSERT INTO twin VALUES (2), (3); INSERT INTO pair VALUES (1, 1, 3), (2, 2, 3), (3, 3, 3);"
    )
    with voyage(d1, tmp_path, script) as made:
        made.follow("DELETE FROM item WHERE owner = 1", "DELETE FROM owner WHERE id = 1")
        assert "_towpath_" not in made.sent(), "one scan costs less than an index"
        made.follow("INSERT INTO owner (id) VALUES (4), (5)", "INSERT INTO item VALUES (4, 3), (5, 3)")
        assert "_towpath_" not in made.sent(), "nobody goes"
        made.follow("DELETE FROM owner WHERE id > 3", "UPDATE owner SET n = 0")
        made_for = re.findall(r"CREATE INDEX IF NOT EXISTS _towpath_delta_\d ON (.*)", made.sent())
        assert made_for == ['"item" ("owner")', '"part" ("owner")']
        assert d1.query("SELECT name FROM sqlite_schema WHERE name LIKE '%delta%'").rows == []


def snapshot_of(made: Voyage) -> export.Exporter:
    with closing(apsw.Connection(str(made.state.source), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        return export.Exporter(snapshot.take(db, made.folder / "next"))


def test_the_schema_may_not_change_under_way(d1: D1, tmp_path: Path) -> None:
    with voyage(d1, tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY)") as made:
        with pytest.raises(BadInput, match="the schema of the source changed"):
            made.follow("ALTER TABLE t ADD COLUMN v")
        assert d1.query("SELECT name FROM pragma_table_info('t')").rows == [["id"]]


def test_a_key_that_can_no_longer_name_its_rows_stops_the_delta(d1: D1, tmp_path: Path) -> None:
    script = "CREATE TABLE t (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1)"
    with voyage(d1, tmp_path, script) as made, pytest.raises(BadInput, match="begin again") as caught:
        made.follow("INSERT INTO t VALUES (NULL, 2)")
    assert caught.value.object == "t"


def test_a_key_that_came_to_name_its_rows_is_left_alone(d1: D1, tmp_path: Path) -> None:
    """The rows are paged by their rowid, as they were exported; who opens the record anew knows it too."""
    script = "CREATE TABLE t (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), (NULL, 2), ('c', 3), ('d', 4)"
    with voyage(d1, tmp_path, script) as made:
        made.follow(
            "DELETE FROM t WHERE k IS NULL", "UPDATE t SET v = 5 WHERE k = 'c'", "INSERT INTO t VALUES ('b', 6)"
        )
        state = made.state
        again = export.Exporter(state.folder / snapshot.FILE)
        assert not again.relations["t"].carries_rowid
        reopened = Carried(state.source, state.folder, d1, again, state.manifest)
        assert reopened.compare().equal
        d1.batch(["UPDATE t SET v = 7 WHERE k = 'd'"])
        assert [(d.column, d.found) for d in reopened.compare().differences] == [("v", "integer 7")]
        d1.batch(["UPDATE t SET v = 4 WHERE k = 'd'"])
        made.state = reopened
        made.follow("UPDATE t SET k = 'e' WHERE k = 'd'", "INSERT INTO t VALUES ('d', 8), (NULL, 9)")
        again.close()


def test_what_is_sent_names_no_row_that_did_not_change(d1: D1, tmp_path: Path) -> None:
    script = (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'stays'), (2, 'goes'), (3, 'old')"
    )
    with voyage(d1, tmp_path, script) as made:
        made.follow(
            "DELETE FROM t WHERE id = 2", "UPDATE t SET v = 'new' WHERE id = 3", "INSERT INTO t VALUES (4, 'in')"
        )
        sent = made.sent()
        assert not re.search("stays|goes|old", sent)
        assert (made.state.manifest.chunks[0].rows, made.state.manifest.chunks[0].kind) == (3, "delta")
