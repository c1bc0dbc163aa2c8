"""Leave indicators out of a normalised feed: they become rejects, and every count follows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa

from tcetl.schema import REJECTS, conform
from tcetl.transform.normalise import Normalised


def leave_out(
    normalised: Normalised, kept: pa.Table, gone: Sequence[tuple[str, pa.Table]], *, code: str, hint: str | None = None
) -> Normalised:
    """Return *normalised* with the indicators *kept* alone.

    Args:
        normalised: A feed, normalised.
        kept: Those of its indicators that stay.
        gone: The others, by the reason why.
        code: The code of their rejects.
        hint: What to do if they are to be loaded.
    """
    if not gone:
        return replace(normalised, indicators=kept)
    import pyarrow.compute as pc  # noqa: PLC0415 - where something is left out alone

    rejects = pa.concat_tables([normalised.rejects, *(_rejects(table, why, code, hint) for why, table in gone)])
    counts = normalised.counts
    by_type = Counter(counts.indicators)
    for _, table in gone:
        by_type.subtract(table["type"].to_pylist())
    count = counts.rejected.get(code, 0) + sum(table.num_rows for _, table in gone)
    files = kept.filter(pc.field("type") == "File")["summary"].combine_chunks()
    return replace(
        normalised,
        indicators=kept,
        rejects=rejects,
        occurrences=normalised.occurrences.filter(pc.is_in(normalised.occurrences["summary"], value_set=files)),
        counts=replace(
            counts,
            rejected=dict(sorted({**counts.rejected, code: count}.items())),
            indicators={kind: number for kind, number in by_type.items() if number},
        ),
    )


def _rejects(table: pa.Table, why: str, code: str, hint: str | None) -> pa.Table:
    frame = pl.DataFrame(table.select(["owner_name", "type", "summary", "origin"])).unnest("origin")
    rows = frame.with_columns(
        stage=pl.lit("normalise"),
        code=pl.lit(code),
        severity=pl.lit("info"),
        reason=pl.lit(why),
        hint=pl.lit(hint, dtype=pl.String),
    )
    return pa.Table.from_batches(conform(rows.to_arrow().to_batches(), REJECTS), REJECTS)
