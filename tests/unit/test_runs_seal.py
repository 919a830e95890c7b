"""Seals with real kernels: any byte of any file is missed when it changes, also where nobody signed."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from towpath.checks import Check, Verdict
from towpath.cli.command import run_command
from towpath.errors import TowpathError
from towpath.runs.folder import RunFolder
from towpath.runs.seal import read_seal
from towpath.runs.verification import verify_run
from towpath.signing.keys import PublicKey, load_public

OPEN = "from towpath.runs.run import open_run\nrun = open_run({phase!r}, vars())\nrun.identify(source='s', target='t')"
PASSES = "run.check('TB401', 'tables', 'tasks', 3, 3, True)"
WRITES = "run.write_json('snapshot/manifest.json', {'rows': 3})\nrun.log('written')"
PHASES = ("01-inventory", "02-schema", "03-export")
EDITS = int(os.environ.get("EDITS", "400"))  # `make edits` asks for 10,000


def key(folder: Path, name: str) -> Path:
    """A private key in PEM's place; `<name>.pub` is its public half."""
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
    return path


def record(toy: Any, **cells: tuple[str, ...]) -> Path:
    """Run the toy's three phases and return the run folder; the cells of i01, i02, i03 can be given."""
    for phase in PHASES:
        middle = cells.get(f"i{phase[:2]}", (PASSES, WRITES, "run.close()"))
        toy.notebook(phase, OPEN.format(phase=phase), *middle)
    run_command(["run", "toy", "--env", "local"])
    (folder,) = (toy.root / "outputs" / "toy" / "local").glob("*Z-*")
    return Path(folder)


@pytest.fixture
def signed(toy: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A signed record; its public key is signing.pub in the project."""
    key(toy.root, "signing")
    monkeypatch.setenv("TOWPATH_SIGNING_KEY", "file:signing")
    return record(toy)


def wrong(folder: Path, public: PublicKey | None = None) -> dict[str, Check]:
    """What verify says is wrong, by object, the first word on each."""
    names = folder.parts[-3:]
    found = [c for c in verify_run(RunFolder(folder, *names), public) if c.verdict is Verdict.FAIL]
    return {check.object: check for check in reversed(found)}


def is_missed(folder: Path) -> bool:
    """False when verify sees that something is wrong."""
    try:
        return not wrong(folder)
    except TowpathError:
        return False


def test_a_signed_record_says_who_made_what_and_follows_its_own_chain(signed: Path, toy: Any) -> None:
    public = load_public(toy.root / "signing.pub")
    assert wrong(signed) == {}
    assert wrong(signed, public) == {}
    previous = ""
    for phase in PHASES:
        seal = read_seal(signed, phase)
        says = seal.predicate
        assert seal.is_signed_by(public)
        assert says["previous"] == previous
        previous = seal.digest
        result = json.loads((signed / f"{phase}.result.json").read_text(encoding="utf-8"))
        for word in ("system", "environment", "run", "phase", "attempt", "plan", "started", "ended", "verdict"):
            assert says[word] == result[word], word
        assert set(says["versions"]) == {"python", "towpath", "npm"}
        assert set(says["source"]) == {"commit", "dirty"}
        named = {f"{phase}.ipynb", f"{phase}.html", f"{phase}.result.json", f"{phase}.checks.json"}
        assert {*named, "run.json", "journal.jsonl", "index.html"} <= set(seal.subjects)
    secret = (toy.root / "signing").read_text(encoding="utf-8").splitlines()[3]  # the line with the private half
    kept = [path.read_bytes() for path in signed.rglob("*") if path.is_file()]
    assert not any(secret.encode() in data for data in [*kept, read_seal(signed, "03-export").envelope.payload])
    assert "plan.json" in read_seal(signed, "01-inventory").subjects
    assert "plan.json" not in read_seal(signed, "02-schema").subjects
    assert run_command(["verify", signed.name, "--key", str(toy.root / "signing.pub")]) == 0
    done = subprocess.run(["sha256sum", "--check", "--quiet", "seals.sha256"], cwd=signed, check=False)
    assert done.returncode == 0


def test_each_kind_of_damage_is_said_in_one_line(signed: Path, toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    public = load_public(toy.root / "signing.pub")
    other = load_public(key(toy.root, "other").with_name("other.pub"))
    whole = toy.root / "whole"
    shutil.copytree(signed, whole)

    def damaged(said: dict[str, str], public: PublicKey | None = public) -> None:
        found = {name: check.found.partition(":")[0] for name, check in wrong(signed, public).items()}
        assert found == said
        shutil.rmtree(signed)
        shutil.copytree(whole, signed)

    (signed / "snapshot/manifest.json").write_text("{}")
    damaged({"snapshot/manifest.json": "changed"})
    (signed / "02-schema.html").unlink()
    damaged({"02-schema.html": "missing"})
    (signed / "snapshot/more.json").write_text("{}")
    damaged({"snapshot/more.json": "added"})
    (signed / "09-more.dsse.json").write_text((signed / "03-export.dsse.json").read_text())
    damaged({"09-more.dsse.json": "added"})
    (signed / "01-inventory.dsse.json").unlink()
    found = wrong(signed, public)
    assert found["02-schema.dsse.json"].found.startswith("broken chain")
    damaged({name: check.found.partition(":")[0] for name, check in found.items()})
    (signed / "03-export.dsse.json").unlink()
    assert wrong(signed, public)["03-export"].found.startswith("not sealed")
    damaged({"03-export": "not sealed", "seals.sha256": "changed"})
    damaged({f"{phase}.dsse.json": "wrong key" for phase in PHASES}, other)
    shutil.copy(signed / "01-inventory.result.json", signed / "02-schema.result.json")
    assert "changed" in wrong(signed, public)["02-schema.result.json"].found
    damaged({name: check.found.partition(":")[0] for name, check in wrong(signed, public).items()})

    capsys.readouterr()
    (signed / "snapshot/manifest.json").write_text("{}")
    assert run_command(["verify", str(signed), "--key", str(toy.root / "signing.pub")]) == 1
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert said[0].startswith("FAIL snapshot/manifest.json: changed: 2 bytes")


def test_a_forged_result_with_a_seal_of_another_key_is_found(signed: Path, toy: Any) -> None:
    """Who can write into the folder can make it whole again, but not under the key."""
    public = load_public(toy.root / "signing.pub")
    text = (signed / "03-export.dsse.json").read_text()
    envelope = json.loads(text)
    envelope["signatures"] = []
    (signed / "03-export.dsse.json").write_text(json.dumps(envelope, sort_keys=True, separators=(",", ":")) + "\n")
    found = wrong(signed, public)
    assert found["03-export.dsse.json"].found == "unsigned"


def test_any_byte_that_changes_is_seen(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """An unsigned record is the harder one: no signature stands over its newest seal."""
    folder = record(toy)
    assert wrong(folder) == {}
    assert "seal     unsigned" in capsys.readouterr().out
    assert run_command(["verify", folder.name]) == 0
    assert "WARN 01-inventory.dsse.json, 02-schema.dsse.json, 03-export.dsse.json: unsigned" in capsys.readouterr().out
    chance = random.Random(6)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) > 15
    missed = []
    for number in range(EDITS):
        path = files[number % len(files)] if number < 2 * len(files) else chance.choice(files)
        data = path.read_bytes()
        place = chance.randrange(len(data))
        byte = bytes([data[place] ^ chance.randrange(1, 256)])
        kind = chance.choice(("changed", "changed", "removed", "added"))
        after = {"changed": byte + data[place + 1 :], "removed": data[place + 1 :], "added": byte + data[place:]}[kind]
        path.write_bytes(data[:place] + after)
        if is_missed(folder):
            missed.append(f"{path.name}: byte {place} {kind}")
        path.write_bytes(data)
    assert missed == []
    assert wrong(folder) == {}


def test_attempts_that_fail_or_break_are_sealed_too(toy: Any) -> None:
    fails = ("run.check('TB301', 'tables', 'tasks', 'kept', 'lost', False, 'look')", "run.close()")
    folder = record(toy, i02=fails)
    assert read_seal(folder, "02-schema").predicate["verdict"] == "FAIL"
    toy.notebook("02-schema", OPEN.format(phase="02-schema"), "raise RuntimeError('the target answered 500')")
    assert run_command(["run", "toy", "--env", "local", "--phase", "02-schema"]) == 2
    assert read_seal(folder, "02-schema.2").predicate["verdict"] == "INCOMPLETE"
    assert wrong(folder) == {}


def test_staging_and_production_demand_a_key(
    toy: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.write_params("staging", environment="staging", approved_plan="")
    record(toy)
    capsys.readouterr()
    assert run_command(["run", "toy", "--env", "staging", "--phase", "01-inventory"]) == 3
    said = capsys.readouterr().err
    assert "RN008 a record in staging is signed; TOWPATH_SIGNING_KEY is empty. Next: set" in said
    assert not (toy.root / "outputs" / "toy" / "staging").exists()
    key(toy.root, "signing")
    monkeypatch.setenv("TOWPATH_SIGNING_KEY", "file:nosuch")
    assert run_command(["run", "toy", "--env", "staging", "--phase", "01-inventory"]) == 3
    monkeypatch.setenv("TOWPATH_SIGNING_KEY", "file:signing")
    assert run_command(["run", "toy", "--env", "staging", "--phase", "01-inventory"]) == 0
    (folder,) = (toy.root / "outputs" / "toy" / "staging").glob("*Z-*")
    assert wrong(folder) == {}
    (folder / "01-inventory.dsse.json").unlink()
    assert wrong(folder)["the run"].found.startswith("not sealed")
