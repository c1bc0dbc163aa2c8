"""A feed's rows as its definition wants them read: words for numbers, columns made of others."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from tcetl.catalogue.definition import PLACE, FeedDefinition
from tcetl.feeds import Feed, RawBatch


class Prepared:
    """A feed, prepared by its definition.

    ``words`` put one word in the place of another, whatever their case, and leave those alone that are not listed;
    ``made`` adds columns made of others.
    """

    def __init__(self, feed: Feed, definition: FeedDefinition) -> None:
        self._feed = feed
        self._made = definition.made
        self._words = {
            column: {word.lower(): meant for word, meant in meanings.items()}
            for column, meanings in definition.words.items()
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
        return [*self._feed.columns, *self._made]

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how it was read."""
        return self._feed.notes

    @property
    def comments(self) -> Sequence[str]:
        """What it said of itself."""
        return self._feed.comments

    def batches(self) -> Iterator[RawBatch]:
        """Yield its batches, prepared."""
        for batch in self._feed.batches():
            frame = batch.frame.with_columns(
                pl.col(column).str.strip_chars().str.to_lowercase().replace_strict(meanings, default=pl.col(column))
                for column, meanings in self._words.items()
            ).with_columns(_filled(pattern).alias(column) for column, pattern in self._made.items())
            yield replace(batch, frame=frame)


def _filled(pattern: str) -> pl.Expr:
    """The *pattern* with the cells of the columns that it names."""
    parts = PLACE.split(pattern)
    return pl.concat_str(pl.col(part).str.strip_chars() if at % 2 else pl.lit(part) for at, part in enumerate(parts))
