"""Where the application's data lies, and how its two servers are reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import redis
from sqlalchemy import URL

from towpath.local.postgresql import Postgresql, running_postgresql, start_postgresql, stop_postgresql
from towpath.local.redis import RedisServer, running_redis, start_redis, stop_redis

PORT_POSTGRESQL, PORT_REDIS = 5543, 6390
DATABASE = "spark"
CACHE, BROKER = 0, 1  # the databases of Redis
CDN = "https://cdn.personalityspark.com/static/"


class NotUp(Exception):
    """One of the two servers is down."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the application reads from outside.  `maintenance_switch` defaults to `<data>/maintenance.json`."""

    data: Path
    maintenance_switch: Path
    postgresql: Postgresql = field(repr=False)
    redis: RedisServer = field(repr=False)
    largest_upload: int = 5_000_000  # bytes

    @classmethod
    def of(cls, data: Path, maintenance_switch: Path | None = None) -> Settings:
        """The settings for one data folder whose servers are up.  Raises NotUp."""
        postgresql, cache = running_postgresql(data / "postgresql"), running_redis(data / "redis")
        if postgresql is None or cache is None:
            raise NotUp(f"{'PostgreSQL' if postgresql is None else 'Redis'} of {data} is down")
        return cls(data, maintenance_switch or data / "maintenance.json", postgresql, cache)

    @property
    def database_url(self) -> URL:
        """What SQLAlchemy connects to; its text hides the password."""
        server = self.postgresql
        return URL.create(
            "postgresql+psycopg",
            username=server.user,
            password=server.password,
            host="127.0.0.1",
            port=server.port,
            database=DATABASE,
        )

    @property
    def shares(self) -> Path:
        return self.data / "shares"

    def cache(self) -> redis.Redis:
        """A connection to the cache; answers are bytes."""
        return redis.Redis(port=self.redis.port, password=self.redis.password, db=CACHE)

    def broker(self) -> redis.Redis:
        """A connection to the database that Celery keeps its queues in; answers are bytes."""
        return redis.Redis(port=self.redis.port, password=self.redis.password, db=BROKER)


def up(
    data: Path, port_postgresql: int | None = None, port_redis: int | None = None, *, ends_with_us: bool = False
) -> Settings:
    """Start both servers where they are down; they go on running.  The ports are the usual ones unless given."""
    postgresql = running_postgresql(data / "postgresql")
    cache = running_redis(data / "redis")
    if postgresql is None or port_postgresql not in (None, postgresql.port):
        start_postgresql(data / "postgresql", port=_or(port_postgresql, PORT_POSTGRESQL), ends_with_us=ends_with_us)
    if cache is None or port_redis not in (None, cache.port):
        start_redis(data / "redis", port=_or(port_redis, PORT_REDIS), ends_with_us=ends_with_us)
    return Settings.of(data)


def down(data: Path) -> bool:
    """Stop both servers; what they hold stays.  True if one of them was up."""
    stopped = [stop_postgresql(data / "postgresql"), stop_redis(data / "redis")]
    return any(stopped)


def _or(port: int | None, usual: int) -> int | None:
    return usual if port is None else port or None  # 0: one that is free
