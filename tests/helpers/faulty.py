"""A bad line to the real runtime: a fake on purpose, because a loopback never loses an answer by itself.

Every request reaches a decision first: it passes, or one of the faults below happens to it.  What a fault lets through
is carried out by the real runtime; nothing is invented but the trouble.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from random import Random
from urllib.parse import urlsplit

from helpers.listening import Handler, listening

PASS = "pass"
LOST = "carried out, answer lost"
CUT = "carried out, answer cut in the middle"
RESET = "connection reset before it was carried out"
LIMITED = "429, not carried out"
BUSY = "503, not carried out"
GATEWAY = "502, carried out"
TRANSIENT = "500, network connection lost, not carried out"
FAULTS = (LOST, CUT, RESET, LIMITED, BUSY, GATEWAY, TRANSIENT)

Decide = Callable[[bytes, int], str]  # body, number of the attempt from 0 → one of the words above


def always(fault: str) -> Decide:
    """This fault to the first attempt of every request."""
    return lambda _, attempt: fault if attempt == 0 else PASS


def now_and_then(share: float, seed: int) -> Decide:
    """Each fault in turn to this share of all attempts, but never five times in a row to the same request."""
    kinds = cycle(FAULTS)

    def decide(body: bytes, attempt: int) -> str:
        luck = Random(f"{seed} {attempt} {body.hex()}")
        return next(kinds) if attempt < 5 and luck.random() < share else PASS

    return decide


class FaultyLine:
    """What happened; `api` is the address to use instead of the runtime's."""

    def __init__(self, api: str, decide: Decide) -> None:
        self.api = ""
        self.behind, self.decide = urlsplit(api), decide
        self.happened: Counter[str] = Counter()
        self.under_way = self.most_at_once = 0
        self._attempts: Counter[bytes] = Counter()
        self._lock = threading.Lock()

    def meet(self, handler: Handler) -> None:
        """Decide about a request, and let it happen."""
        body = handler.sent()
        with self._lock:
            what = self.decide(body, self._attempts[body])
            self._attempts[body] += 1
            self.happened[what] += 1
            self.under_way += 1
            self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            self._happen(handler, body, what)
        finally:
            with self._lock:
                self.under_way -= 1

    def _happen(self, handler: Handler, body: bytes, what: str) -> None:
        if what == RESET:
            handler.close_connection = True
        elif what == LIMITED:
            self._answer(handler, 429, said(971, "rate limited"))
        elif what == BUSY:
            self._answer(handler, 503, b"upstream connect error")
        elif what == TRANSIENT:
            self._answer(handler, 500, said(7500, "Network connection lost."))
        else:
            status, content = self._carry_out(handler, body)
            if what == PASS:
                self._answer(handler, status, content)
            elif what == GATEWAY:
                self._answer(handler, 502, b"<html>bad gateway</html>")
            else:
                handler.close_connection = True
                if what == CUT:
                    self._answer(handler, status, content[: len(content) // 2], length=len(content))

    def _carry_out(self, handler: Handler, body: bytes) -> tuple[int, bytes]:
        upstream = http.client.HTTPConnection(str(self.behind.hostname), self.behind.port, timeout=60)
        try:
            headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
            upstream.request(handler.command, handler.path, body, headers)
            answer = upstream.getresponse()
            return answer.status, answer.read()
        finally:
            upstream.close()

    def _answer(self, handler: Handler, status: int, content: bytes, length: int | None = None) -> None:
        handler.send_response_only(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)


def said(code: int, message: str) -> bytes:
    """An answer of Cloudflare's that is an error."""
    errors = [{"code": code, "message": message}]
    return json.dumps({"success": False, "errors": errors, "messages": [], "result": None}).encode()


@contextmanager
def faulty_line(api: str, decide: Decide) -> Iterator[FaultyLine]:
    """A bad line on a free port for the length of a `with` block."""
    line = FaultyLine(api, decide)

    class Passing(Handler):
        def _meet(self) -> None:
            line.meet(self)

        do_GET = do_POST = do_PUT = _meet  # noqa: N815 names of http.server

    with listening(Passing) as port:
        line.api = f"http://127.0.0.1:{port}{line.behind.path}"
        yield line
