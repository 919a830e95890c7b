"""Names and notices, against a stand-in that keeps Cloudflare's documented contract."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.names_stand_in import TOKEN, ZONE, StandIn, names_stand_in
from hypothesis import given
from hypothesis import strategies as st

from towpath.cloudflare.client import Client
from towpath.cloudflare.errors import CloudflareError
from towpath.errors import BadInput
from towpath.secrets import Secret
from towpath.traffic.names import LOW_TTL, Zone, seconds_until_seen
from towpath.traffic.notices import Notice, tell

HOST = "gateway.example.workers.dev"
NAMES = ("app.example.com", "www.example.com")


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with names_stand_in() as found:
        found.add("A", "app.example.com", "192.0.2.1")
        found.add("A", "app.example.com", "192.0.2.2")
        found.add("AAAA", "app.example.com", "2001:db8::1", ttl=300)
        found.add("TXT", "app.example.com", "v=spf1 -all")
        found.add("CNAME", "www.example.com", "app.example.com", ttl=1, proxied=True)
        found.add("A", "other.example.com", "192.0.2.9")
        yield found


@pytest.fixture
def zone(stand_in: StandIn, tmp_path: Path) -> Iterator[Zone]:
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    with Client(stand_in.url, token=Secret("file:token", tmp_path)) as client:
        yield Zone(client, ZONE)


def test_a_short_ttl_beforehand_and_nothing_for_what_is_proxied(stand_in: StandIn, zone: Zone) -> None:
    (request,) = zone.lower(zone.records(NAMES))
    assert [patch["ttl"] for patch in request.body["patches"]] == [LOW_TTL] * 3
    zone.send(request)
    assert zone.lower(zone.records(NAMES)) == []
    assert seconds_until_seen(zone.records(NAMES)) == LOW_TTL
    assert {one["ttl"] for one in stand_in.records.values() if one["name"] == "other.example.com"} == {3600}


def test_an_automatic_ttl_is_five_minutes(stand_in: StandIn, zone: Zone) -> None:
    stand_in.add("A", "auto.example.com", "192.0.2.9", ttl=1)
    stand_in.add("A", "behind.example.com", "192.0.2.9", ttl=1, proxied=True)
    assert seconds_until_seen(zone.records(["auto.example.com"])) == 300
    assert seconds_until_seen(zone.records(["behind.example.com"])) == 0


def test_names_go_to_the_gateway_and_back_as_they_were(stand_in: StandIn, zone: Zone) -> None:
    before = copy.deepcopy(stand_in.records)
    exported = zone.records(NAMES)
    (request,) = zone.point(exported, NAMES, HOST)
    assert "POST" in request.line
    assert HOST in request.line
    zone.send(request)
    now = zone.records(NAMES)
    assert [(one["type"], one["content"], one["proxied"]) for one in now if one["type"] != "TXT"] == [
        ("CNAME", HOST, False),
        ("CNAME", HOST, True),
    ]
    assert zone.point(now, NAMES, HOST) == []
    for back in zone.restore(exported, now):
        zone.send(back)
    assert zone.restore(exported, zone.records(NAMES)) == []

    def own(records: dict[str, dict[str, object]]) -> list[tuple[object, ...]]:
        rows = [(r["type"], r["name"], r["content"], r["ttl"], r["proxied"]) for r in records.values()]
        return sorted(rows, key=str)

    assert own(stand_in.records) == own(before)


def test_a_batch_that_is_refused_changes_nothing(stand_in: StandIn, zone: Zone) -> None:
    exported = zone.records(NAMES)
    (request,) = zone.point(exported, NAMES, HOST)
    gone = request.body["deletes"][0]["id"]
    del stand_in.records[gone]
    before = copy.deepcopy(stand_in.records)
    with pytest.raises(CloudflareError, match="does not exist"):
        zone.send(request)
    assert stand_in.records == before


def test_a_name_without_an_address_is_refused(zone: Zone) -> None:
    with pytest.raises(BadInput, match=r"nowhere\.example\.com: the zone has no address under this name"):
        zone.point(zone.records(NAMES), ["nowhere.example.com"], HOST)


def test_a_purge_names_at_most_thirty_hosts_at_once(stand_in: StandIn, zone: Zone) -> None:
    names = [f"h{number}.example.com" for number in range(31)]
    for request in zone.purge(names):
        zone.send(request)
    assert [len(body["hosts"]) for _, _, body in stand_in.asked] == [30, 1]


@given(st.lists(st.sampled_from(["A", "AAAA", "CNAME", "MX"]), min_size=1, max_size=5), st.booleans())
def test_only_addresses_move_whatever_stands_beside_them(types: list[str], proxied: bool) -> None:
    records = [
        {"id": str(at), "type": type, "name": "x", "content": str(at), "ttl": 300, "proxied": proxied}
        for at, type in enumerate(types)
    ]
    zone = Zone(None, ZONE)  # type: ignore[arg-type]  # nothing is sent
    if not {"A", "AAAA", "CNAME"} & set(types):
        with pytest.raises(BadInput):
            zone.point(records, ["x"], HOST)
        return
    (request,) = zone.point(records, ["x"], HOST)
    touched = {one["id"] for part in ("deletes", "patches") for one in request.body.get(part, [])}
    assert touched == {str(at) for at, type in enumerate(types) if type != "MX"}
    assert len(request.body.get("posts", [])) + len(request.body.get("patches", [])) == 1


def test_a_notice_is_delivered_or_says_why_not(stand_in: StandIn) -> None:
    notice = Notice("Joan moves", "in_progress", "Writing is switched off for a few minutes; reading works.")
    assert tell(f"{stand_in.url}/notices", notice) == ""
    assert stand_in.notices == [{"incident": {"name": notice.name, "status": notice.status, "body": notice.body}}]
    assert tell(f"{stand_in.url}/elsewhere", notice) == "HTTP 403"
    assert tell("http://127.0.0.1:1/", notice) == "ConnectError"
