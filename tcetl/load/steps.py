"""One chunk on its way: create a job, upload to it once, poll it, collect what the platform says.

Every chunk is a small state machine whose state is its receipt on the disk, and every step ends in a new receipt::

    planned ─create─▶ created(batch id) ─upload─▶ uploaded ─poll─▶ completed(counts) ─errors─▶ saved

Chunks of kind ``file`` are no jobs: see :mod:`tcetl.load.files`.

Death between two steps repeats at most the step in between. Creating twice leaves an empty job behind and nothing
else. Uploading is the step that must not be repeated: its start is written down first, and where a start is written
but no end, the platform is asked. A job that has left ``Created`` has its file. One that still says ``Created``
:data:`SETTLE` seconds after the upload was seen to break off never got it, so the file goes to that same job; never to
a new one.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tcetl.client.batch import BatchStatus
from tcetl.errors import ApiError, ConnectionFailedError, LoadError, NotFoundError
from tcetl.load.files import send_files
from tcetl.load.lease import Check
from tcetl.load.records import Kind
from tcetl.load.run import Answer, Receipt, Run

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect

SETTLE: Final = 10.0
"""Seconds that an upload of unknown outcome, or an error list not there yet, is given to show up."""
UPLOADS: Final = 3
"""Attempts to get a chunk's file to its job."""


def start(tc: "ThreatConnect", run: Run, receipt: Receipt, check: Check) -> Receipt:
    """Give a chunk that nobody has begun with its job and its one upload."""
    if run.chunks[receipt.chunk].kind == "file":
        return send_files(tc, run, receipt, check)
    return _upload(tc, run, _create(tc, run, receipt))


def step(tc: "ThreatConnect", run: Run, receipt: Receipt, live: dict[int, BatchStatus], check: Check) -> Receipt:
    """Take an open chunk as far as the platform lets it go now.

    Args:
        tc: The connection.
        run: The load.
        receipt: How far the chunk has got.
        live: Gets the status of a job that still runs.
        check: To make before what must not be done twice.
    """
    kind = run.chunks[receipt.chunk].kind
    if kind == "file":
        return send_files(tc, run, receipt, check)
    if receipt.phase == "created":
        receipt = _settle(tc, run, receipt) if receipt.upload_started_at else _upload(tc, run, receipt)
    if receipt.phase == "uploaded":
        status = _status(tc, receipt)
        if not status.finished:
            live[receipt.chunk] = status
            return receipt
        succeeded, failed = _counts(status, kind, receipt.records)
        receipt = _record(
            run,
            receipt.but(
                phase="completed",
                succeeded=succeeded,
                failed=failed,
                unprocessed=status.unprocessed,
                completed_at=_now(),
            ),
        )
    if receipt.phase == "completed":
        receipt = _collect(tc, run, receipt)
    return receipt


def _counts(status: BatchStatus, kind: Kind, records: int) -> tuple[int, int]:
    """How many records of *kind*, which are all that the job has, were loaded and refused.

    The totals say so. That the platform takes associations into its totals is nowhere documented; where the totals do
    not account for the records sent, and the counts of that kind do, those are the right ones.
    """
    totals = status.succeeded, status.failed
    of_kind = {
        "group": (status.succeeded_groups, status.failed_groups),
        "indicator": (status.succeeded_indicators, status.failed_indicators),
        "association": (status.succeeded_associations, status.failed_associations),
    }.get(kind, totals)
    adds_up = sum(totals) + status.unprocessed == records
    return of_kind if not adds_up and sum(of_kind) + status.unprocessed == records else totals


def _create(tc: "ThreatConnect", run: Run, receipt: Receipt) -> Receipt:
    batch_id = tc.batch.create(run.settings)
    return _record(run, receipt.but(phase="created", batch_id=batch_id, created_at=_now()))


def _upload(tc: "ThreatConnect", run: Run, receipt: Receipt) -> Receipt:
    content = run.content(receipt.chunk)
    began = receipt.but(upload_started_at=_now(), uploads=receipt.uploads + 1, in_doubt_since=None, doubt=None)
    receipt = _record(run, began)
    try:
        tc.batch.upload(_job(receipt), content)
    except (ApiError, ConnectionFailedError) as error:
        if _outcome_unknown(error):
            return _doubt(run, receipt, error.message)  # the next step asks the platform
        refused = isinstance(error, ApiError) and error.status != 429
        if not refused or _status(tc, receipt).status == "Created":
            # It certainly has no file, so the next attempt may go out without asking.
            _record(run, receipt.but(upload_started_at=None, uploads=receipt.uploads - 1))
            if not refused:
                raise
            raise LoadError(
                f"chunk {receipt.chunk} was refused by job {receipt.batch_id}: {error.message}",
                hint=error.hint or "if it is too large, plan again with smaller chunks (--max-records, --max-bytes)",
            ) from error
    return _record(run, receipt.but(phase="uploaded", uploaded_at=_now()))


def _settle(tc: "ThreatConnect", run: Run, receipt: Receipt) -> Receipt:
    """Find out what became of an upload that started and was not seen to end."""
    settled = receipt.in_doubt_since is not None and _age(receipt.in_doubt_since) >= SETTLE  # before it is asked
    if _status(tc, receipt).status != "Created":
        return _record(run, receipt.but(phase="uploaded", uploaded_at=receipt.upload_started_at))
    if receipt.in_doubt_since is None:
        return _doubt(run, receipt, "the process that sent it ended")  # who knows when: perhaps just now
    if not settled:
        return receipt
    if receipt.uploads >= UPLOADS:
        _record(run, receipt.but(uploads=0))
        raise LoadError(
            f"chunk {receipt.chunk} did not reach job {receipt.batch_id} in {UPLOADS} attempts: {receipt.doubt}",
            hint="run again to go on from there once the platform is well",
        )
    return _upload(tc, run, receipt)


def _doubt(run: Run, receipt: Receipt, why: str) -> Receipt:
    """Note that an upload broke off and what became of it is not known."""
    return _record(run, receipt.but(in_doubt_since=_now(), doubt=why))


def _collect(tc: "ThreatConnect", run: Run, receipt: Receipt) -> Receipt:
    """Keep what the platform says about the chunk's records, and be done with it."""
    assert receipt.completed_at is not None
    job = _job(receipt)
    answer = Answer(tc.batch.errors(job) if receipt.failed or receipt.unprocessed else [], tc.batch.results(job))
    if receipt.failed and not answer and _age(receipt.completed_at) < SETTLE:
        return receipt  # the lists may lag behind the counts
    run.write_answer(receipt.chunk, answer)
    return _record(run, receipt.but(phase="saved"))


def _status(tc: "ThreatConnect", receipt: Receipt) -> BatchStatus:
    try:
        return tc.batch.status(_job(receipt))
    except NotFoundError as error:
        raise LoadError(
            f"the platform does not know job {receipt.batch_id}, to which chunk {receipt.chunk} was sent",
            hint="check that this is the instance the load was started on; else plan it anew",
        ) from error


def _record(run: Run, receipt: Receipt) -> Receipt:
    run.write_receipt(receipt)
    return receipt


def _job(receipt: Receipt) -> int:
    assert receipt.batch_id is not None
    return receipt.batch_id


def _outcome_unknown(error: ApiError | ConnectionFailedError) -> bool:
    """Whether the platform may have acted although the request failed.

    What a gateway says (5xx, a page of its own with 200, a redirect) tells nothing about it; a platform's 4xx does.
    """
    if isinstance(error, ConnectionFailedError):
        return error.outcome_unknown
    return error.status >= 500 or error.status < 400


def _age(moment: datetime) -> float:
    return (_now() - moment).total_seconds()


def _now() -> datetime:
    return datetime.now(UTC)
