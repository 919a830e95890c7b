"""What the census means for a move to D1: findings over values, a pure function of what was measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import apsw

from towpath.checks import Check, Decision, Finding, Verdict, decide
from towpath.cloudflare.limits import Limits
from towpath.tables.census import DATED_FORMS, NAIVE_FORMS, ColumnProfile, Profile, TableProfile
from towpath.tables.declared import declared, shown
from towpath.tables.dialect import COLLATIONS
from towpath.tables.orphans import Orphans
from towpath.tables.samples import ask
from towpath.tables.schema import Column, Index, Schema, Table, quoted

LITERAL_BYTES = 90_000  # a literal longer than this fills a statement of its own
_DECIMAL = re.compile(r"^(DEC|DECIMAL|NUMERIC|NUMBER|.*MONEY)\b", re.IGNORECASE)
_TEXTUAL = re.compile(r"^(STRING|UUID|GUID|UNIQUEIDENTIFIER|ENUM|XML|CITEXT)", re.IGNORECASE)


def find(
    schema: Schema, profile: Profile, orphans: Sequence[Orphans], limits: Limits, *, time_zone: str = ""
) -> list[Finding]:
    """Every finding of the source, declarations first, then values table by table.

    `time_zone`: what mapping.yaml states for timestamps without a zone, "" if it states nothing.  Findings name keys,
    never values.
    """
    out = declared(schema, limits)
    if profile.encoding != "UTF-8":
        out.append(Finding("TB112", "database", 1, f"text is stored as {profile.encoding}"))
    if profile.database_bytes > limits.d1_database_bytes:
        what = f"{profile.database_bytes:,} bytes, the plan allows {limits.d1_database_bytes:,}"
        out.append(Finding("TB106", "database", profile.database_bytes, what))
    for table in schema.moving:
        census = profile.table(table.name)
        out += _rows(table, census, limits)
        for column in table.columns:
            out += _column(table, column, census.column(column.name), time_zone)
    for orphan in orphans:
        if orphan.count and not orphan.problem:
            what = f"{counted(orphan.count, 'row')} with a reference to {orphan.parent} that leads nowhere"
            out.append(Finding("TB203", orphan.object, orphan.count, what, orphan.keys))
    return out


def contradictions(schema: Schema, orphans: Sequence[Orphans], decisions: Sequence[Decision]) -> list[Check]:
    """Decisions that the declarations make impossible: `null` where no column of the reference may be NULL."""
    out = []
    for orphan in orphans:
        decision = decide("TB203", orphan.object, decisions)
        columns = {column.name.lower(): column for column in schema.table(orphan.table).columns}
        bound = all(columns[name.lower()].notnull or columns[name.lower()].key for name in orphan.columns)
        if orphan.count and decision is not None and decision.do == "null" and bound:
            out.append(
                Check(
                    code="TB203",
                    surface="tables",
                    object=orphan.object,
                    expected="a reference with a column that may be NULL",
                    found="mapping.yaml decides null, but every column of it is NOT NULL or part of the primary key",
                    verdict=Verdict.FAIL,
                    next="decide park instead",
                    keys=orphan.keys,
                )
            )
    return out


def too_alike(db: apsw.Connection, schema: Schema, decisions: Sequence[Decision]) -> list[Check]:
    """Decisions for NOCASE that the rows make impossible: values that a UNIQUE would then hold for equal (TB110)."""
    out = []
    for table in schema.moving:
        for index in (index for index in table.indexes if index.unique and None not in index.columns):
            columns = [str(name) for name in index.columns]
            decided = [_folded(table, index, *pair, decisions) for pair in zip(columns, index.collations, strict=True)]
            if not any(decided):
                continue
            known = [name.upper() if name.upper() in COLLATIONS else "BINARY" for name in index.collations]
            folded = ["NOCASE" if fold else name for fold, name in zip(decided, known, strict=True)]
            parts = [f"{quoted(column)} COLLATE {name}" for column, name in zip(columns, folded, strict=True)]
            there = " AND ".join(f"typeof({quoted(column)}) <> 'null'" for column in columns)
            where = f"FROM {quoted(table.name)} WHERE {there} GROUP BY {', '.join(parts)} HAVING count(*) > 1"
            if count := int(ask(db, f"SELECT count(*) FROM (SELECT 1 {where})")):
                name = f"{shown(table.name)}.{'+'.join(columns)}"
                found = f"{counted(count, 'value')} of {name} stand in several rows that NOCASE holds for equal"
                step = "decide binary, or make them unlike in the source"
                out.append(Check("TB110", "tables", name, "unique under NOCASE", found, Verdict.FAIL, step))
    return out


def _folded(table: Table, index: Index, column: str, collation: str, decisions: Sequence[Decision]) -> bool:
    """Whether NOCASE was decided for a collation that D1 has not."""
    if collation.upper() in COLLATIONS:
        return False
    names = (f"{shown(table.name)}.{shown(column)}", index.name, shown(table.name))
    return any((taken := decide("TB110", name, decisions)) and taken.do == "nocase" for name in names)


def counted(count: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _rows(table: Table, census: TableProfile, limits: Limits) -> Iterator[Finding]:
    name = shown(table.name)
    if census.long_rows:
        what = f"{counted(census.long_rows, 'row')}, the longest of {census.longest_row:,} bytes"
        what += f"; D1 takes {limits.d1_row_bytes:,}"
        yield Finding("TB102", name, census.long_rows, what, census.long_row_keys)
    for line, count in census.broken.items():
        if line.startswith("CHECK"):
            more = " or more" if count >= 100 else ""  # quick_check stops there
            yield Finding("TB214", name, count, f"{count:,}{more} of its rows break a CHECK of the table")


def _column(table: Table, column: Column, census: ColumnProfile, time_zone: str) -> Iterator[Finding]:
    name = f"{shown(table.name)}.{shown(column.name)}"

    def found(code: str, count: int, what: str, kind: str = "") -> Finding:
        return Finding(code, name, count, what, census.samples.get(kind, ()))

    if column.notnull and census.nulls:
        yield found("TB214", census.nulls, f"{counted(census.nulls, 'NULL')} in a NOT NULL column", "null")
    elif column.key and census.nulls:
        yield found("TB210", census.nulls, f"{counted(census.nulls, 'row')} with NULL in the primary key", "null")
    if census.beyond_safe:
        yield found(
            "TB201", census.beyond_safe, f"{counted(census.beyond_safe, 'integer')} beyond ±2^53", "beyond_safe"
        )
    if census.invalid_texts:
        yield found("TB202", census.invalid_texts, f"{counted(census.invalid_texts, 'text')} not in UTF-8", "invalid")
    if census.nul_texts:
        yield found("TB204", census.nul_texts, f"{counted(census.nul_texts, 'text')} with NUL inside", "nul")
    if census.replaced_texts:
        yield found(
            "TB215", census.replaced_texts, f"{counted(census.replaced_texts, 'text')} with U+FFFD inside", "replaced"
        )
    if census.json_numbers:
        what = f"{counted(census.json_numbers, 'document')} with a number that a double rounds"
        yield found("TB218", census.json_numbers, what, "json")
    if census.beyond_int64:
        what = f"{counted(census.beyond_int64, 'number')} beyond 64 bits, stored as a real"
        yield found("TB219", census.beyond_int64, what, "beyond_int64")
    if len(census.uuid_forms) > 1:
        told = ", ".join(f"{form} ({number})" for form, number in census.uuid_forms.items())
        yield found("TB221", sum(census.uuid_forms.values()), f"several forms: {told}")
    if census.infinities:
        yield found("TB205", census.infinities, f"{counted(census.infinities, 'infinite number')}", "infinities")
    longest = max(census.longest_text, 2 * census.longest_blob)  # a blob's literal is hexadecimal
    if longest > LITERAL_BYTES:
        yield found("TB211", 1, f"the longest value takes {longest:,} bytes as a literal")
    if census.boolean_texts:
        yield found("TB213", census.boolean_texts, f"{counted(census.boolean_texts, 'boolean')} written as a word")
    yield from _dates(name, census, time_zone)
    yield from _numbers(name, column, census)


def _dates(name: str, census: ColumnProfile, time_zone: str) -> Iterator[Finding]:
    forms = {form: count for form, count in census.dates.items() if form in DATED_FORMS}
    if len(forms) > 1:
        told = ", ".join(f"{form} ({count})" for form, count in census.dates.items())
        yield Finding("TB207", name, sum(census.dates.values()), f"several forms: {told}")
    naive = sum(count for form, count in forms.items() if form in NAIVE_FORMS)
    if naive and time_zone:
        yield Finding("TB217", name, naive, f"{counted(naive, 'timestamp')} without a zone, meant in {time_zone}")
    elif naive:
        yield Finding("TB206", name, naive, f"{counted(naive, 'timestamp')} without a zone")
    if census.unread_times:
        what = f"{counted(census.unread_times, 'time')} whose offset SQLite does not read"
        yield Finding("TB220", name, census.unread_times, what, census.samples.get("unread", ()))
    if census.impossible_dates:
        what = f"{counted(census.impossible_dates, 'date')} that no calendar has"
        yield Finding("TB212", name, census.impossible_dates, what, census.samples.get("impossible", ()))


def _numbers(name: str, column: Column, census: ColumnProfile) -> Iterator[Finding]:
    if _DECIMAL.match(column.declared) and census.reals:
        yield Finding(
            "TB208",
            name,
            census.reals,
            f"{counted(census.reals, 'value')} of a {column.declared} stored as a binary fraction",
        )
    numbers = census.integers + census.reals
    if _TEXTUAL.match(column.declared) and column.affinity == "NUMERIC" and numbers:
        what = f"{counted(numbers, 'number')} in a {column.declared}, which SQLite takes for a numeric type"
        yield Finding("TB209", name, numbers, what)
    of_numbers = re.search(r"INT|REAL|FLOA|DOUB|DEC|NUM", column.declared, re.IGNORECASE)
    if of_numbers and column.affinity != "TEXT" and census.texts and not census.boolean_texts and not census.dates:
        yield Finding("TB216", name, census.texts, f"{counted(census.texts, 'text')} in a {column.declared}")
