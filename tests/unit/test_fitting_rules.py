"""Each rule FT1xx to FT3xx by the smallest fit for which it holds, over captured forms written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from helpers.fires import fires, not_passed
from helpers.fitting import codes, rows, rule

from towpath.errors import BadInput, WrongUse
from towpath.fitting import source as kinds
from towpath.fitting.account import fit
from towpath.fitting.adopt import read_migrations
from towpath.fitting.fitted import Fitted
from towpath.fitting.losses import losses
from towpath.fitting.rules import RULES
from towpath.fitting.shape import shape
from towpath.fitting.source import Source, SourceColumn, SourceTable
from towpath.fitting.spec import ColumnRule, Constant, Fit, Join, Lookup, Rewrite
from towpath.fitting.violations import violations

Rows = Sequence[tuple[object, ...]]


class Small:
    """Tables `a` (id, x) and `b` (id, y) as a capture, and a target of one's own."""

    def __init__(self, folder: Path, x: str = kinds.TEXT, y: str = kinds.TEXT, sequence: int | None = None) -> None:
        self.folder = folder
        self.source = source(
            {
                "public.a": [("id", kinds.INTEGER, sequence), ("x", x, None)],
                "public.b": [("id", kinds.INTEGER, None), ("y", y, None)],
            }
        )

    def capture(self, a: Rows = (), b: Rows = ()) -> Path:
        path = self.folder / "capture.sqlite"
        path.unlink(missing_ok=True)
        with closing(apsw.Connection(str(path))) as db:
            db.execute("CREATE TABLE a (id INTEGER PRIMARY KEY, x); CREATE TABLE b (id INTEGER PRIMARY KEY, y)")
            db.executemany("INSERT INTO a VALUES (?, ?)", a)
            db.executemany("INSERT INTO b VALUES (?, ?)", b)
        return path

    def target(self, sql: str) -> None:
        folder = self.folder / "migrations"
        folder.mkdir(exist_ok=True)
        (folder / "0001.sql").write_text(sql, encoding="utf-8")
        self.migrations = read_migrations(folder)

    def fit(self, sql: str, rules: Fit) -> Fitted:
        self.target(sql)
        return fit(self.source, self.migrations.schema, rules)


def source(tables: Mapping[str, Sequence[tuple[str, str, int | None]]]) -> Source:
    """A source of tables whose first column is the key."""
    made = {
        name: SourceTable(
            name,
            name.rpartition(".")[2],
            name,
            tuple(SourceColumn(column, kind, kind, sequence) for column, kind, sequence in columns),
            (columns[0][0],),
        )
        for name, columns in tables.items()
    }
    return Source(tuple(made.values()), made)


def a_to_t(columns: Mapping[str, ColumnRule | str] | None = None, **more: object) -> Fit:
    """Table a to table t, table b left behind."""
    made = rule("public.a", "t", dict(columns or {"id": "id", "x": "x"}), **more)
    return Fit((made,), left={"public.b": "not needed"})


ALSO = {"FT203": {"FT207"}, "FT204": {"FT207"}, "FT208": {"FT205", "FT206"}}  # the other table stays behind
UNRULED = {"FT101", "FT102", "FT105"}  # a rule that is wrong leaves its tables and columns without one
REWRITE = Rewrite("http://a/", "http://b/")
PLAIN = "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)"
LEFT = {"public.b": "not needed"}


@pytest.mark.parametrize(
    ("code", "object", "sql", "rules", "said"),
    [
        ("FT101", "public.a.x", PLAIN, a_to_t({"id": "id", "x": ColumnRule(constant=Constant("1"))}), "no rule takes"),
        ("FT102", "public.b", PLAIN, Fit(a_to_t().tables), "no rule reads"),
        ("FT103", "t.z", "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, z TEXT NOT NULL)", a_to_t(), "NOT NULL"),
        ("FT103", "t.id", PLAIN, a_to_t({"x": "x"}, drop={"id": "no"}), "part of the key"),
        ("FT104", "t.z", "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, z TEXT)", a_to_t(), "no rule fills it"),
        ("FT105", "u", f"{PLAIN}; CREATE TABLE u (id INTEGER PRIMARY KEY)", a_to_t(), "no rule goes to it"),
        ("FT106", "public.aa", PLAIN, Fit((rule("public.aa", "t", {}),), left=LEFT), "nearest names are: public.a"),
        ("FT106", "tt", PLAIN, Fit((rule("public.a", "tt", {}),), left=LEFT), "nearest names are: t"),
        ("FT106", "public.a.xx", PLAIN, a_to_t({"id": "id", "x": "xx"}), "nearest names are: public.a.x"),
        ("FT106", "t.y", PLAIN, a_to_t({"id": "id", "y": "x"}), "there is no column t.y"),
        ("FT106", "u", PLAIN, Fit(a_to_t().tables, LEFT, ("u",)), "there is no target table u"),
        ("FT106", "public.c", PLAIN, Fit(a_to_t().tables, {**LEFT, "public.c": "?"}), "there is no source table"),
        ("FT107", "t.x", PLAIN, a_to_t({"id": "id", "x": ColumnRule("x", form="cents")}), "usable are default, text"),
        ("FT107", "t.x", PLAIN, a_to_t({"id": "id", "x": ColumnRule("x", form="unheard")}), "does not take it"),
        ("FT108", "t.x", "CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER)", a_to_t(), "x is TEXT"),
        ("FT108", "t.x", "CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER) STRICT", a_to_t(), "STRICT"),
        ("FT108", "t.x", PLAIN, a_to_t({"id": "id", "x": "id"}, drop={"x": "no"}), "as: text?"),
        ("FT109", "t.x", PLAIN, a_to_t({"id": "id", "x": ColumnRule(expression="md5(x)")}), "md5(x)"),
        ("FT109", "t.rows", PLAIN, a_to_t(rows="x"), "wants a condition"),
        (
            "FT110",
            "t.n",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, n INT DEFAULT (unixepoch()))",
            a_to_t(),
            "uni",
        ),
        ("FT111", "public.a.x", PLAIN, a_to_t(drop={"x": "both"}), "it is dropped, and mapped to t.x"),
        ("FT111", "t", PLAIN, Fit(a_to_t().tables, LEFT, ("t",)), "also named under empty"),
        ("FT111", "public.a", PLAIN, Fit(a_to_t().tables, {**LEFT, "public.a": "?"}), "also named under left"),
        ("FT111", "t.x", PLAIN, a_to_t({"id": "id", "x": ColumnRule("x", expression="x")}), "exactly one"),
        ("FT111", "t.x", PLAIN, a_to_t({"id": "id", "x": ColumnRule("x", default=1)}), "its default 1 is INTEGER"),
        (
            "FT111",
            "t.g",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, g AS (x))",
            a_to_t({"id": "id", "x": "x", "g": "x"}),
            "the target computes this column",
        ),
        (
            "FT111",
            "t.x",
            PLAIN,
            a_to_t({"id": "id", "x": ColumnRule(expression="length(x)", rewrite=REWRITE)}),
            "is no text",
        ),
        ("FT111", "t.id", PLAIN, a_to_t(join=Join("public.b", "y", "id")), "cannot be compared"),
    ],
)
def test_what_is_wrong_between_the_declarations(
    code: str, object: str, sql: str, rules: Fit, said: str, tmp_path: Path
) -> None:
    findings = Small(tmp_path).fit(sql, rules).findings
    mine = [finding for finding in findings if finding.code == code or said in finding.message]
    assert [(finding.code, finding.object.removeprefix("public.a, ")) for finding in mine] == [(code, object)], findings
    assert said in mine[0].message
    assert codes(findings) - {code} <= (set() if code in UNRULED else {*UNRULED, "FT104"})


def test_a_plain_fit_has_no_findings_and_accounts_for_every_column(tmp_path: Path) -> None:
    made = Small(tmp_path)
    fitted = made.fit("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, y INTEGER DEFAULT 7, g AS (x))", a_to_t())
    assert fitted.findings == ()
    assert [(s.table, s.column, s.outcome, s.into) for s in fitted.sources] == [
        ("public.a", "id", "mapped", "t.id"),
        ("public.a", "x", "mapped", "t.x"),
        ("public.b", "", "left", ""),
    ]
    assert [(t.column, t.outcome, t.by) for t in fitted.targets] == [
        ("id", "filled", "id"),
        ("x", "filled", "x"),
        ("y", "defaulted", "DEFAULT 7"),
        ("g", "generated", "the target computes it"),
    ]


def test_a_refused_fit_cannot_be_worked_with(tmp_path: Path) -> None:
    small = Small(tmp_path)
    fitted = small.fit(PLAIN, a_to_t({"id": "id", "x": "xx"}))
    path = small.capture([(1, "v")])
    for work in (
        lambda: losses(path, fitted),
        lambda: violations(path, small.migrations.schema, fitted),
        lambda: shape(path, small.migrations.schema, fitted, tmp_path / "snapshot.sqlite"),
    ):
        with pytest.raises(WrongUse, match="the fit is refused"):
            work()
    assert not (tmp_path / "snapshot.sqlite").exists()


def by(form: str = "default", x: str = "x", **more: object) -> Fit:
    return a_to_t({"id": "id", "x": ColumnRule(x, form=form, **more)})  # type: ignore[arg-type]


NOTHING = ColumnRule(constant=Constant(None))
LOOKUP = ColumnRule(lookup=Lookup("public.b", "y", "x", "y"))
NUMBER = "CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER)"
CENTS = [(1, "0.001"), (2, "NaN"), (3, "1")]
TIMES = [(1, "2024-01-01T00:00:00.000000Z"), (2, "2024-01-01T00:00:00.500000Z"), (3, None)]


@pytest.mark.parametrize(
    ("code", "object", "count", "keys", "kind", "sql", "rules", "a", "b"),
    [
        ("FT201", "t.x", 1, ("id=2",), kinds.TIMESTAMPTZ, NUMBER, by("unix_seconds"), TIMES, []),
        (
            "FT202",
            "t.x",
            1,
            ("id=4",),
            kinds.TIMESTAMPTZ,
            NUMBER,
            by("unix_microseconds"),
            [*TIMES, (4, "infinity")],
            [],
        ),
        (
            "FT202",
            "t.x",
            2,
            ("id=1", "id=2"),
            kinds.NUMERIC,
            NUMBER,
            by("cents"),
            [(1, "0.001"), (2, "NaN"), (3, "1")],
            [],
        ),
        (
            "FT203",
            "t.x",
            1,
            ("y='k'",),
            kinds.TEXT,
            PLAIN,
            a_to_t({"id": "id", "x": LOOKUP}),
            [(1, "k")],
            [(1, "k"), (2, "k"), (3, "l"), (4, "l")],
        ),
        (
            "FT204",
            "t.x",
            1,
            ("id=2",),
            kinds.TEXT,
            PLAIN,
            a_to_t({"id": "id", "x": LOOKUP}),
            [(1, "k"), (2, "l"), (3, None)],
            [(1, "k")],
        ),
        (
            "FT205",
            "public.a.x",
            2,
            (),
            kinds.TEXT,
            PLAIN,
            a_to_t({"id": "id", "x": ColumnRule(constant=Constant(None))}, drop={"x": "gone"}),
            [(1, "v"), (2, None), (3, "")],
            [],
        ),
        (
            "FT206",
            "public.a",
            2,
            ("id=2", "id=3"),
            kinds.TEXT,
            PLAIN,
            a_to_t(rows="x = 'v'"),
            [(1, "v"), (2, "w"), (3, None)],
            [],
        ),
        ("FT207", "public.b", 1, (), kinds.TEXT, PLAIN, a_to_t(), [(1, "v")], [(1, "k")]),
        (
            "FT208",
            "public.b",
            2,
            ("id=2", "id=9"),
            kinds.TEXT,
            PLAIN,
            Fit(a_to_t(join=Join("public.b", "id", "id"), rows="id <> 2", drop={"b.y": "no"}).tables),
            [(1, "v"), (2, "v")],
            [(1, "k"), (2, "k"), (9, "k")],
        ),
        ("FT209", "t.x", 1, ("id=2",), kinds.TEXT, PLAIN, by(default="none"), [(1, "v"), (2, None)], []),
        (
            "FT210",
            "t.x",
            1,
            ("id=2",),
            kinds.JSON,
            PLAIN,
            by(rewrite=REWRITE),
            [(1, '"http://a/1"'), (2, r'"http:\/\/a\/1"')],
            [],
        ),
    ],
)
def test_what_the_rules_would_lose(
    code: str,
    object: str,
    count: int,
    keys: tuple[str, ...],
    kind: str,
    sql: str,
    rules: Fit,
    a: Rows,
    b: Rows,
    tmp_path: Path,
) -> None:
    small = Small(tmp_path, x=kind)
    fitted = small.fit(sql, rules)
    assert fitted.findings == ()
    counted = losses(small.capture(a, b), fitted)
    found = [(f.object, f.count, f.samples) for f in counted.findings if f.code == code]
    assert found == [(object, count, keys)]
    assert codes(counted.findings) == {code} | ALSO.get(code, set())
    decided = {(decision.code, decision.object) for decision in counted.decisions}
    assert ((code, object) in decided) == (code in ("FT205", "FT206", "FT207"))
    assert all(bool(RULES[decision.code].lossy) for decision in counted.decisions)
    nothing = losses(small.capture(), fitted)
    assert nothing.findings == nothing.decisions == ()


@fires("FT114")
def test_a_sequence_ahead_of_a_key_without_autoincrement_is_told(tmp_path: Path) -> Iterable[str]:
    small = Small(tmp_path, sequence=90)
    fitted = small.fit(PLAIN, a_to_t())
    found = losses(small.capture([(1, "v"), (70, "w")]), fitted).findings
    assert [(f.code, f.object, f.count) for f in found] == [("FT114", "t.id", 20)]
    fitted = small.fit(PLAIN.replace("KEY", "KEY AUTOINCREMENT"), a_to_t())
    assert losses(small.capture([(1, "v"), (70, "w")]), fitted).findings == ()
    shaped = shape(small.capture([(1, "v")]), small.migrations.schema, fitted, tmp_path / "shaped.sqlite")
    assert shaped.sequences == {"t": 90}
    assert rows(shaped.path, "SELECT * FROM sqlite_sequence") == [("t", 90)]
    return codes(found)


REFERRING = (
    "CREATE TABLE u (y TEXT PRIMARY KEY, id INT); CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT REFERENCES u(y))"
)
TWO = Fit((rule("public.a", "t", {"id": "id", "x": "x"}), rule("public.b", "u", {"id": "id", "y": "y"})))


@pytest.mark.parametrize(
    ("code", "object", "count", "keys", "sql", "rules", "a"),
    [
        (
            "FT301",
            "t.x",
            2,
            ("id=2", "id=3"),
            "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT NOT NULL)",
            a_to_t(),
            [(1, "v"), (2, None), (3, None)],
        ),
        (
            "FT302",
            "t.x",
            2,
            ("id=1", "id=2", "id=4"),
            "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT UNIQUE)",
            a_to_t(),
            [(1, "v"), (2, "v"), (3, "V"), (4, "v"), (5, None), (6, None)],
        ),
        (
            "FT302",
            "t.x",
            1,
            ("id=1", "id=2"),
            "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT UNIQUE COLLATE NOCASE)",
            a_to_t(),
            [(1, "v"), (2, "V"), (3, "ä"), (4, "Ä")],
        ),
        (
            "FT302",
            "t.x",
            1,
            ("id=2", "id=3"),
            f"{PLAIN}; CREATE UNIQUE INDEX i ON t(x DESC) WHERE id > 1",
            a_to_t(),
            [(1, "v"), (2, "v"), (3, "v")],
        ),
        (
            "FT302",
            "t.i",
            1,
            ("id=1", "id=2"),
            f"{PLAIN}; CREATE UNIQUE INDEX i ON t(trim(x), length(x))",
            a_to_t(),
            [(1, "v "), (2, " v"), (3, "v")],
        ),
        (
            "FT302",
            "t.x",
            1,
            ("id=1", "id=2"),
            "CREATE TABLE t (id INT, x TEXT PRIMARY KEY) WITHOUT ROWID",
            a_to_t(),
            [(1, "v"), (2, "v")],
        ),
        (
            "FT302",
            "t.id",
            1,
            ("id=1", "id=2"),
            PLAIN,
            a_to_t({"id": ColumnRule(expression="length(x)"), "x": "x"}, drop={"id": "another"}),
            [(1, "v"), (2, "w")],
        ),
        (
            "FT303",
            "t",
            1,
            ("id=2",),
            "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT CHECK (x <> 'w'))",
            a_to_t(),
            [(1, "v"), (2, "w"), (3, None)],
        ),
        (
            "FT303",
            "t",
            1,
            ("id=2",),
            "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, CHECK (t.id < 2 OR x = 'v'))",
            a_to_t(),
            [(1, "w"), (2, "w"), (3, "v")],
        ),
        ("FT304", "t.x", 1, ("id=2",), REFERRING, TWO, [(1, "k"), (2, "v"), (3, None)]),
        (
            "FT305",
            "t.x",
            1,
            ("id=2",),
            "CREATE TABLE t (id INTEGER PRIMARY KEY, x REAL) STRICT",
            a_to_t(),
            [(1, 1.5), (2, "NaN")],
        ),
        (
            "FT306",
            "t.x",
            2,
            ("id=1", "id=3"),
            "CREATE TABLE t (id INTEGER PRIMARY KEY, x DATETIME)",
            a_to_t(),
            [(1, "123"), (2, "2024-01-01"), (3, "1e3"), (4, None)],
        ),
    ],
)
def test_what_the_target_would_refuse(
    code: str, object: str, count: int, keys: tuple[str, ...], sql: str, rules: Fit, a: Rows, tmp_path: Path
) -> None:
    small = Small(tmp_path, x=kinds.REAL if code == "FT305" else kinds.TEXT)
    fitted = small.fit(sql, rules)
    assert codes(fitted.findings) <= {"FT104"}
    path = small.capture(a, [(1, "k")])
    found = violations(path, small.migrations.schema, fitted)
    assert [(f.code, f.object, f.count, f.samples) for f in found] == [(code, object, count, keys)]
    shaped = tmp_path / "shaped" / "snapshot.sqlite"
    if code in ("FT301", "FT302", "FT303", "FT305"):
        with pytest.raises(BadInput, match="break a constraint"):
            shape(path, small.migrations.schema, fitted, shaped)
        assert list(shaped.parent.iterdir()) == []
    sound = violations(small.capture(a[:1], [(1, "k")]), small.migrations.schema, fitted)
    assert codes(sound) <= ({"FT306"} if code == "FT306" else set())


def test_all_violations_are_named_at_once(tmp_path: Path) -> None:
    small = Small(tmp_path)
    sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT NOT NULL UNIQUE CHECK (length(x) < 3))"
    fitted = small.fit(sql, a_to_t())
    path = small.capture([(1, None), (2, "long"), (3, "long"), (4, "ok")])
    assert codes(violations(path, small.migrations.schema, fitted)) == {"FT301", "FT302", "FT303"}


def test_a_horizontal_split_parks_only_what_no_rule_takes(tmp_path: Path) -> None:
    small = Small(tmp_path)
    sql = f"{PLAIN}; CREATE TABLE u (id INTEGER PRIMARY KEY, x TEXT)"
    rules = Fit(
        (
            rule("public.a", "t", {"id": "id", "x": "x"}, rows="x = 'v'"),
            rule("public.a", "u", {"id": "id", "x": "x"}, rows="x = 'w'"),
        ),
        left=LEFT,
    )
    fitted = small.fit(sql, rules)
    path = small.capture([(1, "v"), (2, "w"), (3, "q'z"), (4, None)])
    shaped = shape(path, small.migrations.schema, fitted, tmp_path / "snapshot.sqlite")
    assert (shaped.rows, shaped.parked) == ({"t": 1, "u": 1}, {"public.a": 2})
    assert (tmp_path / "parked.jsonl").read_text(encoding="utf-8").splitlines() == [
        '{"table":"public.a","row":{"id":"3","x":"CAST(x\'71277A\' AS TEXT)"}}',
        '{"table":"public.a","row":{"id":"4","x":"NULL"}}',
    ]
    assert [(p.read, p.written, p.passed) for p in shaped.parts] == [(4, 1, 3), (4, 1, 3)]


@fires("FT401")
def test_a_join_that_finds_two_rows_is_seen_by_the_count_of_rows(tmp_path: Path) -> Iterable[str]:
    small = Small(tmp_path)
    rules = Fit(
        (
            rule(
                "public.a",
                "t",
                {"id": ColumnRule(expression="occurrence(1, id)"), "x": "b.y"},
                drop={"x": "no", "b.id": "no"},
                join=Join("public.b", "y", "x"),
            ),
        )
    )
    fitted = small.fit("CREATE TABLE t (id INTEGER, x TEXT)", rules)
    path = small.capture([(1, "k")], [(1, "k"), (2, "k")])
    shaped = shape(path, small.migrations.schema, fitted, tmp_path / "snapshot.sqlite")
    return not_passed(shaped.checks)


def test_every_rule_of_this_room_has_a_fixture_here_or_beside() -> None:
    text = "".join(p.read_text(encoding="utf-8") for p in Path(__file__).parent.glob("test_fitting_*.py"))
    assert [code for code in RULES if f'"{code}"' not in text] == []
