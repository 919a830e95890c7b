"""Who signed a run, for its page: the seal of each attempt, and each approval with what has become of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from towpath.errors import TowpathError
from towpath.runs.approvals import Approval, approvals_of, void_because
from towpath.runs.folder import RunFolder
from towpath.runs.results import stem
from towpath.runs.seal import ENDING, Seal, read_seal

SIGNED, UNSIGNED, OPEN = "signed by", "sealed, unsigned", "not sealed"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the page says: rows for its tables, and one sentence for its head."""

    seals: tuple[tuple[str, str], ...]  # attempt, its state in words
    approvals: tuple[tuple[str, str, str, str], ...]  # name, key, time, its state in words
    sentence: str


def standing(
    folder: Path, sealing: tuple[str, str] | None = None, approval: tuple[str, str, str, str] | None = None
) -> Standing:
    """Read who signed a run.  Never raises for what lies in the folder.

    `sealing` is the attempt whose seal is written right after the page, with the fingerprint of its key ("": unsigned);
    `approval` is a row for one that is about to be signed.
    """
    run = RunFolder(folder, "", "", "")  # what it is called stands in run.json
    try:
        stems = [stem(*attempt) for attempt in run.attempts()]
    except (TowpathError, KeyError, TypeError, ValueError):
        return Standing((), (), "")
    seals: list[Seal] = []
    rows = []
    for name in stems:
        if sealing is not None and sealing[0] == name:
            rows.append((name, f"{SIGNED} {sealing[1]}" if sealing[1] else UNSIGNED))
            continue
        if not (folder / f"{name}{ENDING}").is_file():
            rows.append((name, OPEN))
            continue
        try:
            seals.append(read_seal(folder, name))
            rows.append((name, _said(seals[-1])))
        except TowpathError as error:
            rows.append((name, f"its seal {error.what}"))
    given = [_row(run, one, seals, sealing) for one in approvals_of(run)[0]]
    given += [(path, "", "", "is no approval") for path in approvals_of(run)[1]]
    return Standing(tuple(rows), (*given, *([approval] if approval else [])), _sentence(rows))


def _said(seal: Seal) -> str:
    if not seal.is_signed:
        return UNSIGNED
    own = seal.signer
    return f"{SIGNED} {own.name}" if own and seal.is_signed_by(own) else "its signature does not fit"


def _row(
    run: RunFolder, approval: Approval, seals: list[Seal], sealing: tuple[str, str] | None
) -> tuple[str, str, str, str]:
    used = [s.stem for s in seals if any(a.get("sha256") == approval.sha256 for a in s.predicate.get("approvals", []))]
    try:
        reason = void_because(run, approval, without=sealing[0] if sealing else "")
    except TowpathError as error:
        reason = error.what
    if used:
        state = f"counted for {', '.join(used)}"
    elif reason:
        state = f"void: {reason}"
    else:
        state = f"counted for {sealing[0]}" if sealing else "stands"
    return approval.name, approval.key or "its signature does not fit", approval.time, state


def _sentence(rows: list[tuple[str, str]]) -> str:
    states = {state for _, state in rows}
    if not rows:
        return ""
    if states == {OPEN}:
        return "no attempt is sealed"
    if states == {UNSIGNED}:
        return "every attempt is sealed, none is signed: nobody vouches for this record"
    if len(states) == 1 and next(iter(states)).startswith(SIGNED):
        return f"every attempt is {next(iter(states))}"
    odd = next((row for row in rows if not row[1].startswith(SIGNED)), rows[0])
    return f"{odd[0]}: {odd[1]}"
