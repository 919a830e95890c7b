"""Who makes the changes: a session, a random source, a clock, and a way to pick rows.

The first user is away: all planted rows are theirs, so that work neither repairs nor adds a defect.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from runbooks.joan.legacy.generator.cast import new_id
from runbooks.joan.legacy.generator.texts import Texts
from runbooks.joan.legacy.models import Attachment, Base, Folder, Note, Project, Task, User
from runbooks.joan.legacy.settings import Settings

Row = TypeVar("Row", bound=Base)


class NothingToChange(Exception):
    """No row fits the change; another one is made in its place."""


@dataclass
class Worker:
    """One change at a time, in one transaction each."""

    session: AsyncSession
    rng: Random
    texts: Texts
    data_seed: int  # of the generator, under whose key the provider keys are sealed
    settings: Settings
    away: uuid.UUID
    now: dt.datetime
    after_commit: list[Callable[[], Any]] = field(default_factory=list)

    def tick(self) -> None:
        """Time passes between two changes."""
        self.now += dt.timedelta(seconds=self.rng.uniform(1, 90))

    def new_id(self) -> uuid.UUID:
        """An id for a new row."""
        return new_id(self.rng)

    async def pick(self, kind: type[Row], *conditions: ColumnElement[bool]) -> Row:
        """A row that fits, found from a random point of the key on.  Raises NothingToChange."""
        key: Any = kind.__mapper__.primary_key[0]
        start: Any = self.new_id() if key.type.python_type is uuid.UUID else str(self.new_id())
        ordered = select(kind).where(*conditions).order_by(*kind.__mapper__.primary_key).limit(1)
        found = await self.session.scalar(ordered.where(key >= start)) or await self.session.scalar(ordered)
        if found is None:
            raise NothingToChange(kind.__name__)
        return found

    async def user(self) -> User:
        """Somebody who is at work."""
        return await self.pick(User, User.id != self.away)

    async def task(self, *conditions: ColumnElement[bool]) -> Task:
        """A task of somebody at work."""
        return await self.pick(Task, Task.user_id != self.away, *conditions)

    async def note(self, *conditions: ColumnElement[bool]) -> Note:
        """A note of somebody at work."""
        return await self.pick(Note, Note.user_id != self.away, *conditions)

    async def folder(self, *conditions: ColumnElement[bool]) -> Folder:
        """A folder of somebody at work."""
        return await self.pick(Folder, Folder.user_id != self.away, *conditions)

    async def project(self, *conditions: ColumnElement[bool]) -> Project:
        """A project of somebody at work."""
        return await self.pick(Project, Project.owner_id != self.away, *conditions)

    async def attachment(self) -> Attachment:
        """An attachment of somebody at work."""
        return await self.pick(Attachment, Attachment.user_id != self.away)
