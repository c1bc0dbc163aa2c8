"""Plan a load: everything a batch file can hold, as batch files of bounded count and size, origins beside them.

The same rows in any order give byte-identical files: rows are sorted by identity, and every record's JSON is made
from that row alone.

A chunk holds records of one kind and belongs to a wave, and a wave begins when those before it have ended. So nothing
refers to what is not there yet, whatever chunks things are in: first groups and indicators, which refer to nothing;
then associations, and the files of groups.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any, Final

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tcetl import schema
from tcetl.ahead import ahead
from tcetl.client.batch import MAX_INDICATORS, BatchSettings
from tcetl.errors import LoadError, ReconciliationError
from tcetl.load.cut import cut, whole_file
from tcetl.load.lock import exclusive
from tcetl.load.ordering import ordered
from tcetl.load.records import Kind
from tcetl.load.records import associations as association_records
from tcetl.load.records import groups as group_records
from tcetl.load.records import indicators as indicator_records
from tcetl.load.records import occurrences as occurrence_records
from tcetl.load.records.encode import labels_of
from tcetl.load.refusals import Refusals
from tcetl.load.run import FORMAT, PLAN, Chunk, Plan, Receipt, Run
from tcetl.load.storage import AnyPath, RunPath, clear_folder, locate, make_folder, replacing, sha256, write_whole

MAX_RECORDS: Final = 10_000
"""Records in a chunk unless told otherwise: well under the platform's limit, so one lost job is little to redo."""
MAX_BYTES: Final = 50_000_000
"""Bytes in a chunk unless told otherwise; the vendor's own client sends up to 75,000,000."""
WAVE_OF: Final[dict[Kind, int]] = {"group": 0, "indicator": 0, "association": 1, "file": 1}
"""The wave that each kind of record goes in, in the order in which they are planned."""
WAVES: Final = tuple(sorted(set(WAVE_OF.values())))
"""The waves, in the order in which they are loaded."""

_AHEAD: Final = 6  # chunks that are being written, or wait to be: one frame of records gives three
_REPETITIVE: Final = ["type", "source", "file"]  # the other columns of origins are no smaller with a dictionary


def plan(
    indicators: pa.Table | Iterable[pa.RecordBatch],
    rejects: pa.Table,
    run_dir: AnyPath,
    *,
    settings: BatchSettings,
    counts: Mapping[str, Any],
    groups: pa.Table | None = None,
    associations: pa.Table | None = None,
    occurrences: pa.Table | None = None,
    labels: pa.Table | None = None,
    notes: Sequence[str] = (),
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
) -> Run:
    """Write the plan of a load to *run_dir* and return it; nothing is sent.

    Rows that cannot be sent are rejected, and rows that repeat another one set aside, both with their origin.

    Args:
        indicators: INDICATORS, one row per (type, summary), in any order: a table, or a stream of its batches, which is
            planned in memory that does not grow with it.
        rejects: REJECTS, the rows already refused; they open the run's dead letters.
        run_dir: Folder to make, on a local disk or any store fsspec knows. The remains of a planning that never
            ended are replaced.
        settings: Settings of every batch job, with the owner to load into.
        counts: What reading the feed counted (``rows_read``, ``rejected`` by code, ``duplicates``); kept as is.
            ``rows_read`` takes in every row of all the tables.
        groups: GROUPS, in any order.
        associations: ASSOCIATIONS, in any order; none for jobs that delete.
        occurrences: FILE_OCCURRENCES, in any order; none for jobs that delete.
        labels: SECURITY_LABELS that the platform is to make where it does not have them.
        notes: What a person should know of how the rows were read; kept with the plan and in the report.
        max_records: Most records in a chunk, at most 25,000.
        max_bytes: Most bytes in a chunk. A record that is larger by itself is rejected as ``too-large``.

    Raises:
        LoadError: *run_dir* already holds a plan, an indicator is there twice, a limit makes no sense, or the settings
            do not fit what is to be loaded.
        ReconciliationError: *counts* do not add up to the rows given.
        PublishError: The directory cannot be written.
    """
    groups = groups if groups is not None else schema.empty_table(schema.GROUPS)
    associations = associations if associations is not None else schema.empty_table(schema.ASSOCIATIONS)
    occurrences = occurrences if occurrences is not None else schema.empty_table(schema.FILE_OCCURRENCES)
    _check_settings(settings, associations, occurrences)
    delete, known = settings.action == "Delete", labels_of(labels)
    refusals = Refusals(settings.owner)
    found = occurrence_records.settle(occurrences, refusals)
    by_file = occurrence_records.by_file(found)
    records = partial(indicator_records.records, occurrences=by_file, labels=known, delete=delete)
    with ordered(indicators, records) as in_order:
        others = sum(table.num_rows for table in (groups, associations, occurrences))
        _check_counts(counts, in_order.rows + others)
        settled = group_records.settle(groups, settings.owner, refusals, known, delete=delete)
        joined = association_records.settle(associations, settled, refusals)
        refusals.added = settled["content"].count()
        occurrence_records.account(found, in_order, refusals)
        return write_plan(
            {
                "group": group_records.records(settled, known, delete=delete),
                "indicator": in_order.frames(),
                "association": association_records.records(joined),
                "file": group_records.files(settled),
            },
            [rejects],
            run_dir,
            settings=settings,
            counts=counts,
            refusals=refusals,
            notes=notes,
            max_records=max_records,
            max_bytes=max_bytes,
        )


def write_plan(
    records: Mapping[Kind, Iterable[pl.DataFrame]],
    rejects: Iterable[pa.Table],
    run_dir: AnyPath,
    *,
    settings: BatchSettings,
    counts: Mapping[str, Any],
    refusals: Refusals | None = None,
    notes: Sequence[str] = (),
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
    parent: str | None = None,
) -> Run:
    """Write the plan of a load of *records* by kind, in :data:`tcetl.load.records.COLUMNS` and in the order to keep.

    As `plan`, for records that are JSON already. *rejects* come some at a time; *refusals* are those of whoever made
    the records; *parent* is the run whose records these were.
    """
    if not 1 <= max_records <= MAX_INDICATORS:
        raise LoadError(f"max_records is {max_records}", hint=f"use 1 to {MAX_INDICATORS}")
    refusals = refusals or Refusals(settings.owner)
    path = locate(run_dir)
    make_folder(path)
    with exclusive(path):
        if Run.is_planned(path):
            raise LoadError(f"{path} already holds a planned load", hint="resume it, or plan in a new directory")
        for folder in ("chunks", "receipts", "answers", "files"):
            clear_folder(path / folder)

        limits = max_records, max_bytes
        parts = ((kind, part) for kind in records for part in cut(records[kind], kind, *limits, refusals))
        chunks = list(ahead(partial(_write_chunk, path), enumerate(parts), most=_AHEAD))

        with (
            replacing(path / "rejects.plan.parquet") as stream,
            pq.ParquetWriter(stream, schema.REJECTS, compression="zstd") as writer,
        ):
            for table in chain(rejects, [refusals.table()]):
                writer.write_table(table.cast(schema.REJECTS))
        document = Plan(
            format=FORMAT,
            created_at=datetime.now(UTC),
            settings=settings.to_json(),
            counts=dict(counts),
            rejected=dict(refusals.rejected),
            duplicates=refusals.duplicates,
            merged=refusals.merged,
            added=refusals.added,
            chunks=chunks,
            parent=parent,
            notes=list(notes),
        )
        write_whole(path / PLAN, msgspec.json.format(msgspec.json.encode(document)))
    return Run.open(path)


def _check_counts(counts: Mapping[str, Any], rows: int) -> None:
    if "rows_read" not in counts:
        return
    rejected, duplicates = sum(counts.get("rejected", {}).values()), counts.get("duplicates", 0)
    if counts["rows_read"] != rejected + duplicates + rows:
        raise ReconciliationError(
            f"{counts['rows_read']} rows read are not {rejected} rejected + {duplicates} duplicates + {rows} to load",
            hint="give the counts of the reading that made these rows",
        )


def _check_settings(settings: BatchSettings, associations: pa.Table, occurrences: pa.Table) -> None:
    if settings.version == "V1":
        raise LoadError("batch files are planned for version V2", hint="leave version at V2")
    if settings.action == "Delete" and (associations.num_rows or occurrences.num_rows):
        raise LoadError(
            "batch jobs delete groups and indicators, but no associations or file occurrences",
            hint="leave those out; what is deleted takes its own along",
        )


def _write_chunk(path: RunPath, part: tuple[int, tuple[Kind, pl.DataFrame]]) -> Chunk:
    number, (kind, records) = part
    content = whole_file(kind, records)
    write_whole(path / "chunks" / f"{number:05}.json", content)
    with replacing(path / "chunks" / f"{number:05}.origins.parquet") as stream:
        origins = records.drop("json").unnest("origin").to_arrow()
        pq.write_table(origins, stream, compression="zstd", use_dictionary=_REPETITIVE, write_statistics=False)
    chunk = Chunk(number, kind, WAVE_OF[kind], records.height, len(content), sha256(content))
    receipt = Receipt(chunk=number, records=chunk.records, bytes=chunk.bytes, sha256=chunk.sha256)
    write_whole(path / "receipts" / f"{number:05}.json", msgspec.json.encode(receipt))
    return chunk
