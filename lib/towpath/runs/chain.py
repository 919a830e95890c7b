"""Do the seals of a run hold?  Each is of this run, follows the one before, is signed, and names what lies there.

One check for each thing that was looked at; what is wrong is said in a few words: changed, missing, added, broken
chain, wrong key, unsigned, not sealed, stale.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from towpath.checks import Check, Verdict
from towpath.errors import BadInput
from towpath.plan.ends import UNSIGNED
from towpath.runs.files import TEMPORARY, digest
from towpath.runs.folder import RunFolder
from towpath.runs.results import stem
from towpath.runs.seal import ENDING, GROWING, LIST, Seal, files_of, list_of, merged, read_seal, sealed
from towpath.runs.statement import params_digest
from towpath.signing.keys import PublicKey

WHOLE, SIGNED = "RN007", "RN008"
NOT_SEALED = "not sealed"
UNLISTED = "the runner was killed before it listed the newest seal"
LEFT = "left behind: the runner was killed while it wrote"
_RESTORE = "restore the file from where the record is kept, or run the phase again"


class Digests:
    """SHA-256 and bytes of the files of a folder, each read once; "" for what cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, tuple[str, int]] = {}

    def of(self, name: str) -> tuple[str, int]:
        """The digest of a file by its path in the folder; ("", 0) where there is none."""
        if name not in self._known:
            try:
                self._known[name] = digest(self.folder / name)
            except OSError:
                self._known[name] = ("", 0)
        return self._known[name]


def check_seals(
    folder: RunFolder, digests: Digests, key: PublicKey | None, later: Mapping[str, str] | None = None
) -> Iterator[Check]:
    """Look at every seal of a run, and at every file that they name.

    `key` is the one that must have signed; without it, each seal is held against the key that it names itself.
    `later` are files, with digests, that approvals vouch for which were given after the last seal.
    """
    names = sealed(folder)
    must = key is not None or _identity(folder)["environment"] not in UNSIGNED
    if not names:
        yield _found(
            "the run", "sealed", f"{NOT_SEALED}: no attempt has an envelope", Verdict.FAIL if must else _LENIENT
        )
        return
    seals: list[Seal] = []
    previous = ""
    for name in names:
        try:
            seal = read_seal(folder.path, name)
        except BadInput as error:
            yield _found(f"{name}{ENDING}", "the seal of an attempt", f"changed: {error.what}")
            previous = digests.of(f"{name}{ENDING}")[0]
            continue
        yield from _one(folder, seal, previous, key)
        seals.append(seal)
        previous = seal.digest
    if not _same(folder.path / LIST, listed := list_of(folder)):
        without_last = b"".join(listed.splitlines(keepends=True)[:-1])
        is_behind = _same(folder.path / LIST, without_last) or not (without_last or (folder.path / LIST).exists())
        found = (
            f"{UNLISTED}; the next attempt does" if is_behind else "changed: it does not name the seals that lie here"
        )
        yield _found(LIST, "the digests of all seals", found)
    digests_said = {**merged(seals), **(later or {})}
    unsealed = [
        one
        for one in (stem(*attempt) for attempt in folder.attempts())
        if one not in names and f"{one}.result.json" not in digests_said
    ]
    for one in unsealed:
        found = (
            f"{NOT_SEALED}: it was killed, or ran without `towpath run`; the next phase of `towpath run` seals it too"
        )
        yield _found(one, "sealed", found)
    yield from _files(folder, digests, digests_said, is_open=bool(unsealed))


def _one(folder: RunFolder, seal: Seal, previous: str, key: PublicKey | None) -> Iterator[Check]:
    name = f"{seal.stem}{ENDING}"
    says = seal.predicate
    try:
        result = folder.result(str(says.get("phase")), int(says.get("attempt") or 0))
        expected = {**_identity(folder), "verdict": str(result.verdict), "started": result.started}
        expected |= {"ended": result.ended, "params": _params(folder.path)}
    except (BadInput, ValueError, TypeError):
        expected = _identity(folder)
    other = [word for word, value in expected.items() if says.get(word) != value]
    if stem(str(says.get("phase")), int(says.get("attempt") or 0)) != seal.stem:
        other.insert(0, "attempt")
    found = f"another {', '.join(other)}" if other else "yes"
    yield _found(name, "of this attempt, run and plan", found, Verdict.FAIL if other else Verdict.PASS)
    is_next = says.get("previous") == previous
    found = "yes" if is_next else "broken chain: a seal before it was changed, removed or added"
    yield _found(name, "follows the seal before it", found, Verdict.PASS if is_next else Verdict.FAIL)
    yield _signed(folder, seal, name, key)


def _signed(folder: RunFolder, seal: Seal, name: str, key: PublicKey | None) -> Check:
    expected = f"signed by {key.name}" if key else "signed"
    if not seal.is_signed:
        is_allowed = key is None and _identity(folder)["environment"] in UNSIGNED
        return _found(name, expected, "unsigned", _LENIENT if is_allowed else Verdict.FAIL, SIGNED)
    own = seal.signer
    if own is None or not seal.is_signed_by(own):
        return _found(name, expected, "changed: its signature does not fit", Verdict.FAIL, SIGNED)
    if key is not None and key != own:
        return _found(name, expected, f"wrong key: signed by {own.name}", Verdict.FAIL, SIGNED)
    return _found(name, expected, f"signed by {own.name}", Verdict.PASS, SIGNED)


def _files(folder: RunFolder, digests: Digests, said: Mapping[str, str], *, is_open: bool) -> Iterator[Check]:
    """Each file against the newest seal that names it; `is_open`: an attempt came after the last seal."""
    there = files_of(folder.path)
    for name, expected in sorted(said.items()):
        if is_open and name in GROWING:
            continue
        sha256, size = digests.of(name) if name in there else ("", 0)
        if not sha256:
            yield _found(name, f"sha256 {expected[:12]}…", "missing")
        elif sha256 != expected:
            yield _found(name, f"sha256 {expected[:12]}…", f"changed: {size} bytes, sha256 {sha256[:12]}…")
        else:
            yield _found(name, f"sha256 {expected[:12]}…", "unchanged", Verdict.PASS)
    strange = sorted(there.keys() - said.keys()) if not is_open else []
    known = {f"{name}{ENDING}" for name in sealed(folder)}
    strange += sorted(path.name for path in folder.path.glob(f"*{ENDING}") if path.name not in known)
    for name in strange:
        is_left = TEMPORARY.search(name)
        yield _found(
            name, "named by a seal", f"{LEFT}; the next seal names it" if is_left else "added: no seal names it"
        )


def _identity(folder: RunFolder) -> dict[str, str]:
    head = folder.head
    return {word: str(head.get(word, "")) for word in ("system", "environment", "run", "plan")}


def _params(folder: Path) -> str:
    try:
        return params_digest(json.loads((folder / "plan.json").read_bytes())["params"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _same(path: Path, expected: bytes) -> bool:
    try:
        return path.read_bytes() == expected
    except OSError:
        return False


_LENIENT = Verdict.WARN


def _found(name: str, expected: str, found: str, verdict: Verdict = Verdict.FAIL, code: str = WHOLE) -> Check:
    step = _RESTORE if verdict is Verdict.FAIL else ""
    return Check(code, "run", name, expected, found, verdict, step)
