"""One moment of a PostgreSQL database, shared by several connections.

The first connection exports its REPEATABLE READ snapshot and keeps it open; every reader imports it and sees the same
rows (postgresql.org/docs/18/functions-admin.html, Snapshot Synchronization Functions).

Two things are not of the snapshot's moment, and are guarded: TRUNCATE and a rewriting ALTER TABLE leave a table empty
for an older snapshot (postgresql.org/docs/18/mvcc-caveats.html).  `hold` locks the tables against both, as pg_dump
does, and then looks whether one of them came before the lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import psycopg

from towpath.errors import BadInput, CannotFinish, TowpathError
from towpath.postgresql.catalog import Catalog, Table
from towpath.postgresql.connection import STATEMENT_SECONDS, connect, told
from towpath.postgresql.reflect import read_catalog
from towpath.secrets import Secret

_FILES = """
SELECT n.nspname || '.' || c.relname, c.oid::bigint, c.relfilenode::bigint, c.relispartition
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')
"""


class Snapshot:
    """Use it as a context manager: inside, the moment is held, and `reader` opens connections on it."""

    def __init__(
        self, url: str, password: Secret | None, *, statement_timeout_seconds: float = STATEMENT_SECONDS
    ) -> None:
        self._url, self._password, self._seconds = url, password, statement_timeout_seconds
        self._holder: psycopg.Connection | None = None
        self._readers: list[psycopg.Connection] = []
        self.id = ""  # as pg_export_snapshot gave it
        self.taken_at = ""  # ISO 8601, the server's clock

    def __enter__(self) -> Snapshot:
        holder = self._connect()
        try:
            with told("the snapshot of the database"):
                row = holder.execute(
                    "SELECT pg_export_snapshot(), to_char(transaction_timestamp() AT TIME ZONE 'UTC',"
                    """ 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
                ).fetchone()
        except TowpathError:
            holder.close()
            raise
        self._holder = holder
        self.id, self.taken_at = row or ("", "")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in (*self._readers, self.connection):
            connection.close()
        self._readers, self._holder = [], None

    @property
    def connection(self) -> psycopg.Connection:
        """The connection that holds the moment: never commit, roll back or close it."""
        if self._holder is None:
            raise RuntimeError("the snapshot is used outside of its with block")
        return self._holder

    def reader(self) -> psycopg.Connection:
        """Another connection that sees the same rows; the snapshot closes it at its end.

        Raises CannotFinish when the moment is gone, because its first connection was cut.
        """
        connection = self._connect()
        try:
            self.join(connection)
        except TowpathError:
            connection.close()
            raise
        self._readers.append(connection)
        return connection

    def join(self, connection: psycopg.Connection) -> None:
        """Let a connection of `reader`, whose transaction was rolled back, see the moment again."""
        try:
            with told("the snapshot of the database"):
                connection.execute(f"SET TRANSACTION SNAPSHOT '{self.id}'".encode())
        except (BadInput, CannotFinish) as error:  # its name is unknown once its connection has ended
            step = "look why the server closed its first connection, then run again"
            raise CannotFinish(f"the moment is gone: {error.what}", object=error.object, next=step) from None

    def read_catalog(self) -> Catalog:
        """What the database declared at this moment."""
        return read_catalog(self.connection)

    def hold(self, tables: Sequence[Table]) -> None:
        """Lock tables against TRUNCATE and ALTER TABLE until the end of the snapshot; rows may still be written.

        Raises CannotFinish when one of them was rewritten or truncated since the snapshot was taken, when somebody
        holds a lock that does not end; BadInput when one is gone.
        """
        before = self._files(self.connection)
        for table in tables:
            with told(table.qualified):
                self.connection.execute(f"LOCK TABLE {table.sql} IN ACCESS SHARE MODE".encode())
        fresh = self._connect()
        try:
            now = self._files(fresh)
        finally:
            fresh.close()
        held = {table.qualified for table in tables}
        for name, file in before.items():
            is_partition = file[2]
            if (name in held or is_partition) and file != now.get(name):
                raise CannotFinish(
                    "it was truncated or rewritten while the snapshot was taken",
                    object=name,
                    next="run again, when nobody alters the database",
                )

    def _files(self, connection: psycopg.Connection) -> dict[str, tuple[int, int, bool]]:
        """Which file holds each table's rows: a rewritten table gets another one."""
        with told("the catalog of the database"):
            return {name: (oid, file, part) for name, oid, file, part in connection.execute(_FILES)}

    def _connect(self) -> psycopg.Connection:
        return connect(self._url, self._password, statement_timeout_seconds=self._seconds)
