"""A server between a project and its Cloudflare runtime, at which one chosen request can be stopped.

Everything passes through to the real runtime and back, byte for byte.  `stop` names a request; when it comes, it is
kept either before the runtime sees it or after the runtime has carried it out, and the test does what it has to do
(kill somebody) exactly then, instead of guessing a moment.
"""

from __future__ import annotations

import http.client
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from helpers.listening import Handler, listening

When = Literal["before", "after"]
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}  # between neighbours only (RFC 9110 §7.6.1)


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    body: bytes


@dataclass
class Stop:
    """The `nth` request that fits, kept `when`; `reached` is set as soon as it is there."""

    fits: Callable[[Request], bool]
    nth: int
    when: When
    reached: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def wait(self, process: subprocess.Popen[str], seconds: float = 120) -> None:
        """Wait until the request of that process is kept."""
        end = time.monotonic() + seconds
        while not self.reached.wait(0.1):
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                raise AssertionError(f"the request that the test waits for did not come: {process.communicate()[0]}")


class Passage:
    """The server; its `port` stays the same while the runtime behind it may change."""

    def __init__(self) -> None:
        self.port = 0
        self.behind = 0  # the runtime's port
        self.seen: list[Request] = []
        self._stop: Stop | None = None
        self._lock = threading.Lock()

    @contextmanager
    def open(self) -> Iterator[Passage]:
        """Serve for the length of a `with` block."""
        passage = self

        class Passing(Handler):
            def _pass(self) -> None:
                passage._one(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass  # noqa: N815

        with listening(Passing) as self.port:
            yield self

    @contextmanager
    def stop(self, fits: Callable[[Request], bool], nth: int, when: When) -> Iterator[Stop]:
        """Keep the `nth` request that fits; at the end of the block its connection is dropped without an answer."""
        stop = Stop(fits, nth, when)
        with self._lock:
            self._stop = stop
        try:
            yield stop
        finally:
            with self._lock:
                self._stop = None
            stop.over.set()

    def _meets(self, request: Request) -> Stop | None:
        with self._lock:
            self.seen.append(request)
            stop = self._stop
            if stop is None or not stop.fits(request):
                return None
            stop.nth -= 1
            return stop if stop.nth == 0 else None

    def _one(self, handler: Handler) -> None:
        body = handler.sent()
        stop = self._meets(Request(handler.command, handler.path, body))
        if stop is not None and stop.when == "before":
            self._keep(stop, handler)
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=120)
        try:
            upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():  # Host too: S3 signatures cover it
                if name.lower() not in HOP - {"content-length"}:
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            content = answer.read()
        finally:
            upstream.close()
        if stop is not None:
            self._keep(stop, handler)
            return
        handler.send_response_only(answer.status, answer.reason)
        length = answer.headers.get("content-length") if handler.command == "HEAD" else str(len(content))
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                handler.send_header(name, value)
        if length is not None:
            handler.send_header("content-length", length)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)

    def _keep(self, stop: Stop, handler: Handler) -> None:
        stop.reached.set()
        stop.over.wait()
        handler.close_connection = True


def receipt(request: Request) -> bool:
    """A transaction that begins with a receipt: a chunk, a migration, a statement after the rows."""
    return request.body.startswith(b'{"batch":[{"sql":"INSERT INTO _towpath_receipt')


def chunk(request: Request) -> bool:
    """A chunk of rows, of links or of a delta."""
    return receipt(request) and b"-after/" not in request.body[:120] and b"'migration/" not in request.body[:120]


def put(request: Request) -> bool:
    """An object on its way into the bucket."""
    return request.method == "PUT"
