"""One attempt at one phase: what a notebook reports to, from its gate to its verdict."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from towpath.checks import Check, Decision, Finding, Judgement, Rule, Verdict, judge, worst
from towpath.errors import CHECKS_FAILED, PASS, TowpathError, WrongUse
from towpath.plan.mapping import SystemMapping
from towpath.plan.params import REHEARSAL, Params
from towpath.plan.plan import Plan
from towpath.runs import journal
from towpath.runs.cells import error_line, exit_code_of
from towpath.runs.files import read_json, write_json
from towpath.runs.folder import RunFolder
from towpath.runs.gates import check_identity
from towpath.runs.lock import Lock
from towpath.runs.memory import peak_memory
from towpath.runs.redaction import redact
from towpath.runs.results import PhaseResult, artefact_of, now, write_result, write_table
from towpath.secrets import Secret


class ChecksFailed(TowpathError):
    """The phase came to its end and its checks do not pass."""

    exit_code = CHECKS_FAILED


class Run:
    """One attempt at one phase.  What it has to say is in its result file, not in this object."""

    def __init__(
        self,
        root: Path,
        plan: Plan,
        folder: RunFolder,
        result: PhaseResult,
        before: tuple[PhaseResult, ...],
        lock: Lock | None,
    ) -> None:
        self.root, self.plan, self.run_folder = root, plan, folder
        self._result, self._before, self._lock = result, before, lock
        self._required: list[str] = []
        self._closed, self.approved, self._began = False, plan.approved, time.monotonic()
        if lock is not None and lock.stale:
            self.check("RN006", "run", "lock", "released", f"{lock.stale} ended without releasing it", True)
            self._result = replace(self._result, checks=tuple(replace(c, verdict=Verdict.WARN) for c in self.checks))
        self._save()

    @property
    def params(self) -> Params:
        """The validated params."""
        return self.plan.params

    @property
    def mapping(self) -> SystemMapping:
        """mapping.yaml, validated."""
        return self.plan.mapping

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.run_folder.path

    @property
    def result(self) -> PhaseResult:
        """What the record says now."""
        return self._result

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks reported so far."""
        return self._result.checks

    @property
    def verdict(self) -> Verdict:
        """INCOMPLETE until `close`, then the phase's verdict."""
        return self._result.verdict

    @property
    def phase(self) -> str:
        """The phase, e.g. 03-export."""
        return self._result.phase

    def secret(self, key: str) -> Secret | None:
        """The secret that a params key refers to, or None where the key is empty."""
        return self.params.secret(key, self.root)

    def source(self, key: str) -> Path:
        """The absolute path of a params key such as source_database."""
        return self.root / str(getattr(self.params, key))

    def path(self, relative: str) -> Path:
        """A path in the run folder; its parents are made.  Raises WrongUse when it leads out."""
        path = self.run_folder.inside(relative)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def output(self, name: str) -> Path:
        """Where this attempt writes `name`; what an earlier attempt wrote stays (snapshot, then snapshot.2)."""
        outputs = dict(self._result.outputs or {})
        if name not in outputs:
            number, relative = self._result.attempt, name
            while self.run_folder.inside(relative).exists():
                suffix = Path(name).suffix
                relative = f"{name.removesuffix(suffix)}.{number}{suffix}"
                number += 1
            self._set(outputs={**outputs, name: relative})
            return self.path(relative)
        return self.path(outputs[name])

    def input(self, name: str) -> Path:
        """The path of `name` as the newest phase that wrote it did.  Raises WrongUse when none did."""
        for result in (self._result, *reversed(list(self.run_folder.results()))):
            if name in (result.outputs or {}):
                return self.path((result.outputs or {})[name])
        written = ", ".join(sorted({key for r in self.run_folder.results() for key in (r.outputs or {})})) or "none"
        raise WrongUse("no phase of this run wrote it", object=name, next=f"written so far: {written}")

    def write_json(self, name: str, value: Any) -> Path:
        """Write an output as JSON, atomically, and record it as an artefact."""
        path = self.output(name)
        write_json(path, value)
        self.artefact(path)
        return path

    def read_json(self, name: str) -> Any:
        """Read an output of this phase or an earlier one."""
        return read_json(self.input(name))

    def identify(self, *, source: str, target: str) -> None:
        """Say which source and target this phase works on.  Raises WrongUse when an earlier phase had others."""
        check_identity(self.run_folder, self._before, source, target)
        self._set(source=source, target=target)

    def add(self, checks: Iterable[Check]) -> None:
        """Add checks to the phase's table."""
        self._set(checks=(*self.checks, *checks))

    def check(
        self,
        code: str,
        surface: str,
        object: str,
        expected: object,
        found: object,
        ok: bool,
        next: str = "",
        keys: Sequence[str] = (),
    ) -> Check:
        """Add one check: PASS when `ok`, else FAIL."""
        verdict = Verdict.PASS if ok else Verdict.FAIL
        check = Check(code, surface, object, str(expected), str(found), verdict, "" if ok else next, tuple(keys))
        self.add([check])
        return check

    def judge(
        self,
        found: Sequence[Finding],
        rules: Mapping[str, Rule],
        codes: Sequence[str] = (),
        more: Sequence[Decision] = (),
    ) -> Judgement:
        """Judge findings with mapping.yaml's decisions and waivers.yaml, and `more` decisions; add the checks.

        A decision or waiver that matches no finding fails, so only those are looked at whose code is in `rules` and,
        where `codes` are given (whole codes or beginnings such as "TB2"), begins with one of them.
        """

        def mine(code: str) -> bool:
            return code in rules and (not codes or code.startswith(tuple(codes)))

        judgement = judge(
            found,
            rules,
            [*(one for one in self.mapping.decided() if mine(one.code)), *more],
            [waiver for waiver in self.plan.waivers if mine(waiver.code)],
            dt.datetime.now(dt.UTC).date(),
        )
        self.add(judgement.checks)
        return judgement

    def require(self, *codes: str) -> None:
        """Name codes that this phase must report; `close` fails for each that is missing."""
        self._required += [code for code in codes if code not in self._required]

    def artefact(self, path: Path | str) -> None:
        """Record a file, or every file under a folder, with SHA-256 and bytes."""
        where = self.run_folder.inside(path) if isinstance(path, str) else path
        files = sorted(p for p in where.rglob("*") if p.is_file()) if where.is_dir() else [where]
        self._result = self._result.with_artefacts(artefact_of(self.folder, file) for file in files)
        self._save()

    def number(self, name: str, value: float, unit: str) -> None:
        """Record a measured number; the same name again replaces it."""
        self._result = self._result.with_number(name, value, unit)
        self._save()

    def approve_write(self, fingerprint: str) -> bool:
        """True when this phase may write to the target that has this fingerprint; the answer is a check.

        False in a dry run.  Raises WrongUse when `approved_target` is another fingerprint, or, in staging and
        production, when a real run names none.
        """
        params, plan = self.params, self.plan
        self._set(fingerprint=fingerprint)
        step = f"towpath run {plan.system} --env {plan.environment} --run {self.run_folder.run_id} --phase {self.phase}"
        step = f"{step} --approve {plan.hash} --target {shlex.quote(fingerprint)}"
        if params.approved_target and params.approved_target != fingerprint:
            what = f"approved_target says {params.approved_target!r}, the target is {fingerprint!r}"
            raise WrongUse(what, object=self.phase, next="look at the target before you approve it", code="PL012")
        expected = f"plan {plan.hash[:12]}…, target {fingerprint}"
        if not self.approved:
            self.add([Check("PL011", "plan", self.phase, expected, "not approved", Verdict.DRY_RUN, step)])
            return False
        if not params.is_practice and not params.approved_target:
            what = f"a real run in {params.environment} names its target; approved_target is empty"
            raise WrongUse(what, object=self.phase, next=f"look at the target, then: {step}", code="PL012")
        how = "rehearsal on this machine" if params.approved_plan == REHEARSAL else "plan hash named"
        self.check("PL011", "plan", self.phase, expected, f"approved: {how}", True)
        return True

    def log(self, *words: object) -> None:
        """Append a line to log/<phase>.log in the run folder; known secrets are removed."""
        line = redact(" ".join(str(word) for word in words))
        with self.path(f"log/{self._result.stem}.log").open("a", encoding="utf-8") as file:
            file.write(f"{now()} {line}\n")

    def trace(self, error: BaseException) -> None:
        """Write an error's whole trace to the log, and its line into the result, which stays INCOMPLETE."""
        self.log("".join(traceback.format_exception(error)))
        if not self._closed:
            self._set(error=error_line(error), exit_code=exit_code_of(error), ended=now())

    def close(self) -> Verdict:
        """Judge the phase and write its final result.  Raises ChecksFailed when the verdict is FAIL."""
        if self._closed:
            raise WrongUse("is closed", object=self._result.stem, next=f"open {self.phase} again for a new attempt")
        self._add_missing()
        verdict = worst(self.checks)
        self._result = self._result.with_number("seconds", round(time.monotonic() - self._began, 3), "s")
        if (peak := peak_memory(os.getpid())) is not None:
            self._result = self._result.with_number("kernel_peak_memory", peak, "bytes")
        self._result = self._result.with_artefacts([write_table(self.folder, self._result)])
        entries, last = journal.head(self.folder / "journal.jsonl")
        failed = [check for check in self.checks if check.verdict is Verdict.FAIL]
        error = self._failed(failed) if verdict is Verdict.FAIL else None
        self._set(
            verdict=verdict,
            ended=now(),
            exit_code=CHECKS_FAILED if error else PASS,
            error=error_line(error) if error else "",
            journal_entries=entries,
            journal_hash=last,
        )
        self._closed = True
        self.release()
        if error is not None:
            raise error
        return verdict

    def release(self) -> None:
        """Give the lock back without a verdict, e.g. when a notebook is left half-way on purpose."""
        if self._lock is not None:
            self._lock.release()

    def _add_missing(self) -> None:
        reported = {check.code for check in self.checks}
        for code in self._required:
            if code not in reported:
                step = "run the step that reports it; a missing check is never a pass"
                self.check("RN004", "run", code, "reported", "missing", False, step)
        if self.plan.runbook.step(self.phase).gate != "none" and not (self._result.source and self._result.target):
            step = "call run.identify(source=…, target=…) in the notebook's first step"
            self.check("RN005", "run", self.phase, "source and target named", "not named", False, step)

    def _failed(self, failed: Sequence[Check]) -> ChecksFailed:
        if not failed:
            return ChecksFailed("no check was reported", object=self._result.stem, next="a phase must report checks")
        first = failed[0]
        what = f"{len(failed)} check{'s' if len(failed) > 1 else ''} failed: first {first.code} {first.object}: "
        what += f"expected {first.expected}, found {first.found}"
        return ChecksFailed(what, object=self._result.stem, next=first.next or f"read {self._result.stem}.result.json")

    def _set(self, **values: Any) -> None:
        self._result = replace(self._result, **values)
        self._save()

    def _save(self) -> None:
        write_result(self.folder, self._result)
