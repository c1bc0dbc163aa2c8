"""The whole way from a feed to indicators: map columns, settle values, merge duplicates, account for every row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import polars as pl
import pyarrow as pa

from tcetl.ahead import ahead
from tcetl.errors import EmptyFeedError, ReconciliationError
from tcetl.feeds import Feed
from tcetl.schema import FILE_OCCURRENCES, INDICATORS, empty_table
from tcetl.transform.columns.column_map import ColumnMap
from tcetl.transform.merging.duplicates import in_feed_order, merge
from tcetl.transform.merging.files import join_files
from tcetl.transform.notes import Notes
from tcetl.transform.parts import Part, Parts
from tcetl.transform.rejecting import Rejected
from tcetl.transform.tables import Tables
from tcetl.transform.user import Transform
from tcetl.transform.user.dropped import DROPPED, reason_of, with_raw
from tcetl.transform.values.exact import CHANGES
from tcetl.transform.values.settle import Settlement, settle


@dataclass(frozen=True, slots=True)
class FeedCounts:
    """Where every row of a feed went: ``rejected`` by code, ``duplicates`` merged, ``indicators`` by type.

    Invariant: rows_read = sum of rejected + duplicates + sum of indicators.
    """

    rows_read: int
    rejected: dict[str, int]
    duplicates: int
    indicators: dict[str, int]

    def __post_init__(self) -> None:
        accounted = sum(self.rejected.values()) + self.duplicates + sum(self.indicators.values())
        if self.rows_read != accounted:
            raise ReconciliationError(f"{self.rows_read} rows were read, but {accounted} are accounted for")


@dataclass(frozen=True, slots=True)
class Normalised:
    """A feed, normalised.

    ``indicators`` is a table of INDICATORS, unique, sorted by type and summary; ``rejects`` a table of REJECTS, one row
    per row that is no indicator (stages ``read`` and ``normalise``) or merged into one (stage ``duplicate``);
    ``occurrences`` a table of FILE_OCCURRENCES, of Files among the indicators. ``notes`` are sentences on what was
    guessed or ignored, ``unused`` the feed's columns that nothing was taken from; ``further`` of the rows in ``counts``
    are further indicators of other rows (`ColumnMap.also`).
    """

    indicators: pa.Table
    rejects: pa.Table
    occurrences: pa.Table
    counts: FeedCounts
    columns: ColumnMap
    further: int = 0
    unused: Sequence[str] = ()
    notes: Sequence[str] = field(default=())


def normalise(
    feed: Feed,
    *,
    owner: str,
    rating: float | None = None,
    confidence: int | None = None,
    tags: Sequence[str] = (),
    columns: ColumnMap | Mapping[str, Any] | None = None,
    transforms: Sequence[Transform] = (),
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Normalised:
    """Return the indicators of *feed*, and every row that is none with its reason.

    Memory grows with the rows, a few hundred bytes each: duplicates can be anywhere.

    Args:
        feed: An opened feed.
        owner: The ThreatConnect owner they are for.
        rating: 0-5, for rows that bring none of their own.
        confidence: 0-100, for rows that bring none of their own.
        tags: For every indicator.
        columns: What the feed's columns mean; what some of them mean, by role, where a mapping such as
            ``{"value": "url"}``: all others are found by their names and values.
        transforms: Functions of the user's that see the feed's rows, in order.
        on_progress: Called after every batch with (rows read, None).

    Raises:
        FeedError: the feed cannot be read, or no column holds indicators.
        ReconciliationError: rows are unaccounted for, which would be a defect of this module.
        TransformError: a transform failed, or returned what breaks a rule.
        ValueError: *rating* or *confidence* is out of range.
    """
    if rating is not None and not 0 <= rating <= 5:
        raise ValueError(f"rating is 0 to 5, not {rating}")
    if confidence is not None and not 0 <= confidence <= 100:
        raise ValueError(f"confidence is 0 to 100, not {confidence}")
    notes = Notes()
    tables = Tables(feed, owner, notes)
    rejected = Rejected(tables)
    parts = Parts(feed, columns, transforms, notes)
    good: list[pl.DataFrame] = []
    rows_read = further = 0
    for part, settled in ahead(_settled, parts):
        rows_read += part.rows_read
        further += part.further
        rejected.take(part.rejects)
        value = parts.columns.value if parts.columns else None
        if settled:
            good.append(settled.good)
            notes.add_each(settled.changed, "change", CHANGES)
            rejected.add(settled.bad, stage="normalise", severity="error", field=value)
        for name, lost in part.dropped:
            said = with_raw(lost, value)
            rejected.add(said, stage="normalise", severity="info", code=DROPPED, reason=reason_of(name))
        if on_progress:
            on_progress(rows_read, None)
    meant = parts.columns
    if meant is None:
        return _without_indicators(feed, rejected, rows_read)
    whole, conflicting = join_files(pl.concat(good))
    good.clear()
    rejected.add(conflicting, stage="normalise", severity="error", field=meant.value)
    occurrences = tables.occurrences(whole)
    indicators: dict[str, list[pa.RecordBatch]] = {}
    merged: list[pl.DataFrame] = []
    types = merge(whole)
    del whole  # which `types` lets go of, type by type
    for kind, unique, duplicates in types:
        merged.append(duplicates)
        indicators[kind] = tables.indicators(
            unique, rating=rating, confidence=confidence, tags=tags, attributes=meant.attributes
        )
    again = in_feed_order(pl.concat(merged)) if merged else pl.DataFrame()
    rejects = tables.rejects(again, stage="duplicate", severity="info", code="duplicate", field=meant.value)
    return Normalised(
        indicators=pa.Table.from_batches(chain.from_iterable(indicators.values()), schema=INDICATORS),
        occurrences=occurrences,
        rejects=pa.concat_tables([*rejected.tables, rejects]),
        counts=FeedCounts(
            rows_read=rows_read + further,
            rejected=rejected.by_code,
            duplicates=again.height,
            indicators={kind: sum(batch.num_rows for batch in each) for kind, each in indicators.items()},
        ),
        columns=meant,
        further=further,
        unused=[column for column in feed.columns if column not in meant.used()],
        notes=[*feed.notes, *notes.sentences()],
    )


def _settled(part: Part) -> tuple[Part, Settlement | None]:
    """Return *part* with its rows settled, apart."""
    return part._replace(rows=None), None if part.rows is None else settle(part.rows)


def _without_indicators(feed: Feed, rejected: Rejected, rows_read: int) -> Normalised:
    """Return *feed* where it has nothing to settle."""
    if not rows_read:
        raise EmptyFeedError(f"feed file {feed.file} has a header but no rows", hint="is the feed empty today?")
    return Normalised(
        indicators=empty_table(INDICATORS),
        occurrences=empty_table(FILE_OCCURRENCES),
        rejects=pa.concat_tables(rejected.tables),
        counts=FeedCounts(rows_read, rejected.by_code, 0, {}),
        columns=ColumnMap(value=feed.columns[0]),
        notes=feed.notes,
    )
