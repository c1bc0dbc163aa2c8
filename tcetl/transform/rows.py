"""Raw feed rows as candidates: one value each, what the feed says of it, in columns of one shape for every feed."""

from collections.abc import Callable
from typing import Final

import polars as pl

from tcetl.feeds import PLACE, ROW
from tcetl.transform import tlp
from tcetl.transform.columns import ColumnMap
from tcetl.transform.notes import Notes
from tcetl.transform.vocabulary import NOTHING

_DATE: Final = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]+([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?)? ?(?:UTC|Z|GMT|[+-]00:?00)?$"
)
_WORDS: Final = f"{ROW}_words"  # no feed's column begins with the reserved name
_USUAL: Final = "%Y-%m-%d %H:%M:%S"
_HASH: Final = r"^\s*(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})\s*$"


class Candidates:
    """Turns raw batches into candidates and notes the cells that say nothing usable.

    Columns: the place (``_row``, ``_pointer``, ``_file``), ``raw`` (the cell), ``value`` (with further hashes of the
    same file), ``declared`` (the feed's word for the type, or null), and of ``description``, ``source``, ``tags`` (the
    cell), ``first_seen``, ``last_seen``, ``rating``, ``confidence`` and ``tlp`` those that the feed has.
    """

    def __init__(self, columns: ColumnMap, notes: Notes) -> None:
        self.columns = columns
        self._notes = notes

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the candidates of one raw frame, row by row."""
        at = self.columns
        plain = {"source": at.source, "tags": at.tags, "first_seen": at.first_seen, "last_seen": at.last_seen,
                 "rating": at.rating, "confidence": at.confidence, "tlp": at.tlp}  # fmt: skip
        said = frame.select(
            *(pl.col(name) for name in PLACE if name in frame.columns),
            pl.col(at.value).alias("raw"),
            self._value().alias("value"),
            (_said(at.type) if at.type else pl.lit(at.value_type, dtype=pl.String)).alias("declared"),
            *([self._description(frame)] if at.description or at.details else []),
            *(_said(column).alias(role) for role, column in plain.items() if column),
        )
        read = said.with_columns(read(said[role]).alias(role) for role, (_, read) in _READ.items() if plain[role])
        for role, (what, _) in _READ.items():
            if column := plain[role]:
                ignored = read[ROW].filter(read[role].is_null() & said[role].is_not_null())
                self._notes.add(f"cells of '{column}' are no {what} and were ignored", ignored)
        return read

    def _value(self) -> pl.Expr:
        """The value cell; where it is a hash, the other hashes of the file behind it."""
        value = pl.col(self.columns.value)
        if not self.columns.hashes:
            return value
        others = [pl.concat_str(pl.lit(" : "), _said(column)).fill_null("") for column in self.columns.hashes]
        return pl.when(value.str.contains(_HASH)).then(pl.concat_str(value, *others)).otherwise(value)

    def _description(self, frame: pl.DataFrame) -> pl.Series:
        """What the row says of its indicator in words.

        Made once per distinct row of words, of which a feed has few: equal descriptions share their text in memory.
        """
        words = [*([self.columns.description] if self.columns.description else []), *self.columns.details]
        details = [
            pl.concat_str(pl.lit(f"{column.replace('_', ' ').strip().capitalize()}: "), _said(column))
            for column in self.columns.details
        ]
        parts = [_said(self.columns.description), *details] if self.columns.description else details
        text = pl.concat_str(parts, separator="; ", ignore_nulls=True)
        distinct = frame.select(words).unique()
        described = distinct.with_columns(pl.when(text != "").then(text).alias(_WORDS))
        joined = frame.select(words).join(described, on=words, how="left", maintain_order="left")
        return joined[_WORDS].alias("description")


def _said(column: str) -> pl.Expr:
    """The text of a column, stripped, null where the feed says nothing."""
    text = pl.col(column).str.strip_chars()
    return pl.when(~text.str.contains(NOTHING)).then(text)


def _moment(text: pl.Series) -> pl.Series:
    moment = text.str.to_datetime(_USUAL, strict=False, time_unit="us", time_zone="UTC")
    if moment.null_count() == text.null_count():
        return moment
    parts = pl.col("text").str.extract_groups(_DATE)
    exact = pl.concat_str(parts.struct[0], pl.lit(" "), parts.struct[1].fill_null("00:00:00"))
    read = exact.str.to_datetime(_USUAL, strict=False, time_unit="us", time_zone="UTC")
    return text.to_frame("text").select(read).to_series()


def _number(text: pl.Series, kind: type[pl.DataType], largest: int) -> pl.Series:
    number = text.cast(kind, strict=False)
    return number.set(~number.is_between(0, largest), None)


_READ: Final[dict[str, tuple[str, Callable[[pl.Series], pl.Series]]]] = {
    "first_seen": ("date (ISO 8601, UTC)", _moment),
    "last_seen": ("date (ISO 8601, UTC)", _moment),
    "rating": ("number from 0 to 5", lambda text: _number(text, pl.Float64, 5)),
    "tlp": ("level of the Traffic Light Protocol", tlp.levels),
    "confidence": ("whole number from 0 to 100", lambda text: _number(text, pl.Int32, 100)),
}
