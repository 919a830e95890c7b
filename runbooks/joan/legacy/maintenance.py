"""The maintenance switch: while its file exists, nothing is written.

`GET /health` tells a cutover when the freeze holds: `maintenance` true and `writes_in_flight` 0, since a request that
came in before the switch may still be committing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

READING = frozenset({"GET", "HEAD", "OPTIONS"})
READING_POSTS = frozenset({"/auth/login"})  # checks a password and signs a token; stores nothing
RETRY_AFTER = 60  # seconds, when the file does not say


@dataclass(slots=True)
class MaintenanceSwitch:
    """A file that switches writes off by being there; its content is for people and for Retry-After."""

    path: Path
    writes_in_flight: int = 0

    @property
    def on(self) -> bool:
        return self.path.exists()

    @property
    def retry_after(self) -> int:
        """Seconds a client should wait: `retry_after` of the file, or a minute when it says nothing usable."""
        try:
            asked = json.loads(self.path.read_text(encoding="utf-8"))["retry_after"]
            return max(1, int(asked))
        except (OSError, ValueError, KeyError, TypeError):
            return RETRY_AFTER


class MaintenanceMiddleware:
    """Answers every writing route with 503 and Retry-After while the switch is on; reads go on."""

    def __init__(self, app: ASGIApp, switch: MaintenanceSwitch) -> None:
        self.app = app
        self.switch = switch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        writes = scope["type"] == "http" and scope["method"] not in READING and scope["path"] not in READING_POSTS
        if not writes:
            await self.app(scope, receive, send)
            return
        # counted before the switch is read: a cutover that sees the switch on and no writes can rely on it
        self.switch.writes_in_flight += 1
        try:
            if self.switch.on:
                refusal = JSONResponse(
                    {"detail": "Joan is under maintenance: reading works, writing will be back soon"},
                    status_code=503,
                    headers={"Retry-After": str(self.switch.retry_after)},
                )
                await refusal(scope, receive, send)
            else:
                await self.app(scope, receive, send)
        finally:
            self.switch.writes_in_flight -= 1
