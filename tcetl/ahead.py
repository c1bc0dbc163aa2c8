"""Work on the next items while one is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

_THREADS: Final = 2  # more would cost memory and gain little: polars has threads of its own


def ahead(function: Callable[[_Given], _Made], items: Iterable[_Given], *, most: int = _THREADS + 1) -> Iterator[_Made]:
    """Yield what *function* makes of each of *items*, in order; it is run in threads, *most* items at a time.

    For what polars, Arrow and the disk do, which run without the GIL. The items themselves are taken in the caller's
    thread.
    """
    pending: deque[Future[_Made]] = deque()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="ahead") as threads:
        try:
            for item in items:
                pending.append(threads.submit(function, item))
                if len(pending) >= most:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for each in pending:
                each.cancel()
