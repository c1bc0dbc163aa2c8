"""Records out of lines with `csv.reader`, knowing of each on which lines it stood."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

COMMENT: Final = "#"
"""A line that begins with it, where a record could begin, is none."""

_MOST_LINES: Final = 500
"""Lines one record may span; beyond that a quote was left open and must not swallow the rest of the feed."""


class Record(NamedTuple):
    """The cells of the record on lines ``start`` to ``end`` (0-based, ``end`` excluded)."""

    start: int
    end: int
    cells: list[str]


class Unreadable(NamedTuple):
    """The line that no record could be read from, and why."""

    start: int
    code: str
    reason: str


@dataclass(slots=True)
class Records:
    """The records in ``lines``, as far as they are complete.

    After `read`, ``records``, ``unreadable`` and ``comments`` hold what was found and ``used`` how many lines are dealt
    with: unless ``final``, a record that goes on beyond the lines is left for the next reader, with more of them.
    """

    lines: Sequence[str]
    delimiter: str
    skip_initial_space: bool = False
    final: bool = False
    records: list[Record] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    used: int = 0
    _start: int = 0
    _inside: bool = False
    _cut_off: bool = False

    def read(self, limit: int | None = None) -> None:
        """Read all records, or the first *limit*."""
        while self.used < len(self.lines) and self._read_on(limit):
            pass

    def _read_on(self, limit: int | None) -> bool:
        """Read until the lines end (then False) or a record must be given up: then the next line begins another."""
        reader = csv.reader(self._feed(), delimiter=self.delimiter, skipinitialspace=self.skip_initial_space)
        while limit is None or len(self.records) < limit:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                return self._give_up("bad-csv", str(error))
            if self._cut_off:
                self._cut_off = False
                if self.final or self.used - self._start > _MOST_LINES:
                    return self._give_up("unterminated-quote", "a quoted cell that begins here is never closed")
                self.used = self._start
                return False
            if cells is None:
                return False
            self.records.append(Record(self._start, self.used, cells))
            self._inside = False
        return False

    def _feed(self) -> Iterator[str]:
        while self.used < len(self.lines):
            text = self.lines[self.used]
            if not self._inside:
                self._start = self.used
                if text.startswith(COMMENT) or not text.strip():
                    self.comments.append(text)
                    self.used += 1
                    continue
                self._inside = True
            elif self.used - self._start > _MOST_LINES:
                break
            self.used += 1
            yield f"{text}\n"
        self._cut_off = self._inside

    def _give_up(self, code: str, reason: str) -> bool:
        self.unreadable.append(Unreadable(self._start, code, reason))
        self.used = self._start + 1
        self._inside = False
        return True
