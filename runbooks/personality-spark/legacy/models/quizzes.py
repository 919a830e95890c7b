"""Quizzes, their results, and the cards that people share."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import REAL, Date, ForeignKey, Index, Integer, Interval, Numeric, String, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Key, Moment
from .people import User


class QuizResult(Base):
    """What came out of one quiz.  Guests have results without an account."""

    __tablename__ = "quiz_results"

    id: Mapped[Key]
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    quiz_type: Mapped[str | None] = mapped_column(String(20))
    results: Mapped[dict[str, Any]] = mapped_column(comment="scores, answers and, once shared, the card's address")
    tags: Mapped[list[str | None]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    duration: Mapped[dt.timedelta | None] = mapped_column(Interval)
    created_at: Mapped[Moment]
    shared: Mapped[bool] = mapped_column(server_default=text("false"))


Index("idx_quiz_results_user_id", QuizResult.user_id)
Index("idx_quiz_results_created_at", QuizResult.created_at)
Index(
    "ix_quiz_results_results", QuizResult.results, postgresql_using="gin", postgresql_ops={"results": "jsonb_path_ops"}
)
Index("ix_quiz_results_tags", QuizResult.tags, postgresql_using="gin")


class SavedQuiz(Base):
    """A quiz that somebody kept; its slug is theirs alone until it is archived."""

    __tablename__ = "saved_quizzes"

    id: Mapped[Key]
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    slug: Mapped[str] = mapped_column(String(60))
    quiz_data: Mapped[dict[str, Any]]
    archived: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


Index("idx_saved_quizzes_user_id", SavedQuiz.user_id)
Index(
    "uq_saved_quizzes_slug",
    SavedQuiz.user_id,
    SavedQuiz.slug,
    unique=True,
    postgresql_where=text("NOT archived"),
)


class QuizAnalytics(Base):
    """Rates by quiz and day."""

    __tablename__ = "quiz_analytics"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)  # a serial
    quiz_type: Mapped[str | None] = mapped_column(String(20))
    completion_rate: Mapped[float | None] = mapped_column(Numeric(5, 4))
    avg_time_seconds: Mapped[int | None]
    share_rate: Mapped[float | None] = mapped_column(REAL)
    created_date: Mapped[dt.date] = mapped_column(Date, server_default=text("CURRENT_DATE"))


class ShareCard(Base):
    """A picture of a result; `path` is its file under the data folder."""

    __tablename__ = "share_cards"

    id: Mapped[Key]
    quiz_result_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(QuizResult.id, ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(Text, unique=True)
    url: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Moment]


Index("ix_share_cards_quiz_result_id", ShareCard.quiz_result_id)
