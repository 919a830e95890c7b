"""One tiny source per rule: exactly this code fires, at exactly this object; and every code is documented."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
import pytest
from helpers.census import look
from helpers.fires import fires, not_passed

from towpath.checks import Decision, Severity, Verdict
from towpath.cloudflare.limits import FREE, PAID, Limits
from towpath.tables.conversion import Account, Conversion, Statement
from towpath.tables.findings import contradictions, too_alike
from towpath.tables.proof import prove
from towpath.tables.rules import RULES


@dataclass(frozen=True)
class Case:
    """A source by SQL, and where its one finding stands."""

    code: str
    object: str
    sql: str
    count: int = 1
    samples: tuple[str, ...] = ()
    limits: Limits = PAID
    time_zone: str = "UTC"
    prepare: Callable[[apsw.Connection], None] | None = None


def _utf16(db: apsw.Connection) -> None:
    db.execute("PRAGMA encoding = 'UTF-16le'").fetchall()


def _broken_check(db: apsw.Connection) -> None:
    db.execute("PRAGMA ignore_check_constraints = ON").fetchall()
    db.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, n INTEGER CHECK (n > 0))").fetchall()
    db.execute("INSERT INTO c VALUES (1, 1), (2, -1), (3, -2)").fetchall()
    db.execute("PRAGMA ignore_check_constraints = OFF").fetchall()


def _broken_notnull(db: apsw.Connection) -> None:
    db.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO c VALUES (1, 1), (2, NULL)").fetchall()
    db.execute("PRAGMA writable_schema = ON").fetchall()
    db.execute("UPDATE sqlite_schema SET sql = replace(sql, 'n INTEGER', 'n INTEGER NOT NULL')").fetchall()
    db.execute("PRAGMA writable_schema = RESET").fetchall()


def _application(db: apsw.Connection) -> None:
    """Functions and a collation as an application registers them."""
    db.create_scalar_function("slug", lambda *values: str(values[0]).lower(), 1, deterministic=True)
    db.create_scalar_function("regexp", lambda *values: values[0] in (values[1] or ""), 2, deterministic=True)
    db.create_collation("german", lambda a, b: (a > b) - (a < b))


K = "id INTEGER PRIMARY KEY"
WIDE = ", ".join(f"c{n} INTEGER" for n in range(100))
FAT = ", ".join(f"c{n} TEXT" for n in range(25))
TEXTS = ", ".join(["hex(zeroblob(42000))"] * 25)
NULLS = ", ".join(["NULL"] * 25)
LONG = f"CHECK (n <> '{'x' * 100_000}')"

SOURCES = [
    Case("TB101", "t", f"CREATE TABLE t ({K}, {WIDE})", 101),
    Case("TB102", "t", f"CREATE TABLE t ({K}, {FAT}); INSERT INTO t VALUES (7, {TEXTS}), (8, {NULLS})", 1, ("7",)),
    Case("TB103", "_cf_t", f"CREATE TABLE _cf_t ({K}); CREATE TABLE t ({K})"),
    Case("TB103", "_CF_i", f"CREATE TABLE t ({K}, a); CREATE INDEX _CF_i ON t (a)"),
    Case("TB104", 't.""', f'CREATE TABLE t ({K}, "" TEXT)'),
    Case("TB104", '""', f'CREATE TABLE "" ({K})'),
    Case("TB105", "t.Ä", f"CREATE TABLE t ({K}, ä TEXT, Ä TEXT)"),
    Case("TB105", "t.é", f"CREATE TABLE t ({K}, e\u0301 TEXT, é TEXT)"),
    Case("TB106", "database", f"CREATE TABLE t ({K})", 8192, limits=replace(FREE, d1_database_bytes=8191)),
    Case("TB107", "t", f"CREATE TABLE t ({K}, n TEXT {LONG})", len(f"CREATE TABLE t ({K}, n TEXT {LONG})")),
    Case("TB108", "t.a", f"CREATE TABLE t ({K}, a TEXT CHECK (a REGEXP '^x'))", prepare=_application),
    Case("TB108", "t", f"CREATE TABLE t ({K}, a TEXT, CHECK (slug(a) = a))", prepare=_application),
    Case("TB108", "t.a", f"CREATE TABLE t ({K}, a TEXT DEFAULT (sqlite_version()))"),
    Case("TB108", "i", f"CREATE TABLE t ({K}, a TEXT); CREATE INDEX i ON t (slug(a))", prepare=_application),
    Case("TB108", "v", f"CREATE TABLE t ({K}, a TEXT); CREATE VIEW v AS SELECT slug(a) FROM t", prepare=_application),
    Case("TB108", "r",
         f"CREATE TABLE t ({K}, a TEXT); CREATE TRIGGER r AFTER UPDATE ON t BEGIN SELECT sqlite_version(); END"),
    Case("TB109", "f", f"CREATE TABLE t ({K}); CREATE VIRTUAL TABLE f USING fts4(body)"),
    Case("TB109", "f", f"CREATE TABLE t ({K}); CREATE VIRTUAL TABLE f USING fts5(body, content='')"),
    Case("TB110", "t.a", f"CREATE TABLE t ({K}, a TEXT COLLATE german)", prepare=_application),
    Case("TB110", "i", f"CREATE TABLE t ({K}, a TEXT); CREATE INDEX i ON t (a COLLATE german)", prepare=_application),
    Case("TB110", "v", f"CREATE TABLE t ({K}, a TEXT); CREATE VIEW v AS SELECT a FROM t ORDER BY a COLLATE german",
         prepare=_application),
    Case("TB111", "t.b", f"CREATE TABLE t ({K}, a TEXT, b TEXT AS (slug(a)))", prepare=_application),
    Case("TB112", "database", f"CREATE TABLE t ({K}, a TEXT); INSERT INTO t VALUES (1, 'ä€😀')", prepare=_utf16),
    Case("TB113", "c.p", f"CREATE TABLE p ({K}, n INTEGER); CREATE TABLE c ({K}, p INTEGER REFERENCES p (n))"),
    Case("TB113", "c.a+b", f"CREATE TABLE p ({K}, n INTEGER UNIQUE); "
         f"CREATE TABLE c ({K}, a INTEGER, b INTEGER, FOREIGN KEY (a, b) REFERENCES p (id, n))"),
    Case("TB114", "c.p", f"CREATE TABLE c ({K}, p INTEGER REFERENCES p (n)); INSERT INTO c VALUES (1, 5)"),
    Case("TB115", "d1_migrations", f"CREATE TABLE d1_migrations ({K})"),
    Case("TB116", "f", f"CREATE TABLE t ({K}); CREATE VIRTUAL TABLE f USING fts5(body)"),
    Case("TB116", "r", f"CREATE TABLE t ({K}); CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)"),
    Case("TB117", "v", f"CREATE TABLE t ({K}); CREATE VIEW v AS SELECT gone FROM t"),
    Case("TB117", "v", f"CREATE TABLE t ({K}); CREATE VIEW v AS {' UNION ALL '.join(['SELECT id FROM t'] * 6)}"),
    Case("TB117", "r", f"CREATE TABLE t ({K}); CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM gone; END"),
    Case("TB117", "v", f"CREATE TABLE t ({K}, a TEXT); CREATE VIEW v AS SELECT id FROM t WHERE a LIKE '%{'x' * 50}'"),
    Case("TB117", "r", f"CREATE TABLE t ({K}, a TEXT); CREATE TRIGGER r AFTER INSERT ON t "
         f"BEGIN DELETE FROM t WHERE a GLOB '{'é' * 26}'; END"),
    Case("TB118", "Django_Migrations", f"CREATE TABLE Django_Migrations ({K})"),
    Case("TB201", "t.n", f"CREATE TABLE t ({K}, n INTEGER); "
         "INSERT INTO t VALUES (1, 9007199254740992), (2, 9007199254740993), (3, -9223372036854775808), (4, NULL)",
         2, ("2", "3")),
    Case("TB202", "t.a",
         f"CREATE TABLE t ({K}, a TEXT); INSERT INTO t VALUES (1, CAST(x'c3' AS TEXT)), (2, CAST(x'a9' AS TEXT))",
         2, ("1", "2")),
    Case("TB203", "c.p", f"CREATE TABLE p ({K}); CREATE TABLE c ({K}, p INTEGER REFERENCES p); "
         "INSERT INTO p VALUES (1); INSERT INTO c VALUES (10, 1), (11, 2), (12, NULL)", 1, ("11",)),
    Case("TB204", "t.a",
         f"CREATE TABLE t ({K}, a TEXT); INSERT INTO t VALUES (1, 'a'||char(0)||'b'), (2, 'a')", 1, ("1",)),
    Case("TB205", "t.a",
         f"CREATE TABLE t ({K}, a REAL); INSERT INTO t VALUES (1, 9e999), (2, 1.5), (3, -9e999)", 2, ("1", "3")),
    Case("TB206", "t.at",
         f"CREATE TABLE t ({K}, at TEXT); INSERT INTO t VALUES (1, '2024-01-01 00:00:00')", time_zone=""),
    Case("TB207", "t.made",
         f"CREATE TABLE t ({K}, made TEXT); INSERT INTO t VALUES (1, '2024-01-01'), (2, '2024-01-01T00:00:00Z')", 2),
    Case("TB208", "t.price", f"CREATE TABLE t ({K}, price DECIMAL(10,2)); INSERT INTO t VALUES (1, 1.25), (2, 3)"),
    Case("TB209", "t.code", f"CREATE TABLE t ({K}, code STRING); INSERT INTO t VALUES (1, '00123'), (2, 'x')"),
    Case("TB210", "t.a", "CREATE TABLE t (a TEXT PRIMARY KEY); INSERT INTO t VALUES (NULL), ('x'), (NULL)",
         2, ("NULL", "NULL")),
    Case("TB211", "t.a", f"CREATE TABLE t ({K}, a BLOB); INSERT INTO t VALUES (1, zeroblob(50000))"),
    Case("TB212", "t.day",
         f"CREATE TABLE t ({K}, day TEXT); INSERT INTO t VALUES (1, '2023-02-29'), (2, '2024-02-29')", 1, ("1",)),
    Case("TB213", "t.ok", f"CREATE TABLE t ({K}, ok BOOLEAN); INSERT INTO t VALUES (1, 't'), (2, 'f'), (3, NULL)", 2),
    Case("TB214", "c", f"CREATE TABLE t ({K})", 2, prepare=_broken_check),
    Case("TB214", "c.n", f"CREATE TABLE t ({K})", 1, ("2",), prepare=_broken_notnull),
    Case("TB215", "t.a", f"CREATE TABLE t ({K}, a TEXT); INSERT INTO t VALUES (1, 'caf\ufffd')", 1, ("1",)),
    Case("TB216", "t.n", f"CREATE TABLE t ({K}, n INTEGER); INSERT INTO t VALUES (1, 'many'), (2, 2)"),
    Case("TB218", "t.a", f"CREATE TABLE t ({K}, a TEXT); INSERT INTO t VALUES (1, '[9007199254740993]'), "
         """(2, '{"id": "9007199254740993"}'), (3, '{"\\"": 12345678901.234567}'), (4, '[1, 0.30000000000000004]')""",
         2, ("1", "3")),
    Case("TB219", "t.n", f"CREATE TABLE t ({K}, n INTEGER); INSERT INTO t VALUES (1, 9223372036854775808), (2, 1.5)",
         1, ("1",)),
    Case("TB220", "t.at", f"CREATE TABLE t ({K}, at TEXT); INSERT INTO t VALUES (1, '2024-01-01T00:00:00+02:00'), "
         "(2, '2024-01-01T00:00:00+02'), (3, '2024-01-01T00:00:00+0200')", 2, ("2", "3")),
    Case("TB221", "t.u", f"CREATE TABLE t ({K}, u TEXT); INSERT INTO t VALUES "
         "(1, '0f8fad5b-d9cb-469f-a165-70867728950e'), (2, '0f8fad5bd9cb469fa16570867728950e')", 2),
    Case("TB217", "t.at", f"CREATE TABLE t ({K}, at DATETIME); INSERT INTO t VALUES (1, '2024-01-01 00:00:00.000001')"),
]  # fmt: skip

CHANGES = [
    Case("TB301", "t.a", f"CREATE TABLE t ({K}, a VARCHAR(9))"),
    Case("TB302", "t.at", f"CREATE TABLE t ({K}, at DATETIME); INSERT INTO t VALUES (1, '2024-01-01 00:00:00Z')"),
    Case("TB303", "t.a", f"CREATE TABLE t ({K}, a JSON); INSERT INTO t VALUES (1, '[]')"),
    Case("TB304", "t.a", f"CREATE TABLE t ({K}, a BOOLEAN)"),
    Case("TB305", "t.a", f"CREATE TABLE t ({K}, a DECIMAL(9,2)); INSERT INTO t VALUES (1, 5), (2, 5.5)"),
    Case("TB306", "t.a", f"CREATE TABLE t ({K}, a JSON); INSERT INTO t VALUES (1, '[]'), (2, '5')"),
    Case("TB307", "t.id", "CREATE TABLE t (id BIGINT PRIMARY KEY); INSERT INTO t VALUES (1)"),
    Case("TB308", "t", "CREATE TABLE t (id TEXT PRIMARY KEY); INSERT INTO t VALUES ('a')"),
    Case("TB309", "t", f"CREATE TABLE t ({K}, -- the body\r\n a TEXT)"),
    Case("TB309", "v", f"CREATE TABLE t ({K}); CREATE VIEW v AS SELECT id /* all */ FROM t"),
    Case("TB310", "t", f'CREATE TABLE t ({K}, a TEXT DEFAULT "base")'),
    Case("TB313", "t", "CREATE TABLE t (a TEXT)"),
    Case("TB314", "t", f"CREATE TABLE t ({K}, a REAL CHECK (power(a, 2) < 9))"),
    Case("TB314", "i", f"CREATE TABLE t ({K}, a REAL); CREATE INDEX i ON t (ceiling(a))"),
    Case("TB314", "v", f"CREATE TABLE t ({K}, a REAL); CREATE VIEW v AS SELECT if(a, power(a, 2), 0) FROM t"),
]


def named(case: Case) -> str:
    return f"{case.code}-{case.object or 'empty'}"


@pytest.mark.parametrize("case", SOURCES, ids=named)
def test_exactly_this_rule_fires(case: Case) -> None:
    found = look(case.sql, case.prepare).findings(case.limits, case.time_zone)
    assert [(f.code, f.object, f.count, f.samples) for f in found] == [
        (case.code, case.object, case.count, case.samples)
    ], found


@pytest.mark.parametrize("case", CHANGES, ids=named)
def test_exactly_this_change_is_told(case: Case) -> None:
    looked = look(case.sql)
    assert [f for f in looked.findings() if f.code[:3] != "TB2"] == []
    converted = looked.convert()
    assert {(f.code, f.object) for f in converted.findings()} == {(case.code, case.object)}
    assert [c for c in prove(converted, looked.schema) if c.verdict is not Verdict.PASS] == []


@fires("TB312", "TB311")
def test_a_virtual_table_is_made_again_and_its_storage_is_not_carried() -> Iterable[str]:
    looked = look(
        f"CREATE TABLE t ({K}, body TEXT); CREATE VIRTUAL TABLE f USING fts5(body, content='t', content_rowid='id')"
    )
    assert looked.findings() == []
    found = {(f.code, f.object) for f in looked.convert().findings()}
    assert found == {("TB312", "f")} | {("TB311", f"f_{part}") for part in ("data", "idx", "docsize", "config")}
    return {code for code, _ in found}


@fires("TB311")
def test_statistics_are_not_carried() -> Iterable[str]:
    looked = look(f"CREATE TABLE t ({K}, a TEXT); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1, 'x'); ANALYZE")
    found = {(f.code, f.object) for f in looked.convert().findings()}
    assert ("TB311", "sqlite_stat1") in found
    return {code for code, _ in found}


def spoiled(conversion: Conversion, code: str) -> Conversion:
    """The conversion with one fault that only the proof can see."""
    table = conversion.tables[0]
    if code == "TB320":
        return replace(conversion, tables=(replace(table, sql=table.sql.replace(" DEFAULT 5", "")),))
    if code == "TB321":
        return replace(conversion, views=(Statement("v", "CREATE VIEW v AS SELECT gone FROM t"),))
    if code == "TB322":
        extra = Account("table", "ghost", "kept", (), "", "", "")
        return replace(conversion, accounting=(*conversion.accounting, extra))
    return replace(conversion, views=(Statement("v", f"CREATE VIEW v AS SELECT '{'x' * 99_990}'"),))


PROOF = ["TB320", "TB321", "TB322"]


@pytest.mark.parametrize("code", PROOF)
def test_the_proof_sees_a_fault(code: str) -> None:
    looked = look(f"CREATE TABLE t ({K}, a INTEGER DEFAULT 5)")
    conversion = looked.convert()
    assert {c.verdict for c in prove(conversion, looked.schema)} == {Verdict.PASS}
    failed = [c for c in prove(spoiled(conversion, code), looked.schema) if c.verdict is Verdict.FAIL]
    assert {c.code for c in failed} == {code}


@fires("TB323", "TB321")  # the sandbox refuses it too
def test_the_proof_sees_a_statement_that_grew_too_long() -> Iterable[str]:
    looked = look(f"CREATE TABLE t ({K}, a INTEGER DEFAULT 5)")
    return not_passed(prove(spoiled(looked.convert(), "TB323"), looked.schema))


def test_null_cannot_answer_orphans_of_a_reference_that_must_not_be_null() -> None:
    looked = look(
        f"CREATE TABLE p ({K}); CREATE TABLE c ({K}, p INTEGER NOT NULL REFERENCES p, q INTEGER REFERENCES p);"
        "INSERT INTO c VALUES (1, 5, 5)"
    )
    wrong = contradictions(looked.schema, looked.orphans, [Decision("TB203", "c.*", "null", "")])
    assert [(c.object, c.verdict, c.keys) for c in wrong] == [("c.p", Verdict.FAIL, ("1",))]
    assert contradictions(looked.schema, looked.orphans, [Decision("TB203", "c.*", "park", "")]) == []


@pytest.mark.parametrize(("do", "failed"), [("nocase", ["t.a"]), ("binary", [])])
def test_values_that_nocase_makes_equal_stop_the_decision(do: str, failed: list[str]) -> None:
    sql = f"CREATE TABLE t ({K}, a TEXT COLLATE german UNIQUE); INSERT INTO t VALUES (1, 'x'), (2, 'X'), (3, NULL)"
    looked = look(sql, _application)
    found = too_alike(looked.db, looked.schema, [Decision("TB110", "t.a", do, "")])
    assert [(check.code, check.object) for check in found] == [("TB110", name) for name in failed]
    assert too_alike(looked.db, looked.schema, []) == []


def documented(root: Path) -> dict[str, list[str]]:
    """Rows of the documentation by code."""
    found: dict[str, list[str]] = {}
    for line in (root / "docs/checks.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] in RULES:
            found[cells[0]] = cells
    return found


def test_every_rule_has_a_fixture() -> None:
    cases = {case.code for case in SOURCES + CHANGES}
    assert cases | {"TB311", "TB312", "TB320", "TB321", "TB322", "TB323"} == set(RULES)


@pytest.mark.parametrize("code", RULES)
def test_a_rule_and_its_row_in_the_documentation_agree(code: str, root: Path) -> None:
    rule, cells = RULES[code], documented(root)[code]
    assert cells[1:3] == [rule.title, str(rule.severity)]
    assert len(cells) == 5
    assert cells[3]
    assert cells[4].startswith(rule.advice)
    assert all(choice in cells[4] for choice in (*rule.choices, *rule.lossy))


@pytest.mark.parametrize("code", RULES)
def test_a_rule_that_asks_for_a_decision_offers_one(code: str) -> None:
    rule = RULES[code]
    assert bool(rule.choices) is (rule.severity is Severity.DECIDE)
    assert set(rule.lossy) <= set(rule.choices)
