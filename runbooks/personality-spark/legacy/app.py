"""The application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from .database import Database
from .maintenance import MaintenanceMiddleware, MaintenanceSwitch
from .routes import quizzes, results, shares
from .settings import Settings
from .tasks import celery_app


def create_app(settings: Settings) -> FastAPI:
    """Personality Spark over one data folder.  Its connections close with the application's lifespan."""
    database, cache, celery = Database(settings), settings.cache(), celery_app(settings)
    switch = MaintenanceSwitch(settings.maintenance_switch)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        database.close()
        cache.close()
        celery.close()

    app = FastAPI(title="Personality Spark", version="2.3.1", lifespan=lifespan)
    app.state.settings, app.state.database, app.state.switch = settings, database, switch
    app.state.cache, app.state.celery = cache, celery
    app.add_middleware(MaintenanceMiddleware, switch=switch)
    for module in (quizzes, results, shares):
        app.include_router(module.router)

    @app.get("/health", tags=["health"])
    async def health() -> dict[str, bool | int]:
        """Whether writes are switched off, and how many are still under way."""
        return {"maintenance": switch.on, "writes_in_flight": switch.writes_in_flight}

    return app
