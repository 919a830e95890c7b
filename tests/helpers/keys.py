"""Small databases of Redis and namespaces of KV for the tests of keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from redis import Redis

from towpath import keys
from towpath.checks import Verdict

EVERYTHING = (keys.KeyRule("*", "json", "lift"),)


def fill(redis: Redis, strings: int = 0) -> None:
    """One key of each kind, and as many strings as asked for."""
    redis.set("text", "naïve 漢字")
    redis.set("empty", "")
    redis.set("binary", bytes(range(256)))
    redis.set("marked", "\ufefftext")
    redis.set("replaced", "\ufffd")
    redis.set("__proto__", "there")
    redis.set("ends", "1", px=3_600_250)
    redis.hset("hash", mapping={"b": "2", "a": "é", b"c": b"\xff"})
    redis.hset("hash:binary", mapping={b"\xff": "1", "a": "2"})
    redis.rpush("list", "b", "a", b"\xff", "b")
    redis.sadd("set", "b", "a", "B")
    redis.zadd("zset", {"low": 0.1 + 0.2, "high": float("inf"), "same-b": 1, "same-a": 1})
    redis.expire("zset", 7_200)
    redis.execute_command("XADD", "stream", "1-1", "field", "1", "field", "2")
    redis.set("é/😀 %2F?#", "name")
    for start in range(0, strings, 1_000):
        pipeline = redis.pipeline(transaction=False)
        for number in range(start, min(strings, start + 1_000)):
            pipeline.set(f"string:{number:06}", f"value {number}" * 20, ex=3_600 if number % 2 else None)
        pipeline.execute()


def exported(redis: Redis, folder: Path, rules: Sequence[keys.KeyRule] = EVERYTHING) -> keys.Manifest:
    """An export, read again from its folder."""
    keys.export(redis, rules, folder)
    return keys.read(folder)


def failing(checks: Sequence[object]) -> list[str]:
    """The codes of the checks that fail."""
    return [check.code for check in checks if check.verdict is Verdict.FAIL]  # type: ignore[attr-defined]
