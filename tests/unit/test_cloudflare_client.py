"""Addresses, waiting times and the request budget: everything of the client that needs no server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from towpath.cloudflare import Client
from towpath.cloudflare.budget import REMOTE_BURST, REMOTE_RATE, Budget, shared
from towpath.cloudflare.client import encode, loopback, retry_after
from towpath.cloudflare.errors import CloudflareError, D1Error
from towpath.cloudflare.limits import FREE
from towpath.errors import WrongUse
from towpath.secrets import Secret

ACCOUNT = "0123456789abcdef0123456789abcdef"
REMOTE = "https://api.cloudflare.com/client/v4"


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [
        ("http://127.0.0.1:8787/x", True),
        ("http://localhost:8787", True),
        ("http://[::1]:8787", True),
        ("http://127.0.0.1.example.org", False),
        ("http://localhost.example.org", False),
        (REMOTE, False),
        ("http://10.0.0.1", False),
    ],
)
def test_loopback(address: str, is_loopback: bool) -> None:
    assert loopback(address) is is_loopback


@pytest.mark.parametrize(
    ("base", "account", "token", "words"),
    [
        ("ftp://127.0.0.1", "", None, "not an address"),
        ("127.0.0.1:8787", "", None, "not an address"),
        ("http://api.example.org", ACCOUNT, Secret("env:HOME"), "unencrypted"),
        (REMOTE, "joan", Secret("env:HOME"), "not an account id"),
        (REMOTE, "", Secret("env:HOME"), "needs an account and a token"),
        (REMOTE, ACCOUNT, None, "needs an account and a token"),
    ],
)
def test_addresses_that_are_refused(base: str, account: str, token: Secret | None, words: str) -> None:
    with pytest.raises(WrongUse, match=words) as caught:
        Client(base, account, token)
    assert caught.value.next


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("12", 12.0),
        ("-3", 0.0),
        ("soon", None),
        ("Fri, 20 Nov 2026 10:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 09:00:00 GMT", 0.0),
    ],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    assert retry_after(header, lambda: datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)) == seconds


def test_text_that_utf8_cannot_hold_is_refused_before_it_is_sent() -> None:
    with pytest.raises(WrongUse, match="cannot be written as JSON"):
        encode({"sql": "SELECT '\ud800'"})


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def test_the_budget_lets_a_burst_pass_and_then_keeps_the_rate() -> None:
    clock = Clock()
    budget = Budget(rate=2.0, burst=3, clock=clock.read, sleep=clock.sleep)
    waits = [budget.take() for _ in range(5)]
    assert waits == [0.0, 0.0, 0.0, 0.5, 0.5]
    clock.now += 1.0
    assert [budget.take() for _ in range(3)] == [0.0, 0.0, 0.5]


def test_the_remote_budget_stays_below_what_the_account_allows() -> None:
    clock = Clock()
    budget = Budget(REMOTE_RATE, REMOTE_BURST, clock=clock.read, sleep=clock.sleep)
    sent = 0
    while clock.now < 300.0:
        budget.take()
        sent += 1
    phases = 7  # each in a process of its own, so each has a burst of its own
    assert sent + (phases - 1) * REMOTE_BURST <= FREE.api_requests


def test_clients_of_one_account_share_one_budget() -> None:
    assert shared(REMOTE, ACCOUNT) is shared(REMOTE, ACCOUNT)
    assert shared(REMOTE, ACCOUNT) is not shared(REMOTE, ACCOUNT[::-1])


@pytest.mark.parametrize(
    ("error", "properties"),
    [
        (D1Error("UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT", status=500, code="10001"), {"unique"}),
        (D1Error("FOREIGN KEY constraint failed: SQLITE_CONSTRAINT", status=500, code="10001"), {"foreign_key"}),
        (D1Error("internal error; reference = x1", status=500, code="10000"), {"foreign_key"}),
        (D1Error("statement too long: SQLITE_TOOBIG", status=500, code="7500"), {"too_long"}),
        (D1Error("not authorized: SQLITE_AUTH", status=500, code="10001"), {"forbidden"}),
        (D1Error("no such table: t: SQLITE_ERROR", status=500, code="10001"), {"no_table"}),
        (D1Error("Authentication error", status=403, code="10000"), {"unauthorised"}),
        (D1Error("Authentication error", status=400, code="10000"), {"unauthorised"}),
        (D1Error("no such database", status=404, code="7404"), {"missing"}),
        (D1Error("slow down", status=429), {"limited", "refused", "retryable"}),
        (D1Error("Network connection lost", status=500, code="7500"), {"unknown_outcome", "retryable"}),
        (D1Error("no answer"), {"unknown_outcome", "retryable"}),
        (D1Error("no connection", sent=False), {"refused", "retryable"}),
        (D1Error("near selec: syntax error", status=500, code="10001"), set()),
    ],
    ids=lambda value: value.message if isinstance(value, CloudflareError) else "",
)
def test_what_an_error_says_of_itself(error: D1Error, properties: set[str]) -> None:
    names = ("unique", "foreign_key", "too_long", "forbidden", "no_table", "unauthorised", "missing", "limited")
    names += ("refused", "unknown_outcome", "retryable")
    assert {name for name in names if getattr(error, name)} == properties
    assert error.next
    assert "\n" not in error.line
