"""One HTTP client for Cloudflare's API, local and remote.

The answer is an envelope `{success, errors, messages, result}` (developers.cloudflare.com/fundamentals/api/).
The client asks for identity encoding: on a loopback compressing costs more than it saves, and reading pages is hot.
"""

from __future__ import annotations

import email.utils
import ipaddress
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import httpx
import orjson

from towpath.cloudflare import budget as budgets
from towpath.cloudflare.budget import Budget
from towpath.cloudflare.errors import CloudflareError
from towpath.errors import WrongUse
from towpath.secrets import Secret

Form = Literal["result", "envelope", "bytes"]  # what of an answer is wanted; values of KV come without an envelope
ACCOUNT = re.compile(r"^[0-9a-f]{32}$")
ATTEMPTS = 6  # 0.5 + 1 + 2 + 4 + 8 s of back-off at most, apart from what retry-after asks
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds
LONGEST_RETRY_AFTER = 330.0  # a used-up request budget is given back after five minutes
KEEPALIVE = 3.0  # workerd drops an idle connection after five seconds; leave it before that


def loopback(address: str) -> bool:
    """True if the URL's host is this machine."""
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a client has done so far.  `waited` is in seconds: budget and back-off together."""

    requests: int = 0
    retries: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    waited: float = 0.0


class Client:
    """Cloudflare's API at `base`; a context manager, safe for several threads.

    `account` is empty for the local mirror, else 32 hexadecimal digits; then a token is needed and every path is put
    under `/accounts/{account}`.  `timeout` is in seconds for one attempt.  `budget` limits the requests a second: by
    default Cloudflare's own limit when an account is given, and nothing for the local mirror.
    """

    def __init__(
        self,
        base: str,
        account: str = "",
        token: Secret | None = None,
        *,
        timeout: float = 300.0,
        budget: Budget | None = None,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        local = loopback(base)
        _refuse_bad_address(base, account, token, local)
        self.base, self.account, self.local = base.rstrip("/"), account, local
        self.prefix = f"/accounts/{account}" if account else ""
        self._budget = budget or (budgets.shared(self.base, account) if account else None)
        self._attempts, self._sleep = attempts, sleep
        self._statistics, self._lock = Statistics(), threading.Lock()
        headers = {"Accept-Encoding": "identity", "User-Agent": "towpath"}
        if token is not None:
            headers["Authorization"] = token.bearer()
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=10.0),
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=8, keepalive_expiry=KEEPALIVE),
            trust_env=not local,  # a proxy for the outside world must not get requests to this machine
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.base}{self.prefix})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def statistics(self) -> Statistics:
        """Requests, retries, bytes and waiting so far."""
        return self._statistics

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        query: dict[str, str] | None = None,
        idempotent: bool,
        account: bool = True,
        error: type[CloudflareError] = CloudflareError,
        object: str = "",
        form: Form = "result",
        content_type: str = "application/json",
    ) -> Any:
        """Send one request and return the envelope's `result`, the whole envelope, or the body as it came (`form`).

        `idempotent` says that the request may be carried out twice without harm; only then is it repeated after a
        broken connection or a transient error.  What was certainly not carried out (HTTP 429, overloaded) is repeated
        in any case.  `account=False` leaves out `/accounts/{account}`, e.g. for `/user/tokens/verify`.
        Raises `error`, a CloudflareError, about `object` (else about the route).
        """
        if json is not None:
            content = encode(json)
        target = f"{self.base}{self.prefix if account else ''}{path}"
        name = object or f"{method} {path}"
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._once(method, target, content, query, error, name, attempt, form, content_type)
            except CloudflareError as failure:
                wait = self._wait(failure, idempotent, attempt)
                if wait is None:
                    raise
                self._count(retries=1, waited=wait)
                self._sleep(wait)

    def _once(
        self,
        method: str,
        target: str,
        content: bytes | None,
        query: dict[str, str] | None,
        error: type[CloudflareError],
        name: str,
        attempt: int,
        form: Form,
        content_type: str,
    ) -> Any:
        waited = self._budget.take() if self._budget else 0.0
        self._count(requests=1, bytes_sent=len(content or b""), waited=waited)
        headers = {"Content-Type": content_type} if content is not None else {}
        try:
            answer = self._http.request(method, target, content=content, params=query, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as cause:
            step = (
                "start the local runtime: towpath local up <system>"
                if self.local
                else "look at the network and the proxy"
            )
            raise error(
                f"no connection to {self.base}: {cause}", object=name, attempts=attempt, sent=False, next=step
            ) from cause
        except httpx.HTTPError as cause:
            what = f"no answer from {self.base}: {type(cause).__name__} {cause}".rstrip()
            step = "start the phase again: receipts say what was written"
            raise error(what, object=name, attempts=attempt, next=step) from cause
        self._count(bytes_received=len(answer.content))
        return _result(answer, name, error, attempt, form)

    def _wait(self, failure: CloudflareError, idempotent: bool, attempt: int) -> float | None:
        """Seconds to wait before the next attempt; None if there must not be one."""
        if attempt >= self._attempts or not failure.retryable:
            return None
        if not failure.refused and not idempotent:
            return None
        if self.local and not failure.sent:
            return None  # nobody listens: that does not heal by itself, and people wait
        if failure.retry_after is not None:
            return failure.retry_after if failure.retry_after <= LONGEST_RETRY_AFTER else None
        step = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1))
        return step * random.uniform(0.5, 1.0)

    def _count(
        self, requests: int = 0, retries: int = 0, bytes_sent: int = 0, bytes_received: int = 0, waited: float = 0.0
    ) -> None:
        with self._lock:
            now = self._statistics
            self._statistics = replace(
                now,
                requests=now.requests + requests,
                retries=now.retries + retries,
                bytes_sent=now.bytes_sent + bytes_sent,
                bytes_received=now.bytes_received + bytes_received,
                waited=now.waited + waited,
            )


def encode(value: Any) -> bytes:
    """The value as JSON.  Raises WrongUse for text that UTF-8 cannot hold (lone surrogates) and for unknown types."""
    try:
        return orjson.dumps(value)
    except TypeError as cause:
        step = "encode such text as cast(x'…' as text), and every parameter as a string"
        raise WrongUse(f"a request cannot be written as JSON: {cause}", next=step) from cause


def _refuse_bad_address(base: str, account: str, token: Secret | None, local: bool) -> None:
    scheme = urlsplit(base).scheme
    if scheme not in ("http", "https") or not urlsplit(base).hostname:
        raise WrongUse(
            f"not an address of an API: {base!r}", object="cloudflare_api", next="write http://… or https://…"
        )
    if scheme == "http" and not local:
        raise WrongUse(f"{base} would send the token unencrypted", object="cloudflare_api", next="write https://…")
    if account and not ACCOUNT.match(account):
        step = "copy the 32 hexadecimal digits from the dashboard; leave it empty for the local mirror"
        raise WrongUse("not an account id", object="cloudflare_account", next=step)
    if not local and (not account or token is None):
        step = "name both in the params file: cloudflare_account, and cloudflare_token as env:NAME"
        raise WrongUse(f"{base} needs an account and a token", object="cloudflare_account", next=step)


def _result(answer: httpx.Response, name: str, error: type[CloudflareError], attempt: int, form: Form) -> Any:
    if form == "bytes" and answer.is_success:
        return answer.content
    envelope: Any = None
    try:
        envelope = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        text = " ".join(answer.text[:200].split())
        message, code = f"HTTP {answer.status_code}, not JSON: {text}", ""
    else:
        if isinstance(envelope, dict) and envelope.get("success") and answer.is_success:
            return envelope if form == "envelope" else envelope.get("result")
        message, code = _said(envelope, answer.status_code)
    failure = error(message, status=answer.status_code, code=code, object=name, attempts=attempt)
    failure.retry_after = retry_after(answer.headers.get("retry-after", ""))
    raise failure


def _said(envelope: Any, status: int) -> tuple[str, str]:
    """Message and code of the first error in an envelope; several messages are joined."""
    errors = envelope.get("errors") if isinstance(envelope, dict) else None
    said = [item for item in errors or [] if isinstance(item, dict)]
    if not said:
        return f"HTTP {status} without an error message", ""
    return "; ".join(str(item.get("message", "")) for item in said), str(said[0].get("code", ""))


def retry_after(value: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Seconds that a `retry-after` header asks for (a number or an HTTP date); None without one."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment - now()).total_seconds())
