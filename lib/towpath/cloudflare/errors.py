"""What Cloudflare refuses, in words a person can act on.

CloudflareError (CannotFinish)
 └─ D1Error     the answer of a database: constraints, limits, statements

An error says three things apart from its text: whether the request was certainly not carried out (`refused`), whether a
later attempt may succeed (`retryable`), and whether nobody knows if it was carried out (`unknown_outcome`).
"""

from __future__ import annotations

from dataclasses import dataclass

from towpath.errors import CannotFinish
from towpath.secrets import scrub

UNKNOWN_STATUS = frozenset({502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530})  # the edge speaks, not the API

# developers.cloudflare.com/d1/observability/debug-d1/ : errors to be tried again.  They do not tell whether a write was
# committed before the connection broke, so only a request that may be repeated is repeated.
TRANSIENT = (
    "reset because its code was updated",
    "Network connection lost",
    "object to be reset",
    "transient issue",
    "isolate exceeded its memory limit and was reset",
)
# The database did not take the statement: repeating it is safe.
REFUSED = ("overloaded", "too many requests queued", "database is locked", "SQLITE_BUSY")


@dataclass(frozen=True, slots=True)
class Advice:
    """A fragment of a message and what to do about it."""

    fragment: str
    next: str


ADVICE = (
    Advice("statement too long", "split the statement: a SQL statement may hold 100,000 bytes"),
    Advice("UNIQUE constraint failed", "look whether this was written before; receipts tell"),
    Advice("FOREIGN KEY constraint failed", "load parents first, or defer foreign keys inside one batch"),
    Advice("internal error", "look for a foreign key that is violated at the end of the batch"),
    Advice("not authorized", "D1 does not allow this statement, PRAGMA or function: leave it out"),
    Advice("database is locked", "close what writes to the database's file, then start again"),
    Advice("no such table", "apply the schema first (02-schema)"),
    Advice("Invalid input", "send parameters as strings and at least one statement"),
    Advice("Invalid Host header", "use 127.0.0.1 or localhost in cloudflare_api"),
    Advice("overloaded", "wait a minute, then start the phase again: receipts skip what is done"),
)


class CloudflareError(CannotFinish):
    """An answer that is not success, or none.

    `code` is Cloudflare's number as text, "" if the answer held none; `status` the HTTP status, 0 if no answer came;
    `message` Cloudflare's own words; `attempts` how often the request was sent; `sent` False if it never left.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        object: str = "",
        attempts: int = 1,
        sent: bool = True,
        next: str = "",
    ) -> None:
        self.message = scrub(message).rstrip(". ")
        self.status = status
        self.attempts = attempts
        self.sent = sent
        self.retry_after: float | None = None  # seconds, as the answer asked
        self.code = code  # needed by the properties before the base class sets it
        tries = f" (after {attempts} attempts)" if attempts > 1 else ""
        super().__init__(f"{self.message}{tries}", object=object, code=code, next=next or self._advice())

    @property
    def unauthorised(self) -> bool:
        """The token is missing, wrong or lacks a permission."""
        return self.status in (401, 403) or (self.code in ("9106", "9109", "10000") and self.status == 400)

    @property
    def missing(self) -> bool:
        """The address or the object does not exist."""
        return self.status == 404 or self.code == "7404"

    @property
    def limited(self) -> bool:
        """The request budget of the account is used up for now."""
        return self.status == 429

    @property
    def refused(self) -> bool:
        """Certainly not carried out, and may be sent again even if it writes."""
        return not self.sent or self.limited or any(text in self.message for text in REFUSED)

    @property
    def unknown_outcome(self) -> bool:
        """It may have been carried out or not: only a receipt tells."""
        if self.refused:
            return False
        return self.status == 0 or self.status in UNKNOWN_STATUS or any(text in self.message for text in TRANSIENT)

    @property
    def retryable(self) -> bool:
        """A later attempt may succeed, provided that the request may be repeated."""
        return self.refused or self.unknown_outcome

    def _advice(self) -> str:
        if self.unauthorised:
            return "look at cloudflare_token: it must be valid and hold D1 Edit and R2 Edit for this account"
        if self.missing:
            return "look at cloudflare_api, cloudflare_account and the id in the params file"
        if self.limited:
            return "wait five minutes (1,200 requests per five minutes are allowed), then start the phase again"
        found = next((advice.next for advice in ADVICE if advice.fragment in self.message), "")
        return found or "look at the message; nothing of this request was kept unless a receipt says so"


class D1Error(CloudflareError):
    """What a D1 database answered instead of rows."""

    @property
    def unique(self) -> bool:
        """A UNIQUE or PRIMARY KEY constraint refused the batch; a replayed receipt looks like this."""
        return "UNIQUE constraint failed" in self.message

    @property
    def about_the_statement(self) -> bool:
        """The engine itself said no, e.g. to a text that grew too long: asking again, or who asks, changes nothing."""
        return not (self.retryable or self.unauthorised or self.missing)

    @property
    def foreign_key(self) -> bool:
        """A foreign key refused the batch.

        A violation that shows only at commit gives HTTP 500, code 10000, `internal error; reference = …` and no hint
        (measured on workerd 2026-11-17); other internal errors look the same, so ask `PRAGMA foreign_key_check`.
        """
        deferred = self.status == 500 and self.code == "10000" and "internal error" in self.message
        return deferred or "FOREIGN KEY constraint failed" in self.message

    @property
    def too_long(self) -> bool:
        """A statement over 100,000 bytes."""
        return "statement too long" in self.message

    @property
    def forbidden(self) -> bool:
        """A statement, PRAGMA or function that D1 does not allow."""
        return "not authorized" in self.message or "SQLITE_AUTH" in self.message

    @property
    def no_table(self) -> bool:
        """A statement names a table that the database does not hold."""
        return "no such table" in self.message
