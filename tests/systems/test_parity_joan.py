"""Joan's two applications, asked the same by 05-validate: the real old and the real new one."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.project import HERE, PHASES, Project, joan

from towpath.rehearsal.sides import OldSide, served
from towpath.routes import corpus

VALIDATE = "05-validate"
ROUTE = "GET /notes/{note_id}"


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, OldSide]]:
    """Joan after 04-import, with both of her sides served."""
    root = tmp_path_factory.mktemp("parity") / "joan"
    with joan(root, worker=HERE / "runbooks" / "joan" / "worker") as project, closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        free.close()
        # a busy machine is slow: how fast the sides are is not what is tested here
        load = {"load_users": 5, "load_seconds": 3, "load_p95_ms": 60_000, "target_p95_ms": 60_000}
        project.change_params(source_url=url, worker_url=project.runtime.url, **load)
        with served(OldSide(root, "joan", project.data, url, root / "old.log")) as old:
            for phases in (PHASES[:3], PHASES[3:5]):
                ran = project.phases(*phases)
                assert ran.code == 0, ran.text
            yield project, old


def attempt(project: Project) -> str:
    """The newest attempt of 05-validate."""
    return max((stem for stem in project.verdicts() if stem.startswith(VALIDATE)), key=lambda stem: (len(stem), stem))


def checks(project: Project, code: str) -> list[dict[str, Any]]:
    return [check for check in project.result(attempt(project))["checks"] if check["code"] == code]


def source_digest(project: Project) -> dict[str, str]:
    """Every file of the old side."""
    files = [path for path in sorted(project.data.rglob("*")) if path.is_file() and path.suffix != ".log"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_both_sides_answer_alike_and_nothing_is_written_to_them(moved: tuple[Project, OldSide]) -> None:
    project, _ = moved
    before = project.fingerprint(), source_digest(project)
    ran = project.phases(VALIDATE)
    assert ran.code == 0, ran.text + json.dumps(project.failed(attempt(project)), indent=1)
    assert (project.fingerprint(), source_digest(project)) == before
    numbers = {one["name"]: one["value"] for one in project.result(VALIDATE)["numbers"]}
    rows = yaml.safe_load(project.runbook("mapping.yaml").read_text(encoding="utf-8"))["traffic"]["routes"]
    assert numbers["routes_same"] + numbers["routes_noise_only"] == len(rows)
    assert (numbers["routes_differs"], numbers["routes_not_exercised"]) == (0, 0)
    requests = len(list(corpus.read(project.runbook("corpus.jsonl"))))
    [every] = [check for check in checks(project, "PA101") if check["object"] == "all routes"]
    assert every["found"].startswith(f"{requests} requests of {len(rows)} routes: ")
    assert "copies of both sides" in every["found"]
    assert checks(project, "PA103") == checks(project, "PA105") == []
    assert any("rows task_activities.inserted[0].task_id" in check["found"] for check in checks(project, "PA104"))
    assert all(numbers[f"{side}_p{percent}_ms"] > 0 for side in ("old", "new") for percent in (50, 95, 99))
    assert numbers["load_requests"] > 0
    assert [check["verdict"] for check in checks(project, "PA107")] == ["PASS"]


def test_no_token_comes_into_the_record(moved: tuple[Project, OldSide]) -> None:
    project, _ = moved
    written = [path for path in Path(project.folder).rglob("*") if path.is_file()]
    assert not [path for path in written if b"eyJhbGciOi" in path.read_bytes()], "the beginning of every JWT"


def test_an_application_that_answers_otherwise_is_found_by_route_and_place(moved: tuple[Project, OldSide]) -> None:
    """The Worker that is served over the copy calls a title otherwise: the proof of the rows cannot see that."""
    project, _ = moved
    notes = project.runbook("worker") / "src" / "notes.ts"
    given = notes.read_text(encoding="utf-8")
    assert given.count("title: row.title,") == 1
    notes.write_text(given.replace("title: row.title,", "title: `${row.title}!`,", 1), encoding="utf-8")
    try:
        ran = project.phases(VALIDATE)
    finally:
        notes.write_text(given, encoding="utf-8")
    assert ran.code == 1, ran.text
    assert {check["code"] for check in project.failed(attempt(project))} == {"PA101"}
    assert ROUTE in {check["object"] for check in project.failed(attempt(project))}
    told = [one for one in project.differences(attempt(project), "parity") if one["object"] == ROUTE]
    assert {one["column"] for one in told} == {"$.title"}
    assert all(json.loads(one["found"]) == f"{json.loads(one['expected'])}!" for one in told)


def test_a_side_that_is_not_there_stops_the_phase_and_is_no_pass(moved: tuple[Project, OldSide]) -> None:
    project, old = moved
    old.kill()
    try:
        ran = project.phases(VALIDATE)
    finally:
        old.start()
    assert ran.code == 2, ran.text
    assert "the old side gives no answer" in ran.text
    assert project.result(attempt(project))["verdict"] == "INCOMPLETE"
