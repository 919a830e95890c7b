"""The catalog of a PostgreSQL database: everything that it declares, as it declares it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from helpers.postgresql import run

from towpath.local.postgresql import Postgresql
from towpath.postgresql.catalog import Catalog, Object
from towpath.postgresql.connection import connect
from towpath.postgresql.reflect import read_catalog

SHOP = """
CREATE SCHEMA stats;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN price AS numeric(10,2) CHECK (VALUE >= 0);
CREATE DOMAIN sale AS price NOT NULL;
CREATE TYPE pair AS (a int, b text);
CREATE TABLE users (
  id serial PRIMARY KEY, email varchar(80) NOT NULL, mood mood DEFAULT 'ok', moods mood[], tags text[][],
  paid sale, both_ pair, born timestamptz DEFAULT now(), code char(3), label text COLLATE "C",
  loud text GENERATED ALWAYS AS (upper(email)) STORED, CONSTRAINT email_at CHECK (email LIKE '%@%'));
COMMENT ON COLUMN users.email IS 'where mail goes';
CREATE UNIQUE INDEX users_email ON users (lower(email)) WHERE code IS NOT NULL;
CREATE INDEX users_two ON users (code DESC NULLS LAST, label COLLATE "C" text_pattern_ops) INCLUDE (born);
CREATE TABLE stats.daily (day date, user_id int, n bigint GENERATED ALWAYS AS IDENTITY (START 7 INCREMENT 3),
  PRIMARY KEY (day, user_id), UNIQUE NULLS NOT DISTINCT (n));
ALTER TABLE stats.daily ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
  DEFERRABLE INITIALLY DEFERRED NOT VALID;
CREATE TABLE events (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);
CREATE UNLOGGED TABLE cache (k text);
CREATE VIEW happy AS SELECT id, email FROM users WHERE mood = 'happy';
CREATE MATERIALIZED VIEW counts AS SELECT count(*) AS n FROM users;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
CREATE POLICY own ON users USING (true); ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE RULE quiet AS ON DELETE TO cache DO INSTEAD NOTHING;
CREATE STATISTICS two ON id, email FROM users;
GRANT SELECT ON users TO PUBLIC;
INSERT INTO users (email, paid) VALUES ('a@b', 1), ('c@d', 2);
"""


def catalog(server: Postgresql, url: str) -> Catalog:
    with closing(connect(url, server.secret)) as connection:
        return read_catalog(connection)


def test_what_is_declared_is_read(postgresql_server: Postgresql, postgresql_url: str) -> None:
    run(postgresql_server, postgresql_url, SHOP)
    found = catalog(postgresql_server, postgresql_url)
    users, daily = found.table("public.users"), found.table("stats.daily")
    assert {c.name: (c.base, c.type) for c in users.columns} == {
        "id": ("int4", "integer"),
        "email": ("varchar", "character varying(80)"),
        "mood": ("enum", "public.mood"),
        "moods": ("enum[]", "public.mood[]"),
        "tags": ("text[]", "text[]"),
        "paid": ("numeric", "public.sale"),
        "both_": ("composite", "public.pair"),
        "born": ("timestamptz", "timestamp with time zone"),
        "code": ("bpchar", "character(3)"),
        "label": ("text", "text"),
        "loud": ("text", "text"),
    }
    assert (users.column("email").length, users.column("code").length) == (80, 3)
    assert users.column("email").comment == "where mail goes"
    assert (users.column("moods").enum, users.column("paid").domain) == ("public.mood", "public.sale")
    assert users.column("label").collation == "pg_catalog.C"
    assert (users.column("loud").generated, users.column("loud").default) == ("s", None)
    assert users.column("loud").expression == "upper((email)::text)"
    assert users.column("born").default == "now()"
    assert [c.name for c in users.stored] == [c.name for c in users.columns if c.name != "loud"]
    assert users.primary_key == ("id",)
    assert [(c.kind, c.name) for c in users.constraints] == [("p", "users_pkey"), ("c", "email_at")]
    assert (users.flat, users.from_sql, users.row_security) == ("users", 'ONLY "public"."users"', True)
    by_name = {index.name: index for index in users.indexes}
    assert by_name["users_pkey"].constraint == "users_pkey"
    unique, two = by_name["users_email"], by_name["users_two"]
    assert (unique.unique, unique.keys, unique.columns) == (True, ("lower((email)::text)",), (None,))
    assert (unique.partial, unique.expression) == ("(code IS NOT NULL)", True)
    assert (two.columns, two.include, two.descending) == (("code", "label"), ("born",), (True, False))
    assert (two.nulls_first, two.operator_classes) == ((False, False), (None, "text_pattern_ops"))
    assert (daily.flat, daily.primary_key) == ("stats_daily", ("day", "user_id"))
    (reference,) = daily.foreign_keys
    assert (reference.parent, reference.parent_columns) == ("public.users", ("id",))
    assert (reference.on_delete, reference.on_update, reference.validated) == ("CASCADE", "NO ACTION", False)
    assert (reference.deferrable, reference.deferred) == (True, True)
    assert [c.nulls_not_distinct for c in daily.constraints if c.kind == "u"] == [True]
    assert daily.column("n").identity == "a"
    events = found.table("public.events")
    assert (events.kind, events.partitions, events.partition_key) == ("p", ("public.events_1",), "RANGE (at)")
    assert events.from_sql == '"public"."events"'
    assert found.table("public.events_1").partition_of == "public.events"
    assert found.table("public.child").inherits == ("public.parent",)
    assert found.table("public.cache").unlogged
    assert "public.events_1" not in {table.qualified for table in found.moving}
    assert len(found.moving) == len(found.tables) - 1
    assert [(v.qualified, v.materialized, v.uses) for v in found.views] == [
        ("public.happy", False, ("public.users",)),
        ("public.counts", True, ("public.users",)),
    ]
    assert [(t.name, t.table, t.function) for t in found.triggers] == [("touched", "public.users", "public.touch")]
    assert [f.qualified for f in found.functions] == ["public.touch()"]
    assert found.enum("public.mood").labels == ("sad", "ok", "happy")
    assert (found.domain("public.sale").over, found.domain("public.sale").base) == ("public.price", "numeric")
    assert [c.expression for c in found.domain("public.price").checks] == ["(VALUE >= (0)::numeric)"]
    sequences = {s.qualified: s for s in found.sequences}
    serial, identity = sequences["public.users_id_seq"], sequences["stats.daily_n_seq"]
    assert (serial.owned_by, serial.identity, serial.next_value) == ("public.users.id", False, 3)
    assert (identity.owned_by, identity.identity, identity.next_value) == ("stats.daily.n", True, 7)
    kinds = {other.kind for other in found.others}
    assert {"policy", "rule", "schema", "statistics", "type", "grant"} <= kinds
    assert Object("policy", "own on public.users", "public.users") in found.objects
    assert Object("domain constraint", "price_check on public.price") in found.objects
    assert Object("sequence", "stats.daily_n_seq") in found.objects


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE users ADD COLUMN more int",
        "ALTER TABLE users ALTER COLUMN code TYPE text",
        "ALTER TABLE users ALTER COLUMN mood SET DEFAULT 'sad'",
        "DROP TABLE cache",
        "CREATE INDEX more ON users (born)",
        "ALTER TYPE mood ADD VALUE 'great'",
        "ALTER DOMAIN price DROP CONSTRAINT price_check",
        "CREATE OR REPLACE VIEW happy AS SELECT id, email FROM users WHERE mood = 'ok'",
        "DROP TRIGGER touched ON users",
        "DROP POLICY own ON users",
        "GRANT UPDATE ON users TO PUBLIC",
    ],
)
def test_the_digest_sees_each_change_of_a_declaration(
    postgresql_server: Postgresql, postgresql_url: str, change: str
) -> None:
    run(postgresql_server, postgresql_url, SHOP)
    before = catalog(postgresql_server, postgresql_url)
    run(postgresql_server, postgresql_url, change)
    assert catalog(postgresql_server, postgresql_url).digest != before.digest


def test_rows_do_not_change_the_digest(postgresql_server: Postgresql, postgresql_url: str) -> None:
    run(postgresql_server, postgresql_url, SHOP)
    before = catalog(postgresql_server, postgresql_url)
    run(
        postgresql_server,
        postgresql_url,
        "INSERT INTO users (email, paid) SELECT 'x@' || g, 1 FROM generate_series(1, 999) g",
    )
    run(postgresql_server, postgresql_url, "ANALYZE; REFRESH MATERIALIZED VIEW counts")
    after = catalog(postgresql_server, postgresql_url)
    assert after.digest == before.digest
    assert after.table("public.users").estimated_rows == 1001
    assert {s.qualified: s.next_value for s in after.sequences}["public.users_id_seq"] == 1002
    assert replace(after, database="other").digest == before.digest


def test_a_new_partition_does_not_change_the_digest(postgresql_server: Postgresql, postgresql_url: str) -> None:
    run(postgresql_server, postgresql_url, SHOP + "CREATE INDEX ON events (what);")
    before = catalog(postgresql_server, postgresql_url)
    more = """CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
        GRANT SELECT ON events_2 TO PUBLIC; INSERT INTO events VALUES ('2025-05-05', 'x')"""
    run(postgresql_server, postgresql_url, more)
    after = catalog(postgresql_server, postgresql_url)
    assert after.table("public.events").partitions == ("public.events_1", "public.events_2")
    assert after.digest == before.digest
    run(postgresql_server, postgresql_url, "ALTER TABLE events ADD COLUMN more int")
    assert catalog(postgresql_server, postgresql_url).digest != before.digest


def test_names_that_need_quotes(postgresql_server: Postgresql, postgresql_url: str) -> None:
    run(
        postgresql_server,
        postgresql_url,
        'CREATE SCHEMA "Big"; CREATE TABLE "Big"."a "" b" ("select" serial, "x.y" int)',
    )
    (table,) = catalog(postgresql_server, postgresql_url).tables
    assert table.sql == '"Big"."a "" b"'
    assert [c.name for c in table.columns] == ["select", "x.y"]
