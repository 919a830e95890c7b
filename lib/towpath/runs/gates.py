"""Gates: a phase starts only after the phases before it passed, in the same run, in order, under the same plan."""

from __future__ import annotations

from towpath.checks import Verdict
from towpath.errors import WrongUse
from towpath.plan.ends import UNSIGNED
from towpath.plan.plan import Plan
from towpath.runs.files import digest
from towpath.runs.folder import RunFolder
from towpath.runs.prepared import is_unsealed
from towpath.runs.rehearsed import check_rehearsed
from towpath.runs.results import PARTIAL, PROOFS, PhaseResult, result_path
from towpath.runs.seal import ENDING, merged, readable_seals


def check_gate(folder: RunFolder, plan: Plan, phase: str) -> tuple[PhaseResult, ...]:
    """The newest results of the phases before `phase`, all of which must be PASS and not older than one before them.

    Raises WrongUse (RN001) saying which record stands in the way, what it says and what to run, and RN010 where the way
    back was not rehearsed.
    """
    if folder.plan_hash != plan.hash:
        raise _closed(
            folder,
            "run.json",
            f"the run was opened with plan {folder.plan_hash[:12]}…, the plan is now {plan.hash[:12]}…",
            f"start a new run with {_first(plan)}: a changed plan voids what ran under the old one",
        )
    back = plan.runbook.way_back
    if back is not None and back.phase == phase:
        return (_begun(folder, plan, phase),)
    if back is not None and (done := folder.newest(back.phase)) and done.verdict is Verdict.PASS:
        what = "says PASS: the source serves again, and every snapshot of this run is out of date"
        raise _closed(folder, f"{done.stem}.result.json", what, f"start a new run with {_first(plan)}")
    results: list[PhaseResult] = []
    order = {attempt: place for place, attempt in enumerate(folder.attempts())}
    for before in plan.runbook.before(phase):
        result = folder.newest(before)
        if result is None:
            raise _closed(folder, before, f"{before} has no record in this run", f"run {before}")
        name = f"{result.stem}.result.json"
        if result.verdict is not Verdict.PASS:
            reason = f" ({result.error})" if result.error else ""
            step = f"approve the plan and run {before}" if result.verdict is Verdict.DRY_RUN else f"run {before} again"
            raise _closed(folder, name, f"says {result.verdict}{reason}, not PASS", step)
        if result.plan != plan.hash:
            raise _closed(folder, name, f"ran under plan {result.plan[:12]}…", f"run {before} again")
        if (folder.path / f"{result.stem}{PARTIAL}").is_file():
            raise _closed(folder, name, f"says {result.verdict}, but its runner was killed", f"run {before} again")
        if (later := result_path(folder.path, before, result.attempt + 1)).exists():
            what = "is there and run.json does not name it: its process was killed when it had just begun"
            raise _closed(folder, later.name, what, f"run {before} again")
        if is_unsealed(folder, result):
            step = f"towpath seal {folder.run_id} --phase {before}"
            raise _closed(folder, name, "was stepped by hand and is not sealed", step)
        newer_proof = bool(results) and results[-1].phase in PROOFS
        if results and not newer_proof and _place(order, result) < _place(order, results[-1]):
            newer = results[-1].stem
            raise _closed(folder, name, f"is older than {newer}, which it builds on", f"run {before} again")
        results.append(result)
    if plan.environment not in UNSIGNED:
        _check_sealed(folder, results)
        check_rehearsed(folder, plan, phase)
    return tuple(results)


def _begun(folder: RunFolder, plan: Plan, phase: str) -> PhaseResult:
    """The newest attempt at the last step, whatever became of it: from its beginning there is a way back."""
    last = plan.runbook.phases[-1]
    result = folder.newest(last)
    if result is None:
        step = f"nothing is to be carried back: remove the maintenance switch; {phase} follows {last}"
        raise _closed(folder, last, f"{last} has no record in this run", step)
    return result


def _check_sealed(folder: RunFolder, results: list[PhaseResult]) -> None:
    """Outside local, what a phase builds on is signed, and is what was signed.  Raises WrongUse (RN001)."""
    seals = readable_seals(folder)
    for seal in seals:
        if seal.signer is None or not seal.is_signed_by(seal.signer):
            raise _closed(folder, f"{seal.stem}{ENDING}", "bears no right signature", "start a new run")
    said = merged(seals)
    for result in results:
        name = f"{result.stem}.result.json"
        if name not in said:
            step = f"run {result.phase} again with `towpath run`, which seals it"
            raise _closed(folder, name, "is not sealed", step)
        if said[name] != digest(folder.path / name)[0]:
            raise _closed(folder, name, "was changed after it was sealed", "restore it, or start a new run")


def check_identity(folder: RunFolder, before: tuple[PhaseResult, ...], source: str, target: str) -> None:
    """Source and target must be those of every phase before, where both are known.

    Raises WrongUse (RN002) naming the record and both identities.
    """
    for result in before:
        for word, then, now_ in (("source", result.source, source), ("target", result.target, target)):
            if then and now_ and then != now_:
                raise WrongUse(
                    f"says {word} {then}, this phase has {now_}",
                    object=f"{folder.run_id}/{result.stem}.result.json",
                    next=f"correct params, or start a new run if the {word} was changed on purpose",
                    code="RN002",
                )


def _place(order: dict[tuple[str, int], int], result: PhaseResult) -> int:
    return order[(result.phase, result.attempt)]


def _first(plan: Plan) -> str:
    return plan.runbook.phases[0]


def _closed(folder: RunFolder, record: str, what: str, step: str) -> WrongUse:
    return WrongUse(what, object=f"{folder.run_id}/{record}", next=step, code="RN001")
