"""Constraints of the target proved again, over its rows: the engine's own enforcement is not taken for granted.

D1 lets a session switch CHECKs off, and a table can be dropped and made again without a constraint.  So every NOT NULL,
CHECK and generated expression is evaluated over every row, every UNIQUE is counted without its index, generated columns
are compared with what the snapshot computes, and every view is read on both sides.  A table is scanned once for all
that it promises of single rows, in ranges of keys that end long before D1's 30 seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import apsw

from towpath.checks import Check, Progress, silent
from towpath.cloudflare.d1 import D1
from towpath.cloudflare.errors import D1Error
from towpath.tables import canonical, opened
from towpath.tables.acceptance import check, in_memory
from towpath.tables.compare import page_equal
from towpath.tables.constraints import CHECK, COMPUTED, NOT_NULL, Promise, Unique, named, promises, uniques
from towpath.tables.keys import key_expression, key_literal, key_shown
from towpath.tables.literals import value_literal
from towpath.tables.manifest import Manifest, Page, TableEntry
from towpath.tables.relation import Relation
from towpath.tables.schema import Table, quoted, reflect

UNIQUE, VIEW = "TB417", "TB419"
SCAN_ROWS = 250_000  # rows of one statement that evaluates conditions: about a second
GROUP_ROWS = 1_000_000  # rows of one statement that groups by a unique key
ASKED_BYTES = 60_000  # of conditions in one statement; the keys of a range may take 30,000 more
ASKED = 90  # conditions in one statement: D1 answers with up to 100 columns
KEYS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Target:
    """One table of the target: what it declares, how its rows are ranged, where it is."""

    d1: D1
    table: Table
    entry: TableEntry
    relation: Relation  # as the target holds it
    source: Relation  # as the snapshot holds it, decisions laid over

    @property
    def ranges(self) -> list[str]:
        """WHERE clauses that divide all rows; those without a name, which no range holds, are the last."""
        cuts, rows = [], 0
        for page in self.entry.pages[:-1]:
            rows += page.rows
            if rows >= SCAN_ROWS and page.high is not None:
                cuts.append(page.high)
                rows = 0
        ends = [None, *cuts, None]
        out = [self.relation.where(low, high) for low, high in itertools.pairwise(ends)]
        if cuts and not self.relation.carries_rowid:
            out.append(" WHERE " + " OR ".join(f"{name} IS NULL" for name in self.relation.key))
        return out


def reproved(
    d1: D1,
    manifest: Manifest,
    snapshot: apsw.Connection,
    relations: Mapping[str, Relation],
    statements: Sequence[str],
    report: Progress = silent,
) -> list[Check]:
    """TB415 to TB419 over all tables that the manifest knows; `report` counts tables.

    `statements` are those that the target was made by, `relations` those of the export.  Raises D1Error where the
    target cannot be read to the end.
    """
    with in_memory(statements) as db:
        schema = reflect(db)
    out: list[Check] = []
    for entry in manifest.tables:
        source = relations[entry.name].paged_as(entry.key, entry.carries_rowid)
        table = schema.table(entry.name).hiding(source.table)
        if table.kind == "table":
            target = _Target(d1, table, entry, replace(source.arriving(), table=table), source)
            out += _asked(target, snapshot)
        report(1)
    out += [_view(d1, snapshot, view.name) for view in schema.views]
    told = {one.code for one in out}
    none = (NOT_NULL, CHECK, UNIQUE, COMPUTED, VIEW)
    return out + [check(code, "database", "none is declared", "none", True) for code in none if code not in told]


def _asked(target: _Target, snapshot: apsw.Connection) -> list[Check]:
    """The checks of one table; one that is not as declared cannot be asked, which TB413 says too."""
    try:
        return list(_table(target, snapshot))
    except D1Error as error:
        if not error.about_the_statement:
            raise
        codes = {promise.code for promise in promises(target.table)} | ({UNIQUE} if uniques(target.table) else set())
        told = f"could not be asked: {error.message}"[:120]
        return [check(code, target.entry.name, "as declared", told, False) for code in sorted(codes)]


def _table(target: _Target, snapshot: apsw.Connection) -> Iterator[Check]:
    found = promises(target.table)
    counts, samples = _scan(target, found)
    for code in (NOT_NULL, CHECK, COMPUTED):
        words = list(named(found, code))
        if not words:
            continue
        wrong = [f"{counts[p]:,} rows break {p.words[:60]}" for p in found if p.code == code and counts[p]]
        keys = [key for p in found if p.code == code for key in samples.get(p, ())]
        if code == COMPUTED and not wrong:
            keys = _otherwise(target, snapshot)
            wrong = [f"{len(keys):,} rows with other values than in the snapshot"] if keys else []
        told = f"{len(words)} of {', '.join(words)}"[:120]
        yield check(code, target.entry.name, told, "; ".join(wrong[:5]) or "every row", not wrong, keys[:KEYS_SHOWN])
    unique = uniques(target.table)
    if unique:
        wrong = [
            f"{count:,} values twice or more in {one.words[:60]}" for one in unique if (count := _twice(target, one))
        ]
        told = f"{len(unique)} of {', '.join(one.words for one in unique)}"[:120]
        yield check(UNIQUE, target.entry.name, told, "; ".join(wrong[:5]) or "every value once", not wrong)


def _scan(target: _Target, found: Sequence[Promise]) -> tuple[dict[Promise, int], dict[Promise, list[str]]]:
    """How many rows break each promise, and the keys of some of them."""
    counts = dict.fromkeys(found, 0)
    samples: dict[Promise, list[str]] = {}
    for part in _parts(found):
        asked = ", ".join(f"count(*) FILTER (WHERE {promise.broken})" for promise in part)
        for where in target.ranges:
            row = target.d1.query(f"SELECT {asked} FROM {quoted(target.entry.name)}{where}").rows[0]
            for promise, count in zip(part, row, strict=True):
                counts[promise] += int(count)
                if count and len(samples.setdefault(promise, [])) < KEYS_SHOWN:
                    samples[promise] += _keys(target, where, promise.broken)
    return counts, samples


def _parts(found: Sequence[Promise]) -> Iterator[list[Promise]]:
    part: list[Promise] = []
    for promise in found:
        size = sum(len(p.broken.encode()) + 40 for p in (*part, promise))
        if part and (size > ASKED_BYTES or len(part) == ASKED):
            yield part
            part = []
        part.append(promise)
    if part:
        yield part


def _keys(target: _Target, where: str, broken: str) -> list[str]:
    both = f"{where} AND ({broken})" if where and " OR " not in where else f" WHERE {broken}"
    sql = f"SELECT {key_expression(target.relation)} FROM {quoted(target.entry.name)}{both} LIMIT {KEYS_SHOWN}"
    return [key_shown(target.relation, str(key)) for (key,) in target.d1.query(sql).rows]


def _twice(target: _Target, unique: Unique) -> int:
    """How many values stand in more than one row, counted without the index that should prevent it."""
    table, first = quoted(target.entry.name), unique.terms[0]
    borders = _borders(target, unique) if target.entry.rows > GROUP_ROWS else []
    total = 0
    for low, high in zip([None, *borders], [*borders, None], strict=True):
        bounds = [f"{first} >= {low}"] if low else []
        bounds += [f"{first} < {high}"] if high else []
        where = " AND ".join([unique.condition, *bounds])
        groups = (
            f"SELECT 1 FROM {table} NOT INDEXED WHERE {where} GROUP BY {', '.join(unique.terms)} HAVING count(*) > 1"
        )
        total += int(target.d1.query(f"SELECT count(*) FROM ({groups})").rows[0][0])
    return total


def _borders(target: _Target, unique: Unique) -> list[str]:
    """Values of the first term, as literals, that cut the rows into parts of GROUP_ROWS."""
    first, out = unique.terms[0], list[str]()
    literal = f"hex({value_literal(first)})"
    for _ in range(target.entry.rows // GROUP_ROWS):
        for beyond, offset in ((">=", GROUP_ROWS), (">", 0)):  # the second where one value fills a whole part
            where = f"{unique.condition} AND {first} {beyond} {out[-1]}" if out else unique.condition
            sql = f"SELECT {literal} FROM {quoted(target.entry.name)} WHERE {where} ORDER BY {first} LIMIT 1"
            rows = target.d1.query(f"{sql} OFFSET {offset}").rows
            border = key_literal(str(rows[0][0])) if rows else ""
            if not border or border not in out:
                break
        if not border:
            break
        out.append(border)
    return out


def _otherwise(target: _Target, snapshot: apsw.Connection) -> list[str]:
    """Keys of rows of which only generated columns are not what the snapshot computes for the same row.

    Where a stored cell differs too, TB412 names it.  Rows without a key cannot be told apart, and what hangs on an
    emptied reference is another value, as decided.
    """
    if target.source.emptied or target.source.is_multiset:
        return []
    ours, theirs = (_computed(relation) for relation in (target.source, target.relation))
    if ours.columns != theirs.columns:
        return []  # an ordinary column of the source, or one that the target alone computes
    keys: dict[str, bool] = {}
    for page in target.entry.pages:
        if _page_equal(target.d1, ours, theirs, page, snapshot):
            continue
        expected = opened.source_rows(snapshot, _whole(target.source), page.low, page.high)
        actual = opened.target_rows(target.d1, _whole(target.relation), page.low, page.high)
        for difference in opened.differences(_whole(target.relation), expected, actual):
            alone = difference.kind == "changed" and difference.column in ours.columns
            keys[difference.key] = keys.get(difference.key, True) and alone
    return [key for key, alone in keys.items() if alone]


def _computed(relation: Relation) -> Relation:
    """The same rows, of which only what is computed is read."""
    columns = tuple(replace(c, hidden=0 if c.generated else 1) for c in relation.table.columns)
    return replace(relation, table=replace(relation.table, columns=columns))


def _whole(relation: Relation) -> Relation:
    """The same rows with what is stored and what is computed."""
    columns = tuple(replace(c, hidden=0) for c in relation.table.columns)
    return replace(relation, table=replace(relation.table, columns=columns))


def _page_equal(d1: D1, ours: Relation, theirs: Relation, page: Page, snapshot: apsw.Connection) -> bool:
    sql = canonical.page_sql(ours, page.low, page.high, ours.columns, "bytes")
    count, text, reals = next(iter(snapshot.execute(sql)))
    found = canonical.digest(count, text or b"", reals)
    wanted = Page(page.low, page.high, count, len(text or b""), canonical.form_of(text or b""), found.text, found.reals)
    return page_equal(d1, theirs, wanted, ours.columns)


def _view(d1: D1, snapshot: apsw.Connection, name: str) -> Check:
    """A view is read to its first row, on both sides; what it says of the rows is their own business."""
    sql = f"SELECT * FROM {quoted(name)} LIMIT 1"
    wanted = found = "an answer"
    try:
        snapshot.execute(sql).fetchall()
    except apsw.Error as error:
        wanted = f"none, as the snapshot: {error}"
    try:
        d1.query(sql)
    except D1Error as error:
        if not error.about_the_statement:
            raise
        found = f"none: {error.message}"
    return check(VIEW, name, wanted[:120], found[:120], found == "an answer" or wanted != "an answer")
