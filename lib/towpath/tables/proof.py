"""Proof of a conversion before anything is written.

Its statements run in a sandbox with D1's limits and rights, and what they declare is read back and compared with the
source.  Only the changes that the conversion lists may differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import apsw

from towpath.checks import Check
from towpath.cloudflare.limits import PAID, Limits
from towpath.tables.clauses import TableClauses, parse_table
from towpath.tables.conversion import Conversion, TargetTable
from towpath.tables.ddl import spoken, unmisquoted
from towpath.tables.declared import shown, use
from towpath.tables.dialect import COLLATIONS, SAME, Sandbox
from towpath.tables.rules import RULES
from towpath.tables.schema import Column, Schema, Table, quoted, reflect


def prove(conversion: Conversion, schema: Schema, limits: Limits = PAID) -> list[Check]:
    """Create the target in memory and compare it with the source; one check per object, FAIL where they differ."""
    out = [_accounted(conversion, schema), *_short(conversion, limits)]
    with Sandbox(limits) as sandbox:
        for name, sql in _statements(conversion):
            error = sandbox.run(sql)
            if error:
                out.append(_check("TB321", name, "runs under D1's rules", error, False))
        for view in conversion.views:
            error = sandbox.run(f"SELECT * FROM {quoted(view.name)} LIMIT 0")
            out.append(_check("TB321", view.name, "the view compiles", error or "it does", not error))
        kept = {trigger.name for trigger in conversion.triggers}
        for trigger in schema.triggers:
            if trigger.name in kept:
                error = sandbox.run(use(sandbox, trigger))
                out.append(_check("TB321", trigger.name, "the trigger compiles", error or "it does", not error))
        sandbox.guarded = False
        made = reflect(sandbox.db)
        collations = _collations(sandbox, schema, limits)
        for target in conversion.tables:
            try:
                table = made.table(target.name)
            except KeyError:
                continue  # its statement failed, which is a check of its own
            wrong = [*_differences(target, table), *collations.get(target.name, [])]
            found = "; ".join(wrong) or f"{len(table.columns)} columns, {len(table.foreign_keys)} foreign keys"
            out.append(_check("TB320", shown(target.name), "declares what the source declares", found, not wrong))
    return out


def _check(code: str, name: str, expected: str, found: str, good: bool) -> Check:
    return RULES[code].check(name, expected, found, good, step="open an issue with the declaration of this object")


def _statements(conversion: Conversion) -> list[tuple[str, str]]:
    after = (*conversion.indexes, *conversion.virtual, *conversion.views, *conversion.triggers)
    made = (*conversion.keys, *conversion.fill, *after)
    return [(t.name, t.sql) for t in conversion.tables] + [(s.name, s.sql) for s in made]


def _accounted(conversion: Conversion, schema: Schema) -> Check:
    there = Counter((item.kind, item.name) for item in schema.objects)
    told = Counter((account.kind, account.name) for account in conversion.accounting)
    outcomes = Counter(account.outcome for account in conversion.accounting)
    missing = [f"{kind} {name}" for kind, name in (there - told) + (told - there)]
    found = " + ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) + f" = {told.total()}"
    if missing:
        found = f"not accounted for: {', '.join(missing)}"
    return _check("TB322", "schema", f"{there.total()} objects accounted for", found, not missing)


def _short(conversion: Conversion, limits: Limits) -> Iterator[Check]:
    sizes = [(len(sql.encode()), name) for name, sql in _statements(conversion)]
    longest, name = max(sizes, default=(0, ""))
    expected = f"no statement over {limits.d1_statement_bytes:,} bytes"
    yield _check("TB323", "schema", expected, f"{longest:,} ({shown(name)})", longest <= limits.d1_statement_bytes)


def _differences(target: TargetTable, made: Table) -> Iterator[str]:
    source = target.source
    codes = {code for code, _ in target.changes} | {column.code for column in target.columns}
    if [c.name for c in made.columns] != [c.name for c in source.columns]:
        yield f"columns {[c.name for c in made.columns]} for {[c.name for c in source.columns]}"
        return
    for old, new, told in zip(source.columns, made.columns, target.columns, strict=True):
        yield from _column_differences(old, new, told.target_type, target, codes)
    for word in ("without_rowid", "strict", "autoincrement"):
        if getattr(made, word) != getattr(source, word):
            yield f"{word} is {getattr(made, word)}"
    if made.primary_key != source.primary_key:
        yield f"primary key {made.primary_key}"
    if not codes & {"TB113", "TB114"} and set(made.foreign_keys) != set(source.foreign_keys):
        yield "foreign keys differ"
    rowid = "TB307" in codes
    if not codes & {"TB108", "TB110"} and Counter(_keys(source, rowid)) != Counter(_keys(made, rowid)):
        yield "UNIQUE or PRIMARY KEY differ"
    yield from _index_differences(target, made)
    old_text, new_text = (parse_table(table.sql, len(table.columns)) for table in (source, made))
    if "TB108" not in codes and _expressions(old_text, source) != _expressions(new_text, source):
        yield "CHECK or generated expressions differ"


def _column_differences(old: Column, new: Column, wanted: str, target: TargetTable, codes: set[str]) -> Iterator[str]:
    name = shown(old.name)
    if " ".join(new.declared.split()).upper() != " ".join(wanted.split()).upper():
        yield f"{name} is {new.declared}, not {wanted}"
    if new.notnull != old.notnull and not (new.notnull and ("TB308", f"NOT NULL on {name}") in target.changes):
        yield f"{name}: NOT NULL is {new.notnull}"
    if _normal(new.default) != _normal(old.default) and "TB108" not in codes:
        yield f"{name}: default is {new.default}, not {old.default}"
    if (new.key, new.hidden) != (old.key, old.hidden):
        yield f"{name}: key {new.key}, hidden {new.hidden}"


def _keys(table: Table, rowid: bool) -> list[tuple[object, ...]]:
    """The indexes that constraints make; `rowid`: that of the key is gone, because the rowid is the key."""
    own = [
        index for index in table.indexes if index.origin != "c" and not (rowid and index.columns == table.primary_key)
    ]
    return [(index.unique, index.origin, index.columns, index.collations) for index in own]


def _index_differences(target: TargetTable, made: Table) -> Iterator[str]:
    known = {index.name: index for index in target.source.indexes}
    for index in made.indexes:
        old = known.get(index.name)
        if index.origin != "c" or old is None:
            continue  # one that was not made is a failed statement, or dropped by a decision
        if (index.unique, index.partial, index.columns) != (old.unique, old.partial, old.columns):
            yield f"index {index.name} is over {index.columns}"
        elif {c.upper() for c in old.collations} <= set(COLLATIONS) and index.collations != old.collations:
            yield f"index {index.name} compares by {index.collations}"


def _normal(expression: str | None, columns: tuple[str, ...] = ()) -> list[str] | None:
    if expression is None:
        return None
    parts = unmisquoted(spoken(expression), columns)
    return [SAME.get(t.text.lower(), t.text) if t.kind == "word" else t.text for t in parts]


def _expressions(parsed: TableClauses, table: Table) -> list[list[str] | None]:
    columns = tuple(column.name for column in table.columns)
    inside = [clause for column in parsed.columns for clause in column.clauses]
    wanted = ("check", "generated")
    return [
        _normal(" ".join(token.text for token in clause.tokens), columns)
        for clause in (*inside, *parsed.constraints)
        if clause.kind in wanted
    ]


def _collations(sandbox: Sandbox, schema: Schema, limits: Limits) -> dict[str, list[str]]:
    """Columns whose collation changed, by table; those that a decision changed are left out by their name."""
    out: dict[str, list[str]] = {}
    with Sandbox(limits) as twin:
        for table in schema.moving:
            if twin.unguarded(table.sql):
                continue  # needs functions or collations that only the source has
            for column in table.columns:
                old = twin.db.column_metadata("main", table.name, column.name)[1]
                try:
                    new = sandbox.db.column_metadata("main", table.name, column.name)[1]
                except apsw.SQLError:  # the table was not made: a check of its own
                    break
                if old != new:
                    out.setdefault(table.name, []).append(f"{shown(column.name)}: collation {new}, not {old}")
    return out
