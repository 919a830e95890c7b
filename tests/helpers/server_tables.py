"""Generated tables of PostgreSQL over every built-in type, and a reading back that PostgreSQL itself judges.

A `Kind` is what a column may be: a built-in type, an array, domain, enum or composite over others, a range of its own.
Each says in SQL how its value is made again from the text that D1 holds (`back`), and, where a form is declared to lose
something, what must be left (`expected`).  Both are compared in the server, by the binary form that it sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import psycopg
from hypothesis import strategies as st

from helpers.server_values import SCALARS, Scalar, Texts, array_text, composite_text
from towpath.cloudflare.d1 import D1

REBUILT = r"""
CREATE SCHEMA IF NOT EXISTS rebuilding;
CREATE OR REPLACE FUNCTION rebuilding.rebuilt(value json, modes text[]) RETURNS text LANGUAGE plpgsql STRICT AS $$
DECLARE element json; written text; parts text[] := '{}';
BEGIN
  FOR element IN SELECT json_array_elements(value) LOOP
    IF json_typeof(element) = 'null' THEN
      parts := parts || 'NULL'::text;
    ELSIF json_typeof(element) = 'array' AND modes[1] NOT IN ('json', 'array') THEN  -- one more dimension
      parts := parts || rebuilding.rebuilt(element, modes);
    ELSE
      IF modes[1] = 'array' THEN written := rebuilding.rebuilt(element, modes[2:]);
      ELSIF modes[1] = 'json' THEN written := element::text;
      ELSIF modes[1] = 'scalar' THEN written := element #>> '{}';
      ELSE EXECUTE format('SELECT json_populate_record(NULL::%s, $1)::text', modes[1]) INTO written USING element;
      END IF;
      parts := parts || ('"' || replace(replace(written, '\', '\\'), '"', '\"') || '"');
    END IF;
  END LOOP;
  RETURN '{' || array_to_string(parts, ',') || '}';
END $$;
"""
_STORED = {"int2", "int4", "int8", "oid", "bool"}
_BACK = {
    "bool": "{v}::int::boolean",
    "money": "{v}::numeric::money",
    "bytea": "decode({v}, 'hex')",
    "regclass": "regclassin(textout({v}))",  # a cast of '-' looks for a table of that name
}
# the first index of each dimension becomes 1: PG205
_BOUNDED = "CASE array_ndims({v}) WHEN 1 THEN ({v})[:] WHEN 2 THEN ({v})[:][:] WHEN 3 THEN ({v})[:][:][:] ELSE {v} END"
_CELL = (
    "CASE typeof({c}) WHEN 'blob' THEN hex({c}) WHEN 'integer' THEN CAST({c} AS TEXT) WHEN 'real' THEN"
    " CASE {c} WHEN 9e999 THEN 'Infinity' WHEN -9e999 THEN '-Infinity' ELSE {c} END ELSE {c} END"
)
MOST_CELLS = 20  # columns in one query to D1: each is asked for its type and its value
LABELS = ["", " ", "ok", "it's", 'a "b" \\', "(,)", "{}", "NULL", "é😀", "Ok"]


@dataclass(frozen=True)
class Kind:
    """What a column may be."""

    declared: str  # as CREATE TABLE names it
    values: Texts = field(repr=False)
    storage: str = "text"  # typeof in D1
    ddl: tuple[str, ...] = ()  # the types that must be there before, in order
    back: str = ""  # "" is a cast of the text
    expected: str = "{v}"
    ordered: bool = False
    sent: bool = True
    mode: str = "scalar"  # what JSON its value is inside an array: scalar, json, array, or a composite's name
    plain: bool = True  # an array of it gives it back from its JSON, whatever the value
    within: tuple[str, ...] = ()  # the modes of the elements of an array
    name: str = ""  # the built-in type
    codes: Callable[[str], set[str]] = field(default=lambda _: set(), repr=False)  # findings that must count a value

    @property
    def rebuilt(self) -> str:
        """SQL that makes the value again from the text {v}."""
        return f"({self.back or '{v}'})::{self.declared}"


def _float_codes(value: str) -> set[str]:
    named = {"NaN": "PG201", "Infinity": "PG202", "-Infinity": "PG202", "-0": "PG212", "-0.0": "PG212"}
    return {named[value]} if value in named else set()


def _array_codes(value: str) -> set[str]:
    return {"PG205"} if re.search(r"\[(?!1:)-?\d+:-?\d+\][^{]*=", value[: value.find("{") + 1]) else set()


def scalar(name: str) -> Kind:
    """A built-in type as a column of its own."""
    found: Scalar = SCALARS[name]
    kind = Kind(
        found.declared, found.values, back=_BACK.get(name, ""), ordered=found.ordered, sent=found.sent, name=name
    )
    if name in _STORED:
        return replace(kind, storage="integer")
    if name == "bytea":
        return replace(kind, storage="blob")
    if name in ("float4", "float8"):
        zero = f"CASE WHEN {{v}} = 0 THEN 0 ELSE {{v}} END::{found.declared}"
        return replace(kind, storage="real", expected=zero, codes=_float_codes)
    if name == "tsquery":  # a & (b & c) is written without its parentheses, by pg_dump too
        return replace(kind, expected="{v}::text::tsquery")
    if name in ("json", "jsonb"):
        return replace(kind, mode="json", plain=False)
    if name.endswith("vector") and name != "tsvector":  # JSON makes lists of them
        return replace(kind, plain=False)
    return kind


class Maker:
    """Draws kinds; every type that it makes has a name of its own in the database."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.made = draw, 0

    def kind(self, depth: int = 2) -> Kind:
        """Any column."""
        ways = ["scalar"] * 4 + ["array"] * 2 + ["domain", "enum", "composite", "range"]
        way = self.draw(st.sampled_from(ways)) if depth else "scalar"
        made: Kind = getattr(self, way)(depth)
        return made

    def _name(self) -> str:
        self.made += 1
        return self.draw(st.sampled_from(["m{}", '"Made {}"', '"m\'{}"'])).format(self.made)

    def scalar(self, _: int) -> Kind:
        return scalar(self.draw(st.sampled_from(sorted(SCALARS))))

    def enum(self, _: int) -> Kind:
        labels = self.draw(st.lists(st.sampled_from(LABELS), min_size=1, unique=True))
        name = self._name()
        written = ", ".join("'" + label.replace("'", "''") + "'" for label in labels)
        values = st.sampled_from(labels)
        return Kind(name, values, ddl=(f"CREATE TYPE {name} AS ENUM ({written})",), ordered=True)

    def domain(self, depth: int) -> Kind:
        below, name = self.kind(depth - 1), self._name()
        check = self.draw(st.sampled_from(["", " CHECK (VALUE IS DISTINCT FROM NULL OR true)"]))
        ddl = (*below.ddl, f"CREATE DOMAIN {name} AS {below.declared}{check}")
        return replace(below, declared=name, ddl=ddl, back=below.rebuilt)

    def range(self, _: int) -> Kind:
        name = self._name()
        subtype = self.draw(st.sampled_from(["text", "float8", "inet", "time"]))
        kind = scalar("text" if subtype == "text" else subtype)
        values = st.builds(
            lambda value, shape: shape.format('"' + value.replace("\\", "\\\\").replace('"', '""') + '"'),
            kind.values.filter(lambda value: value != "NaN"),
            st.sampled_from(["[{0},{0}]", "({0},)", "[,{0})", "empty", "(,)"]),
        )
        return Kind(name, values, ddl=(f"CREATE TYPE {name} AS RANGE (SUBTYPE = {subtype})",), ordered=True)

    def composite(self, depth: int) -> Kind:
        fields = [self._sent(depth - 1) for _ in range(self.draw(st.integers(1, 3)))]
        name = self._name()
        columns = ", ".join(f'"f {n}" {field.declared}' for n, field in enumerate(fields))
        ddl = (*(line for field in fields for line in field.ddl), f"CREATE TYPE {name} AS ({columns})")
        values = st.tuples(*(st.none() | field.values for field in fields)).map(composite_text)
        return Kind(name, values, ddl=ddl, mode=name, plain=all(field.plain for field in fields))

    def _sent(self, depth: int, *modes: str) -> Kind:
        """A kind that has a binary form; in an array, one that comes back from JSON, or of these modes."""
        while True:
            kind = self.kind(depth)
            if kind.sent and (not modes or kind.plain or kind.mode in modes):
                return kind

    def array(self, depth: int) -> Kind:
        element = self._sent(depth - 1, "json", "array")
        # an array of arrays is one more dimension; elements of box[] alone stand between semicolons
        while element.declared.endswith("[]") or element.name == "box":
            element = self._sent(depth - 1, "json", "array")
        one = st.none() | element.values
        flat, low = st.lists(one, max_size=4), st.integers(-3, 3)
        values = flat.map(array_text) | st.builds(lambda i, at: array_text(i, [at] if i else []), flat, low)
        if element.plain:
            square = st.integers(1, 3).flatmap(
                lambda width: st.lists(st.lists(one, min_size=width, max_size=width), min_size=1, max_size=2)
            )
            values |= square.map(array_text) | st.builds(lambda i, a, b: array_text(i, [a, b]), square, low, low)
            values |= square.map(lambda items: array_text([items, items]))
        modes = ", ".join("'" + mode.replace("'", "''") + "'" for mode in (element.mode, *element.within))
        expected, codes = _BOUNDED, _array_codes
        if not element.plain:
            inner = "e" if element.mode == "array" else f"CASE WHEN {element.name}_typeof(e) <> 'null' THEN e END"
            inner = element.expected.replace("{v}", inner) if element.mode == "array" else inner
            listed = f"ARRAY(SELECT {inner} FROM unnest({{v}}) WITH ORDINALITY AS u (e, n) ORDER BY n)"
            expected = f"CASE WHEN {{v}} IS NOT NULL THEN {listed} END"
            codes = _json_array_codes if element.mode == "json" else _nested_codes
        return Kind(
            f"{element.declared}[]",
            values,
            ddl=element.ddl,
            back=f"rebuilding.rebuilt({{v}}::json, ARRAY[{modes}])",
            expected=expected,
            mode="array",
            plain=False,
            within=(element.mode, *element.within),
            codes=codes,
        )


def _json_array_codes(value: str) -> set[str]:
    return _array_codes(value) | ({"PG213"} if '"null"' in value else set())


def _nested_codes(value: str) -> set[str]:
    """An element with several dimensions, or with bounds of its own."""
    inner = re.findall(r'"((?:[^"\\]|\\.)*)"', value)
    return _array_codes(value) | ({"PG213"} if any(_array_codes(text) for text in inner) else set())


@dataclass(frozen=True)
class Made:
    """One generated table and its rows: texts, or None; `key` says which primary key it has."""

    name: str
    kinds: tuple[Kind, ...]
    key: str
    rows: tuple[tuple[str | None, ...], ...]

    @property
    def statements(self) -> Iterator[str]:
        """What makes it."""
        for kind in self.kinds:
            yield from kind.ddl
        columns = "".join(f', "c{n}" {kind.declared}' for n, kind in enumerate(self.kinds))
        k = {"identity": "k integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", "one": "k integer PRIMARY KEY"}
        tail = {"both": ', PRIMARY KEY ("c0", k)'}.get(self.key, "")
        yield f"CREATE TABLE {self.name} ({k.get(self.key, 'k integer NOT NULL')}{columns}{tail})"

    @property
    def cells(self) -> int:
        """Values that are not NULL."""
        return sum(value is not None for row in self.rows for value in row)


@st.composite
def batches(draw: st.DrawFn, tables: int) -> tuple[Made, ...]:
    """Several tables of one database."""
    maker = Maker(draw)
    out = []
    for number in range(tables):
        kinds = tuple(maker.kind() for _ in range(draw(st.integers(1, 5))))
        keys = ["one", "identity", "none"] + (["both"] if kinds[0].ordered else [])
        key = draw(st.sampled_from(keys))
        first = kinds[0].values if key == "both" else st.none() | kinds[0].values
        row = st.tuples(first, *(st.none() | kind.values for kind in kinds[1:]))
        out.append(Made(f"t{number}", kinds, key, tuple(draw(st.lists(row, min_size=1, max_size=4)))))
    return tuple(out)


def counted(batch: Sequence[Made]) -> dict[tuple[str, str], int]:
    """How many rows each finding about values must count: (code, schema.table.column) -> rows."""
    out: dict[tuple[str, str], int] = {}
    for table in batch:
        for row in table.rows:
            for n, (kind, value) in enumerate(zip(table.kinds, row, strict=True)):
                for code in kind.codes(value) if value is not None else ():
                    at = code, f"public.{table.name}.c{n}"
                    out[at] = out.get(at, 0) + 1
    return out


def make(db: psycopg.Connection, batch: Sequence[Made]) -> None:
    """Put the tables of a batch in the place of whatever was there."""
    db.execute("DROP SCHEMA IF EXISTS public CASCADE")
    db.execute("CREATE SCHEMA public")
    for table in batch:
        for sql in table.statements:
            db.execute(sql.encode())
        with db.cursor().copy(f"COPY {table.name} FROM STDIN".encode()) as copy:
            for k, row in enumerate(table.rows):
                copy.write_row((k, *row))


def read_back(db: psycopg.Connection, d1: D1, table: Made) -> list[str]:
    """What of a table D1 does not hold as PostgreSQL has it; the answer is PostgreSQL's own.

    The cells go back as texts into a table of texts, and become values of their types again by casts.
    """
    found = held(d1, table)
    wrong = [
        f"{table.name}.c{n} of row {k}: {cell!r} is {kind}"
        for k, row in found.items()
        for n, (kind, cell) in enumerate(row)
        if kind not in ("null", table.kinds[n].storage) and (table.kinds[n].storage, cell) != ("real", "NaN")
    ]
    columns = [f"c{n}" for n in range(len(table.kinds))]
    db.execute("DROP TABLE IF EXISTS rebuilding.back")
    db.execute(f"CREATE TABLE rebuilding.back (k integer, {', '.join(f'{c} text' for c in columns)})".encode())
    with db.cursor().copy(b"COPY rebuilding.back FROM STDIN") as copy:
        for k, row in found.items():
            copy.write_row((k, *(cell for _, cell in row)))
    types = [kind.declared for kind in table.kinds]
    parts = []
    for column, kind in zip(columns, table.kinds, strict=True):
        left = f"({kind.expected.replace('{v}', f't.{column}')})::{kind.declared}"
        right = kind.rebuilt.replace("{v}", f"b.{column}")
        form = "record_send(ROW({}))" if kind.sent else "({})::text"
        parts.append(
            f"array_agg(k) FILTER (WHERE b.k = t.k AND {form.format(left)} IS DISTINCT FROM {form.format(right)})"
        )
    joined = f"FROM {table.name} t FULL JOIN rebuilding.back b USING (k)"
    counts = "count(*) FILTER (WHERE t.k IS NULL OR b.k IS NULL)"
    rows, *unlike = db.execute(f"SELECT {counts}, {', '.join(parts)} {joined}".encode()).fetchone() or ()
    wrong += [f"{table.name}: {rows} rows on one side alone"] if rows else []
    for n, keys in enumerate(unlike):
        for k in keys or ():
            cell = found[k][n] if k in found else None
            wrong.append(f"{table.name}.c{n} ({types[n]}) of row {k}: {table.rows[k][n]!r} is {cell}")
    return wrong


def held(d1: D1, table: Made) -> dict[int, list[tuple[str, str | None]]]:
    """Every cell of a table in D1, by row: its storage class, and its value as a text."""
    out: dict[int, list[tuple[str, str | None]]] = {}
    for start in range(0, len(table.kinds), MOST_CELLS):
        names = [f'"c{n}"' for n in range(start, min(start + MOST_CELLS, len(table.kinds)))]
        cells = ", ".join(f"typeof({name}), {_CELL.format(c=name)}" for name in names)
        for k, *values in d1.query(f"SELECT k, {cells} FROM {table.name}").rows:
            pairs = zip(values[::2], values[1::2], strict=True)
            out.setdefault(int(k), []).extend((kind, None if v is None else str(v)) for kind, v in pairs)
    return out
