"""The names that users type: a short TTL with the import, to the gateway before the cutover, back after the way back.

They move before anything else does: while the gateway gives everything to the old side, it makes no difference which
way a request came, and once the freeze begins nobody should reach the old application past it.
"""

from __future__ import annotations

import datetime as dt
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from towpath import show
from towpath.cloudflare.client import Client
from towpath.cloudflare.errors import CloudflareError
from towpath.errors import WrongUse
from towpath.show.markup import escaped
from towpath.traffic.names import Request, Zone, as_before, seconds_until_seen
from towpath.traffic.rules import RULES
from towpath.workbench.workbench import Workbench

EXPORTED = "traffic/names.json"
NONE = "No name moves: mapping.yaml names none, or the params name no API of names."


def lower(bench: Workbench) -> show.Shown:
    """With 04-import: export every record of the names, and give them a short TTL; a dry run shows the requests."""
    zone = _zone(bench)
    if zone is None:
        return _sentence(NONE)
    records = zone.records(_names(bench))
    if bench.run.approved and _exported(bench) is None:
        seconds = seconds_until_seen(records)
        bench.run.write_json(EXPORTED, {"at": _now().isoformat(), "seconds": seconds, "records": records})
    return _send(bench, zone, zone.lower(records))


def point(bench: Workbench, pause: Callable[[float], None] = time.sleep) -> show.Shown:
    """Before the freeze: every name to the gateway, and wait until no resolver leads past it; nothing if they do."""
    zone = _zone(bench)
    if zone is None:
        return _sentence(NONE)
    names = _names(bench)
    records = zone.records(names)
    host = urllib.parse.urlsplit(bench.params.gateway_url).hostname or ""
    requests = zone.point(records, names, host)
    if not bench.run.approved:
        return _send(bench, zone, [*requests, *zone.purge(names)])
    exported = _exported(bench) or {"at": "", "seconds": seconds_until_seen(records), "records": records}
    before = as_before(exported["records"], records, host)
    noted = {**exported, "at": exported["at"] or _now().isoformat(), "records": before, "pointed": True}
    if noted != exported:
        bench.run.write_json(EXPORTED, noted)
    if requests:
        _report_ttl(bench, exported)
    shown = _send(bench, zone, requests)
    if requests:
        pause(float(seconds_until_seen(records)))
    _report(bench, "TR109", f"to {host}", zone.point(zone.records(names), names, host))
    return shown


def purge(bench: Workbench) -> show.Shown:
    """What the edge has kept of the old side goes; a plan that does not allow it is told, and stops nothing."""
    zone = _zone(bench)
    if zone is None:
        return _sentence(NONE)
    requests = zone.purge(_names(bench))
    try:
        shown = _send(bench, zone, requests)
    except CloudflareError as error:
        _add(bench, "TR112", "purged", error.message, ok=False)
        return _table(requests, "refused")
    if bench.run.approved:
        _add(bench, "TR112", "purged", f"{len(_names(bench))} hosts", ok=True)
    return shown


def restore(bench: Workbench) -> show.Shown:
    """After the way back: every address as it was exported; nothing where no name was moved in this run.

    Where 06-cutover never came to point them, only the TTL is ours: an address that somebody has changed stays.
    """
    zone, exported = _zone(bench), _exported(bench)
    if zone is None or exported is None:
        return _sentence(NONE if zone is None else "No name was moved in this run.")
    before, now = exported["records"], zone.records(_names(bench))
    if not exported.get("pointed"):
        before = as_before(before, now, "")
    shown = _send(bench, zone, zone.restore(before, now))
    if bench.run.approved:
        left = zone.restore(before, zone.records(_names(bench)))
        _report(bench, "TR109", "as they were exported", left)
    return shown


def _zone(bench: Workbench) -> Zone | None:
    if not bench.params.dns_api or not _names(bench):
        return None
    client = Client(bench.params.dns_api, bench.params.cloudflare_account, bench.run.secret("dns_token"))
    bench.on_close(client.close)
    return Zone(client, bench.params.dns_zone_id)


def _names(bench: Workbench) -> list[str]:
    return sorted(bench.run.mapping.traffic.names)


def _exported(bench: Workbench) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = bench.run.read_json(EXPORTED)
    except WrongUse:
        return None
    return found


def _send(bench: Workbench, zone: Zone, requests: list[Request]) -> show.Shown:
    for request in requests if bench.run.approved else ():
        zone.send(request)
        bench.run.log("sent", request.line)
    return _table(requests, "sent" if bench.run.approved else "would be sent")


def _table(requests: list[Request], state: str) -> show.Shown:
    if not requests:
        return _sentence("Every name is as it should be: nothing is to be sent.")
    rows = [(request.why, request.line, state) for request in requests]
    return show.table(rows, ("What for", "Request", "State"), "Names", numeric=())


def _report_ttl(bench: Workbench, exported: dict[str, Any]) -> None:
    if not exported["at"]:
        found, ok = f"not lowered; resolvers keep the old address for up to {exported['seconds']} s", False
    else:
        since = (_now() - dt.datetime.fromisoformat(exported["at"])).total_seconds()
        found, ok = f"lowered {since:.0f} s ago", since >= exported["seconds"]
    _add(bench, "TR111", f"lowered {exported['seconds']} s before", found, ok=ok)


def _report(bench: Workbench, code: str, expected: str, left: list[Request]) -> None:
    _add(bench, code, expected, "otherwise: " + "; ".join(one.line for one in left) if left else expected, ok=not left)


def _add(bench: Workbench, code: str, expected: str, found: str, *, ok: bool) -> None:
    bench.run.add([RULES[code].check(", ".join(_names(bench)), expected, found, ok)])


def _sentence(words: str) -> show.Shown:
    return show.Shown(f"<p>{escaped(words)}</p>", words)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
