"""Two small sides behind a real gateway: an old application that listens on this machine, and a new one in a Worker.

Both answer what they were asked as JSON: side, method, path, headers, body.  Some paths misbehave on purpose.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import orjson

from helpers.listening import Handler, listening
from towpath.cloudflare import D1
from towpath.cloudflare.kv import KV
from towpath.local import Runtime, State, read_gateway, start
from towpath.local.gateway import NAMESPACE, REQUESTS
from towpath.traffic import requests

APP = """
export default {
  async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === '/drop') throw new Error('the new side fails');
    if (url.pathname === '/hang') await scheduler.wait(60_000);
    if (url.pathname.startsWith('/status/')) return new Response('', { status: Number(url.pathname.slice(8)) });
    const headers = Object.fromEntries(request.headers);
    const answer = { side: 'worker', method: request.method, path: url.pathname + url.search, host: url.host, headers };
    return Response.json({ ...answer, body: await request.text() });
  },
};
"""
WORKER = {"name": "app", "main": "index.ts", "compatibility_date": "2026-11-01"}
GATEWAY = {
    "name": "gateway",
    "compatibility_date": "2026-11-01",
    "dev": {"port": 0},
    "services": [{"binding": "APP", "service": "app"}],
    "kv_namespaces": [{"binding": "TRAFFIC", "id": "0"}],
    "d1_databases": [{"binding": "REQUESTS", "database_name": "requests", "database_id": "0"}],
}
VARIABLES: dict[str, Any] = {
    "CACHE_SECONDS": 0,
    "KEEP_SECONDS": 0,
    "SESSION": "cookie:session",
    "ROUTES": ["/people/:id", "/static/*", "/"],
    "WRITES": ["GET /make/:what"],
    "READS": ["POST /login"],
}


@dataclass
class Old:
    """The old application: where it listens, and the gates of the paths that wait."""

    url: str
    go_on: threading.Event = field(default_factory=threading.Event)  # /slow sends its second part, /hang nothing
    arrived: threading.Event = field(default_factory=threading.Event)  # /upload has read its first part
    asked: list[str] = field(default_factory=list)  # METHOD path, in order


@dataclass
class Sides:
    """A runtime with the gateway, the old application behind it, and the gateway's own data."""

    runtime: Runtime
    old: Old
    kv: KV
    lines: D1
    revision: int = 0  # the greatest that was written

    def set(self, mode: str, percent: int = 0, *, salt: str = "salt", revision: int = 0) -> int:
        """Write a setting past every check, and say its revision: one more than the last if none is given."""
        revision = revision or self.revision + 1
        self.revision = max(self.revision, revision)
        setting = {"mode": mode, "percent": percent, "salt": salt, "revision": revision, "changed_at": ""}
        self.kv.put_alone("traffic", orjson.dumps(setting), {})
        return revision

    def http(self, **options: Any) -> httpx.Client:
        """A new client of the gateway, without cookies."""
        return httpx.Client(base_url=self.runtime.gateway_url, trust_env=False, timeout=60.0, **options)


def _handler(old: Old) -> type[Handler]:
    class Answering(Handler):
        def _answer(self) -> None:
            old.asked.append(f"{self.command} {self.path}")
            if self.path == "/drop":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            elif self.path == "/hang":
                old.go_on.wait(60)
            elif self.path == "/slow":
                self._slow()
            elif self.path == "/moved":
                self._send(302, b"", Location=f"{old.url}/people/1", X_Other="https://elsewhere.example/")
            elif self.path == "/away":
                self._send(307, b"", Location="https://elsewhere.example/x")
            elif self.path == "/packed":
                self._send(200, gzip.compress(b"packed " * 100), Content_Encoding="gzip")
            elif self.path == "/bytes":
                self._send(200, bytes(range(256)), Content_Type="application/octet-stream", ETag='"e"')
            elif self.path.startswith("/status/"):
                self._send(int(self.path.removeprefix("/status/")), b"")
            else:
                self._echo()

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = _answer  # noqa: N815

        def _echo(self) -> None:
            body = b"".join(self._body())
            answer = {
                "side": "origin",
                "method": self.command,
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": body.decode("latin-1") if len(body) < 10_000 else hashlib.sha256(body).hexdigest(),
            }
            self._send(200, json.dumps(answer).encode(), cookies=("a=1; Path=/; HttpOnly", "b=2, and more; Path=/"))

        def _body(self) -> Iterator[bytes]:
            if self.headers.get("Transfer-Encoding", "") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                    old.arrived.set()
                self.rfile.readline()
            else:
                yield self.sent()

        def _slow(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nfirst\r\n")
            self.wfile.flush()
            old.go_on.wait(60)
            self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

        def _send(self, status: int, body: bytes, cookies: tuple[str, ...] = (), **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            for cookie in cookies:
                self.send_header("Set-Cookie", cookie)
            self.send_header("Keep-Alive", "timeout=7")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Answering


@contextmanager
def old_side() -> Iterator[Old]:
    """The old application on a free port."""
    old = Old("")
    with listening(_handler(old)) as port:
        old.url = f"http://127.0.0.1:{port}"
        yield old


@contextmanager
def two_sides(
    folder: Path, root: Path, *, app: str = APP, stumbling: bool = False, **variables: Any
) -> Iterator[Sides]:
    """Both sides and the gateway, with these variables beside the usual ones; the table of the lines is there."""
    for name, config, script in (("worker", WORKER, app), ("gateway", GATEWAY, "")):
        (folder / name).mkdir(parents=True)
        (folder / name / "index.ts").write_text(script, encoding="utf-8")
        given = {"vars": {"ORIGIN": "http://replaced"}} if name == "gateway" else {}
        (folder / name / "wrangler.jsonc").write_text(json.dumps({**config, **given}), encoding="utf-8")
    with old_side() as old:
        gateway = replace(read_gateway(folder / "gateway"), variables={**VARIABLES, "ORIGIN": old.url, **variables})
        gateway = gateway.stumbling() if stumbling else gateway
        places = {"bucket": "b", "database_id": "app", "root": root, "state": State(folder / "state")}
        with (
            start("two", "local", 0, worker=folder / "worker", gateway=gateway, deadline=120.0, **places) as runtime,
            runtime.client() as client,
        ):
            lines = D1(client, REQUESTS)
            requests.prepare(lines)
            yield Sides(runtime, old, KV(client, NAMESPACE), lines)
