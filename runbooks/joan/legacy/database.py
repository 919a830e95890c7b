"""The engine and its sessions.

Foreign keys stay unenforced, as SQLite leaves them and as Joan always ran: that is where its orphans come from.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

# SQLAlchemy warns that SQLite keeps decimals as floating point.  Joan has lived with it; the inventory reports it.
warnings.filterwarnings("ignore", message=".*does \\*not\\* support Decimal objects natively.*", category=SAWarning)


class Database:
    """One SQLite file through async SQLAlchemy."""

    def __init__(self, path: Path) -> None:
        self.engine: AsyncEngine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": 30})
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session that is closed at the end; what was not committed is gone."""
        async with self.sessions() as session:
            yield session

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


async def _session_of(request: Request) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    async with database.session() as session:
        yield session


SessionOf = Annotated[AsyncSession, Depends(_session_of)]
