"""A shift of work: which changes are made, how often, in which order."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from runbooks.joan.legacy.database import Database
from runbooks.joan.legacy.generator import MARKER
from runbooks.joan.legacy.generator.cast import END
from runbooks.joan.legacy.generator.texts import Texts
from runbooks.joan.legacy.live import others, tasks
from runbooks.joan.legacy.live.worker import NothingToChange, Worker
from runbooks.joan.legacy.maintenance import MaintenanceSwitch
from runbooks.joan.legacy.models import TaskActivity, User
from runbooks.joan.legacy.settings import Settings


class NoWrites(Exception):
    """The maintenance switch is on."""


@dataclass(frozen=True, slots=True)
class Change:
    """A kind of change: at least so often in a shift, then with this weight."""

    make: Callable[[Worker], Awaitable[None]]
    least: int
    weight: int


ADD_TASK = Change(tasks.add_task, 3, 16)  # always possible: it stands in where no row fits another change
CHANGES = (
    ADD_TASK,
    Change(tasks.change_task, 3, 30),
    Change(tasks.move_task, 3, 6),
    Change(tasks.delete_task, 2, 4),
    Change(tasks.delete_parent_task, 2, 1),
    Change(tasks.hand_over_reference, 2, 0),
    Change(tasks.add_activity, 2, 14),
    Change(tasks.delete_newest_activity, 1, 0),
    Change(tasks.link_goal, 1, 4),
    Change(tasks.unlink_goal, 1, 1),
    Change(tasks.swap_schedule, 2, 1),
    Change(tasks.empty_folder_of_tasks, 1, 0),
    Change(others.add_note, 2, 10),
    Change(others.change_note, 2, 16),
    Change(others.move_note, 2, 6),
    Change(others.delete_note, 1, 2),
    Change(others.add_folder, 1, 3),
    Change(others.delete_folder, 2, 0),
    Change(others.add_attachment, 4, 1),
    Change(others.replace_attachment, 1, 0),
    Change(others.delete_attachment, 1, 0),
    Change(others.change_project, 1, 3),
    Change(others.change_settings, 1, 2),
    Change(others.change_config, 1, 2),
    Change(others.add_metrics, 2, 8),
    Change(others.change_metric, 1, 2),
    Change(others.delete_metric, 2, 2),
)
LEAST_CHANGES = sum(change.least for change in CHANGES)


@dataclass(frozen=True, slots=True)
class Worked:
    """How many changes of which kind were committed."""

    changes: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.changes.values())


async def live(settings: Settings, seed: int = 7, changes: int = 200) -> Worked:
    """Make so many changes, each in its own transaction, and say which.

    The same seed over the same data makes the same changes; a second shift makes others.  Raises NoWrites when the
    maintenance switch is on, also when it comes on half-way: what was committed before stays.
    """
    if changes < LEAST_CHANGES:
        raise ValueError(f"a shift has at least {LEAST_CHANGES} changes")
    switch = MaintenanceSwitch(settings.maintenance_switch)
    database = Database(settings.database)
    made: Counter[str] = Counter()
    try:
        async with database.session() as session:
            worker = Worker(
                session=session,
                rng=Random(),
                texts=Texts(seed),
                data_seed=json.loads((settings.data / MARKER).read_text(encoding="utf-8"))["seed"],
                settings=settings,
                away=await _first_user(session),
                now=max(END, await session.scalar(select(func.max(TaskActivity.created_at))) or END),
            )
            # the sequence only grows, so every shift begins elsewhere
            given = await session.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'task_activities'"))
            worker.rng.seed(f"{seed}:live:{given}")
            for change in _plan(worker.rng, changes):
                if switch.on:
                    raise NoWrites(f"maintenance is on, after {made.total()} of {changes} changes")
                try:
                    await _make(worker, change)
                except NothingToChange:
                    await session.rollback()
                    change = ADD_TASK
                    await _make(worker, change)
                made[change.make.__name__.replace("_", " ")] += 1
    finally:
        await database.close()
    return Worked(dict(made))


async def _first_user(session: AsyncSession) -> uuid.UUID:
    return (await session.scalars(select(User.id).where(User.is_superuser))).one()


def _plan(rng: Random, changes: int) -> list[Change]:
    plan = [change for change in CHANGES for _ in range(change.least)]
    plan += rng.choices(CHANGES, [change.weight for change in CHANGES], k=changes - len(plan))
    rng.shuffle(plan)
    return plan


async def _make(worker: Worker, change: Change) -> None:
    worker.tick()
    await change.make(worker)
    await worker.session.commit()
    for finish in worker.after_commit:
        finish()
    worker.after_commit.clear()
    worker.session.expunge_all()
