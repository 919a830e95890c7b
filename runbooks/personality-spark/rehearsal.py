"""How clients use Personality Spark in a rehearsal: they keep results, share them with a card, and read what they kept.

Nobody signs in.  A result names itself in its answers; sharing it is its second version, because a share changes the
result and adds a card.  Each client plays as one account, so that it can read its own results again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random

import httpx
import psycopg

from towpath.cloudflare.d1 import D1
from towpath.rehearsal.application import Call, Entity, Kind
from towpath.rehearsal.ledger import parts_of, text_of
from towpath.rehearsal.settling import Found

from .legacy.planted import PLANTED_DOMAIN
from .legacy.settings import DATABASE, Settings
from .legacy.storage import draw_card

TYPES = ("big5", "daily", "quick", "mood")
ACCOUNTS = 200  # that are known to clients
CARD_SIDE = 8  # pixels

OLD = """SELECT r.results ->> 'rehearsal', r.shared, count(c.id) FROM quiz_results r
    LEFT JOIN share_cards c ON c.quiz_result_id = r.id
    WHERE r.results ->> 'rehearsal' LIKE %s GROUP BY r.id, r.results, r.shared"""
NEW = """SELECT r.results ->> 'rehearsal', r.shared, count(c.id) FROM quiz_results r
    LEFT JOIN share_cards c ON c.quiz_result_id = r.id
    WHERE r.results ->> 'rehearsal' LIKE ? GROUP BY r.id, r.results, r.shared"""


class PersonalitySpark:
    """See towpath.rehearsal.application."""

    kinds: Mapping[str, Kind] = {"result": Kind(1, versions=2)}

    def __init__(self) -> None:
        self.accounts: list[str] = []

    def environment(self, _secrets: Path) -> dict[str, str]:
        """Nothing: no secret is shared with the new side.

        No worker of Celery runs beside it either: it would finish the jobs that mapping.yaml decides about.  What
        clients send waits in its queue, and moves.
        """
        return {}

    def prepare(self, data: Path) -> None:
        """The accounts that clients play as, the last ones; the planted and the recorded ones are left alone."""
        settings = Settings.of(data)
        asked = "SELECT id FROM users WHERE email::text NOT LIKE %s ORDER BY id DESC LIMIT %s"
        with psycopg.connect(_address(settings)) as connection:
            found = connection.execute(asked, (f"%@{PLANTED_DOMAIN}", ACCOUNTS)).fetchall()
        self.accounts = [str(id) for (id,) in found]

    def sign_in(self, _number: int) -> None:
        """Nobody does."""

    def signed_in(self, _answer: httpx.Response) -> dict[str, str]:
        """Nothing to bear."""
        return {}

    def create(self, _kind: str, text: str, client: int, _entities: list[Entity], random: Random) -> Call:
        """A result of the client's account."""
        results = {"rehearsal": text, "openness": random.randrange(1, 6)}
        body = {"user_id": self._account(client), "quiz_type": random.choice(TYPES), "results": results}
        return Call("POST", "/results", json={**body, "tags": ["rehearsal"], "seconds": random.randrange(1, 600)})

    def created(self, answer: httpx.Response) -> str:
        """The id that the application gave."""
        return str(uuid.UUID(answer.json()["id"]))

    def change(self, entity: Entity, text: str) -> Call:
        """The result is shared."""
        card = draw_card(text, CARD_SIDE)
        return Call("POST", f"/shares/{entity.id}", content=card, headers={"content-type": "image/png"})

    def look(self, entity: Entity) -> Call:
        """The account's newest results."""
        return Call("GET", f"/results?user_id={self._account(entity.client)}&limit=100")

    def seen(self, entity: Entity, answer: httpx.Response) -> str | None:
        """The result among them."""
        if answer.status_code != 200:
            return None
        found = [one for one in answer.json() if one["id"] == entity.id]
        return _named(found[0]["results"]["rehearsal"], found[0]["shared"], int(found[0]["shared"])) if found else None

    def wander(self, random: Random) -> Call:
        """Somebody's results, or a quiz; which is made, and so written, where none is cached."""
        if random.random() < 0.5:
            return Call("GET", f"/generate/{random.choice(TYPES)}")
        return Call("GET", f"/results?user_id={random.choice(self.accounts)}")

    def on_old(self, data: Path, prefix: str) -> Iterable[Found]:
        """Rows of PostgreSQL, with the cards that name them."""
        with psycopg.connect(_address(Settings.of(data))) as connection:
            rows = connection.execute(OLD, (f"{prefix}%",)).fetchall()
        return [Found("result", _named(str(text), bool(shared), int(cards))) for text, shared, cards in rows]

    def on_new(self, d1: D1, prefix: str) -> Iterable[Found]:
        """Rows of D1, with the cards that name them."""
        rows = d1.query(NEW, f"{prefix}%").rows
        return [Found("result", _named(str(text), bool(shared), int(cards))) for text, shared, cards in rows]

    def _account(self, client: int) -> str:
        return self.accounts[client % len(self.accounts)]


def _named(text: str, shared: bool, cards: int) -> str:
    """A result's text in its version: one more for each card; a flag without its card is no version at all."""
    parts = parts_of(text)
    return text_of(parts[0], 1 + cards) if parts and shared == bool(cards) else f"{text} shared={shared} cards={cards}"


def _address(settings: Settings) -> str:
    server = settings.postgresql
    return f"host=127.0.0.1 port={server.port} dbname={DATABASE} user={server.user} password={server.password}"


application = PersonalitySpark()
