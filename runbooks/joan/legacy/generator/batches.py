"""Rows on their way into the database, gathered by statement."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Insert, String, bindparam, func, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from runbooks.joan.legacy.generator.cast import Row
from runbooks.joan.legacy.models import Base, PersonalActivity

# An older version let the server set the time: no fraction of a second.  The text must not depend on today.
BY_SERVER = "personal_activities by the server's clock"

ORDER = (
    "users",
    "user_settings",
    "pomodoro_settings",
    "kanban_boards",
    "folders",
    "clients",
    "projects",
    "project_memberships",
    "goals",
    "tasks",
    "task_goal_links",
    "task_activities",
    "task_resources",
    "notes",
    "pomodoro_sessions",
    "daily_schedules",
    "daily_schedule_tasks",
    "ceremony_templates",
    "ceremony_components",
    "ceremony_sessions",
    "personal_activities",
    BY_SERVER,
    "ai_workflow_templates",
    "ai_workflow_executions",
    "ai_workflow_steps",
    "ai_workflow_configs",
    "ai_workflow_metrics",
    "prompt_library",
    "attachments",
)

STATEMENTS: dict[str, Insert] = {
    name: insert(Base.metadata.tables[name])
    if name in Base.metadata.tables
    else insert(PersonalActivity).values(created_at=func.datetime(bindparam("server_time", type_=String)))
    for name in ORDER
}


class Batch:
    """Rows for many tables; a table's triggers find what they touch because of the order of the statements."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {name: [] for name in ORDER}

    def add(self, name: str, rows: Iterable[Row]) -> None:
        """Add rows for one statement; all rows of one statement have the same keys."""
        self.rows[name].extend(rows)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.rows.values())

    async def write(self, connection: AsyncConnection) -> None:
        """Insert everything through SQLAlchemy's types, and forget it."""
        for name, rows in self.rows.items():
            if rows:
                await connection.execute(STATEMENTS[name], rows)
                self.rows[name] = []
