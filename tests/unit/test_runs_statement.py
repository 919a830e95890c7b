"""What a seal says is all that the issue of records asks for, and each of it is true."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from towpath.checks import Check, Verdict
from towpath.plan.params import params_from
from towpath.plan.plan import make_plan
from towpath.runs.folder import RunFolder
from towpath.runs.results import now
from towpath.runs.seal import read_seal, seal_attempt
from towpath.runs.statement import phase_predicate, source_state

WORDS = {  # of the statement, by what the issue calls it
    "phase": ("phase", "attempt"),
    "environment": ("system", "environment", "run"),
    "plan hash": ("plan",),
    "parameters hash": ("params",),
    "source commit and dirty flag": ("source",),
    "versions": ("versions",),
    "started": ("started",),
    "ended": ("ended", "sealed"),
    "verdict": ("verdict",),
    "waivers used": ("waivers", "approvals"),
    "previous record's digest": ("previous",),
    "who sealed it": ("signer",),
}


def git(toy: Any, *words: str) -> str:
    author = ["-c", "user.name=toy", "-c", "user.email=toy@example.org"]
    done = subprocess.run(["git", *author, *words], cwd=toy.root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def sealed(toy: Any) -> RunFolder:
    """Two sealed attempts; the second one used a waiver."""
    (toy.root / "package.json").write_text('{"dependencies": {"miniflare": "5.1.2"}}')
    (toy.root / ".gitignore").write_text("outputs/\n")
    git(toy, "init", "-q")
    git(toy, "add", ".")
    git(toy, "commit", "-q", "-m", "a toy")
    plan = make_plan(params_from(toy.params()), toy.root)
    folder = RunFolder.create(toy.root, plan)
    for phase, verdict in (("01-inventory", Verdict.PASS), ("02-schema", Verdict.WAIVED)):
        checks = (Check("TB203", "tables", "tasks", "waived: exactly 2, by ana", "2 rows", verdict),)
        result = replace(folder.begin(plan, phase, "rehearsal"), verdict=Verdict.PASS, checks=checks, ended=now())
        seal_attempt(toy.root, folder, plan, result, None)
        (toy.root / "runbooks/toy/note.md").write_text("the project was changed after the first phase")
    return folder


def test_a_statement_has_every_word_and_no_other(sealed: RunFolder) -> None:
    says = read_seal(sealed.path, "02-schema").predicate
    assert set(says) == {word for words in WORDS.values() for word in words}


def test_each_word_of_a_statement_is_true(sealed: RunFolder, toy: Any) -> None:
    first, second = (read_seal(sealed.path, phase) for phase in ("01-inventory", "02-schema"))
    says = second.predicate
    assert (says["system"], says["environment"], says["run"]) == ("toy", "local", sealed.run_id)
    assert (says["phase"], says["attempt"], says["verdict"]) == ("02-schema", 1, "PASS")
    plan = (sealed.path / "plan.json").read_bytes().removesuffix(b"\n")
    assert says["plan"] == hashlib.sha256(plan).hexdigest() == sealed.plan_hash
    params = json.dumps(json.loads(plan)["params"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert says["params"] == hashlib.sha256(params.encode()).hexdigest()
    assert first.predicate["source"] == {"commit": git(toy, "rev-parse", "HEAD"), "dirty": False}
    assert says["source"] == {"commit": git(toy, "rev-parse", "HEAD"), "dirty": True}
    assert says["versions"]["python"] == platform.python_version()
    assert says["versions"]["npm"] == {"miniflare": "5.1.2"}
    assert says["started"] < says["ended"] <= says["sealed"]
    assert first.predicate["waivers"] == []
    assert says["waivers"] == [
        {"code": "TB203", "object": "tasks", "found": "2 rows", "accepted": "waived: exactly 2, by ana"}
    ]
    assert (first.predicate["previous"], says["previous"]) == ("", first.digest)
    assert says["signer"] == ""


def test_params_are_hashed_and_not_repeated(toy: Any, sealed: RunFolder) -> None:
    """Two plans that differ in one param differ in that hash, and no value of a param is in the statement."""
    result = sealed.result("01-inventory", 1)
    said = []
    for bucket in ("toy-files", "canary-files"):
        plan = make_plan(params_from(toy.params(r2_bucket=bucket)), toy.root)
        said.append(phase_predicate(toy.root, plan, result, previous="", sealed=now(), signer=None))
    assert said[0]["params"] != said[1]["params"]
    assert "canary" not in json.dumps(said)


def test_outside_of_git_the_commit_is_empty_and_not_clean(toy: Any) -> None:
    assert source_state(toy.root) == {"commit": "", "dirty": None}
