"""The contents of Documents, Reports and Signatures: uploaded one by one, each with a receipt of its own.

A file goes to its group once that is there, and its receipt says how far it has got::

    (none) ─ask what the group has─▶ sending ─upload─▶ sent | failed
       └──── its group was not loaded ────▶ left

A second upload of the same bytes changes nothing, but large files are not sent twice for nothing: where a start is
written but no end, and the group had no file before, the platform is asked whether it has one of that size now.
A file that is refused fails by itself; one that cannot be sent now is tried again by whoever goes on.
"""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from tcetl.errors import ApiError, AuthenticationError
from tcetl.load.deadletters import dead_letters
from tcetl.load.lease import Check
from tcetl.load.run import FileReceipt, Receipt, Run
from tcetl.load.storage import locate, make_folder

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect

ATTEMPTS: Final = 3
"""Attempts to upload one file that the platform fails to take for reasons that might pass."""
TURN: Final = 5.0
"""Seconds after which files let other chunks have their turn."""


class FileRecord(msgspec.Struct, rename="camel"):
    """A record of kind ``file``: the group that it belongs to, and the path or fsspec URL of its content."""

    type: str
    xid: str
    content: str


def send_files(tc: "ThreatConnect", run: Run, receipt: Receipt, check: Check) -> Receipt:
    """Upload the files of a chunk, from wherever it stands, for a while; return how far it has got.

    Raises:
        ApiError: The platform does not take a file for a reason that may pass.
        ConnectionFailedError: It cannot be reached.
    """
    if receipt.phase == "planned":
        make_folder(run.files_path(receipt.chunk))
        receipt = _record(run, receipt.but(phase="created", created_at=_now(), succeeded=0, failed=0, unprocessed=0))
    turn_ends = time.monotonic() + TURN
    records = run.records(receipt.chunk)
    lost = _lost_groups(run)
    while (index := _answered(receipt)) < receipt.records:
        if time.monotonic() > turn_ends:
            return _record(run, receipt)
        known = run.file_receipt(receipt.chunk, index)
        if known is None or known.phase == "sending":
            check()
            record = msgspec.json.decode(records[index], type=FileRecord)
            known = _send(tc, run, (receipt.chunk, index), record, known, lost)
        counted = {"sent": "succeeded", "failed": "failed", "left": "unprocessed"}[known.phase]
        receipt = receipt.but(**{counted: getattr(receipt, counted) + 1})
    return _record(run, receipt.but(phase="saved", uploaded_at=_now(), completed_at=_now()))


def _send(  # noqa: PLR0917 - a file, where it stands and all that decides what becomes of it
    tc: "ThreatConnect", run: Run, place: tuple[int, int], file: FileRecord, known: FileReceipt | None, lost: set[str]
) -> FileReceipt:
    """Take one file to its end."""

    def record(**changes: Any) -> FileReceipt:
        return run.write_file_receipt(*place, msgspec.structs.replace(known or FileReceipt(phase="sending"), **changes))

    if file.xid in lost:
        return record(phase="left", reason="its group was not loaded", ended_at=_now())
    content = locate(file.content)
    try:
        size = content.stat().st_size
    except (OSError, ValueError) as error:
        return record(phase="failed", reason=f"{content} cannot be read: {_why(error)}", ended_at=_now())
    there = _size_there(tc, run, file)
    if known and known.was_empty and 0 < size == there:
        return record(phase="sent", ended_at=_now())
    attempts = known.attempts + 1 if known else 1
    was_empty = known.was_empty if known else None if there is None else there == 0
    known = record(attempts=attempts, bytes=size, was_empty=was_empty, started_at=_now())
    try:
        tc.files.upload(run.settings.owner, file.type, file.xid, content)
    except OSError as error:
        return record(phase="failed", reason=f"{content} cannot be read: {_why(error)}", ended_at=_now())
    except ApiError as error:
        if error.status == 429 or (error.status >= 500 and attempts < ATTEMPTS):
            raise
        return record(phase="failed", reason=error.message, ended_at=_now())
    return record(phase="sent", ended_at=_now())


def _size_there(tc: "ThreatConnect", run: Run, file: FileRecord) -> int | None:
    """Bytes of the file that the group has now, 0 without one; None where the platform does not say."""
    try:
        return tc.files.size(run.settings.owner, file.type, file.xid)
    except AuthenticationError:
        raise  # whoever may not even look will not upload anything
    except ApiError as error:
        if error.status == 429:
            raise
        return None


def _lost_groups(run: Run) -> set[str]:
    """The xids of groups of this run that were certainly not loaded."""
    lost: set[str] = set()
    groups = [chunk.chunk for chunk in run.chunks if chunk.kind == "group"]
    for receipt in run.receipts(groups):
        if receipt.failed or receipt.unprocessed:
            letters = dead_letters(run, receipt)
            lost.update(letters.filter(pl.col("severity") == "error")["xid"].drop_nulls())
    return lost


def _answered(receipt: Receipt) -> int:
    return (receipt.succeeded or 0) + (receipt.failed or 0) + (receipt.unprocessed or 0)


def _record(run: Run, receipt: Receipt) -> Receipt:
    run.write_receipt(receipt)
    return receipt


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _now() -> datetime:
    return datetime.now(UTC)
