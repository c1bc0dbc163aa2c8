"""Work on the next items while one is used."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

_THREADS: Final = 2  # more would cost memory and gain little: polars has threads of its own


def ahead(
    function: Callable[[_Given], _Made], items: Iterable[_Given], *, threads: int = _THREADS, most: int = _THREADS + 1
) -> Generator[_Made, None, None]:
    """Yield what *function* makes of each of *items*, in order; it is run in *threads*, for *most* items at a time.

    For what polars, Arrow and the disk do, which run without the GIL. The items themselves are taken in the caller's
    thread. With one thread, they come to *function* in order, too.
    """
    pending: deque[Future[_Made]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= most:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for each in pending:
                each.cancel()
