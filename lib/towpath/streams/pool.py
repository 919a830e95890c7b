"""Several items at a time, results in order, never more under way than a few for each worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, *, ahead: int, name: str = "pool"
) -> Iterator[Result]:
    """`work(item)` for every item, in the order of the items; `ahead` items are handed out for each worker.

    The first exception ends it: what is under way comes to its end, nothing new is started, and it is raised.
    """
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix=name)
    under_way: deque[Future[Result]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) >= workers * ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
