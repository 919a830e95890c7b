"""Clients: each signs in, keeps its cookies, and does one thing at a time, so that it knows what it must read.

All they do goes through the gateway.  A line for each request goes to requests.jsonl, each write to the ledger besides.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from towpath.rehearsal.application import Application, Call, Entity
from towpath.rehearsal.ledger import Deed, Ledger, Told, Write, text_of

SECONDS = 15.0  # that a client waits for an answer
WRITES = 0.45  # of all requests
OWN = 0.6  # of the reads: the client's own entities
KEEPS = 25  # entities that a client has before it rather removes than makes
SIGN_IN_PAUSE = 0.2  # seconds
LIMITS = httpx.Limits(keepalive_expiry=3.0)  # workerd drops an idle connection after five seconds
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer, or none: `status` 0.  `sent` is False only where the request surely never left."""

    status: int
    side: str
    revision: int
    at: int  # when it was there; milliseconds since 1970
    response: httpx.Response | None
    sent: bool = True

    @property
    def told(self) -> Told:
        """What this answer tells the client of a write."""
        if 200 <= self.status < 300:
            return Told.ACKNOWLEDGED
        promised = self.status == 503 and self.response is not None and "retry-after" in self.response.headers
        if promised or 400 <= self.status < 500 or not self.sent:
            return Told.REFUSED
        return Told.UNKNOWN


@dataclass
class Shared:
    """What all clients of a rehearsal have in common."""

    application: Application
    ledger: Ledger
    note: Callable[[dict[str, Any]], None]  # one line of requests.jsonl
    url: str
    prefix: str
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    going: asyncio.Event = field(default_factory=asyncio.Event)  # cleared: nobody begins anything
    busy: int = 0
    over: bool = False


@dataclass(slots=True)
class Kept:
    """An entity of this client, and where its last acknowledged write went."""

    entity: Entity
    side: str
    revision: int


class Client:
    """One client of so many.  It looks for an account among the numbers that no other one tries."""

    def __init__(self, shared: Shared, seat: int, seats: int, seed: int) -> None:
        self.shared, self.seat, self.seats, self.number = shared, seat, seats, seat
        self.random = Random(f"{seed}:{seat}")
        self.kept: list[Kept] = []
        self.headers: dict[str, str] | None = None
        self.http = httpx.AsyncClient(base_url=shared.url, timeout=SECONDS, trust_env=False, limits=LIMITS)

    async def live(self, pause: float) -> None:
        """Do one thing after another, `pause` seconds apart on average, until everything is over."""
        shared = self.shared
        async with self.http:
            while not shared.over:
                await asyncio.sleep(self.random.expovariate(1 / pause))
                await shared.going.wait()
                if shared.over:
                    return
                shared.busy += 1
                try:
                    await self._act()
                finally:
                    shared.busy -= 1

    async def _act(self) -> None:
        if self.headers is None:
            await self._sign_in()
        elif self.random.random() < WRITES:
            await self._write()
        elif self.kept and self.random.random() < OWN:
            await self._look(self.random.choice(self.kept))
        else:
            await self._send(self.shared.application.wander(self.random), "wander")

    async def _sign_in(self) -> None:
        call = self.shared.application.sign_in(self.number)
        if call is None:
            self.headers = {}
            return
        answered = await self._send(call, "sign in")
        if answered.response is not None and answered.status != 503:
            with contextlib.suppress(ValueError, KeyError):
                self.headers = self.shared.application.signed_in(answered.response)
            if self.headers is None and answered.status < 500:
                self.number += self.seats
        if self.headers is None:
            await asyncio.sleep(SIGN_IN_PAUSE)

    async def _write(self) -> None:
        application, random = self.shared.application, self.random
        kinds = application.kinds
        changeable = [kept for kept in self.kept if kept.entity.version != kinds[kept.entity.kind].versions]
        removable = [(kept, remove) for kept in self.kept if (remove := kinds[kept.entity.kind].remove)]
        lot = random.random()
        if removable and lot < (0.5 if len(self.kept) > KEEPS else 0.12):
            await self._remove(*random.choice(removable))
        elif changeable and lot > 0.6:
            await self._change(random.choice(changeable))
        else:
            await self._create()

    async def _create(self) -> None:
        shared = self.shared
        kinds = shared.application.kinds
        kind = self.random.choices(list(kinds), [one.weight for one in kinds.values()])[0]
        number = next(shared.numbers)
        marker = f"{shared.prefix}-{number:06d}"
        own = [kept.entity for kept in self.kept]
        call = shared.application.create(kind, text_of(marker, 1), self.seat, own, self.random)
        answered = await self._told(Write(number, _now(), Deed.CREATE, kind, marker, 1), call)
        if answered.told is Told.ACKNOWLEDGED and answered.response is not None:
            with contextlib.suppress(ValueError, KeyError):
                entity = Entity(kind, shared.application.created(answered.response), marker, 1, self.seat)
                self.kept.append(Kept(entity, answered.side, answered.revision))
            self.kept = self.kept[-2 * KEEPS :]  # where nothing can be removed, the oldest are left alone

    async def _change(self, kept: Kept) -> None:
        entity, shared = kept.entity, self.shared
        version = entity.version + 1
        call = shared.application.change(entity, text_of(entity.marker, version))
        write = Write(next(shared.numbers), _now(), Deed.CHANGE, entity.kind, entity.marker, version)
        answered = await self._told(write, call)
        if answered.told is Told.ACKNOWLEDGED:
            entity.version, kept.side, kept.revision = version, answered.side, answered.revision
        elif answered.told is Told.UNKNOWN:
            self.kept.remove(kept)

    async def _remove(self, kept: Kept, remove: Callable[[Entity], Call]) -> None:
        entity = kept.entity
        write = Write(next(self.shared.numbers), _now(), Deed.REMOVE, entity.kind, entity.marker, entity.version)
        answered = await self._told(write, remove(entity))
        if answered.told is not Told.REFUSED:
            self.kept.remove(kept)

    async def _look(self, kept: Kept) -> None:
        entity = kept.entity
        answered = await self._send(self.shared.application.look(entity), "look", promised=kept)
        if answered.status == 401:
            self.headers = None

    async def _told(self, write: Write, call: Call) -> Answered:
        """Send a write between its two lines of the ledger."""
        ledger = self.shared.ledger
        ledger.intend(write)
        answered = await self._send(call, str(write.deed), writes=True)
        ledger.tell(write.number, answered.told, answered.at, answered.status, answered.side)
        if answered.status == 401:
            self.headers = None
        return answered

    async def _send(self, call: Call, what: str, *, writes: bool = False, promised: Kept | None = None) -> Answered:
        begun, clock = _now(), time.monotonic()
        given = {"json": call.json, "content": call.content, "files": call.files, "data": call.data}
        headers = {**(self.headers or {}), **call.headers}
        response, sent = None, True
        try:
            response = await self.http.request(
                call.method, call.path, headers=headers, **{key: value for key, value in given.items() if value}
            )
        except NOT_SENT:
            sent = False
        except httpx.HTTPError:
            pass
        said = response.headers if response is not None else {}
        status = response.status_code if response is not None else 0
        side, revision = said.get("x-served-by", ""), int(said.get("x-towpath-revision", "0"))
        answered = Answered(status, side, revision, _now(), response, sent)
        line = {"at": begun, "ms": round((time.monotonic() - clock) * 1000), "what": what, "writes": writes}
        line |= {"status": status, "side": side, "revision": revision}
        missed = self._missed(promised, answered) if promised else None
        self.shared.note({**line, "missed": missed} if missed else line)
        return answered

    def _missed(self, kept: Kept, answered: Answered) -> dict[str, Any] | None:
        """What a client wrote and does not read, where the answer is one at all."""
        response = answered.response
        if response is None or answered.status >= 500 or answered.status == 401:
            return None
        try:
            seen = self.shared.application.seen(kept.entity, response)
        except (ValueError, KeyError):
            seen = None
        expected = text_of(kept.entity.marker, kept.entity.version)
        if seen == expected:
            return None
        return {"expected": expected, "seen": seen, "wrote_side": kept.side, "wrote_revision": kept.revision}


def _now() -> int:
    return time.time_ns() // 1_000_000
