"""A small side: a real server on this machine that answers as a function says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from helpers.listening import Handler, listening

Reply = tuple[int, Mapping[str, str], bytes]
Asked = Callable[[str, str, Mapping[str, str], bytes], Reply | None]  # method, path, headers, body; None: no answer


def as_json(value: Any, status: int = 200, **headers: str) -> Reply:
    """A reply with a JSON body."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return status, {"Content-Type": "application/json", **named}, json.dumps(value).encode()


@contextmanager
def small_side(answer: Asked) -> Iterator[str]:
    """Serve on a free port; gives the address."""

    class Answering(Handler):
        def _answer(self) -> None:
            body = self.sent()
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = answer(self.command, self.path, headers, body)
            if reply is None:
                self.close_connection = True
                return
            status, named, content = reply
            self.send_response(status)
            for name, value in {**named, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

    with listening(Answering) as port:
        yield f"http://127.0.0.1:{port}"
