"""Call a user's function with one batch, and hold what it returns to the rules.

The DataFrame's index says where each row came from. Its labels are large on purpose: an index that was reset has none
of them, so that a row whose origin was lost is noticed and never taken for another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import polars as pl
import pyarrow as pa

from tcetl.errors import TransformError
from tcetl.feeds import PLACE
from tcetl.transform.user.functions import Transform

_FIRST_LABEL: Final = 10**9
_UNFIT: Final = (pa.ArrowException, TypeError, ValueError, OverflowError)
_LARGEST: Final = {"rating": 5, "confidence": 100}


@dataclass(frozen=True, slots=True)
class Batch:
    """What messages call a batch: its ``number``, from 1, and the ``row`` of each of its records in ``file``."""

    number: int
    file: str
    rows: pl.Series

    def __str__(self) -> str:
        rows = self.rows.to_list()
        return f"batch {self.number} (rows {min(rows)} to {max(rows)} of {self.file})"


@dataclass(frozen=True, slots=True)
class Result:
    """What a transform made of a batch: a DataFrame, and the positions of its rows among those given."""

    transform: Transform
    batch: Batch
    frame: pd.DataFrame
    positions: Sequence[int]

    @property
    def columns(self) -> list[str]:
        """The names of the returned columns."""
        return [str(name) for name in self.frame.columns]

    def column(self, name: str, kind: pa.DataType) -> pa.Array:
        """Return the column *name* as an array of *kind*.

        Raises:
            TransformError: A cell does not fit; the message names its row and value.
        """
        cells = self.frame[name]
        try:
            return _array(cells, kind)
        except _UNFIT:
            pass
        for at in range(len(cells)):
            try:
                _array(cells.iloc[at : at + 1], kind)
            except _UNFIT as error:
                raise self.broken(
                    f"returned {cells.iloc[at]!r:.80} as '{name}' of row {self.row(at)}", f"it must be {kind}"
                ) from error
        raise self.broken(f"returned a column '{name}' of type {cells.dtype}", f"it must be {kind}")

    def check_range(self, name: str, values: pl.Series) -> None:
        """Refuse *values* of the column *name* that the platform has no place for."""
        if name in _LARGEST:
            wrong = (~values.is_between(0, _LARGEST[name])).arg_true().to_list()
            if wrong:
                raise self.broken(
                    f"returned {values[wrong[0]]} as '{name}' of row {self.row(wrong[0])}",
                    f"it is 0 to {_LARGEST[name]}",
                )

    def row(self, at: int) -> int:
        """Return the row in the feed of the row *at* in the result."""
        return int(self.batch.rows[self.positions[at]])

    def broken(self, what: str, hint: str) -> TransformError:
        """Return the error that says *what* the transform did."""
        return _broken(self.transform, self.batch, what, hint)


def call(transform: Transform, table: pa.Table, batch: Batch) -> Result:
    """Return what *transform* makes of *table*. Text and numbers are pandas' default types, lists and structs Arrow's.

    Raises:
        TransformError: The function failed, or what it returned breaks a rule; the message names function, batch, row.
    """
    if transform.columns is not None:
        if missing := [name for name in transform.columns if name not in table.column_names]:
            raise _broken(
                transform, batch, f"needs the column '{missing[0]}'", f"there are: {', '.join(table.column_names)}"
            )
        table = table.select(list(transform.columns))
    given = table.to_pandas(types_mapper=lambda kind: pd.ArrowDtype(kind) if pa.types.is_nested(kind) else None)
    given.index = pd.RangeIndex(_FIRST_LABEL, _FIRST_LABEL + table.num_rows)
    try:
        returned: object = transform(given)
    except Exception as error:  # whatever a user's function can raise
        raise _broken(
            transform, batch, f"raised {type(error).__name__}: {error}", "try it on a DataFrame of a few rows"
        ) from error
    if not isinstance(returned, pd.DataFrame):
        what = "nothing" if returned is None else f"a {type(returned).__name__}"
        raise _broken(transform, batch, f"returned {what}, not a DataFrame", "does it end in 'return df'?")
    _check_columns(transform, batch, returned, table.column_names)
    return Result(transform, batch, returned, _positions(transform, batch, returned))


def _array(cells: "pd.Series[Any]", kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind) and not _is_text(cells):
        raise TypeError
    made = pa.Array.from_pandas(cells)
    if isinstance(made, pa.ChunkedArray):
        made = made.combine_chunks()
    if pa.types.is_timestamp(kind) and pa.types.is_timestamp(made.type) and made.type.tz is None:
        return made.cast(pa.timestamp(kind.unit)).cast(kind)  # without a zone it is UTC, as everywhere here
    return made.cast(kind)


def _is_text(cells: "pd.Series[Any]") -> bool:
    """Tell whether the cells are text or missing: Arrow would make text of numbers too."""
    if cells.dtype == object:
        return all(isinstance(cell, str) or (pd.api.types.is_scalar(cell) and pd.isna(cell)) for cell in cells)
    return bool(pd.api.types.is_string_dtype(cells.dtype)) or bool(cells.isna().all())


def _check_columns(transform: Transform, batch: Batch, returned: pd.DataFrame, given: list[str]) -> None:
    names = list(returned.columns)
    if strange := [name for name in names if not isinstance(name, str)]:
        raise _broken(transform, batch, f"returned a column called {strange[0]!r}", "the name of a column is text")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _broken(transform, batch, f"returned the column '{twice[0]}' more than once", "give each one name")
    if reserved := [name for name in names if name.startswith(PLACE)]:
        raise _broken(transform, batch, f"returned a column '{reserved[0]}'", "names that begin so are reserved")
    if missing := [name for name in given if name not in names]:
        raise _broken(
            transform, batch, f"returned no column '{missing[0]}'", "return every column; empty one instead of dropping"
        )


def _positions(transform: Transform, batch: Batch, returned: pd.DataFrame) -> list[int]:
    positions: list[int] = []
    seen: set[int] = set()
    for number, label in enumerate(returned.index, 1):
        position = int(label) - _FIRST_LABEL if isinstance(label, int) else -1
        if not 0 <= position < len(batch.rows):
            raise _broken(
                transform,
                batch,
                f"returned a row without origin, number {number} of its result",
                "the index says where each row came from: keep it (after a merge: result.index = df.index)",
            )
        if position in seen:
            what = f"returned row {batch.rows[position]} more than once"
            raise _broken(transform, batch, what, "a transform makes no new rows")
        seen.add(position)
        positions.append(position)
    return positions


def _broken(transform: Transform, batch: Batch, what: str, hint: str) -> TransformError:
    return TransformError(f"transform '{transform.name}' {what}, in {batch}", hint=hint)
