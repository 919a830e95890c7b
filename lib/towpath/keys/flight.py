"""Several requests under way at a time, results in order, never more waiting than a few for each connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2  # items handed out for each connection


def each(work: Callable[[Item], Result], items: Iterable[Item], connections: int) -> Iterator[Result]:
    """`work(item)` for every item, in the order of the items.

    The first exception ends it: what is under way comes to its end, nothing new is started, and it is raised.
    """
    pool = ThreadPoolExecutor(connections, thread_name_prefix="keys")
    under_way: deque[Future[Result]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) >= connections * AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
