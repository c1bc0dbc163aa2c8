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
    """One request. ``path`` is without /api and still encoded; ``status`` is 0 when no answer was begun."""

    seq: int
    time: str
    method: str
    path: str
    query: str
    user: str | None
    status: int
    bytes: int  # of the response body, as really sent
    request_bytes: int
    fault: str | None  # kind of the fault that struck
    seconds: float


class Journal:
    """The latest requests, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries: deque[Entry] = deque(maxlen=_KEPT)
            self._numbers = itertools.count(1)

    def add(self, **fields: Any) -> None:
        """Append an entry; it gets the next number."""
        with self._lock:
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
