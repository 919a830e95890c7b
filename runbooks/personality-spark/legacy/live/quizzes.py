"""Changes to results, saved quizzes, cards, rates and events."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import delete, insert, literal_column, select
from sqlalchemy.dialects.postgresql import insert as upsert

from ..generator.quizzes import scores
from ..generator.values import TYPES
from ..models import DailyCount, QuizAnalytics, QuizEvent, QuizResult, SavedQuiz, ShareCard, import_log
from ..storage import card_path, card_url, draw_card, located, write
from ..tasks import COMPLETED, SHARED, queue_of
from .worker import NothingToChange, Worker


def add_result(worker: Worker) -> None:
    """Somebody, or a guest, finished a quiz; Celery shall count it."""
    id, seconds = worker.new_id(), worker.rng.randrange(30, 900)
    worker.session.add(
        QuizResult(
            id=id,
            user_id=worker.user().id if worker.rng.random() < 0.8 else None,
            quiz_type=worker.rng.choice(TYPES),
            results=scores(worker.rng),
            tags=["new", "live, really"],
            duration=dt.timedelta(seconds=seconds, milliseconds=250),
            created_at=worker.whole,
            shared=False,
        )
    )
    add_job(worker, COMPLETED, str(id), seconds)


def change_result(worker: Worker) -> None:
    """Somebody tags a result anew."""
    result = worker.result()
    result.tags = [*(tag for tag in result.tags if tag), f"again {worker.rng.randrange(1000)}"][-4:]
    result.results = {**result.results, "seen": worker.rng.randrange(10**6)}


def delete_result(worker: Worker) -> None:
    """A result nobody wants any more."""
    worker.session.delete(worker.result())


def add_card(worker: Worker) -> None:
    """A card is drawn: a file, a row, its address inside the result, and a job."""
    result, id = worker.result(), worker.new_id()
    write(located(worker.settings.data, card_path(id)), draw_card(str(id), 40))
    worker.session.add(
        ShareCard(id=id, quiz_result_id=result.id, path=card_path(id), url=card_url(id), created_at=worker.now)
    )
    result.shared = True
    result.results = {**result.results, "share": {"url": card_url(id), "views": 0}}
    add_job(worker, SHARED, str(result.id), "live")


def delete_card(worker: Worker) -> None:
    """A card is taken back: its row, its address, and then its file."""
    result = worker.result(card=True)
    for card in worker.session.scalars(select(ShareCard).where(ShareCard.quiz_result_id == result.id)):
        path = located(worker.settings.data, card.path)
        worker.after_commit.append(lambda path=path: path.unlink(missing_ok=True))
        worker.session.delete(card)
    result.shared = False
    result.results = {name: value for name, value in result.results.items() if name != "share"}


def save_quiz(worker: Worker) -> None:
    """Somebody keeps a quiz."""
    _save(worker, f"kept-{worker.rng.getrandbits(40):010x}")


def archive_quiz(worker: Worker) -> None:
    """A quiz is archived, and another one takes its slug at once."""
    old = worker.pick(SavedQuiz, ~SavedQuiz.archived)
    old.archived, old.updated_at = True, worker.now
    worker.session.flush()
    _save(worker, old.slug, old)


def delete_quiz(worker: Worker) -> None:
    """A saved quiz goes."""
    worker.session.delete(worker.pick(SavedQuiz))


def _save(worker: Worker, slug: str, instead: SavedQuiz | None = None) -> None:
    data = {"type": worker.rng.choice(TYPES), "title": "live", "questions": []}
    worker.session.add(
        SavedQuiz(
            id=worker.new_id(),
            user_id=instead.user_id if instead is not None else worker.user().id,
            slug=slug,
            quiz_data=data,
            archived=False,
            created_at=worker.whole,
            updated_at=worker.now,
        )
    )


def add_rate(worker: Worker) -> None:
    """A day's rates."""
    rng = worker.rng
    rates = {"completion_rate": rng.randrange(10_001) / 10_000, "share_rate": rng.random()}
    row = QuizAnalytics(quiz_type=rng.choice(TYPES), avg_time_seconds=90, created_date=worker.now.date(), **rates)
    worker.session.add(row)


def change_rate(worker: Worker) -> None:
    """A rate is corrected; the one that is no number stays."""
    row = worker.pick(QuizAnalytics, QuizAnalytics.id > 1)
    row.completion_rate, row.avg_time_seconds = worker.rng.randrange(10_001) / 10_000, worker.rng.randrange(900)


def count_day(worker: Worker) -> None:
    """Today's count goes up."""
    day = {"day": worker.now.date(), "quiz_type": worker.rng.choice(TYPES), "count": 1}
    statement = upsert(DailyCount).values(**day)
    more = {"count": DailyCount.count + 1}
    worker.session.execute(statement.on_conflict_do_update(index_elements=["day", "quiz_type"], set_=more))


def add_event(worker: Worker) -> None:
    """Something happened."""
    payload = {"question": worker.rng.randrange(10), "ms": worker.rng.randrange(400, 60_000) + 0.5}
    event = QuizEvent(occurred_at=worker.now, user_id=worker.user().id, kind="answered", payload=payload)
    event.quiz_type = worker.rng.choice(TYPES)
    worker.session.add(event)


def delete_event(worker: Worker) -> None:
    """An event that should not have been kept."""
    worker.session.delete(worker.pick(QuizEvent, QuizEvent.id > 2))


def log_line(worker: Worker) -> None:
    """A line of an import; now and then the same once more."""
    line = {"batch": "live", "line": worker.rng.randrange(4), "message": None, "logged_at": worker.whole}
    worker.session.execute(insert(import_log).values(**line | {"logged_at": worker.whole.replace(tzinfo=None)}))


def drop_log_line(worker: Worker) -> None:
    """One of several lines that may be equal."""
    place = literal_column("ctid")
    batch = f"2025-w{worker.rng.randrange(1, 53):02}"
    ordinary = (import_log.c.message.is_distinct_from("twin")) & (import_log.c.batch >= batch)
    ordered = (import_log.c.batch, import_log.c.line, import_log.c.logged_at)
    one = select(place).select_from(import_log).where(ordinary).order_by(*ordered).limit(1).scalar_subquery()
    if not worker.session.execute(delete(import_log).where(place == one)).rowcount:
        raise NothingToChange("import_log")


def add_job(worker: Worker, task: str, *arguments: str | int) -> None:
    """One job more, sent once the row that it is about is there."""
    id = str(worker.new_id())
    sent = {"args": arguments, "task_id": id, "queue": queue_of(task), "ignore_result": True}
    worker.after_commit.append(lambda: worker.celery.send_task(task, **sent))
