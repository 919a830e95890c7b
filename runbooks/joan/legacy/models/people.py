"""Users and their settings."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, DateTime, Enum, ForeignKey, Index, LargeBinary, String, Time, func
from sqlalchemy.orm import Mapped, mapped_column

from runbooks.joan.legacy.models.base import Base, Timestamps, UuidKey


class UserRole(enum.Enum):
    """What a user may do; stored by value."""

    MEMBER = "member"
    MANAGER = "manager"
    ADMIN = "admin"


def by_value(kind: type[enum.Enum]) -> list[str]:
    """Store an enumeration by its values; SQLAlchemy's default are the names."""
    return [str(member.value) for member in kind]


class User(UuidKey, Timestamps, Base):
    """A person who logs in."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(320))
    username: Mapped[str] = mapped_column(String(64, collation="NOCASE"), unique=True)
    hashed_password: Mapped[str] = mapped_column(String(128))
    name: Mapped[str | None] = mapped_column(String(200))
    is_active: Mapped[bool] = mapped_column(Boolean, default=True, server_default="1")
    is_superuser: Mapped[bool] = mapped_column(Boolean, default=False, server_default="0")
    role: Mapped[UserRole] = mapped_column(
        Enum(UserRole, values_callable=by_value), default=UserRole.MEMBER, server_default="member"
    )
    onboarding_completed: Mapped[bool] = mapped_column(Boolean, default=False, server_default="0")
    onboarding_progress: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    first_login_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))


# One address, one account, however it is typed.
Index("uq_users_email_lower", func.lower(User.email), unique=True)


class UserSettings(UuidKey, Timestamps, Base):
    """A user's preferences and provider keys; the keys are sealed (see security.py), not text."""

    __tablename__ = "user_settings"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    theme: Mapped[str] = mapped_column(String(20), default="system", server_default="system")
    notifications_enabled: Mapped[bool] = mapped_column(Boolean, default=True, server_default="1")
    default_work_duration: Mapped[int] = mapped_column(default=25, server_default="25")
    default_break_duration: Mapped[int] = mapped_column(default=5, server_default="5")
    day_starts_at: Mapped[dt.time | None] = mapped_column(Time)
    openai_api_key_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)
    anthropic_api_key_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)
    local_llm_enabled: Mapped[bool] = mapped_column(
        Boolean(create_constraint=True, name="local_llm_enabled"), default=False, server_default="0"
    )
    local_llm_url: Mapped[str | None] = mapped_column(String(500))
    local_llm_model: Mapped[str | None] = mapped_column(String(100))
    storage_quota_bytes: Mapped[int] = mapped_column(BigInteger, default=5 * 2**30)
