"""The journal: a line for every executed cell, chained; any change is found, and a cut line does not end the chain."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from towpath import secrets
from towpath.runs import journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.jsonl"


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    made = InteractiveShell.instance()
    yield made
    journal.detach()
    InteractiveShell.clear_instance()


def fill(path: Path, count: int = 4, attempt: int = 1) -> list[dict[str, Any]]:
    one = journal.Journal(path, "03-export", attempt)
    return [
        one.append(count=n, cell=f"c{n}", source=f"x = {n}", success=True, error="", seconds=0.5) for n in range(count)
    ]


def test_lines_are_chained_and_verified(path: Path) -> None:
    entries = fill(path)
    assert [entry["previous"] for entry in entries] == [journal.START, *(e["hash"] for e in entries[:-1])]
    assert list(journal.read(path)) == entries
    assert journal.verify(path) == []
    assert journal.head(path) == (4, entries[-1]["hash"])
    assert set(entries[0]) == set(journal.KEYS)


def changed(lines: list[str]) -> list[str]:
    entry = json.loads(lines[1])
    entry["success"] = False
    return [lines[0], json.dumps(entry), *lines[2:]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed, "line 2: was changed"),
        (lambda lines: [lines[0], *lines[2:]], "line 2: does not follow"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "line 1: does not follow"),
        (lambda lines: [*lines[:2], "{}", *lines[2:]], "line 3: is no journal entry"),
        (lambda lines: [*lines[:2], "", *lines[2:]], "line 3: is no journal entry"),
    ],
)
def test_every_change_is_found(path: Path, change: Any, said: str) -> None:
    fill(path)
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    assert any(said in problem for problem in journal.verify(path))


def test_a_shortened_journal_is_found_by_what_the_record_noted(path: Path) -> None:
    fill(path)
    noted = journal.head(path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]))
    assert journal.verify(path) == []
    assert journal.verify(path, noted) == ["journal.jsonl: does not hold the 4 entries that the record was made with"]
    path.write_text("".join(lines))
    fill(path, 1, attempt=2)
    assert journal.verify(path, noted) == []


def test_a_cut_last_line_is_reported_and_the_next_attempt_names_it_and_goes_on(path: Path) -> None:
    entries = fill(path)
    path.write_bytes(path.read_bytes()[:-40])
    cut = path.read_bytes().splitlines()[3]
    assert journal.verify(path) == ["journal.jsonl line 4: is cut: the kernel was killed while it wrote"]
    (after,) = fill(path, 1, attempt=2)
    assert after["previous"] == entries[2]["hash"]
    assert after["torn"] == hashlib.sha256(cut).hexdigest()
    assert journal.verify(path) == []
    assert journal.cuts(path) == [
        "journal.jsonl line 5: the line before it is cut: the kernel was killed while it wrote; the journal goes on"
    ]
    assert [entry["attempt"] for entry in journal.read(path)] == [1, 1, 1, 2]
    (next_one,) = fill(path, 1, attempt=3)
    assert "torn" not in next_one
    assert cut in path.read_bytes().splitlines()


@pytest.mark.parametrize("left", [b"", b"\n", b"{", b'{"time"', b'{"time"\n{"ti', b'{"time"\n', b"\xff\xfe\n\n"])
@pytest.mark.parametrize("before", [0, 3])
def test_whatever_a_kill_leaves_the_chain_goes_on_and_what_was_left_cannot_be_changed(
    path: Path, before: int, left: bytes
) -> None:
    path.parent.mkdir(exist_ok=True)
    fill(path, before)
    with path.open("ab") as file:
        file.write(left)
    fill(path, 2, attempt=2)
    assert journal.verify(path) == []
    assert len(journal.cuts(path)) == bool(left)
    whole = path.read_bytes()
    start = whole.index(left) if before == 0 else len(b"".join(whole.splitlines(keepends=True)[:before]))
    for place in range(start, start + len(left)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert journal.verify(path), place
        path.write_bytes(whole[:place] + whole[place + 1 :])
        assert journal.verify(path), place


def test_a_whole_line_without_its_end_is_followed(path: Path) -> None:
    entries = fill(path)
    path.write_bytes(path.read_bytes()[:-1])
    (after,) = fill(path, 1, attempt=2)
    assert (after["previous"], journal.verify(path), journal.cuts(path)) == (entries[3]["hash"], [], [])


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_line_that_was_made_unreadable_is_not_taken_for_one_that_a_kill_cut(path: Path, place: int) -> None:
    """In the middle its next line does not name it; at the end the record noted that it was whole."""
    fill(path)
    noted = journal.head(path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[place] = lines[place][:50] + b"\n"
    path.write_bytes(b"".join(lines))
    fill(path, 1, attempt=2)
    assert journal.verify(path, noted)


def test_a_missing_journal_is_a_problem_and_an_empty_one_starts_anew(path: Path) -> None:
    assert journal.verify(path) == ["journal.jsonl: cannot be read: no such file or directory"]
    assert journal.head(path) == (0, journal.START)
    path.parent.mkdir()
    path.write_bytes(b"\x00garbage")
    (entry,) = fill(path, 1)
    assert entry["previous"] == journal.START


def test_two_writers_keep_one_chain(path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: fill(path, 10, attempt=n), range(4)))
    assert journal.verify(path) == []
    assert journal.head(path)[0] == 40


def test_lines_before_a_kill_survive_it(path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from towpath.runs.journal import Journal\n"
        "for n in range(3):\n"
        "    Journal(Path(sys.argv[1]), '04-import').append("
        "count=n, cell='', source='', success=True, error='', seconds=0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -9
    assert journal.verify(path) == []
    assert journal.head(path)[0] == 3


def test_attached_to_a_shell_it_writes_every_cell_once(path: Path, shell: InteractiveShell) -> None:
    journal.attach(path, "01-inventory", 1)
    journal.attach(path, "01-inventory", 2)
    shell.run_cell("1 + 1", cell_id="add")
    shell.run_cell("1 +", cell_id="broken")
    shell.run_cell("int('x')", cell_id="raises")
    shell.run_cell("'silent'", silent=True)
    journal.detach()
    shell.run_cell("2 + 2")
    said = [(e["cell"], e["success"], e["attempt"], e["error"].partition(":")[0]) for e in journal.read(path)]
    assert said == [("add", True, 2, ""), ("broken", False, 2, "SyntaxError"), ("raises", False, 2, "ValueError")]
    assert journal.verify(path) == []


def test_secrets_and_broken_text_do_not_reach_the_journal(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", {})
    secrets.remember("journal-canary-1", "env:X")
    name = os.fsdecode(b"bad\xff")
    journal.Journal(path, "p").append(
        count=None, cell="", source="\ud800", success=False, error=f"E: journal-canary-1 {name}\nmore", seconds=1
    )
    (entry,) = journal.read(path)
    assert entry["error"] == "E: [secret env:X] bad\\udcff more"
    assert journal.verify(path) == []
