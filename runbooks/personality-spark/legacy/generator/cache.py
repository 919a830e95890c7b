"""Fills the cache: every type of value that the application keeps in Redis, most of it with an end."""

from __future__ import annotations

import json

import redis

from ..planted import ENDING_KEYS
from .cast import PLANTED_USERS, Cast
from .quizzes import scores
from .texts import headline
from .values import TYPES

HOUR, DAY = 3_600, 86_400  # seconds
ENDING = 45  # seconds
FLAGS = ("new-onboarding", "share-v2", "dark mode", "quiz-von-heute")
BLOBS = 8
PIPELINE = 1_000  # commands that go together


def fill(client: redis.Redis, cast: Cast) -> int:
    """Empty the database and fill it; return the number of keys.  Lives are counted from now."""
    rng = cast.random("cache")
    client.flushdb()
    pipe = client.pipeline(transaction=False)
    for quiz in TYPES:
        questions = [{"id": f"{quiz}-{n}", "text": headline(rng), "answers": [1, 2, 3, 4, 5]} for n in range(5)]
        body = json.dumps({"type": quiz, "generator": "ai", "questions": questions}, ensure_ascii=False)
        pipe.set(f"quiz:{quiz}", body, ex=7 * DAY)
        pipe.rpush(f"recent:{quiz}", *(f"{rng.getrandbits(64):016x}" for _ in range(50)))
    free = cast.users[PLANTED_USERS:]
    leaders = rng.sample(free, min(100, len(free)))
    pipe.zadd("leaderboard:weekly", {user: rng.randrange(100_000) / 8 for user in leaders} | {leaders[0]: 0.1 + 0.2})
    pipe.sadd("feature:flags", *FLAGS)
    pipe.set("config:site", json.dumps({"title": "Personality Spark", "maintenance": False}))
    pipe.set("config:limits", "60")
    pipe.set("config:empty", "")
    pipe.hset("config:prices", mapping={"plus": "4.99", "pro": "9.90", "währung": "EUR"})
    for number in range(BLOBS):
        pipe.set(f"blob:{number}", b"\x00\xff\xfe" + rng.randbytes(200 * (number + 1)), ex=30 * DAY)
    for number in range(20):
        fields = {"kind": rng.choice(("started", "shared")), "user": rng.choice(free), "n": str(number)}
        pipe.xadd("events:recent", fields, id=f"{1_790_000_000_000 + number}-0")
    for key in ENDING_KEYS:
        pipe.set(key, f"{rng.randrange(1_000_000):06}", ex=ENDING)
    pipe.execute()
    for number in range(cast.scale.keys - client.dbsize()):
        if number % 8 < 5:
            fields = {
                "user": rng.choice(free),
                "csrf": f"{rng.getrandbits(96):024x}",
                "theme": rng.choice(("dark", "light")),
            }
            session = f"session:{rng.getrandbits(128):032x}"
            pipe.hset(session, mapping=fields)
            pipe.expire(session, rng.randrange(12 * HOUR, 14 * DAY))
        else:
            body = json.dumps(scores(rng), ensure_ascii=False)
            pipe.set(f"result:{rng.getrandbits(128):032x}", body, px=rng.randrange(6 * HOUR, 3 * DAY) * 1000 + 250)
        if len(pipe) >= PIPELINE:
            pipe.execute()
    pipe.execute()
    return int(client.dbsize())
