"""Who makes the changes: a session, a random source, a clock, and a way to pick rows and keys.

The planted accounts are away, and all planted rows are theirs, so that work neither repairs nor adds a defect.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

import redis
from celery import Celery
from sqlalchemy import ColumnElement, Text, exists, func, or_, select
from sqlalchemy.orm import Session

from ..generator.values import new_id
from ..models import Base, QuizResult, ShareCard, User
from ..planted import PLANTED_DOMAIN
from ..settings import Settings

Row = TypeVar("Row", bound=Base)


class NothingToChange(Exception):
    """No row or key fits the change; another one is made in its place."""


@dataclass
class Worker:
    """One change at a time, in one transaction each."""

    session: Session
    rng: Random
    settings: Settings
    cache: redis.Redis
    celery: Celery
    away: list[uuid.UUID]
    now: dt.datetime
    sessions: list[bytes]  # keys of the cache that this worker may change, sorted
    after_commit: list[Callable[[], Any]] = field(default_factory=list)

    def tick(self) -> None:
        """Time passes between two changes."""
        self.now += dt.timedelta(microseconds=self.rng.randrange(1_000_001, 90_000_000))

    @property
    def whole(self) -> dt.datetime:
        """The time as the application writes it: whole seconds."""
        return self.now.replace(microsecond=0)

    def new_id(self) -> uuid.UUID:
        """An id for a new row."""
        return uuid.UUID(new_id(self.rng))

    def pick(self, kind: type[Row], *conditions: ColumnElement[bool]) -> Row:
        """A row that fits, found from a random point of the key on.  Raises NothingToChange."""
        key: Any = kind.__mapper__.primary_key[0]
        if key.type.python_type is uuid.UUID:
            start: Any = self.new_id()
        else:
            start = self.rng.randrange(1, (self.session.scalar(select(func.max(key))) or 1) + 1)
        ordered = select(kind).where(*conditions).order_by(*kind.__mapper__.primary_key).limit(1)
        found = self.session.scalar(ordered.where(key >= start)) or self.session.scalar(ordered)
        if found is None:
            raise NothingToChange(kind.__name__)
        return found

    def user(self, *conditions: ColumnElement[bool]) -> User:
        """Somebody who is at work."""
        return self.pick(User, User.email.cast(Text).not_like(f"%@{PLANTED_DOMAIN}"), *conditions)

    def result(self, *conditions: ColumnElement[bool], card: bool = False) -> QuizResult:
        """A result of somebody at work or of a guest, with or without a card."""
        theirs = or_(QuizResult.user_id.is_(None), QuizResult.user_id.not_in(self.away))
        has_card = exists().where(ShareCard.quiz_result_id == QuizResult.id)
        return self.pick(QuizResult, theirs, has_card if card else ~has_card, *conditions)

    def key(self) -> bytes:
        """A session that is still there.  Raises NothingToChange."""
        while self.sessions:
            found = self.sessions[self.rng.randrange(len(self.sessions))]
            if self.cache.exists(found):
                return found
            self.sessions.remove(found)
        raise NothingToChange("session")
