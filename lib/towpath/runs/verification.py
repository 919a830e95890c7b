"""Is a record whole?  Every file that it names is there and unchanged, and its parts agree with one another.

Needs the run folder and nothing else.  It says nothing about the migration, only about the record of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from towpath.checks import Check, Verdict, worst
from towpath.errors import BadInput
from towpath.runs import journal
from towpath.runs.files import digest
from towpath.runs.folder import RunFolder
from towpath.runs.results import PhaseResult, result_path, stem

CODE = "RN007"


def verify_run(folder: RunFolder) -> list[Check]:
    """One check for each thing that was looked at; any FAIL means that the record cannot be relied on."""
    checks: list[Check] = []
    noted = (0, "")
    try:
        attempts, plan = folder.attempts(), folder.plan_hash
    except (BadInput, KeyError, TypeError, ValueError) as error:
        return [_check("run.json", "readable", str(error), False)]
    for phase, attempt in attempts:
        name = f"{stem(phase, attempt)}.result.json"
        try:
            result = folder.result(phase, attempt)
        except BadInput as error:
            checks.append(_check(name, "a result", error.what, False))
            continue
        checks += _result(folder, plan, result, name)
        noted = max(noted, (result.journal_entries, result.journal_hash))
    checks += _strangers(folder, attempts)
    checks += _journal(folder.path, noted)
    if not attempts:
        checks.append(_check("run.json", "at least one attempt", "none", False))
    return checks


def _result(folder: RunFolder, plan: str, result: PhaseResult, name: str) -> Iterator[Check]:
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
            sha256, size = digest(folder.inside(artefact.path))
        except OSError as error:
            yield _check(artefact.path, f"named by {name}", (error.strerror or "unreadable").lower(), False)
            continue
        is_same = (sha256, size) == (artefact.sha256, artefact.bytes)
        found = "unchanged" if is_same else f"{size} bytes, sha256 {sha256[:12]}…"
        yield _check(artefact.path, f"{artefact.bytes} bytes, sha256 {artefact.sha256[:12]}…", found, is_same)


def _strangers(folder: RunFolder, attempts: list[tuple[str, int]]) -> Iterator[Check]:
    """Results that run.json does not know, and notebooks that were cut."""
    known = {f"{stem(phase, attempt)}.result.json" for phase, attempt in attempts}
    for path in sorted(folder.path.glob("*.result.json")):
        if path.name not in known:
            yield _check(path.name, "named by run.json", "not named", False)
    for path in sorted(folder.path.glob("*.partial.ipynb")):
        yield _check(path.name, "no notebook that was cut", "the runner was killed while it ran", False)


def _journal(folder: Path, noted: tuple[int, str]) -> Iterator[Check]:
    path = folder / "journal.jsonl"
    if path.is_file() or noted[0]:
        problems = journal.verify(path, noted)
        expected = f"an unbroken chain with the {noted[0]} entries that the results note"
        yield _check("journal.jsonl", expected, "; ".join(problems) or "unbroken", not problems)


def _same(found: tuple[str, ...], expected: tuple[str, ...]) -> str:
    return (
        "yes"
        if found == expected
        else "; ".join(f"{f} instead of {e}" for f, e in zip(found, expected, strict=True) if f != e)
    )


def _check(name: str, expected: str, found: str, ok: bool) -> Check:
    step = "" if ok else "restore the file from where the record is kept, or run the phase again"
    return Check(CODE, "run", name, expected, found, Verdict.PASS if ok else Verdict.FAIL, step)
