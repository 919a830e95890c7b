"""The application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from runbooks.joan.legacy.database import Database
from runbooks.joan.legacy.maintenance import MaintenanceMiddleware, MaintenanceSwitch
from runbooks.joan.legacy.routes import attachments, auth, folders, notes, tasks
from runbooks.joan.legacy.schemas import Health
from runbooks.joan.legacy.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Joan over one data folder.  Its connections close with the application's lifespan."""
    database = Database(settings.database)
    switch = MaintenanceSwitch(settings.maintenance_switch)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await database.close()

    app = FastAPI(title="Joan", version="0.9.4", lifespan=lifespan)
    app.state.settings = settings
    app.state.database = database
    app.add_middleware(MaintenanceMiddleware, switch=switch)
    for module in (auth, tasks, notes, folders, attachments):
        app.include_router(module.router)

    @app.get("/health", tags=["health"])
    async def health() -> Health:
        """Whether writes are switched off, and how many are still under way."""
        return Health(maintenance=switch.on, writes_in_flight=switch.writes_in_flight)

    return app
