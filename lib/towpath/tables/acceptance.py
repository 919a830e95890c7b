"""What must hold around the rows: everything exported, every chunk received, the schema there, its constraints kept.

Each function asks one question of one side and returns checks; the rules below are their data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import apsw

from towpath.checks import Check, Rule, Severity
from towpath.cloudflare.d1 import D1
from towpath.cloudflare.errors import D1Error
from towpath.errors import BadInput
from towpath.tables.ddl import spoken
from towpath.tables.export import Exporter
from towpath.tables.load import receipt_prefix
from towpath.tables.manifest import Manifest
from towpath.tables.orphans import SOUND, orphans
from towpath.tables.relation import Relation
from towpath.tables.schema import INTERNAL, ForeignKey, Schema, literal, quoted
from towpath.tables.target import RECEIPTS, receipts

_ROWS = (
    ("TB100", "Every page of the source can be read", "repair or restore the source first; nothing was written"),
    ("TB401", "The schema is applied, once", "begin again on an empty database if another schema is there"),
    ("TB402", "Every chunk of the snapshot has its receipt", "run 04-import again: it sends only what is missing"),
    ("TB404", "Indexes, views and triggers are made after the rows", "run 04-import again"),
    ("TB405", "AUTOINCREMENT goes on where the source stopped", "set sqlite_sequence as the check says"),
    ("TB406", "No row breaks a foreign key on the target", "look at the rows named; decide in mapping.yaml (TB203)"),
    ("TB407", "The target's own check of its pages finds nothing", "import again into a new database"),
    ("TB408", "Rows of the source = rows exported + rows parked", "run 03-export again"),
    ("TB409", "No reference without its parent leaves the export", "decide the orphans in mapping.yaml (TB203)"),
    ("TB410", "The schema is what the inventory saw", "begin again with 01-inventory: the source changed its tables"),
    ("TB411", "Row counts are equal", "see TB412 for the rows that are missing or too many"),
    ("TB412", "Every cell of every row is equal, type and bytes", "look at the differences; repair, or import again"),
    ("TB413", "Every object of the schema is on the target as applied", "run 04-import again, or look who changed it"),
    ("TB414", "No table on the target that the plan does not know", "find out who made it before anybody relies on it"),
    ("TB415", "No value is NULL where NOT NULL is declared", "look who wrote the rows named; repair, or import again"),
    ("TB416", "Every CHECK holds for every row", "look who wrote the rows named; repair, or import again"),
    ("TB417", "Every UNIQUE holds under the target's collation", "look for the index (TB413) and who wrote the rows"),
    ("TB418", "Every generated column is what its expression gives", "look at TB413, and import again"),
    ("TB419", "Every view answers, as it does over the snapshot", "run its query on both sides and compare"),
)
RULES: dict[str, Rule] = {code: Rule(code, "tables", title, Severity.REFUSE, advice) for code, title, advice in _ROWS}


def check(code: str, object: str, expected: object, found: object, ok: bool, keys: Sequence[str] = ()) -> Check:
    """One check of a rule above."""
    return RULES[code].check(object, expected, found, ok, keys)


def exported(exporter: Exporter, manifest: Manifest) -> list[Check]:
    """Every row of the snapshot is in the manifest or parked, table by table."""
    out = []
    for entry in manifest.tables:
        total = int(exporter.db.execute(f"SELECT count(*) FROM {quoted(entry.name)}").get)
        parked = manifest.parked.get(entry.name, 0)
        paged = sum(page.rows for page in entry.pages)
        ok = total == entry.rows + parked and paged == entry.rows
        found = f"{entry.rows} exported + {parked} parked, {paged} in pages"
        out.append(check("TB408", entry.name, f"{total} rows", found, ok))
    return out


def leaving_orphans(exporter: Exporter) -> list[Check]:
    """Count the references that would arrive without their parent, after all decisions."""
    out = []
    found = orphans(exporter.db, exporter.schema)
    references = [(table, fk) for table in exporter.schema.moving for fk in table.foreign_keys]
    for orphan, (table, fk) in zip(found, references, strict=True):
        if orphan.problem == SOUND:  # any other foreign key does not move
            left = _left_behind(exporter, exporter.relations[table.name], fk, orphan.count)
            told = f"{orphan.count} in the source, {left} after decisions"
            out.append(check("TB409", orphan.object, "0 after decisions", told, left == 0))
    return out or [check("TB409", "database", "no foreign key", "none", True)]


def _left_behind(exporter: Exporter, relation: Relation, fk: ForeignKey, count: int) -> int:
    parent = exporter.relations[exporter.schema.table(fk.parent).name]
    if not (count or parent.parked or parent.emptied):
        return 0
    values = ", ".join(f"{relation.value(c)} AS c{i}" for i, c in enumerate(fk.columns))
    present = " AND ".join(f"c{i} IS NOT NULL" for i in range(len(fk.columns)))
    match = " AND ".join(f"{parent.value(p)} = +moved.c{i}" for i, p in enumerate(fk.parent_columns))
    where = f"{parent.where()} AND {match}" if parent.where() else f" WHERE {match}"
    return int(
        exporter.db.execute(
            f"SELECT count(*) FROM (SELECT {values} FROM {quoted(relation.name)}{relation.where()}) AS moved"
            f" WHERE {present} AND NOT EXISTS (SELECT 1 FROM {quoted(parent.name)}{where})"
        ).get
    )


def received(d1: D1, manifest: Manifest) -> list[Check]:
    """Every chunk of the manifest has its receipt, with its digest."""
    out = []
    held = receipts(d1, receipt_prefix(manifest))
    by_table: dict[str, list[bool]] = {}
    for chunk in manifest.chunks:
        ok = chunk.id in held and held[chunk.id].sha256 == chunk.sha256
        by_table.setdefault(chunk.table, []).append(ok)
    for table, flags in by_table.items():
        out.append(check("TB402", table, f"{len(flags)} receipts", f"{sum(flags)} receipts", all(flags)))
    return out or [check("TB402", "snapshot", "0 receipts", "0 receipts", True)]


def refuse_other_snapshots(d1: D1, ids: Iterable[str]) -> None:
    """Raise BadInput when the target holds rows of a snapshot that is none of `ids`."""
    known = [f"id GLOB {literal(id + '[-/]*')}" for id in ids]
    if not d1.query(f"SELECT 1 FROM sqlite_schema WHERE name = {literal(RECEIPTS)}").rows:
        return
    other = " OR ".join(["id GLOB 'migration/*'", *known])
    found = d1.query(f"SELECT id FROM {RECEIPTS} WHERE NOT ({other}) LIMIT 1").rows
    if found:
        raise BadInput(
            f"the target holds rows of another snapshot ({str(found[0][0]).split('/')[0]})",
            object=d1.database_id,
            next="begin again on an empty database: two snapshots are never mixed",
        )


def constraints(d1: D1, tables: Iterable[str]) -> list[Check]:
    """The target's own foreign_key_check and quick_check."""
    broken = d1.query("PRAGMA foreign_key_check").rows
    by_table: dict[str, list[str]] = {}
    for table, rowid, *_ in broken:
        by_table.setdefault(str(table), []).append(str(rowid))
    out = [
        check(
            "TB406",
            name,
            "0 rows",
            f"{len(by_table.get(name, ()))} rows",
            name not in by_table,
            by_table.get(name, [])[:5],
        )
        for name in tables
    ]
    lines = [str(row[0]) for row in d1.query("PRAGMA quick_check").rows]
    return [*out, check("TB407", "database", "ok", "; ".join(lines)[:200], lines == ["ok"])]


def sequences(d1: D1, manifest: Manifest) -> list[Check]:
    """The next AUTOINCREMENT value is the source's, on both sides."""
    if not manifest.sequences:
        return [check("TB405", "database", "no AUTOINCREMENT table", "none", True)]
    sql = "SELECT name, CAST(seq AS TEXT) FROM sqlite_sequence"
    held: Mapping[str, str] = {str(name): str(seq) for name, seq in d1.query(sql).rows}
    return [
        check("TB405", name, f"next id {seq + 1}", f"last id {held.get(name, 'none')}", held.get(name) == str(seq))
        for name, seq in sorted(manifest.sequences.items())
    ]


def schema_present(d1: D1, statements: Sequence[str]) -> list[Check]:
    """Every object that the migrations made is there as they made it, its views answer, and nothing else is there."""
    with in_memory(statements) as wanted_db:
        wanted = _objects(wanted_db.execute(_OBJECTS))
    found = _objects(d1.query(_OBJECTS).rows)
    out = []
    for (kind, name), sql in sorted(wanted.items()):
        there = found.get((kind, name))
        ok = there is not None and _same(there, sql)
        words = "as applied" if ok else ("missing" if there is None else "another definition")
        if ok and kind == "view" and (problem := _silent(d1, name)):
            ok, words = False, f"as applied, but it does not answer: {problem}"
        out.append(check("TB413", f"{kind} {name}", "as applied", words, ok))
    extra = sorted(f"{kind} {name}" for kind, name in found.keys() - wanted.keys() if name != "d1_migrations")
    return [*out, check("TB414", "database", "none", ", ".join(extra[:5]) or "none", not extra)]


def _silent(d1: D1, view: str) -> str:
    """Why a view cannot be read, e.g. because its table is gone; "" if it can."""
    try:
        d1.query(f"SELECT * FROM {quoted(view)} LIMIT 0")
    except D1Error as error:
        if not error.about_the_statement:
            raise
        return error.message
    return ""


_OBJECTS = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"


def _objects(rows: Iterable[Sequence[object]]) -> dict[tuple[str, str], str]:
    return {(str(kind), str(name)): str(sql) for kind, name, sql in rows if not INTERNAL.match(str(name))}


def _same(left: str, right: str) -> bool:
    return [token.text for token in spoken(left)] == [token.text for token in spoken(right)]


@contextmanager
def in_memory(statements: Sequence[str]) -> Iterator[apsw.Connection]:
    """A database in memory made by these statements: what the target's catalog must say."""
    db = apsw.Connection(":memory:")
    try:
        for statement in statements:
            db.execute(statement)
        yield db
    finally:
        db.close()


def schema_unchanged(before: str, schema: Schema, digest: str) -> Check:
    """The schema is what an earlier phase saw."""
    found = f"{digest[:12]} ({len(schema.moving)} tables)"
    return check("TB410", "schema", before[:12], found, before == digest)
