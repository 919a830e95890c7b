"""Writes Personality Spark's data: database, cache, jobs and share cards, all of it from a seed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .. import settings as places
from ..planted import STRAY_CARD
from ..storage import draw_card
from . import cache, database, jobs
from .cast import Cast
from .scales import Scale

MARKER = "generated.json"
OURS = ("postgresql", "redis", "shares")


class NotOurs(Exception):
    """The target folder holds data that no generator wrote."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What was written."""

    scale: str
    seed: int
    rows: int
    tables: dict[str, int]
    keys: int
    jobs: jobs.Jobs
    files: int
    file_bytes: int
    seconds: dict[str, float] = field(compare=False)


def generate(
    to: Path,
    scale: Scale,
    seed: int = 1,
    *,
    plant: bool = True,
    port_postgresql: int | None = None,
    port_redis: int | None = None,
    ends_with_us: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> Generated:
    """Start both servers under `to` where they are down, and fill them in place of what an earlier call wrote.

    The servers go on running, unless `ends_with_us`.  A maintenance switch that was left on goes, for the new data is a
    new system.  `plant` is about jobs alone: without it the two broken ones are left out.  `report` is called with the
    number of rows written since the last call.  Raises NotOurs when `to` holds data without the generator's marker.
    """
    to.mkdir(parents=True, exist_ok=True)
    if not (to / MARKER).exists() and any((to / name).exists() for name in OURS):
        raise NotOurs(f"{to} holds {', '.join(OURS)} that this generator did not write")
    (to / MARKER).write_text("{}\n", encoding="utf-8")  # ours from now on, also when this is cut off
    (to / "maintenance.json").unlink(missing_ok=True)
    seconds, since = {}, time.monotonic()

    def lap(name: str) -> None:
        nonlocal since
        seconds[name], since = round(time.monotonic() - since, 1), time.monotonic()

    settings = places.up(to, port_postgresql, port_redis, ends_with_us=ends_with_us)
    lap("servers")
    cast = Cast(seed, scale)
    tables = database.fill(settings, cast, report)
    lap("database")
    with settings.cache() as client:
        keys = cache.fill(client, cast)
    lap("cache")
    made = jobs.fill(settings, cast, plant)
    lap("jobs")
    files, size = _cards(to, cast)
    lap("files")
    generated = Generated(scale.name, seed, sum(tables.values()), tables, keys, made, files, size, seconds)
    (to / MARKER).write_text(json.dumps(asdict(generated), indent=2) + "\n", encoding="utf-8")
    return generated


def _cards(to: Path, cast: Cast) -> tuple[int, int]:
    shutil.rmtree(to / "shares", ignore_errors=True)
    (to / "shares").mkdir()
    size = 0
    for path, name in [(card.path, card.id) for card in cast.cards] + [(STRAY_CARD, "stray")]:
        content = draw_card(f"{cast.seed}:{name}", cast.scale.side)
        (to / path).write_bytes(content)
        size += len(content)
    return len(cast.cards) + 1, size
