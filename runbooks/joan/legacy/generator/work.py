"""Rows about tasks, goals and boards, and about the days in which they are worked on."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from runbooks.joan.legacy.generator.batches import BY_SERVER, Batch
from runbooks.joan.legacy.generator.cast import BEGIN, Cast, Row, aware, moment, money, new_id
from runbooks.joan.legacy.models import TaskStatus

STATUSES = tuple(TaskStatus)
BOARD = [{"name": "Backlog", "wip": None}, {"name": "Doing", "wip": 3}, {"name": "Готово ✅", "wip": 0}]


def task_row(cast: Cast, **given: Any) -> Row:
    """One task; `given` overrides what is drawn."""
    rng, texts = cast.rng, cast.texts
    status = rng.choice(STATUSES)
    estimate = rng.choice((None, 0, 30, 90, 480))
    row = {
        "id": new_id(rng),
        "user_id": cast.user,
        "title": texts.title(rng),
        "description": texts.maybe(rng),
        "status": status,
        "priority": rng.randrange(6),
        "due_date": None if rng.random() < 0.4 else BEGIN.date() + dt.timedelta(days=rng.randrange(900)),
        "completed_at": aware(rng) if status is TaskStatus.DONE else None,
        "folder_id": rng.choice(cast.folders) if rng.random() < 0.5 else None,
        "project_id": rng.choice(cast.projects) if rng.random() < 0.6 else None,
        "parent_task_id": rng.choice(cast.tasks) if cast.tasks and rng.random() < 0.25 else None,
        "board_position": rng.random() * 1_000,
        "estimated_minutes": estimate,
        "actual_minutes": None if estimate is None else rng.randrange(600),
        "hourly_rate": money(rng, 200) if rng.random() < 0.3 else None,
        "recurrence": {"every": rng.choice(("day", "week")), "until": None} if rng.random() < 0.05 else None,
        "external_ref": f"JIRA-{cast.index}-{len(cast.tasks)}" if rng.random() < 0.1 else None,
        **cast.times(),
        **given,
    }
    cast.tasks.append(row["id"])
    return row


def add_tasks(batch: Batch, cast: Cast) -> None:
    """Boards, goals, tasks (triggers log their creation), links, activities, resources."""
    rng, texts, scale = cast.rng, cast.texts, cast.scale
    for number in range(1 + (cast.index % 3 == 0)):
        board = {"id": new_id(rng), "user_id": cast.user, "name": f"Board {number}", "columns": BOARD}
        batch.add("kanban_boards", [{**board, "is_default": number == 0, **cast.times()}])
    goals = [_goal(cast, number) for number in range(scale.share(0.1))]
    batch.add("goals", goals)
    batch.add("tasks", [task_row(cast) for _ in range(scale.tasks_per_user)])
    links: dict[tuple[uuid.UUID, uuid.UUID], Row] = {}
    for _ in range(scale.share(0.25)):
        task, goal = rng.choice(cast.tasks), rng.choice(goals)["id"]
        links[task, goal] = {"task_id": task, "goal_id": goal, "weight": rng.random(), "created_at": moment(rng)}
    batch.add("task_goal_links", links.values())
    batch.add("task_activities", [activity_row(cast) for _ in range(scale.share(0.3))])
    batch.add(
        "task_resources",
        [
            {
                "id": new_id(rng),
                "task_id": rng.choice(cast.tasks),
                "kind": rng.choice(("link", "file", "snippet")),
                "title": texts.title(rng),
                "url": rng.choice((None, "https://example.org/a?b=1&c=%20#d", "https://пример.рф/путь")),
                "content": texts.maybe(rng),
                "created_at": moment(rng),
            }
            for _ in range(scale.share(0.1))
        ],
    )


def _goal(cast: Cast, number: int) -> Row:
    rng, texts = cast.rng, cast.texts
    return {
        "id": new_id(rng),
        "user_id": cast.user,
        "title": texts.title(rng),
        "description": texts.maybe(rng),
        "target_value": rng.choice((None, 100.0, 0.1 + 0.2, 1e15 / 7)),
        "current_value": rng.random() * 100,
        "target_date": rng.choice((None, dt.date(2026, 12, 31), dt.date(2028, 2, 29))),
        "order": number,
        **cast.times(),
    }


def activity_row(cast: Cast) -> Row:
    """One activity that the application itself wrote."""
    rng = cast.rng
    return {
        "task_id": rng.choice(cast.tasks),
        "user_id": cast.user,
        "kind": rng.choice(("comment", "renamed", "moved")),
        "old_value": rng.choice((None, "", "before")),
        "new_value": cast.texts.text(rng),
        "detail": rng.choice((None, {"from": 1, "to": 2.5}, [1, "two", None])),
        "created_at": moment(rng),
    }


def add_days(batch: Batch, cast: Cast) -> None:
    """Pomodoros, schedules, personal activities."""
    rng, scale = cast.rng, cast.scale
    for _ in range(scale.share(0.4)):
        started = aware(rng)
        minutes = rng.choice((25, 50))
        done = rng.random() < 0.8
        batch.add(
            "pomodoro_sessions",
            [
                {
                    "user_id": cast.user,
                    "task_id": rng.choice(cast.tasks) if rng.random() < 0.8 else None,
                    "started_at": started,
                    "ended_at": started + dt.timedelta(minutes=minutes) if done else None,
                    "planned_minutes": minutes,
                    "completed": done,
                    "focus_score": rng.random() if done else None,
                }
            ],
        )
    days = [BEGIN.date() + dt.timedelta(days=day) for day in rng.sample(range(780), scale.share(0.1))]
    schedules = [
        {
            "id": str(new_id(rng)),
            "user_id": cast.user,
            "day": day,
            "starts_at": rng.choice((None, dt.time(7, 45))),
            "ends_at": rng.choice((None, dt.time(18, 0, 0, 1))),
            "intention": cast.texts.maybe(rng),
            **cast.times(),
        }
        for day in days
    ]
    batch.add("daily_schedules", schedules)
    for number in range(scale.share(0.25)):
        schedule = schedules[number % len(schedules)]
        batch.add("daily_schedule_tasks", [slot_row(cast, schedule["id"], rng.choice(cast.tasks), number)])
    for number in range(scale.share(0.15)):
        batch.add(*_personal(cast, number))


def slot_row(cast: Cast, schedule: str, task: uuid.UUID, position: int) -> Row:
    """One task in a schedule."""
    rng = cast.rng
    return {
        "id": str(new_id(rng)),
        "schedule_id": schedule,
        "task_id": task,
        "position": position,
        "starts_at": rng.choice((None, dt.time(9, 15), dt.time(13, 0))),
        "minutes": rng.choice((None, 15, 60)),
        "done": rng.random() < 0.5,
    }


def _personal(cast: Cast, number: int) -> tuple[str, list[Row]]:
    rng = cast.rng
    row: Row = {
        "id": new_id(rng),
        "user_id": cast.user,
        "kind": rng.choice(("walk", "reading", "sport")),
        "title": cast.texts.title(rng),
        "happened_at": aware(rng),
        "minutes": rng.choice((None, 20, 45)),
        "latitude": rng.uniform(-90, 90),
        "longitude": rng.uniform(-180, 180),
        "data": rng.choice((None, {"km": 5.25}, {"mood": "😀", "note": 'a "b" \\ c'}, [])),
    }
    if number % 3 == 0:
        return BY_SERVER, [{**row, "server_time": moment(rng).strftime("%Y-%m-%d %H:%M:%S")}]
    return "personal_activities", [{**row, "created_at": moment(rng)}]
