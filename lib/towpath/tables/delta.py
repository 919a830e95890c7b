"""The changes since the export as ready statements, in an order that no constraint of the target can break.

  0  triggers away (they would fire on every row that is written); indexes for a while, where each row that goes would
     be looked for in every row of another table
  1  vacate: a unique value that moves to another row is taken from its old row first
  2  upserts, parents first; references inside a circle are left for step 3
     (children first, and all in one transaction that defers the foreign keys, where what they refer to changes too)
  3  links: those references, now that every row is there
  4  deletes, children first, so that nothing cascades
  5  those indexes away; sequences, and the triggers back
  6  virtual tables that own their content, in transactions of their own

Each chunk carries a receipt like those of the load, so that a delta that is cut goes on where it stopped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apsw

from towpath.errors import BadInput
from towpath.tables import encode
from towpath.tables.changes import TableChanges
from towpath.tables.export import CHUNK_BYTES, DEFERRED, TOGETHER_BYTES, Exporter, cannot_write, clear
from towpath.tables.load import sequence_statements
from towpath.tables.manifest import ChunkWriter, Manifest
from towpath.tables.relation import Relation
from towpath.tables.schema import OWN_PREFIX, Named, Table, literal, quoted
from towpath.tables.snapshot import schema_digest
from towpath.tables.statements import Sink, by_key, insert_header, item, link_statement, longest
from towpath.tables.vacate import moves_referred_value, referred_columns, vacate

SCANNED_ROWS = 5_000_000  # rows that may be looked at in vain before an index is worth its making: about a second


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
    try:
        clear(new.folder)
        if delta.changed or new.schema.sequences != base.sequences:
            _write_chunks(writer, delta.statements(base.sequences), delta.named if delta.deferred else "")
        if delta.filled:
            _write_chunks(writer, delta.filling())
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


def _write_chunks(writer: ChunkWriter, statements: Iterable[tuple[bytes, int]], together: str = "") -> None:
    """`together`: the tables whose changes share one transaction that defers the foreign keys."""
    items, size, rows = [DEFERRED] if together else [], 0, 0
    for statement, count in statements:
        if items and size + len(statement) > CHUNK_BYTES and not together:
            writer.append("delta.chunks", "delta", "delta", rows, writer.pack(items))
            items, size, rows = [], 0, 0
        items.append(statement)
        size, rows = size + len(statement), rows + count
        if together and size > TOGETHER_BYTES:
            raise BadInput(
                "references and what they refer to changed together, too much of it for one transaction",
                object=together,
                next="begin again with 03-export",
            )
    writer.append("delta.chunks", "delta", "delta", rows, writer.pack(items))


class _Delta:
    def __init__(
        self, new: Exporter, changes: dict[str, TableChanges], triggers: Sequence[Named], rebuild: Sequence[str]
    ) -> None:
        self.new, self.changes = new, changes
        self.triggers = triggers
        self.rebuild = rebuild
        moved = [change for change in changes.values() if change.count]  # parents first
        self.changed = [change for change in moved if self._relation(change).table.kind != "virtual"]
        self.filled = [change for change in moved if self._relation(change).table.kind == "virtual"]
        self.referred = {c.entry.name: referred_columns(new.schema, self._relation(c).table) for c in self.changed}
        vacated = [vacate(new.schema, self._relation(change), change) for change in self.changed]
        self.vacating = [sql for one in vacated for sql in one.statements]
        self.deferred = any(one.deferred for one in vacated) or any(
            new.order.group_of(change.entry.name)
            or moves_referred_value(self._relation(change), change, self.referred[change.entry.name])
            for change in self.changed
        )

    @property
    def named(self) -> str:
        """The changed tables, for a message."""
        return ", ".join(change.entry.name for change in self.changed)

    def _relation(self, change: TableChanges) -> Relation:
        return self.new.relations[change.entry.name]

    def filling(self) -> Iterator[tuple[bytes, int]]:
        """The statements for virtual tables that own their content: no reference and no trigger knows their rows."""
        for change in self.filled:
            yield from self._upserts(change)
            yield from self._deletes(change)

    def statements(self, sequences: Mapping[str, int]) -> Iterator[tuple[bytes, int]]:
        """The statements as JSON items, each with the number of rows it changes; `sequences` are the target's."""
        triggers = self._triggers()
        for trigger in triggers:
            yield item(f"DROP TRIGGER IF EXISTS {quoted(trigger.name)}".encode()), 0
        searched = self._searched()
        for name, where in searched.items():
            yield item(f"CREATE INDEX IF NOT EXISTS {name} ON {where}".encode()), 0
        for sql in self.vacating:
            yield item(sql.encode()), 0
        # where the check of references is deferred, children first: then no action of a foreign key finds any to act on
        for change in reversed(self.changed) if self.deferred else self.changed:
            yield from self._upserts(change)
        for change in self.changed:
            yield from self._links(change)
        for change in reversed(self.changed):
            yield from self._deletes(change)
        for name in searched:
            yield item(f"DROP INDEX IF EXISTS {name}".encode()), 0
        now = self.new.schema.sequences
        if now != sequences:
            gone = sorted(sequences.keys() - now.keys())
            forget = [f"DELETE FROM sqlite_sequence WHERE name = {literal(table)}" for table in gone]
            for sql in (*forget, *sequence_statements(now)):
                yield item(sql.encode()), 0
        for sql in self.rebuild:
            yield item(sql.encode()), 0
        for trigger in triggers:
            yield item(trigger.sql.encode()), 0

    def _triggers(self) -> list[Named]:
        touched = {change.entry.name.lower() for change in self.changed}
        return [t for t in self.triggers if t.table.lower() in touched]

    def _deletes(self, change: TableChanges) -> Iterator[tuple[bytes, int]]:
        relation = self._relation(change)
        for sql, count in by_key(f"DELETE FROM {quoted(relation.name)}", relation, list(change.deleted)):
            yield item(sql.encode()), count

    def _upserts(self, change: TableChanges) -> Iterator[tuple[bytes, int]]:
        name = change.entry.name
        relation = self.new.relations[name]
        late = frozenset(self.new.order.late.get(name, ()))
        insert = Sink(insert_header(relation), b"" if relation.written_anew else _on_conflict(relation, late))
        update = insert
        if relation.carries_rowid and self.referred.get(name):
            update = Sink(*_update(relation, late))  # there is no key to conflict on, and others hold on to the row
        elif relation.written_anew:
            for sql, _ in by_key(f"DELETE FROM {quoted(name)}", relation, list(change.updated)):
                yield item(sql.encode()), 0
        room = min(longest(sink.header, sink.tail) for sink in (insert, update))
        for low, high in change.ranges:
            for row in encode.rows(self.new.db, relation, late, low, high, room):
                if row.key in change.updated:
                    update.add(row)
                elif row.key in change.inserted:
                    insert.add(row)
        for sink in (update, insert) if update is not insert else (insert,):
            for number, statement in enumerate(sink.finish()):
                yield statement, 0 if number else sink.rows

    def _links(self, change: TableChanges) -> Iterator[tuple[bytes, int]]:
        name = change.entry.name
        late = self.new.order.late.get(name, ())
        if not late:
            return
        relation = self.new.relations[name]
        # a row that goes must not hold another one that goes
        empty = ", ".join(f"{quoted(c)} = NULL" for c in late)
        for sql, _ in by_key(f"UPDATE {quoted(name)} SET {empty}", relation, list(change.deleted)):
            yield item(sql.encode()), 0
        values, head, tail = link_statement(relation, late)
        links = Sink(head, tail)
        for condition, _ in by_key("", relation, [*change.inserted, *change.updated]):
            for literal_tuple in encode.tuples(self.new.db, relation, values, condition.removeprefix(" WHERE ")):
                links.add(encode.Row(literal_tuple, ""))
        yield from ((statement, 0) for statement in links.finish())

    def _searched(self) -> dict[str, str]:
        """Indexes to make for a while, by name: without one, each parent that goes costs a scan of its children."""
        rows = {change.entry.name.lower(): change.entry.rows for change in self.changes.values()}
        going = {
            change.entry.name.lower(): len(change.deleted) + (len(change.updated) if self.deferred else 0)
            for change in self.changed
        }
        wanted = [
            f"{quoted(table.name)} ({', '.join(map(quoted, fk.columns))})"
            for table in self.new.schema.moving
            for fk in table.foreign_keys
            if going.get(fk.parent.lower(), 0) * rows.get(table.name.lower(), 0) > SCANNED_ROWS
            and not _finds(table, fk.columns)
        ]
        return {f"{OWN_PREFIX}delta_{n}": where for n, where in enumerate(dict.fromkeys(wanted))}


def _finds(table: Table, columns: Sequence[str]) -> bool:
    """True if an index of the table begins with these columns, in any order."""
    asked = {column.lower() for column in columns}
    if len(asked) == 1 and (table.rowid_alias or "").lower() in asked:
        return True
    heads = [index.columns[: len(asked)] for index in table.indexes if not index.partial]
    return any({str(column).lower() for column in head} == asked for head in heads)


def _update(relation: Relation, late: frozenset[str]) -> tuple[bytes, bytes]:
    """What stands before and after the tuples of rows that are updated by their rowid."""
    table, rowid = quoted(relation.name), relation.key[0]
    numbers = enumerate(relation.columns, 2)
    sets = ", ".join(f"{quoted(c)} = v.column{n}" for n, c in numbers if c not in late)
    return f"UPDATE {table} SET {sets} FROM (VALUES\n".encode(), f"\n) AS v WHERE {table}.{rowid} = v.column1".encode()


def _on_conflict(relation: Relation, late: frozenset[str]) -> bytes:
    keys = set(relation.key)
    sets = [f"{quoted(c)} = excluded.{quoted(c)}" for c in relation.columns if quoted(c) not in keys and c not in late]
    action = f"DO UPDATE SET {', '.join(sets)}" if sets else "DO NOTHING"
    return f"\nON CONFLICT ({', '.join(relation.key)}) {action}".encode()
