"""How much is generated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """One size of Personality Spark."""

    name: str
    users: int
    results: int
    saved: int
    days: int  # with a line for each quiz in quiz_analytics and stats.daily_counts
    purchases: int
    events: int
    badges: int
    log_lines: int
    files: int
    side: int  # pixels of a share card
    keys: int  # in the cache
    jobs: int  # of Celery, the planted ones among them


SCALES = {
    scale.name: scale
    for scale in (
        Scale("small", 80, 340, 60, 40, 60, 900, 90, 60, files=20, side=40, keys=200, jobs=40),
        Scale(
            "demo", 20_000, 105_000, 15_000, 700, 18_000, 300_000, 30_000, 4_000, 2_000, side=82, keys=20_000, jobs=500
        ),
        Scale(
            "large", 200_000, 1_050_000, 150_000, 700, 180_000, 3_080_000, 300_000, 20_000, 2_000, 82, 20_000, jobs=500
        ),
    )
}
