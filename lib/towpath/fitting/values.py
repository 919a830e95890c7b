"""The value of one target column, out of one rule: the same thing said in SQLite's SQL and in PostgreSQL's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import apsw

from towpath.fitting import postgres, source, sqlite
from towpath.fitting.conversions import BLOB, CONVERSIONS, INTEGER, JSON_KINDS, REAL, TEXT, conversions_of
from towpath.fitting.fitted import Loss, Value
from towpath.fitting.language import BASE, T_BLOB, T_BOOLEAN, T_INTEGER, T_NULL, T_REAL, T_TEXT, Node
from towpath.fitting.source import SourceColumn
from towpath.fitting.spec import Rewrite, Scalar
from towpath.tables import ddl
from towpath.tables.schema import Column, literal, quoted

NULL = "NULL"
STORAGE_OF = {T_TEXT: TEXT, T_INTEGER: INTEGER, T_BOOLEAN: INTEGER, T_REAL: REAL, T_BLOB: BLOB, T_NULL: NULL}
NUMERIC_KINDS = (source.NUMERIC, source.MONEY)


class Misfit(Exception):
    """A rule that cannot be used: becomes a finding of the fit."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def of_column(column: str, alias: str, found: SourceColumn, form: str, told: str) -> Value:
    """The value of a source column, converted.  Raises Misfit."""
    conversion = CONVERSIONS.get((form, found.kind))
    if conversion is None:
        usable = ", ".join(conversions_of(found.kind))
        raise Misfit("FT107", f"{found.name} is {found.declared}: as: {form} does not take it; usable are {usable}")
    made = conversion.applied(sqlite.column(alias, found.name), postgres.raw(alias, found.name))
    losses = []
    if made.impossible:
        losses.append(Loss("FT202", made.impossible, f"{told}: no such form"))
    if made.losing:
        impossible = f"NOT ({made.impossible}) AND " if made.impossible else ""
        losses.append(Loss("FT201", f"{impossible}({made.losing})", f"{told} loses {made.loses}"))
    origin = found.name if alias == BASE else ""
    return Value(column, made.storage, made.sqlite, made.postgres, told, tuple(losses), origin)


def of_expression(column: str, node: Node, occurrences: Sequence[Node], told: str) -> Value:
    """The value of an expression."""
    own = postgres.expression(node, list(occurrences))
    return Value(
        column,
        STORAGE_OF[node.type],
        sqlite.expression(node, list(occurrences)),
        f"({own})::int" if node.type == T_BOOLEAN else own,
        told,
    )


def of_constant(column: str, value: Scalar | bytes, told: str) -> Value:
    """The same value in every row.  Raises Misfit."""
    if value is None:
        return Value(column, NULL, NULL, NULL, told)
    if isinstance(value, bool | int):
        if not -(2**63) <= int(value) < 2**63:
            raise Misfit("FT111", f"{value} is no number of 64 bits")
        return Value(column, INTEGER, str(int(value)), f"({int(value)})::bigint", told)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Misfit("FT111", f"{value} is no number")
        return Value(column, REAL, repr(value) if "." in repr(value) else f"{value:.17e}", f"'{value!r}'::float8", told)
    if isinstance(value, bytes):
        return Value(column, BLOB, f"x'{value.hex()}'", f"'\\x{value.hex()}'::bytea", told)
    if "\0" in value:
        raise Misfit("FT111", "a text with NUL cannot be written in PostgreSQL")
    return Value(column, TEXT, literal(value), f"{literal(value)}::text", told)


def of_default(column: Column) -> Value:
    """What the target's own DEFAULT gives, if it is a constant.  Raises Misfit."""
    default = column.default or "NULL"
    constant = all(
        t.kind in (ddl.NUMBER, ddl.STRING, ddl.BLOB) or t.sign("+", "-", "(", ")") or t.word("NULL", "TRUE", "FALSE")
        for t in ddl.spoken(default)
    )
    if not constant:
        raise Misfit("FT110", f"DEFAULT {default} gives another value each time")
    db = apsw.Connection(":memory:")
    db.execute(f"CREATE TABLE t (x, {quoted(column.name)} {column.declared} DEFAULT ({default}))")
    db.execute("INSERT INTO t (x) VALUES (NULL)")
    value = db.execute(f"SELECT {quoted(column.name)} FROM t").get
    return of_constant(column.name, value, f"DEFAULT {default}")


def rewritten(value: Value, rewrite: Rewrite, kind: str) -> Value:
    """The value with a text replaced wherever it stands.  Raises Misfit."""
    if value.storage != TEXT:
        raise Misfit("FT111", f"{value.told} is no text: nothing can be rewritten in it")
    if not rewrite.old or "\0" in rewrite.old + rewrite.new:
        raise Misfit("FT111", "rewrite wants a text to look for, without NUL")
    losses = value.losses
    if kind in JSON_KINDS:
        if any(c in '"\\' or ord(c) < 32 for c in rewrite.old + rewrite.new):
            raise Misfit("FT111", 'inside JSON a text with ", \\ or control characters cannot be rewritten')
        if "/" in rewrite.old:
            escaped = literal(rewrite.old.replace("/", "\\/"))
            told = f"{rewrite.old} stands there as {rewrite.old.replace('/', chr(92) + '/')}"
            losses = (*losses, Loss("FT210", f"instr({value.sqlite}, {escaped}) > 0", told))
    return replace(
        value,
        sqlite=f"replace({value.sqlite}, {literal(rewrite.old)}, {literal(rewrite.new)})",
        postgres=postgres.replaced(value.postgres, rewrite.old, rewrite.new),
        told=f"{value.told}, {rewrite.old} → {rewrite.new}",
        losses=losses,
    )


def defaulted(value: Value, default: Scalar) -> Value:
    """The value, with NULL replaced.  Raises Misfit."""
    other = of_constant(value.column, default, "")
    if value.storage not in (other.storage, NULL):
        raise Misfit("FT111", f"{value.told} is {value.storage}, its default {default!r} is {other.storage}")
    loss = Loss("FT209", f"({value.sqlite}) IS NULL", f"{value.told}: NULL becomes {default!r}")
    # what has no form must not turn into the default unseen: FT202 counts it before
    return replace(
        value,
        storage=other.storage,
        sqlite=f"coalesce({value.sqlite}, {other.sqlite})",
        postgres=f"coalesce({value.postgres}, {other.postgres})",
        told=f"{value.told}, or {default!r}",
        losses=(*value.losses, loss),
    )


def stored_as(value: Value, column: Column, strict: bool, kind: str) -> Value:
    """The value as this column takes it: unchanged, or watched.  Raises Misfit where every value would change."""
    storage, affinity = value.storage, column.affinity
    if storage == NULL:
        return value
    if strict:
        wanted = {"INT": INTEGER}.get(column.declared.upper(), column.declared.upper())
        if wanted not in (storage, "ANY"):
            raise Misfit("FT108", f"{value.told} is {storage}, a STRICT column of {column.declared} takes {wanted}")
        return value
    if affinity == "BLOB" or storage in (BLOB, affinity) or (affinity, storage) == ("NUMERIC", INTEGER):
        return value
    hint = {TEXT: "text", REAL: "real"}.get(affinity, "integer or cents" if kind in NUMERIC_KINDS else "integer")
    watched = (affinity == "NUMERIC" and storage in (TEXT, REAL) and kind not in NUMERIC_KINDS) or storage == REAL
    if not watched or affinity == TEXT:
        declared = column.declared or "no type"
        raise Misfit("FT108", f"{value.told} is {storage}, the column is declared {declared}: as: {hint}?")
    return replace(value, watched=True)


def literal_kind(storage: str) -> str:
    """The PostgreSQL type in which the proof writes a storage class."""
    return {TEXT: "text", INTEGER: "bigint", REAL: "float8", BLOB: "bytea", NULL: "text"}[storage]
