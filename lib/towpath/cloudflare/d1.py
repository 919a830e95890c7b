"""A D1 database over its REST route `/raw`: batches in, rows out.

Measured facts this module stands on (workerd 2026-11-17): a batch is one transaction; each of its items may hold
100,000 bytes of SQL, the body has no practical limit; parameters must be strings; integers beyond 2^53 and infinities
do not survive as JSON numbers, so callers project what must be exact to text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from towpath.cloudflare.client import Client, encode
from towpath.cloudflare.errors import D1Error
from towpath.errors import WrongUse

Statement = str | tuple[str, Sequence[str]]  # SQL, or SQL with the texts for its ?-parameters

# Tables that are not the application's: SQLite's, Cloudflare's, Towpath's, and wrangler's list of migrations.
NOT_THE_APPLICATIONS = re.compile(r"^(sqlite_|_cf_|_towpath_)|^d1_migrations$", re.IGNORECASE)
COUNTS_IN_A_BATCH = 50


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer to one statement.

    `rows_read` and `rows_written` are Cloudflare's units of billing: index rows count too.
    """

    columns: tuple[str, ...]
    rows: list[list[Any]]
    changes: int
    rows_written: int
    rows_read: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What identifies a target and says what it holds; tables are the application's, sorted by name."""

    account: str
    database_id: str
    name: str
    tables: tuple[tuple[str, int], ...]  # name, rows

    @property
    def empty(self) -> bool:
        """True if the database holds no table of an application, not even an empty one."""
        return not self.tables


class D1:
    """One database.  Locally it comes into being with the first request; remotely it must exist."""

    def __init__(self, client: Client, database_id: str) -> None:
        if not database_id or "/" in database_id:
            raise WrongUse("not the id of a database", object="d1_database_id", next="copy the id from the dashboard")
        self.client, self.database_id = client, database_id
        self._object = f"D1 {database_id}"
        self._path = f"/d1/database/{quote(database_id, safe='')}"

    def __repr__(self) -> str:
        return f"D1({self.database_id} at {self.client.base})"

    def name(self) -> str:
        """The name of the database; raises D1Error (`missing`) if a remote one does not exist.

        The local runtime knows no names: there the id is the name.
        """
        if not self.client.account:
            return self.database_id
        result = self.client.request("GET", self._path, idempotent=True, error=D1Error, object=self._object)
        return str(result["name"])

    def batch(self, statements: Sequence[Statement], *, idempotent: bool = False) -> list[Rows]:
        """Run statements in one transaction and return one answer for each.

        `idempotent` may be said of a batch that only reads, or that begins with a receipt: then a broken connection is
        followed by another attempt, and a D1Error with `.unique` means that the receipt was there already: an earlier
        attempt (`.attempts > 1`) or an earlier run wrote the batch.
        """
        if not statements:
            return []
        return self.send(self.body(statements), idempotent=idempotent)

    def body(self, statements: Sequence[Statement]) -> bytes:
        """The ready request body of a batch, so that a loader can prepare the next while this one is under way."""
        return encode({"batch": [_item(statement) for statement in statements]})

    def send(self, body: bytes, *, idempotent: bool = False) -> list[Rows]:
        """Send a body made by `body`.

        Raises D1Error: nothing of the batch was kept, unless `.unknown_outcome`.
        """
        result = self.client.request(
            "POST", f"{self._path}/raw", content=body, idempotent=idempotent, error=D1Error, object=self._object
        )
        return [_rows(item) for item in result or []]

    def query(self, sql: str, *params: str) -> Rows:
        """Run one statement that only reads; a broken connection is followed by another attempt."""
        return self.batch([(sql, params) if params else sql], idempotent=True)[0]

    def facts(self) -> Facts:
        """The application's tables with their rows; the target fingerprint is made from this."""
        found = self.query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").rows
        names = [str(row[0]) for row in found if not NOT_THE_APPLICATIONS.match(str(row[0]))]
        counts: list[int] = []
        for start in range(0, len(names), COUNTS_IN_A_BATCH):
            part = names[start : start + COUNTS_IN_A_BATCH]
            answers = self.batch([f"SELECT count(*) FROM {_quoted(name)}" for name in part], idempotent=True)
            counts += [int(answer.rows[0][0]) for answer in answers]
        return Facts(self.client.account, self.database_id, self.name(), tuple(zip(names, counts, strict=True)))


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _item(statement: Statement) -> dict[str, Any]:
    sql, params = (statement, ()) if isinstance(statement, str) else statement
    if not sql.strip():
        raise WrongUse("an empty statement", object="D1", next="leave it out of the batch")
    if isinstance(params, str) or not all(isinstance(value, str) for value in params):
        raise WrongUse("a parameter that is not text", object="D1", next="write numbers and blobs as SQL literals")
    return {"sql": sql, "params": list(params)} if params else {"sql": sql}


def _rows(item: dict[str, Any]) -> Rows:
    results, meta = item.get("results") or {}, item.get("meta") or {}
    return Rows(
        columns=tuple(results.get("columns") or ()),
        rows=results.get("rows") or [],
        changes=int(meta.get("changes") or 0),
        rows_written=int(meta.get("rows_written") or 0),
        rows_read=int(meta.get("rows_read") or 0),
    )
