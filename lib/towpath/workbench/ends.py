"""The two ends of a move: everything that the params name, opened when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from redis import Redis

from towpath import jobs, keys
from towpath.cloudflare import D1, Client
from towpath.cloudflare.kv import KV
from towpath.cloudflare.r2 import r2
from towpath.errors import WrongUse
from towpath.runs.attempt import Run


class Ends:
    """Source and target of a run."""

    def __init__(self, run: Run) -> None:
        self.run, self.params, self.root = run, run.params, run.root
        self._stack = ExitStack()

    def on_close(self, step: Callable[[], object]) -> None:
        """Do this when the phase ends."""
        self._stack.callback(step)

    @cached_property
    def client(self) -> Client:
        """Cloudflare's API."""
        token = self.run.secret("cloudflare_token")
        client = Client(self.params.cloudflare_api, self.params.cloudflare_account, token)
        return self._stack.enter_context(client)

    @cached_property
    def d1(self) -> D1:
        """The target database."""
        return D1(self.client, self.params.d1_database_id)

    @cached_property
    def s3(self) -> Any:
        """The S3 client of the target bucket."""
        access, secret = self.run.secret("r2_access_key"), self.run.secret("r2_secret_key")
        if access is None or secret is None:
            raise WrongUse("R2 needs two keys", object="params", next="name r2_access_key and r2_secret_key")
        client = r2(self.params.r2_endpoint, access, secret)
        self._stack.callback(client.close)
        return client

    @cached_property
    def redis(self) -> Redis | None:
        """The application's cache; None where it has none."""
        if not self.params.source_cache:
            return None
        client = keys.connect(self.params.source_cache, self.run.secret("source_cache_password"))
        self.on_close(client.close)
        return client

    @cached_property
    def broker(self) -> Redis | None:
        """Celery's broker; None where nothing is queued."""
        if not self.params.source_jobs:
            return None
        client = keys.connect(self.params.source_jobs, self.run.secret("source_jobs_password"))
        self.on_close(client.close)
        return client

    @cached_property
    def push(self) -> jobs.Push | None:
        """The new Worker's door for jobs; None where nothing is queued."""
        if not self.params.source_jobs:
            return None
        push = jobs.Push(self.params.worker_url, self.run.secret("worker_token"))
        return self._stack.enter_context(push)

    @cached_property
    def kv(self) -> KV | None:
        """The namespace that takes the cache; None where there is none."""
        return KV(self.client, self.params.kv_namespace_id) if self.params.source_cache else None

    @property
    def key_rules(self) -> list[keys.KeyRule]:
        """What mapping.yaml says of the cache."""
        return [keys.KeyRule(r.pattern, r.do, r.ttl, r.reason) for r in self.run.mapping.keys.rules]
