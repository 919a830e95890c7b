"""Events, the log of imports and daily counts, as lines of COPY."""

from __future__ import annotations

from collections.abc import Iterator

from ..planted import LOG_TWINS
from .cast import Cast
from .texts import HOSTILE
from .values import DAYS, NULL, TYPES, escaped, exact

EVENTS = "id, occurred_at, user_id, quiz_type, kind, payload"
LOG = "batch, line, message, logged_at"
COUNTS = "day, quiz_type, count"
OUTSIDE = ("2023-05-06 07:08:09.101112+00", "2031-01-01 00:00:00+00")  # in no quarter
KINDS = ("started", "answered", "completed", "shared")


def events(cast: Cast) -> Iterator[str]:
    """One line for each event, in the order of ids, which is not that of the times."""
    rng = cast.random("events")
    for index in range(cast.scale.events):
        at = OUTSIDE[index] if index < len(OUTSIDE) else exact(rng)
        user = cast.user(rng) if rng.random() < 0.7 else NULL
        kind = rng.choices(KINDS, (30, 40, 20, 10))[0]
        payload = NULL
        if kind == "answered":
            payload = f'{{"question": {rng.randrange(10)}, "ms": {rng.randrange(400, 60_000)}.5}}'
        elif kind == "shared":
            payload = '{"channel": "mail", "to": null}'
        yield f"{index + 1}\t{at}\t{user}\t{rng.choice(TYPES)}\t{kind}\t{payload}\n"


def log(cast: Cast) -> Iterator[str]:
    """Lines of old imports; one of them is there several times."""
    rng = cast.random("log")
    for _ in range(LOG_TWINS):
        yield "2025-w01\t7\ttwin\t2025-01-06 03:00:00\n"
    for index in range(cast.scale.log_lines - LOG_TWINS):
        message = NULL if rng.random() < 0.1 else escaped(rng.choice(HOSTILE))
        yield f"2025-w{index % 52 + 1:02}\t{index}\t{message}\t{exact(rng)[:-3]}\n"


def counts(cast: Cast) -> Iterator[str]:
    """One line for each day and quiz."""
    rng = cast.random("counts")
    for day in DAYS[: cast.scale.days]:
        for quiz in TYPES:
            yield f"{day}\t{quiz}\t{rng.randrange(2_000)}\n"
