"""One tiny state for each check of a phase: exactly this one fails, or, where it only tells, is told.

The workbench of these tests holds what the step at hand asks of it and no more; run, database, broker and bucket are
real ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import redis
from helpers.carry import CLAIM, after_statements, make_source, prepare, table_statements
from helpers.fires import fires, not_passed
from redis import Redis

from towpath import jobs, keys, objects
from towpath.checks import Check, Verdict, silent
from towpath.cloudflare import D1, Client
from towpath.cloudflare.kv import KV
from towpath.cloudflare.limits import PAID
from towpath.errors import TowpathError
from towpath.jobs.export import Exported
from towpath.jobs.load import Loaded as HandedOver
from towpath.keys import KeyRule
from towpath.keys.load import Loaded
from towpath.local.postgresql import Postgresql
from towpath.postgresql.capture import capture
from towpath.postgresql.snapshot import Snapshot
from towpath.runs.run import Run, open_run
from towpath.sensitive import NOTHING
from towpath.tables import load as loading
from towpath.tables.target import apply_migration
from towpath.workbench import cache, cutover, inventory, load, queue
from towpath.workbench.crossing import Crossing
from towpath.workbench.cutover import Freeze
from towpath.workbench.file_origin import FileOrigin
from towpath.workbench.server_fit import ServerFit

JSON = [KeyRule("*", "json")]
COMPLETE = Loaded("kv", 2, 2, 2, 3, 9, (), (), (), 0.1)


@pytest.fixture
def run(toy: Any) -> Run:
    return open_run("01-inventory", toy.params())


def told(run: Run) -> set[str]:
    return {check.code for check in run.checks}


# -- rows


@fires("TB100")
def test_a_damaged_page(run: Run, tmp_path: Path) -> Iterable[str]:
    path = tmp_path / "a.sqlite"
    make_source(path, "CREATE TABLE t (a); INSERT INTO t SELECT hex(zeroblob(900)) FROM json_each('[1,2,3,4]')").close()
    content = bytearray(path.read_bytes())
    content[-4096:-4000] = b"\xff" * 96
    path.write_bytes(bytes(content))
    params = SimpleNamespace(source_closed_cleanly=False)
    kept = SimpleNamespace(source=lambda _: path, write_json=run.write_json)
    bench: Any = SimpleNamespace(run=kept, params=params, on_close=lambda _: None, sensitive=NOTHING)
    return not_passed(FileOrigin(bench).look(silent))


@fires("TB401", "PL011")
def test_a_target_of_nobody(run: Run, d1: D1) -> Iterable[str]:
    manifest = SimpleNamespace(id="a", chunks=(), rows=0)
    state = SimpleNamespace(manifest=manifest, objects=SimpleNamespace(objects=0), is_delta=False)
    bench: Any = SimpleNamespace(d1=d1, run=run, claim=CLAIM, state=state, fingerprint="d1 empty")
    assert not load.work(bench).approved
    assert not_passed(run.checks) == {"TB401"}
    return told(run)


@fires("TB404")
def test_what_is_made_after_the_rows(run: Run, d1: D1, tmp_path: Path) -> Iterable[str]:
    make_source(tmp_path / "s.sqlite", "CREATE TABLE t (a); CREATE INDEX i ON t (a)").close()
    exporter, manifest = prepare(tmp_path / "s.sqlite", tmp_path / "snapshot")
    apply_migration(d1, "0001_tables.sql", table_statements(exporter), CLAIM)
    loading.load(d1, tmp_path / "snapshot", manifest)
    state = SimpleNamespace(manifest=manifest, is_delta=False)
    bench: Any = SimpleNamespace(d1=d1, run=run, claim=CLAIM, state=state, states=lambda: iter([state]))
    load.finish(bench, after_statements(exporter), silent)
    exporter.close()
    return told(run)


# -- the fit of a server


def fitted(toy: Any, server: Postgresql, url: str, sql: str, mapping: str, target: str) -> Run:
    """What a run says of a server's fit into a target."""
    with psycopg.connect(url, password=server.password, autocommit=True) as db:
        db.execute(sql.encode())
    (toy.root / "migrations").mkdir()
    (toy.root / "migrations" / "0001.sql").write_text(target, encoding="utf-8")
    toy.write("mapping.yaml", f"tables: {{mode: adopt, migrations: migrations, fit: [{mapping}]}}\n")
    run = open_run("01-inventory", toy.params())
    with Snapshot(url, server.secret) as snapshot:
        catalog = snapshot.read_catalog()
        capture(snapshot, catalog, toy.root / "capture.sqlite")
    bench: Any = SimpleNamespace(run=run, root=toy.root, limits=PAID, sensitive=NOTHING)
    ServerFit(bench, catalog).judge(toy.root / "capture.sqlite", silent)
    run.release()
    return run


TABLE = "CREATE TABLE a (id int, x text)"
TARGET = "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)"
ALL = "{from: public.a, to: t, columns: {id: id, x: x}}"


@fires("FT100", "FT101", "FT300")
def test_a_column_that_no_rule_speaks_of(toy: Any, postgresql_server: Postgresql, postgresql_url: str) -> Iterable[str]:
    some, target = "{from: public.a, to: t, columns: {id: id}}", "CREATE TABLE t (id INTEGER PRIMARY KEY)"
    return not_passed(fitted(toy, postgresql_server, postgresql_url, TABLE, some, target).checks)


@fires("FT300", "FT301")
def test_a_row_that_the_target_refuses(toy: Any, postgresql_server: Postgresql, postgresql_url: str) -> Iterable[str]:
    sql, target = f"{TABLE}; INSERT INTO a VALUES (1, NULL)", TARGET.replace("TEXT", "TEXT NOT NULL")
    return not_passed(fitted(toy, postgresql_server, postgresql_url, sql, ALL, target).checks)


@fires("FT120")
def test_what_is_declared_beside_the_tables(
    toy: Any, postgresql_server: Postgresql, postgresql_url: str
) -> Iterable[str]:
    sql = f"{TABLE}; CREATE VIEW v AS SELECT x FROM a"
    return not_passed(fitted(toy, postgresql_server, postgresql_url, sql, ALL, TARGET).checks)


# -- files


@fires("OB200")
def test_rows_and_files_are_looked_at(run: Run, tmp_path: Path) -> Iterable[str]:
    (tmp_path / "attachments").mkdir()
    (tmp_path / "attachments" / "x").write_bytes(b"x")
    bench: Any = SimpleNamespace(run=run, references=lambda _: iter([("t 1", "attachments/x")]))
    inventory.judge_files(bench, objects.walk(tmp_path, ["attachments"]))
    return told(run)


@fires("OB501")
def test_a_row_without_its_object() -> Iterable[str]:
    return not_passed(objects.target_closure([("t 1", "a/x")], [], [], "bucket"))


@fires("OB502")
def test_an_object_without_its_row() -> Iterable[str]:
    return not_passed(objects.target_closure([], ["a/x"], [], "bucket"))


# -- keys


@fires("KE100")
def test_every_key_is_looked_at(run: Run, redis_client: Redis) -> Iterable[str]:
    redis_client.set("a", 1)
    bench: Any = SimpleNamespace(run=run, redis=redis_client, key_rules=JSON)
    cache.look(bench, silent)
    return told(run)


@fires("KE401")
def test_a_key_that_was_not_exported(redis_client: Redis, tmp_path: Path) -> Iterable[str]:
    redis_client.set(".", 1)
    return not_passed(keys.export(redis_client, JSON, tmp_path).checks)


@fires("KE402")
def test_a_chunk_without_its_receipt() -> Iterable[str]:
    assert not_passed(COMPLETE.checks) == set()
    return not_passed(replace(COMPLETE, received=1).checks)


@fires("KE409", "KE402")
def test_a_key_whose_life_ended_meanwhile() -> Iterable[str]:
    found = replace(COMPLETE, expired=("a",)).checks
    assert [check.keys for check in found if check.code == "KE409"] == [("a",)]
    return {check.code for check in found}


@fires("KE410", "KE409")
def test_a_delta_of_keys(redis_client: Redis, client: Client, tmp_path: Path) -> Iterable[str]:
    kv = KV(client, f"delta-{tmp_path.name}")
    redis_client.set("a", 1)
    before = keys.export(redis_client, JSON, tmp_path / "1")
    keys.load(kv, before)
    redis_client.set("b", 1)
    after = keys.export(redis_client, JSON, tmp_path / "2")
    return {check.code for check in keys.apply(kv, keys.delta(before, after), after).checks}


# -- jobs


@fires("JO100")
def test_every_job_is_looked_at(run: Run, redis_client: redis.Redis) -> Iterable[str]:
    redis_client.sadd("_kombu.binding.celery", "celery\x06\x16\x06\x16celery")
    bench: Any = SimpleNamespace(run=run, broker=redis_client)
    queue.look(bench, silent)
    return told(run)


@fires("JO303")
def test_a_job_that_the_export_lost(redis_client: redis.Redis, tmp_path: Path) -> Iterable[str]:
    made = jobs.export(redis_client, ["celery"], tmp_path)
    assert not_passed(made.checks) == set()
    return not_passed(Exported(made.manifest, made.inventory, ("lost",)).checks)


@fires("JO304")
def test_a_job_that_was_not_handed_over() -> Iterable[str]:
    assert not_passed(HandedOver("worker", 2, 1, 1, 1).checks) == set()
    return not_passed(HandedOver("worker", 2, 1, 0, 1).checks)


# -- the cutover


@pytest.fixture
def frozen(run: Run, toy: Any) -> Any:
    """A workbench in the middle of a cutover; its data never rests, and somebody wrote to it."""
    versions = iter(range(1_000_000))
    origin = SimpleNamespace(version=lambda: (next(versions),), unwritten=lambda _: True, recorded=dict)
    params = SimpleNamespace(
        source_maintenance_switch="maintenance.json", source_url="", ramp_steps=(100,), moves_traffic=False
    )
    (toy.root / "build" / "toy").mkdir(parents=True, exist_ok=True)
    return SimpleNamespace(run=run, origin=origin, params=params, fingerprint="d1 toy", d1=None, done_before=None)


@fires("CU101")
def test_a_source_that_is_never_quiet(frozen: Any, monkeypatch: pytest.MonkeyPatch) -> Iterable[str]:
    monkeypatch.setattr(cutover, "SETTLE_SECONDS", 0)
    with pytest.raises(TowpathError) as caught:
        cutover.freeze(frozen, Crossing(frozen, "over"))
    assert told(frozen.run) == {"CU101"}
    return [caught.value.code]


def ended(frozen: Any, *, written: bool, minutes: int) -> set[str]:
    """What is said at the end of a freeze."""
    frozen.origin.unwritten = lambda _: not written
    step = SimpleNamespace(minutes=minutes)
    runbook = SimpleNamespace(runbook=SimpleNamespace(step=lambda _: step))
    checks: list[Check] = []
    frozen.run = SimpleNamespace(plan=runbook, phase="06-cutover", add=checks.extend, number=lambda *_: None)
    cutover.still_frozen(frozen, Freeze(0.0, "then", (1,), True))
    return not_passed(checks)


LONG = 10**9  # minutes: the freeze began with the machine


@fires("CU102")
def test_a_source_that_was_written_to(frozen: Any) -> Iterable[str]:
    assert ended(frozen, written=False, minutes=LONG) == set()
    return ended(frozen, written=True, minutes=LONG)


@fires("CU104")
def test_a_freeze_that_was_too_long(frozen: Any) -> Iterable[str]:
    return ended(frozen, written=False, minutes=0)


@fires("CU103")
def test_a_delta_that_did_not_arrive(frozen: Any, monkeypatch: pytest.MonkeyPatch) -> Iterable[str]:
    missing = Check("TB402", "tables", "t", "1 receipts", "0 receipts", Verdict.FAIL, "again")
    made = SimpleNamespace(rows=1)
    monkeypatch.setattr(cutover, "received", lambda *_: [missing])
    monkeypatch.setattr(cutover, "row_delta", lambda *_: made)
    monkeypatch.setattr(loading, "load", lambda *_: None)
    frozen.conversion = SimpleNamespace(triggers=())
    frozen.forget_state = lambda: None
    frozen.run = SimpleNamespace(
        checks=(), add=lambda more: frozen.kept.extend(more), artefact=silent, number=lambda *_: None,
        plan=SimpleNamespace(hash="h"),
    )  # fmt: skip
    frozen.kept = []
    schema = SimpleNamespace(triggers=(), tables=())
    final: Any = SimpleNamespace(schema=schema, folder=None)
    base: Any = SimpleNamespace(folder=None, manifest=None)
    cutover.rows(frozen, base, final, {}, Freeze(0.0, "then", (1,), True), silent)
    return not_passed(frozen.kept)
