"""Any value of Redis through its form in KV and back, alone and through the real engines on both sides."""

from __future__ import annotations

import json
import secrets
import tempfile
from pathlib import Path
from typing import Any

from helpers.keys import EVERYTHING, exported
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from towpath import keys
from towpath.cloudflare import KV, Client
from towpath.keys.source import Source
from towpath.keys.values import canonical, decode, encode
from towpath.keys.write import Change, Held, read_keys
from towpath.keys.write import write as write_back

BYTES = st.one_of(st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=30))
SOME = BYTES.filter(bool)
SCORES = st.floats(allow_nan=False)
PAIRS = st.lists(st.tuples(BYTES, BYTES), min_size=1, max_size=6)
VALUES: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.just("string"), st.one_of(BYTES, st.sampled_from([b"\xef\xbb\xbfx", b"\xef\xbf\xbd", b"\x00"]))),
    st.tuples(st.just("hash"), st.dictionaries(BYTES, BYTES, min_size=1, max_size=6)),
    st.tuples(st.just("list"), st.lists(BYTES, min_size=1, max_size=6)),
    st.tuples(st.just("set"), st.sets(BYTES, min_size=1, max_size=6)),
    st.tuples(
        st.just("zset"),
        st.dictionaries(BYTES, SCORES, min_size=1, max_size=6).map(
            lambda scores: sorted(
                ((member, score + 0.0) for member, score in scores.items()), key=lambda p: (p[1], p[0])
            )
        ),
    ),
    st.tuples(
        st.just("stream"),
        st.lists(PAIRS, min_size=1, max_size=4).map(
            lambda entries: [(f"{number}-1".encode(), fields) for number, fields in enumerate(entries, start=1)]
        ),
    ),
)
NAMES = st.one_of(
    st.text(min_size=1, max_size=40).filter(lambda name: not any("\ud800" <= c <= "\udfff" for c in name)),
    st.sampled_from(["__proto__", "a/b", "%2F", "../x", "\ufeff", "e\u0301", "é"]),
).filter(lambda name: name not in (".", "..") and not name.startswith("_towpath/"))


def write(redis: Redis, name: str, type: str, value: Any) -> None:
    """The value as an application writes it."""
    if type == "string":
        redis.set(name, value)
    elif type == "hash":
        redis.hset(name, mapping=value)
    elif type == "list":
        redis.rpush(name, *value)
    elif type == "set":
        redis.sadd(name, *value)
    elif type == "zset":
        redis.zadd(name, dict(value))
    else:
        for id, fields in value:
            redis.execute_command("XADD", name, id, *(part for pair in fields for part in pair))


@given(VALUES)
def test_every_value_is_its_form_read_back(given_value: tuple[str, Any]) -> None:
    type, value = given_value
    made = encode(type, value)
    assert decode(type, made.value) == value
    if type != "string":
        made.value.decode("utf-8")


@given(VALUES, VALUES)
def test_different_values_have_different_forms(one: tuple[str, Any], other: tuple[str, Any]) -> None:
    if one[0] == other[0] and one[1] != other[1]:
        assert encode(*one).value != encode(*other).value


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=25))
def test_every_key_arrives_as_it_was(redis_client: Redis, client: Client, moving: dict[str, tuple[str, Any]]) -> None:
    kv = KV(client, f"test-{secrets.token_hex(8)}")
    redis_client.flushdb()
    for name, (type, value) in moving.items():
        write(redis_client, name, type, value)
    with tempfile.TemporaryDirectory() as folder:
        made = exported(redis_client, Path(folder), EVERYTHING)
        assert made.keys == len(moving)
        keys.load(kv, made)
        proof = keys.compare(kv, made)
        assert proof.equal, proof.differences
    for one in kv.list():
        if not one.key.startswith("_towpath/"):
            type, value = moving[one.key]
            assert (one.metadata or {})["type"] == type
            assert decode(type, kv.get(one.key) or b"") == value


@given(VALUES)
def test_a_form_is_its_own_canonical_form_however_its_json_is_written(given: tuple[str, Any]) -> None:
    type, value = given
    made = encode(type, value)
    assert canonical(type, made.value) == made
    if type != "string":
        spaced = json.dumps(json.loads(made.value), indent=1).encode()
        assert canonical(type, spaced) == made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES, VALUES)
def test_any_value_is_written_back_over_any_other(
    redis_client: Redis, before: tuple[str, Any], after: tuple[str, Any]
) -> None:
    redis_client.flushdb()
    source = Source(redis_client)
    write(redis_client, "key", *before)
    (was,) = read_keys(source, [b"key"])
    form = encode(*after)
    write_back(redis_client, source, Change("key", form.type, form.value, None, Held.of(was)))
    (now,) = read_keys(source, [b"key"])
    assert now is not None
    assert encode(now.type, now.value) == form
