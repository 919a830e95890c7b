"""The changes that a decision or D1's rules make inside a declaration: each leaves a code and a reason behind."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from towpath.tables.clauses import Clause
from towpath.tables.ddl import COMMENT, NAME, WORD, Token, calls, spoken, tokens, unmisquoted, written
from towpath.tables.declared import collations, refused, shown
from towpath.tables.dialect import SAME
from towpath.tables.schema import Table

Changes = list[tuple[str, str]]


class Rewrite:
    """Rewrites the constraints of one table; what it changed is added to `changes`."""

    def __init__(self, decided: Mapping[tuple[str, str], str], table: Table, changes: Changes) -> None:
        self.decided, self.table, self.changes = decided, table, changes
        self.columns = [column.name for column in table.columns]

    def clauses(self, column: str, clauses: Sequence[Clause]) -> list[str]:
        """The constraints of one column."""
        where = f"{shown(self.table.name)}.{shown(column)}"
        out = []
        for clause in clauses:
            if refused(clause.functions) and self.decided.get(("TB108", where)) == "drop":
                self.changes.append(("TB108", f"{clause.kind.upper()} of {shown(column)} left out"))
            elif clause.kind == "references" and self._no_reference((column,)):
                continue
            elif clause.kind == "collate" and collations(clause.tokens):
                out += self._collation(where, column)
            else:
                out.append(self._said(clause))
        return out

    def constraint(self, clause: Clause) -> str:
        """A constraint of the table; "" if it is left out."""
        where = shown(self.table.name)
        if refused(clause.functions) and self.decided.get(("TB108", where)) == "drop":
            self.changes.append(("TB108", "CHECK left out"))
            return ""
        if clause.kind == "foreign" and self._no_reference(clause.referring):
            return ""
        return self._said(clause, self.decided.get(("TB110", where), ""))

    def _no_reference(self, columns: Sequence[str]) -> bool:
        wanted = [name.lower() for name in columns]
        for fk in self.table.foreign_keys:
            if [name.lower() for name in fk.columns] == wanted:
                for code in ("TB113", "TB114"):
                    if self.decided.get((code, f"{shown(self.table.name)}.{'+'.join(fk.columns)}")) == "drop":
                        self.changes.append((code, f"foreign key of {', '.join(columns)} left out"))
                        return True
        return False

    def _collation(self, where: str, column: str) -> list[str]:
        chosen = self.decided.get(("TB110", where), "binary")
        self.changes.append(("TB110", f"collation of {shown(column)}: {chosen}"))
        return [] if chosen == "binary" else [f"COLLATE {chosen.upper()}"]

    def _said(self, clause: Clause, collation: str = "") -> str:
        parts: Sequence[Token] = clause.tokens
        if clause.kind in ("check", "default", "generated"):
            known = () if clause.kind == "default" else self.columns
            parts = _texts(parts, known, self.changes)
        parts = _functions(parts, self.changes)
        if collation:
            parts = _collated(parts, collation, self.changes)
        return written(parts).strip()


def rewritten(sql: str, collation: str, columns: Sequence[str]) -> tuple[list[Token], Changes]:
    """The tokens of a CREATE INDEX with D1's functions and collations, and what changed."""
    changes: Changes = []
    if any(token.kind == COMMENT for token in tokens(sql)) or "\r" in sql:
        changes.append(("TB309", "comments or CRLF left out"))
    parts = spoken(sql)
    opening = next(i for i, token in enumerate(parts) if token.sign("("))
    inside = _functions(_texts(parts[opening:], columns, changes), changes)
    if collation:
        inside = _collated(inside, collation, changes)
    return [*parts[:opening], *inside], changes


def keyword(sql: str, collation: str) -> tuple[str, Changes]:
    """A view or a trigger with D1's functions and collations; all else, line breaks too, as written."""
    changes: Changes = []
    parts = tokens(sql)
    solid = [i for i, token in enumerate(parts) if token.kind not in ("space", "comment")]
    for at, following in itertools.pairwise(solid):
        name = parts[at].text.lower()
        if parts[at].kind == WORD and parts[following].sign("(") and name in SAME:
            parts[at] = Token(WORD, SAME[name])
            changes.append(("TB314", f"{name} written {SAME[name]}"))
        elif collation and parts[at].word("COLLATE") and collations([parts[at], parts[following]]):
            parts[following] = Token(WORD, collation.upper())
            changes.append(("TB110", f"collation: {collation}"))
    return "".join(token.text for token in parts), changes


def _texts(parts: Sequence[Token], columns: Sequence[str], changes: Changes) -> list[Token]:
    out = unmisquoted(parts, columns)
    if out != list(parts):
        changes.append(("TB310", "text in double quotes written with '"))
    return out


def _functions(parts: Sequence[Token], changes: Changes) -> list[Token]:
    called = calls(parts)
    out = []
    for at, token in enumerate(parts):
        name = (token.identifier or "").lower() if token.kind in (WORD, NAME) else ""
        if name in SAME and name in called and at + 1 < len(parts) and parts[at + 1].sign("("):
            changes.append(("TB314", f"{name} written {SAME[name]}"))
            out.append(Token(WORD, SAME[name], token.gap))
        else:
            out.append(token)
    return out


def _collated(parts: Sequence[Token], collation: str, changes: Changes) -> list[Token]:
    out = list(parts)
    for at in range(1, len(out)):
        if out[at - 1].word("COLLATE") and collations(out[at - 1 : at + 1]):
            changes.append(("TB110", f"collation: {collation}"))
            out[at] = Token(WORD, collation.upper(), out[at].gap)
    return out
