"""The request budget: how fast requests may leave, so that the account is never locked out.

Cloudflare allows a token 1,200 requests in five minutes and then refuses everything for five minutes
(developers.cloudflare.com/fundamentals/api/reference/limits/).  3.5 requests a second with a burst of 20 leaves room
for the new bursts of several phases that run one after the other, each in its own process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

REMOTE_RATE = 3.5  # requests a second
REMOTE_BURST = 20


class Budget:
    """A token bucket shared by the threads of a process.  `rate` in requests a second, `burst` in requests."""

    def __init__(
        self,
        rate: float,
        burst: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate, self.burst = rate, burst
        self._clock, self._sleep = clock, sleep
        self._tokens = float(burst)
        self._seen = clock()
        self._lock = threading.Lock()

    def take(self) -> float:
        """Wait until one more request may leave; return the seconds waited."""
        with self._lock:
            now = self._clock()
            self._tokens = min(float(self.burst), self._tokens + (now - self._seen) * self.rate)
            self._seen = now
            self._tokens -= 1.0  # may go below zero: whoever comes next waits longer, in the order of arrival
            wait = max(0.0, -self._tokens / self.rate)
        if wait:
            self._sleep(wait)
        return wait


_shared: dict[tuple[str, str], Budget] = {}
_shared_lock = threading.Lock()


def shared(base: str, account: str) -> Budget:
    """The one budget of this process for that account: two clients must not spend it twice."""
    with _shared_lock:
        return _shared.setdefault((base, account), Budget(REMOTE_RATE, REMOTE_BURST))
