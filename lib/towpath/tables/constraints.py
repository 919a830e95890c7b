"""What the schema of a target promises of each row, as conditions that can be asked: NOT NULL, CHECK, UNIQUE, computed.

Read from the declarations that the target was made by.  A condition says what a row that breaks the promise looks like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from towpath.tables.clauses import Clause, index_expressions, parse_table
from towpath.tables.ddl import Token, closing, split_list, written
from towpath.tables.schema import Index, Table, quoted

NOT_NULL, CHECK, COMPUTED = "TB415", "TB416", "TB418"


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise about single rows; `broken` is true of a row that breaks it."""

    code: str
    words: str  # as a reader knows it
    broken: str


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique index: its terms with their collations, and the condition of the rows that it is about."""

    name: str
    terms: tuple[str, ...]
    condition: str  # every term is there, and the row is one that a partial index speaks of

    @property
    def words(self) -> str:
        """As a reader knows it."""
        return f"UNIQUE ({', '.join(self.terms)})"


def promises(table: Table) -> tuple[Promise, ...]:
    """What the table declares of each of its rows."""
    parsed = parse_table(table.sql, len(table.columns))
    out = [
        Promise(NOT_NULL, f"{column.name} NOT NULL", f"{quoted(column.name)} IS NULL")
        for column in table.columns
        if column.notnull or (column.key and table.without_rowid)
    ]
    clauses = [clause for column in parsed.columns for clause in column.clauses] + list(parsed.constraints)
    for clause in clauses:
        if clause.kind == "check":
            out.append(Promise(CHECK, f"CHECK ({_inside(clause)})", f"NOT ({_inside(clause)})"))
    for column, declared in zip(table.columns, parsed.columns, strict=True):
        for clause in declared.clauses:
            if clause.kind == "generated":
                # the comparison gives the expression the column's affinity, as storing it did
                wrong = f"{quoted(column.name)} COLLATE BINARY IS NOT ({_inside(clause)})"
                out.append(Promise(COMPUTED, f"{column.name} AS ({_inside(clause)})", wrong))
    return tuple(out)


def uniques(table: Table) -> tuple[Unique, ...]:
    """What the table declares to be unique; the rowid itself is not among it: it cannot be otherwise."""
    return tuple(_unique(index) for index in table.indexes if index.unique)


def _inside(clause: Clause) -> str:
    opening = next(i for i, token in enumerate(clause.tokens) if token.sign("("))
    return written(clause.tokens[opening + 1 : closing(clause.tokens, opening)]).strip()


def _unique(index: Index) -> Unique:
    terms, predicate = [quoted(name) for name in index.columns if name is not None], ""
    if index.sql:
        tokens = index_expressions(index.sql)
        end = closing(tokens, 0)
        terms = [_term(part) for part in split_list(tokens[1:end])]
        predicate = written(tokens[end + 2 :]) if end + 1 < len(tokens) and tokens[end + 1].word("WHERE") else ""
    there = [f"{term} IS NOT NULL" for term in terms] + ([f"({predicate.rstrip(';')})"] if predicate else [])
    pairs = zip(terms, index.collations, strict=True)
    collated = tuple(f"{term} COLLATE {quoted(collation)}" for term, collation in pairs)
    return Unique(index.name, collated, " AND ".join(there))


def _term(tokens: Sequence[Token]) -> str:
    """A term of an index without its direction and its collation, which the catalog tells."""
    kept = list(tokens)
    if kept[-1].word("ASC", "DESC"):
        kept.pop()
    if len(kept) > 2 and kept[-2].word("COLLATE"):
        del kept[-2:]
    sql = written(kept).strip()
    return sql if len(kept) == 1 else f"({sql})"


def named(found: Sequence[Promise], code: str) -> Iterator[str]:
    """The promises of one code as a reader knows them."""
    return (promise.words for promise in found if promise.code == code)
