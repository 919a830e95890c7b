"""The checks that belong to the joints between surfaces: closure of the census, freeze, delta."""

from __future__ import annotations

from towpath.checks import Rule, Severity
from towpath.workbench.ready import RULES as READY

_ROWS = (
    ("OB200", "objects", "Rows and files are held against each other", "run 01-inventory again"),
    ("KE100", "keys", "Every key of the cache is looked at", "run 01-inventory again"),
    ("JO100", "jobs", "Every queued job is looked at", "run 01-inventory again"),
    ("FT100", "tables", "Every source column and every target column is accounted for", "see FT101 to FT111"),
    ("FT300", "tables", "No row breaks a constraint of the target", "see FT301 to FT306 for the rows"),
    ("FT120", "tables", "What the source declares beside its tables", "look whether the migrations do without it"),
    ("CU101", "cutover", "The application refuses writes", "look why the maintenance switch is not obeyed"),
    ("CU102", "cutover", "The source did not change while it was frozen", "find the writer that ignores the switch"),
    ("CU103", "cutover", "The target receives the delta, all of it", "run 06-cutover again: it goes on from there"),
    ("CU104", "cutover", "The freeze is as short as the runbook allows", "shorten the time between 03 and 06"),
    ("CU108", "cutover", "The target holds nothing that the source lacks", "go the way back, 07-roll-back"),
    ("CU201", "cutover", "No row stands in the way back", "decide by hand which side is right, row by row"),
    ("CU202", "cutover", "No file stands in the way back", "decide by hand which side is right, file by file"),
    ("CU203", "cutover", "Every row written on the target is carried back", "run 07-roll-back again"),
    ("CU204", "cutover", "Every file written on the target is carried back", "run 07-roll-back again"),
    ("CU205", "cutover", "No reference of the source lost its parent", "look at the rows; the source stays frozen"),
    ("CU206", "cutover", "Every file is the same on both sides", "run 07-roll-back again; the source stays frozen"),
    ("CU208", "cutover", "Every change on the target has a way back", "say it under back or follows in mapping.yaml"),
    ("CU209", "cutover", "Every value of the target fits back into its column", "correct the values on the target"),
    ("CU210", "cutover", "The source takes every row that is carried back", "look at the constraint that is named"),
    ("CU211", "cutover", "Rows carried back come out again as the target has them", "look at back and follows"),
    ("CU212", "cutover", "What has no way back", "say it under back or follows in mapping.yaml"),
    ("CU213", "cutover", "No key stands in the way back", "decide by hand which side is right, key by key"),
    ("CU214", "cutover", "Every key is the same on both sides", "run 07-roll-back again; the source stays frozen"),
    ("CU215", "cutover", "No job stands in the way back", "wait for the consumers, stop the workers, decide by hand"),
    ("CU216", "cutover", "Every job is Celery's, or has run", "run 07-roll-back again; the source stays frozen"),
    ("CU207", "cutover", "The application accepts writes again", "repair what the checks above name, run it again"),
)
_TOLD = ("FT120", "CU212")  # what is only reported
RULES: dict[str, Rule] = {
    **READY,
    **{
        code: Rule(code, surface, title, Severity.WARN if code in _TOLD else Severity.REFUSE, advice)
        for code, surface, title, advice in _ROWS
    },
}
