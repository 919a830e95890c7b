"""Approvals: what people signed after they had read the record so far, and how many of them still stand.

An approval names the plan, its waivers, and the result and seal of every attempt up to then.  Whatever of that changes,
a new attempt included, voids it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.errors import BadInput, WrongUse
from towpath.plan.ends import UNSIGNED
from towpath.plan.plan import Plan
from towpath.runs.files import digest
from towpath.runs.folder import RunFolder
from towpath.runs.results import stem
from towpath.runs.seal import APPROVALS, ENDING, is_signed_key
from towpath.runs.statement import Stated
from towpath.signing.envelope import Envelope, canonical, read_envelope
from towpath.signing.keys import public_from
from towpath.signing.signers import FILE, is_signed_by, signer_name

KIND = "urn:towpath:approval:v1"
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")


@dataclass(frozen=True, slots=True)
class Approval(Stated):
    """One approval of a run, read.  Its subjects: what was approved, and the page of the run as it stood afterwards."""

    path: str  # in the run folder
    sha256: str
    envelope: Envelope
    statement: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Who says to have approved."""
        return str(self.predicate.get("name", ""))

    @property
    def time(self) -> str:
        """When, in UTC."""
        return str(self.predicate.get("time", ""))

    @property
    def key(self) -> str:
        """The fingerprint of the key that signed it; "" when the signature does not fit."""
        return signer_name(self.envelope, public_from(str(self.predicate.get("signer", ""))))


def facts(folder: RunFolder) -> dict[str, str]:
    """What every approval of a run names besides its files: run, plan and waivers.  Raises BadInput."""
    try:
        text = (folder.path / "plan.json").read_bytes().removesuffix(b"\n")
        waivers = json.loads(text)["waivers"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput("is no plan", object=str(folder.path / "plan.json"), next="restore the file") from None
    head = folder.head
    return {
        **{word: str(head.get(word, "")) for word in ("system", "environment", "run")},
        "plan": hashlib.sha256(text).hexdigest(),
        "waivers": hashlib.sha256(canonical(waivers).encode()).hexdigest(),
    }


def evidence(folder: RunFolder, without: str = "") -> dict[str, str]:
    """Result and seal of every attempt with their SHA-256; `without` is the stem of one that is just being opened."""
    found = {}
    for name in (stem(*attempt) for attempt in folder.attempts()):
        for ending in (".result.json", ENDING):
            path = folder.path / f"{name}{ending}"
            if name != without and path.is_file():
                found[path.name] = digest(path)[0]
    return found


def read_approval(folder: Path, path: Path) -> Approval:
    """The approval in a file.  Raises BadInput when it is none."""
    try:
        data = path.read_bytes()
        envelope = read_envelope(data)
        statement = envelope.statement()
    except OSError:
        raise BadInput("cannot be read", object=path.name, next="restore the file") from None
    if statement["predicateType"] != KIND:
        raise BadInput("is no approval", object=path.name, next="restore the file")
    return Approval(path.relative_to(folder).as_posix(), hashlib.sha256(data).hexdigest(), envelope, statement)


def approvals_of(folder: RunFolder) -> tuple[list[Approval], list[str]]:
    """The approvals of a run in the order of their times, and the files that are none."""
    found, broken = [], []
    for path in sorted((folder.path / APPROVALS).glob("*")):
        try:
            found.append(read_approval(folder.path, path))
        except BadInput:
            broken.append(path.relative_to(folder.path).as_posix())
    return sorted(found, key=lambda one: (one.time, one.path)), broken


def void_because(folder: RunFolder, approval: Approval, without: str = "") -> str:
    """What changed since somebody approved; "" while the approval stands."""
    for word, value in facts(folder).items():
        if approval.predicate.get(word) != value:
            return f"it approves another {word}"
    then = {name: sha256 for name, sha256 in approval.subjects.items() if name != "index.html"}
    now = evidence(folder, without)
    for name in [*now, *sorted(then.keys() - now.keys())]:
        short = name.removesuffix(".result.json").removesuffix(ENDING)
        if name not in then:
            return f"{short} ran since" if f"{short}.result.json" not in then else f"{name} was added since"
        if then[name] != now.get(name):
            return f"{name} was {'changed' if name in now else 'removed'} since"
    return "" if approval.key else "its signature does not fit"


def check_approvals(root: Path, folder: RunFolder, plan: Plan, phase: str, opening: str = "") -> tuple[Approval, ...]:
    """The approvals that let a phase start: as many as its step demands, by different people with different keys.

    They count in staging and production, for a real run: a dry run needs none.  `opening` is the stem of the attempt
    that the runner has opened for it.  Raises WrongUse (RN009) when there are too few.
    """
    wanted = plan.runbook.step(phase).approvers
    if plan.environment in UNSIGNED or not wanted or not plan.approved:
        return ()
    signers = root / "params" / plan.system / FILE
    found, broken = approvals_of(folder)
    counted: dict[str, Approval] = {}
    against = [f"{path} is no approval" for path in broken]
    if not signers.is_file():
        against.append(f"there is no params/{plan.system}/{FILE}, which says who may approve: copy {FILE}.example")
    keys: set[str] = set()
    for approval in found:
        reason = void_because(folder, approval, opening)
        if not reason and not NAME.match(approval.name):
            reason = "it bears no name"
        if not reason and not is_signed_by(approval.envelope, approval.name, signers):
            reason = f"{signers.name} does not list that key for that name"
        if not reason and is_signed_key(folder, approval.key):
            reason = "the key that seals the record does not approve it"
        if not reason and (approval.name in counted or approval.key in keys):
            reason = "the same name or key counts once"
        if reason:
            against.append(f"{approval.name}: {reason}")
            continue
        counted[approval.name] = approval
        keys.add(approval.key)
    if len(counted) < wanted:
        names = ", ".join(counted) or "none"
        more = f"; not counted: {'; '.join(against)}" if against else ""
        raise WrongUse(
            f"{len(counted)} of {wanted} approvals of this plan, its waivers and the record so far ({names}{more})",
            object=phase,
            next=f"read the record, then: towpath approve {folder.run_id} --as NAME --key KEY",
            code="RN009",
        )
    return tuple(counted.values())


def counted_rows(root: Path, system: str, approvals: tuple[Approval, ...]) -> list[dict[str, str]]:
    """Approvals as the seal of the attempt that they let start notes them."""
    if not approvals:
        return []
    signers = digest(root / "params" / system / FILE)[0]
    return [
        {"name": one.name, "key": one.key, "path": one.path, "sha256": one.sha256, "signers": signers}
        for one in approvals
    ]
