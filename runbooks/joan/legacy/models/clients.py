"""Clients, projects and who works on them.  Their ids are dashed text: these tables came with a later version."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, Computed, Date, Enum, ForeignKey, Index, Integer, Numeric, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from runbooks.joan.legacy.models.base import Base, Created, Timestamps, new_dashed_id


class ProjectRole(enum.Enum):
    """What a member does; stored by name, as SQLAlchemy does unless told otherwise."""

    LEAD = "lead"
    MEMBER = "member"
    GUEST = "guest"


class Client(Timestamps, Base):
    """Somebody who pays."""

    __tablename__ = "clients"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_dashed_id)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    company: Mapped[str | None] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(320))
    phone: Mapped[str | None] = mapped_column(String(40))
    address: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    currency: Mapped[str] = mapped_column(String(3), default="EUR", server_default="EUR")
    hourly_rate: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))


class Project(Timestamps, Base):
    """Work for a client.  Projects and memberships name each other: a cycle of two tables."""

    __tablename__ = "projects"
    __table_args__ = (Index("ix_projects_client_id_status", "client_id", "status"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_dashed_id)
    client_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("clients.id", ondelete="SET NULL"))
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), index=True)
    lead_membership_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("project_memberships.id", use_alter=True)
    )
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20), default="active", server_default="active")
    budget: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    budget_cents: Mapped[int | None] = mapped_column(
        Integer, Computed("CAST(round(budget * 100) AS INTEGER)", persisted=True)
    )
    starts_on: Mapped[dt.date | None] = mapped_column(Date)
    ends_on: Mapped[dt.date | None] = mapped_column(Date)


class ProjectMembership(Created, Base):
    """Who works on a project."""

    __tablename__ = "project_memberships"
    __table_args__ = (UniqueConstraint("project_id", "user_id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_dashed_id)
    project_id: Mapped[str] = mapped_column(String(36), ForeignKey("projects.id", ondelete="CASCADE"))
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    role: Mapped[ProjectRole] = mapped_column(Enum(ProjectRole), default=ProjectRole.MEMBER)
    hourly_rate: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
