"""Joan's legacy side: what the generator plants, that it repeats itself, and work during a migration."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from shutil import copytree
from typing import Any

import apsw
import pytest
from cryptography.exceptions import InvalidTag
from runbooks.joan.legacy import security
from runbooks.joan.legacy.generator import MARKER, SCALES, Generated, NotOurs, generate
from runbooks.joan.legacy.generator.people import PASSWORD, sealing_key
from runbooks.joan.legacy.live import CHANGES, LEAST_CHANGES, NoWrites, live
from runbooks.joan.legacy.planted import ODDITIES, PLANTED, STRAY_FILE, Planted
from runbooks.joan.legacy.settings import Settings

ORPHANS = {("tasks", "projects"): 3, ("daily_schedule_tasks", "tasks"): 2, ("notes", "folders"): 1}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Generated]:
    """Joan at scale small; tests only read it."""
    to = tmp_path_factory.mktemp("joan")
    return to, asyncio.run(generate(to, SCALES["small"]))


@pytest.fixture
def data(small: tuple[Path, Generated], tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(copytree(small[0], tmp_path / "joan"))


def opened(folder: Path) -> apsw.Connection:
    return apsw.Connection(str(folder / "joan.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)


def value(folder: Path, query: str) -> Any:
    return next(opened(folder).execute(query))[0]


def on_disk(folder: Path) -> dict[str, str]:
    """Every attached file by its storage key, with its SHA-256."""
    files = (path for path in (folder / "attachments").rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def dump(folder: Path) -> dict[str, list[str]]:
    """Every object's DDL and every row, typed."""
    db = opened(folder)
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    rows = {name: sorted(repr(row) for row in db.execute(f'SELECT * FROM "{name}"')) for name in tables}
    return rows | {"(schema)": sorted(str(row) for row in db.execute("SELECT type, name, sql FROM sqlite_schema"))}


def foreign_keys_broken(folder: Path) -> Counter[tuple[str, str]]:
    return Counter((table, parent) for table, _, parent, _ in opened(folder).execute("PRAGMA foreign_key_check"))


def test_scale_small_has_its_size(small: tuple[Path, Generated]) -> None:
    folder, made = small
    assert made.tables == {name: value(folder, f"SELECT count(*) FROM {name}") for name in made.tables}
    assert len(made.tables) == 28
    assert 1_900 < made.rows < 2_300
    assert made.tables["users"] == 18
    assert made.tables["attachments"] == 41  # forty files and the one that is lost
    assert 500_000 < made.file_bytes < 1_500_000
    assert made.database_bytes == (folder / "joan.sqlite").stat().st_size
    assert value(folder, "PRAGMA integrity_check") == "ok"


def joan(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process that hashes strings otherwise than this one."""
    command = [sys.executable, "-m", "runbooks.joan.legacy", *arguments]
    environment = os.environ | {"PYTHONHASHSEED": "4711"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_same_seed_same_content_another_seed_another(small: tuple[Path, Generated], tmp_path: Path, root: Path) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    done = joan(root, "generate", "--scale", "small", "--to", str(again))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{small[1].rows:,} rows in 28 tables" in done.stdout
    asyncio.run(generate(other, SCALES["small"], seed=2))
    assert dump(again) == dump(small[0])
    assert on_disk(again) == on_disk(small[0])
    assert dump(other)["tasks"] != dump(again)["tasks"]


@pytest.mark.parametrize("plant", [p for p in PLANTED + ODDITIES if p.query], ids=lambda plant: plant.name)
def test_planted_exactly(small: tuple[Path, Generated], plant: Planted) -> None:
    assert value(small[0], plant.query) == plant.count


def test_no_orphans_but_the_planted(small: tuple[Path, Generated]) -> None:
    assert foreign_keys_broken(small[0]) == ORPHANS


def test_files_and_rows_agree_but_for_the_planted(small: tuple[Path, Generated]) -> None:
    folder, made = small
    rows = dict(opened(folder).execute("SELECT storage_key, size FROM attachments"))
    files = on_disk(folder)
    assert len(files) == made.files
    assert set(files) - set(rows) == {STRAY_FILE}
    assert len(set(rows) - set(files)) == next(p.count for p in PLANTED if p.name == "an attachment without its file")
    assert all((folder / key).stat().st_size == rows[key] for key in files if key in rows)
    assert all(unicodedata.is_normalized("NFC", key) for key in files)
    assert 0 in rows.values()
    assert len(set(files.values())) < len(files), "one content is there twice"


@pytest.mark.parametrize(
    ("table", "column", "kinds"),
    [
        ("tasks", "id", {"text"}),
        ("tasks", "board_position", {"real"}),
        ("tasks", "completed_at", {"text", "null"}),
        ("projects", "budget", {"integer", "real", "null"}),  # whole amounts become integers
        ("ai_workflow_configs", "value", {"integer", "real", "text"}),  # JSON scalars become numbers
        ("user_settings", "openai_api_key_encrypted", {"blob", "null"}),
        ("task_activities", "id", {"integer"}),
    ],
)
def test_storage_classes_are_those_of_sqlalchemy(
    small: tuple[Path, Generated], table: str, column: str, kinds: set[str]
) -> None:
    assert {kind for (kind,) in opened(small[0]).execute(f"SELECT DISTINCT typeof({column}) FROM {table}")} == kinds


def test_formats_are_those_of_sqlalchemy(small: tuple[Path, Generated]) -> None:
    folder = small[0]
    assert value(folder, "SELECT count(*) FROM tasks WHERE id GLOB '*[^0-9a-f]*' OR length(id) <> 32") == 0
    assert value(folder, "SELECT count(*) FROM clients WHERE id NOT LIKE '________-____-4___-____-____________'") == 0
    lengths = {n for (n,) in opened(folder).execute("SELECT DISTINCT length(created_at) FROM personal_activities")}
    assert lengths == {19, 26}, "the server's clock has no fraction, SQLAlchemy's has six digits"
    assert value(folder, "SELECT count(*) FROM users WHERE first_login_at GLOB '*+*'") == 0, "the offset is dropped"


def test_sequence_is_ahead_and_triggers_did_their_work(small: tuple[Path, Generated]) -> None:
    folder = small[0]
    ahead = "SELECT seq - (SELECT max(id) FROM task_activities) FROM sqlite_sequence WHERE name = 'task_activities'"
    assert value(folder, ahead) == 25
    created = "SELECT count(*) FROM task_activities WHERE kind = 'created'"
    assert value(folder, created) == value(folder, "SELECT count(*) FROM tasks")
    counts = "SELECT count(*) FROM folders f WHERE note_count <> (SELECT count(*) FROM notes WHERE folder_id = f.id)"
    assert value(folder, counts) == 0
    assert value(folder, "SELECT count(*) FROM folder_paths") == value(folder, "SELECT count(*) FROM folders")


def test_secrets_in_rows_are_real(small: tuple[Path, Generated]) -> None:
    hashed = value(small[0], "SELECT hashed_password FROM users WHERE is_superuser")
    assert hashed.startswith("$2b$")
    assert security.password_matches(PASSWORD, hashed)
    assert not security.password_matches("another", hashed)
    sealed = value(small[0], "SELECT max(openai_api_key_encrypted) FROM user_settings")
    assert security.unseal(sealing_key(1), sealed).startswith("sk-")
    with pytest.raises(InvalidTag):
        security.unseal(sealing_key(1), sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_generating_again_replaces_only_its_own(data: Path, tmp_path: Path) -> None:
    (data / "maintenance.json").write_text("{}")
    (data / "keep.txt").write_text("mine")
    asyncio.run(generate(data, SCALES["small"], seed=3, journal_mode="wal"))
    assert sorted(path.name for path in data.iterdir()) == sorted(["attachments", "joan.sqlite", "keep.txt", MARKER])
    assert value(data, "PRAGMA journal_mode") == "wal"
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "joan.sqlite").write_text("somebody's")
    with pytest.raises(NotOurs):
        asyncio.run(generate(tmp_path / "foreign", SCALES["small"]))
    assert (tmp_path / "foreign" / "joan.sqlite").read_text() == "somebody's"


def test_live_changes_and_adds_no_defect(data: Path) -> None:
    before, files_before = dump(data), on_disk(data)
    worked = asyncio.run(live(Settings.of(data), seed=7, changes=200))
    assert worked.total == 200
    assert set(worked.changes) == {change.make.__name__.replace("_", " ") for change in CHANGES}
    after, files_after = dump(data), on_disk(data)
    for table in ("tasks", "notes", "folders", "task_activities", "ai_workflow_metrics", "attachments", "projects"):
        assert set(before[table]) - set(after[table]), f"{table}: nothing was changed or deleted"
        assert set(after[table]) - set(before[table]), f"{table}: nothing was changed or added"
    assert set(files_after) - set(files_before)
    assert len(set(files_before) - set(files_after)) == 1
    assert sum(files_after[key] != sha for key, sha in files_before.items() if key in files_after) == 1
    assert before["(schema)"] == after["(schema)"]
    assert foreign_keys_broken(data) == ORPHANS
    for plant in PLANTED + ODDITIES:
        assert not plant.query or value(data, plant.query) == plant.count, plant.name
    sizes = dict(opened(data).execute("SELECT storage_key, size FROM attachments"))
    assert set(files_after) - set(sizes) == {STRAY_FILE}
    assert len(set(sizes) - set(files_after)) == 1
    assert all((data / key).stat().st_size == size for key, size in sizes.items() if key in files_after)


def test_live_moves_a_unique_value_to_a_new_row(data: Path) -> None:
    references = "SELECT external_ref, id FROM tasks WHERE external_ref IS NOT NULL"
    before = dict(opened(data).execute(references))
    asyncio.run(live(Settings.of(data), changes=LEAST_CHANGES))
    after = dict(opened(data).execute(references))
    assert any(after[reference] != before[reference] for reference in before.keys() & after.keys())


def test_live_repeats_itself_and_a_second_shift_goes_on(data: Path, tmp_path: Path) -> None:
    twin = Path(copytree(data, tmp_path / "twin"))
    for folder in (data, twin):
        asyncio.run(live(Settings.of(folder), seed=5, changes=60))
    assert dump(data) == dump(twin)
    assert on_disk(data) == on_disk(twin)
    asyncio.run(live(Settings.of(data), seed=5, changes=60))
    assert foreign_keys_broken(data) == ORPHANS
    assert dump(data) != dump(twin)


def test_live_stops_at_the_maintenance_switch(data: Path, root: Path) -> None:
    (data / "maintenance.json").write_text("")
    before = dump(data)
    with pytest.raises(NoWrites):
        asyncio.run(live(Settings.of(data)))
    done = joan(root, "live", "--data", str(data))
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "maintenance" in done.stderr
    assert dump(data) == before
