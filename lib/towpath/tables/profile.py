"""The census of a source: one scan of each table, in pages of about 1 MB, counted by SQLite itself.

A page gives, per column, one letter per row for its storage class or form of date (`group_concat`, counted in Python by
`str.count`) and a few aggregates; its texts come back joined, as bytes, and are decoded once: that finds text that is
not UTF-8, NUL and U+FFFD at the speed of the decoder.  Only a page that holds such a text is looked at row by row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import apsw

from towpath.checks import Progress, silent
from towpath.errors import BadInput
from towpath.tables.census import ColumnProfile, Profile, TableProfile
from towpath.tables.exact import exact
from towpath.tables.forms import clues, digits_in, letter, long_number
from towpath.tables.samples import SAMPLES, Page, Pages, ask, codec, key_hidden, key_names, key_parts, keys, readable
from towpath.tables.schema import Column, Schema, Table, literal, quoted
from towpath.tables.source import broken_constraint

__all__ = ["ColumnProfile", "Profile", "TableProfile", "profile"]

ROW_BYTES = 2_000_000  # D1: a row, a text, a blob
COLUMNS_AT_ONCE = 150  # SQLite allows 2,000 result columns
TEXTS_AT_ONCE = 32_000_000  # bytes of a page's texts joined; above it they are read one by one
TEXT_LETTERS, INTEGER_LETTERS, REAL_LETTERS = "tsSmMTZodhx-", "ieEu", "rfj"
NEWLINE = "char(10)"
_TEXT_VALUE = re.compile(r"(TEXT|NUMERIC) value in ")


@dataclass(slots=True)
class Tally:
    """What the pages of one column add up to."""

    column: Column
    dated: bool
    boolean: bool
    documents: bool = False
    uuids: bool = False
    letters: dict[str, int] = field(default_factory=dict)
    least: float | int | None = None
    largest: float | int | None = None
    longest: int = 0
    impossible: int = 0
    texts: dict[str, int] = field(default_factory=dict)  # nul, replaced, invalid -> rows
    samples: dict[str, tuple[str, ...]] = field(default_factory=dict)
    numeric: bool = False  # numbers written as text are likely

    def count(self, letters: str) -> int:
        """Rows of these letters."""
        return sum(self.letters.get(one, 0) for one in letters)


def profile(db: apsw.Connection, schema: Schema, report: Progress = silent, *, row_bytes: int = ROW_BYTES) -> Profile:
    """Count what every table of the application holds; `report` is told rows.

    `row_bytes`: the target's limit for one row.  Raises BadInput when a table cannot be read.
    """
    encoding = str(db.pragma("encoding"))
    size = ask(db, "PRAGMA page_count") * ask(db, "PRAGMA page_size")
    tables = []
    for table in schema.moving:
        try:
            tables.append(_Scan(db, table, encoding, row_bytes, report).run())
        except apsw.CorruptError as error:
            raise BadInput(
                f"the file is damaged: {error}", object=table.name, next="restore the source from a backup"
            ) from error
        except apsw.SQLError as error:  # such as a key in the order of a collation that only the application has
            raise BadInput(
                f"SQLite cannot read the table without its application: {error}",
                object=table.name,
                next="rebuild the table in the source without the application's own collations and functions",
            ) from error
    return Profile(encoding, size, tuple(tables))


class _Scan:
    """One table's census."""

    def __init__(self, db: apsw.Connection, table: Table, encoding: str, row_bytes: int, report: Progress) -> None:
        self.db, self.table, self.encoding, self.row_bytes, self.report = db, table, encoding, row_bytes, report
        readable = [column for column in table.columns if column.hidden != 2 or self._computes(column)]
        found = clues(db, table, readable)
        self.tallies = [Tally(c, c.name in found.dated, c.name in found.boolean) for c in readable]
        for tally in self.tallies:
            tally.documents, tally.uuids = tally.column.name in found.documents, tally.column.name in found.uuids
        self.length = "octet_length"
        if encoding != "UTF-8":
            # octet_length counts UTF-16; the target stores UTF-8
            self.length = "towpath_utf8_bytes"
            db.create_scalar_function(self.length, _utf8_bytes, 1, deterministic=True)
        stored = [c for c in table.columns if c.hidden != 2]
        self.row_length = _sum([self._size(column) for column in stored])
        self.rows = self.bytes = self.longest = self.long_rows = 0
        self.longest_page = Page()
        self.checked, self.codec = False, codec(db)
        self.long_keys: tuple[str, ...] = ()

    def _size(self, column: Column) -> str:
        """SQL for the bytes of a value: 8 for a number, whose text is never asked for because that is slow."""
        name = quoted(column.name)
        if column.affinity == "TEXT":
            return f"ifnull({self.length}({name}), 0)"
        number = "WHEN 'integer' THEN 8 WHEN 'real' THEN 8"
        return f"CASE typeof({name}) WHEN 'null' THEN 0 {number} ELSE {self.length}({name}) END"

    def run(self) -> TableProfile:
        pages = Pages(self.db, self.table)
        for page in pages:
            rows, size = self._page(page)
            pages.learn(rows, size)
            self.report(rows)
        longest = f"{self.longest_page.where} AND {self.row_length} = {self.longest}"
        broken = self._broken()
        key = keys(self.db, self.table, longest, self.longest_page.bound)[:1] if self.rows else ()
        return TableProfile(
            name=self.table.name,
            rows=self.rows,
            bytes=self.bytes,
            longest_row=self.longest,
            longest_row_key=key[0] if key else "",
            long_rows=self.long_rows,
            long_row_keys=self.long_keys,
            broken={line: count for line, count in broken.items() if not _TEXT_VALUE.match(line)},
            columns=self._columns(broken),
        )

    def _columns(self, broken: Mapping[str, int]) -> tuple[ColumnProfile, ...]:
        # quick_check tells of a text that the column's affinity would make a number, and stops at 100 lines
        full = sum(broken.values()) >= 100 or not self.checked
        for tally in self.tallies:
            tally.numeric = full or any(line.endswith(f".{tally.column.name}") for line in broken)
        known = {tally.column.name: exact(self.db, self.table, tally, self.length) for tally in self.tallies}
        return tuple(known.get(column.name) or ColumnProfile(column.name) for column in self.table.columns)

    def _computes(self, column: Column) -> bool:
        """Whether a generated column can be read; it may call a function that only the application has."""
        try:
            self.db.execute(f"SELECT {quoted(column.name)} FROM {quoted(self.table.name)} LIMIT 0").fetchall()
        except apsw.SQLError:
            return False
        return True

    def _select(self, expressions: list[str], page: Page) -> tuple[Any, ...]:
        sql = f"SELECT {', '.join(expressions)} FROM {quoted(self.table.name)} WHERE {page.where}"
        return tuple(self.db.execute(sql, page.bound).fetchall()[0])

    def _page(self, page: Page) -> tuple[int, int]:
        # LIMIT keeps SQLite from folding the inner query into the outer one, which would add the lengths up twice
        sql = f"SELECT {self.row_length} AS size FROM {quoted(self.table.name)} WHERE {page.where} LIMIT -1"
        found = self.db.execute(f"SELECT count(*), sum(size), max(size) FROM ({sql})", page.bound).fetchall()
        rows, size, longest = (int(value or 0) for value in found[0])
        if not rows:
            return 0, 0
        self.rows += rows
        self.bytes += size
        if longest > self.longest:
            self.longest, self.longest_page = longest, page
        if longest > self.row_bytes:
            over = f"{page.where} AND {self.row_length} > {self.row_bytes}"
            self.long_rows += ask(self.db, f"SELECT count(*) FROM {quoted(self.table.name)} WHERE {over}", page.bound)
            self.long_keys = (*self.long_keys, *keys(self.db, self.table, over, page.bound))[:SAMPLES]
        for start in range(0, len(self.tallies), COLUMNS_AT_ONCE):
            group = self.tallies[start : start + COLUMNS_AT_ONCE]
            self._count(group, page)
        self._read_texts(page, size)
        return rows, size

    def _count(self, group: list[Tally], page: Page) -> None:
        expressions: list[str] = []
        for tally in group:
            name = quoted(tally.column.name)
            text_only = tally.column.affinity == "TEXT"
            length = f"{self.length}({name})"
            sized = length if text_only else f"CASE WHEN typeof({name}) IN ('text', 'blob') THEN {length} END"
            number = "typeof({0}({1} COLLATE BINARY)) IN ('integer', 'real')"
            expressions += [
                f"group_concat({letter(name, tally.dated)}, '')",
                f"max({sized})",
                *(
                    "NULL" if text_only else f"iif({number.format(end, name)}, {end}({name} COLLATE BINARY), NULL)"
                    for end in ("min", "max")
                ),
                _impossible(name) if tally.dated else "0",
            ]
        found = self._select(expressions, page)
        for at, tally in enumerate(group):
            letters, longest, least, largest, impossible = found[5 * at : 5 * at + 5]
            for one in set(letters or ""):
                tally.letters[one] = tally.letters.get(one, 0) + letters.count(one)
            tally.longest = max(tally.longest, longest or 0)
            tally.least = least if tally.least is None else min(tally.least, tally.least if least is None else least)
            if largest is not None:
                tally.largest = largest if tally.largest is None else max(tally.largest, largest)
            tally.impossible += impossible or 0

    def _read_texts(self, page: Page, size: int) -> None:
        holders = [t for t in self.tallies if t.count(TEXT_LETTERS.replace("-", ""))]
        if not holders:
            return
        if size > TEXTS_AT_ONCE:
            for tally in holders:
                self._inspect(tally, page)
            return
        joined = [self._joined(tally) for tally in holders]
        try:
            found = self._select(
                [text if self.encoding != "UTF-8" else f"CAST({text} AS BLOB)" for text in joined], page
            )
        except UnicodeDecodeError:
            found = tuple(b"\xff" for _ in holders)
        for tally, text in zip(holders, found, strict=True):
            data = text if isinstance(text, bytes) else (text or "").encode()
            if data and (not _plain(data) or (tally.documents and digits_in(data))):
                self._inspect(tally, page)

    def _joined(self, tally: Tally) -> str:
        name = quoted(tally.column.name)
        only_text = not tally.count("b" + INTEGER_LETTERS + REAL_LETTERS)
        # a line feed between them, so that no two broken halves make a whole character
        return (
            f"group_concat({name if only_text else f'''CASE typeof({name}) WHEN 'text' THEN {name} END'''}, {NEWLINE})"
        )

    def _inspect(self, tally: Tally, page: Page) -> None:
        """Look at each text of the page: NUL, U+FFFD, not UTF-8."""
        name = quoted(tally.column.name)
        parts, hidden = key_parts(key_names(self.table)), key_hidden(self.table)
        sql = f"SELECT CAST({name} AS BLOB), {parts} FROM {quoted(self.table.name)}"
        for data, *key in self.db.execute(f"{sql} WHERE {page.where} AND typeof({name}) = 'text'", page.bound):
            try:
                text = data.decode(self.codec)
                kinds = [kind for kind, mark in (("nul", "\0"), ("replaced", "\ufffd")) if mark in text]
                kinds += ["json"] if tally.documents and long_number(text.encode()) else []
            except UnicodeDecodeError:
                kinds = ["invalid"]
            for kind in kinds:
                tally.texts[kind] = tally.texts.get(kind, 0) + 1
                known = tally.samples.get(kind, ())
                if len(known) < SAMPLES:
                    tally.samples[kind] = (*known, readable(key, self.codec, hidden))

    def _broken(self) -> dict[str, int]:
        out: dict[str, int] = {}
        if self.table.name.isdigit():
            return out  # PRAGMA quick_check would take the name for a number
        try:
            for (line,) in self.db.execute(f"SELECT quick_check FROM pragma_quick_check({literal(self.table.name)})"):
                if broken_constraint(line):
                    out[line] = out.get(line, 0) + 1
            self.checked = True
        except (apsw.SQLError, UnicodeDecodeError):
            pass  # an index with a collation that only the application knows: the rows were read all the same
        return out


def _plain(text: bytes) -> bool:
    """Whether the joined texts are UTF-8 without NUL and without U+FFFD."""
    if b"\0" in text or b"\xef\xbf\xbd" in text:
        return False
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _utf8_bytes(*values: Any) -> int | None:
    (value,) = values
    if value is None:
        return None
    return len(value) if isinstance(value, bytes) else len(str(value).encode("utf-8", "surrogatepass"))


def _sum(parts: list[str]) -> str:
    """A sum, nested so that no expression of 2,000 columns is deeper than SQLite allows."""
    while len(parts) > 1:
        parts = [f"({' + '.join(parts[i : i + 30])})" for i in range(0, len(parts), 30)]
    return parts[0] if parts else "0"


def _impossible(name: str) -> str:
    """Counts days that no month has; SQLite's own date() turns 30 February into 1 March."""
    day = f"substr({name}, 1, 10)"
    return (
        f"sum(CASE WHEN substr({name}, 9, 2) > '28' AND {name} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"
        f" THEN date({day}) IS NOT {day} ELSE 0 END)"
    )
