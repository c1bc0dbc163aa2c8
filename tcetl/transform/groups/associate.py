"""Which indicators belong to which groups of their feed."""

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from tcetl.feeds.standards.grouping import Member
from tcetl.schema import ASSOCIATIONS


def associate(indicators: pa.Table, rejects: pa.Table, members: Sequence[Member]) -> pa.Table:
    """Return ASSOCIATIONS between the indicators of a feed and its groups, sorted, each once.

    A record that was merged into another is that indicator too; one that was rejected belongs to nothing.

    Args:
        indicators: INDICATORS, those of the feed that are to be loaded.
        rejects: REJECTS, which say what was merged into them.
        members: Which records, by their pointers, belong to which groups.
    """
    kept = pl.DataFrame(indicators.select(["type", "summary", "origin"])).unnest("origin")
    merged = pl.DataFrame(rejects.filter(pa.compute.field("stage") == "duplicate"))
    merged = merged.join(kept, on=["type", "summary"], how="semi")  # into one that is still to be loaded
    place = ["type", "summary", "source", "file", "row", "pointer"]
    records = pl.concat([kept.select(place), merged.select(place)]).filter(pl.col("pointer").is_not_null())
    groups = pl.DataFrame(members, schema={"pointer": pl.String, "type_2": pl.String, "ref_2": pl.String}, orient="row")
    joined = (
        records.join(groups, on="pointer")
        .sort("type", "summary", "ref_2", "file", "row")
        .unique(["type", "summary", "ref_2"], keep="first", maintain_order=True)
    )
    rows = joined.select(
        pl.col("type").alias("type_1"),
        pl.col("summary").alias("ref_1"),
        "type_2",
        "ref_2",
        pl.struct("source", "file", "row", "pointer", pl.lit(None, pl.String).alias("raw")).alias("origin"),
    )
    found = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    columns = [
        found[field.name].cast(field.type) if field.name in found.schema.names else pa.nulls(len(found), field.type)
        for field in ASSOCIATIONS
    ]
    return pa.Table.from_arrays(columns, schema=ASSOCIATIONS)
