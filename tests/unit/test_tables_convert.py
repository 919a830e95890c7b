"""The converted schema: what stays is the source's own text, what changes is named, and the real runtime takes it."""

from __future__ import annotations

import secrets
from pathlib import Path

import apsw
import pytest
from helpers.census import Looked, look, look_at

from towpath.checks import Decision, Verdict
from towpath.cloudflare import D1, Client
from towpath.cloudflare.errors import D1Error
from towpath.errors import BadInput, WrongUse
from towpath.tables.conversion import Conversion
from towpath.tables.dialect import COLLATIONS, FUNCTIONS, SAME
from towpath.tables.proof import prove
from towpath.tables.schema import quoted
from towpath.tables.source import open_source
from towpath.tables.typescript import row_types

K = "id INTEGER PRIMARY KEY"


def converted(looked: Looked, *decisions: Decision) -> Conversion:
    """The conversion, proved."""
    made = looked.convert(decisions)
    assert [check for check in prove(made, looked.schema) if check.verdict is not Verdict.PASS] == []
    return made


def sql(text: str) -> str:
    """What one CREATE TABLE becomes."""
    return converted(look(text)).tables[0].sql


def types(declared: str, *literals: str) -> tuple[str, str]:
    """The type and the code that a column gets which holds these values."""
    rows = "".join(f"INSERT INTO t VALUES ({n}, {value});" for n, value in enumerate(literals))
    column = converted(look(f"CREATE TABLE t ({K}, a {declared}); {rows}")).tables[0].columns[1]
    return column.target_type, column.code


def test_what_stays_is_the_text_of_the_source() -> None:
    assert sql(
        """CREATE TABLE [odd name] (
          id integer PRIMARY KEY AUTOINCREMENT, -- the key
          `a` VARCHAR(10) CONSTRAINT "c 1" NOT NULL DEFAULT "it's" COLLATE NOCASE
            CHECK (a <> "it" AND length("a") >= 0),
          'b' /* bee */ TEXT UNIQUE ON CONFLICT REPLACE,
          up INTEGER REFERENCES "odd name"(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
          g TEXT GENERATED ALWAYS AS (a || 'x''41') STORED,
          day TEXT DEFAULT CURRENT_TIMESTAMP,
          n INTEGER DEFAULT -5 NOT NULL,
          CONSTRAINT u UNIQUE (a, b) CHECK (n > 0x0F OR n IS NULL)
        )"""
    ) == (
        'CREATE TABLE "odd name" (\n'
        '  "id" integer PRIMARY KEY AUTOINCREMENT,\n'
        """  "a" TEXT CONSTRAINT "c 1" NOT NULL DEFAULT 'it''s' COLLATE NOCASE"""
        """ CHECK (a <> 'it' AND length("a") >= 0),\n"""
        '  "b" TEXT UNIQUE ON CONFLICT REPLACE,\n'
        '  "up" INTEGER REFERENCES "odd name"(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,\n'
        """  "g" TEXT GENERATED ALWAYS AS (a || 'x''41') STORED,\n"""
        '  "day" TEXT DEFAULT CURRENT_TIMESTAMP,\n'
        '  "n" INTEGER DEFAULT -5 NOT NULL,\n'
        "  CONSTRAINT u UNIQUE (a, b),\n"
        "  CHECK (n > 0x0F OR n IS NULL)\n"
        ")"
    )


@pytest.mark.parametrize("options", ["WITHOUT ROWID", "STRICT", "STRICT, WITHOUT ROWID"])
def test_options_stay(options: str) -> None:
    assert sql(f"CREATE TABLE t (id TEXT PRIMARY KEY, n INT) {options}").endswith(f"\n) {options}")


@pytest.mark.parametrize(
    ("declared", "held", "wanted"),
    [
        ("TEXT", ["'x'"], ("TEXT", "")),
        ("", ["'x'", "1"], ("", "")),
        ("VARCHAR(36)", ["'x'"], ("TEXT", "TB301")),
        ("DOUBLE PRECISION", ["1.5"], ("REAL", "TB301")),
        ("UNSIGNED BIG INT", ["1"], ("INTEGER", "TB301")),
        ("DATETIME", [], ("TEXT", "TB302")),
        ("DATETIME", ["'2024-01-01'", "NULL"], ("TEXT", "TB302")),
        ("TIMESTAMP", ["1714972089"], ("INTEGER", "TB302")),
        ("DATE", ["2460436.5"], ("REAL", "TB302")),
        ("DATETIME", ["'2024-01-01'", "1714972089"], ("NUMERIC", "TB306")),
        ("TIMESTAMP WITH TIME ZONE", [], ("TEXT", "TB302")),
        ("INTERVAL", ["'P1D'"], ("TEXT", "TB302")),
        ("JSON", ["'{}'", "'[1]'"], ("TEXT", "TB303")),
        ("JSON", ["'{}'", "'12'"], ("NUMERIC", "TB306")),
        ("UUID", ["'0e1'", "'x'"], ("NUMERIC", "TB306")),
        ("UUID", ["'9f0c'"], ("TEXT", "TB303")),
        ("STRING", ["'x'", "x'00'"], ("TEXT", "TB303")),
        ("BOOLEAN", ["0", "1"], ("INTEGER", "TB304")),
        ("BOOLEAN", ["'t'"], ("TEXT", "TB304")),
        ("BOOLEAN", ["'t'", "1"], ("INTEGER", "TB304")),
        ("DECIMAL(10,2)", ["1.5", "2.0"], ("NUMERIC", "TB305")),
        ("DECIMAL(10,2)", ["1.5"], ("REAL", "TB305")),
        ("DECIMAL(10,0)", ["12345678901234567"], ("INTEGER", "TB305")),
        ("NUMERIC(9, 2)", [], ("NUMERIC", "TB305")),
        ("NUMERIC", ["1"], ("NUMERIC", "")),
        ("WEIRD", ["'x'"], ("TEXT", "TB303")),
        ("WEIRD", ["1"], ("INTEGER", "TB301")),
        ("WEIRD", ["1", "'x'"], ("NUMERIC", "TB306")),
        ("GEOMETRY", ["x'47'", "NULL"], ("BLOB", "TB301")),
        ("MULTIPOINT", ["x'47'"], ("BLOB", "TB301")),
        ("POINT", ["x'47'", "'POINT(1 2)'"], ("INTEGER", "TB301")),
        ("BLOB", ["'x'", "1.5", "2"], ("BLOB", "")),
    ],
)
def test_a_type_follows_from_its_name_and_its_values(declared: str, held: list[str], wanted: tuple[str, str]) -> None:
    assert types(declared, *held) == wanted


def test_numbers_as_text_keep_a_column_without_affinity() -> None:
    db = apsw.Connection(":memory:")
    for statement in (
        f"CREATE TABLE t ({K}, a TEXT, b); INSERT INTO t VALUES (1, '123', 7); PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, a JSON, b TEXT)'",
        "PRAGMA writable_schema = RESET",
    ):
        db.execute(statement).fetchall()
    made = converted(look_at(db)).tables[0]
    assert [(column.target_type, column.code) for column in made.columns[1:]] == [
        ("TEXT", "TB303"),
        ("BLOB", "TB306"),
    ]


@pytest.mark.parametrize(
    ("ddl", "rows", "wanted", "code"),
    [
        ("id BIGINT PRIMARY KEY", "(1), (2)", '"id" INTEGER PRIMARY KEY', "TB307"),
        ("id INT, PRIMARY KEY (id)", "(1)", '"id" INTEGER,', "TB307"),
        ("id SERIAL PRIMARY KEY", "(NULL)", '"id" INT PRIMARY KEY', "TB301"),
        ("id BIGINT PRIMARY KEY", "('x')", '"id" INT NOT NULL PRIMARY KEY', "TB301"),
        ("id INT PRIMARY KEY", "('x')", '"id" INT NOT NULL PRIMARY KEY', "TB301"),
        ("id INTEGER PRIMARY KEY DESC", "(1)", '"id" INTEGER PRIMARY KEY DESC', "TB307"),
        ("id VARCHAR(9) PRIMARY KEY", "('x')", '"id" TEXT NOT NULL PRIMARY KEY', "TB301"),
        ("id TEXT PRIMARY KEY", "(NULL)", '"id" TEXT PRIMARY KEY', ""),
    ],
)
def test_keys(ddl: str, rows: str, wanted: str, code: str) -> None:
    made = converted(look(f"CREATE TABLE t ({ddl}); INSERT INTO t VALUES {rows}")).tables[0]
    assert wanted in made.sql
    assert made.columns[0].code == code


def test_a_key_that_becomes_the_rowid_gives_out_the_next_number() -> None:
    made = converted(look("CREATE TABLE t (id BIGINT PRIMARY KEY, a); INSERT INTO t VALUES (41, 'x')"))
    db = apsw.Connection(":memory:")
    db.execute(f"{made.tables[0].sql}; INSERT INTO t VALUES (41, 'x'); INSERT INTO t (a) VALUES ('y')").fetchall()
    assert db.execute("SELECT max(id), count(id) FROM t").fetchall() == [(42, 2)]


def test_every_object_has_an_account() -> None:
    looked = look(
        f"""CREATE TABLE t ({K}, a TEXT UNIQUE, at DATETIME); CREATE INDEX i ON t (a DESC) WHERE a > "x";
        CREATE TABLE s (n INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE e (id INT PRIMARY KEY);
        CREATE VIEW v AS SELECT a FROM t;
        CREATE TRIGGER r INSTEAD OF INSERT ON v BEGIN INSERT INTO t (a) VALUES (new.a); END;
        CREATE VIRTUAL TABLE f USING fts5(a, content=t, content_rowid=id);
        CREATE VIRTUAL TABLE w USING fts5vocab(f, row);
        CREATE TABLE _cf_KV (key TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO s VALUES (7); ANALYZE"""
    )
    made = converted(looked)
    told = {(a.kind, a.name): (a.outcome, a.codes) for a in made.accounting}
    there = {(o.kind, o.name) for o in looked.schema.objects}
    assert set(told) == there
    assert len(made.accounting) == len(looked.schema.objects)
    assert told["table", "t"] == ("changed", ("TB302",))
    assert told["index", "i"] == ("changed", ("TB310",))
    assert told["index", "sqlite_autoindex_t_1"] == ("kept", ())
    assert told["index", "sqlite_autoindex_e_1"] == ("changed", ("TB307",))
    assert told["table", "sqlite_sequence"] == ("kept", ())
    assert told["table", "_cf_KV"] == ("dropped", ("TB311",))
    assert told["table", "f_data"] == ("dropped", ("TB311",))
    assert told["table", "f"] == told["table", "w"] == ("kept", ("TB312",))
    assert [s.name for s in made.virtual] == ["f", "f", "w"]
    order = [s.split()[1] for s in made.after_statements]
    assert order == ["INDEX", "VIRTUAL", "INTO", "VIRTUAL", "VIEW", "TRIGGER"]


def test_migrations_are_statements_that_a_splitter_can_split() -> None:
    looked = look(
        f"CREATE TABLE t ({K}, a TEXT);\r\nCREATE TRIGGER r AFTER INSERT ON t BEGIN\r\n  -- note\r\n"
        "  UPDATE t SET a = ';' WHERE id = new.id;\r\nEND"
    )
    made = converted(looked)
    for text in (made.migration_tables(), made.migration_after()):
        assert "\r" not in text
        assert "--" not in text
        assert text.endswith(";\n")
    assert made.migration_after() == (
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN\n  UPDATE t SET a = ';' WHERE id = new.id;\nEND;\n"
    )


def application(db: apsw.Connection) -> None:
    db.create_scalar_function("slug", lambda *v: str(v[0]).lower(), 1, deterministic=True)
    db.create_collation("german", lambda a, b: (a > b) - (a < b))


DECIDED = f"""
CREATE TABLE p ({K}, loose INTEGER);
CREATE TABLE t ({K}, a TEXT DEFAULT (slug('X')) CHECK (slug(a) = a) NOT NULL COLLATE german UNIQUE,
  p INTEGER REFERENCES p (loose), q INTEGER, CONSTRAINT gone FOREIGN KEY (q) REFERENCES nobody (id) ON DELETE CASCADE,
  CHECK (slug(a) <> ''), CHECK (q > 0));
CREATE INDEX i ON t (slug(a)); CREATE INDEX j ON t (a COLLATE german DESC);
CREATE VIEW v AS SELECT slug(a) AS s FROM t; CREATE VIEW w AS SELECT s FROM v;
CREATE VIEW x AS SELECT a FROM t ORDER BY a COLLATE german;
CREATE VIRTUAL TABLE f USING fts4(body);
CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO f (body) VALUES (new.a); END;
CREATE VIRTUAL TABLE own USING fts5(body);
CREATE TRIGGER o AFTER INSERT ON t BEGIN INSERT INTO own (body) VALUES (new.a); END;
"""


def test_a_finding_without_a_decision_stops_the_conversion() -> None:
    looked = look(DECIDED, application)
    with pytest.raises(WrongUse, match=r"TB113 t\.p: .*drop"):
        looked.convert([d for d in looked.decided() if d.code != "TB113"])


def test_decisions_take_away_what_they_name_and_nothing_else() -> None:
    looked = look(DECIDED, application)
    made = converted(looked, *looked.decided(choice=9))
    assert made.table("t").sql == (
        'CREATE TABLE "t" (\n  "id" INTEGER PRIMARY KEY,\n  "a" TEXT NOT NULL COLLATE NOCASE UNIQUE,\n'
        '  "p" INTEGER,\n  "q" INTEGER,\n  CHECK (q > 0)\n)'
    )
    gone = [a for a in made.accounting if a.outcome == "dropped" and a.kind != "table"]
    dropped = {a.name: a.codes for a in gone if not a.name.startswith("sqlite_")}
    assert dropped == {"i": ("TB108",), "v": ("TB108",), "w": ("TB108",), "r": ("TB108",), "o": ("TB116",)}
    assert [s.sql for s in made.indexes] == ['CREATE INDEX "j" ON "t" (a COLLATE NOCASE DESC)']
    assert [s.sql for s in made.views] == ["CREATE VIEW x AS SELECT a FROM t ORDER BY a COLLATE NOCASE"]
    assert (made.triggers, made.virtual, made.fill) == ((), (), ())


def test_collations_may_become_binary_and_virtual_tables_be_filled() -> None:
    looked = look(DECIDED, application)
    made = converted(looked, *looked.decided(choice=0))
    assert '"a" TEXT NOT NULL UNIQUE' in made.table("t").sql
    assert [s.sql for s in made.fill] == ["CREATE VIRTUAL TABLE own USING fts5(body)"]
    assert made.table_statements[-1] == made.fill[0].sql
    assert made.virtual == ()
    assert [s.name for s in made.triggers] == ["o"]


def test_typescript() -> None:
    looked = look(
        """CREATE TABLE "order-lines" (id INTEGER PRIMARY KEY, big INTEGER, ok BOOLEAN NOT NULL, data JSON, at DATETIME,
          [it's a "name"] TEXT NOT NULL, b BLOB, x REAL, any_, "*/" TEXT);
        CREATE TABLE order_lines (k VARCHAR(9) PRIMARY KEY); CREATE TABLE "2" (n BIGINT PRIMARY KEY);
        INSERT INTO "order-lines" VALUES (1, 9007199254740993, 1, '{}', '2024-01-01', 't', x'00', 9e999, NULL, NULL)"""
    )
    made = converted(looked)
    assert row_types(made, looked.profile) == row_types(made, looked.profile)
    assert (
        row_types(made, looked.profile)
        == """// Row types of the D1 database, made by Towpath from the schema it applied.  Do not edit.

/** A row of order-lines. */
export interface OrderLinesRow {
  id: number;
  /** integers beyond ±2^53: select CAST(big AS TEXT) */
  big: string | null;
  /** boolean */
  ok: 0 | 1;
  /** JSON text: JSON.parse */
  data: string | null;
  /** date or time: YYYY-MM-DD */
  at: string | null;
  "it's a \\"name\\"": string;
  b: ArrayBuffer | null;
  /** holds infinite numbers, which D1 answers as null */
  x: number | null;
  any_: ArrayBuffer | number | string | null;
  "*/": string | null;
}

/** A row of order_lines. */
export interface OrderLinesRow2 {
  k: string;
}

/** A row of 2. */
export interface T2Row {
  n: number;
}

/** Every table by its name in the database. */
export interface Tables {
  "order-lines": OrderLinesRow;
  order_lines: OrderLinesRow2;
  "2": T2Row;
}
"""
    )


def sources(root: Path) -> list[Path]:
    """Every real database beside the project."""
    folder = root.parent / "shared" / "data" / "sqlite"
    suffixes = (".db", ".sqlite", ".sqlite3")
    found = sorted(path for path in folder.rglob("*") if path.suffix in suffixes)
    if not found:
        print(f"no real databases: {folder.name} is not beside the project; only made ones were tried")
    return found


def test_every_real_database_converts_and_the_runtime_takes_it(root: Path, client: Client) -> None:
    moved = 0
    for path in sources(root):
        if path.name == "db.sqlite3":  # holds no table
            with pytest.raises(BadInput, match="zero tables"):
                open_source(path, closed_cleanly=True)
            continue
        looked = look_at(open_source(path, closed_cleanly=True))
        made = converted(looked, *looked.decided(choice=9))
        d1 = D1(client, f"test-{secrets.token_hex(8)}")
        for statement in (*made.table_statements, *made.after_statements):
            d1.batch([statement])
        for view in made.views:
            d1.query(f"SELECT * FROM {quoted(view.name)} LIMIT 0")
        found = {name for (name,) in d1.query("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL").rows}
        early = (*made.tables, *made.keys, *made.fill)
        wanted = {s.name for s in (*early, *made.indexes, *made.views, *made.triggers, *made.virtual)}
        assert wanted <= found
        moved += 1
    assert moved + 1 >= len(sources(root))


def test_the_runtime_knows_the_functions_that_we_think_it_knows(d1: D1) -> None:
    def refused(name: str) -> bool:
        for arguments in ("", "1", "1, 1", "1, 1, 1"):
            try:
                d1.query(f'SELECT 1 WHERE 0 AND "{name}"({arguments})')
            except D1Error as error:
                if "wrong number of arguments" not in str(error):
                    return "not authorized" in str(error) or "no such function" in str(error)
        return False

    callable_ = [name for name in FUNCTIONS if name not in ("->", "->>", "json_each", "json_tree")]
    assert [name for name in sorted(callable_) if refused(name)] == []
    unknown = (*SAME, "regexp", "md5", "sha1", "uuid", "sqlite_version", "unistr", "json_pretty", "ieee754")
    assert [name for name in unknown if not refused(name)] == []


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE t (a TEXT COLLATE german)", "CREATE VIRTUAL TABLE f USING fts4(a)"]
)
def test_the_runtime_refuses_what_we_refuse(d1: D1, statement: str) -> None:
    assert "GERMAN" not in COLLATIONS
    with pytest.raises(D1Error):
        d1.batch([statement])
