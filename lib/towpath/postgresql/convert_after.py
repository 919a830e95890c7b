"""Indexes and views in SQLite's words: what is made once the rows are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlglot
from sqlglot import exp

from towpath.postgresql.accounts import Book
from towpath.postgresql.catalog import Catalog, Index, Table, View, flat, quoted
from towpath.postgresql.expressions import Unknown, own_function, translate
from towpath.postgresql.generated import CHANGED, DROPPED, KEPT, GeneratedTable, Statement
from towpath.postgresql.types import rule_for
from towpath.tables.dialect import Sandbox

METHODS = ("btree", "hash")


def convert_indexes(catalog: Catalog, tables: Sequence[GeneratedTable], book: Book) -> tuple[Statement, ...]:
    """The indexes that no constraint makes; each is tried in a SQLite with D1's rules."""
    out: list[Statement] = []
    taken = {table.name.lower() for table in tables} | {view.flat.lower() for view in catalog.views}
    with _target(tables) as sandbox:
        for table in catalog.moving:
            for index in table.indexes:
                if index.constraint is not None:
                    continue
                statement = _index(sandbox, table, index, book, taken)
                out += [statement] if statement else []
        for table, name, columns in book.nulls_once:
            keys = ", ".join(f"{quoted(c)} IS NULL, ifnull({quoted(c)}, 0)" for c in columns)
            made = _free(flat(table.schema, name), taken)
            sql = f"CREATE UNIQUE INDEX {quoted(made)} ON {quoted(table.flat)} ({keys})"
            out.append(Statement(made, f"{table.schema}.{name}", sql))
    return tuple(out)


def _free(name: str, taken: set[str]) -> str:
    """A name that no table, view or index of the target has: they share one space."""
    while name.lower() in taken:
        name += "_index"
    taken.add(name.lower())
    return name


def _index(sandbox: Sandbox, table: Table, index: Index, book: Book, taken: set[str]) -> Statement | None:
    source = f"{table.schema}.{index.name}"
    codes: list[str] = []
    reasons: list[str] = []
    try:
        if index.method not in METHODS:
            raise Unknown(f"method {index.method}")
        keys = list(_keys(table, index, codes, reasons))
        where = ""
        if index.partial is not None:
            made = translate(index.partial, _forms(table))
            where = f" WHERE {made.sql}"
            codes.append("PG315")
            reasons.append(made.doubt or f"only where {made.sql}")
        if index.nulls_not_distinct:
            keys = [part for key in keys for part in (f"{key} IS NULL", f"ifnull({key}, 0)")]
            codes.append("PG127")
        name = _free(flat(table.schema, index.name), taken)
        unique = "UNIQUE " if index.unique else ""
        sql = f"CREATE {unique}INDEX {quoted(name)} ON {quoted(table.flat)} ({', '.join(keys)}){where}"
        if error := sandbox.run(sql):
            raise Unknown(error)
    except Unknown as unknown:
        book.add("index", source, DROPPED, ("PG318",), str(unknown), index.definition)
        return None
    book.add(
        "index",
        source,
        CHANGED if codes else KEPT,
        tuple(dict.fromkeys(codes)),
        "; ".join(reasons),
        index.definition,
        sql,
    )
    return Statement(name, source, sql)


def _keys(table: Table, index: Index, codes: list[str], reasons: list[str]) -> Iterator[str]:
    left = [word for word, there in (("INCLUDE", index.include), ("hash", index.method == "hash")) if there]
    left += [name for name in index.operator_classes if name]
    if any(first != down for first, down in zip(index.nulls_first, index.descending, strict=True)):
        left.append("the place of NULLs")
    if left:
        codes.append("PG319")
        reasons.append(f"without {', '.join(left)}")
    for column, key, down in zip(index.columns, index.keys, index.descending, strict=True):
        made = quoted(column) if column is not None else ""
        if column is None:
            found = translate(key, _forms(table))
            made = found.sql
            codes.append("PG315")
            reasons.append(found.doubt or f"{key} written for SQLite")
        yield f"{made} DESC" if down else made


def _forms(table: Table) -> dict[str, str]:
    return {c.name: "enum" if c.base == "enum" else rule_for(c).form for c in table.columns}


def convert_views(catalog: Catalog, tables: Sequence[GeneratedTable], book: Book) -> tuple[Statement, ...]:
    """The views whose query compiles in a SQLite with D1's rules, in an order in which each finds what it reads."""
    out = []
    names = {(t.schema, t.name): t.flat for t in catalog.moving} | {(v.schema, v.name): v.flat for v in catalog.views}
    taken = {table.name.lower() for table in tables}
    with _target(tables) as sandbox:
        for view in catalog.views:
            kind = "materialized view" if view.materialized else "view"
            for index in view.indexes:
                book.add("index", f"{view.schema}.{index.name}", DROPPED, ("PG318",), f"belongs to {view.qualified}")
            if view.materialized:
                codes = ("PG110", "PG320")
                book.add(kind, view.qualified, DROPPED, codes, "D1 has none", view.definition)
                continue
            try:
                sql = _view(view, names, taken)
                if error := sandbox.run(sql) or sandbox.run(f"SELECT * FROM {quoted(view.flat)} LIMIT 0"):
                    sandbox.run(f"DROP VIEW IF EXISTS {quoted(view.flat)}")
                    raise Unknown(f"SQLite does not take its query: {error}")
            except Unknown as unknown:
                book.add(kind, view.qualified, DROPPED, ("PG320",), str(unknown), view.definition)
                continue
            taken.add(view.flat.lower())
            told = "it compiles; whether it answers the same is not proved"
            book.add(kind, view.qualified, CHANGED, ("PG326",), told, view.definition, sql)
            out.append(Statement(view.flat, view.qualified, sql))
    return tuple(out)


def _view(view: View, names: dict[tuple[str, str], str], taken: set[str]) -> str:
    if view.flat.lower() in taken:
        raise Unknown(f"another object is {view.flat} already")
    try:
        tree = sqlglot.parse_one(view.definition, read="postgres")
        for table in list(tree.find_all(exp.Table)):
            made = names.get((table.db, table.name))
            if table.db and made is None:
                read = table.name or f"{table.this.name}()"  # a function may stand in FROM
                raise Unknown(f"reads {table.db}.{read}, which D1 has not")
            if made is not None:
                if not table.alias and made != table.name:
                    table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
                table.set("db", None)
                table.set("this", exp.to_identifier(made, quoted=True))
        for called in tree.find_all(exp.Dot):
            if isinstance(called.expression, exp.Func):
                raise Unknown(f"calls {own_function(called)}, a function of the source")
        for cast in list(tree.find_all(exp.Cast)):
            if cast.to.this == exp.DataType.Type.ARRAY:
                raise Unknown(f"casts to {cast.to.sql(dialect='postgres')}: D1 has no arrays")
            if cast.to.this in (exp.DataType.Type.USERDEFINED, exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR):
                cast.replace(cast.this)
        body = tree.sql(dialect="sqlite", unsupported_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.errors.SqlglotError as error:
        raise Unknown(f"not understood: {str(error).splitlines()[0]}") from None
    columns = ", ".join(quoted(column.name) for column in view.columns)
    return f"CREATE VIEW {quoted(view.flat)} ({columns}) AS {body}"


@contextmanager
def _target(tables: Sequence[GeneratedTable]) -> Iterator[Sandbox]:
    """A SQLite with D1's rules and the converted tables."""
    with Sandbox() as sandbox:
        for table in tables:
            sandbox.run(table.sql)
        yield sandbox
