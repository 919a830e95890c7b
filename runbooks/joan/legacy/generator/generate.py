"""Writes Joan's database and files: user by user, in batches, so that memory does not grow with the scale."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from runbooks.joan.legacy.database import Database
from runbooks.joan.legacy.generator import files, people, planting, work, workflows
from runbooks.joan.legacy.generator.batches import Batch
from runbooks.joan.legacy.generator.cast import Cast
from runbooks.joan.legacy.generator.scales import Scale
from runbooks.joan.legacy.generator.texts import Texts
from runbooks.joan.legacy.models import Base

ROWS_PER_BATCH = 20_000
MARKER = "generated.json"
JOURNAL_MODES = ("delete", "wal")


class NotOurs(Exception):
    """The target folder holds data that no generator wrote."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What was written."""

    scale: str
    seed: int
    rows: int
    tables: dict[str, int]
    database_bytes: int
    files: int
    file_bytes: int


async def generate(
    to: Path, scale: Scale, seed: int = 1, journal_mode: str = "delete", report: Callable[[int], None] | None = None
) -> Generated:
    """Write `joan.sqlite` and `attachments/` under `to`, in place of those that an earlier call wrote.

    Everything is made beside the old data and moved into place at the end; a maintenance switch that was left on
    goes, for the new data is a new system.  `report` is called with the number of users done since the last call.
    Raises NotOurs when `to` holds a database or attachments without the generator's marker.
    """
    to.mkdir(parents=True, exist_ok=True)
    if not (to / MARKER).exists() and any((to / name).exists() for name in ("joan.sqlite", "attachments")):
        raise NotOurs(f"{to} holds a joan.sqlite or attachments that this generator did not write")
    work_folder = Path(tempfile.mkdtemp(prefix=".generating-", dir=to))
    try:
        generated = await _write(work_folder, scale, seed, journal_mode, report)
        (to / MARKER).write_text(json.dumps(asdict(generated), indent=2) + "\n", encoding="utf-8")
        _replace(work_folder, to)
    finally:
        shutil.rmtree(work_folder, ignore_errors=True)
    return generated


async def _write(
    folder: Path, scale: Scale, seed: int, journal_mode: str, report: Callable[[int], None] | None
) -> Generated:
    database = Database(folder / "joan.sqlite")
    file_bytes = 0
    try:
        async with database.engine.connect() as connection:
            # The file is thrown away when anything fails, so neither a power cut nor a rollback has to be survived.
            # A journal in memory would hold every page that a batch of random keys touches.
            for pragma in ("synchronous = OFF", "journal_mode = OFF", "cache_size = -65536"):
                await connection.execute(text(f"PRAGMA {pragma}"))
            await connection.commit()
            await connection.run_sync(Base.metadata.create_all)
            texts, hashes = Texts(seed), people.password_hashes(seed)
            batch = Batch()
            workflows.add_shared(batch, seed, texts)
            first: Cast | None = None
            done = 0
            for index in range(scale.users):
                cast = Cast(seed, index, scale, texts)
                _add_user(batch, cast, hashes)
                rows = files.file_rows(cast, scale)
                batch.add("attachments", [row for _, row in rows])
                file_bytes += files.write_files(folder, seed, rows, texts)
                if first is None:
                    first = cast
                    planting.add_planted(batch, cast)
                done += 1
                if len(batch) >= ROWS_PER_BATCH or index == scale.users - 1:
                    await batch.write(connection)
                    await connection.commit()
                    if report is not None:
                        report(done)
                    done = 0
            assert first is not None
            await planting.leave_sequence_ahead(connection, first)
            await connection.commit()
            await connection.execute(text("ANALYZE"))
            await connection.commit()
            await connection.execute(text(f"PRAGMA journal_mode = {journal_mode}"))
            tables = await _counts(connection)
    finally:
        await database.close()
    file_bytes += files.write_stray_file(folder)
    return Generated(
        scale=scale.name,
        seed=seed,
        rows=sum(tables.values()),
        tables=tables,
        database_bytes=(folder / "joan.sqlite").stat().st_size,
        files=scale.files + 1,
        file_bytes=file_bytes,
    )


def _add_user(batch: Batch, cast: Cast, hashes: list[str]) -> None:
    people.add_account(batch, cast, hashes)
    people.add_folders(batch, cast)
    people.add_notes(batch, cast)
    people.add_projects(batch, cast)
    work.add_tasks(batch, cast)
    work.add_days(batch, cast)
    workflows.add_ceremonies(batch, cast)
    workflows.add_workflows(batch, cast)


async def _counts(connection: AsyncConnection) -> dict[str, int]:
    counts = {}
    for name in sorted(Base.metadata.tables):
        counts[name] = await connection.scalar(select(func.count()).select_from(Base.metadata.tables[name])) or 0
    return counts


def _replace(folder: Path, to: Path) -> None:
    for name in ("joan.sqlite", "joan.sqlite-wal", "joan.sqlite-shm", "joan.sqlite-journal", "maintenance.json"):
        (to / name).unlink(missing_ok=True)
    if (to / "attachments").exists():
        (to / "attachments").rename(folder / "old-attachments")
    (folder / "attachments").rename(to / "attachments")
    (folder / "joan.sqlite").rename(to / "joan.sqlite")
