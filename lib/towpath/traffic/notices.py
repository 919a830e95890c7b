"""Notices to a status page: one POST of JSON for each step that users feel.

The form is that of Statuspage's incidents (name, status, body), which other pages take too.  A notice that cannot be
delivered stops nothing; it is counted, and reported.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import httpx

from towpath.cloudflare.client import loopback

SECONDS = 5.0  # a status page must not hold up a cutover


@dataclass(frozen=True, slots=True)
class Notice:
    """What users are told.  `status`: in_progress, verifying, completed, or investigating when it goes back."""

    name: str
    status: str
    body: str


# What users feel, with what they are told: steps of steps.py, and the end of a ramp that went wrong.
OVER = {
    "freeze": ("in_progress", "Writing is switched off for a few minutes; reading works."),
    "open new": ("in_progress", "Writing works again."),
    "all new seen": ("completed", "The move has come to its end."),
    "ABORT": ("investigating", "We went back to the old system. Reading works, writing is switched off."),
}
BACK = {
    "all old": ("investigating", "We go back to the old system. Reading works, writing is switched off."),
    "to old seen": ("completed", "The old system serves again; nothing was lost."),
}


def tell(url: str, notice: Notice) -> str:
    """Deliver a notice; "" when it was taken, else why it was not."""
    try:
        answer = httpx.post(url, json={"incident": asdict(notice)}, timeout=SECONDS, trust_env=not loopback(url))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # the last two: it is no address
        return type(error).__name__
    return "" if answer.is_success else f"HTTP {answer.status_code}"
