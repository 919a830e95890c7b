"""The schema of D1 from the schema of the source (mode generate): token by token, every object accounted for.

What changes is the type of a column (by `towpath.tables.types`), NOT NULL on a primary key whose data allows it, and
what a decision takes away; every constraint, default, collation and option else is the source's own text.
"""

from __future__ import annotations

from collections.abc import Sequence

from towpath.checks import Decision, decide
from towpath.cloudflare.limits import PAID, Limits
from towpath.errors import WrongUse
from towpath.tables.census import ColumnProfile, Profile, TableProfile
from towpath.tables.clauses import ColumnClause, parse_table
from towpath.tables.conversion import CHANGED, DROPPED, KEPT, Account, Conversion, Statement, TargetColumn, TargetTable
from towpath.tables.ddl import COMMENT, spoken, tidied, tokens, written
from towpath.tables.declared import declared, shown
from towpath.tables.orphans import needed
from towpath.tables.rewrite import Rewrite, keyword, rewritten
from towpath.tables.rules import RULES
from towpath.tables.schema import Column, Index, Named, Schema, Table, quoted
from towpath.tables.types import Chosen, choose
from towpath.tables.virtual import EMPTY, FILLED, after_statements, read_virtual

STRUCTURAL = ("TB108", "TB109", "TB110", "TB113", "TB114", "TB116", "TB117")


def convert(schema: Schema, profile: Profile, decisions: Sequence[Decision] = (), limits: Limits = PAID) -> Conversion:
    """Convert a source's schema.

    Raises WrongUse when a finding about a declaration has no decision yet: inventory names each of them.
    """
    return _Converter(schema, profile, _decided(schema, decisions, limits)).run()


def _decided(schema: Schema, decisions: Sequence[Decision], limits: Limits) -> dict[tuple[str, str], str]:
    out: dict[tuple[str, str], str] = {}
    for finding in declared(schema, limits):
        if finding.code not in STRUCTURAL:
            continue
        decision = decide(finding.code, finding.object, decisions)
        if decision is None or decision.do not in RULES[finding.code].choices:
            raise WrongUse(
                f"{finding.message}: mapping.yaml does not say what becomes of it",
                object=finding.object,
                code=finding.code,
                next=f"decide one of: {', '.join(RULES[finding.code].choices)}",
            )
        out[finding.code, finding.object] = decision.do
    return out


class _Converter:
    def __init__(self, schema: Schema, profile: Profile, decided: dict[tuple[str, str], str]) -> None:
        self.schema, self.profile, self.decided = schema, profile, decided
        self.dropped: dict[str, tuple[str, str]] = {}  # name in lower case -> code, reason
        self.accounts: dict[tuple[str, str], Account] = {}
        self.fill: list[Statement] = []

    def run(self) -> Conversion:
        # one over another virtual table (fts5vocab) comes last
        modules = sorted(
            (t for t in self.schema.tables if t.kind == "virtual"), key=lambda t: read_virtual(t).way == EMPTY
        )
        virtual = [s for table in modules for s in self._virtual(table)]
        tables = tuple(self._table(table) for table in self.schema.moving)
        for table in self.schema.tables:
            if table.kind == "shadow":
                self._account(
                    "table", table.name, DROPPED, ("TB311",), "storage of a virtual table, made again by it", table.sql
                )
        indexes = [s for t in self.schema.moving for i in t.indexes if (s := self._index(i, t))]
        early = needed(self.schema)
        keys = tuple(index for index in indexes if index.name in early)
        later = tuple(index for index in indexes if index.name not in early)
        views = [s for v in self.schema.views if (s := self._named("view", v))]
        triggers = [s for t in self.schema.triggers if (s := self._named("trigger", t))]
        accounting = tuple(
            self.accounts.get((o.kind, o.name)) or self._rest(o.kind, o.name, o.table, o.sql)
            for o in self.schema.objects
        )
        return Conversion(
            tables, keys, later, tuple(views), tuple(triggers), tuple(virtual), tuple(self.fill), accounting
        )

    def _account(
        self, kind: str, name: str, outcome: str, codes: Sequence[str], reason: str, before: str, after: str = ""
    ) -> None:
        self.accounts[kind, name] = Account(kind, name, outcome, tuple(dict.fromkeys(codes)), reason, before, after)

    def _rest(self, kind: str, name: str, table: str, sql: str | None) -> Account:
        """Objects that nobody declares: SQLite's own, Cloudflare's, Towpath's."""
        if kind == "index" and name.lower().startswith("sqlite_autoindex_"):
            owner = self.accounts.get(("table", table))
            codes = owner.codes if owner is not None else ()
            if owner is not None and owner.outcome == DROPPED:
                return Account(kind, name, DROPPED, codes, f"belongs to {table}, which is dropped", "", "")
            if "TB307" in codes and self._key_index(table) == name:
                return Account(kind, name, CHANGED, ("TB307",), f"the key of {table} is its rowid now", "", "")
            return Account(kind, name, KEPT, (), f"made by a UNIQUE or PRIMARY KEY of {table}", "", "")
        if name.lower() == "sqlite_sequence":
            return Account(kind, name, KEPT, (), "made by AUTOINCREMENT; the load sets its values", sql or "", "")
        return Account(kind, name, DROPPED, ("TB311",), "the target makes its own", sql or "", "")

    def _key_index(self, table: str) -> str:
        return next((i.name for i in self.schema.table(table).indexes if i.origin == "pk"), "")

    def _virtual(self, table: Table) -> list[Statement]:
        for code in ("TB109", "TB116"):
            if self.decided.get((code, table.name)) == "drop":
                reason = f"{RULES[code].title}; decided: drop"
                self.dropped[table.name.lower()] = (code, reason)
                self._account("table", table.name, DROPPED, (code,), reason, table.sql)
                return []
        way = read_virtual(table).way
        sql = tidied(table.sql)
        if way == FILLED:
            self.fill.append(Statement(table.name, sql))
            self._account("table", table.name, KEPT, (), "its rows move like those of any table", table.sql, sql)
            return []
        self._account("table", table.name, KEPT, ("TB312",), f"made after the load and {way}", table.sql, sql)
        return [Statement(table.name, sql), *(Statement(table.name, s) for s in after_statements(table))]

    def _table(self, table: Table) -> TargetTable:
        parsed = parse_table(table.sql, len(table.columns))
        census = self.profile.table(table.name)
        changes: list[tuple[str, str]] = []
        if any(t.kind == COMMENT for t in tokens(table.sql)) or "\r" in table.sql:
            changes.append(("TB309", "comments or CRLF left out"))
        if not table.primary_key:
            changes.append(("TB313", "no primary key"))
        rewrite = Rewrite(self.decided, table, changes)
        columns, lines = [], []
        for column, clause in zip(table.columns, parsed.columns, strict=True):
            chosen = self._type(table, column, census)
            columns.append(TargetColumn(column.name, column.declared, chosen.type, chosen.code, chosen.reason))
            lines.append(self._column(table, column, clause, chosen, census.column(column.name), rewrite))
        lines += [sql for constraint in parsed.constraints if (sql := rewrite.constraint(constraint))]
        options = f" {written(parsed.options)}" if parsed.options else ""
        sql = f"CREATE TABLE {quoted(table.name)} (\n  " + ",\n  ".join(lines) + f"\n){options}"
        codes = [column.code for column in columns if column.code] + [code for code, _ in changes]
        only_told = {"TB313"}
        outcome = CHANGED if set(codes) - only_told else KEPT
        reason = "; ".join(dict.fromkeys([what for _, what in changes] + [c.reason for c in columns if c.reason]))
        self._account("table", table.name, outcome, codes, reason, table.sql, sql)
        return TargetTable(table.name, table, sql, tuple(columns), tuple(dict.fromkeys(changes)))

    def _type(self, table: Table, column: Column, census: TableProfile) -> Chosen:
        if table.strict or table.rowid_alias == column.name:
            return Chosen(column.declared, "", "")
        found = census.column(column.name)
        chosen = choose(column, found)
        if column.key and table.primary_key == (column.name,) and not table.without_rowid and chosen.type == "INTEGER":
            if found.integers == census.rows:
                return Chosen(
                    "INTEGER", "TB307", f"{column.declared} is not the rowid in SQLite, INTEGER PRIMARY KEY is"
                )
            if chosen.code:  # INTEGER would make it the rowid, which takes neither NULL nor text
                return Chosen("INT", chosen.code, f"{chosen.reason}; not INTEGER, because not every key is an integer")
            return Chosen(column.declared, "", "")
        return chosen

    def _column(
        self, table: Table, column: Column, clause: ColumnClause, chosen: Chosen, found: ColumnProfile, rewrite: Rewrite
    ) -> str:
        parts = [quoted(column.name)]
        if chosen.type:
            parts.append(chosen.type if chosen.code else written(clause.declared))
        bare = column.key and not column.notnull and not table.without_rowid and not table.strict
        alias = table.rowid_alias == column.name or chosen.code == "TB307"
        if bare and not alias and not found.nulls:
            parts.append("NOT NULL")
            rewrite.changes.append(("TB308", f"NOT NULL on {shown(column.name)}"))
        return " ".join([*parts, *rewrite.clauses(column.name, clause.clauses)])

    def _index(self, index: Index, table: Table) -> Statement | None:
        if index.sql is None:
            return None
        if self.decided.get(("TB108", index.name)) == "drop":
            reason = f"{RULES['TB108'].title}; decided: drop"
            self._account("index", index.name, DROPPED, ("TB108",), reason, index.sql)
            return None
        collation = self.decided.get(("TB110", index.name), "")
        sql, changes = rewritten(index.sql, collation, [c.name for c in table.columns])
        unique = "UNIQUE " if index.unique else ""
        at = next(i for i, token in enumerate(sql) if token.sign("("))
        made = f"CREATE {unique}INDEX {quoted(index.name)} ON {quoted(table.name)} {written(sql[at:]).strip()}"
        codes = [code for code, _ in changes]
        reason = "; ".join(what for _, what in changes)
        self._account("index", index.name, CHANGED if codes else KEPT, codes, reason, index.sql, made)
        return Statement(index.name, made)

    def _named(self, kind: str, item: Named) -> Statement | None:
        gone = self.dropped.get(item.table.lower()) if item.table else None
        for code in ("TB108", "TB117"):
            if self.decided.get((code, item.name)) == "drop":
                gone = (code, f"{RULES[code].title}; decided: drop")
        for token in spoken(item.sql):
            name = token.identifier
            if gone is None and name is not None and name.lower() in self.dropped:
                code, _ = self.dropped[name.lower()]
                gone = (code, f"uses {name}, which is dropped")
        if gone is not None:
            self.dropped[item.name.lower()] = gone
            self._account(kind, item.name, DROPPED, (gone[0],), gone[1], item.sql)
            return None
        sql = tidied(item.sql).rstrip(";").rstrip()
        changes = []
        if any(t.kind == COMMENT for t in tokens(item.sql)) or "\r" in item.sql:
            changes.append(("TB309", "comments or CRLF left out"))
        sql, more = keyword(sql, self.decided.get(("TB110", item.name), ""))
        changes += more
        codes = [code for code, _ in changes]
        reason = "; ".join(what for _, what in changes)
        self._account(kind, item.name, CHANGED if codes else KEPT, codes, reason, item.sql, sql)
        return Statement(item.name, sql)
