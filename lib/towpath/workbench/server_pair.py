"""Copies of both sides of a system whose source are servers, made from what runs on this machine.

The old side: a base backup of the PostgreSQL server, the keys of Redis, the folders; twice, and the old application is
served over each, without a worker that would take its jobs.  The new side: the state of the local runtime, as
04-import has filled it, with the Worker served over it.  People may have gone on working since the export: what they
wrote is brought over to the new copy from the old one, by the delta of 06-cutover, so that both begin alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from towpath import keys, objects
from towpath.cloudflare import D1
from towpath.cloudflare.kv import KV
from towpath.local.copies import copy_postgresql, copy_redis, copy_state
from towpath.local.postgresql import Postgresql, start_postgresql
from towpath.local.redis import RedisServer, start_redis
from towpath.local.runtime import Runtime, start
from towpath.local.state import State as RuntimeState
from towpath.local.worker import worker_folder
from towpath.postgresql.capture import capture
from towpath.postgresql.connection import connect, writing
from towpath.postgresql.snapshot import Snapshot
from towpath.tables import changes, fence
from towpath.tables import load as loading
from towpath.tables.export import Exporter
from towpath.tables.snapshot import FILE
from towpath.workbench import server_watching
from towpath.workbench.copied import Copy, Pair, copy_files, old_application, watched
from towpath.workbench.delta import row_delta
from towpath.workbench.server_fit import ServerFit, declared_by
from towpath.workbench.workbench import Workbench

POSTGRESQL, REDIS = "postgresql", "redis"  # where the old application looks for its servers, in its folder


@dataclass(frozen=True, slots=True)
class _Old:
    """One copy of the old side, its servers up."""

    folder: Path
    url: str  # of its database
    postgresql: Postgresql
    redis: RedisServer | None


@contextmanager
def server_pair(bench: Workbench, folder: Path) -> Iterator[Pair]:
    """Both sides over copies in `folder`, for the length of a `with` block.

    Raises CannotFinish when a server or the runtime's state cannot be copied, and what the delta raises.
    """
    database, password = bench.params.source_database, bench.run.secret("source_password")
    with ExitStack() as stack:
        folders = folder / "old", folder / "again"
        copy_postgresql(database, password, [one / POSTGRESQL for one in folders])
        old, again = (_started(bench, one, stack) for one in folders)
        _copy_keys(bench, None, old)
        _copy_keys(bench, old, again)
        for one in folders:
            copy_files(bench, one)
        fit, final = _taken(bench, old, folder / "taken", stack)
        new = _new(bench, old, final, folder / "new", stack)
        first, second = (_old(bench, fit, one, stack) for one in (old, again))
        yield Pair(first, second, new)


# -- the old side


def _started(bench: Workbench, folder: Path, stack: ExitStack) -> _Old:
    params = bench.params
    postgresql = start_postgresql(folder / POSTGRESQL, ends_with_us=True)
    stack.callback(postgresql.stop)
    redis = None
    if params.source_cache or params.source_jobs:
        (folder / REDIS).mkdir()
        redis = start_redis(folder / REDIS, ends_with_us=True)
        stack.callback(redis.stop)
    parts = urlsplit(params.source_database)
    url = parts._replace(netloc=f"{parts.username or postgresql.user}@127.0.0.1:{postgresql.port}").geturl()
    return _Old(folder, url, postgresql, redis)


def _copy_keys(bench: Workbench, source: _Old | None, to: _Old) -> None:
    """Every database of Redis that the params name, from the source's own server, or from another copy."""
    params, run = bench.params, bench.run
    for key in ("source_cache", "source_jobs"):
        url: str = getattr(params, key)
        if not url or to.redis is None:
            continue
        secret = run.secret(f"{key}_password")
        number = int(urlsplit(url).path.strip("/") or 0)
        if source is not None and source.redis is not None:
            url, secret = source.redis.url(number), source.redis.secret
        with (
            closing(keys.connect(url, secret)) as old,
            closing(keys.connect(to.redis.url(number), to.redis.secret)) as new,
        ):
            copy_redis(old, new)


def _old(bench: Workbench, fit: ServerFit, one: _Old, stack: ExitStack) -> Copy:
    """The old application over a copy whose changed rows are told as the target would hold them."""
    fitted, _ = fit.filled()
    with closing(writing(one.url, one.postgresql.secret)) as connection:
        for statement in server_watching.statements(fitted):
            connection.execute(statement.encode())
        connection.commit()
    looking = stack.enter_context(closing(connect(one.url, one.postgresql.secret)))
    return Copy(old_application(bench, one.folder, stack), server_watching.watch(looking, fitted))


# -- the new side


def _taken(bench: Workbench, old: _Old, folder: Path, stack: ExitStack) -> tuple[ServerFit, Exporter]:
    """The rows of the copy in the form in which they must arrive, as 03-export takes them."""
    folder.mkdir()
    captured = folder / "capture.sqlite"
    with Snapshot(old.url, old.postgresql.secret) as snapshot:
        catalog = snapshot.read_catalog()
        capture(snapshot, catalog, captured)
    fit = ServerFit(bench, catalog)
    exporter = Exporter(fit.shape(captured, folder / FILE).path, bench.decisions, sensitive=bench.sensitive)
    stack.callback(exporter.close)
    return fit, exporter


def _new(bench: Workbench, old: _Old, final: Exporter, folder: Path, stack: ExitStack) -> Copy:
    """The Worker over what the target holds, brought to what the copy of the old side holds."""
    params, ours = bench.params, RuntimeState(folder)
    copy_state(RuntimeState.of(bench.root, params.system, params.environment), ours)
    runtime: Runtime = stack.enter_context(
        start(
            params.system,
            "pair",
            0,
            bucket=params.r2_bucket,
            database_id=params.d1_database_id,
            root=bench.root,
            state=ours,
            namespace=params.kv_namespace_id,
            worker=worker_folder(bench.root, params.system),
        )
    )
    client = stack.enter_context(runtime.client())
    d1 = D1(client, params.d1_database_id)
    if fence.read(d1) is not None:
        fence.open(d1)
    _bring_rows(bench, d1, final)
    _bring_files(bench, runtime, old.folder)
    if params.source_cache and old.redis is not None:
        _bring_keys(bench, KV(client, params.kv_namespace_id), old.redis, folder / "keys")
    empty = {name.lower() for name in bench.run.mapping.tables.empty}  # what consumers of queues write, in their time
    tables = declared_by(bench.conversion.table_statements).tables
    return Copy(runtime.url, watched(d1, (table for table in tables if table.name.lower() not in empty)))


def _bring_rows(bench: Workbench, d1: D1, final: Exporter) -> None:
    state = bench.state
    found = changes.find_changes(state.manifest, state.exporter, final)
    loading.load(d1, final.folder, row_delta(bench, state, final, found))


def _bring_files(bench: Workbench, runtime: Runtime, root: Path) -> None:
    state, mapping = bench.state, bench.run.mapping.objects
    there = objects.entries(objects.walk(root, mapping.folders), state.decided, mapping.cache_control)
    with closing(runtime.r2()) as s3:
        objects.apply_delta(objects.delta(state.objects, there), root, s3, bench.params.r2_bucket)


def _bring_keys(bench: Workbench, kv: KV, redis: RedisServer, folder: Path) -> None:
    before, number = bench.state.keys, int(urlsplit(bench.params.source_cache).path.strip("/") or 0)
    if before is None:
        return
    with closing(keys.connect(redis.url(number), redis.secret)) as source:
        made = keys.export(source, bench.key_rules, folder)
    keys.apply(kv, keys.delta(before, made), made)
