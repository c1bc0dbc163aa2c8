"""Plan a load: cut indicators into batch files of bounded count and size, with the origin of every record beside them.

The same rows in any order give byte-identical files: rows are sorted by identity, and every record's JSON is made
from that row alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tcetl import schema
from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError, ReconciliationError
from tcetl.load.lock import exclusive
from tcetl.load.run import FORMAT, PLAN, Chunk, Plan, Receipt, Run
from tcetl.load.serialise import serialise
from tcetl.load.storage import AnyPath, RunPath, clear_folder, locate, make_folder, replacing, sha256, write_whole

PLATFORM_RECORDS: Final = 25_000
"""Most indicators the platform takes in one job."""
MAX_RECORDS: Final = 10_000
"""Records in a chunk unless told otherwise: well under the platform's limit, so one lost job is little to redo."""
MAX_BYTES: Final = 50_000_000
"""Bytes in a chunk unless told otherwise; the vendor's own client sends up to 75,000,000."""

_WINDOW: Final = 10_000  # rows serialised at once: bounds memory, and has no bearing on where chunks are cut
_PREFIX: Final = b'{"indicator":['
_SUFFIX: Final = b"]}"
_FRAME: Final = len(_PREFIX) + len(_SUFFIX)
_ORIGIN: Final = tuple(field.name for field in schema.ORIGIN)


def plan(
    indicators: pa.Table,
    rejects: pa.Table,
    run_dir: AnyPath,
    *,
    settings: BatchSettings,
    counts: Mapping[str, Any],
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
) -> Run:
    """Write the plan of a load to *run_dir* and return it; nothing is sent.

    Args:
        indicators: INDICATORS, one row per (type, summary), in any order.
        rejects: REJECTS, the rows already refused; they open the run's dead letters.
        run_dir: Folder to make, on a local disk or any store fsspec knows. The remains of a planning that never
            ended are replaced.
        settings: Settings of every batch job, with the owner to load into.
        counts: What reading the feed counted (``rows_read``, ``rejected`` by code, ``duplicates``); kept as is.
        max_records: Most records in a chunk, at most 25,000.
        max_bytes: Most bytes in a chunk. A record that is larger by itself is rejected as ``too-large``.

    Raises:
        LoadError: *run_dir* already holds a plan, an indicator is there twice, or a limit makes no sense.
        ReconciliationError: *counts* do not add up to the indicators given.
        PublishError: The directory cannot be written.
    """
    _check_counts(counts, indicators.num_rows)
    return write_plan(
        _serialised(indicators),
        rejects,
        run_dir,
        settings=settings,
        counts=counts,
        max_records=max_records,
        max_bytes=max_bytes,
    )


def write_plan(
    records: Iterable[pl.DataFrame],
    rejects: pa.Table,
    run_dir: AnyPath,
    *,
    settings: BatchSettings,
    counts: Mapping[str, Any],
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
    parent: str | None = None,
) -> Run:
    """Write the plan of a load of *records*, each the JSON to send with type, summary and the origin's fields.

    As `plan`, for records that are JSON already; *parent* is the run whose records these were.
    """
    if not 1 <= max_records <= PLATFORM_RECORDS:
        raise LoadError(f"max_records is {max_records}", hint=f"use 1 to {PLATFORM_RECORDS}")
    path = locate(run_dir)
    make_folder(path)
    with exclusive(path):
        if Run.is_planned(path):
            raise LoadError(f"{path} already holds a planned load", hint="resume it, or plan in a new directory")
        for folder in ("chunks", "receipts", "answers"):
            clear_folder(path / folder)

        chunks: list[Chunk] = []
        oversized: list[pa.Table] = []
        for part in _cut(records, max_records, max_bytes, settings.owner, oversized):
            chunks.append(_write_chunk(path, len(chunks), part))

        too_large = pa.concat_tables(oversized) if oversized else schema.REJECTS.empty_table()
        with replacing(path / "rejects.plan.parquet") as stream:
            pq.write_table(pa.concat_tables([rejects.cast(schema.REJECTS), too_large]), stream, compression="zstd")
        document = Plan(
            format=FORMAT,
            created_at=datetime.now(UTC),
            settings=settings.to_json(),
            counts=dict(counts),
            rejected={"too-large": too_large.num_rows} if too_large.num_rows else {},
            chunks=chunks,
            parent=parent,
        )
        write_whole(path / PLAN, msgspec.json.format(msgspec.json.encode(document)))
    return Run.open(path)


def _check_counts(counts: Mapping[str, Any], indicators: int) -> None:
    if "rows_read" not in counts:
        return
    rejected, duplicates = sum(counts.get("rejected", {}).values()), counts.get("duplicates", 0)
    if counts["rows_read"] != rejected + duplicates + indicators:
        raise ReconciliationError(
            f"{counts['rows_read']} rows read are not {rejected} rejected + {duplicates} duplicates "
            f"+ {indicators} indicators",
            hint="give the counts of the reading that made these indicators",
        )


def _serialised(indicators: pa.Table) -> Iterator[pl.DataFrame]:
    """Yield the indicators sorted by identity, a window at a time: json, type, summary and the origin's fields."""
    if not indicators.num_rows:
        return
    keys = pl.DataFrame(indicators.select(["type", "summary"]))
    order = keys.select(pl.arg_sort_by("type", "summary")).to_series()
    keys = keys[order]
    twice = keys.filter((pl.col("type") == pl.col("type").shift()) & (pl.col("summary") == pl.col("summary").shift()))
    if twice.height:
        raise LoadError(
            f"{twice['type'][0]} {twice['summary'][0]!r} is there more than once ({twice.height} such rows)",
            hint="merge duplicates before planning",
        )

    del keys
    in_order = order.is_sorted()
    for start in range(0, indicators.num_rows, _WINDOW):
        here = order[start : start + _WINDOW]
        window = indicators.slice(start, _WINDOW) if in_order else indicators.take(here.to_arrow())
        part = pl.DataFrame(window.cast(schema.INDICATORS))
        yield part.select(
            serialise(part),
            "type",
            "summary",
            *(pl.col("origin").struct.field(name).alias(name) for name in _ORIGIN),
        )


def _cut(
    parts: Iterable[pl.DataFrame], max_records: int, max_bytes: int, owner: str, oversized: list[pa.Table]
) -> Iterator[pl.DataFrame]:
    """Yield runs of records that fit a chunk, as long as can be; records that fit none go to *oversized* as REJECTS."""
    pending: pl.DataFrame | None = None
    for part in parts:
        fits = part["json"].str.len_bytes() + _FRAME <= max_bytes
        if not fits.all():
            oversized.append(_too_large(part.filter(~fits), max_bytes, owner))
        part = part.filter(fits)  # noqa: PLW2901 - the part that goes on
        pending = part if pending is None else pl.concat([pending, part], rechunk=True)
        while (count := _fitting(pending, max_records, max_bytes)) < pending.height:
            yield pending[:count]
            pending = pending[count:]
    if pending is not None and pending.height:
        yield pending


def _fitting(records: pl.DataFrame, max_records: int, max_bytes: int) -> int:
    """Return how many records from the first on fit one chunk, commas between them included."""
    ends = (records["json"].str.len_bytes().cast(pl.Int64) + 1).cum_sum() - 1 + _FRAME
    return min(max_records, int((ends <= max_bytes).sum()))


def _too_large(records: pl.DataFrame, max_bytes: int, owner: str) -> pa.Table:
    reason = pl.format("the record is {} bytes; a batch file may have {}", pl.col("json").str.len_bytes(), max_bytes)
    return _rejects(
        records.with_columns(
            stage=pl.lit("load"),
            code=pl.lit("too-large"),
            severity=pl.lit("error"),
            reason=reason,
            hint=pl.lit("shorten its attributes, or allow larger files (max_bytes)"),
            owner_name=pl.lit(owner),
            record=pl.col("json"),
        )
    )


def _rejects(rows: pl.DataFrame) -> pa.Table:
    """Return *rows* as REJECTS; columns that are not there are null."""
    batches = rows.select(name for name in rows.columns if name in schema.REJECTS.names).to_arrow().to_batches()
    return pa.Table.from_batches(schema.conform(batches, schema.REJECTS), schema.REJECTS)


def _write_chunk(path: RunPath, number: int, records: pl.DataFrame) -> Chunk:
    content = _PREFIX + records["json"].str.join(",").item().encode() + _SUFFIX
    write_whole(path / "chunks" / f"{number:05}.json", content)
    with replacing(path / "chunks" / f"{number:05}.origins.parquet") as stream:
        pq.write_table(records.drop("json").to_arrow(), stream, compression="zstd")
    chunk = Chunk(number, records.height, len(content), sha256(content))
    write_whole(path / "receipts" / f"{number:05}.json", msgspec.json.encode(Receipt(**msgspec.structs.asdict(chunk))))
    return chunk
