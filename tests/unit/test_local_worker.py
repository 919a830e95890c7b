"""A system's own Worker in the local runtime: read, bundled, served over the same data, with real queues."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.census import look
from helpers.waiting import enough, until
from helpers.worker_side import NAMES, SYSTEM, migrations

from towpath.cloudflare import D1
from towpath.errors import BadInput
from towpath.local import Runtime, State, selftest, start, status, up, worker_folder
from towpath.local.processes import marked
from towpath.local.runtime import tools
from towpath.local.supervisor import down
from towpath.local.worker import bundle, read_worker
from towpath.tables.convert import convert
from towpath.tables.typescript import row_types

PNG = bytes.fromhex("89504e470d0a1a0a") + b"a share card"
TASK = "analytics.track_quiz_share"
USER = "6f1c2f0e-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    found = worker_folder(root, SYSTEM)
    assert found is not None
    return found


@pytest.fixture
def http(served: Runtime) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, trust_env=False, timeout=60.0) as client:
        yield client


@pytest.fixture
def d1(jobs_d1: D1) -> D1:
    """Here the database is the Worker's."""
    return jobs_d1


@pytest.fixture
def enqueue(served: Runtime, http: httpx.Client) -> Callable[..., httpx.Response]:
    headers = {"Authorization": f"Bearer {served.worker_token.reveal()}"}
    return lambda *jobs: http.post("/enqueue", json=jobs, headers=headers)


def job(id: str, **other: Any) -> dict[str, Any]:
    return {"id": id, "queue": "celery", "task": TASK, "body": '[[1], {"a": "é"}]', "eta": None} | other


def rows(d1: D1, sql: str, expected: int) -> list[list[Any]]:
    """The rows once there are as many as expected: a message takes its time."""
    return list(enough(lambda: d1.query(sql).rows, expected, sql))


def test_the_selftest_proves_the_queues_too_and_leaves_nothing(served: Runtime, root: Path, d1: D1) -> None:
    before = d1.facts()
    proofs = selftest(served, root)
    assert len(proofs) == 11
    assert all(proof.holds for proof in proofs)
    assert "dead-letter queue" in proofs[-1].name
    assert d1.facts() == before
    assert D1(d1.client, "towpath-selftest").facts().empty


def test_the_worker_and_the_mirror_see_the_same_data(served: Runtime, http: httpx.Client, d1: D1) -> None:
    health = http.get("/health")
    assert (health.json(), health.headers["x-environment"]) == ({"maintenance": False, "writes_in_flight": 0}, "local")
    # KV: what a migration put there is answered as it is
    quiz = '{"type":"mood",  "questions":[1.50]}'
    put = f"{served.api}/storage/kv/namespaces/ps-cache/bulk"
    assert httpx.put(put, json=[{"key": "quiz:mood", "value": quiz}]).is_success
    answered = http.get("/generate/mood")
    assert (answered.text, answered.headers["x-quiz-source"]) == (quiz, "cache")
    # D1
    d1.batch([f"INSERT INTO users (id, email, locale, password_hash) VALUES ('{USER}', 'a@example.org', 'en', 'x')"])
    saved = http.post("/results", json={"user_id": USER, "quiz_type": "mood", "results": {"mood": "cälm"}})
    assert saved.status_code == 201
    row = d1.query("SELECT user_id, quiz_type, results FROM quiz_results WHERE id = ?", saved.json()["id"]).rows
    assert row == [[USER, "mood", '{"mood": "cälm"}']]
    assert http.get("/results", params={"user_id": USER}).json() == [saved.json()]
    # R2
    card = http.post(f"/shares/{saved.json()['id']}", content=PNG).json()["id"]
    s3 = served.r2()
    kept = s3.get_object(Bucket="media", Key=f"shares/{card}.png")
    s3.close()
    assert kept["Body"].read() == PNG
    assert (kept["CacheControl"], kept["ContentType"]) == ("public, max-age=31536000", "image/png")


def test_the_token_is_seen_by_nobody_but_the_worker(served: Runtime) -> None:
    token = served.worker_token.reveal()
    processes = marked(served.state.folder)
    assert len(processes) == 2
    for process in processes:
        assert token not in " ".join(process.cmdline()) + " ".join(process.environ().values())
    for name in ("worker.js", "runtime.log", "runtime.json", "ready.json"):
        assert token not in (served.state.folder / name).read_text(encoding="utf-8")
    assert (served.state.folder / "worker-token").stat().st_mode & 0o077 == 0


def test_what_is_not_cached_comes_from_a_declared_stub_and_is_cached(http: httpx.Client) -> None:
    first, second = http.get("/generate/big5"), http.get("/generate/big5")
    assert first.json()["generator"] == "stub"
    assert (first.headers["x-quiz-source"], second.headers["x-quiz-source"]) == ("stub", "cache")
    assert first.text == second.text


def test_a_card_is_fetched_with_its_headers(http: httpx.Client) -> None:
    result = http.post("/results", json={"quiz_type": "mood", "results": {}}).json()["id"]
    card = f"/static/shares/{http.post(f'/shares/{result}', content=PNG).json()['id']}.png"
    got = http.get(card)
    assert (got.content, got.headers["cache-control"]) == (PNG, "public, max-age=31536000")
    assert http.get(card, headers={"If-None-Match": got.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "said"),
    [
        # what the old application answers otherwise; where it answers the same: tests/systems/test_spark_worker.py
        ("POST", "/results", b"{", 422, "JSON decode error"),
        ("POST", "/results", b" " * 2_000_000, 413, "at most 1990000 bytes"),
        ("POST", "/results", b'{"quiz_type": "mood", "results": {"a": [' + b"1," * 900_000 + b"1]}}", 413, "at most"),
        ("POST", "/results", b'{"quiz_type": "tarot", "results": {}}', 422, "literal_error"),
        ("POST", "/results", b'{"quiz_type": "mood", "results": {"a": "\\u0000"}}', 422, "U+0000"),
        ("POST", "/results", b'{"quiz_type": "mood", "results": {}, "tags": ["\\ud800"]}', 422, "surrogate"),
        ("POST", "/results", b'{"quiz_type": "mood", "results": {"a": 1e400}}', 422, "too large a number"),
        ("POST", "/results", b'{"quiz_type": "mood", "results": {}, "seconds": 1e14}', 422, "less_than_equal"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    http: httpx.Client, method: str, path: str, content: bytes | None, status: int, said: str
) -> None:
    answer = http.request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, said in json.dumps(answer.json()["detail"])) == (status, True)


def test_a_job_arrives_once_however_often_it_is_sent(enqueue: Callable[..., httpx.Response], d1: D1) -> None:
    jobs = [job(f"once-{n:03}", body=f'[[{n}], {{"a": "é\\u0000"}}, {{}}]') for n in range(250)]
    for _ in range(2):
        answer = enqueue(*jobs)
        assert (answer.status_code, answer.json()["ids"]) == (202, [one["id"] for one in jobs])
    enqueue(job("the-last"))
    assert rows(d1, "SELECT id FROM received_jobs WHERE id = 'the-last'", 1)
    kept = rows(d1, "SELECT id, queue, task, body FROM received_jobs WHERE id LIKE 'once-%' ORDER BY id", 250)
    assert kept == [[one["id"], "celery", TASK, one["body"]] for one in jobs]


def test_a_job_with_an_eta_is_kept_at_once(enqueue: Callable[..., httpx.Response], d1: D1) -> None:
    assert enqueue(job("in-a-year", eta="2099-01-01T00:00:00+00:00")).status_code == 202
    assert len(rows(d1, "SELECT id FROM received_jobs WHERE id = 'in-a-year'", 1)) == 1


def test_a_job_is_sent_on_until_it_is_due_and_does_not_run_when_it_has_expired(
    enqueue: Callable[..., httpx.Response], served: Runtime
) -> None:
    def at(seconds: float) -> str:
        return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).isoformat()

    due = job("due-soon", eta=at(2.5), expires=at(3600))
    assert enqueue(job("expired", expires=at(-1)), job("at-once"), due).status_code == 202

    def ran() -> list[str]:
        return re.findall(r"job (expired|at-once|due-soon) runs", served.state.log.read_text(encoding="utf-8"))

    until(lambda: "due-soon" in ran(), "what was due did not run")
    assert ran() == ["at-once", "due-soon"]


def test_a_task_that_nobody_knows_ends_in_the_dead_letter_queue(
    enqueue: Callable[..., httpx.Response], d1: D1, served: Runtime
) -> None:
    enqueue(job("unknown", task="nobody.knows"), job("known-beside-it"))
    dead = "SELECT id, queue, task, body, reason, attempts FROM received_jobs_dead WHERE id = 'unknown'"
    body = job("")["body"]
    assert rows(d1, dead, 1) == [["unknown", "celery", "nobody.knows", body, "no task nobody.knows", 1]]
    assert rows(d1, "SELECT id FROM received_jobs WHERE id = 'known-beside-it'", 1)
    assert d1.query("SELECT id FROM received_jobs WHERE id = 'unknown'").rows == []
    tried = re.findall(r"job unknown, attempt (\d)", served.state.log.read_text(encoding="utf-8"))
    assert tried == ["1", "2", "3", "4"]  # once, and three retries


@pytest.mark.parametrize(
    ("jobs", "status", "said"),
    [
        ([job("")], 400, "job 0: id is not a text"),
        ([job("a"), job("b", body=None)], 400, "job 1: body is not a text"),
        ([job("a"), job("a")], 400, "the same id"),
        ([job("a", delay_seconds=86_401)], 400, "delay_seconds is not a whole number"),
        ([job("a", eta="tomorrow")], 400, "eta is not a time"),
        ([job("a", expires=7)], 400, "expires is not a time"),
        ([job("a", body="x" * 127_950)], 413, "128000 are allowed"),
        ([job(f"{n}") for n in range(1001)], 413, "more than 1000 jobs"),
        (["a"], 400, "job 0: not an object"),
    ],
)
def test_what_is_no_list_of_jobs_is_refused(
    enqueue: Callable[..., httpx.Response], jobs: list[Any], status: int, said: str
) -> None:
    answer = enqueue(*jobs)
    assert (answer.status_code, said in answer.json()["error"]) == (status, True)


def test_who_does_not_know_the_token_hands_nothing_over(http: httpx.Client) -> None:
    answer = http.post("/enqueue", json=[])
    assert (answer.status_code, answer.json()) == (401, {"error": "the token is missing or wrong"})


def test_the_longest_message_arrives(enqueue: Callable[..., httpx.Response], d1: D1) -> None:
    empty = len(httpx.Request("POST", "http://x", json={k: v for k, v in job("long", body="").items() if v}).content)
    body = "x" * (128_000 - empty - len(',"body":""') - 10)
    assert enqueue(job("long", body=body)).status_code == 202
    found = rows(d1, "SELECT length(body) FROM received_jobs WHERE id = 'long'", 1)
    assert found == [[len(body)]]


def test_the_worker_type_checks(root: Path, folder: Path) -> None:
    node, _ = tools(root)
    command = [node, root / "node_modules/typescript/bin/tsc", "--noEmit", "-p", folder / "tsconfig.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_row_types_are_those_of_the_migrations(root: Path, folder: Path) -> None:
    looked = look("".join(f"{statement};\n" for statement in migrations(root)))
    made = row_types(convert(looked.schema, looked.profile, looked.decided()), looked.profile)
    assert (folder / "src" / "rows.d.ts").read_text(encoding="utf-8") == made


def test_a_bundle_is_the_same_for_the_same_worker_and_holds_no_path(root: Path, folder: Path, tmp_path: Path) -> None:
    node, packages = tools(root)
    made = [bundle(read_worker(folder), node, packages, tmp_path / "worker.js") for _ in range(2)]
    assert made[0].digest == made[1].digest
    assert str(root) not in (tmp_path / "worker.js").read_text(encoding="utf-8")


def test_a_changed_worker_is_started_anew_and_an_unchanged_one_is_not(tmp_path: Path, root: Path, folder: Path) -> None:
    state, mine = State(tmp_path / "state"), tmp_path / "worker"
    shutil.copytree(folder, mine)
    try:
        first, started = up(SYSTEM, "local", 0, root=root, state=state, worker=mine, **NAMES)
        assert started
        assert up(SYSTEM, "local", 0, root=root, state=state, worker=mine, **NAMES) == (first, False)
        config = mine / "wrangler.jsonc"
        config.write_text(config.read_text("utf-8").replace('"ENVIRONMENT": "local"', '"ENVIRONMENT": "other"'))
        second, started = up(SYSTEM, "local", 0, root=root, state=state, worker=mine, **NAMES)
        assert started
        assert httpx.get(f"{second.url}/health", trust_env=False).headers["x-environment"] == "other"
        (mine / "src" / "index.ts").write_text("export default {", encoding="utf-8")
        with pytest.raises(BadInput, match=r"index\.ts.*cannot be bundled: index.ts:1: Expected identifier"):
            up(SYSTEM, "local", 0, root=root, state=state, worker=mine, **NAMES)
        assert status(state).answering  # what ran goes on
    finally:
        down(state)
    assert marked(state.folder) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"name": "personality-spark",', "", "name is missing"),
        ('"main": "src/index.ts"', '"main": "src/none.ts"', "src/none.ts, which is not there"),
        ("{", "[", "cannot be read"),
        ('"dead_letter_queue": "analytics-dead"', '"dead_letter_queue": "nobody"', "queue nobody has no consumer"),
        (
            '[{ "binding": "CACHE"',
            '[{ "binding": "A", "id": "x" }, { "binding": "CACHE"',
            "kv_namespaces has 2 entries",
        ),
        ('"vars"', '"secrets": { "required": ["../key"] }, "vars"', "is no name of a secret"),
        ('"vars"', '"secrets": { "required": ["ENVIRONMENT"] }, "vars"', "is a secret, and vars has it too"),
    ],
)
def test_what_wrangler_jsonc_lacks_is_named(folder: Path, tmp_path: Path, old: str, new: str, said: str) -> None:
    mine = tmp_path / "worker"
    shutil.copytree(folder, mine)
    config = mine / "wrangler.jsonc"
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadInput, match=said) as caught:
        read_worker(mine)
    assert "wrangler.jsonc" in caught.value.line


def test_a_worker_is_given_its_secrets_by_files(tmp_path: Path, root: Path) -> None:
    """One that its owner put there stays as it is; one that nobody has put there is made up."""
    folder, state = tmp_path / "worker", State(tmp_path / "state")
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "index.ts").write_text(
        "export default { fetch: (_: Request, { GIVEN, MADE }: any) => Response.json([GIVEN, MADE]) };"
    )
    config = {"name": "secretive", "main": "src/index.ts", "compatibility_date": "2026-11-01"}
    (folder / "wrangler.jsonc").write_text(json.dumps({**config, "secrets": {"required": ["GIVEN", "MADE"]}}))
    state.secrets.mkdir(parents=True)
    (state.secrets / "GIVEN").write_text("what the old side has always known\n")
    with start("secretive", "local", 0, root=root, state=state, worker=folder, deadline=120.0, **NAMES) as running:
        told = httpx.get(running.url, trust_env=False, timeout=60).json()
        assert told == ["what the old side has always known", state.worker_secret("MADE").reveal()]
        assert len(told[1]) == 64
        for process in marked(state.folder):
            said = " ".join([*process.cmdline(), *process.environ().values()])
            assert not [secret for secret in told if secret in said]
    for path in state.folder.glob("*.js*"):
        assert not [secret for secret in told if secret in path.read_text(encoding="utf-8")], path
    assert (state.secrets / "MADE").stat().st_mode & 0o077 == 0
    state.keep(["GIVEN", "MADE"])
    assert [state.worker_secret(name).reveal() for name in ("GIVEN", "MADE")] == told


def test_a_system_without_a_worker_has_none(root: Path) -> None:
    assert worker_folder(root, "nobody") is None
