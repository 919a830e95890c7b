"""Values as PostgreSQL's COPY reads them, and the random pieces they are made of."""

from __future__ import annotations

import datetime as dt
from random import Random

BEGIN = dt.date(2024, 11, 1)
DAYS = tuple((BEGIN + dt.timedelta(days=day)).isoformat() for day in range(730))
END = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)  # nothing generated is younger; `live` goes on from here
NULL = "\\N"
TYPES = ("big5", "daily", "quick", "mood")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def escaped(text: str) -> str:
    """A text as a cell of COPY."""
    return text.translate(_ESCAPES)


def blob(content: bytes) -> str:
    """Bytes as a cell of COPY."""
    return "\\\\x" + content.hex()


def new_id(rng: Random) -> str:
    """A UUID of version 4."""
    digits = f"{rng.getrandbits(128):032x}"
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[int(digits[16], 16) & 3]}{digits[17:20]}-{digits[20:]}"
    )


def moment(rng: Random, from_day: int = 0) -> str:
    """A time in whole seconds, as the application writes it."""
    second = rng.randrange(86_400)
    day = rng.randrange(from_day, 730)
    return f"{DAYS[day]} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}+00"


def exact(rng: Random) -> str:
    """A time with microseconds, as the server's now() writes it."""
    return f"{moment(rng)[:-3]}.{rng.randrange(1, 1_000_000):06}+00"
