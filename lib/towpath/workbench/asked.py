"""Whether both applications can be asked the same, by what params and mapping.yaml name."""

from __future__ import annotations

from typing import Any

MUST_ASK = ("staging", "production")  # where a move without parity wants a waiver
TWO_SIDES, ONE_SIDE = "two sides", "one side"  # as `required` calls them


def lacking(params: Any, traffic: Any) -> str:
    """What is not named, in words; "" where both sides can be asked."""
    named = {
        "the params name no source_url": bool(params.source_url),
        "the params name no worker_url": bool(params.worker_url),
        "mapping.yaml names no traffic.corpus": bool(traffic.corpus),
    }
    return ", ".join(words for words, there in named.items() if not there)


def sides(params: Any, traffic: Any) -> str:
    """Which checks about both sides a phase must report: of two, of one, or "" where nobody has to ask them."""
    if not lacking(params, traffic):
        return TWO_SIDES
    return ONE_SIDE if params.environment in MUST_ASK else ""
