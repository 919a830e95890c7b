"""Which checks a phase must have reported before it may end: a step that was left out is never a pass.

papermill executes every cell; in JupyterLab a person may skip one, or run only the last.
"""

from __future__ import annotations

from collections.abc import Collection

_PROOF = ("TB405", "TB406", "TB407", *(f"TB{number}" for number in range(411, 420)), "OB401", "OB501", "OB502")

ALWAYS: dict[str, tuple[str, ...]] = {
    "00-ready": tuple(f"RD{number:03d}" for number in range(1, 13)),
    "01-inventory": ("TB100", "OB200"),
    "02-schema": ("TB410", "PL011"),
    "03-export": ("TB410", "TB408", "OB200"),
    "04-import": ("TB401", "PL011"),
    "05-validate": _PROOF,
    "06-cutover": ("PL011", "TB410", "OB200", *_PROOF),
    "07-roll-back": ("PL011", "CU201", "CU202", "TB405", "TB411", "TB412", "CU205", "CU206"),
}
WHEN_APPROVED: dict[str, tuple[str, ...]] = {
    "02-schema": ("TB401",),
    "04-import": ("TB402", "TB404", "TB405", "TB406", "TB407", "TB413", "TB414", "OB301"),
    "06-cutover": ("CU101", "CU102", "CU103", "CU104"),
    "07-roll-back": ("CU101", "CU203", "CU204", "CU207"),
}
# what a system has, beside rows and files: the way in which its schema is made, a server, a cache, queued jobs,
# routes that mapping.yaml names, whether both applications can be asked the same (where nobody has to ask them,
# neither word is there), and traffic that moves
SURFACES: dict[str, dict[str, tuple[str, ...]]] = {
    "generate": {"02-schema": ("TB320", "TB322")},
    "adopt": {"02-schema": ("FT100", "FT300"), "03-export": ("FT300",), "06-cutover": ("FT300",)},
    "file": {"03-export": ("TB409",), "06-cutover": ("TB409",)},
    "server": {
        "03-export": ("FT401", "FT402"),
        "06-cutover": ("FT401", "FT402"),
        "07-roll-back": ("CU208", "CU209", "FT402"),
    },
    "routes": {"01-inventory": ("RT100",)},
    "two sides": {"05-validate": ("PA101",)},
    "one side": {"05-validate": ("PA106",)},
    "traffic": {"06-cutover": ("CU108",)},
    "cache": {
        "00-ready": ("RD013", "RD014"),
        "01-inventory": ("KE100",),
        "03-export": ("KE401",),
        "05-validate": ("KE403",),
        "06-cutover": ("KE401", "KE403"),
        "07-roll-back": ("CU213",),
    },
    "jobs": {
        "00-ready": ("RD015", "RD016"),
        "01-inventory": ("JO100",),
        "03-export": ("JO303",),
        "05-validate": ("JO401",),
        "06-cutover": ("JO303", "JO401"),
        "07-roll-back": ("CU215",),
    },
}
SURFACES_WHEN_APPROVED: dict[str, dict[str, tuple[str, ...]]] = {
    "cache": {"04-import": ("KE402",), "06-cutover": ("KE410",), "07-roll-back": ("CU214",)},
    "jobs": {"06-cutover": ("JO301", "JO304"), "07-roll-back": ("CU216",)},
    "traffic": {"06-cutover": ("TR107",), "07-roll-back": ("TR107",)},
}


def required(phase: str, *, approved: bool, surfaces: Collection[str]) -> tuple[str, ...]:
    """The codes that a phase must report; a dry run writes nothing, and reports nothing about what it would write."""
    codes = ALWAYS.get(phase, ()) + (WHEN_APPROVED.get(phase, ()) if approved else ())
    for table in (SURFACES, SURFACES_WHEN_APPROVED) if approved else (SURFACES,):
        for surface, phases in table.items():
            codes += phases.get(phase, ()) if surface in surfaces else ()
    return codes
