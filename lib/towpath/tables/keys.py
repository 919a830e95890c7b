"""Keys of rows as text: safe to carry through any transport, and to turn back into SQL.

A key travels as the SQL literals of its parts in hexadecimal, joined by dots: no byte of it can be cut by a NUL or
blurred by an encoding on the way.
"""

from __future__ import annotations

from towpath.sensitive import digest
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


def key_shown(relation: Relation, key: str) -> str:
    """The key for people; of a sensitive part its digest."""
    literals = [bytes.fromhex(part) for part in key.split(".")]
    hidden = [relation.hides(name) for name in relation.key] or [False]
    pairs = zip(literals, hidden, strict=True)
    return ", ".join(digest(_value(p)) if secret else p.decode("utf-8", "backslashreplace") for p, secret in pairs)


def _value(literal: bytes) -> bytes:
    """The bytes that a literal says: the same, and so the same digest, wherever the value is shown."""
    if literal.startswith(b"'"):
        return literal[1:-1].replace(b"''", b"'")
    return bytes.fromhex(literal[2:-1].decode()) if literal[:2].lower() == b"x'" else literal


def _part(literal: bytes) -> str:
    try:
        text = literal.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" not in text:
        return text
    return f"CAST(x'{_value(literal).hex()}' AS TEXT)"  # only a text literal can hold such bytes
