"""Expressions and captured forms as PostgreSQL's SQL, over the source's own types.

The proof's side.  It shares no expression with `sqlite`, nor with the capture: where PostgreSQL offers another function
for the same thing, that one is used.  The session's settings are those of `postgresql.connection`.
"""

from __future__ import annotations

from collections.abc import Callable

from towpath.fitting import source
from towpath.fitting.language import T_BOOLEAN, T_INTEGER, T_NULL, T_TEXT, Node
from towpath.fitting.source import SourceColumn
from towpath.postgresql.relations import literal, quoted

OCCURRENCE = "towpath:occurrence:"
UPPER, LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
CASTS = {T_TEXT: "text", T_INTEGER: "bigint", T_BOOLEAN: "boolean"}

# a moment in the years 1 to 9999: {v} is a timestamp without time zone
PADDED = "rpad(CASE WHEN position('.' in {t}) = 0 THEN {t} || '.' ELSE {t} END, 15, '0')"
MOMENT = "(({v})::date)::text || 'T' || " + PADDED.format(t="(({v})::time)::text")
USUAL = "isfinite({v}) AND {v} >= '0001-01-01' AND {v} < '10000-01-01'"
LOCAL = "({v} AT TIME ZONE 'UTC')"
FORMS = {
    source.BOOLEAN: "{v}",
    source.INTEGER: "({v})::bigint",
    source.REAL: "({v})::float8",
    source.FLOAT4: "(({v})::text)::float8",
    source.NUMERIC: "({v})::text",
    source.MONEY: "(({v})::numeric)::text",
    source.TEXT: "({v})::text",
    source.CHAR: "rtrim(({v})::text, ' ')",
    source.UUID: "({v})::text",
    source.JSON: "({v})::text",
    source.JSONB: "({v})::text",
    source.ARRAY: "(array_to_json({v}))::text",
    source.CHAR_ARRAY: "(array_to_json(({v})::text[]))::text",
    source.TIME: "({v})::text",
    source.INTERVAL: "({v})::text",
    source.OTHER: "({v})::text",
    source.INET: "CASE masklen({v}) WHEN CASE family({v}) WHEN 4 THEN 32 ELSE 128 END THEN host({v})"
    " ELSE ({v})::text END",
    source.BYTEA: "{v}",
    source.DATE: f"CASE WHEN {USUAL} THEN lpad(extract(year FROM {{v}})::text, 4, '0') || '-'"
    " || lpad(extract(month FROM {v})::text, 2, '0') || '-' || lpad(extract(day FROM {v})::text, 2, '0')"
    " ELSE ({v})::text END",
    source.TIMESTAMP: f"CASE WHEN {USUAL} THEN {MOMENT} ELSE ({{v}})::text END",
    source.TIMESTAMPTZ: f"CASE WHEN {USUAL} THEN {MOMENT.replace('{v}', LOCAL)} || 'Z' ELSE ({{v}})::text END",
}


def raw(alias: str, name: str) -> str:
    """A column as SQL, of its own type."""
    return f"{alias}.{quoted(name)}"


def form(alias: str, column: SourceColumn) -> str:
    """The captured form of a column, computed by PostgreSQL."""
    return FORMS[column.kind].replace("{v}", raw(alias, column.name))


def expression(node: Node, occurrences: list[Node]) -> str:
    """The expression as SQL; each occurrence() in it is a column of the inner SELECT, numbered by `occurrences`."""
    return _Writer(occurrences).write(node)


def folded(text: str, before: str, after: str) -> str:
    """SQL that changes ASCII letters alone; lower() would follow the database's locale."""
    return f"translate({text}, '{before}', '{after}')"


class _Writer:
    def __init__(self, occurrences: list[Node]) -> None:
        self.occurrences = occurrences
        self.writers: dict[str, Callable[[Node], str]] = {
            "column": self._column,
            "text": lambda n: f"{literal(str(n.value))}::text",
            "integer": lambda n: f"{n.value}::bigint",
            "boolean": lambda n: "TRUE" if n.value else "FALSE",
            "null": lambda _: "NULL",
            "negative": lambda n: f"(- {self._as(n.parts[0], T_INTEGER)})",
            "||": lambda n: f"({' || '.join(f'({self._as(part, T_TEXT)})::text' for part in n.parts)})",
            "not": lambda n: f"(NOT {self._as(n.parts[0], T_BOOLEAN)})",
            "and": lambda n: self._between(n, T_BOOLEAN, "AND"),
            "or": lambda n: self._between(n, T_BOOLEAN, "OR"),
            "is null": lambda n: f"(({self.write(n.parts[0])}) IS NULL)",
            "is not null": lambda n: f"(({self.write(n.parts[0])}) IS NOT NULL)",
            "case": self._case,
            "coalesce": lambda n: f"coalesce({', '.join(self._as(part, n.type) for part in n.parts)})",
            "lower": lambda n: folded(self._as(n.parts[0], T_TEXT), UPPER, LOWER),
            "upper": lambda n: folded(self._as(n.parts[0], T_TEXT), LOWER, UPPER),
            "trim": lambda n: f"btrim({self._as(n.parts[0], T_TEXT)}, ' ')",
            "length": lambda n: f"char_length({self._as(n.parts[0], T_TEXT)})::bigint",
            "substr": self._substr,
            "replace": lambda n: replaced(self._as(n.parts[0], T_TEXT), str(n.parts[1].value), str(n.parts[2].value)),
            "occurrence": lambda n: raw(n.alias, f"{OCCURRENCE}{self.occurrences.index(n)}"),
            "json_value": self._json_value,
        }

    def write(self, node: Node) -> str:
        writer = self.writers.get(node.op)
        if writer is not None:
            return writer(node)
        if node.op in "+-*":
            return self._between(node, T_INTEGER, node.op)
        types = [part.type for part in node.parts if part.type != T_NULL]
        wanted = types[0] if types else T_TEXT
        collate = ' COLLATE "C"' if wanted == T_TEXT else ""
        left, right = (self._as(part, wanted) for part in node.parts)
        return f"(({left}){collate} {node.op} ({right}){collate})"

    def _as(self, node: Node, wanted: str) -> str:
        written = self.write(node)
        return f"NULL::{CASTS[wanted]}" if node.type == T_NULL and wanted in CASTS else written

    def _between(self, node: Node, wanted: str, sign: str) -> str:
        return f"({f' {sign} '.join(self._as(part, wanted) for part in node.parts)})"

    def _column(self, node: Node) -> str:
        assert node.column is not None
        return f"({form(node.alias, node.column)})"

    def _case(self, node: Node) -> str:
        conditions = [self._as(part, T_BOOLEAN) for part in node.parts[:-1:2]]
        values = [self._as(part, node.type) for part in (*node.parts[1::2], node.parts[-1])]
        pairs = zip(conditions, values, strict=False)
        return f"CASE {' '.join(f'WHEN {when} THEN {then}' for when, then in pairs)} ELSE {values[-1]} END"

    def _substr(self, node: Node) -> str:
        text, start, *length = node.parts
        rest = f" FOR {length[0].value}" if length else ""
        return f"substring({self._as(text, T_TEXT)} FROM {start.value}{rest})"

    def _json_value(self, node: Node) -> str:
        of = node.parts[0]
        assert of.column is not None
        assert isinstance(node.value, tuple)
        value = raw(of.alias, of.column.name)
        steps = [str(s) if isinstance(s, int) else literal(s) for s in node.value]
        inner = "".join(f" -> {step}" for step in steps)
        outer = "".join(f" -> {step}" for step in steps[:-1]) + f" ->> {steps[-1]}"
        kind = "jsonb_typeof" if of.column.kind == source.JSONB else "json_typeof"
        return f"CASE WHEN {kind}({value}{inner}) IN ('object', 'array') THEN NULL ELSE {value}{outer} END"


def replaced(text: str, old: str, new: str) -> str:
    """SQL that replaces a text wherever it stands, by taking it apart and joining it again."""
    return f"array_to_string(string_to_array({text}, {literal(old)}), {literal(new)})"
