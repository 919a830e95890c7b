"""Several items at a time, results in order, never more under way than a few per worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 4  # items handed out per worker: enough that a large one does not leave the others idle


def each(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`work(item)` for every item, in the order of the items.

    The first exception ends it: what is under way comes to its end, nothing new is started, and it is raised.
    """
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="objects")
    under_way: deque[Future[Result]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) >= workers * AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
