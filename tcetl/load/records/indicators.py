"""Indicators as V2 batch JSON. Source: ThreatConnect REST docs, Batch API V2 input, indicator object."""

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl import schema
from tcetl.indicators import TYPES
from tcetl.load.records import COLUMNS
from tcetl.load.records.encode import Labels, encode, metadata, moment

_WINDOW: Final = 10_000  # rows serialised at once: bounds memory
_REGISTRY_KEY: Final = r"(?s)^(.+?) : (.*?) ?: (\S+)$"


def records(
    indicators: pa.Table | Iterable[pa.RecordBatch], occurrences: pl.DataFrame, labels: Labels, *, delete: bool
) -> Iterator[pl.DataFrame]:
    """Yield *indicators* in :data:`~tcetl.load.records.COLUMNS`, some at a time, in no order.

    Ratings are rounded to whole numbers, which is what batch jobs take.

    Args:
        indicators: INDICATORS in any order.
        occurrences: Of Files: a ``summary`` each, and their list under ``fileOccurrence``.
        labels: What is known of security labels.
        delete: For a job that deletes: no more than what says which indicator is meant.
    """
    for batch in indicators.to_batches() if isinstance(indicators, pa.Table) else indicators:
        for start in range(0, batch.num_rows, _WINDOW):
            table = pa.Table.from_batches([batch.slice(start, _WINDOW)]).cast(schema.INDICATORS)
            parts = [
                part.with_columns(_serialise(part, occurrences, labels, delete=delete))
                for part in pl.DataFrame(table).partition_by("type", maintain_order=True)
            ]
            yield pl.concat(parts).with_columns(xid=pl.lit(None, pl.String)).select(COLUMNS)


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
