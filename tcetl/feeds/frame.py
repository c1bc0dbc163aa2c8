"""Tables in memory as feeds: DataFrames of pandas and polars, tables of Arrow."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard

import polars as pl
import pyarrow as pa

from tcetl.errors import FeedError
from tcetl.feeds.base import POINTER, ROW, RawBatch
from tcetl.feeds.cells import as_text_column
from tcetl.feeds.sniff import column_names

if TYPE_CHECKING:
    import pandas as pd

Table: TypeAlias = "pd.DataFrame | pl.DataFrame | pa.Table"
"""What can be given in place of a file."""

_BATCH: Final = 65_536


def is_table(given: object) -> "TypeGuard[Table]":
    """Tell whether *given* is a table in memory."""
    return isinstance(given, pl.DataFrame | pa.Table) or _is_pandas(given)


class FrameFeed:
    """A feed of the rows of *table*; ``_row`` is the 1-based row, ``_pointer`` the label in an index of pandas.

    Args:
        table: The rows. It is not copied, and must not change while it is read.
        name: The feed's name.

    Raises:
        FeedError: the table has no rows or no columns.
    """

    format = "frame"
    file = "frame"
    notes: Sequence[str] = ()
    comments: Sequence[str] = ()

    def __init__(self, table: Table, name: str) -> None:
        if not len(table) or not len(_names(table)):
            raise FeedError(
                f"the table of feed {name} has {len(table)} rows and {len(_names(table))} columns",
                hint="is it the right one?",
            )
        self.name = name
        self.columns: Sequence[str] = column_names(_names(table))
        self._table = table
        # A RangeIndex numbers the rows, which _row does already.
        self._labelled = _is_pandas(table) and type(table.index).__name__ != "RangeIndex"

    def batches(self) -> Iterator[RawBatch]:
        """Yield the rows, piece by piece."""
        for start in range(0, len(self._table), _BATCH):
            piece = _slice(self._table, start)
            cells = [
                as_text_column(column).alias(name) for name, column in zip(self.columns, _arrays(piece), strict=True)
            ]
            place = [pl.int_range(start + 1, start + len(piece) + 1, dtype=pl.Int64, eager=True).alias(ROW)]
            if self._labelled:
                place.append(pl.Series(POINTER, [str(label) for label in piece.index], dtype=pl.String))
            yield RawBatch(pl.DataFrame([*cells, *place]))


def _is_pandas(given: object) -> "TypeGuard[pd.DataFrame]":
    """Tell a DataFrame of pandas without importing it: where there is one, it has been."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(given, pandas.DataFrame)


def _slice(table: Any, start: int) -> Any:
    rows = slice(start, start + _BATCH)
    return table.iloc[rows] if _is_pandas(table) else table[rows]


def _names(table: Table) -> list[str]:
    names = table.column_names if isinstance(table, pa.Table) else table.columns
    return [str(name) for name in names]


def _arrays(table: Any) -> Iterator[pa.Array | pa.ChunkedArray]:
    if isinstance(table, pl.DataFrame):
        yield from table.to_arrow(compat_level=pl.CompatLevel.oldest()).columns
    elif isinstance(table, pa.Table):
        yield from table.columns
    else:
        for at in range(table.shape[1]):
            yield _array(table.iloc[:, at])


def _array(column: "pd.Series[Any]") -> pa.Array | pa.ChunkedArray:
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, OverflowError):  # values of several types in one column
        plain = column.astype(object).where(column.notna(), None)
        return pa.array([None if value is None else str(value) for value in plain], pa.string())
