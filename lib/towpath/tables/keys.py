"""Keys of rows as text: safe to carry through any transport, and to turn back into SQL.

A key travels as the SQL literals of its parts in hexadecimal, joined by dots: no byte of it can be cut by a NUL or
blurred by an encoding on the way.
"""

from __future__ import annotations

from towpath.tables.literals import concat, value_literal
from towpath.tables.relation import Relation
from towpath.tables.schema import quoted


def key_expression(relation: Relation) -> str:
    """SQL that yields the row's key."""
    names = [f"{quoted(relation.name)}.{part}" for part in relation.key]
    parts = [f"hex({value_literal(name)})" for name in names]
    return concat([parts[0], *(f"'.' || {part}" for part in parts[1:])])


def key_literal(key: str) -> str:
    """The key as SQL: one literal, or a row value; fit to stand in `Relation.where`."""
    parts = [_part(bytes.fromhex(part)) for part in key.split(".")]
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def key_shown(key: str) -> str:
    """The key for people."""
    return ", ".join(bytes.fromhex(part).decode("utf-8", "backslashreplace") for part in key.split("."))


def _part(literal: bytes) -> str:
    try:
        text = literal.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" not in text:
        return text
    value = literal[1:-1].replace(b"''", b"'")  # only a text literal can hold such bytes
    return f"CAST(x'{value.hex()}' AS TEXT)"
