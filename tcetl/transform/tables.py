"""Polars frames as Arrow tables of the waist's schemas."""

from collections.abc import Iterator
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from tcetl.feeds import ROW, Feed
from tcetl.schema import INDICATORS, ORIGIN, REJECTS, TAG

_ROWS: Final = 65_536
_MD5: Final = r"(?:^|: )([0-9a-f]{32})(?: |$)"
_SHA1: Final = r"(?:^|: )([0-9a-f]{40})(?: |$)"
_SHA256: Final = r"(?:^|: )([0-9a-f]{64})$"


def indicator_table(
    unique: pl.DataFrame, feed: Feed, *, owner: str, rating: float | None, confidence: int | None
) -> pa.Table:
    """Return merged rows as INDICATORS; *rating* and *confidence* stand in where a row has none."""
    hashes = pl.when(pl.col("type") == "File").then(pl.col("summary").str.to_lowercase())
    frame = unique.with_columns(
        pl.col("rating").fill_null(pl.lit(rating, dtype=pl.Float64)),
        pl.col("confidence").fill_null(pl.lit(confidence, dtype=pl.Int32)),
        hashes.str.extract(_MD5, 1).alias("md5"),
        hashes.str.extract(_SHA1, 1).alias("sha1"),
        hashes.str.extract(_SHA256, 1).alias("sha256"),
    )
    return pa.Table.from_batches(list(_indicator_batches(frame, feed, owner)), schema=INDICATORS)


def reject_rows(frame: pl.DataFrame, feed: Feed, *, owner: str, stage: str, severity: str) -> pa.Table:
    """Return rows with ``value``, ``code``, ``reason``, ``hint``, ``type``, ``summary`` and ``field`` as REJECTS."""
    rows = frame.select(
        pl.lit(stage).alias("stage"),
        pl.lit(feed.name).alias("source"),
        pl.lit(feed.file).alias("file"),
        pl.col(ROW).alias("row"),
        pl.col("value").alias("raw"),
        *(pl.col(name) for name in ("field", "code", "reason", "hint", "type", "summary")),
        pl.lit(severity).alias("severity"),
        pl.lit(owner).alias("owner_name"),
    )
    columns = [
        rows[field.name].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(field.type)
        if field.name in rows.columns
        else pa.nulls(rows.height, field.type)
        for field in REJECTS
    ]
    return pa.Table.from_arrays(columns, schema=REJECTS)


def _indicator_batches(frame: pl.DataFrame, feed: Feed, owner: str) -> Iterator[pa.RecordBatch]:
    empty: dict[tuple[pa.DataType, int], pa.Array] = {}  # columns without a value are made once and shared
    for piece in frame.iter_slices(_ROWS):
        rows = piece.height
        columns = []
        for field in INDICATORS:
            if field.name == "owner_name":
                column = pa.repeat(pa.scalar(owner, field.type), rows)
            elif field.name == "tags":
                column = _tags(piece["tags"])
            elif field.name == "origin":
                column = _origin(piece, feed)
            elif field.name in piece.columns:
                column = _arrow(piece[field.name], field.type)
            else:
                key = field.type, rows
                if key not in empty:
                    empty[key] = _empty_column(field, rows)
                column = empty[key]
            columns.append(column)
        yield pa.RecordBatch.from_arrays(columns, schema=INDICATORS)


def _empty_column(field: pa.Field, rows: int) -> pa.Array:
    if field.nullable:
        return pa.nulls(rows, field.type)
    offsets = pa.repeat(pa.scalar(0, pa.int32()), rows + 1)
    return pa.ListArray.from_arrays(offsets, pa.nulls(0, field.type.value_type), type=field.type)


def _tags(lists: pl.Series) -> pa.Array:
    names = cast(Any, lists.to_arrow(compat_level=pl.CompatLevel.oldest()))
    flat = names.flatten().cast(pa.string())
    offsets = pc.subtract(names.offsets, names.offsets[0]).cast(pa.int32())
    values = pa.StructArray.from_arrays([flat, pa.nulls(len(flat), pa.string())], fields=list(TAG))
    return pa.ListArray.from_arrays(offsets, values, type=INDICATORS.field("tags").type)


def _origin(piece: pl.DataFrame, feed: Feed) -> pa.Array:
    rows = piece.height
    return pa.StructArray.from_arrays(
        [
            pa.repeat(pa.scalar(feed.name, pa.string()), rows),
            pa.repeat(pa.scalar(feed.file, pa.string()), rows),
            _arrow(piece[ROW], pa.int64()),
            pa.nulls(rows, pa.string()),
            _arrow(piece["value"], pa.string()),
        ],
        fields=list(ORIGIN),
    )


def _arrow(series: pl.Series, kind: pa.DataType) -> pa.Array:
    return cast(Any, series.to_arrow(compat_level=pl.CompatLevel.oldest())).cast(kind)
