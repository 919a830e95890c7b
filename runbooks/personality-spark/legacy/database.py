"""The engine and its sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

from .settings import Settings


class Database:
    """The database `spark` through SQLAlchemy and psycopg."""

    def __init__(self, settings: Settings) -> None:
        # times go in and come out in UTC, whatever zone the database shows to others
        self.engine: Engine = create_engine(settings.database_url, connect_args={"options": "-c timezone=UTC"})
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that is closed at the end; what was not committed is gone."""
        with self._sessions() as session:
            yield session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _session_of(request: Request) -> Iterator[Session]:
    database: Database = request.app.state.database
    with database.session() as session:
        yield session


SessionOf = Annotated[Session, Depends(_session_of)]
