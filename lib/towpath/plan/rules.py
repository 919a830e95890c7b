"""The rules of the plan room.  Each is one row in docs/checks.md."""

from __future__ import annotations

from towpath.checks import Rule, Severity


def _rule(code: str, title: str, advice: str, severity: Severity = Severity.REFUSE) -> tuple[str, Rule]:
    return code, Rule(code=code, surface="plan", title=title, severity=severity, advice=advice)


RULES: dict[str, Rule] = dict(
    (
        _rule("PL001", "decision or waiver without a finding", "remove it, or look why the inventory lost the finding"),
        _rule("PL002", "unknown key", "correct or remove the key"),
        _rule("PL003", "value not allowed", "write one of the allowed values"),
        _rule("PL004", "missing key", "add the key"),
        _rule("PL005", "secret written into a file", "put the secret elsewhere and write env:NAME or file:PATH"),
        _rule("PL006", "YAML that is not plain", "write plain YAML: no anchors, tags, infinities or double keys"),
        _rule("PL007", "rehearsal outside this machine", "name the plan hash in approved_plan"),
        _rule("PL008", "file missing or unreadable", "put the file there"),
        _rule("PL009", "notebook without the parameters", "declare the keys in the notebook's parameters cell"),
        _rule("PL010", "runbook without its shape", "add the heading or step that the runbook lacks"),
        _rule("PL011", "plan approved", "read the plan, then run again with its hash", Severity.NOTE),
        _rule("PL012", "target is not the approved one", "look at the target, then approve its fingerprint"),
        _rule("PL013", "approval names another plan", "read the plan as it is now, then approve its hash"),
        _rule("PL014", "decision for no known rule", "use a code and an answer from docs/checks.md"),
        _rule("PL015", "waiver that ends soon", "ask its owner before its last day", Severity.WARN),
    )
)
