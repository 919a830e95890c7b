"""The way into the queue: the Worker's /enqueue route, which takes a JSON array of jobs and answers their ids.

A queue has no other way in on this machine, and the consumer keeps each id once, so a request may always be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import httpx
import orjson

from towpath.cloudflare.client import loopback
from towpath.errors import CannotFinish, WrongUse
from towpath.secrets import Secret, scrub

ROUTE = "/enqueue"
ATTEMPTS = 6
FIRST_WAIT = 0.5  # seconds; doubled with each attempt
_AGAIN = "start the phase again: receipts say what was accepted"


class Push:
    """A Worker that takes jobs; a context manager.

    `url` is the Worker's address, `token` what it knows as ENQUEUE_TOKEN.  Raises WrongUse for an address that would
    send the token unencrypted.
    """

    def __init__(
        self, url: str, token: Secret | None, *, timeout: float = 60.0, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        local = loopback(url)
        if not local and not url.startswith("https://"):
            raise WrongUse(f"{url} would send the token unencrypted", object="worker_url", next="write https://…")
        self.url, self._sleep = url.rstrip("/"), sleep
        headers = {"Content-Type": "application/json", "User-Agent": "towpath"}
        if token is not None:
            headers["Authorization"] = token.bearer()
        self._http = httpx.Client(headers=headers, timeout=timeout, trust_env=not local)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def __repr__(self) -> str:
        return f"Push({self.url})"

    def send(self, items: Sequence[dict[str, str]]) -> None:
        """Hand these jobs over: all are accepted when it returns.  Raises CannotFinish with the Worker's own words."""
        content, wait = orjson.dumps(list(items)), FIRST_WAIT
        for attempt in range(1, ATTEMPTS + 1):
            said = self._once(content, [item["id"] for item in items])
            if not said:
                return
            if attempt < ATTEMPTS:
                self._sleep(wait)
                wait *= 2
        raise self._stop(f"{said} ({ATTEMPTS} attempts)", _AGAIN)

    def _once(self, content: bytes, ids: list[str]) -> str:
        """One attempt; "" when it was accepted, else why another one may help."""
        try:
            answer = self._http.post(self.url + ROUTE, content=content)
        except httpx.HTTPError as error:
            return f"does not answer: {type(error).__name__} {error}".rstrip()
        if answer.status_code == 429 or answer.status_code >= 500:
            return f"answers HTTP {answer.status_code}: {_words(answer)}"
        if answer.status_code == 401:
            step = "correct worker_token: it must be what the Worker knows as ENQUEUE_TOKEN"
            raise self._stop(f"refuses the token: {_words(answer)}", step)
        if not answer.is_success:
            step = "look whether worker_url is the address of the Worker that the runbook brings"
            raise self._stop(f"answers HTTP {answer.status_code}: {_words(answer)}", step)
        if _ids(answer) != ids:
            raise self._stop("accepted other jobs than were sent", "look at the Worker's /enqueue route")
        return ""

    def _stop(self, what: str, step: str) -> CannotFinish:
        return CannotFinish(scrub(what), object=f"Worker {self.url}", next=step)


def _words(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])[:200]
    except (ValueError, KeyError, TypeError):
        return " ".join(answer.text.split())[:200]


def _ids(answer: httpx.Response) -> object:
    try:
        return answer.json()["ids"]
    except (ValueError, KeyError, TypeError):
        return None
