"""Tasks."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from runbooks.joan.legacy.database import SessionOf
from runbooks.joan.legacy.models import Task, TaskStatus
from runbooks.joan.legacy.models.base import utcnow
from runbooks.joan.legacy.removal import remove_task
from runbooks.joan.legacy.routes.owned import apply, named_rows_exist, owned
from runbooks.joan.legacy.schemas import Message, NewTask, TaskChange, TaskView, changes
from runbooks.joan.legacy.security import CurrentUser

router = APIRouter(prefix="/tasks", tags=["tasks"])


@router.get("")
async def list_tasks(
    user: CurrentUser,
    session: SessionOf,
    status: TaskStatus | None = None,
    folder_id: uuid.UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[TaskView]:
    """The user's tasks, newest first."""
    query = select(Task).where(Task.user_id == user.id)
    if status is not None:
        query = query.where(Task.status == status)
    if folder_id is not None:
        query = query.where(Task.folder_id == folder_id)
    rows = await session.scalars(query.order_by(Task.created_at.desc(), Task.id).limit(limit).offset(offset))
    return [TaskView.model_validate(row) for row in rows]


@router.post("", status_code=201)
async def create_task(body: NewTask, user: CurrentUser, session: SessionOf) -> TaskView:
    """A new task."""
    values = body.model_dump()
    await named_rows_exist(session, values, user)
    task = Task(user_id=user.id, **values, **_completion(values))
    session.add(task)
    await session.commit()
    await session.refresh(task)
    return TaskView.model_validate(task)


@router.get("/{task_id}")
async def get_task(task_id: uuid.UUID, user: CurrentUser, session: SessionOf) -> TaskView:
    """One task."""
    return TaskView.model_validate(await owned(session, Task, task_id, user))


@router.patch("/{task_id}")
async def change_task(task_id: uuid.UUID, body: TaskChange, user: CurrentUser, session: SessionOf) -> TaskView:
    """Change the fields that are sent."""
    task = await owned(session, Task, task_id, user)
    values = changes(body)
    await named_rows_exist(session, values, user)
    if values.get("parent_task_id") is not None and await _is_below(session, values["parent_task_id"], task.id):
        raise HTTPException(422, "A task cannot lie under itself")
    apply(task, values | _completion(values))
    await session.commit()
    await session.refresh(task)
    return TaskView.model_validate(task)


@router.delete("/{task_id}")
async def delete_task(task_id: uuid.UUID, user: CurrentUser, session: SessionOf) -> Message:
    """Delete a task; its subtasks move up."""
    await remove_task(session, await owned(session, Task, task_id, user), utcnow())
    await session.commit()
    return Message(message="Deleted")


def _completion(values: dict[str, Any]) -> dict[str, Any]:
    if "status" not in values:
        return {}
    return {"completed_at": dt.datetime.now(dt.UTC) if values["status"] is TaskStatus.DONE else None}


async def _is_below(session: AsyncSession, candidate: uuid.UUID | None, ancestor: uuid.UUID) -> bool:
    seen: set[uuid.UUID] = set()
    while candidate is not None and candidate not in seen:
        if candidate == ancestor:
            return True
        seen.add(candidate)
        candidate = await session.scalar(select(Task.parent_task_id).where(Task.id == candidate))
    return False
