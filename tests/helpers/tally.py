"""What a long run of round trips came to, for those who wait for it; and how many examples a run makes.

ROUNDTRIP=5000 makes so many of each kind, from a seed that is printed (ROUNDTRIP_SEED repeats one); without it a run
makes a few, always the same.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings

ROOT = Path(__file__).resolve().parents[2]
LONG = int(os.environ.get("ROUNDTRIP", "0"))
SEED = int(os.environ.get("ROUNDTRIP_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much]


def lasting(few: int, each: int = 1, share: float = 1.0) -> Callable[[Any], Any]:
    """Settings of a property of which one draw holds `each` examples.

    `few` are made without ROUNDTRIP, with it that share of its number.
    """
    quiet = [*CHECKS, HealthCheck.function_scoped_fixture]
    draws = -int(-(LONG * share or few) // each)
    common = settings(
        max_examples=draws, deadline=None, database=None, derandomize=not LONG, suppress_health_check=quiet,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )  # fmt: skip
    return (lambda test: seed(SEED)(common(test))) if LONG else common


@dataclass
class Tally:
    """Counts of one property."""

    what: str
    examples: int = 0
    values: int = 0
    failures: int = 0
    began: float = field(default_factory=time.monotonic)

    @contextmanager
    def example(self, examples: int, values: int) -> Iterator[None]:
        """Count one draw; one that fails is counted as such."""
        try:
            yield
        except Exception:
            self.failures += 1
            raise
        self.examples += examples
        self.values += values

    def line(self, source: str) -> str:
        """One line for a person; `source` is the other engine and its version."""
        runtime = json.loads((ROOT / "package.json").read_text())["dependencies"]["miniflare"]
        seconds = time.monotonic() - self.began
        return (
            f"\n{self.what}: {self.examples:,} examples, {self.values:,} values, {seconds:,.0f} s,"
            f" {self.failures} failures; seed {SEED if LONG else 'fixed'}; {source}, miniflare {runtime}"
        )
