"""File occurrences, which travel inside the records of their Files."""

import polars as pl
import pyarrow as pa

from tcetl import schema
from tcetl.load.ordering import Ordered
from tcetl.load.records.encode import MOMENT
from tcetl.load.refusals import Refusals

_KEYS = ("file_name", "path", "date")


def settle(occurrences: pa.Table, refusals: Refusals) -> pl.DataFrame:
    """Return those of *occurrences* (FILE_OCCURRENCES, in any order) that say something; *refusals* gets the others."""
    rows = pl.DataFrame(occurrences.cast(schema.FILE_OCCURRENCES)).with_columns(type=pl.lit("File"))
    said = pl.any_horizontal(pl.col(key).is_not_null() for key in _KEYS)
    refusals.refuse(
        rows.filter(~said),
        "indicator",
        "empty-occurrence",
        pl.lit("the occurrence says nothing"),
        hint="give at least one of file_name, path and date",
    )
    return rows.filter(said)


def by_file(settled: pl.DataFrame) -> pl.DataFrame:
    """The *settled* occurrences by File: its ``summary``, and the list for ``fileOccurrence``, each once and sorted."""
    one = pl.struct(pl.col("file_name").alias("fileName"), "path", pl.col("date").dt.strftime(MOMENT))
    unique = settled.select("summary", *_KEYS).unique().sort("summary", *_KEYS)
    return unique.group_by("summary", maintain_order=True).agg(one.alias("fileOccurrence"))


def account(settled: pl.DataFrame, indicators: Ordered, refusals: Refusals) -> None:
    """Count the *settled* occurrences as merged into their Files; *refusals* gets those without one in *indicators*."""
    if settled.height:
        known = pl.col("summary").is_in(indicators.summaries("File").implode())
        why = "no File of this load is called so"
        refusals.refuse(settled.filter(~known), "indicator", "unknown-file", pl.lit(why), hint="load its File with it")
        settled = settled.filter(known)
    refusals.merged += settled.height
