"""Attached files: upload, download, delete."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.concurrency import run_in_threadpool

from runbooks.joan.legacy import storage
from runbooks.joan.legacy.database import SessionOf
from runbooks.joan.legacy.models import Attachment, Note, Task, User
from runbooks.joan.legacy.routes.owned import owned
from runbooks.joan.legacy.schemas import AttachmentView, Message
from runbooks.joan.legacy.security import CurrentUser
from runbooks.joan.legacy.settings import Settings

router = APIRouter(prefix="/attachments", tags=["attachments"])


@router.post("/upload", status_code=201)
async def upload(
    file: UploadFile,
    user: CurrentUser,
    session: SessionOf,
    request: Request,
    task_id: Annotated[uuid.UUID | None, Form()] = None,
    note_id: Annotated[uuid.UUID | None, Form()] = None,
) -> AttachmentView:
    """Store a file and its row; the file first, and it goes again if the row does not come to be."""
    settings: Settings = request.app.state.settings
    if task_id is not None:
        await owned(session, Task, task_id, user)
    if note_id is not None:
        await owned(session, Note, note_id, user)
    content = await file.read(settings.largest_upload + 1)
    if len(content) > settings.largest_upload:
        raise HTTPException(413, f"The file is larger than {settings.largest_upload} bytes")
    id = uuid.uuid4()
    name = storage.safe_name(file.filename or "file")
    attachment = Attachment(
        id=id,
        user_id=user.id,
        task_id=task_id,
        note_id=note_id,
        filename=name,
        mime_type=file.content_type,
        storage_key=storage.storage_key(id, name),
        size=len(content),
    )
    path = storage.located(settings.data, attachment.storage_key)
    await run_in_threadpool(storage.write, path, content)
    try:
        session.add(attachment)
        await session.commit()
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return AttachmentView.model_validate(attachment)


@router.get("/{attachment_id}")
async def download(attachment_id: uuid.UUID, user: CurrentUser, session: SessionOf, request: Request) -> FileResponse:
    """The file; 404 when the row or the file is not there."""
    attachment, path = await _found(attachment_id, user, session, request)
    if not path.is_file():
        raise HTTPException(404, "The file is missing")
    return FileResponse(path, media_type=attachment.mime_type, filename=attachment.filename)


@router.delete("/{attachment_id}")
async def delete(attachment_id: uuid.UUID, user: CurrentUser, session: SessionOf, request: Request) -> Message:
    """Delete the row, then its file."""
    attachment, path = await _found(attachment_id, user, session, request)
    await session.delete(attachment)
    await session.commit()
    path.unlink(missing_ok=True)
    return Message(message="Deleted")


async def _found(id: uuid.UUID, user: User, session: AsyncSession, request: Request) -> tuple[Attachment, Path]:
    attachment = await session.get(Attachment, id)
    if attachment is None or attachment.user_id != user.id:
        raise HTTPException(404, "Attachment not found")
    settings: Settings = request.app.state.settings
    return attachment, storage.located(settings.data, attachment.storage_key)
