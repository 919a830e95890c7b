"""Tasks, their history, boards, goals, and what is tied to them."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Computed,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Index,
    Numeric,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from runbooks.joan.legacy.models.base import Base, Created, Timestamps, UuidKey
from runbooks.joan.legacy.models.people import by_value


class TaskStatus(enum.Enum):
    """Where a task stands; stored by value."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    BLOCKED = "blocked"
    DONE = "done"


class Task(UuidKey, Timestamps, Base):
    """A piece of work; tasks nest by `parent_task_id`."""

    __tablename__ = "tasks"
    __table_args__ = (
        CheckConstraint("priority BETWEEN 0 AND 5", name="priority_range"),
        CheckConstraint("length(title) > 0", name="title_not_empty"),
        Index("ix_tasks_user_id_status", "user_id", "status"),
        Index("ix_tasks_open_due_date", "due_date", sqlite_where=text("completed_at IS NULL")),
        Index("uq_tasks_external_ref", "external_ref", unique=True, sqlite_where=text("external_ref IS NOT NULL")),
    )

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[TaskStatus] = mapped_column(
        Enum(TaskStatus, values_callable=by_value), default=TaskStatus.PENDING, server_default="pending"
    )
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    due_date: Mapped[dt.date | None] = mapped_column(Date)
    completed_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    folder_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id", ondelete="SET NULL"), index=True)
    project_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("projects.id", ondelete="SET NULL"), index=True
    )
    parent_task_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    board_position: Mapped[float] = mapped_column(Float, default=0.0)
    estimated_minutes: Mapped[int | None]
    actual_minutes: Mapped[int | None]
    progress_percent: Mapped[int | None] = mapped_column(
        Computed("CASE WHEN estimated_minutes > 0 THEN actual_minutes * 100 / estimated_minutes END", persisted=False)
    )
    hourly_rate: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    recurrence: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    external_ref: Mapped[str | None] = mapped_column(String(64))


class TaskActivity(Created, Base):
    """What happened to a task.  Triggers on `tasks` write most of these rows (see derived.py)."""

    __tablename__ = "task_activities"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    old_value: Mapped[str | None] = mapped_column(Text)
    new_value: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[Any | None] = mapped_column(JSON)


class KanbanBoard(UuidKey, Timestamps, Base):
    """A board; at most one per user is the default."""

    __tablename__ = "kanban_boards"
    __table_args__ = (
        Index("uq_kanban_boards_default", "user_id", unique=True, sqlite_where=text("is_default")),
        Index("ix_kanban_boards_user_id_name", "user_id", text("name DESC")),
    )

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(120))
    columns: Mapped[list[Any]] = mapped_column(JSON)
    is_default: Mapped[bool] = mapped_column(default=False, server_default="0")


class Goal(UuidKey, Timestamps, Base):
    """Something to reach, with a measure."""

    __tablename__ = "goals"
    __table_args__ = (CheckConstraint("target_date IS NULL OR target_date >= '2000-01-01'", name="target_date_sane"),)

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(300))
    description: Mapped[str | None] = mapped_column(Text)
    target_value: Mapped[float | None] = mapped_column(Float)
    current_value: Mapped[float] = mapped_column(Float, default=0.0)
    target_date: Mapped[dt.date | None] = mapped_column(Date)
    order: Mapped[int] = mapped_column(default=0)


class TaskGoalLink(Created, Base):
    """Which task serves which goal; a composite key in a table without rowids."""

    __tablename__ = "task_goal_links"
    __table_args__ = {"sqlite_with_rowid": False}

    task_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    goal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("goals.id", ondelete="CASCADE"), primary_key=True, index=True)
    weight: Mapped[float] = mapped_column(Float, default=1.0)


class TaskResource(UuidKey, Created, Base):
    """A link, file or note that belongs to a task."""

    __tablename__ = "task_resources"

    task_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(
        Enum("link", "file", "snippet", name="task_resource_kind", create_constraint=True)
    )
    title: Mapped[str] = mapped_column(String(300))
    url: Mapped[str | None] = mapped_column(String(2000))
    content: Mapped[str | None] = mapped_column(Text)
