"""Seals: `<stem>.dsse.json` beside each attempt, a chain of signed statements about every file of the run.

A seal names the files that are new or were changed since the seal before it, and that seal's own digest.  All seals of
a run together name every file of it; `seals.sha256` names the seals, so that an unsigned one cannot change unseen.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.errors import BadInput, WrongUse
from towpath.plan.ends import UNSIGNED
from towpath.plan.plan import Plan
from towpath.runs.files import digest, write_bytes
from towpath.runs.folder import RunFolder
from towpath.runs.redaction import redact_value
from towpath.runs.results import PhaseResult, now, stem
from towpath.runs.statement import KIND, Stated, phase_predicate
from towpath.secrets import Secret
from towpath.signing.envelope import Envelope, Signature, payload_of, read_envelope
from towpath.signing.keys import PublicKey, Signer, load_signer, public_from

ENDING = ".dsse.json"
LIST = "seals.sha256"
SETTING = "TOWPATH_SIGNING_KEY"  # an environment variable that holds a reference, env:NAME or file:PATH
GROWING = frozenset({"run.json", "journal.jsonl", "index.html"})  # what every attempt writes anew
APPROVALS = "approvals"


@dataclass(frozen=True, slots=True)
class Seal(Stated):
    """One envelope of a run, read."""

    stem: str
    digest: str
    envelope: Envelope
    statement: Mapping[str, Any]

    @property
    def signer(self) -> PublicKey | None:
        """The key that it says it is signed with; only a signature over it proves that."""
        return public_from(str(self.predicate.get("signer", "")))

    @property
    def is_signed(self) -> bool:
        """True when it bears a signature, right or wrong."""
        return bool(self.envelope.signatures)

    def is_signed_by(self, key: PublicKey) -> bool:
        """True when it bears a right signature of this key and of no other."""
        signed = self.envelope.signed_bytes
        return self.is_signed and all(
            one.key == key.name and key.signed(one.value, signed) for one in self.envelope.signatures
        )


def signer_for(environment: str, root: Path, reference: str = "") -> Signer | None:
    """The key that `reference`, or else TOWPATH_SIGNING_KEY, refers to; None without one, in local alone.

    Raises WrongUse (RN008) in staging and production without one, and for a key that cannot be used.
    """
    reference = reference or os.environ.get(SETTING, "")
    if reference:
        return load_signer(Secret(reference, root))
    if environment not in UNSIGNED:
        step = f"set {SETTING} to env:NAME or file:PATH of an ed25519 key"
        raise WrongUse(f"a record in {environment} is signed; {SETTING} is empty", next=step, code="RN008")
    return None


def read_seal(folder: Path, name: str) -> Seal:
    """The seal of an attempt, by its stem.  Raises BadInput when it is missing or is none."""
    path = folder / f"{name}{ENDING}"
    try:
        data = path.read_bytes()
        envelope = read_envelope(data)
        statement = envelope.statement()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise BadInput(f"cannot be read: {reason}", object=path.name, next="restore the file") from None
    if statement["predicateType"] != KIND:
        raise BadInput("is about something else than a phase", object=path.name, next="restore the file")
    return Seal(name, hashlib.sha256(data).hexdigest(), envelope, statement)


def sealed(folder: RunFolder) -> list[str]:
    """The stems of the attempts that have an envelope, in the order of their attempts."""
    stems = [stem(phase, attempt) for phase, attempt in folder.attempts()]
    return [name for name in stems if (folder.path / f"{name}{ENDING}").is_file()]


def readable_seals(folder: RunFolder) -> list[Seal]:
    """The seals of a run in order, without those that cannot be read."""
    found = []
    for name in sealed(folder):
        try:
            found.append(read_seal(folder.path, name))
        except BadInput:
            continue
    return found


def is_signed_key(folder: RunFolder, name: str) -> bool:
    """True when a key with this fingerprint sealed an attempt of the run."""
    return any(one.key == name for seal in readable_seals(folder) for one in seal.envelope.signatures)


def merged(seals: Iterable[Seal]) -> dict[str, str]:
    """The digest that each file must have: the newest word, but the first about what no later attempt may change."""
    digests: dict[str, str] = {}
    for seal in seals:
        for name, sha256 in seal.subjects.items():
            if name not in digests or not is_fixed(name):
                digests[name] = sha256
    return digests


def is_fixed(name: str) -> bool:
    """True for a file that is written once: results, pages, notebooks, the plan, approvals."""
    return name.startswith(f"{APPROVALS}/") or ("/" not in name and name not in GROWING)


def files_of(folder: Path) -> dict[str, Path]:
    """Every file of a run that a seal must name, by its path in the folder with forward slashes."""
    found: dict[str, Path] = {}
    for home, _, names in os.walk(folder):
        for name in names:
            path = Path(home, name)
            relative = path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()
            if relative != LIST and not ("/" not in relative and relative.endswith(ENDING)):
                found[relative] = path
    return found


def seal_attempt(
    root: Path,
    folder: RunFolder,
    plan: Plan,
    result: PhaseResult,
    signer: Signer | None,
    approvals: Sequence[Mapping[str, str]] = (),
) -> Path:
    """Write the envelope of an attempt that has ended, and return its path.  Raises CannotFinish."""
    before = sealed(folder)
    previous, since = "", 0.0
    if before:
        last = folder.path / f"{before[-1]}{ENDING}"
        previous, since = digest(last)[0], 0.0 if _clock_went_back(folder, before[-1], result) else last.stat().st_mtime
    subjects = _touched(folder, result, merged(readable_seals(folder)), since)
    public = signer.public if signer else None
    predicate = phase_predicate(root, plan, result, previous=previous, sealed=now(), signer=public, approvals=approvals)
    payload = payload_of(subjects, KIND, redact_value(predicate))
    envelope = Envelope(payload)
    if signer is not None:
        envelope = Envelope(payload, (Signature(signer.public.name, signer.sign(envelope.signed_bytes)),))
    path = folder.path / f"{result.stem}{ENDING}"
    write_bytes(path, envelope.text.encode())  # base64: scrubbing it would break it, and the payload is redacted
    write_bytes(folder.path / LIST, list_of(folder))
    return path


def _clock_went_back(folder: RunFolder, last: str, result: PhaseResult) -> bool:
    """True when the attempt began before the last seal was made: no time tells any more what is new."""
    try:
        return result.started < str(read_seal(folder.path, last).predicate.get("sealed", ""))
    except BadInput:
        return True


def list_of(folder: RunFolder) -> bytes:
    """What seals.sha256 must hold: a line for each envelope, as `sha256sum --check` reads it."""
    names = [f"{name}{ENDING}" for name in sealed(folder)]
    return "".join(f"{digest(folder.path / name)[0]}  {name}\n" for name in names).encode()


def _touched(folder: RunFolder, result: PhaseResult, known: Mapping[str, str], since: float) -> dict[str, str]:
    """The files of this attempt: what no seal names yet, what changed since the last one, what the result names.

    The digest of an artefact is the one that the result notes, so that large files are not read once more.
    """
    subjects = {artefact.path: artefact.sha256 for artefact in result.artefacts}
    for name, path in files_of(folder.path).items():
        if name in subjects:
            continue
        is_new = name not in known
        if is_new or name in GROWING or (not is_fixed(name) and path.lstat().st_ctime >= since):
            subjects[name] = digest(path)[0]
    return subjects
