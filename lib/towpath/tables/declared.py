"""What is wrong, for D1, in the declarations of a source: findings that need no look at the rows."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from towpath.checks import Finding
from towpath.cloudflare.limits import Limits
from towpath.tables import orphans
from towpath.tables.clauses import Clause, functions, index_expressions, parse_table
from towpath.tables.ddl import Token, spoken, written
from towpath.tables.dialect import COLLATIONS, FUNCTIONS, MIGRATION_TABLES, OWN_TABLES, SAME, Sandbox
from towpath.tables.schema import Named, Schema, Table, literal, quoted
from towpath.tables.virtual import EMPTY, FILLED, IMPOSSIBLE, read_virtual


def declared(schema: Schema, limits: Limits) -> list[Finding]:
    """Findings TB101 to TB117 about declarations, in the order of the schema.  Raises BadInput for unreadable DDL."""
    out: list[Finding] = []
    out += _names(schema)
    for table in schema.tables:
        if table.kind == "virtual":
            out += _virtual(table)
        elif table.kind == "table":
            out += _table(schema, table, limits)
    out += _statements(schema, limits)
    out += _compiled(schema, limits)
    return out


def shown(name: str) -> str:
    """A name as findings write it: the empty one is made visible."""
    return name or '""'


def refused(names: Iterable[str]) -> list[str]:
    """Those of the function names that D1 has not, not even under another name."""
    return sorted(name for name in names if name not in FUNCTIONS and name not in SAME)


def collations(tokens: Sequence[Token]) -> list[str]:
    """Collations named in the tokens that D1 has not."""
    named = [b.identifier or "" for a, b in itertools.pairwise(tokens) if a.word("COLLATE")]
    return [name for name in named if name.upper() not in COLLATIONS]


def _names(schema: Schema) -> Iterator[Finding]:
    for item in schema.objects:
        if item.name.lower().startswith("_cf_") and item.name.lower() not in OWN_TABLES:
            yield Finding("TB103", item.name, 1, f"{item.kind} with a name that D1 keeps for itself")
        if item.name.lower() in MIGRATION_TABLES and item.kind == "table":
            yield Finding("TB118", item.name, 1, f"kept by {MIGRATION_TABLES[item.name.lower()]}")
        if item.name.lower() == "d1_migrations" and item.kind == "table":
            yield Finding("TB115", item.name, 1, "wrangler's own list of applied migrations")
    tables = [table.name for table in schema.moving]
    yield from _collisions("", tables)
    for table in schema.moving:
        if not table.name:
            yield Finding("TB104", '""', 1, "a table whose name is empty")
        for column in table.columns:
            if not column.name:
                yield Finding("TB104", f'{shown(table.name)}.""', 1, "a column whose name is empty")
        yield from _collisions(shown(table.name), [column.name for column in table.columns])


def _collisions(table: str, names: Sequence[str]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFKC", name).casefold()
        if folded in seen:
            where = f"{table}.{name}" if table else name
            yield Finding("TB105", where, 1, f"differs from {seen[folded]!r} only by case or Unicode form")
        seen.setdefault(folded, name)


def _virtual(table: Table) -> Iterator[Finding]:
    found = read_virtual(table)
    if found.way == IMPOSSIBLE:
        why = "keeps no text to fill it from" if found.module == "fts5" else f"D1 has no module {found.module}"
        yield Finding("TB109", table.name, 1, f"virtual table: {why}")
    elif found.way == FILLED:
        yield Finding("TB116", table.name, 1, f"{found.module} table that owns its content")


def _table(schema: Schema, table: Table, limits: Limits) -> Iterator[Finding]:
    if len(table.columns) > limits.d1_columns:
        yield Finding(
            "TB101", table.name, len(table.columns), f"{len(table.columns)} columns, D1 takes {limits.d1_columns}"
        )
    parsed = parse_table(table.sql, len(table.columns))
    for column in parsed.columns:
        name = f"{shown(table.name)}.{shown(column.name)}"
        for code, kinds in (("TB108", ("check", "default")), ("TB111", ("generated",))):
            calling = [clause for clause in column.clauses if clause.kind in kinds and refused(clause.functions)]
            if calling:
                told = [f"{clause.kind.upper()} calls {', '.join(refused(clause.functions))}" for clause in calling]
                yield Finding(code, name, len(calling), "; ".join(told))
        if unknown := [c for clause in column.clauses for c in collations(clause.tokens)]:
            yield Finding("TB110", name, 1, f"collation {', '.join(unknown)}")
    calling = [clause for clause in parsed.constraints if refused(clause.functions)]
    if calling:
        missing = sorted({name for clause in calling for name in refused(clause.functions)})
        yield Finding("TB108", shown(table.name), len(calling), f"CHECK calls {', '.join(missing)}")
    if unknown := [name for clause in parsed.constraints for name in collations(clause.tokens)]:
        yield Finding("TB110", shown(table.name), len(unknown), f"collation {', '.join(unknown)}")
    for index in table.indexes:
        if index.sql:
            tokens = index_expressions(index.sql)
            if missing := refused(functions(tokens[1:])):
                yield Finding("TB108", index.name, 1, f"index calls {', '.join(missing)}")
            if unknown := collations(tokens):
                yield Finding("TB110", index.name, 1, f"collation {', '.join(unknown)}")
    for fk in table.foreign_keys:
        wrong = orphans.problem(schema, fk)
        name = f"{shown(table.name)}.{'+'.join(fk.columns)}"
        if wrong == orphans.NO_TABLE:
            yield Finding("TB114", name, 1, f"foreign key to {fk.parent}, which is no table of the source")
        elif wrong == orphans.NO_KEY:
            there = f"{fk.parent}({', '.join(fk.parent_columns)})"
            yield Finding("TB113", name, 1, f"foreign key to {there}, which is not unique")


def _statements(schema: Schema, limits: Limits) -> Iterator[Finding]:
    for item in schema.objects:
        size = len((item.sql or "").encode("utf-8", "surrogatepass"))
        if size > limits.d1_statement_bytes:
            what = f"its CREATE {item.kind.upper()} has {size:,} bytes, D1 takes {limits.d1_statement_bytes:,}"
            yield Finding("TB107", item.name, size, what)


def _compiled(schema: Schema, limits: Limits) -> Iterator[Finding]:
    """Views and triggers are compiled once over a twin of the source, and what they call is noted."""
    with Sandbox(limits) as sandbox:
        _twin(sandbox, schema)
        sandbox.guarded = False
        for view in schema.views:
            sandbox.run(view.sql)
        never = {t.name.lower() for t in schema.tables if t.kind == "virtual" and read_virtual(t).way == IMPOSSIBLE}
        for view in schema.views:
            refused = sandbox.run(f"SELECT * FROM {quoted(view.name)} LIMIT 0")
            error = refused or sandbox.pattern(view.sql)
            yield from _verdict("view", view, error, sandbox.refused, never)
        for trigger in schema.triggers:
            statement = use(sandbox, trigger)
            sandbox.run(statement)
            before = sandbox.refused  # what the table itself calls
            error = sandbox.run(trigger.sql) or sandbox.run(statement)
            yield from _verdict("trigger", trigger, error, sandbox.refused - before, never)
            sandbox.run(f"DROP TRIGGER {quoted(trigger.name)}")


def _twin(sandbox: Sandbox, schema: Schema) -> None:
    """Declare what the source declares; what SQLite itself does not know becomes a stand-in."""
    words = [t for item in schema.objects for t in spoken(item.sql or "")]
    called = {(a.identifier or "").lower() for a, b in itertools.pairwise(words) if b.sign("(") and a.identifier}
    called.add("regexp")
    sandbox.stand_in(
        (name for name in called if name and name not in FUNCTIONS and not sandbox.known(name)), set(collations(words))
    )
    for table in schema.moving:
        sandbox.unguarded(_purified(table))
    virtual = [table for table in schema.tables if table.kind == "virtual"]
    for table in sorted(
        virtual, key=lambda table: read_virtual(table).way == EMPTY
    ):  # fts5vocab over another comes last
        sandbox.run(table.sql)


def _purified(table: Table) -> str:
    """The table without the CHECKs and DEFAULTs that D1 refuses: they are findings of their own."""
    parsed = parse_table(table.sql, len(table.columns))

    def stays(clause: Clause) -> bool:
        return clause.kind == "generated" or not refused(clause.functions)

    lines = [
        " ".join([quoted(c.name), written(c.declared), *(written(k.tokens) for k in c.clauses if stays(k))])
        for c in parsed.columns
    ]
    lines += [written(clause.tokens) for clause in parsed.constraints if stays(clause)]
    return f"CREATE TABLE {quoted(table.name)} ({', '.join(lines)}) {written(parsed.options)}"


def use(sandbox: Sandbox, trigger: Named) -> str:
    """A statement that compiles the trigger without touching a row."""
    parts = spoken(trigger.sql)
    at = next((i for i, t in enumerate(parts) if t.word("INSERT", "UPDATE", "DELETE")), 0)
    target = quoted(trigger.table)
    if parts[at].word("INSERT"):
        return f"EXPLAIN INSERT INTO {target} DEFAULT VALUES"
    if parts[at].word("DELETE"):
        return f"EXPLAIN DELETE FROM {target}"
    name = parts[at + 2].identifier if parts[at + 1].word("OF") else None
    if name is None:
        sql = f"SELECT name FROM pragma_table_xinfo({literal(trigger.table)}) WHERE hidden = 0"
        found = sandbox.db.execute(sql).fetchall()
        name = str(found[0][0]) if found else "rowid"
    return f"EXPLAIN UPDATE {target} SET {quoted(name)} = {quoted(name)}"


def _verdict(kind: str, item: Named, error: str, called: set[str], never: set[str]) -> Iterator[Finding]:
    if unknown := collations(spoken(item.sql)):
        yield Finding("TB110", item.name, 1, f"collation {', '.join(unknown)}")
    used = sorted({(token.identifier or "").lower() for token in spoken(item.sql)} & never)
    if error and used:  # it runs in the source, over a virtual table that D1 cannot have
        yield Finding("TB108", item.name, 1, f"{kind} uses {', '.join(used)}, which D1 cannot have")
    elif error:
        yield Finding("TB117", item.name, 1, f"{kind} does not run: {error}")
    elif missing := refused(called):
        yield Finding("TB108", item.name, 1, f"{kind} calls {', '.join(missing)}")
