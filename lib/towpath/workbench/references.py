"""Rows that name files: read from the source or a snapshot, and read back from the target."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from towpath.cloudflare import D1
from towpath.errors import WrongUse
from towpath.fitting.spec import TableRule
from towpath.postgresql.relations import flat
from towpath.sensitive import digest_of
from towpath.tables.schema import Schema, literal, quoted

ROWS_AT_ONCE = 5_000  # of one answer of D1


@dataclass(frozen=True, slots=True)
class Column:
    """A column that holds paths, or, where `url` is given, texts with addresses in which a path follows `url`."""

    table: str
    column: str
    url: str = ""

    @property
    def condition(self) -> str:
        """SQL for the rows that may name a file."""
        name = quoted(self.column)
        if not self.url:
            return f"{name} IS NOT NULL"
        escaped = self.url.replace("/", "\\/")  # as some writers of JSON have it
        return f"(instr({name}, {literal(self.url)}) > 0 OR instr({name}, {literal(escaped)}) > 0)"

    def paths(self, value: Any) -> Iterator[str]:
        """The paths in one value.  An address ends where HTML or a sentence would end it; JSON is read as JSON."""
        if not self.url:
            yield value
        else:
            for text in _texts(str(value)):
                yield from re.findall(re.escape(self.url) + r"""([^"'\s\\<>?#]+)""", text)


def rows(db: apsw.Connection, schema: Schema, columns: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """(row, path) of every row of a SQLite database that names a file."""
    for c in columns:
        key = _key(schema, c.table)
        sql = f"SELECT {key}, {quoted(c.column)} FROM {quoted(c.table)} WHERE {c.condition}"
        for row, value in db.execute(sql):
            yield from ((f"{c.table} {_shown(schema, c.table, row)}", path) for path in c.paths(value))


def target_rows(d1: D1, schema: Schema, columns: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """The same, read back from D1 in the order of the keys."""
    for c in columns:
        key, after = _key(schema, c.table), ""
        while True:
            sql = f"SELECT {key}, {quoted(c.column)} FROM {quoted(c.table)} WHERE {c.condition}{after}"
            found = d1.query(f"{sql} ORDER BY {key} LIMIT {ROWS_AT_ONCE}").rows
            for row, value in found:
                yield from ((f"{c.table} {_shown(schema, c.table, row)}", path) for path in c.paths(value))
            if len(found) < ROWS_AT_ONCE:
                break
            after = f" AND {key} > {literal(str(found[-1][0]))}"


def _texts(value: str) -> Iterator[str]:
    """Every text of a JSON document with its escapes resolved, keys that repeat too; or the value, if it is none."""
    try:
        stack = [json.loads(value, object_pairs_hook=list)] if value.lstrip()[:1] in ("{", "[", '"') else [value]
    except (ValueError, RecursionError):
        stack = [value]
    while stack:
        match stack.pop():
            case str(text):
                yield text
            case list(items) | tuple(items):
                stack += reversed(items)


def _key(schema: Schema, table: str) -> str:
    try:
        names = schema.table(table).primary_key
    except KeyError:
        step = "correct objects.references in mapping.yaml"
        raise WrongUse("no such table", object=table, next=step) from None
    if len(names) != 1:
        what = "a table that names files needs a primary key of one column"
        raise WrongUse(what, object=table, next="name another table")
    return f"CAST({quoted(names[0])} AS TEXT)"


def _shown(schema: Schema, table: str, key: str) -> str:
    """A row's key for people."""
    return digest_of(key) if any(column.key and column.sensitive for column in schema.table(table).columns) else key


def read_from(column: Column, rules: Sequence[TableRule]) -> list[Column]:
    """Columns of a capture that a column of the target comes from; one of a table without rules stands for itself."""
    mine = [rule for rule in rules if rule.target == column.table]
    found = []
    for rule in mine:
        into = rule.columns.get(column.column)
        if into is not None and into.source is not None:
            url = column.url
            if into.rewrite is not None and url.startswith(into.rewrite.new):
                url = into.rewrite.old + url[len(into.rewrite.new) :]
            schema, _, name = rule.source.rpartition(".")
            found.append(Column(flat(schema, name), into.source, url))
    return found if mine else [column]
