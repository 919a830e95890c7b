"""What the routes take and give."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from runbooks.joan.legacy.models import TaskStatus, UserRole

Title = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Body(BaseModel):
    """What a client sends; a field nobody knows is an error."""

    model_config = ConfigDict(extra="forbid")


class View(BaseModel):
    """What a client gets, read from a row."""

    model_config = ConfigDict(from_attributes=True)


class Registration(Body):
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]
    username: Annotated[str, StringConstraints(min_length=2, max_length=64, pattern=r"^\S+$")]
    password: Annotated[str, StringConstraints(min_length=10, max_length=200)]
    name: Annotated[str, StringConstraints(max_length=200)] | None = None


class Login(Body):
    email: str
    password: str


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"


class UserView(View):
    id: uuid.UUID
    email: str
    username: str
    name: str | None
    role: UserRole
    created_at: dt.datetime


class NewTask(Body):
    title: Title
    description: str | None = None
    status: TaskStatus = TaskStatus.PENDING
    priority: Annotated[int, Field(ge=0, le=5)] = 0
    due_date: dt.date | None = None
    folder_id: uuid.UUID | None = None
    project_id: str | None = None
    parent_task_id: uuid.UUID | None = None
    estimated_minutes: int | None = None
    hourly_rate: Annotated[Decimal, Field(max_digits=10, decimal_places=2)] | None = None


class TaskChange(Body):
    title: Title | None = None
    description: str | None = None
    status: TaskStatus | None = None
    priority: Annotated[int, Field(ge=0, le=5)] | None = None
    due_date: dt.date | None = None
    folder_id: uuid.UUID | None = None
    project_id: str | None = None
    parent_task_id: uuid.UUID | None = None
    actual_minutes: int | None = None


class TaskView(View):
    id: uuid.UUID
    title: str
    description: str | None
    status: TaskStatus
    priority: int
    due_date: dt.date | None
    completed_at: dt.datetime | None
    folder_id: uuid.UUID | None
    project_id: str | None
    parent_task_id: uuid.UUID | None
    progress_percent: int | None
    created_at: dt.datetime
    updated_at: dt.datetime


class NewNote(Body):
    title: Title
    content: str = ""
    folder_id: uuid.UUID | None = None
    tags: list[str] | None = None


class NoteChange(Body):
    title: Title | None = None
    content: str | None = None
    folder_id: uuid.UUID | None = None
    tags: list[str] | None = None
    is_pinned: bool | None = None


class NoteView(View):
    id: uuid.UUID
    title: str
    content: str
    folder_id: uuid.UUID | None
    tags: list[str] | None
    is_pinned: bool
    created_at: dt.datetime
    updated_at: dt.datetime


class NewFolder(Body):
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    parent_id: uuid.UUID | None = None
    color: str | None = None


class FolderChange(Body):
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    parent_id: uuid.UUID | None = None


class FolderView(View):
    id: uuid.UUID
    name: str
    parent_id: uuid.UUID | None
    color: str | None
    note_count: int


class FolderTree(BaseModel):
    folder: FolderView
    children: list[FolderTree]


class AttachmentView(View):
    id: uuid.UUID
    filename: str
    mime_type: str | None
    storage_key: str
    size: int
    task_id: uuid.UUID | None
    note_id: uuid.UUID | None


class Message(BaseModel):
    message: str


class Health(BaseModel):
    maintenance: bool
    writes_in_flight: int


def changes(body: BaseModel) -> dict[str, Any]:
    """The fields that the client sent."""
    return body.model_dump(exclude_unset=True)
