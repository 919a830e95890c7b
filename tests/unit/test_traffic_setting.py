"""The setting of the gateway: written by one person at a time, awaited until every isolate works by it."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest
from helpers.two_sides import two_sides

from towpath.cloudflare.client import Client
from towpath.cloudflare.kv import KV
from towpath.errors import BadInput, CannotFinish, WrongUse
from towpath.traffic.setting import KEY, STATUS, Mode, Setting, begin, change, read, wait_until_seen
from towpath.traffic.steps import FACTS

NOW = dt.datetime(2026, 11, 21, 19, 0, tzinfo=dt.UTC)


@pytest.fixture
def kv(client: Client) -> KV:
    return KV(client, f"traffic-{secrets.token_hex(4)}")


def test_it_begins_with_everything_on_the_old_side(kv: KV) -> None:
    assert read(kv) is None
    first = begin(kv, NOW)
    assert (first.mode, first.percent, first.changed_at) == (Mode.ORIGIN, 0, "2026-11-21T19:00:00.000+00:00")
    assert first.revision == NOW.timestamp()
    assert read(kv) == first
    assert begin(kv, NOW + dt.timedelta(hours=1)) == first


def test_a_change_is_one_revision_and_keeps_the_salt(kv: KV) -> None:
    first = begin(kv, NOW)
    split = change(kv, first, Mode.SPLIT, 10, NOW)
    more = change(kv, split, Mode.SPLIT, 50, NOW)
    assert [split.revision, more.revision] == [first.revision + 1, first.revision + 2]
    assert first.salt == split.salt == more.salt
    assert change(kv, more, Mode.SPLIT, 50, NOW) == more  # what holds is not written again
    again = change(kv, more, Mode.ORIGIN, 0, NOW, new_salt=True)
    assert again.salt != more.salt
    assert read(kv) == again
    assert (more.line, again.line) == (f"split 50 %, revision {more.revision}", f"origin, revision {again.revision}")


def test_every_setting_of_the_steps_can_be_written_and_read(kv: KV) -> None:
    setting = begin(kv, NOW)
    for fact in FACTS["setting"]:
        mode, _, percent = fact.partition(" ")
        setting = change(kv, setting, Mode(mode), int(percent or 0), NOW)
        assert setting.fact == fact


def test_who_has_read_an_older_setting_changes_nothing(kv: KV) -> None:
    first = begin(kv, NOW)
    now = change(kv, first, Mode.FROZEN, 0, NOW)
    with pytest.raises(WrongUse, match=r"frozen, revision \d+, not origin, revision"):
        change(kv, first, Mode.SPLIT, 10, NOW)
    kv.delete([KEY])
    with pytest.raises(WrongUse, match="nothing, not frozen"):
        change(kv, now, Mode.SPLIT, 10, NOW)
    assert read(kv) is None


def test_what_kv_shows_late_is_waited_for(kv: KV, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for KV's eventual consistency: the local runtime shows at once what was written."""
    old = kv.get
    late: list[bytes | None] = [None]
    monkeypatch.setattr(kv, "get", lambda key: late.pop(0) if late else old(key))
    late.append(None)  # the first answer says that there is none, and the next one still does
    first = begin(kv, NOW)
    assert (first.mode, late) == (Mode.ORIGIN, [])
    late[:] = [first.encode()] * 3  # one before the write, two after it
    frozen = change(kv, first, Mode.FROZEN, 0, NOW)
    assert (frozen.mode, late, read(kv)) == (Mode.FROZEN, [], frozen)


def test_what_kv_never_shows_is_said(kv: KV, monkeypatch: pytest.MonkeyPatch) -> None:
    first = begin(kv, NOW)
    monkeypatch.setattr(kv, "get", lambda _: first.encode())
    monkeypatch.setattr("towpath.traffic.setting.PATIENCE", 0.2)
    with pytest.raises(
        CannotFinish, match=f"TR101 .*was written as revision {first.revision + 1}, and KV does not show"
    ):
        change(kv, first, Mode.FROZEN, 0, NOW)


def test_of_two_who_write_at_the_same_moment_one_is_told(kv: KV, monkeypatch: pytest.MonkeyPatch) -> None:
    first = begin(kv, NOW)
    put = kv.put_alone

    def overtaken(key: str, value: bytes, metadata: dict[str, str]) -> None:
        put(key, value, metadata)
        put(key, value.replace(b"frozen", b"origin"), metadata)

    monkeypatch.setattr(kv, "put_alone", overtaken)
    with pytest.raises(WrongUse, match="at the same moment"):
        change(kv, first, Mode.FROZEN, 0, NOW)


@pytest.mark.parametrize(
    ("mode", "percent"), [(Mode.SPLIT, 101), (Mode.SPLIT, -1), (Mode.FROZEN, 10), (Mode.ORIGIN, 1)]
)
def test_a_percentage_that_means_nothing_is_refused(kv: KV, mode: Mode, percent: int) -> None:
    with pytest.raises(WrongUse, match="percent of the gateway"):
        change(kv, begin(kv, NOW), mode, percent, NOW)


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b"{}", b'{"mode":"both","percent":0,"salt":"s","revision":1,"changed_at":""}']
    + [
        orjson.dumps({"mode": "split", "percent": 10, "salt": "s", "revision": 1, "changed_at": "", **wrong})
        for wrong in ({"percent": 101}, {"percent": "10"}, {"salt": ""}, {"revision": 0}, {"revision": 1.5})
    ],
)
def test_a_value_that_is_no_setting_is_named_and_never_overwritten(kv: KV, value: bytes) -> None:
    kv.put_alone(KEY, value, {})
    for attempt in (lambda: read(kv), lambda: begin(kv, NOW)):
        with pytest.raises(BadInput, match="is no setting of a gateway"):
            attempt()
    assert kv.get(KEY) == value


# -- waiting, with a gateway that is a fake: only it can be of two minds


class Isolates:
    """A fake: answers by the revisions of a list, one after another and a second apart, the last one for ever."""

    def __init__(self, *revisions: int | None) -> None:
        self.revisions, self.asked, self.now = list(revisions), 0, 0.0

    def wait(self, revision: int, **options: float) -> float:
        seen = wait_until_seen(
            "http://127.0.0.1:1", revision, clock=lambda: self.now, pause=self.pause,
            transport=httpx.MockTransport(self.answer), **{"cache_seconds": 5.0, "answers": 3, **options},
        )  # type: ignore[arg-type]  # fmt: skip
        return seen.seconds

    def pause(self, _: float) -> None:
        self.now += 1.0

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == STATUS
        revision = self.revisions[min(self.asked, len(self.revisions) - 1)]
        self.asked += 1
        if revision is None:
            raise httpx.ConnectError("refused")
        return httpx.Response(204, headers={"x-towpath-revision": str(revision)})


def test_it_waits_until_the_oldest_cache_has_ended() -> None:
    assert Isolates(7).wait(7) == 5.0
    assert Isolates(7).wait(7, answers=9) == 8.0
    assert Isolates(8).wait(7) == 5.0  # somebody has gone on: nobody works by less than 7


def test_one_older_answer_begins_the_waiting_anew() -> None:
    assert Isolates(6, 7, 7, 7, 6, 7).wait(7) == 10.0
    assert Isolates(7, 7, None, 7).wait(7) == 8.0
    assert Isolates(0, 7).wait(7) == 6.0  # an isolate that knows nothing


def test_a_gateway_that_never_shows_it_is_named() -> None:
    with pytest.raises(CannotFinish, match=r"TR101 http://127.0.0.1:1: works by revision 6, not by 7, after 60 s"):
        Isolates(6).wait(7, patience=60)
    with pytest.raises(CannotFinish, match="does not answer after 60 s"):
        Isolates(None).wait(7, patience=60)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[tuple[str, KV]]:
    with two_sides(tmp_path_factory.mktemp("sides"), root, CACHE_SECONDS=1) as sides:
        yield sides.runtime.gateway_url, sides.kv


def test_a_real_gateway_shows_what_was_written(gateway: tuple[str, KV]) -> None:
    url, kv = gateway
    setting: Setting = begin(kv, NOW)
    for mode, percent in ((Mode.FROZEN, 0), (Mode.SPLIT, 10), (Mode.WORKER, 100)):
        setting = change(kv, setting, mode, percent, NOW)
        seen = wait_until_seen(url, setting.revision, cache_seconds=1.0, answers=3)
        assert (seen.revision, seen.answers >= 3) == (setting.revision, True)
        with httpx.Client(trust_env=False) as http:
            answer = http.post(f"{url}/people/1")
        assert answer.headers["x-served-by"] == ("gateway" if mode is Mode.FROZEN else "worker")
