"""Rows and files, both ways: every path in a row has its file, every file has its row.

`closure` holds rows against the files on disk before anything moves; `target_closure` holds the rows that the target
gives back against the keys of the bucket.
"""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw

from towpath.checks import Check, Finding
from towpath.objects.inventory import ADD_FILE, Decided, Inventory, index, key_of, skipped
from towpath.objects.rules import RULES, SAMPLES, Findings

Reference = tuple[str, str]  # (row key as people read it, path as the row stores it)

_ADD = "INSERT INTO reference (row, path, nfc, fold, place) VALUES (?, ?, ?, ?, ?)"
_THERE = (
    "EXISTS (SELECT 1 FROM file WHERE file.{0} = reference.{1} AND NOT (link AND place IN (SELECT place FROM skip)))"
)
_FIT = f"""
UPDATE reference SET found = CASE
  WHEN {_THERE.format("key", "nfc")} THEN iif(path = nfc, 'exact', 'nfc')
  WHEN {_THERE.format("fold", "fold")} THEN 'alike' ELSE 'missing' END;
UPDATE file SET named = key IN (SELECT nfc FROM reference)
  OR fold IN (SELECT fold FROM reference WHERE found = 'alike');
"""
# code: what its finding counts, and in what order it names samples
_FINDINGS = {
    "OB201": "SELECT place, row AS name FROM reference WHERE found = 'missing' ORDER BY id",
    "OB202": "SELECT place, key AS name FROM file WHERE NOT named ORDER BY key",
    "OB204": "SELECT place, row AS name FROM reference WHERE found = 'nfc' ORDER BY id",
    "OB205": "SELECT place, row AS name FROM reference WHERE found = 'alike' ORDER BY id",
    "OB206": "SELECT place, nfc AS name FROM reference WHERE found <> 'missing' GROUP BY nfc HAVING count(*) > 1"
    " ORDER BY nfc",
}
_ROWS_WITHOUT = "SELECT row FROM reference WHERE found IN ('missing', 'alike') ORDER BY id"
_OBJECTS_WITHOUT = "SELECT key FROM file WHERE NOT named ORDER BY key"


@dataclass(frozen=True, slots=True)
class Closure:
    """How rows and files fit together.  `named`: files that at least one row names."""

    rows: int
    files: int
    named: int
    findings: tuple[Finding, ...]


def closure(inventory: Inventory, references: Iterable[Reference], decided: Decided = ()) -> Closure:
    """Hold every row's path against the files of an inventory, and mark the files that rows name.

    Give the references of all tables at once: a file is unnamed (OB202) only if no row of any table names it.  Leave
    out rows without a path (NULL).  Links that `decided` skips count as not there.  A file that came after the walk
    counts as there: the application goes on working.  A finding's object is the walked prefix (`attachments/`, `./` for
    all else); its samples are row keys, for OB202 and OB206 keys of files.
    """
    findings = Findings(inventory.prefixes)
    _fit(inventory.db, references, findings, skipped(decided, "OB105"))
    _look_again(inventory)
    for code, query in _FINDINGS.items():
        findings.query(code, inventory.db, query)
    ((files, named),) = inventory.db.execute("SELECT count(*), coalesce(sum(named), 0) FROM file")
    ((rows,),) = inventory.db.execute("SELECT count(*) FROM reference")
    found = findings.sorted()
    refused = sum(finding.count for finding in found if finding.code == "OB203")
    return Closure(rows + refused, files, named, found)


def target_closure(
    references: Iterable[Reference], keys: Iterable[str], decided: Decided = (), bucket: str = "bucket"
) -> tuple[Check, Check]:
    """Prove the closure where the application will look: rows read from the target, keys listed from the bucket.

    Exactly the rows decided `keep` with OB201 or OB205 may lack an object, and exactly the files decided `copy` with
    OB202 may lack a row: one more, one less, or another one among the first twenty is a FAIL.
    """
    db, findings = index(), Findings()
    with db:
        db.executemany(ADD_FILE, ((key, key.casefold(), "./", "", 0, 0, 0) for key in map(key_of, keys)))
    _fit(db, references, findings, "[]")
    unsafe = findings.sorted()
    rows = _expected(decided, {("OB201", "keep"), ("OB205", "keep")}), [row for (row,) in db.execute(_ROWS_WITHOUT)]
    rows[1].extend(sample for finding in unsafe for sample in finding.samples)
    lone = _expected(decided, {("OB202", "copy")}), [key for (key,) in db.execute(_OBJECTS_WITHOUT)]
    return _check("OB501", bucket, *rows), _check("OB502", bucket, *lone)


def _fit(db: apsw.Connection, references: Iterable[Reference], findings: Findings, skip: str) -> None:
    with db:
        db.execute("DELETE FROM reference; DELETE FROM skip")
        db.execute("INSERT INTO skip SELECT value FROM json_each(?)", (skip,))
        db.executemany(_ADD, _safe(references, findings))
        db.execute(_FIT)


def _look_again(inventory: Inventory) -> None:
    """Rows whose file the walk did not meet, and which is there now: the walk came first, then the rows were read."""
    missing = inventory.db.execute(
        "SELECT DISTINCT nfc FROM reference WHERE found = 'missing' AND nfc NOT IN (SELECT key FROM file)"
    ).fetchall()
    keys = [str(key) for (key,) in missing if str(key).startswith(inventory.prefixes)]
    came = [(key,) for key in keys if _is_file(inventory.root / key)]
    with inventory.db:
        inventory.db.executemany("UPDATE reference SET found = 'came' WHERE nfc = ?", came)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def _safe(references: Iterable[Reference], findings: Findings) -> Iterator[tuple[str, str, str, str, str]]:
    for row, path in references:
        why = _unsafe(path)
        if why:
            findings.meet("OB203", row, why)
            continue
        nfc = key_of(path)
        yield row, path, nfc, posixpath.normpath(nfc).casefold(), findings.place(nfc)


def _unsafe(path: object) -> str:
    """Why a path cannot name an object; "" if it can."""
    if not isinstance(path, str):
        return "not text"
    if not path:
        return "empty"
    if path.startswith("/"):
        return "absolute"
    if ".." in path.split("/"):
        return "leaves the root"
    if "\0" in path or any("\ud800" <= character <= "\udfff" for character in path):
        return "not text"
    return ""


def _expected(decided: Decided, answers: set[tuple[str, str]]) -> tuple[int, set[str]]:
    """How many the decisions allow, and the names of them that the findings hold."""
    allowed = [finding for finding, decision in decided if (finding.code, decision.do) in answers]
    return sum(f.count for f in allowed), {sample for f in allowed for sample in f.samples}


def _check(code: str, bucket: str, expected: tuple[int, set[str]], found: list[str]) -> Check:
    count, names = expected
    # findings name twenty of theirs: beyond that only the number can be held against the decision
    good = len(found) == count and (names <= set(found))  # the loss itself stands beside it, with its waiver
    unexpected = [name for name in found if name not in names]
    return RULES[code].check(
        bucket,
        f"{count:,} as decided" if count else "none",
        f"{len(found):,}" if found else "none",
        good,
        (unexpected if not good and unexpected else found)[:SAMPLES],
    )
