"""What a database has beside tables: triggers, functions, sequences, and every other object by its identity."""

from __future__ import annotations

import psycopg

from towpath.postgresql.catalog import Function, Object, Other, Sequence, Trigger, quoted
from towpath.postgresql.reflect_types import USERS

FIRST_USER_OID = 16_384  # below it are objects that initdb made: FirstNormalObjectId in PostgreSQL's transam.h

_TRIGGERS = f"""
SELECT t.tgname, n.nspname || '.' || c.relname, pg_get_triggerdef(t.oid), fn.nspname || '.' || f.proname,
       t.tgenabled <> 'D'
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_namespace fn ON fn.oid = f.pronamespace
WHERE NOT t.tgisinternal AND {USERS} ORDER BY 2, 1
"""
_FUNCTIONS = f"""
SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), p.prokind::text, l.lanname,
       CASE WHEN p.prokind = 'a' THEN '' ELSE pg_get_functiondef(p.oid) END
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE {USERS} AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                              AND d.deptype IN ('e', 'i')) ORDER BY 1, 2, 3
"""
_SEQUENCES = f"""
SELECT n.nspname, c.relname, format_type(s.seqtypid, NULL), s.seqstart, s.seqmin, s.seqmax, s.seqincrement, s.seqcycle,
       s.seqcache, o.owner, coalesce(o.identity, false),
       has_schema_privilege(n.oid, 'USAGE') AND has_sequence_privilege(c.oid, 'SELECT')
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT tn.nspname || '.' || t.relname || '.' || a.attname AS owner, d.deptype = 'i' AS identity
    FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
      AND d.deptype IN ('a', 'i') LIMIT 1) o ON true
WHERE {USERS} AND c.relpersistence <> 't' ORDER BY 1, 2
"""
# kind, catalog, what tells more, the relation it belongs to, which rows
_OTHERS = (
    ("policy", "pg_policy", "coalesce('USING ' || pg_get_expr(o.polqual, o.polrelid), '')", "o.polrelid", "true"),
    ("rule", "pg_rewrite", "pg_get_ruledef(o.oid)", "o.ev_class", "o.rulename <> '_RETURN'"),
    ("extension", "pg_extension", "o.extversion", "0", "true"),
    ("schema", "pg_namespace", "''", "0", "o.nspname !~ '^pg_(toast|temp)'"),
    ("event trigger", "pg_event_trigger", "o.evtevent", "0", "true"),
    ("statistics", "pg_statistic_ext", "pg_get_statisticsobjdef(o.oid)", "o.stxrelid", "true"),
    ("collation", "pg_collation", "o.collprovider::text", "0", "true"),
    ("cast", "pg_cast", "''", "0", "true"),
    ("conversion", "pg_conversion", "''", "0", "true"),
    ("operator", "pg_operator", "''", "0", "true"),
    ("operator class", "pg_opclass", "''", "0", "true"),
    ("operator family", "pg_opfamily", "''", "0", "true"),
    ("access method", "pg_am", "''", "0", "true"),
    ("language", "pg_language", "''", "0", "true"),
    ("text search configuration", "pg_ts_config", "''", "0", "true"),
    ("text search dictionary", "pg_ts_dict", "''", "0", "true"),
    ("text search parser", "pg_ts_parser", "''", "0", "true"),
    ("text search template", "pg_ts_template", "''", "0", "true"),
    ("publication", "pg_publication", "''", "0", "true"),
    ("foreign-data wrapper", "pg_foreign_data_wrapper", "''", "0", "true"),
    ("server", "pg_foreign_server", "''", "0", "true"),
    ("default privileges", "pg_default_acl", "''", "0", "true"),
    (
        "type",
        "pg_type",
        "CASE o.typtype WHEN 'c' THEN 'composite' WHEN 'r' THEN 'range' ELSE 'base' END",
        "0",
        "o.typtype IN ('b', 'c', 'r', 'p') AND o.typcategory <> 'A'"
        " AND (o.typrelid = 0 OR (SELECT x.relkind FROM pg_class x WHERE x.oid = o.typrelid) = 'c')",
    ),
)
_COUNTED = (  # objects that the catalog has values of its own for
    ("pg_class", "coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = o.oid),"
     " CASE WHEN o.relispartition THEN o.oid END, 0)",
     "o.relkind IN ('r', 'p', 'f', 'v', 'm', 'i', 'I', 'S') AND o.relpersistence <> 't'"
     " AND o.relnamespace <> 'pg_toast'::regnamespace"),
    ("pg_constraint", "o.conrelid", "o.contype IN ('p', 'u', 'f', 'c', 'x') AND (o.conrelid <> 0 OR o.contypid <> 0)"),
    ("pg_trigger", "o.tgrelid", "NOT o.tgisinternal"),
    ("pg_proc", "0", "true"),
    ("pg_type", "0", "o.typtype IN ('d', 'e')"),
)  # fmt: skip
_GRANTS = f"""
SELECT n.nspname || '.' || c.relname, string_agg(DISTINCT coalesce(r.rolname, 'PUBLIC') || ': ' || a.privilege_type,
       ', ' ORDER BY coalesce(r.rolname, 'PUBLIC') || ': ' || a.privilege_type)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE {USERS} AND a.grantee <> c.relowner GROUP BY 1 ORDER BY 1
"""


def read_triggers(connection: psycopg.Connection) -> tuple[Trigger, ...]:
    """Every trigger that somebody made."""
    return tuple(Trigger(*row) for row in connection.execute(_TRIGGERS.encode()))


def read_functions(connection: psycopg.Connection) -> tuple[Function, ...]:
    """Every function, procedure and aggregate that no extension made."""
    return tuple(Function(*row) for row in connection.execute(_FUNCTIONS.encode()))


def read_sequences(connection: psycopg.Connection) -> tuple[Sequence, ...]:
    """Every sequence with its present value, where this user may read it."""
    rows = connection.execute(_SEQUENCES.encode()).fetchall()
    values: dict[tuple[str, str], tuple[int, bool]] = {}
    for row in rows:
        if row[11]:
            sql = f"SELECT last_value, is_called FROM {quoted(row[0])}.{quoted(row[1])}"
            values[row[0], row[1]] = connection.execute(sql.encode()).fetchone() or (0, False)
    return tuple(Sequence(*row[:11], *values.get((row[0], row[1]), (None, False))) for row in rows)


def read_others(connection: psycopg.Connection) -> tuple[Other, ...]:
    """Everything that has no value of its own here, and what was granted on relations."""
    out = []
    for kind, catalog, detail, owner, condition in _OTHERS:
        sql = _identified(catalog, owner, condition, detail)
        out += [Other(kind, name, told or "") for _, name, _, told in connection.execute(sql.encode())]
    out += [Other("grant", name, told) for name, told in connection.execute(_GRANTS.encode())]
    return tuple(out)


def read_objects(connection: psycopg.Connection) -> tuple[Object, ...]:
    """Every object, named by PostgreSQL itself; what another object made for itself is part of that one."""
    sources = [(catalog, owner, condition) for catalog, owner, condition in _COUNTED]
    sources += [(catalog, owner, condition) for _, catalog, _, owner, condition in _OTHERS]
    found = []
    for catalog, owner, condition in sources:
        sql = _identified(catalog, owner, condition, "NULL")
        found += [Object(kind, name, table or "") for kind, name, table, _ in connection.execute(sql.encode())]
    return tuple(sorted(set(found)))


def read_large_objects(connection: psycopg.Connection) -> int:
    """How many large objects the database holds, which are outside of all tables."""
    row = connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone()
    return int(row[0]) if row else 0


def _identified(catalog: str, owner: str, condition: str, detail: str) -> str:
    identity = "OR o.relkind = 'S'" if catalog == "pg_class" else ""
    return f"""
        SELECT i.type, i.identity, (SELECT n.nspname || '.' || c.relname FROM pg_class c
               JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {owner}), {detail}
        FROM {catalog} o CROSS JOIN LATERAL pg_identify_object('{catalog}'::regclass, o.oid, 0) i
        WHERE o.oid >= {FIRST_USER_OID} AND {condition}
          AND (NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{catalog}'::regclass AND d.objid = o.oid
                           AND d.objsubid = 0 AND d.deptype IN ('e', 'i')) {identity})
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{catalog}'::regclass AND d.objid = o.oid
                          AND d.deptype = 'e')
          AND coalesce(i.schema, '') NOT IN ('information_schema', 'pg_catalog')
          AND coalesce(i.schema, '') !~ '^pg_(toast|temp)'
        ORDER BY 1, 2"""
