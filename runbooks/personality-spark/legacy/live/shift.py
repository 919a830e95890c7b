"""A shift of work: which changes are made, how often, in which order."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sqlalchemy import Text, func, select, text

from ..database import Database
from ..generator.values import END
from ..maintenance import MaintenanceSwitch
from ..models import QuizEvent, User
from ..planted import PLANTED_DOMAIN
from ..settings import Settings
from ..tasks import celery_app
from . import accounts, keys, quizzes
from .worker import NothingToChange, Worker


class NoWrites(Exception):
    """The maintenance switch is on."""


@dataclass(frozen=True, slots=True)
class Change:
    """A kind of change: at least so often in a shift, then with this weight."""

    make: Callable[[Worker], None]
    least: int
    weight: int


ADD_EVENT = Change(quizzes.add_event, 3, 20)  # always possible: it stands in where nothing fits another change
CHANGES = (
    ADD_EVENT,
    Change(quizzes.delete_event, 1, 1),
    Change(quizzes.add_result, 3, 20),
    Change(quizzes.change_result, 3, 8),
    Change(quizzes.delete_result, 2, 3),
    Change(quizzes.add_card, 3, 2),
    Change(quizzes.delete_card, 1, 1),
    Change(quizzes.save_quiz, 2, 5),
    Change(quizzes.archive_quiz, 2, 2),
    Change(quizzes.delete_quiz, 1, 1),
    Change(quizzes.add_rate, 1, 2),
    Change(quizzes.change_rate, 2, 2),
    Change(quizzes.count_day, 2, 3),
    Change(quizzes.log_line, 2, 3),
    Change(quizzes.drop_log_line, 1, 1),
    Change(accounts.add_user, 3, 5),
    Change(accounts.sign_in, 3, 20),
    Change(accounts.change_plan, 2, 4),
    Change(accounts.hand_over_email, 1, 0),
    Change(accounts.delete_user, 1, 1),
    Change(accounts.add_purchase, 2, 5),
    Change(accounts.refund, 1, 1),
    Change(accounts.delete_purchase, 1, 0),
    Change(accounts.award_badge, 2, 3),
    Change(accounts.raise_badge, 1, 2),
    Change(accounts.lose_badge, 1, 1),
    Change(keys.new_session, 3, 20),
    Change(keys.touch_session, 3, 10),
    Change(keys.end_session, 2, 4),
    Change(keys.cache_result, 2, 6),
    Change(keys.cache_quiz, 1, 1),
    Change(keys.score, 2, 6),
    Change(keys.recent, 1, 4),
    Change(keys.flag, 1, 0),
    Change(keys.configure, 1, 1),
    Change(keys.stream, 1, 2),
    Change(keys.digest, 1, 1),
)
LEAST_CHANGES = sum(change.least for change in CHANGES)


@dataclass(frozen=True, slots=True)
class Worked:
    """How many changes of which kind were committed."""

    changes: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.changes.values())


def live(settings: Settings, seed: int = 7, changes: int = 200) -> Worked:
    """Make so many changes, each in its own transaction, and say which.

    The same seed over the same data makes the same changes; a second shift makes others.  Raises NoWrites when the
    maintenance switch is on, also when it comes on half-way: what was committed before stays.
    """
    if changes < LEAST_CHANGES:
        raise ValueError(f"a shift has at least {LEAST_CHANGES} changes")
    switch, database = MaintenanceSwitch(settings.maintenance_switch), Database(settings)
    cache, celery = settings.cache(), celery_app(settings)
    made: Counter[str] = Counter()
    try:
        with database.session() as session:
            given = session.scalar(text("SELECT last_value FROM quiz_events_id_seq"))
            latest = session.scalar(select(func.max(QuizEvent.occurred_at)).where(QuizEvent.id > 2)) or END
            worker = Worker(
                session=session,
                # the sequence only grows, so every shift begins elsewhere
                rng=Random(f"{seed}:live:{given}"),
                settings=settings,
                cache=cache,
                celery=celery,
                away=list(session.scalars(select(User.id).where(User.email.cast(Text).like(f"%@{PLANTED_DOMAIN}")))),
                now=max(END, latest.astimezone(dt.UTC)),
                sessions=sorted(cache.scan_iter("session:*", count=1000)),
            )
            for change in _plan(worker.rng, changes):
                if switch.on:
                    raise NoWrites(f"maintenance is on, after {made.total()} of {changes} changes")
                try:
                    _make(worker, change)
                except NothingToChange:
                    session.rollback()
                    worker.after_commit.clear()
                    change = ADD_EVENT
                    _make(worker, change)
                made[change.make.__name__.replace("_", " ")] += 1
    finally:
        database.close()
        cache.close()
        celery.close()
    return Worked(dict(made))


def _plan(rng: Random, changes: int) -> list[Change]:
    plan = [change for change in CHANGES for _ in range(change.least)]
    plan += rng.choices(CHANGES, [change.weight for change in CHANGES], k=changes - len(plan))
    rng.shuffle(plan)
    return plan


def _make(worker: Worker, change: Change) -> None:
    worker.tick()
    change.make(worker)
    worker.session.commit()
    for finish in worker.after_commit:
        finish()
    worker.after_commit.clear()
    worker.session.expunge_all()
