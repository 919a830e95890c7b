"""Tables, views, columns, constraints and indexes, read from pg_catalog with one query for each kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from towpath.postgresql.catalog import Column, Constraint, Index, Table, View
from towpath.postgresql.reflect_types import USERS, Types

ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
MATCHES = {"s": "SIMPLE", "f": "FULL", "p": "PARTIAL"}
_OWN = """NOT EXISTS (SELECT FROM pg_depend x
                      WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')"""

_TABLES = f"""
SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relpersistence = 'u', c.relrowsecurity, c.relforcerowsecurity,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'),
       obj_description(c.oid, 'pg_class'), greatest(c.reltuples, 0)::bigint, c.relispartition,
       pg_get_expr(c.relpartbound, c.oid), CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
       ARRAY(SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND {USERS} AND {_OWN} ORDER BY n.nspname, c.relname
"""
_VIEWS = f"""
SELECT c.oid, n.nspname, c.relname, pg_get_viewdef(c.oid), c.relkind = 'm', c.relispopulated,
       obj_description(c.oid, 'pg_class'),
       ARRAY(SELECT DISTINCT un.nspname || '.' || u.relname FROM pg_rewrite r
             JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                             AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
             JOIN pg_class u ON u.oid = d.refobjid JOIN pg_namespace un ON un.oid = u.relnamespace
             WHERE r.ev_class = c.oid ORDER BY 1)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND {USERS} AND {_OWN} ORDER BY c.oid
"""
_COLUMNS = f"""
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid, a.atttypmod, a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid), a.attidentity::text, a.attgenerated::text,
       CASE WHEN a.attcollation <> t.typcollation THEN
            (SELECT cn.nspname || '.' || co.collname FROM pg_collation co
             JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END,
       col_description(a.attrelid, a.attnum), a.attnum
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f', 'v', 'm') AND {USERS}
ORDER BY a.attrelid, a.attnum
"""
# the constraints that PostgreSQL itself makes for each partition have a parent
_CONSTRAINTS = f"""
SELECT k.conrelid, k.conname, k.contype::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(n, o)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.o),
       pg_get_constraintdef(k.oid), pn.nspname || '.' || p.relname,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(n, o)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.o),
       k.convalidated, k.condeferrable, k.condeferred, k.confdeltype::text, k.confupdtype::text, k.confmatchtype::text,
       %(nulls)s, %(enforced)s, CASE WHEN k.contype = 'c' THEN pg_get_expr(k.conbin, k.conrelid) END
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class p ON p.oid = k.confrelid LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = k.conindid AND k.contype IN ('p', 'u')
WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conparentid = 0 AND {USERS}
ORDER BY k.conrelid, position(k.contype::text IN 'pucfx'), k.conname
"""
_INDEXES = f"""
SELECT i.indrelid, c.relname, pg_get_indexdef(i.indexrelid), i.indisunique, m.amname, i.indnkeyatts,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, g, false) FROM generate_series(1, i.indnatts) g ORDER BY g),
       ARRAY(SELECT (SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = u.n
                     AND u.n > 0)
             FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(n, o) ORDER BY u.o),
       pg_get_expr(i.indpred, i.indrelid), i.indexprs IS NOT NULL, i.indoption::int2[],
       ARRAY(SELECT (SELECT cn.nspname || '.' || co.collname FROM pg_collation co
                     JOIN pg_namespace cn ON cn.oid = co.collnamespace
                     WHERE co.oid = u.n AND u.n IS DISTINCT FROM
                           (SELECT a.attcollation FROM pg_attribute a
                            WHERE a.attrelid = i.indrelid AND a.attnum = (i.indkey::int2[])[u.o - 1] AND a.attnum > 0)
                       AND u.n <> 100)
             FROM unnest(i.indcollation::oid[]) WITH ORDINALITY AS u(n, o) ORDER BY u.o),
       ARRAY(SELECT (SELECT oc.opcname::text FROM pg_opclass oc WHERE oc.oid = u.n AND NOT oc.opcdefault)
             FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS u(n, o) ORDER BY u.o),
       %(nulls)s, k.conname, i.indisvalid
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_am m ON m.oid = c.relam
LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
WHERE {USERS} ORDER BY i.indrelid, c.relname
"""


def read_tables(connection: psycopg.Connection, types: Types) -> tuple[Table, ...]:
    """Every table, partitions and foreign tables too, with what belongs to it."""
    rows = connection.execute(_TABLES).fetchall()
    names = {row[0]: f"{row[1]}.{row[2]}" for row in rows}
    columns, indexes = _columns(connection, types), _indexes(connection)
    constraints = _constraints(connection)
    below: dict[int, list[int]] = {}
    for row in rows:
        if row[10]:
            below.setdefault(row[13][0], []).append(row[0])
    estimated = {row[0]: row[9] for row in rows}

    def rows_of(oid: int) -> int:
        parts = below.get(oid, [])
        return sum(rows_of(part) for part in parts) if parts else int(estimated[oid])

    out = []
    for row in rows:
        oid, is_partition = row[0], row[10]
        parents = tuple(names.get(parent, "") for parent in row[13])
        out.append(
            Table(
                schema=row[1],
                name=row[2],
                kind=row[3],
                columns=tuple(columns.get(oid, ())),
                constraints=tuple(constraints.get(oid, ())),
                indexes=tuple(indexes.get(oid, ())),
                partition_of=parents[0] if is_partition else None,
                partition_bound=row[11],
                partition_key=row[12],
                partitions=tuple(names[part] for part in below.get(oid, ())),
                inherits=() if is_partition else parents,
                unlogged=row[4],
                row_security=row[5],
                row_security_forced=row[6],
                readable=row[7],
                comment=row[8],
                estimated_rows=rows_of(oid),
            )
        )
    return tuple(out)


def read_views(connection: psycopg.Connection, types: Types) -> tuple[View, ...]:
    """Every view, materialized ones too, in the order in which they were made."""
    columns, indexes = _columns(connection, types), _indexes(connection)
    return tuple(
        View(
            schema,
            name,
            definition=definition.strip().rstrip(";"),
            columns=tuple(columns.get(oid, ())),
            materialized=materialized,
            populated=populated,
            indexes=tuple(indexes.get(oid, ())),
            uses=tuple(uses),
            comment=comment,
        )
        for oid, schema, name, definition, materialized, populated, comment, uses in connection.execute(_VIEWS)
    )


def _grouped(rows: Iterable[tuple[int, Any]]) -> dict[int, list[Any]]:
    out: dict[int, list[Any]] = {}
    for owner, item in rows:
        out.setdefault(owner, []).append(item)
    return out


def _columns(connection: psycopg.Connection, types: Types) -> dict[int, list[Column]]:
    def column(row: Any) -> Column:
        _, name, written, type_, modifier, notnull, expression, identity, generated, collation, comment, number = row
        below = types.below(type_, modifier)
        return Column(
            name=name,
            type=written,
            base=below.base,
            notnull=notnull,
            default=None if generated else expression,
            identity=identity,
            generated=generated,
            expression=expression if generated else None,
            collation=collation,
            comment=comment,
            domain=below.domain,
            enum=below.enum,
            length=below.length,
            number=number,
        )

    return _grouped((row[0], column(row)) for row in connection.execute(_COLUMNS))


def _constraints(connection: psycopg.Connection) -> dict[int, list[Constraint]]:
    version = connection.info.server_version
    sql = _CONSTRAINTS % {
        "nulls": "coalesce(i.indnullsnotdistinct, false)" if version >= 150_000 else "false",
        "enforced": "k.conenforced" if version >= 180_000 else "true",
    }
    return _grouped(
        (
            row[0],
            Constraint(
                name=row[1],
                kind=row[2],
                columns=tuple(row[3]),
                definition=row[4],
                parent=row[5],
                parent_columns=tuple(row[6]),
                validated=row[7],
                deferrable=row[8],
                deferred=row[9],
                on_delete=ACTIONS.get(row[10].strip(), ""),
                on_update=ACTIONS.get(row[11].strip(), ""),
                match=MATCHES.get(row[12].strip(), ""),
                nulls_not_distinct=row[13],
                enforced=row[14],
                expression=row[15],
            ),
        )
        for row in connection.execute(sql.encode())
    )


def _indexes(connection: psycopg.Connection) -> dict[int, list[Index]]:
    version = connection.info.server_version
    sql = _INDEXES % {"nulls": "i.indnullsnotdistinct" if version >= 150_000 else "false"}

    def index(row: Any) -> Index:
        keys = row[5]
        return Index(
            name=row[1],
            definition=row[2],
            unique=row[3],
            method=row[4],
            keys=tuple(row[6][:keys]),
            columns=tuple(row[7][:keys]),
            partial=row[8],
            expression=row[9],
            include=tuple(name for name in row[7][keys:] if name is not None),
            descending=tuple(bool(option & 1) for option in row[10][:keys]),
            nulls_first=tuple(bool(option & 2) for option in row[10][:keys]),
            collations=tuple(row[11][:keys]),
            operator_classes=tuple(row[12][:keys]),
            nulls_not_distinct=row[13],
            constraint=row[14],
            valid=row[15],
        )

    return _grouped((row[0], index(row)) for row in connection.execute(sql.encode()))
