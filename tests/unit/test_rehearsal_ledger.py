"""The ledger on disk, and what it demands of a side: one case for each thing that can be wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from towpath.errors import BadInput
from towpath.rehearsal.ledger import Deed, Ledger, Told, Write, parts_of, read_ledger
from towpath.rehearsal.settling import ABSENT, Found, Wrong, right_versions, settle

ONE = "towpath-abc-000001"


def write(deed: Deed, version: int, told: Told = Told.ACKNOWLEDGED, *, number: int = 1, at: int = 1000) -> Write:
    return Write(number, at, deed, "task", ONE, version, told, at + 5, 201, "worker")


MADE = write(Deed.CREATE, 1)
CHANGED = write(Deed.CHANGE, 2, number=2)
REMOVED = write(Deed.REMOVE, 2, number=3)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "there" / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.intend(MADE)
    ledger.tell(1, Told.ACKNOWLEDGED, 1005, 201, "worker")
    ledger.intend(CHANGED)
    ledger.close()
    first, second = read_ledger(path)
    assert first == MADE
    assert (second.told, second.told_at, second.text) == (Told.UNKNOWN, 0, f"{ONE} v2")


def test_a_line_is_on_disk_before_the_write_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    script = (
        "import os, sys; from pathlib import Path; from towpath.rehearsal.ledger import *\n"
        "Ledger(Path(sys.argv[1])).intend(Write(1, 1, Deed.CREATE, 'task', 'towpath-abc-000001', 1)); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 9
    assert [one.marker for one in read_ledger(path)] == [ONE]


def test_a_line_that_was_cut_counts_as_not_there(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.intend(MADE)
    ledger.tell(1, Told.ACKNOWLEDGED, 1005, 201, "worker")
    ledger.close()
    path.write_bytes(path.read_bytes()[:-3])
    assert [one.told for one in read_ledger(path)] == [Told.UNKNOWN]


@pytest.mark.parametrize(
    "text",
    [
        '{"is":"told","number":7,"told":"refused","told_at":1,"status":503,"side":""}\n',
        '{"is":"intent","number":1,"at":1,"deed":"create","kind":"task","marker":"m-000001","version":1}\n' * 2,
        "no json\n",
        "[]\n",
    ],
)
def test_a_ledger_that_contradicts_itself_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="Next: look"):
        read_ledger(path)


def test_a_text_names_its_entity_and_its_version() -> None:
    assert parts_of(f"{ONE} v12") == (ONE, 12)
    assert parts_of("towpath-abc-1 v1") is None
    assert parts_of(f"{ONE} v") is None


@pytest.mark.parametrize(
    ("writes", "right"),
    [
        ([MADE], (1,)),
        ([MADE, CHANGED], (2,)),
        ([MADE, REMOVED], (ABSENT,)),
        ([write(Deed.CREATE, 1, Told.REFUSED)], (ABSENT,)),
        ([MADE, write(Deed.CHANGE, 2, Told.REFUSED)], (1,)),
        ([write(Deed.CREATE, 1, Told.UNKNOWN)], (ABSENT, 1)),
        ([MADE, write(Deed.CHANGE, 2, Told.UNKNOWN)], (1, 2)),
        ([MADE, write(Deed.REMOVE, 1, Told.UNKNOWN)], (1, ABSENT)),
    ],
)
def test_what_an_entity_may_be_follows_from_its_writes(writes: list[Write], right: tuple[int, ...]) -> None:
    assert right_versions(writes) == right


@pytest.mark.parametrize(
    ("writes", "versions", "wrong"),
    [
        ([MADE], [], Wrong.MISSING),
        ([MADE], [1, 1], Wrong.DOUBLED),
        ([MADE, CHANGED], [1], Wrong.STALE),
        ([MADE, CHANGED], [1, 2], Wrong.DOUBLED),
        ([MADE, CHANGED, REMOVED], [2], Wrong.RISEN),
        ([MADE], [2], Wrong.UNTOLD),
        ([write(Deed.CREATE, 1, Told.REFUSED)], [1], Wrong.UNTOLD),
        ([MADE, write(Deed.CHANGE, 2, Told.REFUSED)], [2], Wrong.UNTOLD),
        ([write(Deed.CREATE, 1, Told.UNKNOWN)], [1, 1], Wrong.DOUBLED),
        ([MADE, write(Deed.CHANGE, 2, Told.UNKNOWN)], [], Wrong.MISSING),
        ([], [1], Wrong.UNTOLD),
    ],
)
def test_what_is_wrong_is_named(writes: list[Write], versions: list[int], wrong: Wrong) -> None:
    settled = settle(writes, [Found("task", f"{ONE} v{version}") for version in versions], side="new side")
    assert not settled.holds
    assert [fault.wrong for fault in settled.faults] == [wrong]
    assert f"{wrong}: task {ONE}: expected" in "\n".join(settled.lines)


@pytest.mark.parametrize(
    ("writes", "versions", "applied"),
    [
        ([MADE, CHANGED], [2], 0),
        ([MADE, CHANGED, REMOVED], [], 0),
        ([write(Deed.CREATE, 1, Told.UNKNOWN)], [], 0),
        ([write(Deed.CREATE, 1, Told.UNKNOWN)], [1], 1),
        ([MADE, write(Deed.REMOVE, 1, Told.UNKNOWN)], [1], 0),
        ([MADE, write(Deed.REMOVE, 1, Told.UNKNOWN)], [], 1),
    ],
)
def test_what_is_right_is_counted(writes: list[Write], versions: list[int], applied: int) -> None:
    settled = settle(writes, [Found("task", f"{ONE} v{version}") for version in versions], side="new side")
    assert settled.holds
    assert settled.applied == applied
    assert settled.lines[-1].endswith("each as it must be")


def test_a_text_that_nobody_could_have_written_is_named() -> None:
    settled = settle([], [Found("task", "towpath-abc by hand")], side="new side")
    assert settled.faults[0].line == (
        "untold: task towpath-abc by hand: expected no such text, found towpath-abc by hand"
    )


def test_writes_are_counted_by_the_phase_in_which_they_were_sent() -> None:
    early = write(Deed.CREATE, 1, at=500)
    late = Write(2, 1500, Deed.CREATE, "task", "towpath-abc-000002", 1, Told.REFUSED)
    found = [Found("task", early.text)]
    settled = settle([early, late], found, side="old side", phases=[(0, "before"), (1000, "over"), (2000, "back")])
    assert settled.phases == {"before": {"acknowledged": 1}, "over": {"refused": 1}, "back": {}}
    assert settled.told == {"acknowledged": 1, "refused": 1}


def test_the_same_marker_of_another_kind_is_another_entity() -> None:
    note = Write(2, 1, Deed.CREATE, "note", ONE, 1, Told.ACKNOWLEDGED)
    assert settle([MADE, note], [Found("task", MADE.text), Found("note", MADE.text)], side="s").holds
    assert not settle([MADE, note], [Found("task", MADE.text)] * 2, side="s").holds
