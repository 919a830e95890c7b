"""Removing things without leaving orphans: SQLite does not do it for Joan, so this module does.

Each function works in the caller's transaction.  (Before these functions existed, deletes left rows behind; a few
of them are still in the data, see planted.py.)
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from runbooks.joan.legacy.models import (
    AIWorkflowExecution,
    Attachment,
    DailyScheduleTask,
    Folder,
    Note,
    PomodoroSession,
    Task,
    TaskActivity,
    TaskGoalLink,
    TaskResource,
)


async def remove_task(session: AsyncSession, task: Task, now: dt.datetime) -> None:
    """Delete a task with what belongs to it; its subtasks move up to its parent."""
    await session.execute(
        update(Task)
        .where(Task.parent_task_id == task.id)
        .values(parent_task_id=task.parent_task_id, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    for owned in (DailyScheduleTask, TaskGoalLink, TaskActivity, TaskResource):
        await session.execute(delete(owned).where(owned.task_id == task.id))
    for loose in (PomodoroSession, AIWorkflowExecution, Attachment):
        await session.execute(update(loose).where(loose.task_id == task.id).values(task_id=None))
    await session.execute(delete(Task).where(Task.id == task.id))


async def remove_note(session: AsyncSession, note: Note) -> None:
    """Delete a note; files attached to it stay with their owner."""
    await session.execute(update(Attachment).where(Attachment.note_id == note.id).values(note_id=None))
    await session.execute(delete(Note).where(Note.id == note.id))


async def remove_folder(session: AsyncSession, folder: Folder, now: dt.datetime) -> None:
    """Delete a folder; what it holds moves up to its parent, folders under a free name."""
    taken = set(
        await session.scalars(
            select(Folder.name).where(
                Folder.user_id == folder.user_id,
                Folder.parent_id.is_(None) if folder.parent_id is None else Folder.parent_id == folder.parent_id,
                Folder.id != folder.id,
            )
        )
    )
    children = await session.scalars(select(Folder).where(Folder.parent_id == folder.id).order_by(Folder.id))
    for child in children:
        name, number = child.name, 2
        while name in taken:
            name, number = f"{child.name[:190]} ({number})", number + 1
        taken.add(name)
        child.name, child.parent_id, child.updated_at = name, folder.parent_id, now
    await session.flush()
    for held in (Note, Task):
        await session.execute(
            update(held)
            .where(held.folder_id == folder.id)
            .values(folder_id=folder.parent_id, updated_at=now)
            .execution_options(synchronize_session=False)
        )
    await session.execute(delete(Folder).where(Folder.id == folder.id))
