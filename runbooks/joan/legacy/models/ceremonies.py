"""Ceremonies: templates, their components, and sessions held."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import JSON, DateTime, Enum, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from runbooks.joan.legacy.models.base import Base, Timestamps, UuidKey


class CeremonyTemplate(UuidKey, Timestamps, Base):
    """How a ceremony goes; without a user it belongs to everybody."""

    __tablename__ = "ceremony_templates"

    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    schedule: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    is_active: Mapped[bool] = mapped_column(default=True, server_default="1")


class CeremonyComponent(Base):
    """One part of a ceremony."""

    __tablename__ = "ceremony_components"
    __table_args__ = (UniqueConstraint("template_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    template_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ceremony_templates.id", ondelete="CASCADE"))
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(Enum("question", "checklist", "timer", "review", name="ceremony_component_kind"))
    prompt: Mapped[str] = mapped_column(Text)
    options: Mapped[Any | None] = mapped_column(JSON)


class CeremonySession(UuidKey, Timestamps, Base):
    """A ceremony that was held."""

    __tablename__ = "ceremony_sessions"

    template_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ceremony_templates.id"), index=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    started_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    answers: Mapped[dict[str, Any]] = mapped_column(JSON)
    summary: Mapped[str | None] = mapped_column(Text)
