"""The rules of the runs room.  Each is one row in docs/checks.md."""

from __future__ import annotations

from towpath.checks import Rule, Severity


def _rule(code: str, title: str, advice: str, severity: Severity = Severity.REFUSE) -> tuple[str, Rule]:
    return code, Rule(code=code, surface="run", title=title, severity=severity, advice=advice)


RULES: dict[str, Rule] = dict(
    (
        _rule("RN001", "gate closed", "run the phase that the error names"),
        _rule("RN002", "another source or target", "correct params, or start a new run"),
        _rule("RN003", "run locked", "wait for the other process, or stop it"),
        _rule("RN004", "required check missing", "run the step that reports it"),
        _rule("RN005", "source or target not identified", "call run.identify in the notebook's first step"),
        _rule("RN006", "phase cut before", "none: the record says who held the lock", Severity.WARN),
        _rule("RN007", "record not whole", "run the phase again, or restore the file"),
        _rule("RN008", "record not signed", "set TOWPATH_SIGNING_KEY to a reference to an ed25519 key"),
        _rule("RN009", "approvals missing", "let those who must approve read the record and run `towpath approve`"),
        _rule("RN010", "way back not rehearsed", "rehearse it: towpath rehearse, or 07-roll-back in staging"),
        _rule("RN020", "two records of one run", "verify both, keep the one that tells what happened; open a new run"),
    )
)
