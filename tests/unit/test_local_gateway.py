"""A system's gateway in the local runtime: declared beside the Worker, served before it, renewed when it changes."""

from __future__ import annotations

import json
import re
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.two_sides import APP, GATEWAY, WORKER

from towpath.cli.command import run_command
from towpath.errors import BadInput, CannotFinish, WrongUse
from towpath.local import State, gateway_folder, read_gateway, selftest, start, status, up
from towpath.local.gateway import MAIN, NAMESPACE, REQUESTS, STATUS
from towpath.local.processes import marked
from towpath.local.supervisor import down
from towpath.local.worker import read_config
from towpath.traffic import setting

NAMES = {"bucket": "b", "database_id": "d"}


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    folder = tmp_path / "worker"
    folder.mkdir()
    (folder / "index.ts").write_text(APP, encoding="utf-8")
    (folder / "wrangler.jsonc").write_text(json.dumps(WORKER), encoding="utf-8")
    return folder


def declared(folder: Path, **changes: Any) -> Path:
    """A gateway's folder with these keys changed; None takes a key out."""
    folder.mkdir(exist_ok=True)
    config = {**GATEWAY, "vars": {"ORIGIN": "http://127.0.0.1:1"}, **changes}
    kept = {key: value for key, value in config.items() if value is not None}
    (folder / "wrangler.jsonc").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def asked(url: str, path: str = "/") -> httpx.Response:
    return httpx.get(url + path, trust_env=False, timeout=60)


def test_a_changed_gateway_is_started_anew_and_an_unchanged_one_is_not(
    tmp_path: Path, root: Path, worker: Path
) -> None:
    state = State(tmp_path / "state")
    gateway = read_gateway(declared(tmp_path / "gateway"))
    places = {**NAMES, "root": root, "state": state, "worker": worker}
    try:
        first, started = up("two", "local", 0, gateway=gateway, **places)
        assert started
        assert first.gateway_port not in (0, first.port)
        assert asked(first.gateway_url, STATUS).status_code == 204
        assert asked(first.url, "/a").json()["side"] == "worker"  # the Worker's own address is as it was
        assert asked(first.gateway_url).status_code == 502  # nobody is at ORIGIN
        assert up("two", "local", 0, gateway=gateway, **places) == (first, False)
        other = replace(gateway, variables={**gateway.variables, "FALLBACK": "worker"})
        second, started = up("two", "local", 0, gateway=other, **places)
        assert started
        assert asked(second.gateway_url).json()["side"] == "worker"
        without, started = up("two", "local", 0, **places)
        assert (started, without.gateway_url) == (True, "")
    finally:
        down(state)
    assert status(state).line == "down"
    assert marked(state.folder) == []


def test_a_gateway_that_is_none_fails_the_proof(tmp_path: Path, root: Path, worker: Path) -> None:
    gateway = read_gateway(declared(tmp_path / "gateway"))
    places = {**NAMES, "root": root, "state": State(tmp_path / "state"), "worker": worker}
    with start("two", "local", 0, gateway=gateway, **places) as runtime:
        assert selftest(runtime, root)[-1].holds
        impostor = replace(runtime, gateway_port=runtime.port)
        with pytest.raises(
            CannotFinish, match=r"the gateway answers on its own port \(found: HTTP 200, served by nobody\)"
        ):
            selftest(impostor, root)


def test_its_port_must_be_free(tmp_path: Path, root: Path, worker: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        gateway = replace(read_gateway(declared(tmp_path / "gateway")), port=port)
        with (
            pytest.raises(WrongUse, match=f"port {port} is in use"),
            start("two", "local", 0, root=root, state=State(tmp_path / "s"), worker=worker, gateway=gateway, **NAMES),
        ):
            pass


def test_a_gateway_without_a_worker_behind_it_is_refused(tmp_path: Path, root: Path) -> None:
    gateway = read_gateway(declared(tmp_path / "gateway"))
    with (
        pytest.raises(BadInput, match="a gateway without a Worker behind it"),
        start("two", "local", 0, root=root, state=State(tmp_path / "s"), gateway=gateway, **NAMES),
    ):
        pass


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": None}, "name is missing"),
        ({"compatibility_date": None}, "compatibility_date is missing"),
        ({"services": None}, "services must bind APP"),
        ({"kv_namespaces": [{"binding": "KV"}]}, "kv_namespaces must bind TRAFFIC and nothing else"),
        ({"d1_databases": [*GATEWAY["d1_databases"], {"binding": "DB"}]}, "d1_databases must bind REQUESTS"),
        ({"vars": None}, "vars.ORIGIN must be the address"),
        ({"vars": {"ORIGIN": "localhost:80"}}, "vars.ORIGIN must be the address"),
        ({"dev": None}, "dev.port is missing"),
        ({"dev": {"port": "8791"}}, "dev.port is missing"),
    ],
)
def test_what_its_wrangler_jsonc_lacks_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)) as caught:
        read_gateway(declared(tmp_path / "gateway", **changes))
    assert "wrangler.jsonc" in caught.value.line


def test_every_declared_gateway_is_one_that_wrangler_would_deploy(root: Path) -> None:
    folders = sorted((root / "runbooks").glob("*/gateway"))
    assert folders
    for folder in folders:
        gateway = read_gateway(folder)
        config = read_config(folder / "wrangler.jsonc")
        assert (folder / config["main"]).resolve() == MAIN.resolve()
        worker = read_config(folder.parent / "worker" / "wrangler.jsonc")
        assert config["services"][0]["service"] == worker["name"]
        assert gateway.variables["FALLBACK"] == "origin"
        known = set(re.findall(r"^  (\w+)\??:", (MAIN.parent / "environment.ts").read_text("utf-8"), re.MULTILINE))
        assert set(gateway.variables) <= known
    assert len({read_gateway(folder).port for folder in folders}) == len(folders)
    assert gateway_folder(root, "nobody") is None
    assert STATUS == setting.STATUS  # two rooms that do not know each other


def test_the_command_serves_it(toy: Any, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (toy.root / "package.json").symlink_to(root / "package.json")
    (toy.root / "node_modules").symlink_to(root / "node_modules")
    port, worker = _unused(), f"http://127.0.0.1:{_unused()}"
    base = f"{worker}/cdn-cgi/local"
    ids = {"gateway_namespace_id": NAMESPACE, "gateway_database_id": REQUESTS}
    traffic = {"source_url": "http://127.0.0.1:1", "gateway_url": f"http://127.0.0.1:{port}", "worker_url": worker}
    toy.write_params(cloudflare_api=f"{base}/explorer/api", r2_endpoint=f"{base}/r2/s3", **traffic, **ids)
    shutil.copytree(root / "runbooks/personality-spark/worker", toy.root / "runbooks/toy/worker")
    declared(toy.root / "runbooks/toy/gateway", dev={"port": _unused()}, services=[{"binding": "APP", "service": "x"}])
    try:
        assert run_command(["local", "up", "toy", "--env", "local"]) == 0
        said = capsys.readouterr().out
        assert "proved   12 facts about D1, R2, the queues and the gateway\n" in said
        assert f"gateway  http://127.0.0.1:{port}\n" in said
        assert asked(f"http://127.0.0.1:{port}", STATUS).status_code == 204
    finally:
        run_command(["local", "down", "toy", "--env", "local"])


def _unused() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
