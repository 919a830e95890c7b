"""Notes."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from runbooks.joan.legacy.database import SessionOf
from runbooks.joan.legacy.models import Note
from runbooks.joan.legacy.removal import remove_note
from runbooks.joan.legacy.routes.owned import apply, named_rows_exist, owned
from runbooks.joan.legacy.schemas import Message, NewNote, NoteChange, NoteView, changes
from runbooks.joan.legacy.security import CurrentUser

router = APIRouter(prefix="/notes", tags=["notes"])


@router.get("")
async def list_notes(
    user: CurrentUser,
    session: SessionOf,
    folder_id: uuid.UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[NoteView]:
    """The user's notes, last changed first."""
    query = select(Note).where(Note.user_id == user.id, Note.deleted_at.is_(None))
    if folder_id is not None:
        query = query.where(Note.folder_id == folder_id)
    rows = await session.scalars(query.order_by(Note.updated_at.desc(), Note.id).limit(limit).offset(offset))
    return [NoteView.model_validate(row) for row in rows]


@router.post("", status_code=201)
async def create_note(body: NewNote, user: CurrentUser, session: SessionOf) -> NoteView:
    """A new note."""
    values = body.model_dump()
    await named_rows_exist(session, values, user)
    note = Note(user_id=user.id, **values)
    session.add(note)
    await session.commit()
    return NoteView.model_validate(note)


@router.get("/{note_id}")
async def get_note(note_id: uuid.UUID, user: CurrentUser, session: SessionOf) -> NoteView:
    """One note."""
    return NoteView.model_validate(await owned(session, Note, note_id, user))


@router.patch("/{note_id}")
async def change_note(note_id: uuid.UUID, body: NoteChange, user: CurrentUser, session: SessionOf) -> NoteView:
    """Change the fields that are sent."""
    note = await owned(session, Note, note_id, user)
    values = changes(body)
    await named_rows_exist(session, values, user)
    apply(note, values)
    await session.commit()
    return NoteView.model_validate(note)


@router.delete("/{note_id}")
async def delete_note(note_id: uuid.UUID, user: CurrentUser, session: SessionOf) -> Message:
    """Delete a note; its files stay."""
    await remove_note(session, await owned(session, Note, note_id, user))
    await session.commit()
    return Message(message="Deleted")
