"""Which checks a phase must have reported before it may end: a step that was left out is never a pass.

papermill executes every cell; in JupyterLab a person may skip one, or run only the last.
"""

from __future__ import annotations

_PROOF = ("TB405", "TB406", "TB407", "TB411", "TB412", "TB413", "TB414", "OB401", "OB501", "OB502")

ALWAYS: dict[str, tuple[str, ...]] = {
    "00-ready": tuple(f"RD{number:03d}" for number in range(1, 13)),
    "01-inventory": ("TB100", "OB200"),
    "02-schema": ("TB410", "TB320", "TB322", "PL011"),
    "03-export": ("TB410", "TB409", "TB408", "OB200"),
    "04-import": ("TB401", "PL011"),
    "05-validate": _PROOF,
    "06-cutover": ("PL011", "TB410", "TB409", "OB200", *_PROOF),
}
WHEN_APPROVED: dict[str, tuple[str, ...]] = {
    "02-schema": ("TB401",),
    "04-import": ("TB402", "TB404", "TB405", "TB406", "TB407", "TB413", "TB414", "OB301"),
    "06-cutover": ("CU101", "CU102", "CU103", "CU104"),
}


def required(phase: str, *, approved: bool) -> tuple[str, ...]:
    """The codes that a phase must report; a dry run writes nothing, and reports nothing about what it would write."""
    return ALWAYS.get(phase, ()) + (WHEN_APPROVED.get(phase, ()) if approved else ())
