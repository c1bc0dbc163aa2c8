"""Raw feed rows as candidates: one value each, what the feed says of it, in columns of one shape for every feed."""

from collections import Counter
from typing import Final

import polars as pl

from tcetl.feeds import ROW
from tcetl.transform.columns import ColumnMap
from tcetl.transform.vocabulary import NOTHING

MOMENT: Final = pl.Datetime("us", "UTC")
_DATE: Final = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]+([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?)? ?(?:UTC|Z|GMT|[+-]00:?00)?$"
)
_HASH: Final = r"^\s*(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})\s*$"


class Candidates:
    """Turns raw batches into candidates and counts the cells that say nothing usable.

    Columns: ``_row``, ``value``, ``declared``, ``description``, ``source``, ``tags`` (the cell), ``first_seen``,
    ``last_seen``, ``rating`` and ``confidence``.
    """

    def __init__(self, columns: ColumnMap) -> None:
        self.columns = columns
        self._ignored: Counter[tuple[str, str]] = Counter()

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the candidates of one raw frame, row by row."""
        at = self.columns
        declared = pl.lit(at.value_type, dtype=pl.String) if at.type is None else _said(at.type)
        return frame.select(
            pl.col(ROW),
            self._value().alias("value"),
            declared.alias("declared"),
            self._description().alias("description"),
            _said(at.source).alias("source"),
            _said(at.tags).alias("tags"),
            self._moment(frame, at.first_seen).alias("first_seen"),
            self._moment(frame, at.last_seen).alias("last_seen"),
            self._number(frame, at.rating, pl.Float64, 5).alias("rating"),
            self._number(frame, at.confidence, pl.Int32, 100).alias("confidence"),
        )

    def notes(self) -> list[str]:
        """Return one sentence per column with cells that were ignored."""
        return [
            f"{count} cells of '{column}' are no {what} and were ignored"
            for (column, what), count in sorted(self._ignored.items())
        ]

    def _value(self) -> pl.Expr:
        """The value cell; where it is a hash, the other hashes of the file behind it."""
        at = self.columns
        value = pl.col(at.value)
        if not at.hashes:
            return value
        others = pl.concat_str(
            [pl.when(_said(column).is_not_null()).then(pl.concat_str(pl.lit(" : "), column)) for column in at.hashes],
            ignore_nulls=True,
        )
        return pl.when(value.str.contains(_HASH)).then(pl.concat_str(value, others)).otherwise(value)

    def _description(self) -> pl.Expr:
        at = self.columns
        details = [
            pl.concat_str(pl.lit(f"{column.replace('_', ' ').strip().capitalize()}: "), _said(column))
            for column in at.details
        ]
        parts = [_said(at.description), *details]
        text = pl.concat_str(parts, separator="; ", ignore_nulls=True)
        return pl.when(text != "").then(text)

    def _moment(self, frame: pl.DataFrame, column: str | None) -> pl.Expr:
        if column is None:
            return pl.lit(None, dtype=MOMENT)
        parts = _said(column).str.extract_groups(_DATE)
        text = pl.concat_str(parts.struct[0], pl.lit(" "), parts.struct[1].fill_null("00:00:00"))
        moment = text.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us", time_zone="UTC")
        self._count_ignored(frame, column, "date (ISO 8601, UTC)", moment)
        return moment

    def _number(self, frame: pl.DataFrame, column: str | None, kind: type[pl.DataType], largest: int) -> pl.Expr:
        if column is None:
            return pl.lit(None, dtype=kind)
        number = _said(column).str.strip_chars().cast(kind, strict=False)
        number = pl.when(number.is_between(0, largest)).then(number)
        self._count_ignored(frame, column, f"number from 0 to {largest}", number)
        return number

    def _count_ignored(self, frame: pl.DataFrame, column: str, what: str, understood: pl.Expr) -> None:
        count = frame.select((_said(column).is_not_null() & understood.is_null()).sum()).item()
        if count:
            self._ignored[column, what] += count


def _said(column: str | None) -> pl.Expr:
    """The text of a column, stripped, null where the feed says nothing."""
    if column is None:
        return pl.lit(None, dtype=pl.String)
    text = pl.col(column).str.strip_chars()
    return pl.when(~text.str.to_lowercase().is_in(NOTHING)).then(text)
