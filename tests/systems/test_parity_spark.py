"""Personality Spark's two applications, asked the same by 05-validate over copies of her servers and of her runtime."""

from __future__ import annotations

import json
import re
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from helpers.project import HERE, PHASES
from helpers.spark import Spark, spark

from towpath.rehearsal.sides import OldSide, served
from towpath.routes import corpus

VALIDATE = "05-validate"
PAIR = "towpath-pair-"
HOUR = 3_600_000  # milliseconds


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    """Personality Spark after 04-import, with both of her sides served, and people at work since the export."""
    with (
        tempfile.TemporaryDirectory(prefix="towpath-") as temporary,  # other tests make copies at the same time
        spark(tmp_path_factory.mktemp("parity") / "spark") as project,
        closing(socket.socket()) as free,
    ):
        project.environment["TMPDIR"] = temporary
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        free.close()
        project.change_params(source_url=url)
        with served(OldSide(HERE, project.system, project.data, url, project.root / "old.log")):
            ran = project.phases(*PHASES[:5])
            assert ran.code == 0, ran.text
            project.live(11)
            yield project


def attempt(project: Spark) -> str:
    """The newest attempt of 05-validate."""
    return max((stem for stem in project.verdicts() if stem.startswith(VALIDATE)), key=lambda stem: (len(stem), stem))


def checks(project: Spark, code: str) -> list[dict[str, Any]]:
    return [check for check in project.result(attempt(project))["checks"] if check["code"] == code]


def source(project: Spark) -> tuple[Any, ...]:
    """Everything that the old side holds: rows by table, keys that do not end meanwhile, jobs, files."""
    listed = "SELECT schemaname || '.' || quote_ident(relname) FROM pg_stat_user_tables ORDER BY 1"
    digest = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM"
    rows = [(name, project.ask(f"{digest} {name} t")) for (name,) in project.ask(listed)]
    with project.cache() as cache, project.broker() as broker:
        keys = [
            {name: client.dump(name) for name in client.scan_iter() if not 0 <= client.pttl(name) < HOUR}
            for client in (cache, broker)
        ]
    return rows, *keys, {path.name: path.read_bytes() for path in project.settings.shares.iterdir()}


def left_over(project: Spark) -> tuple[list[Path], list[str]]:
    """What copies leave behind: folders, and processes that work in one."""
    there, place = [], project.environment["TMPDIR"]
    for process in psutil.process_iter(["cmdline", "cwd", "environ"]):
        words = [*(process.info["cmdline"] or ()), process.info["cwd"] or "", *(process.info["environ"] or {}).values()]
        there += [str(process.info["cmdline"])] if any(f"{place}/{PAIR}" in word for word in words) else []
    return list(Path(place).glob(f"{PAIR}*")), there


def test_every_route_is_asked_of_copies_and_both_sides_write_the_same_rows(moved: Spark) -> None:
    before = moved.held(), source(moved)
    ran = moved.phases(VALIDATE)
    assert ran.code == 0, ran.text + json.dumps(moved.failed(attempt(moved)), indent=1)
    assert (moved.held(), source(moved)) == before
    assert left_over(moved) == ([], [])
    numbers = {one["name"]: one["value"] for one in moved.result(VALIDATE)["numbers"]}
    routes = yaml.safe_load(moved.runbook("mapping.yaml").read_text(encoding="utf-8"))["traffic"]["routes"]
    assert numbers["routes_same"] + numbers["routes_noise_only"] == len(routes)
    assert (numbers["routes_differs"], numbers["routes_not_exercised"]) == (0, 0)
    requests = len(list(corpus.read(moved.runbook("corpus.jsonl"))))
    [every] = [check for check in checks(moved, "PA101") if check["object"] == "all routes"]
    assert every["found"].startswith(f"{requests} requests of {len(routes)} routes: ")
    assert "copies of both sides, made from the servers as they are now" in every["found"]
    assert checks(moved, "PA103") == checks(moved, "PA105") == []
    noise = " ".join(check["found"] for check in checks(moved, "PA104"))
    assert "rows quiz_results.inserted[0].id" in noise
    assert "rows share_cards.inserted[0].object_key" in noise


def test_no_secret_of_the_copies_comes_into_the_record(moved: Spark) -> None:
    secrets = [word.encode() for word in (moved.settings.postgresql.password, moved.settings.redis.password)]
    for file in (path for path in Path(moved.folder).rglob("*") if path.is_file()):
        content = file.read_bytes()
        assert not any(secret in content for secret in secrets), file
        assert PAIR.encode() not in content, file


def changed(project: Spark, file: str, before: str, after: str) -> None:
    path = project.runbook("worker") / "src" / file
    given = path.read_text(encoding="utf-8")
    assert given.count(before) == 1
    path.write_text(given.replace(before, after, 1), encoding="utf-8")


def test_a_new_side_that_writes_other_rows_is_found_although_it_answers_alike(moved: Spark) -> None:
    ours = "const took = seconds === null ? null : interval(seconds);"
    theirs = "const took = seconds === null ? null : `PT${seconds}S`;"
    changed(moved, "results.ts", ours, theirs)
    try:
        ran = moved.phases(VALIDATE)
    finally:
        changed(moved, "results.ts", theirs, ours)
    assert ran.code == 1, ran.text
    assert [(check["code"], check["object"]) for check in moved.failed(attempt(moved))] == [("PA102", "POST /results")]
    [told] = moved.differences(attempt(moved), "parity")
    assert told["column"] == "rows quiz_results.inserted[0].took"
    assert (json.loads(told["expected"]), json.loads(told["found"])) == ("PT1M1S", "PT61S")


@contextmanager
def without_replication(project: Spark) -> Iterator[None]:
    """A server that lets its users read, and nobody copy it."""
    entries = project.data / "postgresql" / "data" / "pg_hba.conf"
    given = entries.read_text(encoding="utf-8")
    entries.write_text(re.sub(r"(?m)^\S+\s+replication\b.*$", "", given), encoding="utf-8")
    project.change("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        entries.write_text(given, encoding="utf-8")
        project.change("SELECT pg_reload_conf()")


def test_a_server_that_cannot_be_copied_stops_the_phase_and_is_no_pass(moved: Spark) -> None:
    with without_replication(moved):
        ran = moved.phases(VALIDATE)
    assert ran.code == 2, ran.text
    assert "the server cannot be copied" in ran.text
    assert moved.result(attempt(moved))["verdict"] == "INCOMPLETE"
    assert left_over(moved) == ([], [])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_of_the_copies_goes_on_when_the_step_is_cut(moved: Spark, how: signal.Signals) -> None:
    command = moved.words("run", moved.system, "--env", "local", "--phase", VALIDATE)
    with moved.start(*command) as process:
        try:
            until(lambda: sum("legacy" in one for one in left_over(moved)[1]) == 2)
            [kernel] = [one for one in psutil.Process(process.pid).children() if "ipykernel" in " ".join(one.cmdline())]
            kernel.send_signal(how)
            process.wait(120)
        finally:
            process.kill()
    until(lambda: not left_over(moved)[1])
    assert moved.result(attempt(moved))["verdict"] == "INCOMPLETE"
    folders, _ = left_over(moved)
    assert len(folders) == (how is signal.SIGKILL), "who is killed removes nothing; whoever makes copies next does"


def until(holds: Callable[[], bool]) -> None:
    """Wait for what must come."""
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)
