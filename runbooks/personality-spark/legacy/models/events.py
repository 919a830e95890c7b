"""What happened: events by quarter, the log of imports, and counts in a schema of their own."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, Sequence, String, Table, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base

QUARTERS = tuple((year, quarter) for year in (2024, 2025, 2026) for quarter in (1, 2, 3, 4))
IDS = Sequence("quiz_events_id_seq", metadata=Base.metadata, data_type=BigInteger)


class QuizEvent(Base):
    """One step of somebody in a quiz.  Partitioned, so that its key has the time in it."""

    __tablename__ = "quiz_events"
    __table_args__ = {"postgresql_partition_by": "RANGE (occurred_at)", "comment": "One partition for each quarter"}

    id: Mapped[int] = mapped_column(
        BigInteger, IDS, server_default=IDS.next_value(), primary_key=True, autoincrement=False
    )
    occurred_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    user_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    quiz_type: Mapped[str | None] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(20))
    payload: Mapped[dict[str, Any] | None]


Index("ix_quiz_events_kind", QuizEvent.kind, QuizEvent.occurred_at)

# Nobody gave it a key, and some lines are there twice.
import_log = Table(
    "import_log",
    Base.metadata,
    Column("batch", Text, nullable=False),
    Column("line", Integer, nullable=False),
    Column("message", Text),
    Column("logged_at", DateTime(timezone=False), nullable=False, comment="without a zone: the server ran in UTC"),
)


class DailyCount(Base):
    """Results by day and quiz, for the dashboard."""

    __tablename__ = "daily_counts"
    __table_args__ = {"schema": "stats", "comment": "Counted each night"}

    day: Mapped[dt.date] = mapped_column(primary_key=True)
    quiz_type: Mapped[str] = mapped_column(String(20), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
