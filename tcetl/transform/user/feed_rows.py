"""Transforms of a feed's rows, as they were read."""

from collections.abc import Sequence
from typing import Any, Final, cast

import pandas as pd
import polars as pl
import pyarrow as pa

from tcetl.errors import TransformError
from tcetl.feeds import PLACE, ROW
from tcetl.schema import INDICATORS
from tcetl.transform.user.calling import Batch, Result, call
from tcetl.transform.user.functions import Transform

ROLES: Final = {
    "type": "type", "summary": "value", "rating": "rating", "confidence": "confidence", "description": "description",
    "source": "source", "tags": "tags", "tlp": "tlp", "size": "size", "first_seen": "first_seen",
    "last_seen": "last_seen", "external_date_added": "external_date_added",
    "external_last_modified": "external_last_modified", "external_date_expires": "external_date_expires",
}  # fmt: skip
"""Names of INDICATORS that a transform may add, and the part of a `ColumnMap` that such a column takes over."""

_LIST: Final = pa.list_(pa.string())


class FeedRows:
    """Runs transforms over the batches of one feed, and keeps what they dropped."""

    def __init__(self, transforms: Sequence[Transform], columns: Sequence[str], file: str) -> None:
        self._transforms = transforms
        self._file = file
        self._number = 0
        self._given = list(columns)
        self._made: list[str] | None = None
        self.roles: dict[str, str] = {}
        """Parts of a `ColumnMap` → columns that a transform made for them."""

    def of(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[str, pl.DataFrame]]]:
        """Return the rows of *frame* as they are now, all text, and those dropped, by the name of who dropped them."""
        if frame.is_empty():
            return frame, []
        self._number += 1
        dropped: list[tuple[str, pl.DataFrame]] = []
        for transform in self._transforms:
            if frame.is_empty():
                return frame, dropped
            frame, lost = self._apply(transform, frame)
            if not lost.is_empty():
                dropped.append((transform.name, lost))
        self._made = self._made or sorted(frame.columns)
        if self._made != sorted(frame.columns):
            differ = ", ".join(sorted(set(self._made) ^ set(frame.columns)))
            raise TransformError(
                f"the transforms made other columns of batch {self._number} of {self._file} than before: {differ}",
                hint="return the same columns for every batch, empty where there is nothing to say",
            )
        return frame.select(self._made), dropped

    def _apply(self, transform: Transform, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        batch = Batch(self._number, self._file, frame[ROW])
        place = [name for name in frame.columns if name in PLACE]
        text = cast(pa.Table, frame.drop(place).to_arrow(compat_level=pl.CompatLevel.oldest()))
        result = call(transform, text, batch)
        made = [self._read(result, name) for name in result.columns]
        lost = frame.filter(~pl.int_range(pl.len()).is_in(list(result.positions)))
        return frame[list(result.positions)].with_columns(made), lost

    def _read(self, result: Result, name: str) -> pl.Series:
        """Return a returned column as text, which is what the rows of a feed are.

        A column that the feed has not, under a name of INDICATORS, must have the type it has there.
        """
        if name in self._given or name not in ROLES:
            return _text(result.column(name, _plain(result.frame[name])), name)
        self.roles[ROLES[name]] = name
        if name == "tags" and _holds_lists(result.frame[name]):
            lists = _series(result.column(name, _LIST), name)
            return lists.list.join("\n", ignore_nulls=True).fill_null("")
        kind = pa.string() if name == "tags" else INDICATORS.field(name).type
        made = result.column(name, kind)
        result.check_range(name, _series(made, name))
        return _text(made, name)


def _plain(series: "pd.Series[Any]") -> pa.DataType:
    """The type to read a column of the user's own as: whatever it is, if that can be text; else text, to be refused."""
    if pd.api.types.is_bool_dtype(series.dtype) or pd.api.types.is_numeric_dtype(series.dtype):
        return pa.Array.from_pandas(series).type
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return pa.timestamp("us", "UTC")
    return pa.string()


def _holds_lists(series: "pd.Series[Any]") -> bool:
    if isinstance(series.dtype, pd.ArrowDtype):
        return bool(pa.types.is_list(series.dtype.pyarrow_dtype))
    return series.dtype == object and any(isinstance(cell, list | tuple) for cell in series)


def _text(made: pa.Array, name: str) -> pl.Series:
    series = _series(made, name)
    if series.dtype.is_float():
        whole = series.is_finite() & (series == series.round())
        text = (
            pl.when(whole).then(series.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(series.cast(pl.String))
        )
        series = series.to_frame().select(text.alias(name)).to_series()
    elif series.dtype == pl.Datetime:
        series = series.dt.strftime("%Y-%m-%d %H:%M:%S")
    return series.cast(pl.String).fill_null("")


def _series(made: pa.Array, name: str) -> pl.Series:
    return cast(pl.Series, pl.from_arrow(made)).alias(name)
