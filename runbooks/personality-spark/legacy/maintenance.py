"""The maintenance switch: while its file exists, nothing is written.

`GET /health` tells a cutover when the freeze holds: `maintenance` true and `writes_in_flight` 0, since a request that
came in before the switch may still be committing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

READING = frozenset({"GET", "HEAD", "OPTIONS"})
RETRY_AFTER = 60  # seconds


@dataclass(slots=True)
class MaintenanceSwitch:
    """A file that switches writes off by being there; its content is for people."""

    path: Path
    writes_in_flight: int = 0

    @property
    def on(self) -> bool:
        return self.path.exists()

    def freeze(self, by: str) -> None:
        """Switch writes off, in the form in which a cutover does it; nothing happens if they are off."""
        if not self.on:
            draft = self.path.with_name(self.path.name + ".tmp")
            since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
            draft.write_text(json.dumps({"since": since, "by": by}), encoding="utf-8")
            draft.replace(self.path)

    def thaw(self) -> None:
        """Let writes through again."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[bool]:
        """Around something that may write; it says whether it may."""
        # counted before the switch is read: a cutover that sees the switch on and no writes can rely on it
        self.writes_in_flight += 1
        try:
            yield not self.on
        finally:
            self.writes_in_flight -= 1


class MaintenanceMiddleware:
    """Answers every request that may write with 503 and Retry-After while the switch is on; reads go on.

    A GET that makes a quiz asks the switch by itself, see routes/quizzes.py.
    """

    def __init__(self, app: ASGIApp, switch: MaintenanceSwitch) -> None:
        self.app = app
        self.switch = switch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        if scope["type"] != "http" or scope["method"] in READING:
            await self.app(scope, receive, send)
            return
        with self.switch.writing() as allowed:
            if allowed:
                await self.app(scope, receive, send)
                return
        detail = {"detail": "Personality Spark is under maintenance: reading works, writing will be back soon"}
        refusal = JSONResponse(detail, status_code=503, headers={"Retry-After": str(RETRY_AFTER)})
        await refusal(scope, receive, send)
