"""Several files of one format as one feed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import polars as pl

from tcetl.errors import FeedError
from tcetl.feeds.base import FILE, Feed, RawBatch
from tcetl.feeds.source import Folder, Source
from tcetl.feeds.standards.grouping import Grouped, grouped_feed, together


class JoinedFeed:
    """The files of a folder, one after the other; each record names its own.

    Args:
        folder: The files, at least one.
        name: The feed's name.
        read: Returns the reader of one file.

    Raises:
        FeedError: a file cannot be read.
    """

    def __init__(self, folder: Folder, name: str, read: Callable[[Source, str], Feed]) -> None:
        self.name = name
        self.file = folder.location
        self._folder = folder
        self._read = read
        self._notes: list[str] = []
        first = self._open(folder.names()[0])
        self.format = first.format
        self.columns = first.columns
        self.comments: Sequence[str] = ()

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how each of the files was read so far."""
        return self._notes

    def batches(self) -> Iterator[RawBatch]:
        """Yield the batches of one file after the other.

        Raises:
            FeedError: a file cannot be read, or is of another format or has other columns than the first.
        """
        self._notes = []
        for name in self._folder.names():
            feed = self._open(name)
            if feed.format != self.format:
                raise FeedError(
                    f"{feed.file} is of format {feed.format}, and the files before it are of format {self.format}",
                    hint="read one by itself (of an archive: --member NAME), or say the format that all are read by",
                )
            if set(feed.columns) != set(self.columns):
                raise FeedError(
                    f"{feed.file} has other columns than the files before it: {', '.join(feed.columns)}",
                    hint=f"they have: {', '.join(self.columns)}",
                )
            for batch in feed.batches():
                yield replace(batch, frame=batch.frame.with_columns(pl.lit(feed.file).alias(FILE)))
            self._notes += [f"{feed.file}: {note}" for note in feed.notes]

    def groups(self) -> Grouped:
        """Return the groups of all files; raises `FeedError` where they have none, or a file cannot be read."""
        return together(grouped_feed(self._open(name)).groups() for name in self._folder.names())

    def _open(self, name: str) -> Feed:
        return self._read(self._folder.file(name), self.name)
