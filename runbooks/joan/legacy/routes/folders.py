"""Folders, a tree per user."""

from __future__ import annotations

import uuid
from collections import defaultdict

from fastapi import APIRouter, HTTPException
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from runbooks.joan.legacy.database import SessionOf
from runbooks.joan.legacy.models import Folder
from runbooks.joan.legacy.models.base import utcnow
from runbooks.joan.legacy.removal import remove_folder
from runbooks.joan.legacy.routes.owned import apply, named_rows_exist, owned
from runbooks.joan.legacy.schemas import FolderChange, FolderTree, FolderView, Message, NewFolder, changes
from runbooks.joan.legacy.security import CurrentUser

router = APIRouter(prefix="/folders", tags=["folders"])


@router.get("")
async def folder_tree(user: CurrentUser, session: SessionOf) -> list[FolderTree]:
    """All folders of the user as trees."""
    rows = await session.scalars(select(Folder).where(Folder.user_id == user.id).order_by(Folder.position, Folder.name))
    children: dict[uuid.UUID | None, list[Folder]] = defaultdict(list)
    for row in rows:
        children[row.parent_id].append(row)

    def trees(parent: uuid.UUID | None) -> list[FolderTree]:
        return [
            FolderTree(folder=FolderView.model_validate(row), children=trees(row.id))
            for row in children.get(parent, [])
        ]

    return trees(None)


@router.post("", status_code=201)
async def create_folder(body: NewFolder, user: CurrentUser, session: SessionOf) -> FolderView:
    """A new folder."""
    values = body.model_dump()
    await named_rows_exist(session, values, user)
    folder = Folder(user_id=user.id, **values)
    session.add(folder)
    await _commit(session)
    await session.refresh(folder)
    return FolderView.model_validate(folder)


@router.patch("/{folder_id}")
async def change_folder(folder_id: uuid.UUID, body: FolderChange, user: CurrentUser, session: SessionOf) -> FolderView:
    """Rename or move a folder."""
    folder = await owned(session, Folder, folder_id, user)
    values = changes(body)
    await named_rows_exist(session, values, user)
    above = values.get("parent_id")
    while above is not None:
        if above == folder.id:
            raise HTTPException(422, "A folder cannot lie in itself")
        above = await session.scalar(select(Folder.parent_id).where(Folder.id == above))
    apply(folder, values)
    await _commit(session)
    return FolderView.model_validate(folder)


@router.delete("/{folder_id}")
async def delete_folder(folder_id: uuid.UUID, user: CurrentUser, session: SessionOf) -> Message:
    """Delete a folder; what it holds moves up."""
    await remove_folder(session, await owned(session, Folder, folder_id, user), utcnow())
    await _commit(session)
    return Message(message="Deleted")


async def _commit(session: AsyncSession) -> None:
    try:
        await session.commit()
    except IntegrityError:
        raise HTTPException(409, "A folder of that name is already there") from None
