"""Words of a feed's own in the place of numbers: ``high`` for 90, a count of blocklists for a confidence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl

from tcetl.feeds import Feed, RawBatch


class Reworded:
    """A feed, with what *words* says in the place of the words found: by column, word and what stands for it.

    A word that is not listed stays as it is. Case does not count.
    """

    def __init__(self, feed: Feed, words: Mapping[str, Mapping[str, str]]) -> None:
        self._feed = feed
        self._words = {
            column: {word.lower(): meant for word, meant in meanings.items()} for column, meanings in words.items()
        }

    @property
    def name(self) -> str:
        """The feed's name."""
        return self._feed.name

    @property
    def file(self) -> str:
        """The path it is read from."""
        return self._feed.file

    @property
    def format(self) -> str:
        """The name of its format."""
        return self._feed.format

    @property
    def columns(self) -> Sequence[str]:
        """The columns of every batch."""
        return self._feed.columns

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how it was read."""
        return self._feed.notes

    @property
    def comments(self) -> Sequence[str]:
        """What it said of itself."""
        return self._feed.comments

    def batches(self) -> Iterator[RawBatch]:
        """Yield its batches, reworded."""
        for batch in self._feed.batches():
            said = [
                pl.col(column).str.strip_chars().str.to_lowercase().replace_strict(meanings, default=pl.col(column))
                for column, meanings in self._words.items()
                if column in batch.frame.columns
            ]
            yield replace(batch, frame=batch.frame.with_columns(said))
