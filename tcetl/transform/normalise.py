"""The whole way from a feed to indicators: map columns, settle values, merge duplicates, account for every row."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from tcetl.errors import EmptyFeedError, FeedError, ReconciliationError
from tcetl.feeds import Feed
from tcetl.schema import FILE_OCCURRENCES, INDICATORS, empty_table
from tcetl.transform.columns import ColumnMap, left_over, map_columns
from tcetl.transform.exact import CHANGES
from tcetl.transform.files import join_files
from tcetl.transform.merge import Merged
from tcetl.transform.notes import Notes
from tcetl.transform.rows import Candidates
from tcetl.transform.settle import settle
from tcetl.transform.tables import Tables
from tcetl.transform.user import Transform
from tcetl.transform.user.dropped import DROPPED, reason_of, with_raw

if TYPE_CHECKING:
    from tcetl.transform.user.feed_rows import FeedRows


_UNTAKEN: Final = "column '{0}' holds indicators too, and none was taken from it: [columns] also = [\"{0}\"] takes them"


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
    columns: ColumnMap | None = None,
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
        columns: What the feed's columns mean; found by their names and values when None.
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
    user = _feed_rows(transforms, feed)
    notes = Notes()
    tables = Tables(feed, owner, notes)
    candidates: Candidates | None = None
    good: list[pl.DataFrame] = []
    rejects: list[pa.Table] = []
    rejected: Counter[str] = Counter()
    rows_read = further = 0
    for batch in feed.batches():
        rows_read += batch.rows_read
        rejected.update(batch.rejects["code"].to_pylist())
        rejects.append(batch.rejects)
        frame, dropped = user.of(batch.frame) if user else (batch.frame, [])
        if not frame.is_empty():
            if candidates is None:
                meant = (columns or map_columns(feed, frame)).with_roles(user.roles if user else {})
                _check_columns(meant, frame, feed)
                candidates = Candidates(meant, notes)
                notes.say(() if columns else map(_UNTAKEN.format, left_over(frame, meant)))
            said = candidates.of(frame)
            further += said.height - frame.height
            settled = settle(said)
            good.append(settled.good)
            rejected.update(settled.bad["code"].to_list())
            notes.add_each(settled.changed, "change", CHANGES)
            rejects.append(
                tables.rejects(settled.bad, stage="normalise", severity="error", field=candidates.columns.value)
            )
        for name, lost in dropped:
            rejected[DROPPED] += lost.height
            said = with_raw(lost, candidates.columns.value if candidates else None)
            rejects.append(
                tables.rejects(said, stage="normalise", severity="info", code=DROPPED, reason=reason_of(name))
            )
        if on_progress:
            on_progress(rows_read, None)
    if candidates is None:
        if not rows_read:
            raise EmptyFeedError(f"feed file {feed.file} has a header but no rows", hint="is the feed empty today?")
        if all(map(_is_set_aside, rejects)):
            return Normalised(
                indicators=empty_table(INDICATORS),
                occurrences=empty_table(FILE_OCCURRENCES),
                rejects=pa.concat_tables(rejects),
                counts=FeedCounts(rows_read, dict(sorted(rejected.items())), 0, {}),
                columns=columns or ColumnMap(value=feed.columns[0]),
                notes=feed.notes,
            )
        found = f"none of its {rows_read} rows could be read: {dict(rejected)}"
        raise FeedError(f"feed file {feed.file} is not usable: {found}", hint="is this the feed you meant?")
    whole, conflicting = join_files(pl.concat(good))
    good.clear()
    if not conflicting.is_empty():
        rejected.update(conflicting["code"].to_list())
        rejects.append(tables.rejects(conflicting, stage="normalise", severity="error", field=candidates.columns.value))
    occurrences = tables.occurrences(whole)
    merged = Merged(whole)
    duplicates = merged.duplicates()
    rejects.append(
        tables.rejects(duplicates, stage="duplicate", severity="info", code="duplicate", field=candidates.columns.value)
    )
    return Normalised(
        indicators=tables.indicators(
            merged, rating=rating, confidence=confidence, tags=tags, attributes=candidates.columns.attributes
        ),
        occurrences=occurrences,
        rejects=pa.concat_tables(rejects),
        counts=FeedCounts(
            rows_read=rows_read + further,
            rejected=dict(sorted(rejected.items())),
            duplicates=duplicates.height,
            indicators=merged.by_type,
        ),
        columns=candidates.columns,
        further=further,
        unused=[column for column in feed.columns if column not in candidates.columns.used()],
        notes=[*feed.notes, *notes.sentences()],
    )


def _is_set_aside(rejects: pa.Table) -> bool:
    """Tell whether all of *rejects* are what the feed's own standard does not mean to be loaded as indicators."""
    set_aside = pc.and_(pc.equal(rejects["stage"], "read"), pc.equal(rejects["severity"], "info"))
    return bool(pc.all(set_aside, min_count=0).as_py())


def _feed_rows(transforms: Sequence[Transform], feed: Feed) -> "FeedRows | None":
    """Return what runs *transforms* over the rows of *feed*; only where there are any is pandas imported."""
    if not transforms:
        return None
    from tcetl.transform.user.feed_rows import FeedRows  # noqa: PLC0415

    return FeedRows(transforms, feed.columns, feed.file)


def _check_columns(columns: ColumnMap, frame: pl.DataFrame, feed: Feed) -> None:
    if missing := columns.used() - set(frame.columns):
        raise FeedError(
            f"{feed.file} has no column {', '.join(sorted(missing))}", hint=f"it has: {', '.join(feed.columns)}"
        )
