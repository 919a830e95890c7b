"""Celery's broker in Redis, looked at and never touched: only commands that read.

A queue is a list, filled from the left and emptied from the right.  Each priority but 0 has its own list beside it.
A message that a worker took is in the hash `unacked`, with its time in `unacked_index`, until the worker is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import orjson
import redis.exceptions as refusals

from towpath.errors import BadInput, CannotFinish

Redis = Any  # redis.Redis whose answers are bytes (decode_responses=False)
Answer = TypeVar("Answer")
STEP = "\x06\x16"  # kombu's separator, between a queue and its priority and between the parts of a binding
PRIORITIES = range(1, 10)
PAGE = 500  # messages read at once
_BINDING = re.compile(rb"_kombu\.binding\.(.+)", re.DOTALL)
_OWN = re.compile(r"(\.pidbox$|^celeryev(\.|$)|\.reply\.celery\.pidbox$)")  # what workers tell each other, no jobs
_WAITING = ("brpop", "blpop", "bzpopmin", "brpoplpush", "blmove")


class WrongKindError(BadInput):
    """A key with a name of Celery's holds a value of another type than Celery's."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A connection that takes jobs, or hears what workers are told."""

    id: str
    address: str
    name: str
    doing: str


@dataclass(frozen=True, slots=True)
class Reserved:
    """A message that a worker took; `queue` is "" where it cannot be known, `since` None if the index lacks it."""

    tag: str
    queue: str
    message: bytes
    since: float | None


class Broker:
    """A broker that answers.  Raises CannotFinish from every method when Redis cannot be used."""

    def __init__(self, redis: Redis, prefix: str = "") -> None:
        """`prefix` is Celery's global_keyprefix."""
        self._redis, self._prefix = redis, prefix
        options = redis.connection_pool.connection_kwargs
        self.database = int(options.get("db") or 0)
        self.address = f"{options.get('host', 'localhost')}:{options.get('port', 6379)}/{self.database}"
        self.attempt(lambda: redis.ping())

    def queues(self) -> dict[str, set[str]]:
        """Queues that Celery has bound, with the exchanges and routing keys that lead to each."""
        found: dict[str, set[str]] = {}
        pattern = self._key("_kombu.binding.*")
        for key in self.attempt(lambda: list(self._redis.scan_iter(match=pattern, count=1000))):
            match = _BINDING.fullmatch(key.removeprefix(self._prefix.encode()))
            for member in self.attempt(partial(self._redis.smembers, key)):
                parts = member.decode("utf-8", "replace").split(STEP)
                if match and len(parts) == 3 and not _OWN.search(parts[2]):
                    exchange = match[1].decode("utf-8", "replace")
                    found.setdefault(parts[2], set()).update((exchange, parts[0]))
        return found

    def lists(self, queue: str) -> list[tuple[str, int]]:
        """The keys of a queue that exist, in the order in which workers empty them, with their lengths.

        Raises WrongKindError where one of the keys is no list.
        """
        keys = [queue, *(f"{queue}{STEP}{priority}" for priority in PRIORITIES)]
        lengths = self.attempt(lambda: [self._redis.llen(self._key(key)) for key in keys])
        return [(key, length) for key, length in zip(keys, lengths, strict=True) if length]

    def messages(self, key: str, length: int) -> Iterator[bytes]:
        """The messages of one list, oldest first, in pages.

        Counted from the right end, where workers take: what producers add meanwhile does not shift the pages.
        """
        for start in range(0, length, PAGE):
            last, first = -(start + 1), -min(start + PAGE, length)
            page = self.attempt(partial(self._redis.lrange, self._key(key), first, last))
            yield from reversed(page)

    def oldest(self, key: str) -> bytes | None:
        """The message that a worker would take next; None in an empty list."""
        found: bytes | None = self.attempt(lambda: self._redis.lindex(self._key(key), -1))
        return found

    def unacked(self, bound: dict[str, set[str]]) -> Iterator[Reserved]:
        """What workers took and have not acknowledged."""
        index = self.unacked_index()
        taken = self.attempt(lambda: list(self._redis.hscan_iter(self._key("unacked"), count=PAGE)))
        for name, value in taken:
            tag = name.decode("utf-8", "replace")
            yield _reserved(tag, value, index.get(tag), bound)

    def unacked_index(self) -> dict[str, float]:
        """Delivery tags with the unix time at which they were taken."""
        found = self.attempt(lambda: self._redis.zrange(self._key("unacked_index"), 0, -1, withscores=True))
        return {tag.decode("utf-8", "replace"): float(score) for tag, score in found}

    def tags(self) -> list[str]:
        """The delivery tags of the messages that workers hold."""
        found = self.attempt(lambda: self._redis.hkeys(self._key("unacked")))
        return [tag.decode("utf-8", "replace") for tag in found]

    def consumers(self) -> tuple[Consumer, ...]:
        """Connections to this database that take jobs, or listen as workers do."""
        found = []
        for client in self.attempt(lambda: self._redis.client_list()):
            listens = int(client.get("psub", 0)) > 0
            takes = client.get("cmd") in _WAITING or "b" in client.get("flags", "")
            if int(client.get("db", -1)) == self.database and (listens or takes):
                found.append(Consumer(client["id"], client.get("addr", ""), client.get("name", ""), client["cmd"]))
        return tuple(found)

    def _key(self, key: str) -> str:
        return self._prefix + key

    def attempt(self, ask: Callable[[], Answer]) -> Answer:
        """Ask Redis; errors of the connection become ours."""
        try:
            return ask()
        except (refusals.AuthenticationError, refusals.NoPermissionError, refusals.AuthorizationError) as error:
            step = "correct source_jobs_password, or give that user the commands that read and CLIENT LIST"
            raise self._stop(f"refuses: {_plain(error)}", step) from error
        except (refusals.ConnectionError, refusals.TimeoutError) as error:
            step = "start Redis, or correct source_jobs; then run the phase again"
            raise self._stop(f"does not answer: {_plain(error)}", step) from error
        except refusals.ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                what = "a key with a name of Celery's holds another type of value"
                step = "look what else writes to this database, and whether source_jobs names the right one"
                raise WrongKindError(what, object=f"Redis {self.address}", next=step) from error
            raise self._stop(f"answers {_plain(error)}", "look at the message, then run the phase again") from error

    def _stop(self, what: str, step: str) -> CannotFinish:
        return CannotFinish(what, object=f"Redis {self.address}", next=step)


def _reserved(tag: str, value: bytes, since: float | None, bound: dict[str, set[str]]) -> Reserved:
    """`[message, exchange, routing key]`, as kombu keeps it; the message is written again as it would be in a list."""
    try:
        message, exchange, routing_key = orjson.loads(value)
    except (orjson.JSONDecodeError, ValueError, TypeError):
        return Reserved(tag, "", value, since)
    queue = str(routing_key)
    if queue not in bound:
        queue = next((name for name, ways in sorted(bound.items()) if {exchange, routing_key} & ways), queue)
    return Reserved(tag, queue, orjson.dumps(message), since)


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def named(queues: Sequence[str] | None, bound: dict[str, set[str]]) -> tuple[str, ...]:
    """The queues to read: those that were named, else those that are bound; each once."""
    return tuple(dict.fromkeys(queues)) if queues is not None else tuple(sorted(bound))
