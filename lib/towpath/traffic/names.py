"""The DNS names of an application: exported, given a short TTL beforehand, pointed to the gateway, and put back.

Every change is a request that can be shown before it is sent.  Sources: developers.cloudflare.com/api, resources dns
(records, batch) and cache (purge), read in November 2026: a batch runs in one transaction of the database, deletes
before patches before posts; A and AAAA cannot stand beside a CNAME of the same name; 200 records a batch on the free
plan; TTL 60 at least where a record is not proxied, and 1 ("automatic") where it is; 30 hosts in one purge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from towpath.cloudflare.client import Client
from towpath.errors import BadInput

LOW_TTL = 60  # seconds
AUTOMATIC = 1  # as a TTL: of a record that is not proxied it means 300 seconds
AUTOMATIC_SECONDS = 300
ADDRESSES = ("A", "AAAA", "CNAME")
MOST_RECORDS, MOST_HOSTS, PAGE = 200, 30, 100
OWN = ("type", "name", "content", "ttl", "proxied", "priority", "data", "comment", "tags", "settings")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it will be sent, and what it is for."""

    why: str
    method: str
    path: str
    body: Mapping[str, Any]

    @property
    def line(self) -> str:
        """The request in one line."""
        return f"{self.method} {self.path} {json.dumps(self.body, ensure_ascii=False, sort_keys=True)}"


class Zone:
    """One zone; `client` speaks to the API with a token that may edit DNS and purge the cache there."""

    def __init__(self, client: Client, zone_id: str) -> None:
        self.client, self.path = client, f"/zones/{zone_id}"

    def records(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Every record of these names, as the API gives it, by name and id."""
        found: list[dict[str, Any]] = []
        for name in sorted(names):
            page, pages = 1, 1
            while page <= pages:
                query = {"name.exact": name, "per_page": str(PAGE), "page": str(page)}
                path = f"{self.path}/dns_records"
                told = self.client.request("GET", path, query=query, idempotent=True, account=False, form="envelope")
                found += told["result"]
                pages, page = int((told.get("result_info") or {}).get("total_pages", 1)), page + 1
        return sorted(found, key=lambda record: (record["name"], record["id"]))

    def send(self, request: Request) -> None:
        """Send a request of this zone.  A batch runs wholly or not at all; asking again first says which."""
        self.client.request(request.method, request.path, json=dict(request.body), idempotent=False, account=False)

    def lower(self, records: Sequence[Mapping[str, Any]]) -> list[Request]:
        """A short TTL for every address, so that the next change is seen soon; proxied ones have theirs already."""
        patches = [{"id": one["id"], "ttl": LOW_TTL} for one in _addresses(records) if _is_long(one)]
        return self._batches("a short TTL, so that the next change is seen soon", patches=patches)

    def point(self, records: Sequence[Mapping[str, Any]], names: Sequence[str], host: str) -> list[Request]:
        """Each of these names to `host`.  Raises BadInput for a name that has no address today."""
        deletes, patches, posts = [], [], []
        for name in names:
            mine = [one for one in _addresses(records) if one["name"] == name]
            if not mine:
                raise BadInput("the zone has no address under this name", object=name, next="correct traffic.names")
            proxied = any(one.get("proxied") for one in mine)
            wanted = {"type": "CNAME", "content": host, "proxied": proxied, "ttl": AUTOMATIC if proxied else LOW_TTL}
            if len(mine) == 1 and mine[0]["type"] == "CNAME":
                same = all(mine[0].get(key) == value for key, value in wanted.items())
                patches += [] if same else [{"id": mine[0]["id"], **wanted}]
            else:
                deletes += [{"id": one["id"]} for one in mine]
                posts.append({"name": name, **wanted})
        return self._batches("the name to the gateway", deletes=deletes, patches=patches, posts=posts)

    def restore(self, before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[Request]:
        """The addresses of these names as they were exported; what stands as it was is left alone."""
        was, held = [_own(one) for one in _addresses(before)], [_own(one) for one in _addresses(now)]
        deletes = [{"id": one["id"]} for one in _addresses(now) if _own(one) not in was]
        posts = [one for one in was if one not in held]
        return self._batches("the name as it was before", deletes=deletes, posts=posts)

    def purge(self, names: Sequence[str]) -> list[Request]:
        """What the edge has kept of these hosts goes."""
        parts = [list(names[at : at + MOST_HOSTS]) for at in range(0, len(names), MOST_HOSTS)]
        return [Request("no old answer from the edge", "POST", f"{self.path}/purge_cache", {"hosts": p}) for p in parts]

    def _batches(self, why: str, **changes: list[dict[str, Any]]) -> list[Request]:
        body = {name: rows for name, rows in changes.items() if rows}
        if sum(len(rows) for rows in body.values()) > MOST_RECORDS:
            step = "name fewer in traffic.names: they must change in one transaction"
            raise BadInput(f"more than {MOST_RECORDS} records would change at once", object="traffic.names", next=step)
        return [Request(why, "POST", f"{self.path}/dns_records/batch", body)] if body else []


def seconds_until_seen(records: Sequence[Mapping[str, Any]]) -> int:
    """How long a resolver may go on with these addresses; 0 where all are proxied: then Cloudflare itself answers."""
    times = (int(one["ttl"]) for one in _addresses(records) if not one.get("proxied"))
    return max((AUTOMATIC_SECONDS if ttl == AUTOMATIC else ttl for ttl in times), default=0)


def as_before(
    exported: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], host: str
) -> list[Mapping[str, Any]]:
    """The records to go back to: as exported, but as they are now for a name that somebody has changed since then.

    Pointing a name to `host` and another TTL are changes of ours.
    """

    def addresses(records: Sequence[Mapping[str, Any]], name: str) -> set[tuple[str, str, bool]]:
        mine = (one for one in _addresses(records) if one["name"] == name)
        return {(one["type"], one["content"], bool(one.get("proxied"))) for one in mine}

    found: list[Mapping[str, Any]] = []
    for name in sorted({one["name"] for one in (*exported, *now)}):
        there = addresses(now, name)
        ours = there == addresses(exported, name) or {place[:2] for place in there} == {("CNAME", host)}
        found += [one for one in (exported if ours else now) if one["name"] == name]
    return found


def _addresses(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [one for one in records if one["type"] in ADDRESSES]


def _is_long(record: Mapping[str, Any]) -> bool:
    return not record.get("proxied") and (int(record["ttl"]) > LOW_TTL or int(record["ttl"]) == AUTOMATIC)


def _own(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a person wrote of a record, without what the API adds."""
    return {key: record[key] for key in OWN if record.get(key) not in (None, [], {}, "")}
