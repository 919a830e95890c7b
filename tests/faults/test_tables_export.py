"""Exports in trouble: a full disk, a source that is written to meanwhile, a source that is locked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import pytest
from helpers.carry import CLAIM, make_source, prepare

from towpath.cloudflare import D1
from towpath.errors import BadInput, CannotFinish, TowpathError
from towpath.tables import export, snapshot, target
from towpath.tables.manifest import NAME, read_manifest
from towpath.tables.source import open_source

FILL = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
SCRIPT = f"CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, body TEXT); {FILL}"
SCRIPT += " INSERT INTO t SELECT i, hex(randomblob(200)) FROM n"


# -- a full disk


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own, where this user may mount one; else nothing."""
    folder.mkdir()
    options = f"size={megabytes}m"
    command = ["mount", "-t", "tmpfs", "-o", options, "towpath-test", str(folder)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        yield folder / "no disk of its own"
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


LIMITED = """
import resource, sys
from pathlib import Path
from towpath.errors import TowpathError
from towpath.tables import export, snapshot
from towpath.tables.source import open_source
source, folder, step, limit = sys.argv[1:]
path = Path(folder) / snapshot.FILE
def write_no_more_than(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    if step == "snapshot":
        db = open_source(Path(source), closed_cleanly=True)
        write_no_more_than(int(limit))
        snapshot.take(db, Path(folder))
    else:
        exporter = export.Exporter(path)
        write_no_more_than(int(limit))
        exporter.export("plan", {})
except TowpathError as error:
    print(error.line)
    raise SystemExit(error.exit_code)
"""


def limited(source: Path, folder: Path, step: str, limit: int) -> tuple[int, str]:
    """One step in a process that may write no file larger than `limit` bytes: what a quota does, for any user."""
    command = [sys.executable, "-c", LIMITED, str(source), str(folder), step, str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout.strip()


def assert_one_line(line: str) -> None:
    assert "\n" not in line
    assert "free" in line.split("Next: ")[1]


@pytest.mark.parametrize("limit", [0, 20_000, 1_000_000])
def test_a_snapshot_that_finds_no_room_leaves_nothing(tmp_path: Path, limit: int) -> None:
    make_source(tmp_path / "s.sqlite", SCRIPT).close()
    code, line = limited(tmp_path / "s.sqlite", tmp_path / "run", "snapshot", limit)
    assert (code, "disk is full" in line) == (2, True), line
    assert_one_line(line)
    assert [p.name for p in (tmp_path / "run").iterdir()] == []


@pytest.mark.parametrize("limit", [0, 100_000])
def test_an_export_that_finds_no_room_leaves_no_manifest(tmp_path: Path, limit: int) -> None:
    make_source(tmp_path / "s.sqlite", SCRIPT).close()
    exporter, made = prepare(tmp_path / "s.sqlite", tmp_path / "run")
    exporter.close()
    assert sum(chunk.bytes for chunk in made.chunks) > 500_000
    code, line = limited(tmp_path / "s.sqlite", tmp_path / "run", "export", limit)
    assert (code, "could not be written" in line) == (2, True), line
    assert_one_line(line)
    assert not (tmp_path / "run" / NAME).exists()  # not even that of the export before
    with pytest.raises(BadInput, match="did not come to its end"):
        read_manifest(tmp_path / "run")


def test_a_manifest_that_finds_no_room_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_source(tmp_path / "s.sqlite", "CREATE TABLE t (id INTEGER PRIMARY KEY)").close()
    exporter, _ = prepare(tmp_path / "s.sqlite", tmp_path / "run")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("towpath.tables.manifest.os.fsync", full)
    with pytest.raises(CannotFinish, match="No space left on device"):
        exporter.export("plan", {})
    assert not (tmp_path / "run" / NAME).exists()
    exporter.close()


def test_a_full_disk_in_the_middle_touches_no_target(tmp_path: Path, d1: D1) -> None:
    """On a small disk of its own where that can be had, else under a limit on the size of files."""
    source = tmp_path / "s.sqlite"
    make_source(source, SCRIPT).close()
    target.apply_migration(d1, "0001.sql", ["CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, body TEXT)"], CLAIM)
    before = d1.query("SELECT name FROM sqlite_schema").rows
    with small_disk(tmp_path / "disk", 3) as disk:
        if disk.is_dir():
            with closing(open_source(source, closed_cleanly=True)) as db:
                path = snapshot.take(db, disk / "run")
                (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 100_000))
                exporter = export.Exporter(path)
                with pytest.raises(CannotFinish) as caught:
                    exporter.export("plan", {})
                line = caught.value.line
                exporter.close()
                with pytest.raises(CannotFinish, match="disk is full") as caught:
                    snapshot.take(db, disk / "again")
                assert_one_line(caught.value.line)
                assert list((disk / "again").iterdir()) == []
            assert not (disk / "run" / NAME).exists()
        else:
            prepare(source, tmp_path / "run")[0].close()
            _, line = limited(source, tmp_path / "run", "export", 100_000)
            assert not (tmp_path / "run" / NAME).exists()
    assert_one_line(line)
    assert d1.query("SELECT name FROM sqlite_schema").rows == before
    assert d1.query("SELECT count(*) FROM t").rows == [[0]]


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    make_source(tmp_path / "s.sqlite", SCRIPT).close()
    (tmp_path / "run").write_text("a file where a folder should be")
    with closing(open_source(tmp_path / "s.sqlite", closed_cleanly=True)) as db:
        with pytest.raises(TowpathError) as caught:
            snapshot.take(db, tmp_path / "run")
        assert "\n" not in caught.value.line
        assert db.execute("SELECT count(*) FROM t").get == 3000  # the source can be read as before
        assert not db.in_transaction


# -- a source that is written to meanwhile

WRITER = """
import random, sys, time
import apsw
db = apsw.Connection(sys.argv[1])
db.set_busy_timeout(20_000)
luck = random.Random(3)
count = 0
while True:
    left, right, some = luck.randrange(1, 301), luck.randrange(1, 301), luck.randrange(50)
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE account SET held = held - ? WHERE id = ?", (some, left))
    db.execute("UPDATE account SET held = held + ? WHERE id = ?", (some, right))
    db.execute("INSERT INTO transfer (some) VALUES (?)", (some,))
    db.execute("UPDATE total SET transfers = transfers + 1")
    db.execute("COMMIT")
    count += 1
    time.sleep(0.004)  # an application thinks between its transactions; without a pause nobody else gets the lock
    if count == 30:
        print("busy", flush=True)
"""
BANK = """
CREATE TABLE account (id INTEGER PRIMARY KEY, held INTEGER NOT NULL, note TEXT);
CREATE TABLE transfer (id INTEGER PRIMARY KEY, some INTEGER);
CREATE TABLE total (transfers INTEGER);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO account SELECT i, 1000, hex(zeroblob(2000)) FROM n;
INSERT INTO total VALUES (0);
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_snapshot_beside_a_writer_is_of_one_moment(tmp_path: Path, mode: str) -> None:
    """Money moves between accounts all the time; in every snapshot it adds up."""
    source = tmp_path / "s.sqlite"
    with closing(make_source(source)) as db:
        assert db.execute(f"PRAGMA journal_mode = {mode}").get == mode
        db.execute(BANK)
    seen = []
    with subprocess.Popen([sys.executable, "-c", WRITER, str(source)], stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "busy\n"
            for number in range(3):
                with closing(open_source(source, closed_cleanly=False)) as db:
                    path = snapshot.take(db, tmp_path / f"run-{number}")
                with closing(snapshot.open_snapshot(path)) as copy:
                    transfers = copy.execute("SELECT transfers FROM total").get
                    assert copy.execute("SELECT sum(held) FROM account").get == 300_000
                    assert copy.execute("SELECT count(*) FROM transfer").get == transfers
                    assert copy.execute("PRAGMA integrity_check").get == "ok"
                    assert copy.pragma("journal_mode") == "delete"
                    seen.append(transfers)
        finally:
            writer.kill()
    assert seen == sorted(seen)
    assert seen[0] >= 30


def test_rows_that_only_the_wal_holds_are_in_the_snapshot(tmp_path: Path) -> None:
    source = tmp_path / "s.sqlite"
    with closing(make_source(source)) as db:
        assert db.execute("PRAGMA journal_mode = wal").get == "wal"
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'only in the log')")
        assert b"only in the log" not in source.read_bytes()
        exporter, made = prepare(source, tmp_path / "run")
        assert made.rows == 1
        exporter.close()
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["000.chunks", NAME, snapshot.FILE]


# -- a source that is locked


def test_a_source_that_a_writer_locks_is_told_and_can_be_tried_again(tmp_path: Path) -> None:
    source = tmp_path / "s.sqlite"
    make_source(source, SCRIPT).close()
    with (
        closing(open_source(source, closed_cleanly=True, busy_seconds=0.05)) as db,
        closing(apsw.Connection(str(source))) as writer,
    ):
        writer.execute("BEGIN EXCLUSIVE; UPDATE t SET body = 'half done'")
        with pytest.raises(CannotFinish, match="a writer keeps the source locked") as caught:
            snapshot.take(db, tmp_path / "run")
        assert "\n" not in caught.value.line
        assert "stop the writer" in caught.value.next
        assert list((tmp_path / "run").iterdir()) == []
        writer.execute("ROLLBACK")
        path = snapshot.take(db, tmp_path / "run")
    with closing(snapshot.open_snapshot(path)) as copy:
        assert copy.execute("SELECT count(*) FROM t WHERE body = 'half done'").get == 0


def test_a_damaged_source_stops_the_export_in_one_line(tmp_path: Path) -> None:
    """A page that broke after the inventory had read it."""
    source = tmp_path / "s.sqlite"
    make_source(source, SCRIPT).close()
    content = bytearray(source.read_bytes())
    content[200 * 4096 : 201 * 4096] = b"\xff" * 4096
    source.write_bytes(bytes(content))
    with closing(open_source(source, closed_cleanly=True)) as db:
        path = snapshot.take(db, tmp_path / "run")
    with pytest.raises(TowpathError) as caught:
        export.Exporter(path).export("plan", {})
    assert "\n" not in caught.value.line
    assert "malformed" in caught.value.line
    assert not (tmp_path / "run" / NAME).exists()
