"""The end of a load: write every dead letter and the report, and only then judge it."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tcetl import schema
from tcetl.errors import LoadError, ReconciliationError, RejectedRecordsError
from tcetl.load.deadletters import dead_letters
from tcetl.load.mending.edits import digest, is_edited
from tcetl.load.report import JobTime, KindCounts, LoadReport
from tcetl.load.run import Receipt, Run
from tcetl.load.spreadsheet import SheetWriter
from tcetl.load.storage import replacing, write_whole
from tcetl.load.threshold import MaxErrors, allowed


@dataclass
class _Tally:
    """What the dead letters of the platform's come to, over all chunks."""

    refused: Counter[str] = field(default_factory=Counter)
    warnings: int = 0
    unattributed: int = 0

    def add(self, rows: pl.DataFrame) -> None:
        refusals = rows.filter(severity="error")
        self.refused.update(dict(refusals["code"].value_counts().iter_rows()))
        self.warnings += rows.height - refusals.height
        self.unattributed += rows["summary"].null_count()


def finish(run: Run, *, max_errors: MaxErrors = 0) -> LoadReport:
    """Write the dead letters and the report of *run*, whose chunks have all been answered for; then judge it.

    May be repeated: the same answers give the same files.

    Args:
        run: A load that `advance` calls done.
        max_errors: Most records the platform may have refused or left: a number, or a share such as ``"1%"``.

    Raises:
        LoadError: A chunk is still open.
        ReconciliationError: The counts do not add up. Dead letters and report are written.
        RejectedRecordsError: More than *max_errors* records were not loaded. Dead letters and report are written.
    """
    receipts = run.receipts()
    still_open = [receipt.chunk for receipt in receipts if receipt.phase != "saved"]
    if still_open:
        raise LoadError(
            f"load {run.path} is not done: {len(still_open)} of {len(receipts)} chunks are open",
            hint="submit it again; it goes on where it stopped",
        )

    tally = _Tally()
    rejects_sha256 = _write_rejects(run, receipts, tally)
    report = _report(run, receipts, tally, rejects_sha256)
    write_whole(run.report_path, msgspec.json.format(msgspec.json.encode(report)))
    _judge(run, report, receipts, max_errors)
    return report


def _judge(run: Run, report: LoadReport, receipts: list[Receipt], max_errors: MaxErrors) -> None:
    uneven = [receipt for receipt in receipts if _unaccounted(receipt)]
    if uneven:
        first = uneven[0]
        raise ReconciliationError(
            f"{len(uneven)} of {len(receipts)} jobs do not add up; job {first.batch_id}: {first.records} records sent "
            f"are not {first.succeeded} succeeded + {first.failed} failed + {first.unprocessed} unprocessed",
            hint=f"see {run.rejects_path}",
        )
    lost = report.failed + report.unprocessed
    if lost > allowed(max_errors, report.sent):
        reasons = ", ".join(f"{count} {code}" for code, count in sorted(report.refused.items()))
        raise RejectedRecordsError(
            f"{lost} of {report.sent} records were not loaded into {report.owner} ({reasons}); {max_errors} allowed",
            run_dir=str(run.path),
            hint=f"tcetl batch errors {run.path} tells why. Mend them in {run.rejects_text_path.name} there, or delete "
            f"rows, and then: tcetl batch retry {run.path}",
        )


def _report(run: Run, receipts: list[Receipt], tally: _Tally, rejects_sha256: str) -> LoadReport:
    sent = sum(receipt.records for receipt in receipts)
    rejected = Counter(run.plan.rejected) + Counter(run.counts.get("rejected", {}))
    plan = run.plan
    duplicates = int(run.counts.get("duplicates", 0)) + plan.duplicates
    times = [
        JobTime(
            batch_id=receipt.batch_id,
            records=receipt.records,
            created_at=receipt.created_at,
            uploaded_at=receipt.uploaded_at,
            completed_at=receipt.completed_at,
        )
        for receipt in receipts
        if receipt.batch_id and receipt.created_at and receipt.uploaded_at and receipt.completed_at
    ]
    elapsed = max(time.completed_at for time in times) - min(time.created_at for time in times) if times else None
    return LoadReport(
        run_dir=str(run.path),
        owner=run.settings.owner,
        rows_read=run.counts.get("rows_read", rejected.total() + duplicates + plan.merged + sent - plan.added),
        rejected=dict(rejected),
        duplicates=duplicates,
        sent=sent,
        jobs=sum(run.chunks[receipt.chunk].kind != "file" for receipt in receipts),
        succeeded=sum(receipt.succeeded or 0 for receipt in receipts),
        failed=sum(receipt.failed or 0 for receipt in receipts),
        unprocessed=sum(receipt.unprocessed or 0 for receipt in receipts),
        unaccounted=sum(map(_unaccounted, receipts)),
        refused=dict(tally.refused),
        warnings=tally.warnings,
        unattributed=tally.unattributed,
        rejects_path=str(run.rejects_path),
        job_times=times,
        seconds=elapsed.total_seconds() if elapsed else 0.0,
        parent=plan.parent,
        rejects_sha256=rejects_sha256,
        added=plan.added,
        merged=plan.merged,
        kinds=_by_kind(run, receipts),
        notes=plan.notes,
    )


def _by_kind(run: Run, receipts: list[Receipt]) -> dict[str, KindCounts]:
    kinds: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        kinds.setdefault(run.chunks[receipt.chunk].kind, []).append(receipt)
    return {
        kind: KindCounts(
            sent=sum(receipt.records for receipt in same),
            succeeded=sum(receipt.succeeded or 0 for receipt in same),
            failed=sum(receipt.failed or 0 for receipt in same),
            unprocessed=sum(receipt.unprocessed or 0 for receipt in same),
        )
        for kind, same in kinds.items()
    }


def _unaccounted(receipt: Receipt) -> int:
    return receipt.records - (receipt.succeeded or 0) - (receipt.failed or 0) - (receipt.unprocessed or 0)


def _write_rejects(run: Run, receipts: list[Receipt], tally: _Tally) -> str:
    """Write rejects.parquet and rejects.csv in one pass, a batch of rows at a time; return the CSV's SHA-256.

    A CSV that somebody has edited for a retry stays as it is.
    """
    kept = run.report().rejects_sha256 if run.rejects_text_path.exists() and is_edited(run) else None
    with (
        replacing(run.rejects_path) as parquet,
        nullcontext(io.BytesIO()) if kept else replacing(run.rejects_text_path) as text,
        pq.ParquetWriter(parquet, schema.REJECTS, compression="zstd") as columns,
    ):
        sheet = SheetWriter(text)
        for table in _rejects(run, receipts, tally):
            columns.write_table(table)
            if not kept:
                sheet.write(table)
    return kept or digest(run.rejects_text_path)


def _rejects(run: Run, receipts: list[Receipt], tally: _Tally) -> Iterator[pa.Table]:
    with run.planned_rejects_path.open("rb") as stream:
        for batch in pq.ParquetFile(stream).iter_batches():
            yield pa.Table.from_batches([batch]).cast(schema.REJECTS)
    for receipt in receipts:
        rows = dead_letters(run, receipt)
        if rows.height:
            tally.add(rows)
            yield pa.Table.from_batches(schema.conform(rows.to_arrow().to_batches(), schema.REJECTS), schema.REJECTS)
