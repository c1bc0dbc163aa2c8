"""Cutting records into chunks of bounded count and size: the files of batch jobs."""

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl

from tcetl.load.records import Kind
from tcetl.load.refusals import Refusals

_CLOSING: Final = b"]}"


def whole_file(kind: Kind, records: pl.DataFrame) -> bytes:
    """Return the batch file of *records*, all of one *kind*."""
    joined = records["json"].str.join(",").to_arrow(compat_level=pl.CompatLevel.oldest())[0].as_buffer()
    return b"".join((_opening(kind), joined, _CLOSING))


def _opening(kind: Kind) -> bytes:
    return b'{"%s":[' % kind.encode()


def cut(
    parts: Iterable[pl.DataFrame], kind: Kind, max_records: int, max_bytes: int, refusals: Refusals
) -> Iterator[pl.DataFrame]:
    """Yield runs of records that fit a chunk, as long as can be; *refusals* gets the records that fit none."""
    around = len(_opening(kind)) + len(_CLOSING)
    pending: pl.DataFrame | None = None
    for part in parts:
        fits = part["json"].str.len_bytes() + around <= max_bytes
        if not fits.all():
            _refuse(part.filter(~fits), kind, max_bytes, refusals)
            part = part.filter(fits)  # noqa: PLW2901 - the part that goes on
        pending = part if pending is None else pl.concat([pending, part], rechunk=True)
        while (count := _fitting(pending, around, max_records, max_bytes)) < pending.height:
            yield pending[:count]
            pending = pending[count:]
    if pending is not None and pending.height:
        yield pending


def _fitting(records: pl.DataFrame, around: int, max_records: int, max_bytes: int) -> int:
    """Return how many records from the first on fit one chunk, commas between them included."""
    ends = (records["json"].str.len_bytes().cast(pl.Int64) + 1).cum_sum() - 1 + around
    return min(max_records, int((ends <= max_bytes).sum()))


def _refuse(records: pl.DataFrame, kind: Kind, max_bytes: int, refusals: Refusals) -> None:
    refusals.refuse(
        records.with_columns(record=pl.col("json")),
        kind,
        "too-large",
        pl.format("the record is {} bytes; a batch file may have {}", pl.col("json").str.len_bytes(), max_bytes),
        hint="shorten its attributes, or allow larger files (--max-bytes)",
    )
