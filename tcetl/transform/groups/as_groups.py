"""Records of a feed that are no indicators but groups, where its groups are loaded as well."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from tcetl.feeds.standards.grouping import IS_GROUP, Member
from tcetl.schema import REJECTS


class AsGroups(NamedTuple):
    """The ``rejects`` that are left, and of those that were groups how many were ``first`` to name theirs, or later.

    Those that name a group which another record has named are duplicates now, stage and code.
    """

    rejects: pa.Table
    first: int
    later: int


def as_groups(rejects: pa.Table, records: Sequence[Member]) -> AsGroups:
    """Take those of *rejects* (REJECTS) for what they are that are groups by themselves.

    Args:
        rejects: Those of the feed.
        records: Which of its records are which groups.
    """
    import pyarrow.compute as pc  # noqa: PLC0415 - of a feed with groups alone

    known = pa.array([record.pointer for record in records], pa.string())
    mask = pc.and_(pc.equal(rejects["code"], IS_GROUP), pc.is_in(rejects["pointer"], value_set=known))
    types = {record.pointer: record.type for record in records}
    names = {record.pointer: record.ref for record in records}
    named = pl.DataFrame(rejects.filter(mask)).with_columns(
        type=pl.col("pointer").replace_strict(types, return_dtype=pl.String),
        summary=pl.col("pointer").replace_strict(names, return_dtype=pl.String),
    )
    later = named.filter(~pl.struct("type", "summary").is_first_distinct()).with_columns(
        stage=pl.lit("duplicate"),
        code=pl.lit("duplicate"),
        reason=pl.lit("the same group is there already"),
        hint=pl.lit(None, pl.String),
    )
    duplicates = later.select(REJECTS.names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(REJECTS)
    kept = rejects.filter(pc.invert(mask))
    return AsGroups(pa.concat_tables([kept, duplicates]), named.height - later.height, later.height)
