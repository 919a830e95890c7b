"""Whether anybody writes: numbers that change with every transaction that changes a row."""

from __future__ import annotations

import time

import psycopg

from towpath.postgresql.connection import told

# Who writes to a table holds one of these locks on it until the transaction ends; a prepared one has no process.
# Anybody may read pg_locks, while pg_stat_activity hides other users' transactions.
_WRITERS = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""
# A transaction gets a number with its first write; the server's own (it analyses tables by itself) get one, too.  The
# counters are of rows, TRUNCATE and rewriting ALTER TABLE show in the files of the tables.
_WRITTEN = f"""
SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, ({_WRITERS}),
  (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables),
  (SELECT coalesce(sum(relfilenode::bigint), 0)::bigint FROM pg_class WHERE relkind = 'r' AND oid >= 16384)
"""


def written(connection: psycopg.Connection) -> tuple[int, ...]:
    """The next transaction's number, open writers, rows written so far, and the sum of the tables' files.

    While a transaction has written and not ended, no two answers are alike: if a younger one has ended, neither the
    number nor a counter would tell of its commit, and no snapshot holds what it wrote.  Else the second number is 0.

    A session reports its rows when it is idle, at the latest after ten seconds (pgstat.c, PGSTAT_IDLE_INTERVAL).
    """
    with told("the counters of the database"):
        row = connection.execute(_WRITTEN.encode()).fetchone()
    assert row is not None
    number, writers, *rows = (int(value) for value in row)
    return (number, time.monotonic_ns() if writers else 0, *rows)
