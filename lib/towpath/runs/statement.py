"""What the seal of an attempt says: the files with their digests, and under which circumstances they were made."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from towpath.checks import Verdict
from towpath.plan.plan import Plan
from towpath.runs.results import PhaseResult
from towpath.signing.envelope import canonical
from towpath.signing.keys import PublicKey

KIND = "urn:towpath:phase:v1"
GIT_SECONDS = 60


class Stated:
    """What holds a statement, read."""

    __slots__ = ()
    statement: Mapping[str, Any]

    @property
    def predicate(self) -> Mapping[str, Any]:
        """What it says."""
        return dict(self.statement["predicate"])

    @property
    def subjects(self) -> dict[str, str]:
        """The files that it names, with SHA-256."""
        return {one["name"]: one["digest"]["sha256"] for one in self.statement["subject"]}


def phase_predicate(
    root: Path,
    plan: Plan,
    result: PhaseResult,
    *,
    previous: str,
    sealed: str,
    signer: PublicKey | None,
    approvals: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """The predicate of an attempt.

    `previous` is the SHA-256 of the envelope before this one ("" for the first), `approvals` are those that were
    counted before the attempt began.
    """
    return {
        "system": result.system,
        "environment": result.environment,
        "run": result.run,
        "phase": result.phase,
        "attempt": result.attempt,
        "plan": result.plan,
        "params": params_digest(plan.params.planned()),
        "source": source_state(root),
        "versions": versions(root),
        "started": result.started,
        "ended": result.ended,
        "sealed": sealed,
        "verdict": str(result.verdict),
        "waivers": waivers_used(result),
        "approvals": [dict(one) for one in approvals],
        "previous": previous,
        "signer": signer.line if signer else "",
    }


def params_digest(params: Any) -> str:
    """SHA-256 of the params that belong to the plan, as canonical JSON."""
    return hashlib.sha256(canonical(params).encode().removesuffix(b"\n")).hexdigest()


def waivers_used(result: PhaseResult) -> list[dict[str, str]]:
    """Each loss that a waiver accepted in this attempt."""
    waived = [check for check in result.checks if check.verdict is Verdict.WAIVED]
    return [{"code": c.code, "object": c.object, "found": c.found, "accepted": c.expected} for c in waived]


def source_state(root: Path) -> dict[str, Any]:
    """The commit of the project, and whether files were changed since; both empty outside of git."""
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return {"commit": "", "dirty": None}
    changed = _git(root, "status", "--porcelain")
    return {"commit": commit.strip(), "dirty": bool(changed) if changed is not None else None}


def versions(root: Path) -> dict[str, Any]:
    """The versions of Python, of Towpath, and of the npm packages that the project pins."""
    try:
        npm = json.loads((root / "package.json").read_bytes()).get("dependencies") or {}
    except (OSError, ValueError, AttributeError):
        npm = {}
    try:
        own = metadata.version("towpath")
    except metadata.PackageNotFoundError:
        own = ""
    return {"python": platform.python_version(), "towpath": own, "npm": {str(k): str(v) for k, v in npm.items()}}


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
