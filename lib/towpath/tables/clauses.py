"""The parts of a CREATE TABLE and of a CREATE INDEX: columns, types, constraints, options.

Only the shape is read here; what a column is comes from SQLite's own catalog (`towpath.tables.schema`).
Grammar: sqlite.org/lang_createtable.html; SQLite itself also accepts table constraints without commas between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from towpath.errors import BadInput
from towpath.tables.ddl import OPERATORS, Token, calls, closing, split_list, spoken

COLUMN_STARTS = ("CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE", "REFERENCES", "AS")
TABLE_STARTS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")


@dataclass(frozen=True, slots=True)
class Clause:
    """One constraint, its `CONSTRAINT name` included.

    `kind`: primary, not, null, unique, check, default, collate, references, generated, foreign, other.
    """

    kind: str
    tokens: tuple[Token, ...]

    @property
    def functions(self) -> set[str]:
        """Functions that the clause's expression calls, in lower case."""
        return functions(self.tokens) if self.kind in ("check", "default", "generated") else set()

    @property
    def referenced(self) -> tuple[str, tuple[str, ...]]:
        """The table and the columns that a REFERENCES clause names."""
        at = next(i for i, t in enumerate(self.tokens) if t.word("REFERENCES"))
        parent = self.tokens[at + 1].identifier or ""
        return parent, _names(self.tokens, at + 2)

    @property
    def referring(self) -> tuple[str, ...]:
        """The columns before REFERENCES in a FOREIGN KEY clause."""
        at = next(i for i, t in enumerate(self.tokens) if t.word("KEY"))
        return _names(self.tokens, at + 1)


@dataclass(frozen=True, slots=True)
class ColumnClause:
    """One column's declaration."""

    name: str
    declared: tuple[Token, ...]
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class TableClauses:
    """A CREATE TABLE, taken apart."""

    columns: tuple[ColumnClause, ...]
    constraints: tuple[Clause, ...]
    options: tuple[Token, ...]  # WITHOUT ROWID, STRICT


def functions(tokens: Sequence[Token]) -> set[str]:
    """Functions that an expression uses, the operators that stand for one included."""
    return calls(tokens) | {OPERATORS[t.text.upper()] for t in tokens if t.word(*OPERATORS)}


def parse_table(sql: str, columns: int) -> TableClauses:
    """Take a CREATE TABLE of `columns` columns apart.  Raises BadInput when its shape is not SQLite's."""
    parts = spoken(sql)
    opening = next((i for i, t in enumerate(parts) if t.sign("(")), len(parts))
    end = closing(parts, opening) if parts else 0
    items = split_list(parts[opening + 1 : end])
    if opening >= len(parts) or len(items) < columns or not all(items[:columns]):
        raise BadInput(
            f"the declaration is not understood: {columns} columns in the catalog, {len(items)} parts in the text",
            object=" ".join(sql.split())[:80],
            next="open an issue with this CREATE TABLE; the file's own catalog and its text disagree",
        )
    return TableClauses(
        columns=tuple(_column(item) for item in items[:columns]),
        constraints=tuple(clause for item in items[columns:] for clause in _table_clauses(item)),
        options=tuple(t for t in parts[end + 1 :] if not t.sign(";")),
    )


def index_expressions(sql: str) -> list[Token]:
    """The tokens of a CREATE INDEX after `ON table`: columns, expressions, WHERE."""
    parts = spoken(sql)
    opening = next((i for i, t in enumerate(parts) if t.sign("(")), len(parts))
    return parts[opening:]


def _names(tokens: Sequence[Token], at: int) -> tuple[str, ...]:
    if at >= len(tokens) or not tokens[at].sign("("):
        return ()
    inside = split_list(tokens[at + 1 : closing(tokens, at)])
    return tuple(part[0].identifier or "" for part in inside if part)


def _starts(parts: Sequence[Token], at: int) -> bool:
    token = parts[at]
    if token.word("GENERATED"):
        return at + 1 < len(parts) and parts[at + 1].word("ALWAYS")
    return token.word(*COLUMN_STARTS)


def _column(parts: Sequence[Token]) -> ColumnClause:
    at = 1
    while at < len(parts) and not _starts(parts, at):
        at = closing(parts, at) + 1 if parts[at].sign("(") else at + 1
    declared, rest = tuple(parts[1:at]), parts[at:]
    clauses, at = [], 0
    while at < len(rest):
        end = _clause_end(rest, at)
        clauses.append(_clause(rest[at:end]))
        at = end
    return ColumnClause(parts[0].identifier or "", declared, tuple(clauses))


def _clause_end(parts: Sequence[Token], at: int) -> int:
    """Where the column constraint that begins at `at` ends."""
    if parts[at].word("CONSTRAINT"):
        at += 2
        if at >= len(parts) or parts[at].word("CONSTRAINT"):
            return min(at, len(parts))  # SQLite accepts a name without a constraint
    first = parts[at]
    at += 1
    if first.word("DEFAULT"):
        at += 1 if at < len(parts) and parts[at].sign("+", "-") else 0
        return closing(parts, at) + 1 if at < len(parts) and parts[at].sign("(") else at + 1
    if first.word("COLLATE", "NOT"):
        at += 1
    if first.word("GENERATED"):
        at += 2  # ALWAYS AS
    while at < len(parts):
        if parts[at].sign("("):
            at = closing(parts, at) + 1
        elif first.word("REFERENCES") and parts[at].word("SET"):
            at += 2  # SET NULL, SET DEFAULT
        elif first.word("REFERENCES") and parts[at].word("NOT") and at + 1 < len(parts):
            if not parts[at + 1].word("DEFERRABLE"):
                return at
            at += 2
        elif _starts(parts, at):
            return at
        else:
            at += 1
    return at


def _table_clauses(parts: Sequence[Token]) -> list[Clause]:
    out, start, at = [], 0, 0
    while at < len(parts):
        if parts[at].sign("("):
            at = closing(parts, at) + 1
            continue
        named = at - 2 == start and parts[start].word("CONSTRAINT")
        if at > start and parts[at].word(*TABLE_STARTS) and not named:
            out.append(_clause(parts[start:at]))
            start = at
        at += 2 if parts[at].word("CONSTRAINT") else 1
    return [*out, _clause(parts[start:])] if start < len(parts) else out


def _clause(parts: Sequence[Token]) -> Clause:
    at = 2 if parts and parts[0].word("CONSTRAINT") else 0
    word = parts[at].text.lower() if at < len(parts) else "other"
    return Clause("generated" if word == "as" else word, tuple(parts))
