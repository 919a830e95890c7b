"""A stand-in for Cloudflare's API of names: the local runtime has no DNS.

It keeps the documented contract (developers.cloudflare.com/api: dns records, batch, cache purge) as far as Towpath uses
it: envelope, bearer token, pages, the order inside a batch, one transaction for a batch, no A beside a CNAME.  It also
takes notices, as a status page does.
"""

from __future__ import annotations

import copy
import json
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from helpers.listening import Handler, listening

ZONE = "0123456789abcdef0123456789abcdef"
TOKEN = "stand-in-token"


@dataclass
class StandIn:
    """The zone, and what was asked."""

    url: str = ""
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)  # method, path, body
    notices: list[Any] = field(default_factory=list)
    refuse_purge: bool = False
    number: int = 0

    def add(self, type: str, name: str, content: str, ttl: int = 3600, *, proxied: bool = False) -> str:
        """A record that somebody made before."""
        self.number += 1
        id = f"{self.number:032x}"
        own = {"type": type, "name": name, "content": content, "ttl": ttl, "proxied": proxied}
        added = {"created_on": "2020-01-01T00:00:00Z", "modified_on": "2020-01-01T00:00:00Z", "meta": {}, "tags": []}
        self.records[id] = {"id": id, **own, "proxiable": True, "comment": None, **added}
        return id

    def batch(self, body: dict[str, list[dict[str, Any]]]) -> tuple[int, str]:
        """HTTP status and message; nothing is changed unless all of it can be."""
        before, number = copy.deepcopy(self.records), self.number
        try:
            for one in body.get("deletes", []):
                del self.records[one["id"]]
            for one in body.get("patches", []):
                self.records[one["id"]].update(one)
            for one in body.get("posts", []):
                id = self.add(one["type"], one["name"], one["content"], one["ttl"], proxied=one.get("proxied", False))
                self.records[id].update(one)
            self._check()
        except (KeyError, ValueError) as error:
            self.records, self.number = before, number
            return 400, f"Record does not exist or is not allowed: {error}"
        return 200, ""

    def _check(self) -> None:
        for one in self.records.values():
            if not one["proxied"] and one["ttl"] != 1 and one["ttl"] < 60:
                raise ValueError("TTL must be at least 60")
            beside = [o for o in self.records.values() if o["name"] == one["name"] and o["type"] in ("A", "AAAA")]
            cnames = [o for o in self.records.values() if o["name"] == one["name"] and o["type"] == "CNAME"]
            if len(cnames) > 1 or (cnames and beside):
                raise ValueError("a CNAME stands alone")


def _handler(zone: StandIn) -> type[Handler]:
    class Answering(Handler):
        def _list(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(parts.query))
            if self._stranger() or parts.path != f"/zones/{ZONE}/dns_records":
                return
            found = [one for one in zone.records.values() if one["name"] == query.get("name.exact")]
            size, page = int(query["per_page"]), int(query["page"])
            info = {"page": page, "per_page": size, "total_pages": -(-len(found) // size)}
            self._send(200, {"result": found[(page - 1) * size : page * size], "result_info": info})

        def _change(self) -> None:
            body = json.loads(self.sent())
            if self.path == "/notices":
                zone.notices.append(body)
                self._send(201, {})
                return
            zone.asked.append(("POST", self.path, body))
            if self._stranger():
                return
            if self.path == f"/zones/{ZONE}/dns_records/batch":
                status, message = zone.batch(body)
                self._send(status, {"result": {}}, message)
            elif self.path == f"/zones/{ZONE}/purge_cache" and not zone.refuse_purge:
                self._send(200, {"result": {"id": ZONE}})
            else:
                self._send(403, {}, "not allowed on this plan")

        do_GET, do_POST = _list, _change  # noqa: N815

        def _stranger(self) -> bool:
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                return False
            self._send(403, {}, "Authentication error")
            return True

        def _send(self, status: int, answer: dict[str, Any], message: str = "") -> None:
            errors = [{"code": 9999, "message": message}] if message else []
            text = json.dumps(
                {"success": not message, "errors": errors, "messages": [], "result": None, **answer}
            ).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Answering


@contextmanager
def names_stand_in() -> Iterator[StandIn]:
    """The stand-in on a free port."""
    zone = StandIn()
    with listening(_handler(zone)) as port:
        zone.url = f"http://127.0.0.1:{port}"
        yield zone
