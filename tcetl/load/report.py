"""What a load came to: one small record of counts and paths, kept as ``report.json`` in the run directory."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec


@dataclass(frozen=True, kw_only=True)
class JobTime:
    """One batch job's course, in UTC as this side saw it."""

    batch_id: int
    records: int
    created_at: datetime
    uploaded_at: datetime
    completed_at: datetime


@dataclass(frozen=True, kw_only=True)
class KindCounts:
    """What became of the records of one kind: group, indicator, association or file."""

    sent: int = 0
    succeeded: int = 0
    failed: int = 0
    unprocessed: int = 0


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """The counts of a finished load.

    Two sums always hold, or the load has failed::

        rows_read + added = sum(rejected) + duplicates + merged + sent
        sent              = succeeded + failed + unprocessed

    Attributes:
        run_dir: The run directory.
        owner: Owner loaded into.
        rows_read: Rows of the feed.
        added: Records sent beside the one of their row: the files of groups.
        rejected: Rows refused before anything was sent, by code.
        duplicates: Rows merged into an equal one.
        merged: Rows that travel inside the record of another one: file occurrences.
        sent: Records sent in batch jobs, and files.
        jobs: Batch jobs.
        succeeded: Records the platform says it loaded.
        failed: Records the platform refused.
        unprocessed: Records the platform did not get to.
        unaccounted: Records that the platform's counts leave out (or, below zero, count twice); 0 in a sound load.
        refused: Records the platform refused or left, by its code (``0x1005``, ``no-code``, ``unprocessed``…).
        warnings: Findings of the platform on records it loaded nevertheless.
        unattributed: Dead letters of the platform's that name no record of ours with certainty.
        rejects_path: The dead letters (REJECTS, Parquet); the same as CSV lies beside it.
        job_times: The jobs' course.
        seconds: From the first job's creation to the last one's answer.
        parent: The run whose failed and unprocessed records these are, for a retry.
        rejects_sha256: SHA-256 of ``rejects.csv`` as it was written; one that was edited since has another.
        notes: What a person should know of how the feed was read: what had drifted, was guessed or left off.
        kinds: What was sent and what became of it, by kind of record: group, indicator, association, file.
    """

    run_dir: str
    owner: str
    rows_read: int
    rejected: dict[str, int]
    duplicates: int
    sent: int
    jobs: int
    succeeded: int
    failed: int
    unprocessed: int
    unaccounted: int
    refused: dict[str, int]
    warnings: int
    unattributed: int
    rejects_path: str
    job_times: list[JobTime]
    seconds: float
    parent: str | None = None
    rejects_sha256: str = ""
    added: int = 0
    merged: int = 0
    kinds: dict[str, KindCounts] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values (times as ISO 8601 text)."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document
