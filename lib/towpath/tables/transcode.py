"""A UTF-16 snapshot written again as UTF-8, which is what D1 stores.

The literals and digests of an export count bytes, and the bytes of a UTF-16 database are not those of its target.
SQLite cannot change the encoding of a database that holds tables, so the rows are read and written once, before
anything else looks at them.  Values keep their storage class; the rowid of every row stays.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from towpath.errors import BadInput
from towpath.tables.schema import INTERNAL, Schema, Table, quoted, reflect


def as_utf8(path: Path, draft: Path) -> None:
    """Write the database `path` again as `draft`, in UTF-8.

    Raises BadInput for what cannot be carried over as it is: virtual tables, text that is not valid UTF-16.
    """
    source, target = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY), apsw.Connection(str(draft))
    try:
        schema = reflect(source)
        virtual = [table.name for table in schema.tables if table.kind == "virtual"]
        if virtual:
            raise BadInput(
                "a UTF-16 database with virtual tables cannot be moved",
                object=", ".join(virtual),
                next="drop the virtual tables in a copy of the source, or convert it to UTF-8, and name that file",
            )
        for pragma in (
            "encoding = 'UTF-8'",
            "journal_mode = OFF",
            "foreign_keys = OFF",
            "ignore_check_constraints = ON",
        ):
            target.execute(f"PRAGMA {pragma}").fetchall()
        with target:
            _copy(source, target, schema)
    finally:
        source.close()
        target.close()


def _copy(source: apsw.Connection, target: apsw.Connection, schema: Schema) -> None:
    for table in schema.moving:
        target.execute(table.sql)
    for table in schema.moving:
        _rows(source, target, table)
    if schema.sequences:
        target.execute("DELETE FROM sqlite_sequence")
        target.executemany("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", schema.sequences.items())
    made = source.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL"
        " ORDER BY CASE type WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid"
    )
    for name, sql in list(made):
        if not INTERNAL.match(name):
            target.execute(sql)


def _rows(source: apsw.Connection, target: apsw.Connection, table: Table) -> None:
    names = [quoted(column.name) for column in table.stored]
    free = next((n for n in ("rowid", "_rowid_", "oid") if n not in {c.name.lower() for c in table.columns}), None)
    if not table.without_rowid and table.rowid_alias is None and free:
        names.insert(0, free)
    listed = ", ".join(names)
    insert = f"INSERT INTO {quoted(table.name)} ({listed}) VALUES ({', '.join('?' * len(names))})"
    try:
        target.executemany(insert, source.execute(f"SELECT {listed} FROM {quoted(table.name)}"))
    except UnicodeDecodeError:
        raise BadInput(
            "holds text that is not valid UTF-16", object=table.name, next="repair the text in the source"
        ) from None
