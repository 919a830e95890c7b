"""Fills the database `spark`: tables, rows by COPY through SQLAlchemy's connection, then indexes and triggers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine
from sqlalchemy.schema import CreateIndex, CreateSchema, CreateSequence, CreateTable

from ..models import Base
from ..models.derived import after_rows, before_rows
from ..models.events import IDS
from ..planted import SEQUENCES_AHEAD, ZONE
from ..settings import DATABASE, Settings
from . import events, people, quizzes
from .cast import Cast

CHUNK = 4_000  # lines that go to the server together
TABLES: tuple[tuple[str, str, Callable[[Cast], Iterator[str]]], ...] = (
    ("users", people.USERS, people.users),
    ("quiz_results", quizzes.RESULTS, quizzes.results),
    ("share_cards", quizzes.CARDS, quizzes.cards),
    ("saved_quizzes", quizzes.SAVED, quizzes.saved),
    ("quiz_analytics", quizzes.ANALYTICS, quizzes.analytics),
    ("purchases", people.PURCHASES, people.purchases),
    ("user_badges", people.BADGES, people.badges),
    ("quiz_events", events.EVENTS, events.events),
    ("import_log", events.LOG, events.log),
    ("stats.daily_counts", events.COUNTS, events.counts),
)


def fill(settings: Settings, cast: Cast, report: Callable[[int], None]) -> dict[str, int]:
    """Make the database anew and fill it; return the rows of each table.  `report` is called with rows written."""
    server = settings.postgresql
    with psycopg.connect(server.url("postgres"), password=server.password, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'")
        admin.execute(f"ALTER DATABASE {DATABASE} SET TimeZone TO '{ZONE}'")
        admin.execute(f"COMMENT ON DATABASE {DATABASE} IS 'Personality Spark'")
    engine = create_engine(settings.database_url)
    try:
        with engine.begin() as connection:
            _tables(connection)
            made = {}
            for table, columns, lines in TABLES:
                made[table] = _copy(connection, table, columns, lines(cast), report)
            _finish(connection)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    finally:
        engine.dispose()
    return made


def _tables(connection: Connection) -> None:
    connection.execute(CreateSchema("stats"))
    Base.metadata.create_all(connection, tables=[])  # the types
    connection.execute(CreateSequence(IDS))
    for table in Base.metadata.sorted_tables:
        connection.execute(CreateTable(table))
        if table.comment:
            connection.exec_driver_sql(f"COMMENT ON TABLE {table.fullname} IS '{_quoted(table.comment)}'")
        for column in table.columns:
            if column.comment:
                where = f"{table.fullname}.{column.name}"
                connection.exec_driver_sql(f"COMMENT ON COLUMN {where} IS '{_quoted(column.comment)}'")
    for statement in before_rows():
        connection.exec_driver_sql(statement)


def _finish(connection: Connection) -> None:
    # indexes after the rows, which is several times faster; that goes for the checks of references too
    for table in Base.metadata.sorted_tables:
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            connection.execute(CreateIndex(index))
    for statement in after_rows():
        connection.exec_driver_sql(statement)
    for sequence, ahead in SEQUENCES_AHEAD.items():
        table = sequence.removesuffix("_id_seq")
        connection.exec_driver_sql(f"SELECT setval('{sequence}', (SELECT max(id) FROM {table}) + {ahead})")


def _copy(connection: Connection, table: str, columns: str, lines: Iterator[str], report: Callable[[int], None]) -> int:
    driver: Any = connection.connection.driver_connection
    rows, waiting = 0, []
    with driver.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # references hold, they need no check
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for line in lines:
                waiting.append(line)
                if len(waiting) == CHUNK:
                    copy.write("".join(waiting))
                    rows += CHUNK
                    report(CHUNK)
                    waiting.clear()
            copy.write("".join(waiting))
        cursor.execute("SET LOCAL session_replication_role = origin")
    report(len(waiting))
    return rows + len(waiting)


def _quoted(text: str) -> str:
    return text.replace("'", "''")
