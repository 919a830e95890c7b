"""What must hold around the rows: each check TB4xx fails for exactly one tiny fault, and passes without it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
import pytest
from helpers.carry import CLAIM, Carried, after_statements, carry, make_source, prepare
from helpers.fires import fires, not_passed

from towpath.checks import Check, Decision, Severity, Verdict
from towpath.cloudflare import D1, Client
from towpath.local import Runtime
from towpath.tables import acceptance, load, target
from towpath.tables.acceptance import RULES
from towpath.tables.snapshot import schema_digest
from towpath.tables.target import RECEIPTS

SCRIPT = """
CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent (id), v);
CREATE INDEX child_parent ON child (parent);
CREATE VIEW names AS SELECT name FROM parent;
CREATE TRIGGER child_made AFTER INSERT ON child BEGIN UPDATE child SET v = 'made' WHERE id = new.id; END;
CREATE TABLE plain (a);
INSERT INTO parent VALUES (1, 'a'), (2, 'b'), (9, 'gone');
DELETE FROM parent WHERE id = 9;
INSERT INTO child VALUES (1, 1, 'x'), (2, 2, 'y');
INSERT INTO plain VALUES (1), (1);
"""


@pytest.fixture
def carried(d1: D1, tmp_path: Path) -> Iterator[Carried]:
    make_source(tmp_path / "s.sqlite", SCRIPT).close()
    made = carry(tmp_path / "s.sqlite", tmp_path / "run", d1)
    yield made
    made.exporter.close()


def statements(made: Carried) -> list[str]:
    return [*(t.sql for t in made.exporter.schema.moving), *after_statements(made.exporter)]


def everything(made: Carried) -> list[Check]:
    """All checks of one state."""
    schema = made.exporter.schema
    return [
        *acceptance.exported(made.exporter, made.manifest),
        *acceptance.leaving_orphans(made.exporter),
        *acceptance.received(made.d1, made.manifest),
        *acceptance.constraints(made.d1, [t.name for t in schema.moving]),
        *acceptance.sequences(made.d1, made.manifest),
        *acceptance.schema_present(made.d1, statements(made)),
        acceptance.schema_unchanged(made.manifest.schema, schema, schema_digest(schema)),
        *made.compare().checks,
    ]


def test_without_a_fault_everything_passes(carried: Carried) -> None:
    checks = everything(carried)
    assert {c.verdict for c in checks} == {Verdict.PASS}
    assert all(c.code in RULES and not c.next for c in checks)
    told = {"TB402", "TB405", "TB406", "TB407", "TB408", "TB409", "TB410", "TB411", "TB412", "TB413", "TB414"}
    assert {c.code for c in checks} == told


Fault = Callable[[Carried], Carried | None]


@dataclass(frozen=True)
class Case:
    """A fault, and the checks that fail by it: (code, object, what was found)."""

    name: str
    fault: Fault
    fails: set[tuple[str, str, str]]


def on_target(*sql: str) -> Fault:
    def fault(made: Carried) -> None:
        made.d1.batch(sql)

    return fault


def fewer_rows(made: Carried) -> Carried:
    """A manifest that says one row less than there is."""
    entries = tuple(replace(e, rows=1) if e.name == "plain" else e for e in made.manifest.tables)
    return replace(made, manifest=replace(made.manifest, tables=entries))


def another_schema(made: Carried) -> Carried:
    return replace(made, manifest=replace(made.manifest, schema="f" * 64))


def another_receipt(made: Carried) -> None:
    chunk = next(c for c in made.manifest.chunks if c.table == "plain")
    made.d1.batch([f"UPDATE {RECEIPTS} SET sha256 = 'other' WHERE id = '{chunk.id}'"])


def no_receipt(made: Carried) -> None:
    chunk = next(c for c in made.manifest.chunks if c.table == "plain")
    made.d1.batch([f"DELETE FROM {RECEIPTS} WHERE id = '{chunk.id}'"])


CASES = [
    Case("a receipt is gone", no_receipt, {("TB402", "plain", "0 receipts")}),
    Case("a receipt of another content", another_receipt, {("TB402", "plain", "0 receipts")}),
    Case("the sequence is behind", on_target("UPDATE sqlite_sequence SET seq = 2 WHERE name = 'parent'"),
         {("TB405", "parent", "last id 2")}),
    Case("the sequence is gone", on_target("DELETE FROM sqlite_sequence"), {("TB405", "parent", "last id none")}),
    Case("the manifest knows fewer rows", fewer_rows,
         {("TB408", "plain", "1 exported + 0 parked, 2 in pages"), ("TB411", "plain", "2 rows")}),
    Case("the schema changed", another_schema, {("TB410", "schema", "")}),
    Case("a row is gone", on_target("DELETE FROM child WHERE id = 1"),
         {("TB411", "child", "1 rows"), ("TB412", "child", "1 rows missing")}),
    Case("a cell is changed", on_target("UPDATE child SET v = 'z' WHERE id = 1"),
         {("TB412", "child", "1 cells changed")}),
    Case("an index is gone", on_target("DROP INDEX child_parent"), {("TB413", "index child_parent", "missing")}),
    Case("an index is another", on_target("DROP INDEX child_parent", "CREATE INDEX child_parent ON child (v)"),
         {("TB413", "index child_parent", "another definition")}),
    Case("an index grew unique", on_target("DROP INDEX child_parent",
                                           "CREATE UNIQUE INDEX child_parent ON child (parent)"),
         {("TB413", "index child_parent", "another definition")}),
    Case("a view is gone", on_target("DROP VIEW names"), {("TB413", "view names", "missing")}),
    Case("a view is another", on_target("DROP VIEW names", "CREATE VIEW names AS SELECT upper(name) FROM parent"),
         {("TB413", "view names", "another definition")}),
    Case("a trigger is gone", on_target("DROP TRIGGER child_made"), {("TB413", "trigger child_made", "missing")}),
    Case("a column more", on_target("ALTER TABLE plain ADD COLUMN more"),
         {("TB413", "table plain", "another definition")}),
    Case("a table more", on_target("CREATE TABLE theirs (a)"), {("TB414", "database", "table theirs")}),
    Case("an index more", on_target("CREATE INDEX mine ON plain (a)"), {("TB414", "database", "index mine")}),
    Case("a trigger more", on_target("CREATE TRIGGER spy AFTER DELETE ON plain BEGIN SELECT 1; END"),
         {("TB414", "database", "trigger spy")}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_fault_fails_its_own_checks(carried: Carried, case: Case) -> None:
    made = case.fault(carried) or carried
    failed = [c for c in everything(made) if c.verdict is Verdict.FAIL]
    assert {(c.code, c.object) for c in failed} == {(code, object) for code, object, _ in case.fails}
    for check in failed:
        wanted = next(found for code, object, found in case.fails if (code, object) == (check.code, check.object))
        assert wanted in check.found
        assert check.next


def test_a_view_that_no_longer_answers_is_told(carried: Carried) -> None:
    carried.d1.batch(["CREATE VIEW over_plain AS SELECT a FROM plain", "DROP TABLE plain"])
    made = [*statements(carried), "CREATE VIEW over_plain AS SELECT a FROM plain"]
    found = {c.object: c for c in acceptance.schema_present(carried.d1, made) if c.verdict is Verdict.FAIL}
    assert found.keys() == {"table plain", "view over_plain"}
    assert "does not answer: no such table: main.plain" in found["view over_plain"].found


@contextmanager
def behind_its_back(runtime: Runtime, d1: D1) -> Iterator[apsw.Connection]:
    """The file of the local database, written to as D1 never would: no foreign keys, no CHECK."""
    key = hashlib.sha256(b"miniflare-D1DatabaseObject").digest()
    name = hmac.digest(key, d1.database_id.encode(), "sha256")[:16]
    name += hmac.digest(key, name, "sha256")[:16]
    (file,) = runtime.state.data.rglob(f"{name.hex()}.sqlite")
    with closing(apsw.Connection(str(file))) as db:
        db.execute("PRAGMA foreign_keys = off; PRAGMA ignore_check_constraints = on").fetchall()
        yield db


@fires("TB406")
def test_a_broken_reference_is_named(carried: Carried, runtime: Runtime) -> Iterable[str]:
    with behind_its_back(runtime, carried.d1) as db:
        db.execute("UPDATE child SET parent = 77 WHERE id = 2")
    failed = [c for c in acceptance.constraints(carried.d1, ["child", "parent"]) if c.verdict is Verdict.FAIL]
    assert [(c.code, c.object, c.found, c.keys) for c in failed] == [("TB406", "child", "1 rows", ("2",))]
    return not_passed(everything(carried)) - {"TB412"}  # the cell is another one, too


@fires("TB407")
def test_what_quick_check_finds_is_told(d1: D1, runtime: Runtime) -> Iterable[str]:
    d1.batch(["CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER CHECK (n > 0))"])
    assert [c.verdict for c in acceptance.constraints(d1, ["t"])] == [Verdict.PASS, Verdict.PASS]
    with behind_its_back(runtime, d1) as db:
        db.execute("INSERT INTO t VALUES (1, -1)")
    failed = [c for c in acceptance.constraints(d1, ["t"]) if c.verdict is Verdict.FAIL]
    assert [(c.code, c.object, c.found) for c in failed] == [("TB407", "database", "CHECK constraint failed in t")]
    return {c.code for c in failed}


def test_every_rule_refuses_and_says_what_to_do() -> None:
    for code, rule in RULES.items():
        assert (rule.code, rule.surface, rule.severity) == (code, "tables", Severity.REFUSE)
        assert rule.title
        assert rule.advice


@fires("TB409")
def test_orphans_that_nobody_decided_leave_with_a_failed_check(tmp_path: Path) -> Iterable[str]:
    script = SCRIPT + "INSERT INTO child VALUES (3, 99, 'orphan');"
    make_source(tmp_path / "s.sqlite", script).close()
    exporter, _ = prepare(tmp_path / "s.sqlite", tmp_path / "run")
    (check,) = acceptance.leaving_orphans(exporter)
    assert (check.code, check.object, check.verdict) == ("TB409", "child.parent", Verdict.FAIL)
    assert check.found == "1 in the source, 1 after decisions"
    exporter.close()
    return not_passed([check])


def test_parked_rows_are_counted(tmp_path: Path, client: Client) -> None:
    script = SCRIPT + "INSERT INTO child VALUES (3, 99, 'orphan');"
    make_source(tmp_path / "s.sqlite", script).close()
    d1 = D1(client, f"a{secrets.token_hex(8)}")
    made = carry(tmp_path / "s.sqlite", tmp_path / "run", d1, [Decision("TB203", "child.parent", "park", "")])
    checks = {c.object: c for c in acceptance.exported(made.exporter, made.manifest)}
    assert checks["child"].found == "2 exported + 1 parked, 2 in pages"
    assert {c.verdict for c in everything(made)} == {Verdict.PASS}
    lying = replace(made, manifest=replace(made.manifest, parked={}))
    failed = [c for c in acceptance.exported(lying.exporter, lying.manifest) if c.verdict is Verdict.FAIL]
    assert [(c.code, c.object) for c in failed] == [("TB408", "child")]
    made.exporter.close()


def test_nothing_to_send_has_nothing_to_receive(d1: D1, tmp_path: Path) -> None:
    make_source(tmp_path / "s.sqlite", "CREATE TABLE t (id INTEGER PRIMARY KEY)").close()
    exporter, made = prepare(tmp_path / "s.sqlite", tmp_path / "run")
    target.apply_migration(d1, "0001.sql", ["CREATE TABLE t (id INTEGER PRIMARY KEY)"], CLAIM)
    load.load(d1, tmp_path / "run", made)
    (check,) = acceptance.received(d1, made)
    assert (check.expected, check.found, check.verdict) == ("0 receipts", "0 receipts", Verdict.PASS)
    (check,) = acceptance.sequences(d1, made)
    assert (check.expected, check.verdict) == ("no AUTOINCREMENT table", Verdict.PASS)
    exporter.close()


def test_the_next_row_gets_the_next_number_on_both_sides(carried: Carried) -> None:
    carried.d1.batch(["INSERT INTO parent (name) VALUES ('next')"])
    assert carried.d1.query("SELECT max(id) FROM parent").rows == [[10]]
