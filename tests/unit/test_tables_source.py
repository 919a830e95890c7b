"""Every source that cannot be read in full is refused in one line, and nothing is written beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from towpath.errors import BadInput
from towpath.tables.source import check_integrity, identity, open_source, read_facts

ROWS = 200


def make(path: Path, pragmas: str = "") -> Path:
    """A small database: one table of ROWS rows over several pages."""
    db = apsw.Connection(str(path))
    db.execute(f"{pragmas}; CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)").fetchall()
    with db:
        db.executemany("INSERT INTO t VALUES (?, ?)", ((i, "x" * 100) for i in range(ROWS)))
    db.close()
    return path


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file of a folder with its size and time of change."""
    return {p.name: (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.iterdir()}


def count(db: apsw.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM t").get)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    return made


@pytest.fixture
def wal(folder: Path) -> Path:
    """A WAL-mode file whose application is gone: no -wal, no -shm."""
    return make(folder / "a.sqlite", "PRAGMA journal_mode = WAL")


@pytest.fixture
def copied_live(folder: Path, tmp_path: Path) -> Path:
    """A file copied with its -wal while the application wrote: half of the rows lie in the -wal only."""
    live = make(tmp_path / "live.sqlite", "PRAGMA journal_mode = WAL")
    writer = apsw.Connection(str(live))
    writer.wal_autocheckpoint(0)
    writer.execute(f"INSERT INTO t SELECT id + {ROWS}, body FROM t")
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{live}{suffix}", folder / f"a.sqlite{suffix}")
    writer.close()
    return folder / "a.sqlite"


def refusal(path: Path, *, closed_cleanly: bool = False) -> str:
    """The one line of the refusal; asserts that the folder did not change."""
    before = state(path.parent)
    with pytest.raises(BadInput) as caught:
        open_source(path, closed_cleanly=closed_cleanly, busy_seconds=0.05)
    assert state(path.parent) == before
    assert "\n" not in caught.value.line
    assert "Next: " in caught.value.line
    return caught.value.line


def test_a_file_that_is_not_there(folder: Path) -> None:
    assert "no such file" in refusal(folder / "a.sqlite")


def test_a_folder(folder: Path) -> None:
    (folder / "a.sqlite").mkdir()
    assert "is a folder" in refusal(folder / "a.sqlite")


def test_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "a.sqlite")
    assert "not an ordinary file" in refusal(folder / "a.sqlite")


@pytest.mark.parametrize("content", [b"id,name\n1,Joan\n", b"PK\x03\x04" + bytes(200), os.urandom(4096)])
def test_a_file_of_another_kind(folder: Path, content: bytes) -> None:
    (folder / "a.sqlite").write_bytes(content)
    assert "not a SQLite file" in refusal(folder / "a.sqlite")


def test_an_empty_file_has_zero_tables(folder: Path) -> None:
    (folder / "a.sqlite").touch()
    assert "zero tables" in refusal(folder / "a.sqlite")


def test_zero_tables(folder: Path) -> None:
    db = apsw.Connection(str(folder / "a.sqlite"))
    db.execute("CREATE TABLE gone (id INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE gone")
    db.close()
    assert "zero tables" in refusal(folder / "a.sqlite")


@pytest.mark.parametrize("kept", [16, 99, 4096, 8192, -1])
def test_a_truncated_file(folder: Path, kept: int) -> None:
    path = make(folder / "a.sqlite")
    path.write_bytes(path.read_bytes()[:kept])
    assert "cut short" in refusal(path)


def test_a_header_that_no_sqlite_wrote(folder: Path) -> None:
    path = make(folder / "a.sqlite")
    content = bytearray(path.read_bytes())
    content[16:18] = b"\x03\xe8"  # a page size of 1,000
    path.write_bytes(bytes(content))
    assert "values SQLite does not know" in refusal(path)


def test_a_catalog_that_is_damaged(folder: Path) -> None:
    path = make(folder / "a.sqlite")
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(bytes(content))
    assert "SQLite cannot read it" in refusal(path)


def test_a_damaged_page_is_found_by_the_full_check(folder: Path) -> None:
    path = make(folder / "a.sqlite")
    assert check_integrity(open_source(path, closed_cleanly=False)) == ()
    content = bytearray(path.read_bytes())
    content[-4096:-4000] = b"\xff" * 96
    path.write_bytes(bytes(content))
    seen: list[int] = []
    problems = check_integrity(open_source(path, closed_cleanly=False), seen.append)
    assert problems
    assert all(problem.startswith("t: ") for problem in problems)
    assert sum(seen) >= 1


def test_rows_that_break_a_check_are_no_damage(folder: Path) -> None:
    path = folder / "a.sqlite"
    db = apsw.Connection(str(path))
    db.execute("PRAGMA ignore_check_constraints = 1").fetchall()
    db.execute("CREATE TABLE t (a CHECK (a > 0)); INSERT INTO t VALUES (-1)").fetchall()
    db.close()
    assert check_integrity(open_source(path, closed_cleanly=False)) == ()


def test_a_file_locked_by_a_writer(folder: Path) -> None:
    path = make(folder / "a.sqlite")
    writer = apsw.Connection(str(path))
    writer.execute("BEGIN EXCLUSIVE")
    line = refusal(path)
    assert "a writer has locked the file for more than 0.05 s" in line
    assert "stop the writer" in line
    writer.execute("COMMIT")
    writer.close()
    assert count(open_source(path, closed_cleanly=False)) == ROWS


def test_a_writer_that_died_in_a_transaction(folder: Path) -> None:
    path = make(folder / "a.sqlite")
    program = (
        "import apsw, os, sys; db = apsw.Connection(sys.argv[1]);"
        "db.execute('PRAGMA cache_size = 1; BEGIN; UPDATE t SET body = body || body');"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert (folder / "a.sqlite-journal").exists()
    assert "died in the middle of a transaction" in refusal(path)


def test_wal_mode_without_its_wal_file(wal: Path) -> None:
    assert state(wal.parent).keys() == {"a.sqlite"}
    line = refusal(wal)
    assert "committed rows may be missing" in line
    assert "source_closed_cleanly" in line


def test_wal_mode_closed_cleanly_is_read_and_nothing_is_made_beside_it(wal: Path) -> None:
    before = state(wal.parent)
    db = open_source(wal, closed_cleanly=True)
    assert count(db) == ROWS
    with pytest.raises(apsw.ReadOnlyError):
        db.execute("DELETE FROM t")
    db.close()
    assert state(wal.parent) == before
    assert "may be missing" in refusal(wal)  # the guard still stands


def test_rows_that_lie_in_the_wal_file_are_read(copied_live: Path) -> None:
    before = state(copied_live.parent)
    db = open_source(copied_live, closed_cleanly=False)
    assert count(db) == 2 * ROWS
    db.close()
    assert state(copied_live.parent) == before


def test_a_live_wal_source_is_read_as_it_stands(wal: Path) -> None:
    writer = apsw.Connection(str(wal))
    writer.execute(f"INSERT INTO t SELECT id + {ROWS}, body FROM t")
    names = state(wal.parent).keys()
    db = open_source(wal, closed_cleanly=False)
    assert count(db) == 2 * ROWS
    db.close()
    assert state(wal.parent).keys() == names
    writer.close()


def test_a_truncated_file_closed_cleanly(wal: Path) -> None:
    wal.write_bytes(wal.read_bytes()[:8192])
    assert "cut short" in refusal(wal, closed_cleanly=True)


@pytest.fixture
def closed_wal(open_folder: Path) -> Path:
    path = make(open_folder / "a.sqlite", "PRAGMA journal_mode = WAL")
    (open_folder / "a.sqlite-wal").touch(mode=0o000)
    return path


@pytest.mark.usefixtures("ordinary_user")
def test_a_wal_file_that_may_not_be_read(closed_wal: Path) -> None:
    line = refusal(closed_wal)
    assert "a.sqlite-wal: cannot be read: Permission denied" in line


@pytest.mark.parametrize("name", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_facts(folder: Path, name: str) -> None:
    path = folder / "a b%#?.sqlite"  # a name that means something in a URI
    make(
        path,
        f"PRAGMA page_size = 8192; PRAGMA encoding = '{name}'; PRAGMA user_version = 7; PRAGMA application_id = -3",
    )
    facts = read_facts(path)
    assert facts.encoding == name
    assert (facts.user_version, facts.application_id, facts.page_size) == (7, -3, 8192)
    assert (facts.journal_mode, facts.wal_bytes) == ("rollback", None)
    assert facts.pages * facts.page_size == facts.bytes == path.stat().st_size
    assert facts.sqlite_version == apsw.sqlite_lib_version()
    assert facts.row()["path"] == str(path)
    assert count(open_source(path, closed_cleanly=False)) == ROWS


def test_identity_is_what_the_source_declares_and_not_its_rows(folder: Path) -> None:
    path = make(folder / "a.sqlite")

    def now() -> str:
        return identity(open_source(path, closed_cleanly=False), path)

    first = now()
    writer = apsw.Connection(str(path))
    writer.execute("DELETE FROM t; ANALYZE; VACUUM").fetchall()
    assert now() == first
    writer.execute("CREATE INDEX i ON t (body)")
    assert now() != first
    writer.close()
