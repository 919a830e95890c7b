"""The fence in D1: while it is closed no row of the application's tables can be written, whoever asks, by whatever way.

It is triggers, because D1 has no other switch that a Worker of any version, a console and a consumer of a queue all
meet.  Three stand before every ordinary table and refuse unless one row of `_towpath_fence` says that writes are
accepted; where that row is missing they refuse too.  Beside it stands whether D1 may be *ahead* of the source, set by
the very statement that opens the fence, so that no cutover begun anew can write over what was not carried back.

A delta of ours goes through by lifting the fence inside its own transaction, which nobody else can be in.  D1 refuses
to lift it while it is open, or while D1 may be ahead: the table's own CHECK says so.

What it cannot stop: changes of the schema, virtual tables (SQLite has no triggers on them), `d1_migrations`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from towpath.cloudflare.d1 import D1, NOT_THE_APPLICATIONS
from towpath.errors import CannotFinish, WrongUse
from towpath.tables.schema import literal, quoted

TABLE = "_towpath_fence"
REFUSAL = "towpath: this database accepts no writes now"
EVENTS = ("insert", "update", "delete")
TABLES_AT_ONCE = 100  # whose triggers are made in one transaction

CREATE = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (one INTEGER PRIMARY KEY CHECK (one = 1),"
    " closed INTEGER NOT NULL CHECK (closed IN (0, 1)), ahead INTEGER NOT NULL CHECK (ahead IN (0, 1)),"
    " lifted INTEGER NOT NULL DEFAULT 0, exempt TEXT NOT NULL, changed_at TEXT NOT NULL, changed_by TEXT NOT NULL,"
    ' CONSTRAINT "the fence is open, or D1 may be ahead" CHECK (lifted = 0 OR (closed = 1 AND ahead = 0)))'
)
LIFT = f"UPDATE {TABLE} SET lifted = 1"  # only inside a transaction that ends with the next one
PUT_BACK = f"UPDATE {TABLE} SET lifted = 0"
_OURS = f"FROM sqlite_schema WHERE type = 'trigger' AND name GLOB '{TABLE}_*'"
_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"


@dataclass(frozen=True, slots=True)
class Fence:
    """How the fence stands.  Tables are named as the target spells them, in alphabetical order."""

    closed: bool
    ahead: bool  # D1 may hold what the source does not
    fenced: tuple[str, ...]
    missing: tuple[str, ...]  # made or changed since: at least one trigger is not as it must be
    exempt: tuple[str, ...]  # left out by whoever installed it, whether such a table is there or not
    virtual: tuple[str, ...]  # no trigger can stand before them
    changed_at: str  # UTC
    changed_by: str


def install(d1: D1, *, exempt: Collection[str] = (), by: str = "") -> Fence:
    """Put the fence up, closed, before every ordinary table but the exempt; one that is there stays as it is.

    It may be repeated: tables made since get their triggers, and tables newly exempt lose them.  Exempt should be what
    the consumers of queues write: a message that meets the fence too often is lost.  Raises CannotFinish where a
    table has no trigger afterwards.
    """
    return _install(d1, sorted(exempt), by, close=False)


def read(d1: D1) -> Fence | None:
    """How the fence stands; None if there is none."""
    if not _there(d1):
        return None
    states, listed, triggers = d1.batch(
        [
            f"SELECT closed, ahead, exempt, changed_at, changed_by FROM {TABLE}",
            "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')",
            f"SELECT name, sql {_OURS}",
        ],
        idempotent=True,
    )
    if not states.rows:
        step = "run 06-cutover or 07-roll-back again: it is put up again, closed"
        raise CannotFinish("the row of the fence is missing; all writes are refused", object=d1.database_id, next=step)
    closed, ahead, exempt, at, by = states.rows[0]
    there = {str(name): str(sql) for name, sql in triggers.rows}
    names = sorted(str(name) for name, _ in listed.rows if not NOT_THE_APPLICATIONS.match(str(name)))
    kinds = {str(name): str(kind) for name, kind in listed.rows}
    left_out = tuple(json.loads(exempt))
    ordinary = [name for name in names if kinds[name] == "table" and not _in(name, left_out)]
    whole = [name for name in ordinary if all(there.get(trigger) == sql for trigger, sql in _triggers(name))]
    return Fence(
        closed=bool(closed),
        ahead=bool(ahead),
        fenced=tuple(whole),
        missing=tuple(name for name in ordinary if name not in set(whole)),
        exempt=left_out,
        virtual=tuple(name for name in names if kinds[name] == "virtual"),
        changed_at=str(at),
        changed_by=str(by),
    )


def open(d1: D1, *, by: str = "") -> Fence:
    """Accept writes, and note in the same statement that D1 may be ahead of the source from now on.

    Raises WrongUse where no fence stands, CannotFinish where it has gaps: a side that is opened must be one that can be
    shut again.
    """
    fence = _standing(d1)
    if fence.missing:
        raise CannotFinish(_gaps(fence), object=d1.database_id, next="install the fence again, then open it")
    if fence.closed or not fence.ahead:
        d1.batch([f"UPDATE {TABLE} SET closed = 0, ahead = 1, {_changed(by)}"], idempotent=True)
    return _standing(d1)


def shut(d1: D1, *, by: str = "") -> Fence:
    """Refuse writes from now on; what D1 may be ahead by stays noted.

    Tables that the new application made meanwhile are fenced too.  Raises WrongUse where no fence stands.
    """
    return _install(d1, _standing(d1).exempt, by, close=True)


def even(d1: D1, *, by: str = "") -> Fence:
    """Note that the source holds all that D1 has.  Raises WrongUse while the fence is open, or where none stands."""
    fence = _standing(d1)
    if fence.ahead:
        noted = d1.batch([f"UPDATE {TABLE} SET ahead = 0, {_changed(by)} WHERE closed = 1"], idempotent=True)
        if not noted[0].changes:
            step = "shut it, carry back what was written meanwhile, and prove it"
            raise WrongUse("the fence is open: writes arrive that the source lacks", object=d1.database_id, next=step)
    return _standing(d1)


def remove(d1: D1) -> None:
    """Take the fence away, all of it, once there is no way back; nothing happens where none stands.

    Raises WrongUse while it is closed: then writes would be accepted of which nobody has a note.
    """
    if not _there(d1):
        return
    if _standing(d1).closed:
        raise WrongUse("the fence is closed", object=d1.database_id, next="open it first, or leave it standing")
    found = d1.query(f"SELECT name {_OURS}").rows
    drops = [f"DROP TRIGGER IF EXISTS {quoted(str(name))}" for (name,) in found]
    for part in _parts(drops):
        d1.batch(part, idempotent=True)
    d1.batch([f"DROP TABLE IF EXISTS {TABLE}"], idempotent=True)  # last: a trigger without its row refuses everything


def _install(d1: D1, exempt: Collection[str], by: str, *, close: bool) -> Fence:
    noted = literal(json.dumps(list(exempt)))
    first = [
        CREATE,
        f"INSERT OR IGNORE INTO {TABLE} (one, closed, ahead, exempt, changed_at, changed_by)"
        f" SELECT 1, 1, EXISTS (SELECT 1 {_OURS}), {noted}, {_NOW}, {literal(by)}",  # triggers, no row: who knows
        f"UPDATE {TABLE} SET exempt = {noted} WHERE exempt <> {noted}",
    ]
    if close:
        first.append(f"UPDATE {TABLE} SET closed = 1, {_changed(by)} WHERE closed = 0")
    d1.batch(first, idempotent=True)
    fence = _standing(d1)
    statements = [f"DROP TRIGGER IF EXISTS {quoted(name)}" for table in exempt for name, _ in _triggers(table)]
    for table in fence.missing:
        for name, sql in _triggers(table):
            statements += [f"DROP TRIGGER IF EXISTS {quoted(name)}", sql]
    for part in _parts(statements):
        d1.batch(part, idempotent=True)
    fence = _standing(d1)
    if fence.missing:
        raise CannotFinish(_gaps(fence), object=d1.database_id, next="look who makes tables there, then run it again")
    return fence


def _triggers(table: str) -> Iterator[tuple[str, str]]:
    """Name and statement of each trigger that stands before a table."""
    accepts = f"EXISTS (SELECT 1 FROM {TABLE} WHERE closed = 0 OR lifted = 1)"
    for event in EVENTS:
        name = f"{TABLE}_{event}_{table}"
        yield (
            name,
            f"CREATE TRIGGER {quoted(name)} BEFORE {event.upper()} ON {quoted(table)} WHEN NOT {accepts}"
            f" BEGIN SELECT RAISE(ABORT, {literal(REFUSAL)}); END",
        )


def _there(d1: D1) -> bool:
    return bool(d1.query(f"SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = {literal(TABLE)}").rows)


def _standing(d1: D1) -> Fence:
    fence = read(d1)
    if fence is None:
        raise WrongUse("no fence stands in this database", object=d1.database_id, next="install it first")
    return fence


def _changed(by: str) -> str:
    return f"changed_at = {_NOW}, changed_by = {literal(by)}"


def _gaps(fence: Fence) -> str:
    return f"{len(fence.missing):,} tables lack the triggers of the fence ({', '.join(fence.missing[:5])})"


def _in(name: str, names: Iterable[str]) -> bool:
    return name.lower() in {other.lower() for other in names}


def _parts(statements: list[str]) -> Iterator[list[str]]:
    step = TABLES_AT_ONCE * 2 * len(EVENTS)
    yield from (statements[start : start + step] for start in range(0, len(statements), step))
