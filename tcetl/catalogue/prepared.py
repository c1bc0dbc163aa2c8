"""A feed's rows as its definition wants them read: words for numbers, columns made of others, further indicators."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from tcetl.catalogue.definition import PLACE, FeedDefinition
from tcetl.feeds import Feed, RawBatch

_BETWEEN: Final = r"[,;\s]+"


class Prepared:
    """A feed, prepared by its definition.

    ``words`` put one word in the place of another, whatever their case, and leave those alone that are not listed;
    ``made`` adds columns made of others; ``also`` makes a row of its own of every value in further columns, with all
    that the row says beside it but its type and hashes, which are those of the row's own indicator.
    """

    def __init__(self, feed: Feed, definition: FeedDefinition) -> None:
        self._feed = feed
        self._made = definition.made
        self._words = {
            column: {word.lower(): meant for word, meant in meanings.items()}
            for column, meanings in definition.words.items()
        }
        mapped = definition.column_map
        self._value = mapped.value if mapped else ""
        self._own = [column for column in (mapped.type, *mapped.hashes) if column] if mapped else []
        self._also = definition.also

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
            yield replace(batch, frame=pl.concat([frame, *(self._further(frame, column) for column in self._also)]))

    def _further(self, frame: pl.DataFrame, column: str) -> pl.DataFrame:
        values = pl.col(column).str.replace_all(_BETWEEN, " ").str.strip_chars().str.split(" ")
        return (
            frame.with_columns(values.alias(self._value), *(pl.lit("").alias(own) for own in self._own))
            .explode(self._value)
            .filter(pl.col(self._value) != "")
        )


def _filled(pattern: str) -> pl.Expr:
    """The *pattern* with the cells of the columns that it names."""
    parts = PLACE.split(pattern)
    return pl.concat_str(pl.col(part).str.strip_chars() if at % 2 else pl.lit(part) for at, part in enumerate(parts))
