"""The declarative base, and the columns that most tables share."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import DateTime, MetaData, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def utcnow() -> dt.datetime:
    """The time as Joan keeps it: UTC without a zone."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def new_dashed_id() -> str:
    """An id of the tables that came later: a UUID as 36 characters."""
    return str(uuid.uuid4())


class Base(DeclarativeBase):
    """All of Joan's tables."""

    metadata = MetaData(naming_convention=NAMES)


class UuidKey:
    """A UUID key as SQLAlchemy's `Uuid` stores it in SQLite: CHAR(32), hex without dashes."""

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4, sort_order=-10)


class Created:
    """When the row came to be.  The server default has no fraction of a second, SQLAlchemy's values always have six."""

    created_at: Mapped[dt.datetime] = mapped_column(
        DateTime, default=utcnow, server_default=text("CURRENT_TIMESTAMP"), sort_order=90
    )


class Timestamps(Created):
    """When the row came to be and when the application last changed it."""

    updated_at: Mapped[dt.datetime] = mapped_column(
        DateTime, default=utcnow, server_default=text("CURRENT_TIMESTAMP"), onupdate=utcnow, sort_order=91
    )
