"""Expressions as values: what `expressions` reads, and what the two compilers write.

Each node knows its type.  Types: text, integer, boolean, real, blob, null.  Columns have the type of their captured
form: numbers with digits after the point, dates, uuids and JSON are text; only real numbers are real.
"""

from __future__ import annotations

from dataclasses import dataclass

from towpath.fitting.source import BOOLEAN, BYTEA, FLOAT4, INTEGER, REAL, SourceColumn

T_TEXT, T_INTEGER, T_BOOLEAN, T_REAL, T_BLOB, T_NULL = "text", "integer", "boolean", "real", "blob", "null"

TYPES = {BOOLEAN: T_BOOLEAN, INTEGER: T_INTEGER, REAL: T_REAL, FLOAT4: T_REAL, BYTEA: T_BLOB}

BASE, JOINED = "s", "j"  # aliases of the table at hand and of the joined one, in both engines


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    `op`: column, text, integer, real, boolean, null (literals), or the name of an operation; `parts` are its operands.
    `value` is what a literal holds, the path of json_value, the number of an occurrence.
    """

    op: str
    type: str
    parts: tuple[Node, ...] = ()
    value: str | int | float | tuple[str | int, ...] | None = None
    column: SourceColumn | None = None
    alias: str = BASE

    def columns(self) -> list[tuple[str, SourceColumn]]:
        """The columns that the expression reads, with their aliases."""
        own = [(self.alias, self.column)] if self.column is not None else []
        return own + [pair for part in self.parts for pair in part.columns()]

    def occurrences(self) -> list[Node]:
        """The occurrence() calls in it."""
        own = [self] if self.op == "occurrence" else []
        return own + [node for part in self.parts for node in part.occurrences()]


def column_type(column: SourceColumn) -> str:
    """The type of a column in expressions."""
    return TYPES.get(column.kind, T_TEXT)
