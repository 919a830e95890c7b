"""What the client does when the API fails: limits, cut connections, transient errors, answers that are no answers.

`FakeApi` is a fake on purpose: the real runtime cannot be made to refuse, break off or be overloaded on demand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from helpers.listening import Handler, listening

from towpath.cloudflare import D1, Client, CloudflareError, D1Error
from towpath.cloudflare.budget import Budget
from towpath.errors import WrongUse
from towpath.secrets import Secret

ACCOUNT = "0123456789abcdef0123456789abcdef"
CUT = "cut"  # read the request, then close the connection without a word


def said(status: int, code: int, message: str, **headers: str) -> tuple[int, dict[str, str], str]:
    body = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
    return status, headers, json.dumps(body)


def rows(*values: Any) -> tuple[int, dict[str, str], str]:
    item = {"success": True, "results": {"columns": ["a"], "rows": [[value] for value in values]}, "meta": {}}
    return 200, {}, json.dumps({"success": True, "errors": [], "messages": [], "result": [item]})


@dataclass
class FakeApi:
    """Answers with what `script` says, one entry a request; the last entry stays."""

    script: list[Any] = field(default_factory=lambda: [rows(1)])
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    address: str = ""

    def next(self) -> Any:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@pytest.fixture
def api() -> Iterator[FakeApi]:
    fake = FakeApi()

    class Answering(Handler):
        def answer(self) -> None:
            content = self.sent()
            fake.requests.append((self.command, self.path, dict(self.headers), content))
            answer = fake.next()
            if answer == CUT:
                self.close_connection = True
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer  # noqa: N815

    with listening(Answering) as port:
        fake.address = f"http://127.0.0.1:{port}"
        yield fake


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def d1(api: FakeApi, slept: list[float]) -> Iterator[D1]:
    with Client(api.address, sleep=slept.append) as client:
        yield D1(client, "db")


READ, WRITE = ["SELECT 1"], ["INSERT INTO t VALUES (1)"]


def test_a_used_up_request_budget_is_waited_for_even_by_a_write(api: FakeApi, d1: D1, slept: list[float]) -> None:
    api.script = [said(429, 971, "rate limited", retry_after="7"), rows(1)]
    assert d1.batch(WRITE)[0].rows == [[1]]
    assert slept == [7.0]
    assert (d1.client.statistics.requests, d1.client.statistics.retries) == (2, 1)
    assert d1.client.statistics.waited == 7.0


def test_a_wait_longer_than_the_lock_out_is_not_waited_for(api: FakeApi, d1: D1, slept: list[float]) -> None:
    api.script = [said(429, 971, "rate limited", retry_after="3600")]
    with pytest.raises(D1Error, match="rate limited") as caught:
        d1.batch(READ, idempotent=True)
    assert caught.value.limited
    assert slept == []


@pytest.mark.parametrize(
    "fault",
    [
        CUT,
        said(500, 7500, "Network connection lost."),
        said(500, 7500, "D1 DB reset because its code was updated."),
        (502, {}, "<html>Bad gateway</html>"),
    ],
    ids=["cut", "lost", "reset", "edge"],
)
def test_only_a_request_that_may_be_repeated_is_repeated(api: FakeApi, d1: D1, fault: Any) -> None:
    api.script = [fault, rows(1)]
    with pytest.raises(D1Error) as caught:
        d1.batch(WRITE)
    assert caught.value.unknown_outcome
    assert not caught.value.refused
    assert len(api.requests) == 1

    api.script = [fault, rows(1)]
    assert d1.batch(WRITE, idempotent=True)[0].rows == [[1]]
    assert len(api.requests) == 3
    assert api.requests[1][3] == api.requests[2][3]


@pytest.mark.parametrize("words", ["D1 DB is overloaded. Too many requests queued.", "database is locked: SQLITE_BUSY"])
def test_what_was_certainly_not_carried_out_is_repeated_in_any_case(api: FakeApi, d1: D1, words: str) -> None:
    api.script = [said(500, 7500, words), rows(1)]
    assert d1.batch(WRITE)[0].rows == [[1]]
    assert len(api.requests) == 2


@pytest.mark.parametrize(
    "fault",
    [said(500, 10001, "UNIQUE constraint failed: t.a"), said(500, 7500, "statement too long: SQLITE_TOOBIG")],
    ids=["constraint", "limit"],
)
def test_an_answer_about_the_statement_itself_is_never_repeated(api: FakeApi, d1: D1, fault: Any) -> None:
    api.script = [fault]
    with pytest.raises(D1Error) as caught:
        d1.batch(WRITE, idempotent=True)
    assert not caught.value.retryable
    assert len(api.requests) == 1


def test_patience_ends_and_says_how_often_it_tried(api: FakeApi, d1: D1, slept: list[float]) -> None:
    api.script = [said(500, 7500, "Network connection lost.")]
    with pytest.raises(D1Error, match="after 6 attempts") as caught:
        d1.batch(READ, idempotent=True)
    assert caught.value.attempts == len(api.requests) == 6
    assert slept == sorted(slept)  # 0.25 to 0.5, then 0.5 to 1, … : each wait is at least as long as the one before
    assert 0.25 <= slept[0] <= 0.5
    assert slept[-1] <= 8.0


def test_a_lost_answer_to_a_receipted_batch_shows_as_unique_after_two_attempts(api: FakeApi, d1: D1) -> None:
    api.script = [CUT, said(500, 10001, "UNIQUE constraint failed: _towpath_receipts.chunk")]
    with pytest.raises(D1Error) as caught:
        d1.batch(WRITE, idempotent=True)
    assert caught.value.unique
    assert caught.value.attempts == 2


def test_nobody_listening_is_said_at_once() -> None:
    slept: list[float] = []
    with Client("http://127.0.0.1:1", sleep=slept.append) as client, pytest.raises(CloudflareError) as caught:
        client.request("GET", "/d1/database", idempotent=True)
    assert "towpath local up" in caught.value.next
    assert caught.value.exit_code == 2
    assert (caught.value.sent, slept) == (False, [])


def test_the_account_is_in_the_path_and_the_token_in_the_header_alone(api: FakeApi, monkeypatch: Any) -> None:
    monkeypatch.setenv("TEST_CF_TOKEN", "canary-4711-token")
    api.script = [rows(1), said(403, 10000, "Authentication error for canary-4711-token")]
    budget = Budget(rate=1e6, burst=10)
    with Client(api.address + "/client/v4/", ACCOUNT, Secret("env:TEST_CF_TOKEN"), budget=budget) as client:
        D1(client, "db").query("SELECT 1")
        with pytest.raises(D1Error) as caught:
            D1(client, "db").query("SELECT 1")
        assert "canary" not in repr(client) + str(caught.value) + repr(caught.value)
    assert caught.value.unauthorised
    assert "cloudflare_token" in caught.value.next
    method, path, headers, _ = api.requests[0]
    assert (method, path) == ("POST", f"/client/v4/accounts/{ACCOUNT}/d1/database/db/raw")
    assert headers["Authorization"] == "Bearer canary-4711-token"
    assert headers["Accept-Encoding"] == "identity"


def test_an_id_is_never_a_path(api: FakeApi) -> None:
    with Client(api.address) as client:
        D1(client, "a b?c#d").query("SELECT 1")
        with pytest.raises(WrongUse, match="not the id"):
            D1(client, "../x")
    assert api.requests[0][1] == "/d1/database/a%20b%3Fc%23d/raw"


def test_a_proxy_does_not_get_requests_to_this_machine(api: FakeApi, monkeypatch: Any) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with Client(api.address) as client:
        assert D1(client, "db").query("SELECT 1").rows == [[1]]


def test_success_must_be_said_and_not_only_be_a_status(api: FakeApi, d1: D1) -> None:
    api.script = [(200, {}, json.dumps({"success": False, "errors": [], "result": None}))]
    with pytest.raises(D1Error, match="without an error message"):
        d1.query("SELECT 1")
    api.script = [(200, {}, "OK")]
    with pytest.raises(D1Error, match="not JSON: OK"):
        d1.query("SELECT 1")


def test_a_missing_database_is_named(api: FakeApi, monkeypatch: Any) -> None:
    monkeypatch.setenv("TEST_CF_TOKEN", "canary-4711-token")
    api.script = [said(404, 7404, "The database 1f could not be found")]
    words = "D1 1f: The database 1f could not be found"
    client = Client(api.address, ACCOUNT, Secret("env:TEST_CF_TOKEN"), budget=Budget(1e6, 10))
    with client, pytest.raises(D1Error, match=words) as caught:
        D1(client, "1f").name()
    assert caught.value.missing


def test_a_missing_secret_is_wrong_use_before_anything_is_sent(api: FakeApi, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="secret is missing"):
        Client(api.address, ACCOUNT, Secret("file:nothing", tmp_path))
    assert api.requests == []
