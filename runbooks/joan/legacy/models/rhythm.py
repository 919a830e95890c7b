"""The rhythm of a day: pomodoros, schedules, personal activities."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    String,
    Text,
    Time,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from runbooks.joan.legacy.models.base import Base, Created, Timestamps, UuidKey, new_dashed_id


class PomodoroSession(Base):
    """One stretch of work; a plain INTEGER PRIMARY KEY."""

    __tablename__ = "pomodoro_sessions"
    __table_args__ = (Index("ix_pomodoro_sessions_user_id_started_at", "user_id", "started_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    task_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"), index=True)
    started_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    planned_minutes: Mapped[int] = mapped_column(default=25)
    completed: Mapped[bool] = mapped_column(default=False)
    focus_score: Mapped[float | None] = mapped_column(Float)


class PomodoroSettings(Base):
    """A user's timer; the user is the key."""

    __tablename__ = "pomodoro_settings"
    __table_args__ = (CheckConstraint("work_minutes > 0 AND break_minutes > 0", name="minutes_positive"),)

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    work_minutes: Mapped[int] = mapped_column(default=25, server_default="25")
    break_minutes: Mapped[int] = mapped_column(default=5, server_default="5")
    long_break_minutes: Mapped[int] = mapped_column(default=15, server_default="15")
    sessions_until_long_break: Mapped[int] = mapped_column(default=4, server_default="4")
    auto_start: Mapped[bool] = mapped_column(default=False, server_default="0")
    sound: Mapped[str | None] = mapped_column(String(40))


class DailySchedule(Timestamps, Base):
    """The plan of one day."""

    __tablename__ = "daily_schedules"
    __table_args__ = (UniqueConstraint("user_id", "day"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_dashed_id)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    day: Mapped[dt.date] = mapped_column(Date)
    starts_at: Mapped[dt.time | None] = mapped_column(Time)
    ends_at: Mapped[dt.time | None] = mapped_column(Time)
    intention: Mapped[str | None] = mapped_column(Text)


class DailyScheduleTask(Base):
    """A task in the plan of a day."""

    __tablename__ = "daily_schedule_tasks"
    __table_args__ = (UniqueConstraint("schedule_id", "position"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_dashed_id)
    schedule_id: Mapped[str] = mapped_column(String(36), ForeignKey("daily_schedules.id", ondelete="CASCADE"))
    task_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    starts_at: Mapped[dt.time | None] = mapped_column(Time)
    minutes: Mapped[int | None]
    done: Mapped[bool] = mapped_column(default=False)


class PersonalActivity(UuidKey, Created, Base):
    """Something done for oneself."""

    __tablename__ = "personal_activities"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(String(300))
    happened_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    minutes: Mapped[int | None]
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    data: Mapped[Any | None] = mapped_column(JSON)
