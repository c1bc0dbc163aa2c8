"""Columns of any type as columns of text, as a feed has them."""

import math
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa

from tcetl.feeds.flatten import as_text

_TEXT: Final = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_CAST: Final = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_date, pa.types.is_decimal, pa.types.is_time)


def as_text_column(column: pa.ChunkedArray | pa.Array) -> pl.Series:
    """Return *column* as text without nulls: times in ISO 8601, lists of values joined, structures as JSON."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return as_text_column(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        seconds = column.cast(pa.timestamp("s", kind.tz and "UTC"), safe=False)
        import pyarrow.compute as pc  # noqa: PLC0415 - few feeds have columns of times

        text = pc.strftime(seconds, format="%Y-%m-%dT%H:%M:%S")
        column = text if kind.tz is None else pc.binary_join_element_wise(text, "Z", "")
    elif any(is_kind(kind) for is_kind in _CAST):
        column = column.cast(pa.string())
    elif not any(is_kind(kind) for is_kind in _TEXT):
        column = pa.array([_plain(value) for value in column.to_pylist()], pa.string())
    found = cast(pl.Series, pl.from_arrow(column.cast(pa.large_string())))
    return found.cast(pl.String).fill_null("")


def _plain(value: Any) -> str:
    """Return one value of a column that has no text of its own."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # whole numbers with gaps are floats in many tables
    return as_text(_json_like(value))


def _json_like(value: Any) -> Any:
    """Return *value* as JSON would hold it."""
    if isinstance(value, dict):
        return {str(key): _json_like(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json_like(one) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
