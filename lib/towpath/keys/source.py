"""A Redis database as a source: its facts, all its keys, values read whole and at one moment.

Redis has no snapshot that a client can read.  What is promised is less: each value, its type and its expiry are read
in one transaction, and no key that was there from beginning to end is missed (SCAN's own promise).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis.exceptions as refusals
from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from towpath.errors import BadInput, CannotFinish
from towpath.keys.index import Index
from towpath.secrets import Secret

Command = tuple[Any, ...]
SCAN_COUNT = 1_000
GROUP_KEYS, GROUP_BYTES = 200, 4_000_000  # keys that are read in one transaction, and Redis' memory for them
READS = 3  # of a key that changes its type between two looks
_READ: dict[str, Callable[[bytes], Command]] = {
    "string": lambda name: ("GET", name),
    "hash": lambda name: ("HGETALL", name),
    "list": lambda name: ("LRANGE", name, 0, -1),
    "set": lambda name: ("SMEMBERS", name),
    "zset": lambda name: ("ZRANGE", name, 0, -1, "WITHSCORES"),
    "stream": lambda name: ("XRANGE", name, "-", "+"),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What identifies a database and says what it holds."""

    address: str  # host:port/number
    version: str
    server: str  # Redis' own id of this start of the server
    keys: int
    elsewhere: tuple[tuple[str, int], ...]  # other databases of the server that hold keys, with their number
    skew: float  # seconds by which its clock is ahead of this machine's


@dataclass(frozen=True, slots=True)
class Look:
    """A key as seen without its value; `ttl` in milliseconds, None for a key that stays; `memory` in bytes."""

    name: bytes
    type: str
    ttl: int | None
    memory: int
    encoding: str


@dataclass(frozen=True, slots=True)
class Read:
    """A key with its value, as `values.encode` takes it; `expires` in milliseconds since 1970 by Redis' clock."""

    name: bytes
    type: str
    expires: int | None
    value: Any


def connect(url: str, password: Secret | None = None, *, timeout: float = 60.0) -> Redis:
    """A client of the database that `redis://host:port/number` names; nothing is sent yet.  `timeout` in seconds."""
    return Redis.from_url(
        url,
        password=password.reveal() if password is not None else None,
        socket_timeout=timeout,
        socket_connect_timeout=5.0,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.1), 3),
    )


def facts(redis: Redis) -> Facts:
    """Ask the database once.  Raises BadInput for a wrong password, CannotFinish when it does not answer."""
    return Source(redis).facts()


class Source:
    """A database that is only read.  Every method raises BadInput or CannotFinish with what to do next."""

    def __init__(self, redis: Redis) -> None:
        # The same connections, but answers as they came: redis-py would make a dict of a stream's fields, which may
        # repeat, and floats of scores.
        self._redis: Any = Redis(connection_pool=redis.connection_pool)
        self._redis.response_callbacks.clear()
        kwargs = redis.connection_pool.connection_kwargs
        place = kwargs.get("path") or f"{kwargs.get('host', '?')}:{kwargs.get('port', 6379)}"
        self.address = f"{place}/{kwargs.get('db') or 0}"
        self._database = f"db{kwargs.get('db') or 0}"
        self._moments: bool | None = None

    def ask(self, commands: Sequence[Command], *, atomic: bool = False) -> list[Any]:
        """Send commands together; an error that one of them meets stands in its place."""
        if not commands:
            return []
        with self.told(commands):
            pipeline = self._redis.pipeline(transaction=atomic)
            for command in commands:
                pipeline.execute_command(*command)
            return list(pipeline.execute(raise_on_error=False))

    def one(self, *command: Any) -> Any:
        """Send one command; an error is raised."""
        with self.told([command]):
            return self._redis.execute_command(*command)

    def facts(self) -> Facts:
        """Version, number of keys, other databases, difference of the clocks."""
        server, keyspace = _info(self.one("INFO", "server")), _info(self.one("INFO", "keyspace"))
        if _info(self.one("INFO", "cluster")).get("cluster_enabled") == "1":
            raise BadInput(
                "this is one node of a cluster: it does not hold all keys",
                object=self.address,
                next="copy the keys to a single server first",
            )
        asked = time.time()
        seconds, microseconds = map(int, self.one("TIME"))
        counts = {name: int(text.split(",")[0].partition("=")[2]) for name, text in keyspace.items()}
        keys = counts.pop(self._database, 0)
        skew = seconds + microseconds / 1e6 - (asked + time.time()) / 2
        return Facts(
            self.address,
            server.get("redis_version", ""),
            server.get("run_id", ""),
            keys,
            tuple(sorted(counts.items())),
            skew,
        )

    def index(self) -> Index:
        """Every key's name, each once."""
        index, cursor = Index(), 0
        while True:
            answer, names = self.one("SCAN", cursor, "COUNT", SCAN_COUNT)
            index.add(names)
            cursor = int(answer)
            if cursor == 0:
                return index

    def look(self, names: Sequence[bytes], *, encoding: bool = False) -> list[Look | None]:
        """Type, life, size and, if asked for, encoding of keys; None for one that is gone."""
        commands: list[Command] = []
        for name in names:
            commands += [("TYPE", name), ("PTTL", name), ("MEMORY", "USAGE", name, "SAMPLES", 0)]
            commands += [("OBJECT", "ENCODING", name)] * encoding
        answers, each = self.ask(commands), 3 + encoding
        return [self._looked(name, *answers[at * each : at * each + each]) for at, name in enumerate(names)]

    def values(self, looks: Sequence[Look]) -> Iterator[Read | None]:
        """The keys with their values, in the same order, `GROUP_BYTES` at a time; None for one that is gone."""
        group: list[Look] = []
        size = 0
        for look in looks:
            if group and (len(group) >= GROUP_KEYS or size + look.memory > GROUP_BYTES):
                yield from self._read(group)
                group, size = [], 0
            group.append(look)
            size += look.memory
        if group:
            yield from self._read(group)

    def groups(self, name: bytes) -> int:
        """How many consumer groups a stream has."""
        answer = self.ask([("XINFO", "GROUPS", name)])[0]
        return 0 if isinstance(answer, Exception) else len(answer)

    def unchanged(self, before: Facts) -> None:
        """Refuse what was read if the server was started anew meanwhile: a scan does not go on over that."""
        server = _info(self.one("INFO", "server")).get("run_id", "")
        if server != before.server:
            raise CannotFinish(
                "Redis was started anew while it was read",
                object=self.address,
                next="run the phase again: nothing that was read counts",
            )

    def _read(self, group: Sequence[Look]) -> Iterator[Read | None]:
        for look, found in zip(group, self._transaction(group), strict=True):
            again = look
            for _ in range(READS):
                if not isinstance(found, str):
                    break
                again = Look(look.name, found, None, look.memory, "")  # another type than a moment ago
                found = self._transaction([again])[0] if found in _READ else None
            if isinstance(found, str):
                raise CannotFinish(
                    "the key changes its type again and again",
                    object=f"{self.address} {look.name!r}",
                    next="stop the application's writes, then run the phase again",
                )
            yield found

    def _transaction(self, group: Sequence[Look]) -> list[Read | str | None]:
        """Each key read, or the type that it has now if it is another one, or None if it is gone."""
        moment = self._knows_moments()
        commands: list[Command] = [("TIME",)]
        for look in group:
            commands += [("PEXPIRETIME" if moment else "PTTL", look.name), _READ[look.type](look.name)]
        answers = self.ask(commands, atomic=True)
        now = int(answers[0][0]) * 1_000 + int(answers[0][1]) // 1_000
        out: list[Read | str | None] = []
        for at, look in enumerate(group):
            life, value = answers[1 + at * 2 : 3 + at * 2]
            if life == -2:
                out.append(None)
            elif isinstance(value, Exception):
                out.append(self._type_now(look, value))
            else:
                expires = None if life < 0 else life if moment else now + life
                out.append(Read(look.name, look.type, expires, _plain(look.type, value)))
        return out

    def _type_now(self, look: Look, error: Exception) -> str | None:
        """The type of a key that is no longer the one it was; None if it is gone."""
        if "WRONGTYPE" not in str(error):
            raise self._refused(error, look.name)
        kind = bytes(self.one("TYPE", look.name)).decode()
        return None if kind == "none" else kind

    def _knows_moments(self) -> bool:
        """True from Redis 7 on: it tells the moment itself, not only how far away it is."""
        if self._moments is None:
            self._moments = not isinstance(self.ask([("PEXPIRETIME", "")])[0], Exception)
        return self._moments

    def _looked(self, name: bytes, type: Any, ttl: Any, memory: Any, encoding: Any = None) -> Look | None:
        for answer in (type, ttl, memory):
            if isinstance(answer, Exception):
                raise self._refused(answer, name)
        if type == b"none" or ttl == -2:
            return None
        told = encoding.decode() if isinstance(encoding, bytes) else ""  # an error if it went just now
        return Look(name, type.decode(), None if ttl < 0 else ttl, int(memory or 0), told)

    def _refused(self, error: Exception, name: bytes = b"") -> BadInput:
        where = f"{self.address} {name!r}" if name else self.address
        step = "let this user run the commands that docs/keys.md names, then run the phase again"
        return BadInput(f"Redis refuses a command: {error}", object=where, next=step)

    @contextmanager
    def told(self, commands: Sequence[Command]) -> Iterator[None]:
        """Errors of the connection as ours; none of them ever says the password."""
        words = commands[0][0]
        try:
            yield
        except (refusals.AuthenticationError, refusals.AuthorizationError):
            raise BadInput(
                "Redis refuses the password",
                object=self.address,
                next="correct what source_cache_password names, and the user in source_cache",
            ) from None
        except refusals.NoPermissionError as error:
            raise self._refused(error) from None
        except refusals.BusyLoadingError:
            raise CannotFinish(
                "Redis still loads its data", object=self.address, next="wait, then run the phase again"
            ) from None
        except (refusals.ConnectionError, refusals.TimeoutError, OSError) as error:
            what = f"Redis does not answer ({type(error).__name__} at {words})"
            step = "start Redis or correct source_cache, then run the phase again: nothing half read counts"
            raise CannotFinish(what, object=self.address, next=step) from None
        except refusals.RedisError as error:
            raise self._refused(error) from None


def _info(answer: bytes) -> dict[str, str]:
    lines = bytes(answer).decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def _plain(type: str, value: Any) -> Any:
    """An answer in either of Redis' protocols as `values.encode` takes it."""
    if type == "hash" and not isinstance(value, dict):
        return dict(_twos(value))
    if type == "zset":
        pairs = _twos(value) if value and not isinstance(value[0], list) else value
        return [(member, float(number)) for member, number in pairs]
    if type == "stream":
        return [(id, _twos(fields)) for id, fields in value]
    return value


def _twos(flat: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
