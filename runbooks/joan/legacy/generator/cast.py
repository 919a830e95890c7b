"""One user's random source and ids, so that a row can name rows that are made elsewhere, in any order."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from runbooks.joan.legacy.generator.scales import Scale
from runbooks.joan.legacy.generator.texts import Texts

Row = dict[str, Any]
BEGIN = dt.datetime(2024, 1, 1)
DAYS = 780  # the data end in February 2026
END = BEGIN + dt.timedelta(days=DAYS)
ZONES = tuple(dt.timezone(dt.timedelta(minutes=minutes)) for minutes in (0, 0, 60, 120, -300, 330))


def new_id(rng: Random) -> uuid.UUID:
    """A UUID of version 4 from this source."""
    return uuid.UUID(int=rng.getrandbits(128), version=4)


def user_id(seed: int, index: int) -> uuid.UUID:
    """The id of a user by number, wherever it is needed."""
    return new_id(Random(f"{seed}:user:{index}"))


def moment(rng: Random) -> dt.datetime:
    """A time without zone within the generated years, to the microsecond."""
    return BEGIN + dt.timedelta(seconds=rng.random() * DAYS * 86_400)


def aware(rng: Random) -> dt.datetime:
    """A time with a zone; SQLAlchemy drops the offset when it stores it in SQLite."""
    return moment(rng).replace(tzinfo=rng.choice(ZONES))


def money(rng: Random, highest: int) -> Decimal:
    """An amount with two digits after the point; many are whole, and SQLite keeps those as integers."""
    if rng.random() < 0.4:
        return Decimal(rng.randrange(highest)).quantize(Decimal("0.01"))
    return Decimal(rng.randrange(highest * 100)).scaleb(-2)


@dataclass
class Cast:
    """What belongs to one user, by id."""

    seed: int
    index: int
    scale: Scale
    texts: Texts
    rng: Random = field(init=False)
    user: uuid.UUID = field(init=False)
    neighbour: uuid.UUID = field(init=False)
    folders: list[uuid.UUID] = field(default_factory=list)
    projects: list[str] = field(default_factory=list)
    tasks: list[uuid.UUID] = field(default_factory=list)
    notes: list[uuid.UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = Random(f"{self.seed}:rows:{self.index}")
        self.user = user_id(self.seed, self.index)
        self.neighbour = user_id(self.seed, (self.index + 1) % self.scale.users)

    def times(self) -> Row:
        """created_at and a later updated_at."""
        created = moment(self.rng)
        return {"created_at": created, "updated_at": created + (END - created) * self.rng.random()}
