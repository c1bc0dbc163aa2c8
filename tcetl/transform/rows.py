"""Raw feed rows as candidates: one value each, what the feed says of it, in columns of one shape for every feed."""

from collections.abc import Callable
from typing import Final

import polars as pl

from tcetl.feeds import PLACE, ROW
from tcetl.transform.cells import tlp
from tcetl.transform.cells.attributes import column_of
from tcetl.transform.cells.further import FIELD, with_further
from tcetl.transform.cells.moments import WHAT as DATE
from tcetl.transform.cells.moments import begins_with_day, moments
from tcetl.transform.columns.column_map import ColumnMap
from tcetl.transform.notes import Notes
from tcetl.transform.vocabulary import joined, text_of

# Roles that stand for a column each, and are read alone.
_DATES: Final = (
    "first_seen", "last_seen", "external_date_added", "external_last_modified", "external_date_expires", "found",
)  # fmt: skip
_PLAIN: Final = ("source", "tags", "rating", "confidence", "tlp", "size", "file_name", "path", *_DATES)
_WORDS: Final = f"{ROW}_words"  # no feed's column begins with the reserved name
_EMPTY: Final = r"^\s*$"
_HASH: Final = r"^\s*(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})\s*$"


class Candidates:
    """Turns raw batches into candidates and notes the cells that say nothing usable.

    Columns: the place (``_row``, ``_pointer``, ``_file``), ``raw`` (the cell), ``value`` (with further hashes of the
    same file), ``declared`` (the feed's word for the type, or null), and of ``description``, the roles in `_PLAIN` and
    the attributes (`column_of`) those that the feed has; ``field``, the column that the cell is of, where rows have
    further indicators.
    """

    def __init__(self, columns: ColumnMap, notes: Notes) -> None:
        self.columns = columns
        self._notes = notes
        self._roles = {role: column for role in _PLAIN if (column := getattr(columns, role))}
        self._day_first: dict[str, bool] = {}

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the candidates of one raw frame, row by row; the further indicators of all rows behind them."""
        at = self.columns
        own = frame.height
        frame = with_further(frame, at, self._notes)
        said = frame.select(
            *(pl.col(name) for name in PLACE if name in frame.columns),
            self._raw().alias("raw"),
            self._value().alias("value"),
            self._declared().alias("declared"),
            *([pl.col(FIELD).alias("field")] if at.has_further else []),
            *([self._description(frame)] if at.description or at.details else []),
            *(text_of(column).alias(role) for role, column in self._roles.items()),
            *(text_of(column).alias(column_of(column)) for column in at.attributes),
        )
        read = {role: self._read(role, said[role]) for role in self._roles if role in _READ}
        for role, cells in read.items():
            ignored = said[ROW].head(own).filter((cells.is_null() & said[role].is_not_null()).head(own))
            self._notes.add(f"cells of '{self._roles[role]}' are no {_READ[role][0]} and were ignored", ignored)
        return said.with_columns(cells.alias(role) for role, cells in read.items())

    def _read(self, role: str, cells: pl.Series) -> pl.Series:
        what, read = _READ[role]
        if what != DATE:
            return read(cells)
        if role not in self._day_first and (found := begins_with_day(cells)) is not None:
            self._day_first[role] = found
        return moments(cells, day_first=self._day_first.get(role))

    def _declared(self) -> pl.Expr:
        """The feed's word for the type of a row's own indicator; for a further one, what is given for its column."""
        word = text_of(self.columns.type) if self.columns.type else pl.lit(self.columns.value_type, dtype=pl.String)
        if not self.columns.has_further:
            return word
        kinds = {column: kind for column, kind in self.columns.further.items() if kind}
        further = pl.col(FIELD).replace_strict(kinds, default=None, return_dtype=pl.String)
        return pl.when(pl.col(FIELD) == self.columns.value).then(word).otherwise(further)

    def _raw(self) -> pl.Expr:
        """The value cell; where it is empty and hashes identify the file, those."""
        value = pl.col(self.columns.value)
        return pl.when(value.str.contains(_EMPTY)).then(self._value()).otherwise(value) if self._one_file else value

    def _value(self) -> pl.Expr:
        """The value cell; where it is a hash, or empty, with the other hashes of the file."""
        value = pl.col(self.columns.value)
        if not self._one_file:
            return value
        file = joined([self.columns.value, *self.columns.hashes])
        return pl.when(value.str.contains(_HASH) | value.str.contains(_EMPTY)).then(file).otherwise(value)

    @property
    def _one_file(self) -> bool:
        return bool(self.columns.hashes) and not self.columns.hashes_apart

    def _description(self, frame: pl.DataFrame) -> pl.Series:
        """What the row says of its indicator in words.

        Made once per distinct row of words, of which a feed has few: equal descriptions share their text in memory.
        """
        words = [*([self.columns.description] if self.columns.description else []), *self.columns.details]
        details = [
            pl.concat_str(pl.lit(f"{column.replace('_', ' ').strip().capitalize()}: "), text_of(column))
            for column in self.columns.details
        ]
        parts = [text_of(self.columns.description), *details] if self.columns.description else details
        text = pl.concat_str(parts, separator="; ", ignore_nulls=True)
        distinct = frame.select(words).unique()
        described = distinct.with_columns(pl.when(text != "").then(text).alias(_WORDS))
        joined = frame.select(words).join(described, on=words, how="left", maintain_order="left")
        return joined[_WORDS].alias("description")


def _number(text: pl.Series, kind: type[pl.DataType], largest: int) -> pl.Series:
    number = text.cast(kind, strict=False)
    return number.set(~number.is_between(0, largest), None)


_READ: Final[dict[str, tuple[str, Callable[[pl.Series], pl.Series]]]] = {
    **dict.fromkeys(_DATES, (DATE, moments)),
    "rating": ("number from 0 to 5", lambda text: _number(text, pl.Float64, 5)),
    "tlp": ("level of the Traffic Light Protocol", tlp.levels),
    "confidence": ("whole number from 0 to 100", lambda text: _number(text, pl.Int32, 100)),
    "size": ("number of bytes", lambda text: _number(text, pl.Int64, 2**62)),
}
