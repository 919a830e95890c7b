"""Personality Spark in a project of its own: PostgreSQL, Redis, and Cloudflare's runtime with the new Worker in it.

All of them on free ports; the two servers end with the test's process.  `spark_reading` reads both sides.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import redis
import yaml

from helpers.passage import Passage
from helpers.project import HERE, Project, addresses, lay_out
from towpath.local import State, start

SYSTEM = "personality-spark"
NAME = f"runbooks.{SYSTEM}.legacy"  # the hyphen keeps it out of an import statement
BUCKET, NAMESPACE, DATABASE = f"{SYSTEM}-media", f"{SYSTEM}-cache", f"{SYSTEM}-local"
generator, places = import_module(f"{NAME}.generator"), import_module(f"{NAME}.settings")
planted = import_module(f"{NAME}.planted")
SMALL = generator.SCALES["small"]
FREE = {"port_postgresql": 0, "port_redis": 0, "ends_with_us": True}
HTTP = httpx.Client(timeout=60, trust_env=False)


@contextmanager
def old_side(folder: Path) -> Iterator[Path]:
    """Small data of seed 1 in a folder; their servers end with the block."""
    generator.generate(folder, SMALL, **FREE)
    try:
        yield folder
    finally:
        places.down(folder)


@dataclass
class Spark(Project):
    """One project on disk, its runtime, and the servers of its old side."""

    system: str = SYSTEM

    # -- the old side

    @property
    def settings(self) -> Any:
        """The old application's settings: its servers with their ports and passwords."""
        return places.Settings.of(self.data)

    @contextmanager
    def postgresql(self, **options: Any) -> Iterator[psycopg.Connection[Any]]:
        """A connection to the old database; times are in UTC."""
        server = self.settings.postgresql
        words = "-c timezone=UTC -c intervalstyle=postgres"
        with psycopg.connect(server.url("spark"), password=server.password, options=words, **options) as connection:
            yield connection

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """One query to the old database."""
        with self.postgresql() as connection:
            return connection.execute(sql.encode()).fetchall()

    def change(self, *statements: str) -> None:
        """Change the old database as its owner does."""
        with self.postgresql(autocommit=True) as connection:
            for sql in statements:
                connection.execute(sql.encode())

    def cache(self) -> redis.Redis:
        """The old cache."""
        client: redis.Redis = self.settings.cache()
        return client

    def broker(self) -> redis.Redis:
        """Celery's broker."""
        client: redis.Redis = self.settings.broker()
        return client

    def generate(self) -> None:
        """Small data of seed 1, on the ports that the servers have, or free ones."""
        generator.generate(self.data, SMALL, **FREE)

    def live(self, seed: int, changes: int = 70) -> None:
        """The old application goes on working."""
        self.switch.unlink(missing_ok=True)
        command = (sys.executable, "-m", NAME, "live", "--data", f"build/{SYSTEM}")
        done = self.do(*command, "--seed", str(seed), "--changes", str(changes))
        assert done.code == 0, done.text

    # -- the new side

    @property
    def kv(self) -> str:
        """The namespace's address in Cloudflare's API."""
        return f"{self.runtime.api}/storage/kv/namespaces/{self.params()['kv_namespace_id']}"

    def names(self) -> dict[str, dict[str, Any]]:
        """Every key of the namespace but receipts: what a listing says of it."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = HTTP.get(f"{self.kv}/keys", params={"limit": 1000, **({"cursor": cursor} if cursor else {})}).json()
            found += page["result"]
            cursor = page.get("result_info", {}).get("cursor", "")
            if not cursor:
                return {one["name"]: one for one in found if not one["name"].startswith("_towpath/")}

    def value(self, key: str) -> bytes:
        """One value of the namespace."""
        answer = HTTP.get(f"{self.kv}/values/{quote(key, safe='')}")
        assert answer.status_code == 200, answer.text
        return answer.content

    def put(self, key: str, value: str) -> None:
        """Another value under a key, everything else of it as it was."""
        entry = {name: kept for name, kept in self.names()[key].items() if name in ("expiration", "metadata")}
        answer = HTTP.put(f"{self.kv}/bulk", json=[{"key": key, "value": value, **entry}])
        assert answer.status_code == 200, answer.text

    def held(self) -> tuple[dict[str, int], dict[str, bytes], list[str]]:
        """Everything that the target holds: rows by table, objects, keys."""
        return (*self.fingerprint(), sorted(self.names()))

    def fresh_target(self) -> None:
        """An empty bucket, and a database and a namespace that nobody used; the Worker keeps its own."""
        Project.fresh_target(self)
        self.change_params(kv_namespace_id=self.params()["d1_database_id"])


@contextmanager
def spark(root: Path, passage: Passage | None = None) -> Iterator[Spark]:
    """Personality Spark with small data of seed 1 and an empty target, behind a passage if one is given."""
    lay_out(root)
    shutil.copytree(HERE / "runbooks", root / "runbooks", ignore=shutil.ignore_patterns("__pycache__", "joan"))
    state = State.of(root, SYSTEM, "local")
    worker = root / "runbooks" / SYSTEM / "worker"
    with start(
        SYSTEM,
        "local",
        0,
        bucket=BUCKET,
        database_id=DATABASE,
        root=root,
        state=state,
        deadline=120.0,
        namespace=NAMESPACE,
        worker=worker,
    ) as runtime:
        if passage is not None:
            passage.behind = runtime.port
        project = Spark(root, runtime, passage.port if passage else runtime.port)
        try:
            project.generate()
            given = yaml.safe_load((HERE / "params" / SYSTEM / "local.yaml").read_text(encoding="utf-8"))
            project.change_params(**{**given, **addresses(project), **sources(project)})
            yield project
        finally:
            places.down(project.data)


def sources(project: Spark) -> dict[str, str]:
    """The keys of params that say where the old side and the new Worker are."""
    settings = project.settings
    return {
        "source_database": settings.postgresql.url("spark"),
        "source_cache": settings.redis.url(places.CACHE),
        "source_jobs": settings.redis.url(places.BROKER),
        "worker_url": f"http://127.0.0.1:{project.port}",
    }


def objects(project: Spark) -> dict[str, dict[str, Any]]:
    """Every object of the bucket with its body and what a browser is told of it."""
    with closing(project.runtime.r2()) as s3:
        return {key: s3.head_object(Bucket=BUCKET, Key=key) for key in project.objects()}
