"""One indicator per identity: duplicates merge by rules that do not depend on the order of the rows.

Of rows with the same type and summary, the one that stands first in the feed gives the origin. Rating, confidence, TLP
level and size are the highest; dates of a beginning (``first_seen``, ``external_date_added``) the earliest, all others
the latest; tags and attribute values the sorted union; description and source the first in alphabetical order. A row
that says nothing of something has no say in it.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from tcetl.feeds import FILE, PLACE, POINTER, ROW
from tcetl.transform.attributes import JOINT, attribute_columns

TAG_CELLS: Final = "\n"
"""Joins the tag cells of rows that merged."""

_AT: Final = "_at"
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
    "tags": pl.col("tags").unique().sort().str.join(TAG_CELLS),
}


class Merged:
    """Rows (with ``type``, ``summary`` and their place) by identity, sorted by type and summary.

    Only positions are sorted, and the unique rows are gathered in slices, so that the rows stand in memory once.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self._rows = rows
        place = [name for name in (FILE, ROW, POINTER, "field") if name in rows.columns]
        keys = rows.select("type", "summary", *place).with_row_index(_AT).sort("type", "summary", *place)
        same = (pl.col("type") == pl.col("type").shift(1)) & (pl.col("summary") == pl.col("summary").shift(1))
        keys = keys.select(_AT, "type", *place, same.fill_null(value=False).alias("_same")).with_columns(
            (~pl.col("_same")).cum_sum().alias(_GROUP)
        )
        self._unique = keys.filter(~pl.col("_same")).select(_AT, _GROUP)
        by_type = keys.filter(~pl.col("_same")).group_by("type").len().sort("type")
        self.by_type: dict[str, int] = dict(by_type.cast({"type": pl.String}).iter_rows())
        words = {ROW: "row {}", POINTER: " at {}", FILE: " of {}"}
        named = pl.concat_str([pl.format(words[name], name).fill_null("") for name in PLACE if name in place])
        into = pl.when(~pl.col("_same")).then(named).forward_fill()
        self._again = keys.select(_AT, "_same", into.alias("_into"), *place).filter("_same").sort(*place)
        # Members of groups of several: those that repeat, and the first before them.
        members = keys.filter(pl.col("_same") | pl.col("_same").shift(-1, fill_value=False))
        rules = [rule for name, rule in _RULES.items() if name in rows.columns]
        rules += [
            pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).drop_nulls().unique().sort().str.join(JOINT))
            for name in attribute_columns(rows)
        ]
        self._merged = (
            rows[members[_AT]].with_columns(members[_GROUP]).group_by(_GROUP).agg(*rules).sort(_GROUP)
            if rules and not members.is_empty()
            else None
        )  # fmt: skip

    def duplicates(self) -> pl.DataFrame:
        """Return the rows that merged into others: ``type``, ``summary``, ``raw``, where they stood, the ``reason``."""
        place = [name for name in (*PLACE, "field") if name in self._rows.columns]
        rows = self._rows.select("type", "summary", "raw", *place)[self._again[_AT]]
        reason = pl.format("the same indicator as {}, which it was merged into", self._again["_into"])
        return rows.with_columns(reason.alias("reason"))

    def unique(self, rows: int) -> Iterator[pl.DataFrame]:
        """Yield the unique rows, merged, in slices of *rows*."""
        for piece in self._unique.iter_slices(rows):
            gathered = self._rows[piece[_AT]]
            if self._merged is None:
                yield gathered
                continue
            first, last = piece[_GROUP][0], piece[_GROUP][-1]
            merged = self._merged.filter(pl.col(_GROUP).is_between(first, last))
            joined = gathered.with_columns(piece[_GROUP]).join(
                merged, on=_GROUP, how="left", suffix="_merged", maintain_order="left"
            )
            names = [name for name in merged.columns if name != _GROUP]
            yield joined.with_columns(pl.coalesce(f"{name}_merged", name).alias(name) for name in names).drop(
                _GROUP, *(f"{name}_merged" for name in names)
            )
