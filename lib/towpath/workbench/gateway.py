"""The gateway as the phases reach it: its setting in KV, its lines in D1, and what it says of itself."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import httpx

from towpath.cloudflare import D1
from towpath.cloudflare.client import loopback
from towpath.cloudflare.kv import KV
from towpath.errors import CannotFinish
from towpath.traffic import setting
from towpath.traffic.rules import RULES
from towpath.workbench.workbench import Workbench

EDGE_SECONDS = 30.0  # for which Cloudflare's edge may keep the setting: traffic/gateway/src/setting.ts
TRIES = 3
HEALTH = 5.0  # seconds for the old application to say how it is


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway.  `cache_seconds`: after which no isolate works by an older setting that it had read before."""

    kv: KV
    lines: D1
    url: str
    cache_seconds: float


def gateway(bench: Workbench) -> Gateway:
    """The gateway of the params.  Raises CannotFinish (TR101) where it does not answer."""
    params = bench.params
    said = _status(params.gateway_url).get("x-towpath-cache-seconds", "")
    if not said.isdigit():
        what = "it says nothing of its cache: an older gateway is deployed"
        raise CannotFinish(what, object=params.gateway_url, next="deploy the gateway of this version", code="TR101")
    edge = 0.0 if params.on_this_machine else EDGE_SECONDS
    lines = D1(bench.client, params.gateway_database_id)
    return Gateway(KV(bench.client, params.gateway_namespace_id), lines, params.gateway_url, float(said) + edge)


def fallback(url: str) -> str:
    """Who reads are for when the gateway knows no setting: origin or worker.  Raises CannotFinish (TR101)."""
    return str(_status(url).get("x-towpath-fallback", ""))


def in_flight(source_url: str) -> int | None:
    """Writes that the old application is still at, after its switch was written; None where it does not say.

    At least one while it says `maintenance` false, for it would let the next one in, or while it is there and silent.
    """
    with contextlib.suppress(httpx.HTTPError, ValueError, TypeError, KeyError):
        try:
            answer = httpx.get(f"{source_url.rstrip('/')}/health", timeout=HEALTH, trust_env=not loopback(source_url))
        except httpx.ReadTimeout:
            return 1
        told = answer.json()
        return max(int(told["writes_in_flight"]), told.get("maintenance") is False)
    return None


def _status(url: str) -> httpx.Headers:
    address, local = url.rstrip("/") + setting.STATUS, loopback(url)
    for left in reversed(range(TRIES)):
        try:
            return httpx.get(address, timeout=10.0, trust_env=not local).headers
        except httpx.HTTPError as error:
            if not left:
                what = f"the gateway does not answer: {error}"
                raise CannotFinish(what, object=url, next=RULES["TR101"].advice, code="TR101") from error
    raise AssertionError("unreachable")
