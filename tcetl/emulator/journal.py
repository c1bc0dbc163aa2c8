"""What was asked of the server and what it answered, in order."""

import itertools
import threading
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Final

from tcetl.emulator.routes import matches

_KEPT: Final = 200_000
"""Entries kept; older ones are dropped."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. ``path`` is without /api and still encoded; ``status`` is 0 when no answer was begun.

    ``served`` is the status that the API gave before any fault got at the answer: with it, the server has acted. It is
    0 when a fault kept the request from the API, or broke it off.
    """

    seq: int
    time: str
    method: str
    path: str
    query: str
    user: str | None
    status: int
    served: int
    bytes: int  # of the response body, as really sent
    request_bytes: int
    fault: str | None  # kinds of the faults that struck, joined by "+"
    seconds: float


class Journal:
    """The latest requests, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.under_way = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries: deque[Entry] = deque(maxlen=_KEPT)
            self._numbers = itertools.count(1)

    def begin(self) -> None:
        """A request has come in; :meth:`add` follows."""
        with self._lock:
            self.under_way += 1

    def add(self, **fields: Any) -> None:
        """Append the entry of a request that has ended; it gets the next number."""
        with self._lock:
            self.under_way -= 1
            self._entries.append(Entry(seq=next(self._numbers), **fields))

    def select(self, route: str | None = None, method: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """Entries whose path fits *route*, of one *method*, numbered above *after*."""
        with self._lock:
            entries = list(self._entries)
        return [
            asdict(entry)
            for entry in entries
            if entry.seq > after
            and (route is None or matches(route, entry.path))
            and (method is None or entry.method == method)
        ]
