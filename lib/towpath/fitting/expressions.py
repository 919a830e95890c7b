"""Expressions of mapping.yaml: a small language, read with sqlglot's PostgreSQL grammar, everything else refused.

What is allowed stands in docs/fitting.md.  It is small because each piece of it must give the same bytes in SQLite, on
the captured forms, and in PostgreSQL, on the source's own types: the loader uses one, the proof the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from towpath.errors import BadInput
from towpath.fitting.language import (
    BASE,
    JOINED,
    T_BLOB,
    T_BOOLEAN,
    T_INTEGER,
    T_NULL,
    T_REAL,
    T_TEXT,
    Node,
    column_type,
)
from towpath.fitting.source import JSON, JSONB, SourceTable

ALLOWED = (
    "columns, texts, whole numbers, TRUE, FALSE, NULL, ||, + - *, = <> < <= > >=, IN (…), IS NULL, AND, OR, NOT, CASE,"
    " coalesce, lower, upper, trim, substr, replace, length, json_value, occurrence"
)
MOST_DIGITS = 18  # of a whole number in an expression: the engines agree on 64 bits only
PATH = re.compile(r"^\$(\.[A-Za-z_][A-Za-z0-9_]*|\[\d{1,6}\])+$")
STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]")
COMPARISONS: Mapping[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
ARITHMETIC: Mapping[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}


def parse(text: str, table: SourceTable, joined: SourceTable | None, where: str) -> Node:
    """Read an expression over the columns of `table` and `joined`.  Raises BadInput, with the place in the text.

    `where` is whose expression it is, for the error: `users.handle`.
    """
    return _Reader(text, table, joined, where).read()


class _Reader:
    def __init__(self, text: str, table: SourceTable, joined: SourceTable | None, where: str) -> None:
        self.text, self.table, self.joined, self.where = text, table, joined, where
        self.counting = False  # inside occurrence()
        self.readers: dict[type[exp.Expr], Callable[[exp.Expr], Node]] = {
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Null: lambda _: Node("null", T_NULL),
            exp.Boolean: lambda e: Node("boolean", T_BOOLEAN, value=int(e.this)),
            exp.Paren: lambda e: self._read(e.this),
            exp.Neg: self._negative,
            exp.DPipe: self._concat,
            exp.And: self._logic,
            exp.Or: self._logic,
            exp.Not: lambda e: Node("not", T_BOOLEAN, (self._wanted(e.this, T_BOOLEAN),)),
            exp.Is: self._is,
            exp.In: self._in,
            exp.Case: self._case,
            exp.Coalesce: self._coalesce,
            exp.Lower: lambda e: Node("lower", T_TEXT, (self._wanted(e.this, T_TEXT),)),
            exp.Upper: lambda e: Node("upper", T_TEXT, (self._wanted(e.this, T_TEXT),)),
            exp.Length: lambda e: Node("length", T_INTEGER, (self._wanted(e.this, T_TEXT),)),
            exp.Trim: self._trim,
            exp.Substring: self._substr,
            exp.Replace: self._replace,
            exp.JSONValue: self._json_value,
            exp.Anonymous: self._call,
            **dict.fromkeys(COMPARISONS, self._comparison),
            **dict.fromkeys(ARITHMETIC, self._arithmetic),
        }

    def read(self) -> Node:
        try:
            parsed = sqlglot.parse(self.text, read="postgres")
        except (SqlglotError, RecursionError) as error:
            found = getattr(error, "errors", [])
            what = found[0].get("description", "") if found else str(error).splitlines()[0]
            raise self._refused(what or "cannot be read", found[0].get("col") if found else None) from None
        if len(parsed) != 1 or parsed[0] is None:
            raise self._refused("one expression is wanted", None)
        return self._read(parsed[0])

    def _refused(self, what: str, column: int | None, advice: str = "") -> BadInput:
        place = f" at character {column}" if column else ""
        return BadInput(
            f"the expression {self.text!r} cannot be used{place}: {what}",
            object=self.where,
            code="FT109",
            next=advice or f"allowed are: {ALLOWED}",
        )

    def _wrong(self, node: exp.Expr, what: str, advice: str = "") -> BadInput:
        ends = (n.meta for n in node.walk() if "start" in n.meta)
        starts = [meta["start"] + 1 for meta in ends]
        return self._refused(what, min(starts) if starts else None, advice)

    def _read(self, node: exp.Expr) -> Node:
        reader = self.readers.get(type(node))
        if reader is None:
            raise self._wrong(node, f"{node.sql(dialect='postgres')} is not in the language")
        return reader(node)

    def _wanted(self, node: exp.Expr, *types: str) -> Node:
        found = self._read(node)
        if found.type not in (*types, T_NULL):
            shown = node.sql(dialect="postgres")
            raise self._wrong(node, f"{shown} is {found.type}, {' or '.join(types)} is wanted")
        return found

    def _alike(self, nodes: list[exp.Expr], what: str) -> list[Node]:
        found = [self._read(node) for node in nodes]
        types = {node.type for node in found} - {T_NULL}
        if len(types) > 1:
            raise self._wrong(nodes[0], f"{what} has values of several types: {', '.join(sorted(types))}")
        return found

    def _column(self, node: exp.Expr) -> Node:
        assert isinstance(node, exp.Column)
        name, qualifier = _folded(node.this), _folded(node.args.get("table"))
        if node.args.get("db") or not isinstance(node.this, exp.Identifier):
            raise self._wrong(node, "a column is named by itself, or by table.column where a table is joined")
        alias, table = BASE, self.table
        if qualifier and self.joined is not None and qualifier == self.joined.short:
            alias, table = JOINED, self.joined
        elif qualifier and qualifier != self.table.short:
            raise self._wrong(node, f"there is no table {qualifier} here")
        if alias == JOINED and self.counting:
            raise self._wrong(node, "occurrence() counts rows of the table itself, not of the joined one")
        try:
            column = table.column(name)
        except KeyError:
            there = ", ".join(c.name for c in table.columns)
            raise self._wrong(node, f"{table.name} has no column {name}", f"its columns are: {there}") from None
        return Node("column", column_type(column), column=column, alias=alias)

    def _literal(self, node: exp.Expr) -> Node:
        text = str(node.this)
        if node.is_string:
            if "\0" in text:
                raise self._wrong(node, "a text with NUL cannot be written in PostgreSQL")
            return Node("text", T_TEXT, value=text)
        if not text.isdigit() or len(text) > MOST_DIGITS:
            raise self._wrong(node, f"{text} is no whole number of up to {MOST_DIGITS} digits")
        return Node("integer", T_INTEGER, value=int(text))

    def _negative(self, node: exp.Expr) -> Node:
        return Node("negative", T_INTEGER, (self._wanted(node.this, T_INTEGER),))

    def _concat(self, node: exp.Expr) -> Node:
        return Node("||", T_TEXT, tuple(self._wanted(n, T_TEXT, T_INTEGER) for n in (node.this, node.expression)))

    def _arithmetic(self, node: exp.Expr) -> Node:
        parts = tuple(self._wanted(n, T_INTEGER) for n in (node.this, node.expression))
        return Node(ARITHMETIC[type(node)], T_INTEGER, parts)

    def _logic(self, node: exp.Expr) -> Node:
        parts = tuple(self._wanted(n, T_BOOLEAN) for n in (node.this, node.expression))
        return Node("and" if isinstance(node, exp.And) else "or", T_BOOLEAN, parts)

    def _comparison(self, node: exp.Expr) -> Node:
        left, right = self._alike([node.this, node.expression], "the comparison")
        if {left.type, right.type} & {T_REAL, T_BLOB}:
            raise self._wrong(node, "real numbers and bytes are not compared: the engines may not agree")
        if left.type == T_BOOLEAN and not isinstance(node, exp.EQ | exp.NEQ):
            raise self._wrong(node, "TRUE and FALSE have no order")
        return Node(COMPARISONS[type(node)], T_BOOLEAN, (left, right))

    def _is(self, node: exp.Expr) -> Node:
        if not isinstance(node.expression, exp.Null):
            raise self._wrong(node, "IS is followed by NULL or NOT NULL")
        return Node("is not null" if node.args.get("negate") else "is null", T_BOOLEAN, (self._read(node.this),))

    def _in(self, node: exp.Expr) -> Node:
        listed = list(node.args.get("expressions") or [])
        if not listed or any(node.args.get(key) for key in ("query", "unnest", "field")):
            raise self._wrong(node, "IN is followed by a list of values")
        equal = [self._comparison(exp.EQ(this=node.this.copy(), expression=item.copy())) for item in listed]
        out = equal[0]
        for one in equal[1:]:
            out = Node("or", T_BOOLEAN, (out, one))
        return out

    def _case(self, node: exp.Expr) -> Node:
        if node.args.get("this") is not None:
            raise self._wrong(node, "CASE is followed by WHEN: CASE WHEN a = 1 THEN …")
        conditions = [self._wanted(branch.this, T_BOOLEAN) for branch in node.args["ifs"]]
        default = node.args.get("default") or exp.Null()
        values = self._alike([*(branch.args["true"] for branch in node.args["ifs"]), default], "CASE")
        pairs = [part for pair in zip(conditions, values, strict=False) for part in pair]
        return Node("case", _type(values), (*pairs, values[-1]))

    def _coalesce(self, node: exp.Expr) -> Node:
        values = self._alike([node.this, *node.expressions], "coalesce")
        return Node("coalesce", _type(values), tuple(values))

    def _trim(self, node: exp.Expr) -> Node:
        if any(node.args.get(key) for key in ("expression", "position", "collation")):
            raise self._wrong(node, "trim takes one text, and takes spaces away at both ends")
        return Node("trim", T_TEXT, (self._wanted(node.this, T_TEXT),))

    def _substr(self, node: exp.Expr) -> Node:
        start, length = node.args.get("start"), node.args.get("length")
        for part in (start, length):
            if part is not None and not (isinstance(part, exp.Literal) and not part.is_string):
                raise self._wrong(node, "substr takes a text, the first character as a number from 1, and a length")
        numbers = [self._literal(part) for part in (start, length) if part is not None]
        if not numbers or not numbers[0].value:
            raise self._wrong(node, "substr counts characters from 1")
        return Node("substr", T_TEXT, (self._wanted(node.this, T_TEXT), *numbers))

    def _replace(self, node: exp.Expr) -> Node:
        texts = [node.args.get(key) for key in ("expression", "replacement")]
        old, new = (part if isinstance(part, exp.Literal) and part.is_string else None for part in texts)
        if old is None or new is None or not str(old.this):
            raise self._wrong(node, "replace takes a text, what to replace and what by; the last two are literals")
        return Node("replace", T_TEXT, (self._wanted(node.this, T_TEXT), self._literal(old), self._literal(new)))

    def _json_value(self, node: exp.Expr) -> Node:
        of, path = self._read(node.this), node.args.get("path")
        if of.column is None or of.column.kind not in (JSON, JSONB):
            raise self._wrong(node, "json_value reads a column of type json or jsonb")
        if not isinstance(path, exp.Literal) or not PATH.match(str(path.this)):
            raise self._wrong(node, "the path of json_value is a literal such as '$.address.city' or '$.tags[0]'")
        steps = tuple(name or int(number) for name, number in STEP.findall(str(path.this)))
        return Node("json_value", T_TEXT, (of,), value=steps)

    def _call(self, node: exp.Expr) -> Node:
        name = str(node.this).lower()
        if name != "occurrence":
            raise self._wrong(node, f"there is no function {name}")
        if len(node.expressions) != 2 or self.counting:
            raise self._wrong(node, "occurrence takes two values: what is equal, and what gives the order")
        self.counting = True
        parts = tuple(self._read(part) for part in node.expressions)
        self.counting = False
        if not {part.type for part in parts} <= {T_TEXT, T_INTEGER, T_BOOLEAN}:
            raise self._wrong(node, "occurrence compares texts and whole numbers")
        return Node("occurrence", T_INTEGER, parts)


def _type(nodes: list[Node]) -> str:
    return next((node.type for node in nodes if node.type != T_NULL), T_NULL)


def _folded(identifier: exp.Expr | None) -> str:
    """A name as PostgreSQL folds it: lower case unless it is quoted."""
    if identifier is None:
        return ""
    name = str(identifier.this)
    return name if identifier.args.get("quoted") else name.lower()
