"""What became of each object that PostgreSQL lists: told by the conversion, or by the rule for its kind."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from towpath.postgresql.catalog import Catalog, Object, Table
from towpath.postgresql.generated import CHANGED, DROPPED, Account

_IDENTIFIER = re.compile(r'"(?:[^"]|"")*"|[^.\s"(]+')
_KINDS = {  # kind -> outcome, code, reason: for objects that no table, index or view of the conversion tells of
    "function": (DROPPED, "PG109", "D1 has no functions of its own"),
    "procedure": (DROPPED, "PG109", "D1 has no procedures"),
    "aggregate": (DROPPED, "PG109", "D1 has no aggregates of its own"),
    "trigger": (DROPPED, "PG108", "its function is not in SQL of SQLite"),
    "policy": (DROPPED, "PG107", "D1 has no row security"),
    "rule": (DROPPED, "PG123", "D1 has no rewrite rules"),
    "extension": (DROPPED, "PG118", "D1 has no extensions"),
    "schema": (CHANGED, "PG126", "goes into the names of its tables"),
    "foreign table": (DROPPED, "PG120", "its rows are elsewhere"),
    "sequence": (DROPPED, "PG312", "no column of a table takes its numbers"),
    "statistics object": (DROPPED, "PG128", "D1 plans without them"),
}


@dataclass
class Book:
    """What the conversion tells of the objects that it looked at."""

    told: dict[tuple[str, str], Account] = field(default_factory=dict)
    nulls_once: list[tuple[Table, str, tuple[str, ...]]] = field(default_factory=list)  # UNIQUE NULLS NOT DISTINCT

    def add(
        self, kind: str, name: str, outcome: str, codes: tuple[str, ...], reason: str, before: str = "", after: str = ""
    ) -> None:
        """Tell of one object: `name` is schema.name, or `name on schema.table`, without quotes."""
        self.told[kind, name] = Account(kind, name, outcome, codes, reason, before, after)

    def sequence(self, name: str, outcome: str, code: str, reason: str) -> None:
        """Tell of a sequence; the first word counts, since two columns may share one."""
        if ("sequence", name) not in self.told:
            self.add("sequence", name, outcome, (code,), reason)


def accounts_of(catalog: Catalog, book: Book) -> tuple[Account, ...]:
    """One account for each object of the catalog, in its order, and one for what was granted."""
    partitions = {table.qualified for table in catalog.tables if table.partition_of}
    out = [_account(catalog, book, object, partitions) for object in catalog.objects]
    out += [
        Account("grant", other.name, DROPPED, ("PG323",), f"D1 has no users: {other.detail}")
        for other in catalog.others
        if other.kind == "grant"
    ]
    return tuple(out)


def _account(catalog: Catalog, book: Book, object: Object, partitions: set[str]) -> Account:
    kind = "index" if object.kind == "partitioned index" else object.kind
    kind = "table" if kind == "partitioned table" else kind
    told = book.told.get((kind, plain(object.name)))
    if told is not None:
        return Account(object.kind, object.name, told.outcome, told.codes, told.reason, told.before, told.after)
    if object.table in partitions or plain(object.name) in partitions:
        return Account(object.kind, object.name, CHANGED, ("PG122",), "part of a table that moves as one")
    if object.kind in ("type", "domain constraint"):
        return _type(catalog, object)
    outcome, code, reason = _KINDS.get(object.kind, (DROPPED, "PG128", f"D1 has no {object.kind}"))
    return Account(object.kind, object.name, outcome, (code,), reason)


def _type(catalog: Catalog, object: Object) -> Account:
    name = plain(object.name)
    if object.kind == "domain constraint":
        return Account(object.kind, object.name, CHANGED, ("PG310",), "a CHECK of each column of its domain")
    if any(enum.qualified == name for enum in catalog.enums):
        return Account(object.kind, object.name, CHANGED, ("PG309",), "a CHECK of each column of the type")
    if any(domain.qualified == name for domain in catalog.domains):
        codes, reason = ("PG310",), "its base type, and a CHECK of each column"
        return Account(object.kind, object.name, CHANGED, codes, reason)
    return Account(object.kind, object.name, DROPPED, ("PG128",), "its values are texts, as PostgreSQL writes them")


def plain(identity: str) -> str:
    """An identity of PostgreSQL without quotes: `public."T"` → `public.T`, `k on public."T"` → `k on public.T`."""
    words = [w[1:-1].replace('""', '"') if w[0] == '"' else w for w in _IDENTIFIER.findall(identity)]
    if len(words) > 2 and words[-3] == "on":
        return f"{'.'.join(words[:-3])} on {'.'.join(words[-2:])}"
    return ".".join(words)
