"""The start-up self-test: does this runtime behave as the library was measured against?

The runtime is a pre-release with pinned versions, and its REST mirror changed within months: a batch that is not one
transaction would break exactly-once loading silently.  Each proof costs milliseconds; all leave nothing behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from botocore.exceptions import ClientError

from towpath.cloudflare.client import Client
from towpath.cloudflare.d1 import D1
from towpath.cloudflare.errors import CloudflareError, D1Error
from towpath.errors import CannotFinish
from towpath.local.gateway import STATUS as GATEWAY_STATUS
from towpath.local.runtime import Runtime

LONGEST = 100_000  # bytes of one statement
SELFTEST = "towpath-selftest"  # the name of our own database, queue and Worker
PATIENCE = 20.0  # seconds until a message must have come
BEYOND = 2**53 + 1  # the first integer that a JSON number rounds


@dataclass(frozen=True, slots=True)
class Proof:
    """One fact of the runtime, and whether it still holds."""

    name: str
    holds: bool
    found: str


def selftest(runtime: Runtime, root: Path) -> list[Proof]:
    """Prove what the library stands on and return the proofs.

    Raises CannotFinish that names the failed proofs and the pinned versions.  Works in a database of its own, whose
    table is dropped, and under one key of the bucket, which is deleted.
    """
    with runtime.client() as client:
        proofs = [*_database(client), *_objects(runtime), *(_queues(runtime, client) if runtime.worker else ())]
    proofs += _gateway(runtime) if runtime.gateway_url else []
    failed = [proof for proof in proofs if not proof.holds]
    if failed:
        names = "; ".join(f"{proof.name} (found: {proof.found})" for proof in failed)
        what = f"the local runtime does not behave as measured: {names}; {versions(runtime, root)}"
        step = "run `make install` to get the pinned versions; do not change them without measuring again"
        raise CannotFinish(what, object="local runtime", next=step)
    return proofs


def versions(runtime: Runtime, root: Path) -> str:
    """The pinned versions beside the running ones."""
    pinned = json.loads((root / "package.json").read_text(encoding="utf-8"))["dependencies"]
    wanted = ", ".join(f"{name} {version}" for name, version in sorted(pinned.items()) if name in runtime.versions)
    running = ", ".join(f"{name} {version}" for name, version in sorted(runtime.versions.items()))
    return f"pinned: {wanted}; running: {running}"


def _database(client: Client) -> list[Proof]:
    # one fixed id: ids come into being with their first use and cannot be removed, so a random one would stay for ever
    d1 = D1(client, SELFTEST)
    table = f"t_{secrets.token_hex(4)}"
    try:
        return [
            _fact("a database comes into being with its first use", "[[1]]", lambda: d1.query("SELECT 1").rows),
            _atomic(d1, table),
            _fact(f"a statement of {LONGEST:,} bytes runs", "[[1]]", lambda: d1.query(_long(LONGEST)).rows),
            _refusal(
                f"a statement of {LONGEST + 1:,} bytes is refused", "too long", lambda: d1.query(_long(LONGEST + 1))
            ),
            _refusal("a parameter that is a number is refused", "Invalid input", lambda: _number(client, d1)),
            _fact(
                "2^53+1 is exact through the text projection",
                f"[['i{BEYOND}']]",
                lambda: d1.query(f"SELECT 'i' || c FROM (SELECT {BEYOND} AS c)").rows,
            ),
            _fact("foreign keys are enforced", "[[1]]", lambda: d1.query("PRAGMA foreign_keys").rows),
        ]
    finally:
        d1.batch([f'DROP TABLE IF EXISTS "{table}"'], idempotent=True)


def _objects(runtime: Runtime) -> list[Proof]:
    s3 = runtime.r2()
    place = {"Bucket": runtime.bucket, "Key": f"towpath-selftest/{secrets.token_hex(4)}"}
    content = b"towpath self-test"
    digest = hashlib.md5(content, usedforsecurity=False)
    wrong = b64encode(hashlib.md5(b"else", usedforsecurity=False).digest()).decode()
    try:
        return [
            _refusal(
                "R2 refuses a wrong Content-MD5",
                "BadDigest",
                lambda: s3.put_object(**place, Body=content, ContentMD5=wrong),
            ),
            _fact(
                "R2's ETag of a single put is the MD5",
                f'"{digest.hexdigest()}"',
                lambda: s3.put_object(**place, Body=content)["ETag"],
            ),
        ]
    finally:
        with contextlib.suppress(ClientError):  # what failed above is the news
            s3.delete_object(**place)
        s3.close()


def _queues(runtime: Runtime, client: Client) -> list[Proof]:
    # by a Worker of its own, with queues of its own: the application's tables and queues are not touched
    d1, table, word = D1(client, SELFTEST), f"q_{secrets.token_hex(4)}", secrets.token_hex(4)
    d1.batch([f'CREATE TABLE "{table}" (queue TEXT, word TEXT, attempts INTEGER)'])
    query = f"SELECT queue, attempts FROM \"{table}\" WHERE word = '{word}' ORDER BY queue, attempts"
    expected = [[SELFTEST, 1], [SELFTEST, 1], [SELFTEST, 2], [f"{SELFTEST}-dead", 1]]
    name = "a message is delivered, one that fails again and again ends in the dead-letter queue"
    try:
        with httpx.Client(base_url=runtime.url, trust_env=False, timeout=PATIENCE) as http:
            health = http.get("/health").status_code
            http.post("/cdn-cgi/towpath/selftest", json={"table": table, "word": word})
        found = d1.query(query).rows
        deadline = time.monotonic() + PATIENCE
        while found != expected and time.monotonic() < deadline:
            time.sleep(0.05)
            found = d1.query(query).rows
    except httpx.HTTPError as error:
        return [Proof("the Worker answers", False, str(error))]
    finally:
        d1.batch([f'DROP TABLE IF EXISTS "{table}"'], idempotent=True)
    return [Proof("the Worker answers", health < 500, f"HTTP {health}"), Proof(name, found == expected, str(found))]


def _gateway(runtime: Runtime) -> list[Proof]:
    name = "the gateway answers on its own port"
    try:
        answer = httpx.get(runtime.gateway_url + GATEWAY_STATUS, trust_env=False, timeout=PATIENCE)
    except httpx.HTTPError as error:
        return [Proof(name, False, str(error))]
    found = f"HTTP {answer.status_code}, served by {answer.headers.get('x-served-by', 'nobody')}"
    return [Proof(name, found == "HTTP 204, served by gateway", found)]


def _atomic(d1: D1, table: str) -> Proof:
    name = "a batch is one transaction"
    d1.batch([f'CREATE TABLE "{table}" (a INTEGER PRIMARY KEY)'])
    try:
        d1.batch([f'INSERT INTO "{table}" VALUES (1)', f'INSERT INTO "{table}" VALUES (1)'])
    except D1Error as refused:
        rows = d1.query(f'SELECT count(*) FROM "{table}"').rows
        return Proof(name, refused.unique and rows == [[0]], f"{rows[0][0]} rows after {refused.message}")
    return Proof(name, False, "a second row with the same key was accepted")


def _long(size: int) -> str:
    return "SELECT 1 " + " " * (size - len("SELECT 1 ") - 2) + "--"


def _number(client: Client, d1: D1) -> Any:
    body = {"batch": [{"sql": "SELECT ?", "params": [1]}]}
    return client.request("POST", f"/d1/database/{d1.database_id}/raw", json=body, idempotent=True)


def _fact(name: str, expected: str, ask: Callable[[], Any]) -> Proof:
    try:
        found = str(ask())
    except (CloudflareError, ClientError) as error:
        return Proof(name, False, str(error))
    return Proof(name, found == expected, found)


def _refusal(name: str, words: str, attempt: Callable[[], Any]) -> Proof:
    try:
        attempt()
    except (CloudflareError, ClientError) as error:
        return Proof(name, words in str(error), str(error))
    return Proof(name, False, "accepted")
