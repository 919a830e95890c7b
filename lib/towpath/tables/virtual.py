"""Virtual tables: which of them D1 can have, and how their content gets there.

Their storage (shadow tables) is never copied: the module makes it again.  An FTS5 index over another table is rebuilt
from that table's rows; one that owns its text, and an R*Tree, are filled from their own rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apsw

from towpath.errors import BadInput
from towpath.tables.ddl import closing, split_list, spoken, written
from towpath.tables.dialect import MODULES
from towpath.tables.literals import exact_literal, row_expression
from towpath.tables.schema import Table, literal, quoted

STATEMENT_BYTES = 98_000

REBUILT, FILLED, EMPTY, IMPOSSIBLE = "rebuilt", "filled", "empty", "impossible"


@dataclass(frozen=True, slots=True)
class Virtual:
    """What a CREATE VIRTUAL TABLE says."""

    module: str  # lower case
    arguments: tuple[str, ...]
    way: str  # rebuilt, filled, empty (holds nothing of its own), impossible


def read_virtual(table: Table) -> Virtual:
    """Read the declaration of a virtual table."""
    parts = spoken(table.sql)
    at = next((i for i, t in enumerate(parts) if t.word("USING")), len(parts) - 2)
    module = (parts[at + 1].identifier or "").lower()
    opening = at + 2
    inside = split_list(parts[opening + 1 : closing(parts, opening)]) if opening < len(parts) else []
    arguments = tuple(written(argument).strip() for argument in inside if argument)
    if module not in MODULES:
        return Virtual(module, arguments, IMPOSSIBLE)
    if module == "fts5vocab":
        return Virtual(module, arguments, EMPTY)
    if module != "fts5":
        return Virtual(module, arguments, FILLED)
    for argument in inside:
        if len(argument) >= 3 and argument[0].word("CONTENT") and argument[1].sign("="):
            # content='' keeps no text at all: nothing to fill it from
            return Virtual(module, arguments, REBUILT if argument[2].identifier else IMPOSSIBLE)
    return Virtual(module, arguments, FILLED)


def after_statements(table: Table) -> tuple[str, ...]:
    """Statements that fill a rebuilt table, once the table it stands over is loaded."""
    if read_virtual(table).way == REBUILT:
        return (f"INSERT INTO {quoted(table.name)} ({quoted(table.name)}) VALUES ({literal('rebuild')})",)
    return ()


def fill_statements(db: apsw.Connection, table: Table) -> Iterator[str]:
    """INSERT statements, each below D1's limit, that fill a `filled` virtual table from the source's rows.

    Raises BadInput for a row that no statement can carry.
    """
    names = [quoted(column.name) for column in table.stored]
    if read_virtual(table).module == "fts5":
        names = ["rowid", *names]
    header = f"INSERT INTO {quoted(table.name)} ({', '.join(names)}) VALUES\n"
    pending: list[str] = []
    size = 0
    for (row,) in db.execute(f"SELECT {row_expression(names, exact_literal)} FROM {quoted(table.name)}"):
        text = str(row)
        if len(header) + len(text) > STATEMENT_BYTES:
            raise BadInput(
                f"a row of {len(text):,} bytes is too long for one statement",
                object=table.name,
                next="decide drop for TB116, and fill the table again in the new application",
            )
        if pending and len(header) + size + len(text) + 2 * len(pending) > STATEMENT_BYTES:
            yield header + ",\n".join(pending)
            pending, size = [], 0
        pending.append(text)
        size += len(text)
    if pending:
        yield header + ",\n".join(pending)
