"""Read what a database declares from its own catalog (pg_catalog), never from a dump.

Everything is read in the transaction that the connection is in, so that it is of one moment; sequences alone tell their
present value whatever the transaction (postgresql.org/docs/18/functions-sequence.html).
"""

from __future__ import annotations

from dataclasses import replace

import psycopg

from towpath.errors import BadInput
from towpath.postgresql.catalog import Catalog, Domain, Enum
from towpath.postgresql.connection import told
from towpath.postgresql.reflect_objects import (
    read_functions,
    read_large_objects,
    read_objects,
    read_others,
    read_sequences,
    read_triggers,
)
from towpath.postgresql.reflect_relations import read_tables, read_views
from towpath.postgresql.reflect_types import Types, read_domains, read_enums

_DATABASE = """
SELECT d.datname, current_setting('server_version'), current_setting('server_version_num')::int,
       pg_encoding_to_char(d.encoding), d.datcollate, pg_is_in_recovery(),
       CASE WHEN pg_is_in_recovery()
            THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 END
FROM pg_database d WHERE d.datname = current_database()
"""


def read_catalog(connection: psycopg.Connection) -> Catalog:
    """Read the catalog.  Raises BadInput or CannotFinish (`connection.told`) when it cannot be read."""
    with told("the catalog of the database"):
        row = connection.execute(_DATABASE).fetchone()
        if row is None:
            raise BadInput("the server does not list it", object="database", next="look at its catalog")
        types = Types(connection)
        tables = read_tables(connection, types)
        return Catalog(
            database=row[0],
            version=row[1],
            version_number=row[2],
            encoding=row[3],
            collation=row[4],
            is_replica=row[5],
            replay_delay_seconds=row[6],
            tables=tables,
            views=read_views(connection, types),
            triggers=read_triggers(connection),
            functions=read_functions(connection),
            sequences=read_sequences(connection),
            enums=read_enums(connection),
            domains=read_domains(connection, types),
            others=read_others(connection),
            objects=read_objects(connection),
            large_objects=read_large_objects(connection),
        )


def with_sequences(catalog: Catalog, connection: psycopg.Connection) -> Catalog:
    """The same catalog with the values that its sequences have now."""
    with told("the sequences of the database"):
        return replace(catalog, sequences=read_sequences(connection))


__all__ = ["Domain", "Enum", "read_catalog", "with_sequences"]
