"""Is a record whole?  Every file that it names is there and unchanged, and its parts agree with one another.

Needs the run folder and nothing else.  It says nothing about the migration, only about the record of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from towpath.checks import Check, Verdict, worst
from towpath.errors import BadInput, WrongUse
from towpath.runs import journal
from towpath.runs.approvals import Approval, approvals_of, void_because
from towpath.runs.chain import LEFT, NOT_SEALED, UNLISTED, Digests, check_seals
from towpath.runs.folder import RunFolder
from towpath.runs.overview import read_overview
from towpath.runs.prepared import prepared_cells
from towpath.runs.results import PARTIAL, PhaseResult, result_path, stem
from towpath.runs.seal import readable_seals
from towpath.signing.keys import PublicKey
from towpath.signing.signers import is_signed_by

CODE = "RN007"
STALE, CUT = "stale", "the runner was killed while it ran"
TAIL = "its last line"  # of the journal
NOT_ENDED = "INCOMPLETE: it was killed, or it still runs"
# What the next phases mend by running: an attempt that was killed, and attempts that do not fit one another any more.
PASSING = (NOT_SEALED, STALE, CUT, NOT_ENDED, TAIL, UNLISTED, LEFT)


def verify_run(
    folder: RunFolder, key: PublicKey | None = None, signers: Path | None = None, listed: Path | None = None
) -> list[Check]:
    """One check for each thing that was looked at; any FAIL means that the record cannot be relied on.

    With `key`, every attempt must be sealed and signed by it; with `signers` (OpenSSH's allowed_signers), every
    approval by a key that this list gives to its name.  `listed` is such a list for approvals that no seal names yet;
    with `key`, those need one list or the other, for an approval also vouches for the page that shows it.
    """
    checks: list[Check] = []
    digests = Digests(folder.path)
    noted = (0, "")
    try:
        attempts, plan = folder.attempts(), folder.plan_hash
    except (BadInput, KeyError, TypeError, ValueError) as error:
        return [_check("run.json", "readable", f"changed: {error}", False)]
    approvals, broken = approvals_of(folder)
    checks += [_check(path, "an approval", "changed: it is no approval", False) for path in broken]
    named = {name for seal in readable_seals(folder) for name in seal.subjects}
    later = [one for one in approvals if one.path not in named]
    for one in approvals:
        is_new = one in later
        checks.append(_signature(one, signers or (listed if is_new else None), must=is_new and key is not None))
        if is_new:
            checks.append(_stands(folder, one))
    vouched = {one.path: one.sha256 for one in later}
    pages = [one.subjects["index.html"] for one in later if "index.html" in one.subjects]
    if pages:  # the newest is meant, whatever their clocks say
        shown = digests.of("index.html")[0]
        vouched["index.html"] = shown if shown in pages else pages[-1]
    checks += check_seals(folder, digests, key, vouched)
    for phase, attempt in attempts:
        name = f"{stem(phase, attempt)}.result.json"
        try:
            result = folder.result(phase, attempt)
        except BadInput as error:
            checks.append(_check(name, "a result", error.what, False))
            continue
        checks += _result(folder, digests, plan, result, name)
        if result.verdict is Verdict.INCOMPLETE and not result.ended and not prepared_cells(folder, phase, attempt):
            verdict = Verdict.FAIL if (phase, attempt) == attempts[-1] else Verdict.WARN
            checks.append(Check(CODE, "run", result.stem, "an attempt that ended", NOT_ENDED, verdict))
        noted = max(noted, (result.journal_entries, result.journal_hash))
    checks += _strangers(folder, attempts, named)
    checks += _journal(folder.path, noted)
    for problem in read_overview(folder.path).stale:
        checks.append(_check("the run", "each attempt newer than those it builds on", f"{STALE}: {problem}", False))
    if not attempts:
        checks.append(_check("run.json", "at least one attempt", "none", False))
    return _once(checks)


def _once(checks: list[Check]) -> list[Check]:
    """Of what is wrong, the first that was said of each object: what follows from it needs no line of its own."""
    first: dict[str, Check] = {}
    for check in checks:
        if check.verdict is Verdict.FAIL:
            first.setdefault(check.object, check)
    return [check for check in checks if check.verdict is not Verdict.FAIL or first[check.object] is check]


def _signature(one: Approval, signers: Path | None, *, must: bool) -> Check:
    """Whether an approval is signed, by a key that the list gives to its name; `must`: there has to be a list."""
    expected = f"signed by {one.name}"
    if not one.key:
        return _check(one.path, expected, "changed: its signature does not fit", False)
    if signers is None:
        found = f"unknown key: without --signers nobody says that {one.key} is theirs" if must else f"key {one.key}"
        return _check(one.path, expected, found, not must)
    is_theirs = is_signed_by(one.envelope, one.name, signers)
    found = f"key {one.key}" if is_theirs else f"wrong key: {signers.name} does not list {one.key} for that name"
    return _check(one.path, expected, found, is_theirs)


def _stands(folder: RunFolder, one: Approval) -> Check:
    """Whether an approval that no seal names yet is of the record as it is."""
    try:
        reason = void_because(folder, one)
    except BadInput as error:
        reason = error.what
    return _check(one.path, "of the record as it is", f"{STALE}: {reason}" if reason else "yes", not reason)


def _result(folder: RunFolder, digests: Digests, plan: str, result: PhaseResult, name: str) -> Iterator[Check]:
    named = (result.run, result.plan, result_path(folder.path, result.phase, result.attempt).name)
    yield _check(
        name,
        "of this run and its plan",
        _same(named, (folder.run_id, plan, name)),
        named == (folder.run_id, plan, name),
    )
    if result.verdict is not Verdict.INCOMPLETE:
        computed = worst(result.checks)
        yield _check(name, f"verdict {computed} by its checks", str(result.verdict), computed is result.verdict)
    for artefact in result.artefacts:
        try:
            folder.inside(artefact.path)
        except (WrongUse, ValueError, OSError):
            yield _check(name, "artefacts in the run folder", "changed: it names a file elsewhere", False)
            continue
        sha256, size = digests.of(artefact.path)
        if not sha256:
            yield _check(artefact.path, f"named by {name}", "missing", False)
            continue
        is_same = (sha256, size) == (artefact.sha256, artefact.bytes)
        found = "unchanged" if is_same else f"changed: {size} bytes, sha256 {sha256[:12]}…"
        yield _check(artefact.path, f"{artefact.bytes} bytes, sha256 {artefact.sha256[:12]}…", found, is_same)


def _strangers(folder: RunFolder, attempts: list[tuple[str, int]], named: set[str]) -> Iterator[Check]:
    """Results that run.json does not know, and notebooks that were cut and that no later attempt has sealed."""
    known = {f"{stem(phase, attempt)}.result.json" for phase, attempt in attempts}
    for path in sorted(folder.path.glob("*.result.json")):
        if path.name not in known:
            yield _check(path.name, "named by run.json", "not named", False)
    for path in sorted(folder.path.glob(f"*{PARTIAL}")):
        if path.name not in named:
            yield _check(path.name, "no notebook that was cut", CUT, False)


def _journal(folder: Path, noted: tuple[int, str]) -> Iterator[Check]:
    path = folder / "journal.jsonl"
    if path.is_file() or noted[0]:
        problems = journal.verify(path, noted)
        expected = f"an unbroken chain with the {noted[0]} entries that the results note"
        found = "; ".join(problems) or "unbroken"
        if len(problems) == 1 and problems[0].endswith(journal.CUT):
            found = f"{TAIL} {journal.CUT}; the next attempt notes it"
        yield _check("journal.jsonl", expected, found, not problems)
        if path.is_file():
            for cut in journal.cuts(path):
                yield Check(CODE, "run", "journal.jsonl", "no line that was cut", cut, Verdict.WARN)


def _same(found: tuple[str, ...], expected: tuple[str, ...]) -> str:
    return (
        "yes"
        if found == expected
        else "; ".join(f"{f} instead of {e}" for f, e in zip(found, expected, strict=True) if f != e)
    )


def _check(name: str, expected: str, found: str, ok: bool) -> Check:
    step = "" if ok else "restore the file from where the record is kept, or run the phase again"
    return Check(CODE, "run", name, expected, found, Verdict.PASS if ok else Verdict.FAIL, step)
