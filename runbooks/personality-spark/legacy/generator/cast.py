"""Who and what later tables refer to, made once from the seed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from random import Random

from ..storage import card_path, card_url
from .scales import Scale
from .values import exact, new_id


@dataclass(frozen=True, slots=True)
class Card:
    """A share card, decided before its result is written, because the result names its address."""

    id: str
    result: int  # the index of its result

    @property
    def path(self) -> str:
        return card_path(self.id)

    @property
    def url(self) -> str:
        return card_url(self.id)


@dataclass(slots=True)
class Cast:
    """Ids of accounts and cards; one random source for each table, so that none moves another."""

    seed: int
    scale: Scale
    users: list[str] = field(init=False)
    cards: list[Card] = field(init=False)
    results: dict[int, str] = field(init=False, default_factory=dict)  # index -> id, of those that others name

    def __post_init__(self) -> None:
        rng = self.random("ids")
        self.users = [new_id(rng) for _ in range(self.scale.users)]
        step, first = max(1, (self.scale.results - 40) // self.scale.files), 40  # beyond the planted results
        self.cards = [Card(new_id(rng), first + number * step) for number in range(self.scale.files)]

    def random(self, what: str) -> Random:
        """The random source of one table."""
        return Random(f"{self.seed}:{self.scale.name}:{what}")

    def user(self, rng: Random) -> str:
        """An account that nothing is planted in."""
        return self.users[rng.randrange(PLANTED_USERS, len(self.users))]

    def card_rows(self, lost: str) -> list[tuple[str, str, str, str, str]]:
        """Every card as a row, the lost one first."""
        rng = self.random("cards")
        lost_id = str(uuid.UUID(lost.removeprefix("shares/").removesuffix(".png")))
        rows = [(lost_id, self.results[LOST_RESULT], lost, card_url(lost_id), exact(rng))]
        return rows + [(card.id, self.results[card.result], card.path, card.url, exact(rng)) for card in self.cards]


PLANTED_USERS = 13  # the first accounts, all of them at PLANTED_DOMAIN
LOST_RESULT = 16  # the result of the card without its file
