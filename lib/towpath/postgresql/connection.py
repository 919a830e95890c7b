"""A connection to a PostgreSQL source: for reading only, with settings that make its texts the same everywhere.

Row security is switched off: a table whose policies would hide rows from this user is then an error, not a table with
fewer rows.  What fails is told in one line; a password is never part of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import psycopg
from psycopg import errors

from towpath.errors import BadInput, CannotFinish, TowpathError, WrongUse
from towpath.secrets import Secret, scrub

CONNECT_SECONDS = 15
STATEMENT_SECONDS = 3600.0
SETTINGS = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
    "extra_float_digits": "1",  # the shortest text that is the same double
    "bytea_output": "hex",
    "search_path": "",
    "row_security": "off",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "synchronize_seqscans": "off",  # rows in the order of the heap, every time
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "60s",
    "application_name": "towpath",
}
ELSEWHERE = ("PGHOSTADDR", "PGSERVICE")  # libpq goes where they say, whatever the host of a URL is
LIVE = "look that the server is up, and that source_database names its host and port"
REPORT = "open an issue with this line"
USER = "correct the user in source_database"
DATABASE = "correct the database's name in source_database"
PASSWORD = "correct the user in source_database, and the secret that source_password names"
ENTRY = "ask its administrator for an entry for this machine"
_TOLD = (  # what libpq says when there is no SQLSTATE to ask for -> what we say, and what to do
    (r"password authentication failed|no password supplied", "refuses the user or the password", PASSWORD),
    (r"no pg_hba\.conf entry", "does not let this user in from here (pg_hba.conf)", ENTRY),
    (r'database ".*" does not exist', "has no database of this name", DATABASE),
    (r'role ".*" (does not exist|is not permitted)', "does not know this user", USER),
    (r"too many clients|remaining connection slots", "has no connection left", "close other connections, or wait"),
    (r"starting up|shutting down|recovery mode", "is starting or stopping", "wait until it is up, then run again"),
    (r"could not translate host name|Name or service not known|resolve", "is unreachable: nobody knows its name", LIVE),
    (r"refused|timeout|timed out|unreachable|No such file|closed the connection|No route", "is unreachable", LIVE),
)


def connect(
    url: str, password: Secret | None, *, statement_timeout_seconds: float = STATEMENT_SECONDS
) -> psycopg.Connection:
    """Open a connection for reading: its first query begins a REPEATABLE READ transaction, which `rollback` ends.

    `url`: postgresql://user@host:port/database, without password.  Raises WrongUse for another URL, CannotFinish when
    the server does not answer or does not let us in, BadInput when the database cannot be read as it must be.
    """
    name = address(url)
    for variable in ELSEWHERE:
        if os.environ.get(variable):
            step = f"unset {variable}: source_database alone says where the source is"
            raise WrongUse("the environment may lead libpq to another server", object=variable, next=step)
    try:
        connection = psycopg.connect(
            url,
            password=password.reveal() if password is not None else None,
            connect_timeout=CONNECT_SECONDS,
            client_encoding="UTF8",
            autocommit=True,
            prepare_threshold=None,  # a pooler may stand between
        )
    except psycopg.Error as error:
        raise _refused(error, name) from None
    try:
        with told(name):
            milliseconds = str(int(statement_timeout_seconds * 1000))
            for setting, value in {**SETTINGS, "statement_timeout": milliseconds}.items():
                connection.execute("SELECT set_config(%s, %s, false)", (setting, value))
            _readable(connection, name)
            if connection.info.server_version >= 170_000:
                connection.execute("SELECT set_config('transaction_timeout', '0', false)")
    except TowpathError:
        connection.close()
        raise
    connection.autocommit = False
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def writing(url: str, password: Secret | None) -> psycopg.Connection:
    """The same for the way back, which alone writes to a source.  Raises what `connect` does."""
    connection = connect(url, password)
    connection.read_only = False
    return connection


def address(url: str) -> str:
    """`host:port/database` of a URL, for messages.  Raises WrongUse for what is no such URL or holds a password."""
    try:
        parts = urlsplit(url)
        port, options = parts.port, parse_qs(parts.query)
    except ValueError:
        parts, port, options = urlsplit(""), None, {}
    if parts.scheme not in ("postgresql", "postgres") or len(parts.path) < 2:
        raise WrongUse(
            "is not the URL of a PostgreSQL database",
            object="source_database",
            next="write postgresql://user@host:port/database",
        )
    if parts.password is not None or "password" in options:
        raise WrongUse(
            "the URL holds a password", object="source_database", next="take it out, and name it in source_password"
        )
    return f"{parts.hostname or 'local socket'}:{port or 5432}{parts.path}"


@contextmanager
def told(object: str) -> Iterator[None]:
    """Say in one line what a query met with; `object` names the table, or the database.

    Raises BadInput where the source must change, CannotFinish where something outside stopped the work.
    """
    try:
        yield
    except errors.QueryCanceled as error:
        if "timeout" not in str(error):
            raise CannotFinish("somebody cancelled the query", object=object, next="run again") from None
        step = "run it when the server has less to do"
        raise CannotFinish("the statement took longer than its time-out", object=object, next=step) from None
    except errors.LockNotAvailable:
        step = "wait until whoever alters it has finished, then run again"
        raise CannotFinish("somebody else keeps it locked", object=object, next=step) from None
    except errors.InsufficientPrivilege as error:
        if "row-level security" in str(error):
            step = "give the user BYPASSRLS, or read as the owner of the table"
            raise BadInput("row security hides rows of it from this user", object=object, next=step) from None
        step = "GRANT SELECT on it, and USAGE on its schema, to the user of source_database"
        raise BadInput(f"permission denied: {_line(error)}", object=object, next=step) from None
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedObject, errors.InvalidSchemaName) as error:
        step = "begin again with 01-inventory"
        raise BadInput(f"changed since the inventory: {_line(error)}", object=object, next=step) from None
    except (errors.CharacterNotInRepertoire, errors.UntranslatableCharacter) as error:
        step = "repair these bytes in the source"
        raise BadInput(f"a text is not in its encoding: {_line(error)}", object=object, next=step) from None
    except errors.SerializationFailure as error:
        step = "raise max_standby_streaming_delay on the replica, or read from the primary"
        raise CannotFinish(f"the replica took its rows away: {_line(error)}", object=object, next=step) from None
    except errors.InternalError_ as error:
        if not re.search("cache lookup failed|could not open relation", str(error)):
            raise CannotFinish(f"the server reports: {_line(error)}", object=object, next=REPORT) from None
        step = "run again when nobody alters it"  # catalog functions see the present, not the snapshot
        raise CannotFinish("the schema was altered while it was read", object=object, next=step) from None
    except errors.DataCorrupted as error:
        step = "repair or restore the database"
        raise BadInput(f"the server finds it damaged: {_line(error)}", object=object, next=step) from None
    except psycopg.OperationalError as error:
        step = f"{LIVE}; then run again"
        raise CannotFinish(f"the server went away: {_line(error)}", object=object, next=step) from None
    except psycopg.Error as error:
        raise CannotFinish(f"the server refuses a query: {_line(error)}", object=object, next=REPORT) from None


def _refused(error: psycopg.Error, name: str) -> CannotFinish:
    text = str(error)
    for pattern, what, step in _TOLD:
        if re.search(pattern, text):
            return CannotFinish(f"the server {what}", object=name, next=step)
    return CannotFinish(f"no connection: {_line(error)}", object=name, next=LIVE)


def _readable(connection: psycopg.Connection, name: str) -> None:
    rows = connection.execute("SELECT current_setting('server_encoding'), current_setting('server_version_num')::int")
    encoding, version = rows.fetchone() or ("", 0)
    if encoding == "SQL_ASCII":
        raise BadInput(
            "the database has the encoding SQL_ASCII: it does not know which characters its bytes are",
            object=name,
            code="PG101",
            next="dump it with the encoding that its application writes, and restore it into a database of UTF8",
        )
    if version < 120_000:
        step = "restore a dump of it on a server of version 12 or later"
        raise BadInput(f"the server has version {version // 10_000}", object=name, next=step)


def _line(error: psycopg.Error) -> str:
    """The first line of what the server said, without values: those stand in the lines that follow."""
    return scrub((error.diag.message_primary or str(error)).strip().splitlines()[0]) if str(error) else "no word"
