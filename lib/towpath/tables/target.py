"""What Towpath keeps in the target while it works: whose it is, and a receipt for everything written.

A receipt is the first statement of the transaction that it describes, so that it exists exactly if the rest does.
Sending the same transaction again fails on the receipt's key and changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from towpath.cloudflare.d1 import D1
from towpath.cloudflare.errors import D1Error
from towpath.errors import BadInput, WrongUse
from towpath.tables.schema import literal

RECEIPTS = "_towpath_receipt"
OWNER = "_towpath_owner"
CREATE = (
    f"CREATE TABLE IF NOT EXISTS {RECEIPTS} (id TEXT PRIMARY KEY NOT NULL, sha256 TEXT NOT NULL, rows INTEGER NOT NULL,"
    " at TEXT NOT NULL DEFAULT (datetime('now'))) WITHOUT ROWID",
    f"CREATE TABLE IF NOT EXISTS {OWNER} (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID",
)
MIGRATIONS = (  # the table in which wrangler keeps the names of applied migrations, as wrangler declares it
    "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,"
    " applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a transaction was written."""

    sha256: str
    rows: int


def receipt(id: str, sha256: str, rows: int) -> str:
    """The statement that writes a receipt, and fails if it is there already."""
    return f"INSERT INTO {RECEIPTS} (id, sha256, rows) VALUES ({literal(id)}, {literal(sha256)}, {rows})"


def receipts(d1: D1, prefix: str) -> dict[str, Receipt]:
    """All receipts whose id begins with `prefix/`, by id; none if nothing was ever written."""
    if not _exists(d1, RECEIPTS):
        return {}
    low, high = f"{prefix}/", f"{prefix}0"  # "0" is the character after "/"
    out: dict[str, Receipt] = {}
    while True:
        found = d1.query(
            f"SELECT id, sha256, rows FROM {RECEIPTS} WHERE id > {literal(low)} AND id < {literal(high)}"
            " ORDER BY id LIMIT 5000"
        ).rows
        out.update({id: Receipt(sha256, int(rows)) for id, sha256, rows in found})
        if len(found) < 5000:
            return out
        low = found[-1][0]


def owner(d1: D1) -> dict[str, str]:
    """Whose target this is: system, environment, run; empty if nobody claimed it."""
    if not _exists(d1, OWNER):
        return {}
    return dict(d1.query(f"SELECT name, value FROM {OWNER}").rows)


def claim_checks(d1: D1, claim: Mapping[str, str]) -> bool:
    """True if this claim holds the target already, False if the target is empty.

    Raises BadInput if it holds the tables of an application, or belongs to another run.
    """
    held = owner(d1)
    if held == dict(claim):
        return True
    if held:
        raise BadInput(
            f"the target belongs to another run: {held.get('run', '?')} of {held.get('system', '?')}",
            object=d1.database_id,
            next="go on with that run, or name an empty database in d1_database_id",
        )
    facts = d1.facts()
    if not facts.empty:
        names = ", ".join(name for name, _ in facts.tables[:3])
        raise BadInput(
            f"the target is not empty: {len(facts.tables)} tables ({names}, …)",
            object=d1.database_id,
            next="name an empty database in d1_database_id; Towpath never writes over tables that it did not make",
        )
    return False


def apply_migration(d1: D1, name: str, statements: Sequence[str], claim: Mapping[str, str]) -> str:
    """Apply one migration in one transaction and note it as wrangler does.  Returns `applied` or `already done`."""
    digest = hashlib.sha256("\n".join(statements).encode()).hexdigest()
    if claim_checks(d1, claim) and (done := receipts(d1, "migration").get(f"migration/{name}")):
        if done.sha256 != digest:
            raise WrongUse(
                "this migration was applied with another content",
                object=name,
                next="begin again on an empty database: a schema that holds rows is not rebuilt",
            )
        return "already done"
    d1.batch(CREATE, idempotent=True)
    claims = [f"INSERT OR IGNORE INTO {OWNER} VALUES ({literal(k)}, {literal(v)})" for k, v in claim.items()]
    noted = f"INSERT INTO d1_migrations (name) VALUES ({literal(name)})"
    batch = [receipt(f"migration/{name}", digest, 0), *claims, *statements, MIGRATIONS, noted]
    return "applied" if once(d1, d1.body(batch), f"migration/{name}", digest) else "already done"


def once(d1: D1, body: bytes, id: str, sha256: str) -> bool:
    """Send a body that begins with its receipt.  True if it was written now, False if it had been before."""
    try:
        d1.send(body, idempotent=True)
    except D1Error as error:
        if not (error.unique and RECEIPTS in str(error)):
            raise
        held = d1.query(f"SELECT sha256 FROM {RECEIPTS} WHERE id = {literal(id)}").rows
        if not held or held[0][0] != sha256:
            raise WrongUse(
                "the target holds a receipt of the same name for another content",
                object=id,
                next="begin again on an empty database",
            ) from None
        return error.attempts > 1
    return True


def _exists(d1: D1, table: str) -> bool:
    return bool(d1.query(f"SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = {literal(table)}").rows)
