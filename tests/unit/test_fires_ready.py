"""00-ready: each condition of a workbench whose other conditions all hold; exactly this one is not met.

The workbench is a fake: what a condition asks of it is all that it has.  That real ones meet these conditions is shown
by every voyage, in tests/systems.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest
from helpers.fires import not_passed

from towpath import keys, objects
from towpath.errors import BadInput
from towpath.workbench import ready
from towpath.workbench.ready import CONDITIONS, look

Change = Callable[[Any, pytest.MonkeyPatch], object]
Version = namedtuple("Version", "major minor")
HEALTHY = "http://new.example/health"


def answers(given: dict[str, httpx.Response]) -> Callable[..., httpx.Response]:
    return lambda url, **_: given[url]


def stop(*_: Any) -> Any:
    raise BadInput("does not answer", object="it", next="start it")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A workbench that is ready in every way."""
    (tmp_path / "environment.yml").write_text(f"dependencies:\n- pip:\n  - httpx=={httpx.__version__}\n", "utf-8")
    (tmp_path / "package.json").write_text(json.dumps({"dependencies": {"miniflare": "1"}}), "utf-8")
    (tmp_path / "node_modules" / "miniflare").mkdir(parents=True)
    (tmp_path / "node_modules" / "miniflare" / "package.json").write_text('{"version": "1"}', "utf-8")
    (tmp_path / ".gitignore").write_text("*\n", "utf-8")
    commit = "git init -q && git -c user.name=a -c user.email=b commit -q --allow-empty -m c"
    subprocess.run(commit, shell=True, cwd=tmp_path, check=True)
    params = SimpleNamespace(
        environment="local",
        is_practice=True,
        source_files="files",
        cloudflare_api="http://here",
        r2_bucket="b",
        source_jobs="redis",
        worker_url=HEALTHY.removesuffix("/health"),
    )
    d1 = SimpleNamespace(
        query=lambda _: SimpleNamespace(rows=[[1]]),
        name=lambda: "d1",
        facts=lambda: SimpleNamespace(empty=True, tables=()),
    )
    monkeypatch.setattr(objects, "fingerprint", lambda *_: "empty")
    monkeypatch.setattr(keys, "fingerprint", lambda _: SimpleNamespace(keys=0))
    monkeypatch.setattr(keys, "facts", lambda _: SimpleNamespace(keys=1, address="redis", version="8"))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=9e9))
    monkeypatch.setattr(httpx, "get", answers({"http://here": httpx.Response(200), HEALTHY: httpx.Response(200)}))
    return SimpleNamespace(
        root=tmp_path,
        params=params,
        d1=d1,
        s3=None,
        kv=object(),
        redis=object(),
        broker=SimpleNamespace(dbsize=lambda: 0),
        run=SimpleNamespace(source=lambda _: tmp_path, folder=tmp_path),
        origin=SimpleNamespace(answers=lambda: "1 table", bytes=1),
        surfaces={"cache", "jobs"},
    )


UNMET: dict[str, Change] = {
    "RD001": lambda _, patch: patch.setattr(sys, "version_info", (3, 10)),
    "RD002": lambda bench, _: (bench.root / "environment.yml").write_text("- pip:\n  - httpx==0.1\n", "utf-8"),
    "RD003": lambda bench, _: (bench.root / "node_modules" / "miniflare" / "package.json").unlink(),
    "RD004": lambda bench, _: setattr(bench.origin, "answers", stop),
    "RD005": lambda bench, _: setattr(bench.run, "source", lambda _: bench.root / "nowhere"),
    "RD006": lambda bench, _: setattr(bench.d1, "query", stop),
    "RD007": lambda _, patch: patch.setattr(objects, "fingerprint", stop),
    "RD008": lambda bench, _: setattr(bench.origin, "bytes", 1 << 60),
    "RD009": lambda _, patch: patch.setattr(
        httpx,
        "get",
        answers(
            {
                "http://here": httpx.Response(200, headers={"date": "Sat, 01 Jan 2000 00:00:00 GMT"}),
                HEALTHY: httpx.Response(200),
            }
        ),
    ),
    "RD010": lambda _, patch: patch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=9e8)),
    "RD011": lambda bench, _: setattr(bench.d1, "facts", lambda: SimpleNamespace(empty=False, tables=("t",))),
    "RD012": lambda bench, _: subprocess.run(["rm", "-r", ".git"], cwd=bench.root, check=True),
    "RD013": lambda _, patch: patch.setattr(keys, "facts", stop),
    "RD014": lambda _, patch: patch.setattr(keys, "fingerprint", lambda _: SimpleNamespace(keys=7)),
    "RD015": lambda bench, _: setattr(bench.broker, "dbsize", stop),
    "RD016": lambda _, patch: patch.setattr(
        httpx, "get", answers({"http://here": httpx.Response(200), HEALTHY: httpx.Response(500)})
    ),
}


@pytest.mark.parametrize("code", UNMET)
def test_exactly_this_condition_is_not_met(bench: Any, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    codes = tuple(condition.code for condition in CONDITIONS)
    assert not_passed(look(bench, codes)) == set()
    with monkeypatch.context() as patch:
        UNMET[code](bench, patch)
        found = look(bench, codes)
    assert not_passed(found) == {code}
    assert all(bool(check.next) == (check.code == code) for check in found)
    assert set(UNMET) == set(ready.RULES)
