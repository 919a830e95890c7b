"""Changes to accounts, purchases and badges."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from sqlalchemy import exists, or_, select

from ..generator.values import END
from ..models import PLANS, Purchase, QuizResult, ShareCard, User, UserBadge
from .worker import NothingToChange, Worker


def add_user(worker: Worker) -> None:
    """Somebody signs up."""
    id, word = worker.new_id(), f"{worker.rng.getrandbits(48):012x}"
    worker.session.add(
        User(
            id=id,
            email=f"New.{word}@example.org",
            username=f"new_{word}" if worker.rng.random() < 0.7 else None,
            password_hash=f"$2b$12${word * 5}"[:60],
            plan="free",
            avatar=worker.rng.randbytes(90) if worker.rng.random() < 0.3 else None,
            created_at=worker.whole,
            updated_at=worker.now,
        )
    )


def sign_in(worker: Worker) -> None:
    """Somebody is back."""
    user = worker.user()
    user.last_login, user.updated_at = worker.whole, worker.now


def change_plan(worker: Worker) -> None:
    """Somebody wants more, or less."""
    user = worker.user()
    user.plan = PLANS[(PLANS.index(user.plan) + 1) % len(PLANS)]
    user.updated_at = worker.now


def hand_over_email(worker: Worker) -> None:
    """Two people exchange their addresses: unique values move between rows."""
    one = worker.user()
    other = worker.user(User.id != one.id)
    mine, theirs = one.email, other.email
    one.email = f"moving.{worker.rng.getrandbits(32):08x}@example.org"
    worker.session.flush()
    other.email = mine
    worker.session.flush()
    one.email = theirs
    one.updated_at = other.updated_at = worker.now


def delete_user(worker: Worker) -> None:
    """Somebody leaves; results, saved quizzes and badges go too, purchases stay.  Nobody with a card."""
    cards = exists().where(ShareCard.quiz_result_id == QuizResult.id, QuizResult.user_id == User.id).correlate(User)
    worker.session.delete(worker.user(~cards))


def add_purchase(worker: Worker) -> None:
    """Somebody pays."""
    cents = worker.rng.randrange(199, 20_000)
    worker.session.add(
        Purchase(
            user_id=worker.user().id,
            product="plus, a month",
            amount=Decimal(cents) / 100,
            fee=Decimal(cents * 3 // 100) / 100,
            currency="EUR",
            purchased_at=worker.now,
            valid_until=worker.now + dt.timedelta(days=30),
        )
    )


def refund(worker: Worker) -> None:
    """Money goes back: a row of its own."""
    query = select(Purchase.id, Purchase.user_id, Purchase.product, Purchase.amount, Purchase.currency).where(
        Purchase.amount > 0, Purchase.id >= worker.rng.randrange(3, 60)
    )
    paid = worker.session.execute(query.order_by(Purchase.id).limit(1)).first()
    if paid is None:
        raise NothingToChange("purchase")
    again = {"user_id": paid.user_id, "product": paid.product, "currency": paid.currency}
    worker.session.add(Purchase(**again, amount=-paid.amount, fee=0, purchased_at=worker.now))


def delete_purchase(worker: Worker) -> None:
    """A purchase of earlier days that failed after all; its number is not given again."""
    theirs = or_(Purchase.user_id.is_(None), Purchase.user_id.not_in(worker.away))
    worker.session.delete(worker.pick(Purchase, theirs, Purchase.purchased_at < END))


def award_badge(worker: Worker) -> None:
    """Somebody earned something."""
    badge = f"week {worker.rng.randrange(1, 53)}"
    has = exists().where(UserBadge.user_id == User.id, UserBadge.badge == badge)
    worker.session.add(UserBadge(user_id=worker.user(~has).id, badge=badge, level=1, awarded_at=worker.now))


def raise_badge(worker: Worker) -> None:
    """The next level."""
    badge = worker.pick(UserBadge, UserBadge.level < 5, UserBadge.user_id.not_in(worker.away))
    badge.level += 1


def lose_badge(worker: Worker) -> None:
    """A badge that was given by mistake."""
    worker.session.delete(worker.pick(UserBadge, UserBadge.user_id.not_in(worker.away)))
