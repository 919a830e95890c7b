"""Rows that belong to the user who asks; anybody else's are not there."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import HTTPException
from sqlalchemy.ext.asyncio import AsyncSession

from runbooks.joan.legacy.models import Folder, Note, Project, Task, User

Row = TypeVar("Row", Task, Note, Folder)
REQUIRED = frozenset({"title", "name", "status", "priority", "content", "is_pinned"})


async def owned(session: AsyncSession, kind: type[Row], id: Any, user: User) -> Row:
    """The row, or 404."""
    row = await session.get(kind, id)
    if row is None or row.user_id != user.id:
        raise HTTPException(404, f"{kind.__name__} not found")
    return row


async def named_rows_exist(session: AsyncSession, values: dict[str, Any], user: User) -> None:
    """404 when a body names a folder, task, note or project that the user has not; SQLite would take it."""
    for field in ("folder_id", "parent_id"):
        if values.get(field) is not None:
            await owned(session, Folder, values[field], user)
    if values.get("parent_task_id") is not None:
        await owned(session, Task, values["parent_task_id"], user)
    if values.get("project_id") is not None:
        project = await session.get(Project, values["project_id"])
        if project is None or project.owner_id != user.id:
            raise HTTPException(404, "Project not found")


def apply(row: Task | Note | Folder, values: dict[str, Any]) -> None:
    """Set what the client sent.  A null where the column must have a value is 422."""
    for field, value in values.items():
        if value is None and field in REQUIRED:
            raise HTTPException(422, f"{field} must not be null")
        setattr(row, field, value)
