"""How fast rows of PostgreSQL come into the captured file, against what the same server does unhindered.

    python tests/benchmarks/postgresql.py [--rows 200000] [--rounds 3]

The workload is that of `m1`: users with uuid and jsonb, quiz results of jsonb, messages with quotes and characters of
many bytes, analytics with decimals, doubles and dates, and blobs; about 350 bytes a row.  Limits, measured in one run:

    server    the server's own COPY of the plain rows to /dev/null: no client, no literals
    literals  the server's own COPY of the literal tuples to /dev/null: no client
    client    the literal tuples read by our reader and thrown away
    capture   everything: read, written into SQLite, counted on both sides
    census    the findings about values: one scan for each table, counted by the server

Ratios count, not seconds: parts of a round take turns, and a ratio is the median of the ratios within the rounds.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg

from towpath.local.postgresql import Postgresql, start_postgresql
from towpath.postgresql import reading
from towpath.postgresql.capture import capture
from towpath.postgresql.catalog import Catalog
from towpath.postgresql.findings import find
from towpath.postgresql.snapshot import Snapshot
from towpath.postgresql.types import tuple_sql

TABLES = """
CREATE TABLE users (id uuid PRIMARY KEY, email text NOT NULL, active bool, born timestamptz, settings jsonb);
CREATE TABLE quiz_results (id serial PRIMARY KEY, user_id uuid, answers jsonb, at timestamptz);
CREATE TABLE messages (id bigserial PRIMARY KEY, body text, at timestamp);
CREATE TABLE analytics (id bigserial PRIMARY KEY, amount numeric(12,2), score float8, day date, kind text);
CREATE TABLE blobs (id serial PRIMARY KEY, data bytea);
INSERT INTO users SELECT md5(g::text)::uuid, 'user' || g || '@example.com', g % 3 = 0,
    timestamptz '2020-01-01' + g * interval '1.234567 s', jsonb_build_object('theme', 'dark', 'n', g)
    FROM generate_series(1, {rows} * 20 / 100) g;
INSERT INTO quiz_results (user_id, answers, at) SELECT md5((g % 60000)::text)::uuid,
    jsonb_build_object('a', repeat(md5(g::text), 6 + g % 15), 'n', g), now() + g * interval '1 s'
    FROM generate_series(1, {rows} * 33 / 100) g;
INSERT INTO messages (body, at) SELECT repeat('Grüße, it''s ', 2 + g % 40),
    timestamp '2020-01-01' + g * interval '1.5 s' FROM generate_series(1, {rows} * 27 / 100) g;
INSERT INTO analytics (amount, score, day, kind) SELECT g * 1.37, sqrt(g), date '2020-01-01' + g % 2000, 'view'
    FROM generate_series(1, {rows} * 16 / 100) g;
INSERT INTO blobs (data) SELECT decode(repeat(md5(g::text), 30), 'hex') FROM generate_series(1, {rows} * 4 / 100) g;
ANALYZE;
"""


def main() -> int:
    """Measure, print one line for each kind of work and the ratios, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as folder:
        server = start_postgresql(Path(folder, "postgresql"), ends_with_us=True)
        try:
            with psycopg.connect(server.url("postgres"), password=server.password, autocommit=True) as connection:
                connection.execute(TABLES.format(rows=given.rows).encode())
            rounds = [measure(server, Path(folder, "capture.sqlite")) for _ in range(given.rounds)]
        finally:
            server.stop()
    rows = given.rows
    for work in rounds[0]:
        seconds = statistics.median(taken[work] for taken in rounds)
        print(f"{work:<10} {seconds:7.2f} s {rows / seconds / 1000:8.1f} k rows/s")
    for words, over, under in (
        ("the capture takes {} of what the server's own COPY takes", "capture", "server"),
        ("the capture takes {} of what the server takes for the literals alone", "capture", "literals"),
        ("the capture takes {} of what our reader takes without SQLite", "capture", "client"),
    ):
        ratios = [taken[over] / taken[under] for taken in rounds]
        print(words.format(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"))
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


def measure(server: Postgresql, path: Path) -> dict[str, float]:
    """Seconds of each kind of work, over all tables."""
    url = server.url("postgres")
    with Snapshot(url, server.secret) as snapshot:
        catalog = snapshot.read_catalog()
        reader = snapshot.reader()
        with closing(psycopg.connect(url, password=server.password, autocommit=True)) as owner:
            return {
                "server": _seconds(lambda: _to_null(owner, catalog, plain=True)),
                "literals": _seconds(lambda: _to_null(owner, catalog, plain=False)),
                "client": _seconds(lambda: _read(reader, catalog)),
                "capture": _seconds(lambda: capture(snapshot, catalog, path)),
                "census": _seconds(lambda: find(catalog, reader)),
            }


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _to_null(owner: psycopg.Connection, catalog: Catalog, *, plain: bool) -> None:
    for table in catalog.moving:
        what = "*" if plain else tuple_sql(table.columns)
        owner.execute(f"COPY (SELECT {what} FROM {table.from_sql}) TO '{os.devnull}' (FORMAT binary)".encode())


def _read(reader: psycopg.Connection, catalog: Catalog) -> None:
    for table in catalog.moving:
        for tuples, _ in reading._batches(reader, table):
            b",".join(tuples)


if __name__ == "__main__":
    raise SystemExit(main())
