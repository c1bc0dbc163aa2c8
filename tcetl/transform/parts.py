"""A feed part by part: its rows as candidates, what could not be read, and what the user's transforms dropped."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl
import pyarrow as pa

from tcetl.errors import FeedError
from tcetl.feeds import Feed
from tcetl.transform.columns.column_map import ColumnMap
from tcetl.transform.columns.finding import left_over, map_columns
from tcetl.transform.notes import Notes
from tcetl.transform.rows import Candidates
from tcetl.transform.user import Transform

if TYPE_CHECKING:
    from tcetl.transform.user.feed_rows import FeedRows

_UNTAKEN: Final = (
    "column '{0}' holds indicators too, and none was taken from it: also = [\"{0}\"] (--also '{0}') takes them"
)


class Part(NamedTuple):
    """What one batch came to: ``rows`` to be settled (see `Candidates`), if any; REJECTS; rows dropped, by whom.

    Of the rows ``further`` are beside the batch's own ``rows_read``; see `ColumnMap.also`.
    """

    rows_read: int
    further: int
    rows: pl.DataFrame | None
    rejects: pa.Table
    dropped: Sequence[tuple[str, pl.DataFrame]]


class Parts:
    """The parts of *feed*; iterate for them.

    Attributes:
        columns: What the feed's columns mean; known from the first part on that has rows.
    """

    def __init__(
        self,
        feed: Feed,
        columns: ColumnMap | Mapping[str, Any] | None,
        transforms: Sequence[Transform],
        notes: Notes,
    ) -> None:
        self.columns: ColumnMap | None = None
        self._feed = feed
        self._given = columns
        self._user = _feed_rows(transforms, feed)
        self._notes = notes

    def __iter__(self) -> Iterator[Part]:
        """Yield the parts.

        Raises:
            FeedError: The feed cannot be read, or no column holds indicators.
            TransformError: A transform failed, or returned what breaks a rule.
        """
        candidates: Candidates | None = None
        for batch in self._feed.batches():
            frame, dropped = self._user.of(batch.frame) if self._user else (batch.frame, [])
            rows, further = None, 0
            if not frame.is_empty():
                candidates = candidates or Candidates(self._meant(frame), self._notes)
                self.columns = candidates.columns
                rows = candidates.of(frame)
                further = rows.height - frame.height
            yield Part(batch.rows_read, further, rows, batch.rejects, dropped)

    def _meant(self, frame: pl.DataFrame) -> ColumnMap:
        given = self._given
        columns = given if isinstance(given, ColumnMap) else map_columns(self._feed, frame, given)
        if self._user:
            columns = columns.with_roles(self._user.roles)
        if missing := columns.used() - set(frame.columns):
            raise FeedError(
                f"{self._feed.file} has no column {', '.join(sorted(missing))}",
                hint=f"it has: {', '.join(self._feed.columns)}",
            )
        self._notes.say(() if isinstance(given, ColumnMap) else map(_UNTAKEN.format, left_over(frame, columns)))
        return columns


def _feed_rows(transforms: Sequence[Transform], feed: Feed) -> "FeedRows | None":
    """Return what runs *transforms* over the rows of *feed*; only where there are any is pandas imported."""
    if not transforms:
        return None
    from tcetl.transform.user.feed_rows import FeedRows  # noqa: PLC0415

    return FeedRows(transforms, feed.columns, feed.file)
