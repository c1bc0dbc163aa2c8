"""The run directory: the source of truth for one load.

::

    plan.json                     written last: what is to be loaded, and by what settings
    chunks/NNNNN.json             the bytes of one batch job
    chunks/NNNNN.origins.parquet  row i: type, summary, xid and origin of record i of that chunk
    receipts/NNNNN.json           how far the chunk has got, replaced at every step
    files/NNNNN/IIIII.json        how far file I of a chunk of files has got
    answers/NNNNN.json            the errors and results the platform gave for it
    rejects.plan.parquet          rows refused before anything was sent
    rejects.parquet, rejects.csv  those, and what the platform refused
    report.json                   the counts of the finished load
    retry.json                    the run that took up what this one did not load
    mends.json                    what was changed by hand for this one, where it is a retry
    lock, claims/NNNNN            who is at work here, on all of it or on some chunks

Any process may pick the directory up and go on; see :mod:`tcetl.load.steps`.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tcetl.client.batch import BatchError, BatchSettings
from tcetl.errors import LoadError
from tcetl.load.lease import Check
from tcetl.load.lock import exclusive
from tcetl.load.records import Kind
from tcetl.load.report import LoadReport
from tcetl.load.storage import AnyPath, RunPath, locate, read_json, sha256, write_whole

PLAN: Final = "plan.json"
FORMAT: Final = 1
"""Version of the directory's layout; a newer one is refused."""

_RESTORE: Final = "restore it, or plan the load in a new directory"

Phase = Literal["planned", "created", "uploaded", "completed", "saved"]


class Chunk(msgspec.Struct, frozen=True):
    """One batch job's worth of records, all of one kind: its number, how many, how many bytes, and their SHA-256.

    A chunk of a later ``wave`` begins when all those of earlier ones are saved. One of kind ``file`` is no job: its
    records are files, each of which is uploaded to its group.
    """

    chunk: int
    kind: Kind
    wave: int
    records: int
    bytes: int
    sha256: str


class Receipt(msgspec.Struct, frozen=True):
    """How far one chunk has got, and what the platform answered for it.

    ``upload_started_at`` is written before the first byte goes out: a receipt in phase ``created`` without it was
    certainly never uploaded, and one with it must be asked about first. ``uploads`` counts the attempts since somebody
    last gave up; an attempt that broke off is ``in_doubt_since`` somebody saw that, by its ``doubt``.
    ``abandoned_at`` says that somebody stopped waiting for the job, whose counts are then ours.
    """

    chunk: int
    records: int
    bytes: int
    sha256: str
    phase: Phase = "planned"
    batch_id: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    unprocessed: int | None = None
    created_at: datetime | None = None
    upload_started_at: datetime | None = None
    uploads: int = 0
    in_doubt_since: datetime | None = None
    doubt: str | None = None
    uploaded_at: datetime | None = None
    completed_at: datetime | None = None
    abandoned_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether the platform has a job for the chunk that has not been answered for yet."""
        return self.phase not in ("planned", "saved")

    def but(self, **changes: Any) -> "Receipt":
        """Return this receipt with *changes*."""
        return msgspec.structs.replace(self, **changes)


class FileReceipt(msgspec.Struct, frozen=True):
    """How far one file of a group has got.

    ``sending`` is written before the first byte goes out, and ``was_empty`` says whether the group had no file then;
    None when the platform did not say. ``left`` is a file whose group was not loaded.
    """

    phase: Literal["sending", "sent", "failed", "left"]
    attempts: int = 0
    bytes: int = 0
    was_empty: bool | None = None
    reason: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Answer(msgspec.Struct, frozen=True):
    """What the platform said about one chunk's records; false when it said nothing."""

    errors: list[BatchError]
    results: list[BatchError]

    def __bool__(self) -> bool:
        return bool(self.errors or self.results)


class Plan(msgspec.Struct, frozen=True):
    """What ``plan.json`` holds.

    ``rejected`` counts, by code, what planning itself refused, ``duplicates`` the rows that repeat another one, and
    ``merged`` those that travel inside the record of another one; ``added`` counts the records that are sent beside the
    one of their row. ``parent`` is the run that a retry takes up. ``notes`` say what a person should know of the feed.
    """

    format: int
    created_at: datetime
    settings: dict[str, Any]
    counts: dict[str, Any]
    rejected: dict[str, int]
    duplicates: int
    merged: int
    added: int
    chunks: list[Chunk]
    parent: str | None = None
    notes: list[str] = []


@dataclass(frozen=True)
class Run:
    """A planned load and its directory; reads are from the files, so two processes never see different truths."""

    path: RunPath
    settings: BatchSettings
    counts: Mapping[str, Any]
    plan: Plan

    @classmethod
    def open(cls, run_dir: AnyPath) -> "Run":
        """Return the planned load at *run_dir*.

        Raises:
            LoadError: There is no finished plan, or it cannot be read.
        """
        path = locate(run_dir)
        try:
            plan = read_json(path / PLAN, Plan, hint="plan the load in a new directory")
        except (FileNotFoundError, NotADirectoryError):
            raise LoadError(f"{path} holds no planned load", hint="plan one there first") from None
        if plan.format > FORMAT:
            raise LoadError(f"{path} was planned by a newer tcetl (layout {plan.format})", hint="upgrade tcetl")
        return cls(path, BatchSettings.from_json(plan.settings), plan.counts, plan)

    @staticmethod
    def is_planned(run_dir: AnyPath) -> bool:
        """Whether *run_dir* holds a finished plan."""
        return (locate(run_dir) / PLAN).exists()

    @property
    def chunks(self) -> list[Chunk]:
        """The chunks, in order."""
        return self.plan.chunks

    @property
    def rejects_path(self) -> RunPath:
        """Where the dead letters are, once the load is finished; beside them lies the same as CSV."""
        return self.path / "rejects.parquet"

    @property
    def rejects_text_path(self) -> RunPath:
        """The same dead letters as CSV: the file to mend before a retry."""
        return self.path / "rejects.csv"

    @property
    def planned_rejects_path(self) -> RunPath:
        """Where the rows are that were refused before anything was sent."""
        return self.path / "rejects.plan.parquet"

    @property
    def report_path(self) -> RunPath:
        """Where the report is, once the load is finished."""
        return self.path / "report.json"

    def exclusive(self, chunks: Collection[int] | None = None) -> AbstractContextManager[Check]:
        """Hold this directory, or no more than *chunks* of it, against other processes for a ``with`` block.

        LoadError names who holds it already.
        """
        return exclusive(self.path, chunks)

    def content(self, chunk: int) -> bytes:
        """Return the bytes of *chunk*, which are the ones that were planned.

        Raises:
            LoadError: They are missing or not the same any more.
        """
        path = self.path / "chunks" / f"{chunk:05}.json"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise LoadError(f"{path} is missing", hint="plan the load in a new directory") from None
        if sha256(content) != self.chunks[chunk].sha256:
            raise LoadError(f"{path} is not what was planned", hint="plan the load in a new directory")
        return content

    def records(self, chunk: int) -> list[bytes]:
        """Return the JSON of each record of *chunk*, in order."""
        (listed,) = msgspec.json.decode(self.content(chunk), type=dict[str, list[msgspec.Raw]]).values()
        return [bytes(record) for record in listed]

    def origins(self, chunk: int) -> pa.Table:
        """Return type, summary, xid and origin's fields of each record of *chunk*, in order."""
        with (self.path / "chunks" / f"{chunk:05}.origins.parquet").open("rb") as stream:
            return pq.read_table(stream)

    def receipts(self, chunks: Collection[int] | None = None) -> list[Receipt]:
        """Return the receipt of every chunk, or of *chunks*, as it stands now, in the order of the plan.

        Raises:
            LoadError: There is no such chunk, or a receipt is missing or damaged, and guessing it could load a chunk
                twice.
        """
        return list(self._receipts(self.chunks if chunks is None else self._chosen(chunks)))

    def _chosen(self, chunks: Collection[int]) -> list[Chunk]:
        if strangers := set(chunks) - {chunk.chunk for chunk in self.chunks}:
            raise LoadError(f"{self.path} has no chunk {min(strangers)}", hint=f"it has {len(self.chunks)}, from 0 on")
        return [self.chunks[number] for number in sorted(set(chunks))]

    def _receipts(self, chunks: list[Chunk]) -> Iterator[Receipt]:
        for chunk in chunks:
            path, hint = self._receipt_path(chunk.chunk), f"chunk {chunk.chunk} may or may not be loaded: {_RESTORE}"
            try:
                yield read_json(path, Receipt, hint=hint)
            except FileNotFoundError:
                raise LoadError(f"{path} is missing", hint=hint) from None

    def write_receipt(self, receipt: Receipt) -> None:
        """Replace the receipt of its chunk, durably and in one step."""
        write_whole(self._receipt_path(receipt.chunk), msgspec.json.encode(receipt))

    def files_path(self, chunk: int) -> RunPath:
        """The folder of the receipts of the files of *chunk*."""
        return self.path / "files" / f"{chunk:05}"

    def file_receipt(self, chunk: int, index: int) -> FileReceipt | None:
        """Return how far file *index* of *chunk* has got; None when nobody has begun with it.

        Raises:
            LoadError: The receipt is damaged.
        """
        path = self._file_receipt_path(chunk, index)
        try:
            return read_json(path, FileReceipt, hint=f"delete it: {path.name} is then sent again")
        except FileNotFoundError:
            return None

    def write_file_receipt(self, chunk: int, index: int, receipt: FileReceipt) -> FileReceipt:
        """Replace the receipt of file *index* of *chunk*, durably and in one step, and return it."""
        write_whole(self._file_receipt_path(chunk, index), msgspec.json.encode(receipt))
        return receipt

    def report(self) -> LoadReport:
        """Return the report of the finished load.

        Raises:
            LoadError: The load is not finished, or its report is damaged.
        """
        anew = f"delete it, and make it anew: tcetl batch resume {self.path}"
        try:
            return read_json(self.report_path, LoadReport, hint=anew)
        except FileNotFoundError:
            raise LoadError(
                f"load {self.path} is not finished", hint="submit it first; it goes on where it stopped"
            ) from None

    def write_answer(self, chunk: int, answer: Answer) -> None:
        """Keep what the platform said about *chunk*."""
        write_whole(self._answer_path(chunk), msgspec.json.encode(answer))

    def answer(self, chunk: int) -> Answer:
        """Return what the platform said about *chunk*, whose receipt is ``saved``.

        Raises:
            LoadError: It is missing or damaged.
        """
        path = self._answer_path(chunk)
        try:
            return read_json(path, Answer, hint=_RESTORE)
        except FileNotFoundError:
            raise LoadError(f"{path} is missing", hint=_RESTORE) from None

    def _answer_path(self, chunk: int) -> RunPath:
        return self.path / "answers" / f"{chunk:05}.json"

    def _file_receipt_path(self, chunk: int, index: int) -> RunPath:
        return self.files_path(chunk) / f"{index:05}.json"

    def _receipt_path(self, chunk: int) -> RunPath:
        return self.path / "receipts" / f"{chunk:05}.json"
