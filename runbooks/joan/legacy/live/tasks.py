"""Changes to tasks, their history, links and schedules."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import aliased

from runbooks.joan.legacy.live.worker import Worker
from runbooks.joan.legacy.models import (
    DailySchedule,
    DailyScheduleTask,
    Folder,
    Goal,
    Task,
    TaskActivity,
    TaskGoalLink,
    TaskStatus,
)
from runbooks.joan.legacy.removal import remove_task

_Child = aliased(Task)
HAS_CHILDREN = exists().where(_Child.parent_task_id == Task.id)


def _new_task(worker: Worker, like: Task) -> Task:
    """A task in the same place as another."""
    rng, texts = worker.rng, worker.texts
    return Task(
        id=worker.new_id(),
        user_id=like.user_id,
        title=texts.title(rng),
        description=texts.maybe(rng),
        status=TaskStatus.PENDING,
        priority=rng.randrange(6),
        folder_id=like.folder_id,
        project_id=like.project_id,
        board_position=rng.random() * 1_000,
        created_at=worker.now,
        updated_at=worker.now,
    )


async def add_task(worker: Worker) -> None:
    """A new task, sometimes below another; a trigger logs it."""
    like = await worker.task()
    task = _new_task(worker, like)
    task.parent_task_id = like.id if worker.rng.random() < 0.4 else None
    worker.session.add(task)


async def change_task(worker: Worker) -> None:
    """Another title, text or status; a trigger logs a new status."""
    rng = worker.rng
    task = await worker.task()
    if rng.random() < 0.5:
        task.status = rng.choice(tuple(TaskStatus))
        task.completed_at = worker.now.replace(tzinfo=dt.UTC) if task.status is TaskStatus.DONE else None
    else:
        task.title, task.description = worker.texts.title(rng), worker.texts.maybe(rng)
    task.actual_minutes = (task.actual_minutes or 0) + rng.randrange(60)
    task.updated_at = worker.now


async def move_task(worker: Worker) -> None:
    """A task without subtasks goes below another task of its user."""
    task = await worker.task(~HAS_CHILDREN)
    parent = await worker.pick(Task, Task.user_id == task.user_id, Task.id != task.id, Task.parent_task_id.is_(None))
    task.parent_task_id, task.updated_at = parent.id, worker.now


async def delete_task(worker: Worker) -> None:
    """A task goes, with what belongs to it."""
    await remove_task(worker.session, await worker.task(~HAS_CHILDREN), worker.now)


async def delete_parent_task(worker: Worker) -> None:
    """A task with subtasks goes; they move up."""
    await remove_task(worker.session, await worker.task(HAS_CHILDREN), worker.now)


async def hand_over_reference(worker: Worker) -> None:
    """A unique value leaves with one row and comes back with another, in one transaction."""
    old = await worker.task(Task.external_ref.is_not(None))
    reference, new = old.external_ref, _new_task(worker, old)
    await remove_task(worker.session, old, worker.now)
    new.external_ref = reference
    worker.session.add(new)


async def add_activity(worker: Worker) -> None:
    """A comment; its key comes from the sequence."""
    task = await worker.task()
    worker.session.add(
        TaskActivity(
            task_id=task.id,
            user_id=task.user_id,
            kind="comment",
            new_value=worker.texts.text(worker.rng),
            created_at=worker.now,
        )
    )


async def delete_newest_activity(worker: Worker) -> None:
    """The newest activity goes: its key must not be given again."""
    newest = await worker.session.scalar(select(func.max(TaskActivity.id)).where(TaskActivity.user_id != worker.away))
    await worker.session.execute(delete(TaskActivity).where(TaskActivity.id == newest))


async def link_goal(worker: Worker) -> None:
    """A link between a task and a goal changes its weight, or comes to be."""
    task = await worker.task()
    goal = await worker.pick(Goal, Goal.user_id == task.user_id)
    weight = worker.rng.random()
    await worker.session.merge(TaskGoalLink(task_id=task.id, goal_id=goal.id, weight=weight, created_at=worker.now))


async def unlink_goal(worker: Worker) -> None:
    """A link goes."""
    mine = select(Task.id).where(Task.user_id != worker.away)
    await worker.session.delete(await worker.pick(TaskGoalLink, TaskGoalLink.task_id.in_(mine)))


async def swap_schedule(worker: Worker) -> None:
    """Two tasks of a day change places: both unique values stay, on other rows."""
    second = aliased(DailyScheduleTask)
    pair = exists().where(second.schedule_id == DailyScheduleTask.schedule_id, second.id != DailyScheduleTask.id)
    mine = select(DailySchedule.id).where(DailySchedule.user_id != worker.away)
    one = await worker.pick(DailyScheduleTask, DailyScheduleTask.schedule_id.in_(mine), pair)
    other = await worker.pick(
        DailyScheduleTask, DailyScheduleTask.schedule_id == one.schedule_id, DailyScheduleTask.id != one.id
    )
    here, there = one.position, other.position
    for row, position in ((one, -1), (other, here), (one, there)):
        row.position = position
        await worker.session.flush()


async def empty_folder_of_tasks(worker: Worker) -> None:
    """All tasks of a folder leave it: one statement, several rows."""
    folder = await worker.folder(exists().where(Task.folder_id == Folder.id))
    await worker.session.execute(
        update(Task)
        .where(Task.folder_id == folder.id)
        .values(folder_id=folder.parent_id, updated_at=worker.now)
        .execution_options(synchronize_session=False)
    )
