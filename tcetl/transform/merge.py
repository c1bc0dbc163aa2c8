"""One indicator per identity: duplicates merge by rules that do not depend on the order of the rows.

Of rows with the same type and summary, the one that stands first in the feed gives the origin. Rating and confidence
are the highest, ``first_seen`` the earliest, ``last_seen`` the latest, tags the sorted union, description and source
the first in alphabetical order.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from tcetl.feeds import ROW

INTO: Final = "_into"
"""The row that a duplicate merged into."""

_GROUP: Final = "_group"
_LONGEST_TAG: Final = 128
_BETWEEN_TAGS: Final = re.compile(r"[,;|\n]|\s+(?=#)")


@dataclass(frozen=True, slots=True)
class Merged:
    """``unique`` rows sorted by type and summary, their ``tags`` as sorted lists, and the ``duplicates`` of them."""

    unique: pl.DataFrame
    duplicates: pl.DataFrame


def merge(rows: pl.DataFrame, tags: Sequence[str]) -> Merged:
    """Merge *rows* (candidates with ``type`` and ``summary``) that are the same indicator; *tags* go to every one."""
    ordered = rows.with_columns(pl.col("tags").fill_null("")).sort("type", "summary", ROW)
    first = (pl.col("type") != pl.col("type").shift(1)) | (pl.col("summary") != pl.col("summary").shift(1))
    ordered = ordered.with_columns(first.fill_null(value=True).alias("_first"))
    ordered = ordered.with_columns(
        pl.col("_first").cum_sum().alias(_GROUP),
        pl.when("_first").then(ROW).forward_fill().alias(INTO),
    )
    duplicates = ordered.filter(~pl.col("_first"))
    unique = ordered.filter("_first")
    lists = _tag_lists(ordered["tags"], tags)
    if duplicates.is_empty():
        unique = unique.join(lists, left_on="tags", right_on="cell", how="left", maintain_order="left")
        unique = unique.drop("tags").rename({"list": "tags"})
    else:
        unique = _with_merged(unique, ordered, duplicates, lists)
    return Merged(unique.drop("_first", _GROUP, INTO), duplicates)


def _with_merged(
    unique: pl.DataFrame, ordered: pl.DataFrame, duplicates: pl.DataFrame, lists: pl.DataFrame
) -> pl.DataFrame:
    groups = duplicates[_GROUP].unique()
    many = ordered.filter(pl.col(_GROUP).is_in(groups.implode()))
    merged = many.group_by(_GROUP).agg(
        pl.col("description", "source", "first_seen").min(),
        pl.col("last_seen", "rating", "confidence").max(),
    )
    tags = (
        many.select(_GROUP, "tags").unique()
        .join(lists, left_on="tags", right_on="cell")
        .select(_GROUP, pl.col("list"))
        .explode("list", empty_as_null=True, keep_nulls=True)
        .group_by(_GROUP).agg(pl.col("list").drop_nulls().unique().sort())
    )  # fmt: skip
    alone = unique.filter(~pl.col(_GROUP).is_in(groups.implode()))
    alone = alone.join(lists, left_on="tags", right_on="cell", how="left").drop("tags").rename({"list": "tags"})
    together = (
        unique.filter(pl.col(_GROUP).is_in(groups.implode()))
        .drop("tags", *(name for name in merged.columns if name != _GROUP))
        .join(merged, on=_GROUP).join(tags, on=_GROUP).rename({"list": "tags"})
    )  # fmt: skip
    return pl.concat([alone, together.select(alone.columns)]).sort(_GROUP)


def _tag_lists(cells: pl.Series, tags: Sequence[str]) -> pl.DataFrame:
    """Return for every distinct cell the sorted list of its tags and *tags*."""
    distinct = cells.unique().sort()
    return pl.DataFrame(
        {
            "cell": distinct,
            "list": pl.Series([split_tags(cell, tags) for cell in distinct], dtype=pl.List(pl.String)),
        }
    )


def split_tags(cell: str, more: Sequence[str] = ()) -> list[str]:
    """Return the tags in *cell* and *more*, sorted, each once; ``#`` before a tag is notation.

    A tag longer than the platform's 128 characters is left out: it would fail the whole indicator.
    """
    found = {tag.strip().lstrip("#").strip() for tag in _BETWEEN_TAGS.split(cell)}
    return sorted({tag for tag in found if 0 < len(tag) <= _LONGEST_TAG and tag.lower() != "none"} | set(more))
