"""The setting of the gateway: one JSON value in KV, which its isolates read again every few seconds.

It is written through Cloudflare's API and nowhere else.  A change names the revision that it was made for, so that two
people who change it at the same time do not both believe that theirs holds.
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum

import httpx
import orjson

from towpath.cloudflare.client import loopback
from towpath.cloudflare.kv import KV
from towpath.errors import BadInput, CannotFinish, WrongUse
from towpath.traffic.rules import RULES

KEY = "traffic"
STATUS = "/.well-known/towpath-traffic"  # answered by the gateway itself
ANSWERS = 20  # in a row with the new revision; one connection each, so that they reach more than one isolate
PAUSE = 0.1  # seconds between two questions
PATIENCE = 180.0  # seconds: KV tells most of the world within 60


class Mode(StrEnum):
    """Who answers."""

    ORIGIN = "origin"  # reads and writes: the old side
    FROZEN = "frozen"  # reads: the old side; writes: 503
    SPLIT = "split"  # reads: a percentage of sessions the new side; writes: all the new side
    WORKER = "worker"  # everything: the new side


@dataclass(frozen=True, slots=True)
class Setting:
    """What the gateway works by.  `salt` is one for the whole cutover; `changed_at` is UTC, for people."""

    mode: Mode
    percent: int
    salt: str
    revision: int
    changed_at: str

    @property
    def fact(self) -> str:
        """The value of the fact `setting` in steps.FACTS."""
        return f"split {self.percent}" if self.mode is Mode.SPLIT else str(self.mode)

    @property
    def line(self) -> str:
        """The setting in words."""
        share = f" {self.percent} %" if self.mode is Mode.SPLIT else ""
        return f"{self.mode}{share}, revision {self.revision}"

    def encode(self) -> bytes:
        """As it stands in KV."""
        return orjson.dumps(asdict(self))


def read(kv: KV) -> Setting | None:
    """The setting that holds; None if there is none yet.  Raises BadInput for a value that is no setting."""
    value = kv.get(KEY)
    if value is None:
        return None
    try:
        found = orjson.loads(value)
        setting = Setting(
            Mode(found["mode"]), found["percent"], found["salt"], found["revision"], str(found["changed_at"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(kv, str(error)) from error
    whole = isinstance(setting.percent, int) and isinstance(setting.revision, int) and isinstance(setting.salt, str)
    if not whole or not 0 <= setting.percent <= 100 or setting.revision < 1 or not setting.salt:
        raise _broken(kv, "a number or the salt is out of its bounds")
    return setting


def begin(kv: KV, now: dt.datetime) -> Setting:
    """The setting, written if there is none: everything to the old side.

    The first revision is the seconds since 1970, so that no gateway has ever seen a greater one.
    """
    return read(kv) or _write(kv, Setting(Mode.ORIGIN, 0, secrets.token_hex(8), int(now.timestamp()), _utc(now)))


def change(kv: KV, holds: Setting, mode: Mode, percent: int, now: dt.datetime, *, new_salt: bool = False) -> Setting:
    """Write another mode or percentage over the setting `holds`; one that says the same already is left alone.

    `new_salt` begins another cutover: other sessions go first, and nobody counts as having written.  Raises WrongUse if
    somebody else has changed the setting since it was read.
    """
    if percent not in range(101) or (mode is not Mode.SPLIT and percent not in (0, 100)):
        step = "0 to 100 in split; elsewhere it says nothing"
        raise WrongUse(f"{percent} % in mode {mode}", object="percent of the gateway", next=step)
    found = read(kv)
    if found != holds:
        now_holds = found.line if found else "nothing"
        what = f"somebody has changed it since it was read: {now_holds}, not {holds.line}"
        raise WrongUse(what, object=f"{kv}, key {KEY}", next="look who works on this cutover, then run the step again")
    if (holds.mode, holds.percent) == (mode, percent) and not new_salt:
        return holds
    salt = secrets.token_hex(8) if new_salt else holds.salt
    return _write(kv, Setting(mode, percent, salt, holds.revision + 1, _utc(now)))


@dataclass(frozen=True, slots=True)
class Seen:
    """The gateway has answered by a setting for as long as an isolate may use an older one."""

    revision: int
    answers: int  # in the end, one after another
    seconds: float


def wait_until_seen(
    gateway_url: str,
    revision: int,
    *,
    cache_seconds: float,
    patience: float = PATIENCE,
    answers: int = ANSWERS,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
    transport: httpx.BaseTransport | None = None,
) -> Seen:
    """Wait until the gateway works by `revision` or a later one.

    That is: `answers` in a row show it, and the first of them is older than `cache_seconds`, so that an isolate that
    was not asked has read again too.  Raises CannotFinish (TR101) after `patience` seconds; no later write may be built
    on it: the fences hold, whatever an isolate believes.
    """
    begun, first, row = clock(), 0.0, 0
    local = loopback(gateway_url)
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(timeout=10.0, limits=limits, trust_env=not local, transport=transport) as http:
        while True:
            said = _revision(http, gateway_url)
            at = clock()
            if said >= revision:
                first, row = (at, 1) if not row else (first, row + 1)
                if row >= answers and at - first >= cache_seconds:
                    return Seen(revision, row, at - begun)
            else:
                row = 0
            if at - begun > patience:
                works = f"works by revision {said}, not by {revision}," if said >= 0 else "does not answer"
                what = f"{works} after {patience:.0f} s"
                raise CannotFinish(what, object=gateway_url, next=RULES["TR101"].advice, code="TR101")
            pause(PAUSE)


def _revision(http: httpx.Client, gateway_url: str) -> int:
    try:
        answer = http.get(gateway_url.rstrip("/") + STATUS)
        return int(answer.headers.get("x-towpath-revision", "-1"))
    except (httpx.HTTPError, ValueError):
        return -1


def _write(kv: KV, setting: Setting) -> Setting:
    kv.put_alone(KEY, setting.encode(), {})
    place, end = f"{kv}, key {KEY}", time.monotonic() + PATIENCE
    while (found := read(kv)) != setting:
        # KV has no compare-and-set: of two who write within the same moment one sees here that the other's value stands
        if found is not None and found.revision >= setting.revision:
            step = "look who works on this cutover, then run the step again"
            raise WrongUse("somebody else wrote at the same moment", object=place, next=step)
        if time.monotonic() > end:
            what = f"was written as revision {setting.revision}, and KV does not show it after {PATIENCE:.0f} s"
            raise CannotFinish(what, object=place, next=RULES["TR101"].advice, code="TR101")
        time.sleep(PAUSE)  # an older one: KV promises no time until all of it shows what was written
    return setting


def _utc(now: dt.datetime) -> str:
    return now.astimezone(dt.UTC).isoformat(timespec="milliseconds")


def _broken(kv: KV, why: str) -> BadInput:
    step = "look who wrote it; delete the key to begin anew, while the old side has the writes"
    return BadInput(f"is no setting of a gateway: {why}", object=f"{kv}, key {KEY}", next=step)
