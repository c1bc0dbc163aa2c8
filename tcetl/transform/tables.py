"""Polars frames as Arrow tables of the waist's schemas."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa

from tcetl.feeds import ROW, Feed
from tcetl.schema import INDICATORS, ORIGIN, REJECTS
from tcetl.transform.merge import Merged
from tcetl.transform.tags import tag_column

_ROWS: Final = 65_536
_HASHES: Final = {  # where a hash stands in the lower-case summary of a File
    "md5": r"(?:^|: )([0-9a-f]{32})(?: |$)",
    "sha1": r"(?:^|: )([0-9a-f]{40})(?: |$)",
    "sha256": r"(?:^|: )([0-9a-f]{64})$",
}


def indicator_table(
    merged: Merged, feed: Feed, *, owner: str, rating: float | None, confidence: int | None, tags: Sequence[str]
) -> pa.Table:
    """Return merged rows as INDICATORS; *rating* and *confidence* stand in where a row has none."""
    defaults = {"rating": pl.lit(rating, dtype=pl.Float64), "confidence": pl.lit(confidence, dtype=pl.Int32)}
    empty: dict[tuple[str, int], pa.Array] = {}  # columns without a value are made once and shared

    def batches() -> Iterator[pa.RecordBatch]:
        for piece in merged.unique(_ROWS):
            hashes = pl.when(pl.col("type") == "File").then(pl.col("summary").str.to_lowercase())
            frame = piece.with_columns(
                *(hashes.str.extract(pattern, 1).alias(name) for name, pattern in _HASHES.items()),
                *(
                    (pl.col(name).fill_null(default) if name in piece.columns else default).alias(name)
                    for name, default in defaults.items()
                ),
            )
            columns = []
            for field in INDICATORS:
                if field.name == "owner_name":
                    column = pa.repeat(pa.scalar(owner, field.type), frame.height)
                elif field.name == "tags":
                    cells = frame["tags"] if "tags" in frame.columns else pl.repeat("", frame.height, eager=True)
                    column = tag_column(cells, tags)
                elif field.name == "origin":
                    column = _origin(frame, feed)
                elif field.name in frame.columns:
                    column = _arrow(frame[field.name], field.type)
                else:
                    key = str(field.type), frame.height
                    column = empty[key] = empty.get(key) or _empty_column(field, frame.height)
                columns.append(column)
            yield pa.RecordBatch.from_arrays(columns, schema=INDICATORS)

    return pa.Table.from_batches(batches(), schema=INDICATORS)


def reject_table(frame: pl.DataFrame, feed: Feed, *, owner: str, stage: str, severity: str, field: str) -> pa.Table:
    """Return rows with ``raw``, ``code``, ``reason``, and where known ``hint``, ``type``, ``summary`` as REJECTS."""
    rows = frame.rename({ROW: "row"}).with_columns(
        stage=pl.lit(stage),
        source=pl.lit(feed.name),
        file=pl.lit(feed.file),
        field=pl.lit(field),
        severity=pl.lit(severity),
        owner_name=pl.lit(owner),
    )
    columns = [
        _arrow(rows[part.name], part.type) if part.name in rows.columns else pa.nulls(rows.height, part.type)
        for part in REJECTS
    ]
    return pa.Table.from_arrays(columns, schema=REJECTS)


def _empty_column(field: pa.Field, rows: int) -> pa.Array:
    if field.nullable:
        return pa.nulls(rows, field.type)
    offsets = pa.repeat(pa.scalar(0, pa.int32()), rows + 1)
    return pa.ListArray.from_arrays(offsets, pa.nulls(0, field.type.value_type), type=field.type)


def _origin(frame: pl.DataFrame, feed: Feed) -> pa.Array:
    rows = frame.height
    return pa.StructArray.from_arrays(
        [
            pa.repeat(pa.scalar(feed.name, pa.string()), rows),
            pa.repeat(pa.scalar(feed.file, pa.string()), rows),
            _arrow(frame[ROW], pa.int64()),
            pa.nulls(rows, pa.string()),
            _arrow(frame["raw"], pa.string()),
        ],
        fields=list(ORIGIN),
    )


def _arrow(series: pl.Series, kind: pa.DataType) -> pa.Array:
    plain = series.cast(pl.String) if isinstance(series.dtype, pl.Enum) else series
    return cast(Any, plain.to_arrow(compat_level=pl.CompatLevel.oldest())).cast(kind)
