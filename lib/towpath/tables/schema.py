"""What a SQLite database declares: tables, columns, keys, indexes, views, triggers, sequences.

Read from SQLite's own catalog (`pragma_table_list`, `table_xinfo`, `foreign_key_list`, `index_list`, `index_xinfo`,
`sqlite_schema`), never guessed from the text of the DDL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import apsw

from towpath.sensitive import NOTHING, Sensitive

OWN_PREFIX = "_towpath_"  # tables that Towpath keeps in a target; never part of an application
INTERNAL = re.compile(r"^(sqlite_|_cf_|_towpath_)", re.IGNORECASE)


def quoted(identifier: str) -> str:
    """The identifier as SQL, always in double quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL literal, for catalog queries.  Row values go through `towpath.tables.encode` instead."""
    return "'" + text.replace("'", "''") + "'"


def affinity(declared: str) -> str:
    """The column affinity of a declared type, by the five rules of sqlite.org/datatype3.html §3.1."""
    upper = declared.upper()
    if "INT" in upper:
        return "INTEGER"
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in upper or not upper.strip():
        return "BLOB"
    return "REAL" if any(word in upper for word in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


@dataclass(frozen=True, slots=True)
class Column:
    """One column as `table_xinfo` tells it."""

    name: str
    declared: str  # the declared type as written, "" if none
    notnull: bool
    default: str | None  # SQL text
    key: int  # position in the primary key from 1; 0 if not part of it
    hidden: int  # 0 ordinary, 1 hidden column of a virtual table, 2 generated virtual, 3 generated stored
    sensitive: bool = field(default=False, compare=False)  # its values are shown as digests

    @property
    def affinity(self) -> str:
        """INTEGER, TEXT, BLOB, REAL or NUMERIC: what SQLite makes of the declared type."""
        return affinity(self.declared)

    @property
    def generated(self) -> bool:
        """True for a column that is computed, stored or not."""
        return self.hidden in (2, 3)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One foreign key; `parent_columns` is resolved to the parent's primary key where the DDL leaves it out."""

    columns: tuple[str, ...]
    parent: str  # as written; SQLite compares table names without case
    parent_columns: tuple[str, ...]
    on_update: str
    on_delete: str


@dataclass(frozen=True, slots=True)
class Index:
    """One index; `sql` is None for those that a UNIQUE or PRIMARY KEY makes by itself."""

    name: str
    table: str
    unique: bool
    origin: str  # c (CREATE INDEX), u (UNIQUE), pk
    partial: bool
    columns: tuple[str | None, ...]  # None stands for an expression or the rowid
    collations: tuple[str, ...]
    sql: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """One table.  `kind`: table, virtual, or shadow (storage that a virtual table owns)."""

    name: str
    sql: str
    kind: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...]
    indexes: tuple[Index, ...]
    without_rowid: bool
    strict: bool
    autoincrement: bool

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns whose values move: generated ones are computed again by the target."""
        return tuple(column for column in self.columns if column.hidden == 0)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The primary key's columns in key order; empty if the table has none."""
        return tuple(c.name for c in sorted(self.columns, key=lambda c: c.key) if c.key)

    @property
    def rowid_alias(self) -> str | None:
        """The column that is the rowid under another name: exactly `INTEGER PRIMARY KEY`."""
        key = [c for c in self.columns if c.key]
        if len(key) == 1 and not self.without_rowid and key[0].declared.upper() == "INTEGER":
            # `INTEGER PRIMARY KEY DESC` is the one spelling that makes an index of its own instead
            return None if any(i.origin == "pk" for i in self.indexes) else key[0].name
        return None

    def hiding(self, other: Table) -> Table:
        """The same table, in which the columns are sensitive that are so in the other one."""
        hidden = {column.name.lower() for column in other.columns if column.sensitive}
        columns = tuple(replace(column, sensitive=column.name.lower() in hidden) for column in self.columns)
        return replace(self, columns=columns)


@dataclass(frozen=True, slots=True)
class Named:
    """A view or a trigger; `table` is what a trigger belongs to."""

    name: str
    sql: str
    table: str = ""


@dataclass(frozen=True, slots=True)
class Object:
    """One row of `sqlite_schema`, SQLite's own objects too."""

    kind: str  # table, index, view, trigger
    name: str
    table: str
    sql: str | None


@dataclass(frozen=True, slots=True)
class Schema:
    """Everything a database declares, in the order of its creation."""

    tables: tuple[Table, ...]
    views: tuple[Named, ...]
    triggers: tuple[Named, ...]
    sequences: dict[str, int]  # AUTOINCREMENT: table -> last value given out
    objects: tuple[Object, ...] = ()  # the whole inventory; every one of them is accounted for

    def table(self, name: str) -> Table:
        """The table of that name, compared without case as SQLite does.  Raises KeyError."""
        for table in self.tables:
            if table.name.lower() == name.lower():
                return table
        raise KeyError(name)

    @property
    def moving(self) -> tuple[Table, ...]:
        """Ordinary tables of the application: what an export reads and a target receives."""
        return tuple(t for t in self.tables if t.kind == "table")


def reflect(db: apsw.Connection, sensitive: Sensitive = NOTHING) -> Schema:
    """Read the schema of an open database; leaves out SQLite's, Cloudflare's and Towpath's own tables."""
    rows = list(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid"))
    listed = {
        name: (kind, bool(wr), bool(strict))
        for name, kind, wr, strict in db.execute(
            "SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main'"
        )
    }
    tables = tuple(
        _table(db, name, sql, *listed[name], sensitive)
        for kind, name, _, sql in rows
        if kind == "table" and not INTERNAL.match(name)
    )
    has_sequence = any(name == "sqlite_sequence" for _, name, _, _ in rows)
    sequences = dict(db.execute("SELECT name, seq FROM sqlite_sequence")) if has_sequence else {}
    return Schema(
        tables=_with_parent_keys(tables),
        views=tuple(Named(name, sql) for kind, name, _, sql in rows if kind == "view"),
        triggers=tuple(Named(name, sql, on) for kind, name, on, sql in rows if kind == "trigger"),
        sequences={name: seq for name, seq in sequences.items() if not INTERNAL.match(name)},
        objects=tuple(Object(*row) for row in rows),
    )


def _table(
    db: apsw.Connection, name: str, sql: str, kind: str, without_rowid: bool, strict: bool, sensitive: Sensitive
) -> Table:
    argument = literal(name)
    try:
        listed = list(db.execute(f"SELECT * FROM pragma_table_xinfo({argument})"))
    except apsw.SQLError:
        if kind != "virtual":
            raise
        listed = []  # a virtual table of a module that only the application has
    columns = tuple(
        Column(column, declared or "", bool(notnull), default, key, hidden, sensitive.holds(name, column))
        for _, column, declared, notnull, default, key, hidden in listed
    )
    indexes = tuple(
        _index(db, name, *row)
        for row in db.execute(f'SELECT name, "unique", origin, partial FROM pragma_index_list({argument}) ORDER BY seq')
    )
    edges: dict[int, list[tuple[str, str, str | None, str, str]]] = {}
    for number, _, parent, child, target, on_update, on_delete, _ in db.execute(
        f"SELECT * FROM pragma_foreign_key_list({argument}) ORDER BY id, seq"
    ):
        edges.setdefault(number, []).append((parent, child, target, on_update, on_delete))
    foreign_keys = tuple(
        ForeignKey(
            columns=tuple(row[1] for row in parts),
            parent=parts[0][0],
            parent_columns=tuple(row[2] for row in parts if row[2] is not None),
            on_update=parts[0][3],
            on_delete=parts[0][4],
        )
        for parts in edges.values()
    )
    autoincrement = bool(re.search(r"\bAUTOINCREMENT\b", sql or "", re.IGNORECASE)) and any(c.key for c in columns)
    return Table(name, sql, kind, columns, foreign_keys, indexes, without_rowid, strict, autoincrement)


def _index(db: apsw.Connection, table: str, name: str, unique: int, origin: str, partial: int) -> Index:
    parts = list(db.execute(f"SELECT name, coll, key FROM pragma_index_xinfo({literal(name)})"))
    found = list(db.execute("SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?", (name,)))
    return Index(
        name=name,
        table=table,
        unique=bool(unique),
        origin=origin,
        partial=bool(partial),
        columns=tuple(column for column, _, is_key in parts if is_key),
        collations=tuple(collation for _, collation, is_key in parts if is_key),
        sql=found[0][0] if found else None,
    )


def _with_parent_keys(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    """Fill in `REFERENCES parent` without columns: it means the parent's primary key."""
    keys = {table.name.lower(): table.primary_key for table in tables}
    out = []
    for table in tables:
        resolved = tuple(
            fk if fk.parent_columns else replace(fk, parent_columns=keys.get(fk.parent.lower(), ()))
            for fk in table.foreign_keys
        )
        out.append(replace(table, foreign_keys=resolved))
    return tuple(out)
