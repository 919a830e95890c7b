"""Types of a database: what lies below a domain or an array; enums and domains with their checks."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from towpath.postgresql.catalog import Constraint, Domain, Enum

KINDS = {"e": "enum", "c": "composite", "r": "range", "m": "multirange"}
LENGTHS = {"bpchar": 4, "varchar": 4, "bit": 0, "varbit": 0}  # what typmod counts beyond the length
USERS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"

_TYPES = """
SELECT t.oid, n.nspname, t.typname, t.typtype::text, t.typbasetype, t.typtypmod,
       CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 AND t.typsubscript = 'array_subscript_handler'::regproc
             AND t.typname NOT IN ('int2vector', 'oidvector')  -- they begin at 0 and are written '1 2'
            THEN t.typelem ELSE 0 END
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
"""
_TYPES_BEFORE_14 = _TYPES.replace("t.typsubscript = 'array_subscript_handler'::regproc", "t.typlen = -1")
_ENUMS = f"""
SELECT n.nspname, t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_enum e ON e.enumtypid = t.oid
WHERE {USERS} GROUP BY 1, 2 ORDER BY 1, 2
"""
_DOMAINS = f"""
SELECT t.oid, n.nspname, t.typname, t.typbasetype, format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'd' AND {USERS} ORDER BY 2, 3
"""
_CHECKS = """
SELECT contypid, conname, pg_get_constraintdef(oid), convalidated, pg_get_expr(conbin, 0)
FROM pg_constraint WHERE contypid <> 0 AND contype = 'c' ORDER BY conname
"""


@dataclass(frozen=True, slots=True)
class Below:
    """What lies below a type."""

    base: str
    domain: str | None
    enum: str | None
    length: int | None


class Types:
    """Every type of the database, by oid."""

    def __init__(self, connection: psycopg.Connection) -> None:
        sql = _TYPES if connection.info.server_version >= 140_000 else _TYPES_BEFORE_14
        self._rows = {row[0]: row[1:] for row in connection.execute(sql)}

    def below(self, oid: int, modifier: int = -1) -> Below:
        """What lies below a type with this modifier (atttypmod)."""
        schema, name, kind, base, own, element = self._rows[oid]
        if kind == "d":
            under = self.below(base, own)
            return Below(under.base, f"{schema}.{name}", under.enum, under.length)
        if element:
            under = self.below(element, modifier)
            return Below(f"{under.base}[]", None, under.enum, under.length)
        if kind in KINDS:
            return Below(KINDS[kind], None, f"{schema}.{name}" if kind == "e" else None, None)
        length = modifier - LENGTHS[name] if name in LENGTHS and modifier >= 0 else None
        return Below(name, None, None, length)


def read_enums(connection: psycopg.Connection) -> tuple[Enum, ...]:
    """Every enum with its labels in order."""
    return tuple(Enum(schema, name, tuple(labels)) for schema, name, labels in connection.execute(_ENUMS))


def read_domains(connection: psycopg.Connection, types: Types) -> tuple[Domain, ...]:
    """Every domain with its own checks; those of a domain below it stand there."""
    checks: dict[int, list[Constraint]] = {}
    for owner, name, definition, validated, expression in connection.execute(_CHECKS):
        checks.setdefault(owner, []).append(
            Constraint(name, "c", (), definition, validated=validated, expression=expression)
        )
    return tuple(
        Domain(
            schema,
            name,
            type=written,
            base=types.below(oid).base,
            notnull=notnull,
            default=default,
            checks=tuple(checks.get(oid, ())),
            over=types.below(below).domain,
        )
        for oid, schema, name, below, written, notnull, default in connection.execute(_DOMAINS)
    )
