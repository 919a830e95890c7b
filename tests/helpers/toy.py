"""A tiny project `toy` with three phases and a runbook, for tests of plan, runs and cli."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

from towpath.plan.params import Params
from towpath.runs import run

RUNBOOK = """---
system: toy
title: A toy moves
steps:
  - {phase: 01-inventory, gate: none, minutes: 1}
  - {phase: 02-schema, gate: previous, approvers: 1, minutes: 1}
  - {phase: 03-export, gate: previous, minutes: 1}
---

# Toy

## When to use
In tests.

## Roles
None.

## Go/no-go
Go.

## Steps
Two.

## Point of no return
None.

## Roll back
Remove the folder.

## After
Nothing.
"""

# What of them is otherwise in staging, where writes need an account, its token and an approval.
STAGING = {
    "environment": "staging",
    "approved_plan": "",
    "cloudflare_api": "https://api.cloudflare.com/client/v4",
    "cloudflare_account": "0123456789abcdef0123456789abcdef",
    "cloudflare_token": "env:CLOUDFLARE_API_TOKEN",
    "d1_database_id": "11111111-2222-4333-8444-555555555555",
    "r2_endpoint": "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com",
}
PARAMS: dict[str, Any] = {
    "system": "toy",
    "environment": "local",
    "source_database": "build/toy/toy.sqlite",
    "source_files": "build/toy",
    "source_maintenance_switch": "build/toy/maintenance.json",
    "source_closed_cleanly": False,
    "cloudflare_api": "http://127.0.0.1:8787/cdn-cgi/local/explorer/api",
    "cloudflare_account": "",
    "cloudflare_token": "",
    "d1_database_id": "toy-local",
    "d1_database_name": "toy",
    "d1_plan": "free",
    "r2_endpoint": "http://127.0.0.1:8787/cdn-cgi/local/r2/s3",
    "r2_bucket": "toy-files",
    "r2_access_key": "file:build/local/toy-local/r2-access-key",
    "r2_secret_key": "file:build/local/toy-local/r2-secret-key",
    "approved_plan": "rehearsal",
    "approved_target": "",
    "run_id": "",
    "source_password": "",
    "source_cache": "",
    "source_cache_password": "",
    "source_jobs": "",
    "source_jobs_password": "",
    "kv_namespace_id": "",
    "worker_url": "",
    "worker_token": "",
}

PARAMS |= {name: field.default for name, field in Params.model_fields.items() if name not in PARAMS}


@dataclass(frozen=True)
class Toy:
    """A project on disk, and the words to change it."""

    root: Path

    def params(self, **changes: Any) -> dict[str, Any]:
        """Params as a mapping; a change to None removes the key."""
        return {key: value for key, value in {**PARAMS, **changes}.items() if value is not None}

    def write_params(self, file: str = "local", /, **changes: Any) -> Path:
        """params/toy/<file>.yaml with these changes."""
        path = self.root / "params" / "toy" / f"{file}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(self.params(**changes), sort_keys=False), encoding="utf-8")
        return path

    def write(self, name: str, text: str) -> Path:
        """A file under runbooks/toy/."""
        path = self.root / "runbooks" / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def notebook(self, phase: str, *cells: str, parameters: str | None = None) -> Path:
        """notebooks/<phase>.ipynb: the parameters cell, then these code cells."""
        if parameters is None:
            parameters = "\n".join(f"{key} = {value!r}" for key, value in self.params(approved_plan="").items())
        first = nbformat.v4.new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]})
        rest = [nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(cells)]
        kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
        path = self.root / "notebooks" / f"{phase}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=[first, *rest], metadata=kernel), path)
        return path

    def results(self) -> dict[str, Any]:
        """Every result in the only run, by stem."""
        found = sorted(self.root.glob("outputs/toy/*/*/*.result.json"))
        return {path.name.removesuffix(".result.json"): json.loads(path.read_text("utf-8")) for path in found}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    """A toy in a temporary folder that TOWPATH_ROOT names; what a test opened in it is not held any more at its end."""
    (tmp_path / "environment.yml").write_text("name: toy\n", encoding="utf-8")
    made = Toy(tmp_path)
    made.write("runbook.md", RUNBOOK)
    made.write("mapping.yaml", "system: toy\n")
    made.write("waivers.yaml", "[]\n")
    made.write_params()
    monkeypatch.setenv("TOWPATH_ROOT", str(tmp_path))
    monkeypatch.delenv("TOWPATH_ATTEMPT", raising=False)
    yield made
    for lock in run._locks.values():
        lock.release()
    run._locks.clear()
