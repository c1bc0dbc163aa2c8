"""One indicator per identity: duplicates merge by rules that do not depend on the order of the rows.

Of rows with the same type and summary, the one that stands first in the feed gives the origin. Rating, confidence, TLP
level and size are the highest; dates of a beginning (``first_seen``, ``external_date_added``) the earliest, all others
the latest; tags and attribute values the sorted union; description and source the first in alphabetical order. A row
that says nothing of something has no say in it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import polars as pl

from tcetl.ahead import ahead
from tcetl.feeds import FILE, PLACE, POINTER, ROW
from tcetl.transform.cells.attributes import JOINT, attribute_columns

TAG_CELLS: Final = "\n"
"""Joins the tag cells of rows that merged."""

_GROUP: Final = "_group"
_RULES: Final = {
    "description": pl.col("description").min(),
    "source": pl.col("source").min(),
    "first_seen": pl.col("first_seen").min(),
    "last_seen": pl.col("last_seen").max(),
    "rating": pl.col("rating").max(),
    "confidence": pl.col("confidence").max(),
    "tlp": pl.col("tlp").max(),
    "size": pl.col("size").max(),
    "external_date_added": pl.col("external_date_added").min(),
    "external_last_modified": pl.col("external_last_modified").max(),
    "external_date_expires": pl.col("external_date_expires").max(),
}


class Merged(NamedTuple):
    """The rows of one ``type``, by identity.

    ``unique`` has one row for each, sorted by summary; ``duplicates`` the rows that merged into those: ``type``,
    ``summary``, ``raw``, where they stood and the ``reason``.
    """

    type: str
    unique: pl.DataFrame
    duplicates: pl.DataFrame


def merge(rows: pl.DataFrame) -> Iterator[Merged]:
    """Yield the *rows* (with ``type``, ``summary``, ``raw`` and their place) by identity, type by type in order.

    One type after the other is sorted and then let go, so that memory holds little more than the rows once.
    """
    types = sorted(rows.partition_by("type"), key=_type_of, reverse=True)
    del rows
    return ahead(_merged, (types.pop() for _ in range(len(types))))


def in_feed_order(rows: pl.DataFrame, *before: str) -> pl.DataFrame:
    """Return *rows* sorted by the columns *before* and then as they stand in the feed."""
    return rows.sort(*before, *_present(rows, FILE, ROW, POINTER, "field"))


def _type_of(rows: pl.DataFrame) -> str:
    return str(rows["type"][0])


def _merged(rows: pl.DataFrame) -> Merged:
    rows = in_feed_order(rows, "summary")
    again = rows.select(pl.col("summary").eq(pl.col("summary").shift()).fill_null(value=False)).to_series()
    first = ~again & again.shift(-1, fill_value=False)  # of several
    group = first.cum_sum().alias(_GROUP)
    rows = rows.with_columns(group)
    unique = rows.filter(~again).with_columns(pl.when(first.filter(~again)).then(_GROUP).alias(_GROUP))
    duplicates = rows.filter(again)
    reasons = rows.filter(first).select(_reason(rows).alias("reason"))[duplicates[_GROUP] - 1]
    return Merged(
        _type_of(rows),
        _with_what_all_say(unique, rows.filter(first | again)).drop(_GROUP),
        duplicates.select("type", "summary", "raw", *_present(rows, *PLACE, "field")).hstack(reasons),
    )


def _with_what_all_say(unique: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Return *unique* rows with what the *members* of their groups say together."""
    unions = {"tags": TAG_CELLS} if "tags" in unique.columns else {}
    unions |= dict.fromkeys(attribute_columns(unique), JOINT)
    rules = {name: rule for name, rule in _RULES.items() if name in unique.columns}
    said = members.group_by(_GROUP).agg(rules.values())
    for name, joint in unions.items():
        values = members.select(_GROUP, name).drop_nulls().unique().sort(_GROUP, name)
        union = (
            values.group_by(_GROUP, maintain_order=True).agg(pl.col(name)).with_columns(pl.col(name).list.join(joint))
        )
        said = said.join(union, on=_GROUP, how="left")
    joined = unique.join(said, on=_GROUP, how="left", suffix="_all", maintain_order="left")
    names = [*rules, *unions]
    return joined.with_columns(pl.coalesce(f"{name}_all", name).alias(name) for name in names).drop(
        f"{name}_all" for name in names
    )


def _present(rows: pl.DataFrame, *names: str) -> list[str]:
    return [name for name in names if name in rows.columns]


def _reason(rows: pl.DataFrame) -> pl.Expr:
    words = {ROW: "row {}", POINTER: " at {}", FILE: " of {}"}
    named = pl.concat_str([pl.format(words[name], name).fill_null("") for name in _present(rows, *PLACE)])
    return pl.format("the same indicator as {}, which it was merged into", named)
