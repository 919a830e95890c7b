"""The rows of tables, read by COPY in threads of their own and handed over as INSERT statements of SQLite.

The form of the messages: postgresql.org/docs/18/sql-copy.html (Binary Format).  The server sends one message for each
row; with one column in a row, its bytes stand behind a count of fields (2 bytes) and a length (4 bytes).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from towpath.errors import TowpathError
from towpath.postgresql.catalog import Table, quoted
from towpath.postgresql.connection import told
from towpath.postgresql.snapshot import Snapshot
from towpath.postgresql.types import tuple_sql

STATEMENT_BYTES = 256_000  # of one INSERT, unless one row is longer
QUEUED = 4  # statements that wait for SQLite
STOP_SECONDS = 0.2  # how long a thread waits at a full queue before it looks whether it should stop
_HEADER, _BEFORE, _TRAILER = 19, 6, b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Part:
    """One INSERT."""

    sql: str
    rows: int


@dataclass(frozen=True, slots=True)
class End:
    """A table is done: what was sent, what PostgreSQL counts; or why it could not be read."""

    table: Table
    rows: int = 0
    bytes: int = 0
    counted: int = 0
    error: str = ""


Item = Part | End | BaseException
Items = queue.Queue[Item]
_Put = Callable[[Item], None]


class _Stopped(Exception):
    """Nobody waits for more rows."""


class Reading:
    """One thread with one connection, which takes tables from `work` until none is left."""

    def __init__(self, snapshot: Snapshot, work: queue.SimpleQueue[Table]) -> None:
        self._snapshot, self._work = snapshot, work
        self._connection = snapshot.reader()

    def run(self, items: Items, stop: threading.Event) -> None:
        """Read tables; what goes wrong with one of them alone ends that table, anything else is handed over."""

        def put(item: Item) -> None:
            while not stop.is_set():
                try:
                    return items.put(item, timeout=STOP_SECONDS)
                except queue.Full:
                    continue
            raise _Stopped

        try:
            while True:
                try:
                    table = self._work.get_nowait()
                except queue.Empty:
                    return
                put(self._table(table, put))
        except _Stopped:
            return
        except BaseException as error:
            if not stop.is_set():
                items.put(error)

    def _table(self, table: Table, put: _Put) -> End:
        connection = self._connection
        try:
            return _rows(connection, table, put)
        except TowpathError as error:
            if connection.broken or connection.closed:
                raise
            connection.rollback()
            self._snapshot.join(connection)
            return End(table, error=error.line)


def _rows(connection: psycopg.Connection, table: Table, put: _Put) -> End:
    with told(table.qualified):
        rows = size = 0
        start = f"INSERT INTO {quoted(table.flat)} VALUES".encode()
        for tuples, length in _batches(connection, table):
            rows, size = rows + len(tuples), size + length
            put(Part((start + b",".join(tuples)).decode(), len(tuples)))
        found = connection.execute(f"SELECT count(*) FROM {table.from_sql}".encode()).fetchone()
        return End(table, rows, size, found[0] if found else -1)


def _batches(connection: psycopg.Connection, table: Table) -> Iterator[tuple[list[bytes], int]]:
    """Literal tuples, as many as make one statement."""
    sql = f"COPY (SELECT {tuple_sql(table.columns)} FROM {table.from_sql}) TO STDOUT (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
        tuples: list[bytes] = []
        length, skip = 0, _HEADER + _BEFORE
        for message in copy:
            data = bytes(message[skip:])
            if skip > _BEFORE:
                skip = _BEFORE
                if not data:
                    continue  # a table without rows: header and trailer in one
            elif len(message) == len(_TRAILER):
                continue
            if length + len(data) > STATEMENT_BYTES and tuples:
                yield tuples, length
                tuples, length = [], 0
            tuples.append(data)
            length += len(data) + 1
        if tuples:
            yield tuples, length


@contextmanager
def together(readings: Sequence[Reading]) -> Iterator[Items]:
    """Run readings in threads, and stop them at the end of the block, whatever happened in it."""
    items: Items = queue.Queue(QUEUED)
    stop = threading.Event()
    threads = [threading.Thread(target=reading.run, args=(items, stop), daemon=True) for reading in readings]
    for thread in threads:
        thread.start()
    try:
        yield items
    finally:
        stop.set()
        for thread in threads:
            thread.join()
