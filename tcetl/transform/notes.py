"""What a person should know of how a feed was taken: small losses, counted, with the rows where they can be seen."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

import polars as pl

from tcetl.feeds import ROW

_EXAMPLES: Final = 3


class Notes:
    """Counts by sentence; the first rows of each are kept as examples."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._rows: defaultdict[str, list[int]] = defaultdict(list)
        self._said: list[str] = []

    def add(self, sentence: str, rows: pl.Series) -> None:
        """Count *rows*, which are row numbers, under *sentence*, which completes "12 …"."""
        self._counts[sentence] += len(rows)
        self._rows[sentence] += rows.head(_EXAMPLES - len(self._rows[sentence])).to_list()

    def add_each(self, frame: pl.DataFrame, by: str, sentences: dict[str, str]) -> None:
        """Count the rows of *frame* under the sentence that its column *by* leads to."""
        for (key,), group in frame.group_by(by, maintain_order=True):
            self.add(sentences[str(key)], group[ROW])

    def add_count(self, sentence: str, count: int) -> None:
        """Count *count* more under *sentence*, which have no rows to be shown."""
        self._counts[sentence] += count

    def say(self, sentences: Iterable[str]) -> None:
        """Add whole *sentences*, of which nothing is counted."""
        self._said += sentences

    def sentences(self) -> list[str]:
        """Return every sentence with its count and examples, sorted; behind them those without a count."""
        counted = [
            f"{count:,} {sentence}{_examples(self._rows[sentence], count)}"
            for sentence, count in sorted(self._counts.items())
            if count
        ]
        return counted + self._said


def _examples(rows: list[int], count: int) -> str:
    if not rows:
        return ""
    return f" (row{'s' if count > 1 else ''} {', '.join(map(str, rows))}{' …' if count > len(rows) else ''})"
