"""The declarative base, and the types that the tables share."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Any

from sqlalchemy import DateTime, MetaData, Text, Uuid, text
from sqlalchemy.dialects.postgresql import DOMAIN, ENUM, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMES = {
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
PLANS = ("free", "plus", "pro")


class Base(DeclarativeBase):
    """All of the application's tables, in the schemas `public` and `stats`."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {dict[str, Any]: JSONB}


EMAIL = DOMAIN(
    "email_address",
    Text(),
    check=text(r"VALUE ~ '^[^@[:space:]]+@[^@[:space:]]+$'".replace(":", r"\:")),
    metadata=Base.metadata,
)
PLAN = ENUM(*PLANS, name="plan_type", metadata=Base.metadata)

Key = Annotated[
    uuid.UUID, mapped_column(Uuid(), primary_key=True, default=uuid.uuid4, server_default=text("gen_random_uuid()"))
]
Moment = Annotated[dt.datetime, mapped_column(DateTime(timezone=True), server_default=text("now()"))]
MaybeMoment = Annotated[dt.datetime | None, mapped_column(DateTime(timezone=True))]


def utcnow() -> dt.datetime:
    """The time as the application writes it by itself: UTC, whole seconds."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)
