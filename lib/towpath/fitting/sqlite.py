"""Expressions and values as SQLite's SQL, over the captured forms.  The loader's side: the proof does not use it."""

from __future__ import annotations

from collections.abc import Callable

from towpath.fitting.language import T_INTEGER, Node
from towpath.tables.schema import literal, quoted

OCCURRENCE = "towpath:occurrence:"  # before the number of an occurrence() in the inner SELECT


def expression(node: Node, occurrences: list[Node]) -> str:
    """The expression as SQL; each occurrence() in it is a column of the inner SELECT, numbered by `occurrences`."""
    return _Writer(occurrences).write(node)


def column(alias: str, name: str) -> str:
    """A column as SQL."""
    return f"{alias}.{quoted(name)}"


class _Writer:
    def __init__(self, occurrences: list[Node]) -> None:
        self.occurrences = occurrences
        self.writers: dict[str, Callable[[Node], str]] = {
            "column": self._column,
            "text": lambda n: literal(str(n.value)),
            "integer": lambda n: str(n.value),
            "boolean": lambda n: str(n.value),
            "null": lambda _: "NULL",
            "negative": lambda n: f"(- {self.write(n.parts[0])})",
            "||": lambda n: f"({' || '.join(self._text(part) for part in n.parts)})",
            "not": lambda n: f"(NOT {self.write(n.parts[0])})",
            "is null": lambda n: f"({self.write(n.parts[0])} IS NULL)",
            "is not null": lambda n: f"({self.write(n.parts[0])} IS NOT NULL)",
            "case": self._case,
            "occurrence": lambda n: column(n.alias, f"{OCCURRENCE}{self.occurrences.index(n)}"),
            "json_value": self._json_value,
        }

    def write(self, node: Node) -> str:
        writer = self.writers.get(node.op)
        if writer is not None:
            return writer(node)
        parts = [self.write(part) for part in node.parts]
        if node.op[0].isalpha() and node.op not in ("and", "or"):
            return f"{node.op}({', '.join(parts)})" if node.op != "coalesce" or len(parts) > 1 else parts[0]
        return f"({f' {node.op} '.join(parts)})"

    def _column(self, node: Node) -> str:
        assert node.column is not None
        return column(node.alias, node.column.name)

    def _text(self, node: Node) -> str:
        return f"CAST({self.write(node)} AS TEXT)" if node.type == T_INTEGER else self.write(node)

    def _case(self, node: Node) -> str:
        parts = [self.write(part) for part in node.parts]
        pairs = zip(parts[:-1:2], parts[1::2], strict=True)
        return f"CASE {' '.join(f'WHEN {when} THEN {then}' for when, then in pairs)} ELSE {parts[-1]} END"

    def _json_value(self, node: Node) -> str:
        of = self.write(node.parts[0])
        assert isinstance(node.value, tuple)
        path = literal("$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in node.value))
        # -> gives a number's own digits; ->> would read it as a double and print it again
        return (
            f"CASE json_type({of}, {path}) WHEN 'text' THEN {of} ->> {path} WHEN 'true' THEN 'true'"
            f" WHEN 'false' THEN 'false' WHEN 'integer' THEN {of} -> {path} WHEN 'real' THEN {of} -> {path} END"
        )
