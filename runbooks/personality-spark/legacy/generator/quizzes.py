"""Results, saved quizzes, rates and cards, as lines of COPY."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from ..planted import BEYOND_DOUBLE, LONG_RESULTS, LOST_CARD, LOWER_BOUNDS, MONTHS
from .cast import LOST_RESULT, Cast
from .texts import HOSTILE, TAGS, TRAITS, headline
from .values import DAYS, NULL, TYPES, escaped, exact, moment, new_id

RESULTS = "id, user_id, quiz_type, results, tags, duration, created_at, shared"
SAVED = "id, user_id, slug, quiz_data, archived, created_at, updated_at"
ANALYTICS = "id, quiz_type, completion_rate, avg_time_seconds, share_rate, created_date"
CARDS = "id, quiz_result_id, path, url, created_at"


def results(cast: Cast) -> Iterator[str]:
    """One line for each result; the first ones are planted.  Remembers the ids of those that have a card."""
    rng = cast.random("results")
    cards = {card.result: card for card in cast.cards}
    for index in range(cast.scale.results):
        id, card = new_id(rng), cards.get(index)
        content = scores(rng)
        created, shared = moment(rng), card is not None or rng.random() < 0.1
        if card is not None:
            content["share"] = {"url": card.url, "views": rng.randrange(5_000)}
        if card is not None or index == LOST_RESULT:
            cast.results[index] = id
        row = {
            "user": cast.user(rng) if rng.random() < 0.8 else NULL,
            "type": rng.choice(TYPES),
            "tags": array(rng.sample(TAGS, rng.randrange(0, 4))),
            "duration": f"00:{rng.randrange(60):02}:{rng.randrange(60):02}.{rng.randrange(1000):03}",
            "created": created,
        }
        if rng.random() < 0.15:
            row["duration"] = NULL
        if index <= LOST_RESULT:
            _plant(rng, index, row, content)
            row["user"] = cast.users[0]
        body = escaped(json.dumps(content, ensure_ascii=False))
        cells = (id, row["user"], row["type"], body, escaped(row["tags"]), row["duration"], row["created"])
        yield "\t".join(cells) + ("\tt\n" if shared else "\tf\n")


def _plant(rng: Random, index: int, row: dict[str, str], content: dict[str, Any]) -> None:
    if index < 3:
        row["type"] = NULL
    elif index < 6:
        row["created"] = row["created"][:-3] + f".{index}00000+00"
    elif index < 8:
        row["duration"] = MONTHS[index - 6]
    elif index < 10:
        row["tags"] = LOWER_BOUNDS[index - 8]
    elif index < 13:
        content["seed"] = BEYOND_DOUBLE[index - 10]
    elif index < 15:
        content["notes"] = _long(rng, LONG_RESULTS[index - 13])
    elif index == 15:
        row["tags"] = '{fun,NULL,"NULL"}'


def scores(rng: Random) -> dict[str, Any]:
    """What one quiz found."""
    return {
        "scores": {trait: rng.randrange(1001) / 1000 for trait in TRAITS},
        "headline": headline(rng),
        "answers": [rng.randrange(1, 6) for _ in range(10)],
        "seed": rng.getrandbits(40),
    }


def array(texts: list[str]) -> str:
    """Texts as PostgreSQL writes an array."""
    quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return "{" + ",".join(quoted) + "}"


def saved(cast: Cast) -> Iterator[str]:
    """One line for each saved quiz; a slug may come again once it is archived."""
    rng = cast.random("saved")
    for index in range(cast.scale.saved):
        user, slug = cast.user(rng), f"my-quiz-{index}"
        data = {"type": rng.choice(TYPES), "title": headline(rng), "questions": [{"id": n} for n in range(3)]}
        body = escaped(json.dumps(data, ensure_ascii=False))
        archived = "t" if rng.random() < 0.2 else "f"
        yield "\t".join((new_id(rng), user, slug, body, archived, moment(rng), exact(rng))) + "\n"


def analytics(cast: Cast) -> Iterator[str]:
    """One line for each quiz and day; the first rate is NaN."""
    rng = cast.random("analytics")
    id = 0
    for day in DAYS[: cast.scale.days]:
        for quiz in TYPES:
            id += 1
            rate = "NaN" if id == 1 else f"{rng.randrange(10_001) / 10_000:.4f}"
            share = NULL if rng.random() < 0.05 else f"{rng.random() ** 8:.7g}"
            yield f"{id}\t{quiz}\t{rate}\t{rng.randrange(30, 900)}\t{share}\t{day}\n"


def cards(cast: Cast) -> Iterator[str]:
    """One line for each card; the first has no file."""
    for cells in cast.card_rows(LOST_CARD):
        yield "\t".join(cells) + "\n"


def _long(rng: Random, size: int) -> str:
    parts: list[str] = []
    while size > 0:
        parts.append(rng.choice(HOSTILE))
        size -= len(parts[-1].encode())
    return "\n".join(parts)
