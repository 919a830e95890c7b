"""Accounts, purchases and badges, as lines of COPY."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from ..planted import PLANTED_DOMAIN, TWIN_NAMES
from .cast import PLANTED_USERS, Cast
from .texts import ADJECTIVES, NOUNS
from .values import NULL, blob, escaped, exact, moment

USERS = "id, email, username, password_hash, plan, avatar, birth_date, created_at, last_login, updated_at"
PURCHASES = "id, user_id, product, amount, fee, currency, purchased_at, valid_until"
BADGES = "user_id, badge, level, awarded_at"
BADGE_NAMES = ("first quiz", "night owl", "ten in a row", "sharer", "all five traits")
PRODUCTS = (("plus, a month", 499), ("plus, a year", 4990), ("pro, a year", 9900), ("report", 1290), ("gift", 2500))
_HASH = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_TWINS = [name for names in TWIN_NAMES for name in names]


def users(cast: Cast) -> Iterator[str]:
    """One line for each account; the first ones are planted."""
    rng = cast.random("users")
    for index, id in enumerate(cast.users):
        adjective, noun = rng.choice(ADJECTIVES), rng.choice(NOUNS)
        username = f"{adjective}_{noun}_{index}" if rng.random() < 0.85 else NULL
        email = f"{adjective}.{noun}.{index}@{rng.choice(('example.org', 'Example.com', 'mail.example.net'))}"
        avatar = blob(_avatar(rng)) if rng.random() < 0.1 else NULL
        born = f"{rng.randrange(1940, 2012)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
        created, seen = moment(rng), moment(rng)
        updated = exact(rng)
        if index < PLANTED_USERS:
            email = f"planted.{index}@{PLANTED_DOMAIN}"
            username = _TWINS[index] if index < 5 else NULL
            created = created[:-3] + f".{index}00001+00" if 5 <= index < 10 else created
            seen = seen[:-3] + f".{index}9999+00" if 10 <= index < 12 else seen
            avatar = blob(b"") if index == 12 else avatar
        cells = (
            id,
            email,
            username,
            f"$2b$12${''.join(rng.choices(_HASH, k=53))}",
            rng.choices(("free", "plus", "pro"), (80, 15, 5))[0],
            avatar,
            born if rng.random() < 0.6 else NULL,
            created,
            seen if index < PLANTED_USERS or rng.random() < 0.8 else NULL,
            updated,
        )
        yield "\t".join(cells) + "\n"


def purchases(cast: Cast) -> Iterator[str]:
    """One line for each purchase or refund; the first two are for ever."""
    rng = cast.random("purchases")
    for index in range(cast.scale.purchases):
        product, price = rng.choice(PRODUCTS)
        cents = -price if rng.random() < 0.04 else price + rng.randrange(0, 60)
        fee = 0 if cents < 0 else (cents * 29 + 999) // 1000 + 30
        until = moment(rng, 365) if "," in product else NULL
        user = cast.user(rng) if rng.random() < 0.97 else NULL
        if index < 2:
            user, until = cast.users[0], "infinity"
        cells = (str(index + 1), user, product, _money(cents), _money(fee))
        yield "\t".join((*cells, rng.choice(("EUR", "EUR", "USD", "GBP")), exact(rng), until)) + "\n"


def badges(cast: Cast) -> Iterator[str]:
    """One line for each badge; nobody has one twice."""
    rng = cast.random("badges")
    free = cast.users[PLANTED_USERS:]
    for index in range(min(cast.scale.badges, len(free) * len(BADGE_NAMES))):
        user, badge = free[index % len(free)], BADGE_NAMES[index // len(free)]
        yield f"{user}\t{escaped(badge)}\t{rng.randrange(1, 6)}\t{exact(rng)}\n"


def _money(cents: int) -> str:
    sign, cents = ("-", -cents) if cents < 0 else ("", cents)
    return f"{sign}{cents // 100}.{cents % 100:02}"


def _avatar(rng: Random) -> bytes:
    return b"\x00\xff" + rng.randbytes(rng.randrange(64, 400))
