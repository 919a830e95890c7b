"""Puts into the data what planted.py lists, for the first user."""

from __future__ import annotations

import uuid
from random import Random

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from runbooks.joan.legacy import planted, storage
from runbooks.joan.legacy.generator.batches import Batch
from runbooks.joan.legacy.generator.cast import Cast, moment, new_id
from runbooks.joan.legacy.generator.people import note_row
from runbooks.joan.legacy.generator.texts import HOSTILE
from runbooks.joan.legacy.generator.work import activity_row, slot_row, task_row
from runbooks.joan.legacy.generator.workflows import execution_row
from runbooks.joan.legacy.models import TaskActivity, TaskStatus


def add_planted(batch: Batch, cast: Cast) -> None:
    """Orphans, long integers, strange floats and texts; the first user has everything else already."""
    cast.rng = rng = Random(f"{cast.seed}:planted")
    for number in range(3):
        gone = str(new_id(rng))
        batch.add("tasks", [task_row(cast, title=f"Project is gone {number}", project_id=gone, external_ref=None)])
    schedule = batch.rows["daily_schedules"][0]["id"]
    batch.add("daily_schedule_tasks", [slot_row(cast, schedule, new_id(rng), 1_000 + number) for number in range(2)])
    batch.add("notes", [note_row(cast, "Folder is gone", "Still here.", new_id(rng))])
    batch.add("attachments", [_missing_file(cast)])
    batch.add("ai_workflow_executions", [execution_row(cast, trace) for trace in planted.BEYOND_DOUBLE])
    _add_oddities(batch, cast)


def _missing_file(cast: Cast) -> dict[str, object]:
    id: uuid.UUID = new_id(cast.rng)
    return {
        "id": id,
        "user_id": cast.user,
        "task_id": cast.tasks[0],
        "note_id": None,
        "filename": "lost in the disk change of 2024.pdf",
        "mime_type": "application/pdf",
        "storage_key": storage.storage_key(id, "lost in the disk change of 2024.pdf"),
        "size": 48_213,
        "created_at": moment(cast.rng),
    }


def _add_oddities(batch: Batch, cast: Cast) -> None:
    rng, folder = cast.rng, cast.folders[0]
    for number, position in enumerate(planted.SPECIAL_POSITIONS):
        row = task_row(cast, title=f"Position {number}", board_position=position, external_ref=None)
        batch.add("tasks", [row])
    for reference in ("00123", "1e5"):
        batch.add("tasks", [task_row(cast, title="Reference of digits", external_ref=reference)])
    # a task whose parent is made after it, and whose key may sort before it
    child, parent = new_id(rng), new_id(rng)
    batch.add("tasks", [task_row(cast, id=child, parent_task_id=parent, status=TaskStatus.PENDING, external_ref=None)])
    batch.add("tasks", [task_row(cast, id=parent, parent_task_id=None, external_ref=None)])
    for number, text in enumerate(HOSTILE):
        batch.add("notes", [note_row(cast, f"Hostile {number}: {text[:40]}", text, folder)])
    batch.add("notes", [note_row(cast, "Replacement character", "a real \ufffd in the middle", folder)])
    for size in planted.LONG_NOTES:
        batch.add("notes", [note_row(cast, f"Long note of {size} bytes", cast.texts.long(rng, size), None)])
    twin = {"execution_id": None, "name": "twin", "value": 0.1, "labels": {"a": 1}, "recorded_at": moment(rng)}
    batch.add("ai_workflow_metrics", [twin] * planted.METRIC_TWINS)
    activity = {
        "id": new_id(rng),
        "user_id": cast.user,
        "kind": "sensor",
        "title": "Long integer in JSON",
        "happened_at": moment(rng),
        "minutes": None,
        "latitude": -0.0,
        "longitude": 180.0,
        "data": {"device": 9007199254740995, "price": 1.10},
        "created_at": moment(rng),
    }
    batch.add("personal_activities", [activity])


async def leave_sequence_ahead(connection: AsyncConnection, cast: Cast) -> None:
    """Insert activities and delete them again, so that the next id is not max(id) + 1."""
    highest = await connection.scalar(select(func.max(TaskActivity.id))) or 0
    batch = Batch()
    batch.add("task_activities", [activity_row(cast) for _ in range(planted.SEQUENCE_AHEAD)])
    await batch.write(connection)
    await connection.execute(delete(TaskActivity).where(TaskActivity.id > highest))
