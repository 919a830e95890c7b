"""Keys carried back: what the new side wrote into a real namespace is found, written into a real Redis, and proved."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from helpers.keys import EVERYTHING, exported, fill
from redis import Redis

from towpath import keys
from towpath.cloudflare import KV, Client
from towpath.cloudflare.kv import pair
from towpath.errors import CannotFinish
from towpath.keys import KeyRule, Manifest
from towpath.keys import write as writing
from towpath.keys.back import GROUPS, OTHERS, OVERWRITTEN, SILENT


@pytest.fixture
def kv(client: Client) -> KV:
    return KV(client, secrets.token_hex(16))


@pytest.fixture
def moved(redis_client: Redis, kv: KV, tmp_path: Path) -> Manifest:
    """One key of each kind on both sides, equal."""
    fill(redis_client)
    made = exported(redis_client, tmp_path / "export")
    keys.load(kv, made)
    return made


def put(kv: KV, key: str, value: bytes, *, type: str = "", expiration: int | None = None) -> None:
    """What the new application writes; without metadata unless a type is told."""
    binary = any(byte > 127 for byte in value)
    body = pair(key, value, expiration=expiration, metadata={"type": type} if type else {}, binary=binary)
    kv.put(b"[" + body + b"]")


def find(kv: KV, redis: Redis, made: Manifest, **other: Any) -> keys.Back:
    return keys.find_back(kv, redis, made, made.rules, **other)


def prove(kv: KV, redis: Redis, made: Manifest, back: keys.Back) -> keys.Proved:
    return keys.prove_back(kv, redis, made.rules, back)


def everything(redis: Redis) -> dict[bytes, tuple[bytes, Any]]:
    """Every key with its dump, and whether it ends."""
    return {name: (redis.dump(name), redis.pttl(name) > 0) for name in redis.scan_iter()}


def end_of(redis: Redis, name: str) -> int:
    """When a key ends, in milliseconds since 1970, as near as an old Redis tells it; -1 for one that stays."""
    seconds, microseconds = redis.time()
    left = redis.pttl(name)
    return left if left < 0 else int(seconds) * 1_000 + int(microseconds) // 1_000 + left


def in_an_hour(redis: Redis) -> int:
    return int(redis.time()[0]) + 3_600


def test_nothing_was_written(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    before = everything(redis_client)
    back = find(kv, redis_client, moved)
    assert (back.changes, back.conflicts, back.touched) == ((), (), frozenset())
    assert keys.carry_back(redis_client, back) == 0
    assert everything(redis_client) == before
    proved = prove(kv, redis_client, moved, back)
    assert (proved.keys, proved.own, proved.differences) == (moved.keys, (), ())


WRITTEN: list[tuple[str, bytes, Callable[[Redis], Any], Any]] = [
    ("text", b"another", lambda r: r.get("text"), b"another"),
    ("binary", b"\xff\x00\xfe", lambda r: r.get("binary"), b"\xff\x00\xfe"),
    ("marked", "\ufeffother".encode(), lambda r: r.get("marked"), "\ufeffother".encode()),
    ("hash", b'{ "b": "3", "c": {"base64": "/w=="} }', lambda r: r.hgetall("hash"), {b"b": b"3", b"c": b"\xff"}),
    ("list", b'["x", "y", "x"]', lambda r: r.lrange("list", 0, -1), [b"x", b"y", b"x"]),
    ("set", b'["z", "a"]', lambda r: r.smembers("set"), {b"z", b"a"}),
    ("zset", b'[["b", "2.5"], ["a", "-inf"]]', lambda r: r.zrange("zset", 0, -1), [b"a", b"b"]),
    ("stream", b'[["2-1", [["f", "1"], ["f", "2"]]]]', lambda r: r.xrange("stream")[0][0], b"2-1"),
    ("hash", b"{}", lambda r: r.exists("hash"), 0),
    ("list", b"[]", lambda r: r.exists("list"), 0),
]


@pytest.mark.parametrize(("key", "value", "read", "expected"), WRITTEN, ids=[f"{w[0]}-{w[1][:6]!r}" for w in WRITTEN])
def test_every_type_comes_back_as_what_it_was(
    kv: KV, redis_client: Redis, moved: Manifest, key: str, value: bytes, read: Callable[[Redis], Any], expected: Any
) -> None:
    before = everything(redis_client)
    put(kv, key, value)
    back = find(kv, redis_client, moved)
    assert ([change.key for change in back.changes], back.conflicts) == ([key], ())
    assert keys.carry_back(redis_client, back) == 1
    assert read(redis_client) == expected
    after = everything(redis_client)
    assert {k: v for k, v in after.items() if k != key.encode()} == {
        k: v for k, v in before.items() if k != key.encode()
    }
    assert prove(kv, redis_client, moved, back).differences == ()
    again = find(kv, redis_client, moved)
    assert (again.changes, again.conflicts) == ((), ())


def test_a_stream_never_gives_out_an_id_again(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    redis_client.xadd("stream", {"f": "1"}, id="9-1")
    redis_client.xdel("stream", "9-1")
    put(kv, "stream", b'[["2-1", [["f", "1"]]]]')
    keys.carry_back(redis_client, find(kv, redis_client, moved))
    assert redis_client.xinfo_stream("stream")["last-generated-id"] == b"9-1"


def test_new_keys_deleted_keys_and_lives(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    end = in_an_hour(redis_client) + 600
    rules = (KeyRule("quiz:*"), *EVERYTHING)
    put(kv, "quiz:daily", b"{}", expiration=end)
    put(kv, "told", b'["a"]', type="set")
    put(kv, "ends", b"1", expiration=end)
    put(kv, "zset", kv.get("zset") or b"")  # its life was taken away
    kv.delete(["text", "set"])
    back = keys.find_back(kv, redis_client, moved, rules)
    assert (len(back.changes), back.deleted, back.conflicts) == (6, 2, ())
    seen: list[int] = []
    assert keys.carry_back(redis_client, back, seen.append) == sum(seen) == 6
    assert redis_client.get("quiz:daily") == b"{}"
    assert redis_client.smembers("told") == {b"a"}
    ends = [end_of(redis_client, key) for key in ("quiz:daily", "ends", "zset")]
    assert ends == [pytest.approx(end * 1_000, abs=900), pytest.approx(end * 1_000, abs=900), -1]
    assert redis_client.exists("text", "set") == 0
    proved = keys.prove_back(kv, redis_client, rules, back)
    assert (proved.own, proved.differences) == ((), ())


def test_another_value_with_the_same_end_keeps_its_milliseconds(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    (was,) = (entry for entry in moved if entry.key == "ends")
    put(kv, "ends", b"2", expiration=was.expiration)
    (change,) = find(kv, redis_client, moved).changes
    assert change.expires == was.expires
    assert change.expires != (was.expiration or 0) * 1_000


def test_a_life_that_ran_out_on_both_sides_is_no_delete(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    later = in_an_hour(redis_client) + 7_200
    kv.delete(["ends", "zset"])  # as KV does by itself when the time has come
    back = find(kv, redis_client, moved, clock=lambda: float(later))
    assert (back.changes, back.conflicts, back.touched) == ((), (), frozenset())


def test_what_was_written_and_ended_since_is_left_out_and_listed(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    end = in_an_hour(redis_client)
    put(kv, "short", b"x", type="string", expiration=end)
    put(kv, "text", b"with an end", expiration=end)
    back = find(kv, redis_client, moved, clock=lambda: end + 1.0)
    assert sorted(back.expired) == ["short", "text"]
    assert [(change.key, change.type) for change in back.changes] == [("text", "")]
    keys.carry_back(redis_client, back)
    assert redis_client.exists("short", "text") == 0


def test_our_receipts_and_what_a_rule_leaves_behind_are_no_keys(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    rules = (KeyRule("lock:*", "drop"), *EVERYTHING)
    put(kv, "lock:1", b"x")
    redis_client.set("lock:1", "mine")
    back = keys.find_back(kv, redis_client, moved, rules)
    assert (back.changes, back.conflicts, back.left) == ((), (), ("lock:1",))
    assert keys.prove_back(kv, redis_client, rules, back).differences == ()


CONFLICTS: list[tuple[str, Callable[[Redis], Any], str, bytes, str]] = [
    ("both wrote", lambda r: r.set("text", "mine"), "text", b"theirs", OVERWRITTEN),
    ("Redis deleted it", lambda r: r.delete("text"), "text", b"theirs", OVERWRITTEN),
    ("Redis gave it another life", lambda r: r.expire("text", 900), "text", b"theirs", OVERWRITTEN),
    ("Redis holds such a name", lambda r: r.set("new", "mine"), "new", b"theirs", OTHERS),
    ("a stream with groups", lambda r: r.xgroup_create("stream", "g"), "stream", b'[["2-1", [["f", "1"]]]]', GROUPS),
    ("no form of a hash", lambda _: None, "hash", b'{"a": 1}', "the value is not the form of a hash"),
    ("no JSON", lambda _: None, "list", b"text", "the value is not the form of a list"),
    ("a member twice", lambda _: None, "set", b'["a","a"]', "Redis cannot hold it: the same member stands in it twice"),
    ("no score", lambda _: None, "zset", b'[["a","nan"]]', "Redis cannot hold it: a score is no number"),
    ("ids that descend", lambda _: None, "stream", b'[["2-1",[["f","1"]]],["1-1",[["f","1"]]]]',
     "Redis cannot hold it: its ids do not ascend"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "key", "value", "why"), CONFLICTS, ids=[one[0] for one in CONFLICTS])
def test_what_stands_in_the_way_is_named_and_left_alone(
    kv: KV, redis_client: Redis, moved: Manifest, name: str, change: Callable[[Redis], Any], key: str, value: bytes,
    why: str,
) -> None:  # fmt: skip
    change(redis_client)
    before = everything(redis_client)
    put(kv, key, value, type="string" if name == "Redis holds such a name" else "")
    back = find(kv, redis_client, moved)
    assert (back.conflicts, back.changes) == (((key, why),), ())
    keys.carry_back(redis_client, back)
    assert everything(redis_client) == before


def test_a_key_of_which_nothing_says_the_type(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    put(kv, "new", b"[]")
    put(kv, "string:new", b"text")
    rules = (KeyRule("string:*"), KeyRule("hash*", "json"))
    back = keys.find_back(kv, redis_client, moved, rules)
    assert back.conflicts == (("new", "no rule of mapping.yaml speaks of it"),)
    assert [change.key for change in back.changes] == ["string:new"]
    kinds = keys.find_back(kv, redis_client, moved, EVERYTHING)
    assert kinds.conflicts == tuple((key, "nothing says of which type it is") for key in ("new", "string:new"))
    put(kv, "hash:new", b'{"a":"1"}')
    (change,) = (c for c in keys.find_back(kv, redis_client, moved, rules).changes if c.key == "hash:new")
    assert change.type == "hash"


def test_what_redis_changed_alone_stays_as_it_is(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    redis_client.set("text", "mine")
    redis_client.delete("list")
    redis_client.set("own", "mine")
    back = find(kv, redis_client, moved)
    assert (back.changes, back.conflicts) == ((), ())
    proved = prove(kv, redis_client, moved, back)
    assert (proved.own, proved.differences) == (("list", "own", "text"), ())


def test_a_key_that_is_written_to_meanwhile_is_left_alone(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    put(kv, "list", b'["theirs"]')
    put(kv, "text", b"theirs")
    back = find(kv, redis_client, moved)
    redis_client.set("text", "mine")
    with pytest.raises(CannotFinish, match="text: the key was written to meanwhile"):
        keys.carry_back(redis_client, back)
    assert (redis_client.get("text"), redis_client.lrange("list", 0, -1)) == (b"mine", [b"theirs"])
    assert find(kv, redis_client, moved).conflicts == (("text", OVERWRITTEN),)


def test_a_write_between_the_look_and_the_write_is_seen(
    kv: KV, redis_client: Redis, moved: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(kv, "text", b"theirs")
    back = find(kv, redis_client, moved)
    looked = writing.read_keys

    def then_written(*args: Any) -> Any:
        found = looked(*args)
        redis_client.set("text", "mine")
        return found

    monkeypatch.setattr(writing, "read_keys", then_written)
    with pytest.raises(CannotFinish, match="text: the key was written to meanwhile"):
        keys.carry_back(redis_client, back)
    assert redis_client.get("text") == b"mine"


class KilledError(Exception):
    """Stands for the end of the process at this point."""


def test_a_way_back_that_is_cut_goes_on_where_it_stopped(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    for key in ("text", "empty", "marked"):
        put(kv, key, b"theirs")

    def kill(_: int) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        keys.carry_back(redis_client, find(kv, redis_client, moved), kill)
    left = find(kv, redis_client, moved)
    assert (len(left.changes), left.conflicts) == (2, ())
    assert keys.carry_back(redis_client, left) == 2
    assert prove(kv, redis_client, moved, left).differences == ()


def test_the_proof_names_what_still_differs(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    put(kv, "text", b"theirs")
    put(kv, "new", b"theirs", type="string")
    put(kv, "ends", b"1", expiration=in_an_hour(redis_client) + 900)
    kv.delete(["list"])
    back = find(kv, redis_client, moved)
    found = {(one.key, one.kind, one.column) for one in prove(kv, redis_client, moved, back).differences}
    assert found == {
        ("text", "changed", "value"),
        ("text", "changed", "metadata"),
        ("new", "extra", ""),
        ("ends", "changed", "metadata"),
        ("ends", "changed", "expiry"),
        ("list", "missing", ""),
    }


def test_large_collections_come_back_whole(kv: KV, redis_client: Redis, moved: Manifest) -> None:
    members = [str(number) for number in range(25_000)]
    put(kv, "list", orjson.dumps(members))
    keys.carry_back(redis_client, find(kv, redis_client, moved))
    assert redis_client.lrange("list", 0, -1) == [member.encode() for member in members]


def test_a_key_that_is_listed_and_gives_no_value_is_no_deleted_key(
    kv: KV, redis_client: Redis, moved: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fake: KV promises no time until a write is seen, and lists and reads may differ meanwhile."""
    silent, get, texts = ("text", "list"), kv.get, kv.get_texts
    monkeypatch.setattr(kv, "get", lambda key: None if key in silent else get(key))
    monkeypatch.setattr(kv, "get_texts", lambda keys: texts(keys) | dict.fromkeys(set(keys) & set(silent)))
    back = find(kv, redis_client, moved)
    assert (back.changes, back.conflicts) == ((), (("list", SILENT), ("text", SILENT)))
    differences = prove(kv, redis_client, moved, back).differences
    assert {(one.key, one.kind) for one in differences} == {("list", "missing"), ("text", "missing")}


def test_collections_are_read_together_strings_alone_and_what_stays_behind_not_at_all(
    kv: KV, redis_client: Redis, moved: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = (KeyRule("lock:*", "drop"), *EVERYTHING)
    for number in range(30):
        put(kv, f"set:{number}", orjson.dumps(["b", "a", f"{number} é"]), type="set")
        put(kv, f"lock:{number}", b"x")
    put(kv, "set:bytes", b'["\xff"]', type="set")  # no UTF-8, so no JSON: a bulk read would make it U+FFFD
    put(kv, "set:marked", b'\xef\xbb\xbf["a"]', type="set")
    put(kv, "text", b"\xef\xbb\xbftheirs")
    get, alone = kv.get, list[str]()
    monkeypatch.setattr(kv, "get", lambda key: alone.append(key) or get(key))
    back = keys.find_back(kv, redis_client, moved, rules)
    assert sorted(set(alone) - {entry.key for entry in moved if entry.alone}) == ["set:bytes", "text"]
    assert back.conflicts == (("set:bytes", "the value is not the form of a set"),)
    assert (len(back.changes), len(back.left)) == (32, 30)
    keys.carry_back(redis_client, back)
    assert redis_client.smembers("set:7") == {b"a", b"b", "7 é".encode()}
    assert (redis_client.get("text"), redis_client.smembers("set:marked")) == (b"\xef\xbb\xbftheirs", {b"a"})
    alone.clear()
    proved = keys.prove_back(kv, redis_client, rules, back)
    assert {one.key for one in proved.differences} == {"set:bytes"}
    assert not [key for key in alone if key.startswith(("lock:", "set:1"))]
