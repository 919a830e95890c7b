"""Expressions of PostgreSQL (CHECK, generated columns, indexes, predicates) in SQLite's words, or why not.

Only what is known to mean the same is translated.  What is left to doubt is named: `folds` where LOWER or UPPER is
used, which in SQLite knows A to Z only, and `rounds` where decimals, which are texts here, are compared as doubles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

_SAME: tuple[type[exp.Expr], ...] = (
    *(exp.And, exp.Or, exp.Not, exp.Paren, exp.Null, exp.Is, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE),
    *(exp.Between, exp.In, exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Coalesce, exp.Nullif, exp.Abs, exp.Tuple),
    *(exp.DPipe, exp.Case, exp.If, exp.Length, exp.Lower, exp.Upper, exp.Trim, exp.Identifier, exp.Escape),
    *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.Mod),
)
_TEXTS = {exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR, exp.DataType.Type.BPCHAR, exp.DataType.Type.CHAR}
_NUMBERS = {
    *(exp.DataType.Type.DECIMAL, exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT, exp.DataType.Type.BIGINT),
    *(exp.DataType.Type.INT, exp.DataType.Type.SMALLINT),
}
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(\+00)?")


_COUNTING = (exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.Neg, exp.Abs)
_COUNTED = ("integer", "real", "decimal")
_JOINED = ("integer", "text", "enum", "uuid", "date")


class Unknown(Exception):
    """The expression says something that SQLite would not understand in the same way."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression in SQLite's words."""

    sql: str
    folds: bool = False
    rounds: bool = False

    @property
    def doubt(self) -> str:
        """What the reader should know, "" if nothing."""
        words = ["LOWER and UPPER fold A to Z only"] if self.folds else []
        words += ["decimals are compared as doubles"] if self.rounds else []
        return ", ".join(words)


def translate(sql: str, forms: Mapping[str, str], value: str | None = None) -> Expression:
    """Translate an expression over columns of these forms; `value` is what VALUE stands for in a domain's check.

    Raises Unknown.
    """
    try:
        tree = sqlglot.parse_one(sql, read="postgres")
    except sqlglot.errors.SqlglotError as error:
        raise Unknown(f"not understood: {str(error).splitlines()[0]}") from None
    worker = _Worker(forms, value)
    made = worker.write(tree)
    return Expression(made, worker.folds, worker.rounds)


def own_function(node: exp.Dot) -> str:
    """The name of a function that a schema of the source holds, as it is called: stats.median()."""
    return f"{node.this.sql(dialect='postgres')}.{node.expression.name or node.expression.sql_name()}()"


def moment(text: str, form: str) -> str:
    """A date or time as PostgreSQL prints a constant, in the captured form."""
    found = _MOMENT.fullmatch(text)
    if form not in ("timestamptz", "timestamp") or found is None:
        return text
    day, time, part, _ = found.groups()
    return f"{day}T{time}.{(part or '').ljust(6, '0')}{'Z' if form == 'timestamptz' else ''}"


class _Worker:
    def __init__(self, forms: Mapping[str, str], value: str | None) -> None:
        self.forms, self.value = forms, value
        self.folds = self.rounds = False

    def write(self, tree: exp.Expr) -> str:
        return self._node(tree.copy()).sql(dialect="sqlite")

    def _node(self, node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.EQ | exp.NEQ) and _is_list(node.expression):
            return self._any(node)
        ordered = isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Between)
        if ordered and any(self.forms.get(column.name) == "enum" for column in node.find_all(exp.Column)):
            raise Unknown(f"{node.sql(dialect='postgres')[:60]}: compares the order of labels")
        if isinstance(node, _COUNTING):
            self._only(node, _COUNTED)
        if isinstance(node, exp.DPipe):
            self._only(node, _JOINED)
        if isinstance(node, exp.Cast):
            return self._cast(node)
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Like):
            return self._like(node)
        if isinstance(node, exp.Boolean):
            return exp.Literal.number(1 if node.this else 0)
        if isinstance(node, exp.Literal):
            return node
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
            raise Unknown(f"calls {own_function(node)}, a function of the source")
        if not isinstance(node, _SAME):
            raise Unknown(f"{node.sql(dialect='postgres')[:60]}: {type(node).__name__} has no equal in D1")
        self.folds = self.folds or isinstance(node, exp.Lower | exp.Upper)
        for key, part in list(node.args.items()):
            if isinstance(part, exp.Expr):
                node.set(key, self._node(part))
            elif isinstance(part, list):
                node.set(key, [self._node(p) if isinstance(p, exp.Expr) else p for p in part])
        return node

    def _only(self, node: exp.Expr, forms: tuple[str, ...]) -> None:
        """Refuse an operator over columns of other forms, and counting with what is a date or a time."""
        names = {self.value or c.name if c.name.upper() == "VALUE" else c.name for c in node.find_all(exp.Column)}
        temporal = any(cast.to.this not in _NUMBERS | _TEXTS for cast in node.find_all(exp.Cast))
        if temporal or any(self.forms.get(name) not in forms for name in names):
            raise Unknown(f"{node.sql(dialect='postgres')[:60]}: SQLite computes it in another way")

    def _column(self, node: exp.Column) -> exp.Expr:
        name = node.name
        if self.value is not None and name.upper() == "VALUE":
            name = self.value
        if name not in self.forms:
            raise Unknown(f"{node.sql()} is no column of this table")
        column = exp.column(exp.to_identifier(name, quoted=True))
        form = self.forms[name]
        if form == "decimal":
            self.rounds = True
            return exp.cast(column, "real", dialect="sqlite")
        if form in ("array", "bytes", "other", "interval"):
            raise Unknown(f"{name} is captured in another form ({form})")
        return column

    def _cast(self, node: exp.Cast) -> exp.Expr:
        inner, target = node.this, node.to
        while isinstance(inner, exp.Paren):
            inner = inner.this
        kind = target.this
        if isinstance(inner, exp.Literal):
            if inner.is_string and kind in _NUMBERS:
                return exp.Literal.number(inner.name)
            if kind == exp.DataType.Type.TIMESTAMPTZ:
                return exp.Literal.string(moment(inner.name, "timestamptz"))
            if kind == exp.DataType.Type.TIMESTAMP:
                return exp.Literal.string(moment(inner.name, "timestamp"))
            if inner.is_string and kind == exp.DataType.Type.BOOLEAN:
                return exp.Literal.number(1 if inner.name in ("t", "true") else 0)
            return self._node(inner)
        if isinstance(inner, exp.Column):
            form = self.forms.get(self.value if inner.name.upper() == "VALUE" and self.value else inner.name, "")
            if kind in _TEXTS and form in ("text", "uuid", "json", "enum"):
                return self._node(inner)
            if kind in _NUMBERS and form in ("integer", "real", "decimal"):
                whole = kind in (exp.DataType.Type.BIGINT, exp.DataType.Type.INT, exp.DataType.Type.SMALLINT)
                if form == "integer" or not whole:
                    return self._node(inner)
        if isinstance(inner, exp.Neg | exp.Cast | exp.Lower | exp.Upper | exp.Trim | exp.DPipe | exp.Length):
            textual = isinstance(inner, exp.Lower | exp.Upper | exp.Trim | exp.DPipe)
            if (kind in _TEXTS and textual) or (kind in _NUMBERS and not textual) or isinstance(inner, exp.Cast):
                return self._node(inner)
        raise Unknown(f"{node.sql(dialect='postgres')[:60]}: a cast that SQLite does in another way")

    def _any(self, node: exp.Expr) -> exp.Expr:
        every = isinstance(node.expression, exp.Anonymous)
        inside = node.expression.expressions[0] if every else node.expression.this
        while isinstance(inside, exp.Paren | exp.Cast):
            inside = inside.this
        if not isinstance(inside, exp.Array) or isinstance(node, exp.EQ) == every:
            raise Unknown(f"{node.sql(dialect='postgres')[:60]}: not a list of values")
        found = exp.In(this=self._node(node.this), expressions=[self._node(item) for item in inside.expressions])
        return exp.Not(this=found) if isinstance(node, exp.NEQ) else found

    def _like(self, node: exp.Like) -> exp.Expr:
        """LIKE of PostgreSQL tells capitals apart, LIKE of SQLite does not, GLOB does."""
        pattern = node.expression
        while isinstance(pattern, exp.Paren | exp.Cast):
            pattern = pattern.this
        if not isinstance(pattern, exp.Literal) or "\\" in pattern.name:
            raise Unknown(f"{node.sql(dialect='postgres')[:60]}: a pattern that is no plain text")
        signs = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
        glob = "".join(signs.get(letter, letter) for letter in pattern.name)
        return exp.Glob(this=self._node(node.this), expression=exp.Literal.string(glob))


def _is_list(node: exp.Expr) -> bool:
    """ANY (…) or ALL (…), which sqlglot takes for a function."""
    return isinstance(node, exp.Any) or (isinstance(node, exp.Anonymous) and node.name.upper() == "ALL")
