"""Folders, notes and attached files."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import JSON, CheckConstraint, DateTime, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from runbooks.joan.legacy.models.base import Base, Created, Timestamps, UuidKey


class Folder(UuidKey, Timestamps, Base):
    """A folder in a tree.  `note_count` and `updated_at` are kept by triggers on `notes` (see derived.py)."""

    __tablename__ = "folders"
    __table_args__ = (UniqueConstraint("user_id", "parent_id", "name"),)

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    color: Mapped[str | None] = mapped_column(String(9))
    position: Mapped[int] = mapped_column(default=0)
    note_count: Mapped[int] = mapped_column(default=0, server_default="0")


class Note(UuidKey, Timestamps, Base):
    """A note in Markdown."""

    __tablename__ = "notes"
    __table_args__ = (
        Index("ix_notes_user_id_updated_at", "user_id", "updated_at"),
        Index("ix_notes_live_title", "title", sqlite_where=text("deleted_at IS NULL")),
    )

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    folder_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id", ondelete="SET NULL"), index=True)
    title: Mapped[str] = mapped_column(String(500))
    content: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[list[str] | None] = mapped_column(JSON)
    is_pinned: Mapped[bool] = mapped_column(default=False, server_default="0")
    deleted_at: Mapped[dt.datetime | None] = mapped_column(DateTime)


class Attachment(UuidKey, Created, Base):
    """A file.  `storage_key` is its path under the data folder, always `attachments/<xx>/<id>-<name>`."""

    __tablename__ = "attachments"
    __table_args__ = (CheckConstraint("size >= 0", name="size_not_negative"),)

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    task_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"), index=True)
    note_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("notes.id", ondelete="SET NULL"), index=True)
    filename: Mapped[str] = mapped_column(String(300))
    mime_type: Mapped[str | None] = mapped_column(String(120))
    storage_key: Mapped[str] = mapped_column(String(600), unique=True)
    size: Mapped[int]
