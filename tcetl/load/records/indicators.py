"""Indicators as V2 batch JSON. Source: ThreatConnect REST docs, Batch API V2 input, indicator object."""

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl import schema
from tcetl.indicators import TYPES
from tcetl.load.ordering import KEYS, in_order
from tcetl.load.records.encode import Labels, encode, metadata, moment

_ROWS: Final = 30_000
_BYTES: Final = 32_000_000
"""Rows, and bytes of them, that are made into records at once: bounds memory."""
_REGISTRY_KEY: Final = r"(?s)^(.+?) : (.*?) ?: (\S+)$"


def records(
    batches: Iterable[pa.RecordBatch], occurrences: pl.DataFrame, labels: Labels, *, delete: bool
) -> Iterator[pl.DataFrame]:
    """Yield indicators in :data:`~tcetl.load.records.COLUMNS`, some at a time, sorted among themselves.

    Ratings are rounded to whole numbers, which is what batch jobs take.

    Args:
        batches: INDICATORS in any order.
        occurrences: Of Files: a ``summary`` each, and their list under ``fileOccurrence``.
        labels: What is known of security labels.
        delete: For a job that deletes: no more than what says which indicator is meant.
    """
    for table in _handfuls(batches):
        yield _records(table, occurrences, labels, delete=delete)


def _records(table: pa.Table, occurrences: pl.DataFrame, labels: Labels, *, delete: bool) -> pl.DataFrame:
    rows = pl.DataFrame(table.cast(schema.INDICATORS))
    if not in_order(rows):
        rows = rows.sort(pl.struct(KEYS))
    serialised = [_serialise(part, occurrences, labels, delete=delete) for part in _by_type(rows)]
    return rows.select(pl.concat(serialised), *KEYS, pl.lit(None, pl.String).alias("xid"), "origin")


def _handfuls(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """*batches* as tables of as many rows as are made into records at once."""
    several, rows, size = list[pa.RecordBatch](), 0, 0
    for batch in batches:
        step = max(min(_ROWS, batch.num_rows * _BYTES // max(batch.nbytes, 1)), 1)
        for part in (batch.slice(start, step) for start in range(0, batch.num_rows, step)):
            if several and (rows + part.num_rows > _ROWS or size + part.nbytes > _BYTES):
                yield pa.Table.from_batches(several)
                several, rows, size = [], 0, 0
            several.append(part)
            rows, size = rows + part.num_rows, size + part.nbytes
    if several:
        yield pa.Table.from_batches(several)


def _by_type(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the sorted *rows* of each type."""
    start = 0
    for length in rows["type"].rle().struct.field("len"):
        yield rows.slice(start, length)
        start += length


def _serialise(rows: pl.DataFrame, occurrences: pl.DataFrame, labels: Labels, *, delete: bool) -> pl.Series:
    """One JSON object per row, in the same order; *rows* are of one type."""
    kind = str(rows["type"][0])
    keys = ["type", *_value(kind)]
    if not delete:
        keys += [*_properties(kind), *metadata(rows, labels, {"source": "Source"})]
    if kind == "File" and occurrences.height and not delete:
        rows = rows.join(occurrences, on="summary", how="left", maintain_order="left")
        keys.append(pl.col("fileOccurrence"))
    return encode(rows.select(keys)).alias("json")


def _value(kind: str) -> list[pl.Expr]:
    """The keys that hold an indicator's value; ``summary`` for types of which we know no keys."""
    summary = pl.col("summary")
    match TYPES[kind].value_keys if kind in TYPES else ():
        case ():
            return [summary]
        case (key,):
            return [summary.alias(key)]
        case keys if kind == "File":
            hashed = pl.any_horizontal(pl.col(key).is_not_null() for key in keys)
            return [pl.when(~hashed).then(summary).alias("summary"), *(pl.col(key) for key in keys)]
        case keys:
            parts = summary.str.extract_groups(_REGISTRY_KEY).struct
            name, value, form = (parts.field(str(n)) for n in (1, 2, 3))
            # The platform wants one space where a registry key has no value name.
            value = pl.when(value == "").then(pl.lit(" ")).otherwise(value)
            return [
                pl.when(name.is_null()).then(summary).alias("summary"),
                *(part.alias(key) for part, key in zip((name, value, form), keys, strict=True)),
            ]


def _properties(kind: str) -> list[pl.Expr]:
    columns = [
        pl.col("rating").round().cast(pl.Int64),
        pl.col("confidence"),
        pl.col("active"),
        pl.col("active_locked").alias("activeLocked"),
        pl.col("private_flag").alias("privateFlag"),
        pl.col("description"),
        moment("first_seen", "firstSeen"),
        moment("last_seen", "lastSeen"),
        moment("external_date_added", "externalDateAdded"),
        moment("external_last_modified", "externalLastModified"),
        moment("external_date_expires", "externalDateExpires"),
    ]
    if kind == "File":
        columns.append(pl.col("size"))
    if kind == "Host":
        columns += [pl.col("dns_active").alias("flag1"), pl.col("whois_active").alias("flag2")]
    return columns
