"""Feed columns as lists of attributes."""

from collections.abc import Mapping
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa

from tcetl.schema import ATTRIBUTE, INDICATORS

JOINT: Final = "\x1f"
"""Joins the values of rows that merged; a unit separator, which no feed's cell means."""

_PREFIX: Final = "attribute "


def column_of(feed_column: str) -> str:
    """Return the name of the candidates' column that holds the attribute values of *feed_column*."""
    return f"{_PREFIX}{feed_column}"


def attribute_columns(frame: pl.DataFrame) -> list[str]:
    """Return the columns of *frame* that hold attribute values."""
    return [name for name in frame.columns if name.startswith(_PREFIX)]


def attribute_column(frame: pl.DataFrame, types: Mapping[str, str]) -> pa.Array:
    """Return the ``attributes`` column: each value of each row once, sorted by type and value.

    Args:
        frame: Has a column `column_of` for each key of *types*, null where a row has no value.
        types: The attribute type by the feed's column.
    """
    at = pl.int_range(frame.height, dtype=pl.Int64).alias("at")
    parts = [
        frame.select(at, pl.lit(kind).alias("type"), pl.col(column_of(column)).str.split(JOINT).alias("value"))
        .drop_nulls("value")
        .explode("value")
        for column, kind in types.items()
    ]
    found = pl.concat(parts).unique().sort("at", "type", "value")
    counts = pl.DataFrame({"at": pl.int_range(frame.height, dtype=pl.Int64, eager=True)}).join(
        found.group_by("at").len(), on="at", how="left", maintain_order="left"
    )["len"]
    ends = counts.fill_null(0).cum_sum().cast(pl.Int32)
    offsets = pl.concat([pl.Series([0], dtype=pl.Int32), ends.alias("")])
    given = {"type": _text(found["type"]), "value": _text(found["value"])}
    values = pa.StructArray.from_arrays(
        [given.get(field.name, pa.nulls(found.height, field.type)) for field in ATTRIBUTE], fields=list(ATTRIBUTE)
    )
    return pa.ListArray.from_arrays(cast(Any, offsets.to_arrow()), values, type=INDICATORS.field("attributes").type)


def _text(series: pl.Series) -> pa.Array:
    return cast(Any, series.to_arrow(compat_level=pl.CompatLevel.oldest())).cast(pa.string())
