"""`towpath local` with the real runtime: up, status, fresh, down, and nothing left behind."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from towpath.cli import local
from towpath.cli.command import run_command
from towpath.cloudflare import D1, Client
from towpath.local import State, status
from towpath.local.processes import marked

WHO = ["toy", "--env", "local"]


@pytest.fixture
def served(toy: Any, root: Path) -> Iterator[int]:
    """A toy project that borrows the installed npm packages, with params on a port that was free a moment ago."""
    for name in ("node_modules", "package.json"):
        (toy.root / name).symlink_to(root / name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    base = f"http://127.0.0.1:{port}/cdn-cgi/local"
    toy.write_params(cloudflare_api=f"{base}/explorer/api", r2_endpoint=f"{base}/r2/s3")
    yield port
    run_command(["local", "down", *WHO])


def test_the_runtime_of_a_system_goes_up_is_found_emptied_and_stopped(
    served: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(command: str, *options: str, code: int = 0) -> str:
        assert run_command(["local", command, *WHO, *options]) == code
        return capsys.readouterr().out

    assert said("status", code=2) == "down\n"
    assert f"started: port {served}" in said("up")
    assert "already up" in said("up")
    assert f"up on port {served}" in said("status")
    with Client(f"http://127.0.0.1:{served}/cdn-cgi/local/explorer/api") as client:
        D1(client, "toy-local").query("CREATE TABLE left_over (a)")
    assert "started" in said("up", "--fresh")
    with Client(f"http://127.0.0.1:{served}/cdn-cgi/local/explorer/api") as client:
        found = D1(client, "toy-local").query("SELECT name FROM sqlite_schema WHERE name = 'left_over'")
    assert not found.rows
    assert said("down") == "stopped\n"
    assert said("down") == "was not up\n"
    assert said("status", code=2) == "down\n"


@pytest.mark.usefixtures("served")
def test_a_runtime_that_fails_its_proof_is_stopped_again(
    toy: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof asks for a bucket that this runtime does not have; one that was up before stays as it was."""
    real = local.selftest
    monkeypatch.setattr(local, "selftest", lambda runtime, root: real(replace(runtime, bucket="nobodys"), root))
    state = State.of(toy.root, "toy", "local")
    assert run_command(["local", "up", *WHO]) == 2
    assert "does not behave as measured" in capsys.readouterr().err
    assert status(state).line == "down"
    assert marked(state.folder) == []
    monkeypatch.setattr(local, "selftest", real)
    assert run_command(["local", "up", *WHO]) == 0
    before = status(state)
    monkeypatch.setattr(local, "selftest", lambda runtime, root: real(replace(runtime, bucket="nobodys"), root))
    assert run_command(["local", "up", *WHO]) == 2
    assert status(state) == before


def test_a_worker_of_the_system_goes_up_with_it(
    toy: Any, root: Path, served: int, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(root / "runbooks" / "personality-spark" / "worker", toy.root / "runbooks" / "toy" / "worker")
    assert run_command(["local", "up", *WHO]) == 0
    said = capsys.readouterr().out
    assert "proved   11 facts about D1, R2 and the queues\n" in said
    assert f"worker   http://127.0.0.1:{served}\n" in said
    assert httpx.get(f"http://127.0.0.1:{served}/health", trust_env=False).json()["maintenance"] is False


def test_two_ports_are_refused(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    toy.write_params(r2_endpoint="http://127.0.0.1:1/cdn-cgi/local/r2/s3")
    assert run_command(["local", "up", *WHO]) == 3
    assert "name no common port" in capsys.readouterr().err
