"""Virtual tables: which of them D1 can have, and how their content gets there.

Their storage (shadow tables) is never copied: the module makes it again.  An FTS5 index over another table is rebuilt
from that table's rows.  One that owns its text, and an R*Tree, are filled: made with the tables, and their rows are
exported, sent, compared and brought up to date like those of any table, named by their rowid.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import apsw

from towpath.checks import Decision, decide
from towpath.errors import BadInput
from towpath.tables.ddl import closing, split_list, spoken, written
from towpath.tables.dialect import MODULES
from towpath.tables.relation import MOST_COLUMNS, Key, Relation
from towpath.tables.schema import Schema, Table, literal, quoted

OWN_CONTENT = "TB116"
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


def ranking(db: apsw.Connection, schema: Schema, made: Collection[str]) -> list[str]:
    """Statements that give the FTS5 tables among `made` the order of results that the source's were told to use."""
    out = []
    for table in schema.tables:
        if table.kind == "virtual" and table.name in made and read_virtual(table).module == "fts5":
            config = quoted(f"{table.name}_config")
            for (value,) in db.execute(f"SELECT quote(v) FROM {config} WHERE k = 'rank'"):
                names = f"{quoted(table.name)}, rank"
                out.append(f"INSERT INTO {quoted(table.name)} ({names}) VALUES ('rank', {value})")
    return out


def filled(schema: Schema, decisions: Sequence[Decision]) -> dict[str, Relation]:
    """The virtual tables whose rows move like those of any table, by name: TB116 decided, fill.

    Raises BadInput for one with more columns than its rows can travel with.
    """
    out = {}
    for table in schema.tables:
        if table.kind != "virtual" or read_virtual(table).way != FILLED:
            continue  # a pattern may name any
        decision = decide(OWN_CONTENT, table.name, decisions)
        if decision is not None and decision.do == "fill":
            out[table.name] = Relation(table, _key(table))
    return out


def _key(table: Table) -> Key:
    """FTS5 has a rowid that is no column, R*Tree has it as its first column, under any name."""
    if read_virtual(table).module != "fts5":
        return Key((quoted(table.stored[0].name),), False, False)
    if len(table.stored) >= MOST_COLUMNS:  # the rowid would be one value too many
        raise BadInput(
            f"an FTS5 table of {MOST_COLUMNS} columns: its rows cannot travel with their rowid",
            object=table.name,
            next="decide drop for TB116, and fill the table again in the new application",
        )
    return Key(("rowid",), True, False)
