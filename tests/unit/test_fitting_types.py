"""Every type of PostgreSQL in its captured form: what the capture and SQLite say is what PostgreSQL says once more."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg

from towpath.checks import Comparison, Verdict
from towpath.fitting.account import fit, same_names
from towpath.fitting.adopt import run_migrations
from towpath.fitting.proof import prove
from towpath.fitting.shape import shape
from towpath.fitting.source import source_of
from towpath.fitting.violations import violations
from towpath.local.postgresql import Postgresql
from towpath.postgresql.capture import capture
from towpath.postgresql.convert import convert
from towpath.postgresql.snapshot import Snapshot
from towpath.tables.export import Exporter

TYPES = {
    "smallint": ["-5", "32767"],
    "oid": ["4294967295"],
    "bigint": ["9223372036854775807", "-9223372036854775808"],
    "boolean": ["true", "false"],
    "real": ["0.1", "'NaN'", "'Infinity'", "'-0'", "1e15", "1e6", "3e-45", "3.4028235e38"],
    "float8": ["0.1", "'NaN'", "'-Infinity'", "'-0'", "1e15", "123456789012345680", "5e-324", "1.7976931348623157e308"],
    "numeric": [
        "1.10",
        "'NaN'",
        "'Infinity'",
        "'-0.00'",
        "1e20",
        "12345678901234567890.123",
        "0.000000000000000000001",
    ],
    "money": ["12.5", "-0.01", "92233720368547758.07"],
    "char(7)": ["'ab'", "''", "'   '"],
    "varchar(3)": ["'é'", "''", "'   '", "'it'''"],
    "mood": ["'sad'", "'ok'"],
    "positive": ["1.5", "0.001"],
    "timestamptz": [
        *("'2024-01-01 00:00:00.5+05'", "'infinity'", "'0044-03-15 00:00:00Z BC'", "'9999-12-31 23:59:59.999999Z'"),
        *("'0001-01-01 00:00:00Z'", "'1969-12-31 23:59:59.999999Z'", "'12024-12-31 23:59:59.999999Z'"),
    ],
    "timestamp": ["'2024-01-01'", "'-infinity'", "'0044-03-15 BC'", "'10000-01-01'", "'0001-01-01'"],
    "date": ["'2024-02-29'", "'infinity'", "'0044-03-15 BC'", "'10000-01-01'", "'5874897-12-31'", "'4713-01-01 BC'"],
    "time": ["'24:00:00'", "'00:00'", "'23:59:59.999999'"],
    "timetz": ["'12:00:00.1+05:30'"],
    "interval": ["'1 year 2 mons 3 days 04:05:06.7'", "'-1 mon +1 day -00:00:00.000001'", "'infinity'"],
    "uuid": ["gen_random_uuid()"],
    "json": [r"""'{"a" : 1.0,  "b":"\u00e9/"}'""", "'null'"],
    "jsonb": ["""'{"b":1.10,"a":[1,null]}'""", "'null'"],
    "bytea": [r"'\x00ff27'", r"'\x'"],
    "int[]": ["'{1,NULL,3}'", "'{}'"],
    "text[]": ["""ARRAY['a"b', NULL, 'ü,''', 'NULL', '']"""],
    "text[][]": ["'{{a,b},{c,d}}'"],
    "mood[]": ["'{sad,ok}'"],
    "char(3)[]": ["'{a,bcd}'"],
    "numeric[]": ["'{1.10,NaN}'"],
    "float8[]": ["'{1.5,NaN,Infinity,1e300}'"],
    "boolean[]": ["'{t,f,NULL}'"],
    "timestamptz[]": ["'{2024-01-01 00:00:00.5+05,infinity}'"],
    "bytea[]": [r"ARRAY['\xff'::bytea]"],
    "int4range": ["'[1,5)'"],
    "numrange": ["'(1.5,)'"],
    "daterange": ["'[2024-01-01,)'"],
    "int4multirange": ["'{[1,3),[5,9)}'"],
    "inet": ["'10.0.0.1/8'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "bit(5)": ["'01010'"],
    "varbit": ["'101'", "''"],
    "pair": ["""ROW(1, 'x,"y')"""],
    "tsvector": ["'a b:2'"],
    "tsquery": ["'a & b'"],
    '"char"': ["'x'"],
    "name": ["'some name'"],
    "point": ["'(1.5,2)'"],
    "pg_lsn": ["'16/B374D848'"],
}
MOST = max(len(values) for values in TYPES.values())
ROWS = ", ".join(
    f"({number}, {', '.join(values[number] if number < len(values) else 'NULL' for values in TYPES.values())})"
    for number in range(MOST + 1)
)
SOURCE = rf"""
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS numeric(10, 3) CHECK (VALUE > 0);
CREATE TABLE odd (id bigint PRIMARY KEY, {", ".join(f"c{n} {declared}" for n, declared in enumerate(TYPES))});
INSERT INTO odd VALUES {ROWS};
CREATE TABLE "Odd Table" ("A b" text PRIMARY KEY, "sel""ect" int, "towpath:rowid" text);
INSERT INTO "Odd Table" VALUES
  ('a''b', 1, 'x'), ('', 2, NULL), ('Z', 3, ''), ('é', 4, NULL), (E'\n\t\\', 5, '%s %(x)s');
CREATE TABLE no_key (a float8, b text);
INSERT INTO no_key VALUES ('NaN', 'x'), ('NaN', 'x'), ('-0', NULL), (0, NULL), ('Infinity', 'y');
CREATE TABLE big (id int PRIMARY KEY, t text, b bytea);
INSERT INTO big VALUES
  (1, repeat('xé', 400000), NULL), (2, 's', '\x00'), (3, NULL, decode(repeat('ab', 700000), 'hex')),
  (4, repeat('y', 950000), NULL);
CREATE TABLE real_key (r float8 PRIMARY KEY, v int);
INSERT INTO real_key VALUES (1.5, 1), (2, 2), ('NaN', 3);
CREATE TABLE by_key (k bytea, d date, PRIMARY KEY (k, d));
INSERT INTO by_key VALUES ('\x00', '2024-01-01'), ('\xff00', '2024-01-01');
CREATE TABLE two_keys (a int, b text, PRIMARY KEY (a, b));
INSERT INTO two_keys SELECT n % 100, repeat('ä', n) FROM generate_series(1, 2500) n;
CREATE TABLE empty (a int PRIMARY KEY);
"""


def carried(server: Postgresql, url: str, folder: Path, sql: str) -> Comparison:
    """A source carried into the schema that is generated for it, and proved."""
    with psycopg.connect(url, password=server.password, autocommit=True) as db:
        db.execute(sql.encode())
    with Snapshot(url, server.secret) as snapshot:
        catalog = snapshot.read_catalog()
        made = convert(catalog)
        target = run_migrations([("1", made.migration_tables()), ("2", made.migration_after())]).schema
        source = source_of(catalog)
        fitted = fit(source, target, same_names(source, target))
        assert fitted.findings == ()
        captured = folder / "capture.sqlite"
        capture(snapshot, catalog, captured)
        assert violations(captured, target, fitted) == ()
        shaped = shape(captured, target, fitted, folder / "snapshot.sqlite")
        with closing(Exporter(shaped.path)) as exporter:
            manifest = exporter.export("plan", {})
            return prove(snapshot, fitted, manifest, exporter.db, exporter.relations)


def test_every_type_in_its_captured_form(postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path) -> None:
    found = carried(postgresql_server, postgresql_url, tmp_path, SOURCE)
    assert [c for c in found.checks if c.verdict is not Verdict.PASS] == []
    assert found.compared["pages"] > 8
    assert (found.differences, found.compared["tables"], found.compared["rows"]) == ((), 8, 2519 + MOST + 1)


def test_another_encoding_of_the_server(postgresql_server: Postgresql, tmp_path: Path) -> None:
    url, name = postgresql_server.url("fit_latin1"), "fit_latin1"
    admin = postgresql_server.url("postgres")
    with psycopg.connect(admin, password=postgresql_server.password, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'")
        try:
            sql = "CREATE TABLE t (k text PRIMARY KEY, v text); INSERT INTO t VALUES ('é', 'ü'), ('z', 'ÿ'), ('Z', 'ß')"
            assert carried(postgresql_server, url, tmp_path, sql).equal
        finally:
            db.execute(f"DROP DATABASE {name} WITH (FORCE)")
