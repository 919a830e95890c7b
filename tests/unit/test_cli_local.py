"""`towpath local` with the real runtime: up, status, fresh, down, and nothing left behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from towpath.cli.command import run_command
from towpath.cloudflare import D1, Client

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


def test_two_ports_are_refused(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    toy.write_params(r2_endpoint="http://127.0.0.1:1/cdn-cgi/local/r2/s3")
    assert run_command(["local", "up", *WHO]) == 3
    assert "name no common port" in capsys.readouterr().err
