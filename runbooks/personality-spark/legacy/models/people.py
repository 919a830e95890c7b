"""Accounts, what they bought and what they earned."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from .base import EMAIL, PLAN, Base, Key, MaybeMoment, Moment


class User(Base):
    """An account.  A username may be missing, and nothing ever kept two people from the same one."""

    __tablename__ = "users"
    __table_args__ = {"comment": "Accounts; whoever only plays has none"}

    id: Mapped[Key]
    email: Mapped[str] = mapped_column(EMAIL, comment="as it was typed; unique without regard to case")
    username: Mapped[str | None] = mapped_column(String(50))
    password_hash: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(PLAN, server_default="free")
    avatar: Mapped[bytes | None] = mapped_column(LargeBinary)
    birth_date: Mapped[dt.date | None]
    created_at: Mapped[Moment]
    last_login: Mapped[MaybeMoment]
    updated_at: Mapped[Moment]


Index("uq_users_email_lower", func.lower(User.email), unique=True)
Index("ix_users_last_login", User.last_login.desc().nullslast())


class Purchase(Base):
    """Money that came in, or went back: a refund is a negative amount."""

    __tablename__ = "purchases"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount_not_zero"),
        CheckConstraint("currency = upper(currency)", name="currency_upper"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(User.id, ondelete="SET NULL"), index=False)
    product: Mapped[str] = mapped_column(String(40))
    amount: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    fee: Mapped[Decimal] = mapped_column(Numeric(12, 2), server_default=text("0"))
    net: Mapped[Decimal] = mapped_column(Numeric(12, 2), Computed("amount - fee", persisted=True))
    currency: Mapped[str] = mapped_column(CHAR(3))
    purchased_at: Mapped[Moment]
    valid_until: Mapped[MaybeMoment] = mapped_column(comment="infinity: for life")


Index("ix_purchases_user_id", Purchase.user_id)


class UserBadge(Base):
    """What somebody earned; once each."""

    __tablename__ = "user_badges"
    __table_args__ = (CheckConstraint("level BETWEEN 1 AND 5", name="level"),)

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    badge: Mapped[str] = mapped_column(String(30), primary_key=True)
    level: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    awarded_at: Mapped[Moment]
