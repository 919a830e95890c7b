"""The changes since the export as ready statements, in an order that no constraint of the target can break.

  0  triggers away (they would fire on every row that is written)
  1  vacate: a unique value that moves to another row is taken from its old row first
  2  upserts, parents first; references inside a circle are left for step 3
  3  links: those references, now that every row is there
  4  deletes, children first, so that nothing cascades
  5  sequences, and the triggers back

Each chunk carries a receipt like those of the load, so that a delta that is cut goes on where it stopped.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apsw

from towpath.errors import BadInput
from towpath.tables import encode
from towpath.tables.changes import TableChanges
from towpath.tables.export import CHUNK_BYTES, Exporter, cannot_write, clear
from towpath.tables.keys import key_literal
from towpath.tables.literals import exact_literal, row_expression
from towpath.tables.load import sequence_statements
from towpath.tables.manifest import ChunkWriter, Manifest
from towpath.tables.relation import Relation
from towpath.tables.schema import Column, Index, Named, Table, quoted
from towpath.tables.snapshot import schema_digest
from towpath.tables.statements import Sink, insert_header, item, longest


def write_delta(
    new: Exporter,
    changes: dict[str, TableChanges],
    base: Manifest,
    triggers: Sequence[Named],
    plan: str,
    source: dict[str, Any],
    rebuild: Sequence[str] = (),
) -> Manifest:
    """Write the chunks of a delta and the manifest of the new state into the new snapshot's folder.

    `triggers` are those of the target, as its schema was converted: they rest while the delta is written.  `rebuild`
    are statements to run after the rows, for what those triggers keep up to date.
    """
    delta = _Delta(new, changes, triggers, rebuild)
    writer = ChunkWriter(new.folder, f"{base.id}-{new.prefix}")
    moved = sum(change.count for change in changes.values())
    sequences = new.schema.sequences != base.sequences
    try:
        clear(new.folder)
        if moved or sequences:
            _write_chunks(writer, delta.statements(sequences))
        manifest = Manifest(
            id=new.prefix,
            created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            schema=schema_digest(new.schema),
            plan=plan,
            source=source,
            tables=tuple(change.entry for change in changes.values()),
            chunks=tuple(writer.chunks),
            sequences=new.schema.sequences,
            parked={name: count for name in changes if (count := new.parked_count(name))},
        )
        manifest.write(new.folder)
    except (OSError, apsw.FullError, apsw.IOError) as error:
        raise cannot_write(new.folder, error) from None
    return manifest


def _write_chunks(writer: ChunkWriter, statements: Iterable[tuple[bytes, int]]) -> None:
    items: list[bytes] = []
    size = rows = 0
    for statement, count in statements:
        if items and size + len(statement) > CHUNK_BYTES:
            writer.append("delta.chunks", "delta", "delta", rows, writer.pack(items))
            items, size, rows = [], 0, 0
        items.append(statement)
        size, rows = size + len(statement), rows + count
    writer.append("delta.chunks", "delta", "delta", rows, writer.pack(items))


class _Delta:
    def __init__(
        self, new: Exporter, changes: dict[str, TableChanges], triggers: Sequence[Named], rebuild: Sequence[str]
    ) -> None:
        self.new = new
        self.triggers = triggers
        self.rebuild = rebuild
        self.changes = changes
        self.changed = [change for change in changes.values() if change.count]  # parents first

    def statements(self, sequences: bool) -> Iterator[tuple[bytes, int]]:
        """The statements as JSON items, each with the number of rows it changes."""
        triggers = self._triggers()
        for trigger in triggers:
            yield item(f"DROP TRIGGER IF EXISTS {quoted(trigger.name)}".encode()), 0
        for change in self.changed:
            for sql in self._vacate(change):
                yield item(sql.encode()), 0
        for change in self.changed:
            yield from self._upserts(change)
        for change in self.changed:
            for sql in self._links(change):
                yield item(sql.encode()), 0
        for change in reversed(self.changed):
            relation = self.new.relations[change.entry.name]
            for sql, count in _by_key(f"DELETE FROM {quoted(relation.name)}", relation, list(change.deleted)):
                yield item(sql.encode()), count
        if sequences:
            for sql in sequence_statements(self.new.schema.sequences):
                yield item(sql.encode()), 0
        for sql in self.rebuild:
            yield item(sql.encode()), 0
        for trigger in triggers:
            yield item(trigger.sql.encode()), 0

    def _triggers(self) -> list[Named]:
        touched = {change.entry.name.lower() for change in self.changed}
        return [t for t in self.triggers if t.table.lower() in touched]

    def _upserts(self, change: TableChanges) -> Iterator[tuple[bytes, int]]:
        name = change.entry.name
        relation = self.new.relations[name]
        late = frozenset(self.new.order.late.get(name, ()))
        if relation.carries_rowid:  # no key to conflict on: an updated row is written anew under its rowid
            for sql, _ in _by_key(f"DELETE FROM {quoted(name)}", relation, list(change.updated)):
                yield item(sql.encode()), 0
        wanted = change.inserted.keys() | change.updated.keys()
        sink = Sink(insert_header(relation), b"" if relation.carries_rowid else _on_conflict(relation, late))
        room = longest(sink.header, sink.tail)
        for low, high in change.ranges:
            for row in encode.rows(self.new.db, relation, late, low, high, room):
                if row.key in wanted:
                    sink.add(row)
        done = 0
        for statement in sink.finish():
            yield statement, sink.rows if not done else 0
            done = 1

    def _links(self, change: TableChanges) -> Iterator[str]:
        name = change.entry.name
        late = self.new.order.late.get(name, ())
        relation = self.new.relations[name]
        if late and change.deleted:  # a row that goes must not hold another one that goes
            empty = ", ".join(f"{quoted(c)} = NULL" for c in late)
            yield from (sql for sql, _ in _by_key(f"UPDATE {quoted(name)} SET {empty}", relation, list(change.deleted)))
        keys = sorted(change.inserted.keys() | change.updated.keys()) if late else []
        for key in keys:
            values = self.new.db.execute(
                f"SELECT {row_expression([relation.value(c) for c in late], exact_literal)}"
                f" FROM {quoted(name)} WHERE {relation.key_sql} = {key_literal(key)}"
            ).get
            columns = ", ".join(quoted(c) for c in late)
            target = columns if len(late) == 1 else f"({columns})"
            yield f"UPDATE {quoted(name)} SET {target} = {values} WHERE {relation.key_sql} = {key_literal(key)}"

    def _vacate(self, change: TableChanges) -> Iterator[str]:
        """Take a unique value from the row that gives it up, where another changed row takes it over.

        A row that nothing refers to is deleted and comes back by its upsert; of any other row one column of the
        index is set aside, one that neither is a reference nor is referred to.
        """
        relation = self.new.relations[change.entry.name]
        table = relation.table
        for index in table.indexes:
            if not index.unique or index.origin == "pk":
                continue
            columns = _indexed(index, relation)
            keys = _conflicts(index, relation, columns, change)
            if not keys:
                continue
            referred = self._referred(table)
            if not referred:
                yield from (sql for sql, _ in _by_key(f"DELETE FROM {quoted(table.name)}", relation, keys))
                continue
            column = _free_column(table, columns, referred)
            for number, key in enumerate(keys):
                where = f"WHERE {relation.key_sql} = {key_literal(key)}"
                empty = None not in index.columns and not column.notnull  # an expression may make a value of NULL
                spare = "NULL" if empty else _placeholder(column, number)
                yield f"UPDATE {quoted(table.name)} SET {quoted(column.name)} = {spare} {where}"

    def _referred(self, table: Table) -> set[str]:
        """The columns of the table that a foreign key of any table names."""
        return {
            column.lower()
            for other in self.new.schema.moving
            for fk in other.foreign_keys
            if fk.parent.lower() == table.name.lower()
            for column in fk.parent_columns
        }


def _free_column(table: Table, columns: Sequence[str], referred: set[str]) -> Column:
    """The column of a unique index that may hold another value for a moment."""
    references = {column.lower() for fk in table.foreign_keys for column in fk.columns}
    free = [c for c in table.stored if c.name in columns and not c.key and c.name.lower() not in referred]
    nullable = [c for c in free if not c.notnull]
    plain = sorted((c for c in free if c.name.lower() not in references), key=lambda c: c.affinity != "TEXT")
    found = [*nullable, *plain]
    if not found:
        raise BadInput(
            f"a unique value moved between rows, and no column of UNIQUE ({', '.join(columns)}) can be set aside",
            object=table.name,
            next="undo that change in the source, or begin again with 03-export",
        )
    return found[0]


def _placeholder(column: Column, number: int) -> str:
    if column.affinity in ("TEXT", "BLOB"):
        return f"'towpath vacated ' || {number} || hex(randomblob(8))"
    return str(-(2**62) - number)


def _indexed(index: Index, relation: Relation) -> list[str]:
    """The columns of an index; for one over expressions, every column that its SQL names."""
    names = [c for c in index.columns if c is not None]
    if None in index.columns and index.sql:
        body = index.sql[index.sql.index("(") :]
        names += [c for c in relation.columns if re.search(rf"(?<!\w){re.escape(c)}(?!\w)", body, re.IGNORECASE)]
    return list(dict.fromkeys(names))


def _conflicts(index: Index, relation: Relation, columns: Sequence[str], change: TableChanges) -> list[str]:
    """Keys of rows whose old unique value another changed row may hold now.

    Texts are compared without case and outer spaces, numbers by value: a false alarm only costs one more statement.
    What an expression makes of its columns nobody computes here: every row in which they changed gives its value up.
    """
    places = [relation.columns.index(c) for c in columns if c in relation.columns]
    old = {**change.deleted, **{key: before for key, (before, _) in change.updated.items()}}
    new = {**change.inserted, **{key: after for key, (_, after) in change.updated.items()}}

    def held(cells: str) -> list[str]:
        parts = cells.split("|")
        return [parts[p] for p in places]

    def value(cells: str) -> tuple[object, ...]:
        return tuple(_folded(cell) for cell in held(cells))

    if None in index.columns:
        return [key for key, cells in old.items() if key not in new or held(new[key]) != held(cells)] if new else []
    taken: dict[tuple[object, ...], set[str]] = {}
    for key, cells in new.items():
        taken.setdefault(value(cells), set()).add(key)
    return [key for key, cells in old.items() if None not in value(cells) and taken.get(value(cells), set()) - {key}]


def _folded(cell: str) -> object:
    """A cell as a unique index may compare it; None stands for NULL, which equals nothing."""
    kind, data = cell[0], cell[1:]
    if kind == "n":
        return None
    if kind == "i":
        return int(data)
    if kind == "r":
        return float(data)
    return bytes.fromhex(data).decode("utf-8", "replace").strip().lower() if kind == "t" else cell


def _on_conflict(relation: Relation, late: frozenset[str]) -> bytes:
    keys = set(relation.key)
    sets = [f"{quoted(c)} = excluded.{quoted(c)}" for c in relation.columns if quoted(c) not in keys and c not in late]
    action = f"DO UPDATE SET {', '.join(sets)}" if sets else "DO NOTHING"
    return f"\nON CONFLICT ({', '.join(relation.key)}) {action}".encode()


def _by_key(head: str, relation: Relation, keys: list[str]) -> Iterator[tuple[str, int]]:
    """Statements that name their rows by key, each below the limit of one statement."""
    values = "VALUES " if len(relation.key) > 1 else ""
    start = f"{head} WHERE {relation.key_sql} IN ({values}"
    room = encode.STATEMENT_BYTES - len(start.encode())
    part: list[str] = []
    size = 0
    for key in keys:
        listed = key_literal(key)
        more = len(listed.encode()) + 2
        if part and size + more > room:
            yield f"{start}{', '.join(part)})", len(part)
            part, size = [], 0
        part.append(listed)
        size += more
    if part:
        yield f"{start}{', '.join(part)})", len(part)
