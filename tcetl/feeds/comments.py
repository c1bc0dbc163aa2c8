"""What a feed says of itself beside its records: banners, footers, the fields around a list."""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

_KEPT: Final = 100  # of the first comments, and as many of the last: lists may hold one per record
_LONGEST: Final = 500
_SIGNS: Final = re.compile(r"^[#;/\s]+|[#;\s]+$")
_WHAT: Final = r"(?:entries|records|rows|items|iocs|indicators|urls|domains|ips)"
_COUNT: Final = re.compile(
    rf"(?:total\s+|total_)?(?:number of\s+)?(?:{_WHAT}|count|total|number)\s*[:=]\s*([0-9][0-9,]*)(?:\s.*)?"
    rf"|(?:end\s+)?([0-9][0-9,]*)\s+{_WHAT}",
    re.IGNORECASE,
)


class Comments:
    """The first and the last comments of a feed, without the signs that mark them."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=_KEPT)

    def add(self, lines: Iterable[str]) -> None:
        """Take note of comment *lines*; rules and blank ones say nothing."""
        said = (text for line in lines if (text := _SIGNS.sub("", line[:_LONGEST])))
        self._first += islice(said, _KEPT - len(self._first))
        self._last.extend(said)

    def said(self) -> Sequence[str]:
        """Return what was noted, in order."""
        return [*self._first, *self._last]


def stated_records(comments: Sequence[str]) -> int | None:
    """Return how many records a feed says it has (``Number of entries: 6000``, ``END 28 entries``), if it does.

    Of several statements the last counts: that of the footer.
    """
    found = [match for comment in comments if (match := _COUNT.fullmatch(comment))]
    return int((found[-1][1] or found[-1][2]).replace(",", "")) if found else None
