"""Changes in the cache, and jobs that belong to no row."""

from __future__ import annotations

import json

from ..generator.cache import DAY, HOUR
from ..generator.quizzes import scores
from ..generator.values import TYPES
from ..tasks import DIGEST
from .quizzes import add_job
from .worker import Worker


def new_session(worker: Worker) -> None:
    """Somebody signs in."""
    key, user = f"session:{worker.rng.getrandbits(128):032x}", str(worker.user().id)
    worker.cache.hset(key, mapping={"user": user, "csrf": f"{worker.rng.getrandbits(96):024x}", "theme": "dark"})
    worker.cache.expire(key, 14 * DAY)


def touch_session(worker: Worker) -> None:
    """Somebody is still there: a field changes, the end moves."""
    key = worker.key()
    worker.cache.hset(key, "csrf", f"{worker.rng.getrandbits(96):024x}")
    worker.cache.expire(key, worker.rng.randrange(DAY, 14 * DAY))


def end_session(worker: Worker) -> None:
    """Somebody signs out: the key is gone, as if it had come to its end."""
    key = worker.key()
    worker.cache.delete(key)
    worker.sessions.remove(key)


def cache_result(worker: Worker) -> None:
    """A result is cached."""
    body = json.dumps(scores(worker.rng), ensure_ascii=False)
    worker.cache.set(f"result:{worker.rng.getrandbits(128):032x}", body, ex=12 * HOUR)


def cache_quiz(worker: Worker) -> None:
    """A quiz is made anew."""
    quiz = worker.rng.choice(TYPES)
    body = {"type": quiz, "generator": "ai", "questions": [{"id": worker.rng.randrange(10**6)}]}
    worker.cache.set(f"quiz:{quiz}", json.dumps(body), ex=DAY)


def score(worker: Worker) -> None:
    """Somebody moves up the week's list."""
    worker.cache.zincrby("leaderboard:weekly", worker.rng.randrange(1, 80) / 8, str(worker.user().id))


def recent(worker: Worker) -> None:
    """The newest of a kind, and no more than fifty."""
    key = f"recent:{worker.rng.choice(TYPES)}"
    worker.cache.lpush(key, f"{worker.rng.getrandbits(64):016x}")
    worker.cache.ltrim(key, 0, 49)


def flag(worker: Worker) -> None:
    """A feature is switched on or off."""
    if not worker.cache.srem("feature:flags", "live-flag"):
        worker.cache.sadd("feature:flags", "live-flag")


def configure(worker: Worker) -> None:
    """A setting without an end changes."""
    worker.cache.set("config:limits", str(worker.rng.randrange(60, 600)))


def stream(worker: Worker) -> None:
    """An entry more in the stream of events."""
    worker.cache.xadd("events:recent", {"kind": "live", "user": str(worker.user().id)}, id=_after(worker))


def digest(worker: Worker) -> None:
    """A mail is left to Celery."""
    add_job(worker, DIGEST, str(worker.user().id))


def _after(worker: Worker) -> str:
    last = worker.cache.xinfo_stream("events:recent")["last-generated-id"]
    return f"{int(bytes(last).split(b'-')[0]) + worker.rng.randrange(1, 5000)}-0"
