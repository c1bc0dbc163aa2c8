"""Feeds whose records are groups, not indicators: vulnerabilities, reports, campaigns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl.errors import FeedError
from tcetl.feeds import FILE, POINTER, ROW, Feed
from tcetl.schema import GROUPS, REJECTS, conform
from tcetl.transform.cells.moments import moments
from tcetl.transform.cells.tags import TOO_LONG, tag_column
from tcetl.transform.notes import Notes
from tcetl.transform.vocabulary import text_of

_LONGEST_NAME: Final = 100
_NO_ATTRIBUTES: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMap:
    """The ``type`` of all groups of a feed, and which of its columns say what of them.

    ``attributes`` are columns that become attributes, with the attribute's type.
    """

    type: str
    name: str
    description: str | None = None
    source: str | None = None
    tags: str | None = None
    first_seen: str | None = None
    last_seen: str | None = None
    event_date: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    def used(self) -> set[str]:
        """Return the names of all columns that are taken."""
        named = (self.name, self.description, self.source, self.tags, self.first_seen, self.last_seen, self.event_date)
        return {*self.attributes, *(column for column in named if column)}


@dataclass(frozen=True, slots=True)
class NormalisedGroups:
    """A feed of groups: ``groups`` (GROUPS, in the feed's order), and ``rejects`` (REJECTS) for the other records.

    ``rows_read`` = rows of ``groups`` + ``rejected`` by code. Groups that repeat another one are set aside when the
    load is planned, where their identity is known.
    """

    groups: pa.Table
    rejects: pa.Table
    rows_read: int
    rejected: Mapping[str, int]
    notes: Sequence[str]


def normalise_groups(feed: Feed, columns: GroupMap, *, owner: str, tags: Sequence[str] = ()) -> NormalisedGroups:
    """Return the groups of *feed*, and every record that is none with its reason.

    Args:
        feed: An opened feed.
        columns: What its columns mean.
        owner: The owner they are for.
        tags: For every group.

    Raises:
        FeedError: The feed cannot be read, or lacks a column.
    """
    if missing := columns.used() - set(feed.columns):
        raise FeedError(
            f"{feed.file} has no column {', '.join(sorted(missing))}", hint=f"it has: {', '.join(feed.columns)}"
        )
    notes = Notes()
    groups: list[pa.RecordBatch] = []
    rejects: list[pa.Table] = []
    for batch in feed.batches():
        rejects.append(batch.rejects)
        frame = _placed(batch.frame, feed)
        named = frame.with_columns(text_of(columns.name).alias("_name"))
        long = pl.col("_name").str.len_chars() > _LONGEST_NAME
        reason = (
            pl.when(pl.col("_name").is_null())
            .then(pl.lit("the record has no name"))
            .when(long)
            .then(pl.format("the name has more than {} characters", pl.lit(_LONGEST_NAME)))
        )
        code = pl.when(pl.col("_name").is_null()).then(pl.lit("empty-value")).when(long).then(pl.lit("too-long"))
        judged = named.with_columns(code.alias("_code"), reason.alias("_reason"))
        good = judged.filter(pl.col("_code").is_null())
        groups.extend(_groups(good, columns, tags, notes))
        rejects.append(_rejects(judged.filter(pl.col("_code").is_not_null()), columns, owner))
    rejected = Counter(code for table in rejects for code in table["code"].to_pylist())
    table = pa.Table.from_batches(groups, GROUPS)
    return NormalisedGroups(
        groups=table,
        rejects=pa.concat_tables([REJECTS.empty_table(), *rejects]),
        rows_read=table.num_rows + rejected.total(),
        rejected=dict(sorted(rejected.items())),
        notes=[*feed.notes, *notes.sentences()],
    )


def _placed(frame: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """Put the origin of each record beside it."""
    pointer = pl.col(POINTER) if POINTER in frame.columns else pl.lit(None, pl.String)
    file = pl.col(FILE) if FILE in frame.columns else pl.lit(feed.file)
    return frame.with_columns(
        pl.lit(feed.name).alias("_source"), file.alias("_at"), pl.col(ROW).alias("_line"), pointer.alias("_place")
    )


def _groups(frame: pl.DataFrame, columns: GroupMap, tags: Sequence[str], notes: Notes) -> list[pa.RecordBatch]:
    texts = {"description": columns.description, "source": columns.source}
    times = {"first_seen": columns.first_seen, "last_seen": columns.last_seen, "event_date": columns.event_date}
    cells = frame[columns.tags] if columns.tags else pl.repeat("", frame.height, eager=True, dtype=pl.String)
    attributes = [
        pl.when(text_of(column).is_not_null()).then(pl.struct(type=pl.lit(kind), value=text_of(column)))
        for column, kind in columns.attributes.items()
    ]
    listed = pl.concat_list(attributes).list.drop_nulls() if attributes else pl.lit([], dtype=_ATTRIBUTES)
    made = frame.select(
        pl.lit(columns.type).alias("type"),
        pl.col("_name").alias("name"),
        *((text_of(column) if column else pl.lit(None, pl.String)).alias(name) for name, column in texts.items()),
        listed.cast(_ATTRIBUTES).alias("attributes"),
        pl.lit([], dtype=pl.List(pl.String)).alias("security_labels"),
        pl.struct(source="_source", file="_at", row="_line", pointer="_place", raw=pl.col(columns.name)).alias(
            "origin"
        ),
    ).with_columns(
        *(moments(frame.select(text_of(column)).to_series()).alias(name) for name, column in times.items() if column)
    )
    tagged = pa.Table.from_batches(made.to_arrow().to_batches()).combine_chunks()
    column, too_long = tag_column(cells, tags)
    notes.add_count(TOO_LONG, len(too_long))
    tagged = tagged.append_column(GROUPS.field("tags"), column)
    return list(conform(tagged.to_batches(), GROUPS))


_ATTRIBUTES: Final = pl.List(pl.Struct({"type": pl.String, "value": pl.String}))


def _rejects(frame: pl.DataFrame, columns: GroupMap, owner: str) -> pa.Table:
    rows = frame.select(
        pl.lit("normalise").alias("stage"),
        pl.col("_source").alias("source"),
        pl.col("_at").alias("file"),
        pl.col("_line").alias("row"),
        pl.col("_place").alias("pointer"),
        pl.col(columns.name).alias("raw"),
        pl.lit(columns.name).alias("field"),
        pl.col("_code").alias("code"),
        pl.col("_reason").alias("reason"),
        pl.lit("error").alias("severity"),
        pl.lit(owner).alias("owner_name"),
        pl.lit(columns.type).alias("type"),
    )
    return pa.Table.from_batches(conform(rows.to_arrow().to_batches(), REJECTS), REJECTS)
