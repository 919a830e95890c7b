"""AI workflows: templates, executions, steps, configuration, metrics, prompts."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from runbooks.joan.legacy.models.base import Base, Timestamps, UuidKey


class AIWorkflowTemplate(UuidKey, Timestamps, Base):
    """A workflow's definition, by version."""

    __tablename__ = "ai_workflow_templates"
    __table_args__ = (UniqueConstraint("name", "version"),)

    name: Mapped[str] = mapped_column(String(120))
    version: Mapped[int] = mapped_column(default=1)
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    is_enabled: Mapped[bool] = mapped_column(default=True, server_default="1")


class AIWorkflowExecution(UuidKey, Base):
    """A workflow that ran.  `provider_trace_id` is the provider's 64-bit number."""

    __tablename__ = "ai_workflow_executions"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'succeeded', 'failed')", name="status_known"),
        Index("ix_ai_workflow_executions_failed", "user_id", sqlite_where=text("status = 'failed'")),
    )

    template_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ai_workflow_templates.id"), index=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    task_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"), index=True)
    provider_trace_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    status: Mapped[str] = mapped_column(String(20), default="queued", server_default="queued")
    input: Mapped[dict[str, Any]] = mapped_column(JSON)
    output: Mapped[Any | None] = mapped_column(JSON)
    cost_usd: Mapped[Decimal | None] = mapped_column(Numeric(12, 6))
    started_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))


class AIWorkflowStep(UuidKey, Base):
    """One step of an execution."""

    __tablename__ = "ai_workflow_steps"
    __table_args__ = (UniqueConstraint("execution_id", "position"),)

    execution_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ai_workflow_executions.id", ondelete="CASCADE"))
    position: Mapped[int]
    model: Mapped[str] = mapped_column(String(80))
    prompt: Mapped[str] = mapped_column(Text)
    response: Mapped[str | None] = mapped_column(Text)
    tokens: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float | None] = mapped_column(Float)


class AIWorkflowConfig(Base):
    """A user's setting for workflows.  `value` is any JSON value, scalars too."""

    __tablename__ = "ai_workflow_configs"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)


# A log that only grows by appending: nobody gave it a key, and rows repeat.
AIWorkflowMetrics = Table(
    "ai_workflow_metrics",
    Base.metadata,
    Column("execution_id", Uuid, ForeignKey("ai_workflow_executions.id"), index=True),
    Column("name", String(60), nullable=False),
    Column("value", Float),
    Column("labels", JSON),
    Column("recorded_at", DateTime, server_default=text("CURRENT_TIMESTAMP"), nullable=False),
)


class PromptLibrary(UuidKey, Timestamps, Base):
    """A prompt kept for reuse."""

    __tablename__ = "prompt_library"

    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(String(60, collation="NOCASE"), index=True)
    tags: Mapped[list[str] | None] = mapped_column(JSON)
    is_public: Mapped[bool] = mapped_column(default=False, server_default="0")
    usage_count: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
