"""Submit a planned load: create, upload, poll, collect; at most one upload per chunk, whatever dies when.

Every chunk is a small state machine whose state is its receipt on the disk, and every step ends in a new receipt::

    planned ─create─▶ created(batch id) ─upload─▶ uploaded ─poll─▶ completed(counts) ─errors─▶ saved

Death between two steps repeats at most the step in between. Creating twice leaves an empty job behind and nothing
else. Uploading is the step that must not be repeated: its start is written down first, and where a start is written
but no end, the platform is asked. A job that has left ``Created`` has its file. One that still says ``Created`` after
:data:`SETTLE` seconds never got it, so the file goes to that same job; never to a new one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tcetl.client.batch import BatchStatus
from tcetl.errors import ApiError, ConnectionFailedError, LoadError, NotFoundError, TlsError
from tcetl.load.finish import finish
from tcetl.load.report import LoadReport
from tcetl.load.run import Answer, Receipt, Run
from tcetl.load.stuck import StuckWatch
from tcetl.load.threshold import MaxErrors, allowed

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect

SETTLE: Final = 10.0
"""Seconds that an upload of unknown outcome, or an error list not there yet, is given to show up."""
UPLOADS: Final = 3
"""Attempts to get a chunk's file to its job."""
FAILURES: Final = 5
"""Steps in a row that may fail for passing reasons (the client has retried each already) before `submit` gives up."""
STUCK: Final = 900.0
"""Seconds that a job may stand still before `submit` says so, unless told otherwise."""
POLL: Final = (0.25, 15.0)
"""Shortest and longest pause between two steps of `submit`; in between, an eighth of the time nothing happened."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a load stands. Counts are in records and take in what running jobs report so far.

    ``running`` are the jobs that the platform still works on, as it said last.
    """

    done: bool
    open_batch_ids: list[int]
    records: int
    sent: int
    succeeded: int
    failed: int
    unprocessed: int
    chunks_done: int
    chunks_total: int
    running: tuple[BatchStatus, ...] = ()

    @property
    def answered(self) -> int:
        """Records that the platform has answered for, in whatever way."""
        return self.succeeded + self.failed + self.unprocessed


def advance(tc: "ThreatConnect", run: Run, *, in_flight: int = 2) -> Progress:
    """Take *run* one step further and return where it stands: look at each open job once, then start new ones.

    Needs no memory of earlier steps, so any process may take the next one; `finish` follows when all is done.

    Args:
        tc: The connection.
        run: A planned load.
        in_flight: Most jobs open on the platform at a time.

    Raises:
        LoadError: Another process is at work on this run; the platform does not know a job of ours; a chunk's upload
            was refused.
        ApiError: The platform refused a request. The run stands as it was before that request.
        ConnectionFailedError: The platform cannot be reached. Likewise.
    """
    _check(in_flight)
    with run.exclusive():
        return _advance(tc, run, in_flight)


def submit(
    tc: "ThreatConnect",
    run: Run,
    *,
    in_flight: int = 2,
    timeout: float = 3600,
    stuck_after: float = STUCK,
    max_errors: MaxErrors = 0,
    on_progress: Callable[[str, int, int | None], None] | None = None,
) -> LoadReport:
    """Take *run* from wherever it stands to its end, and return its report.

    Args:
        tc: The connection.
        run: A planned load, new or interrupted.
        in_flight: Most jobs open on the platform at a time.
        timeout: Seconds for all jobs together.
        stuck_after: Seconds that a job may stand still: same state, same counts.
        max_errors: Most records the platform may refuse or leave before the load counts as failed: a number, or a
            share of those sent such as ``"1%"``.
        on_progress: Told of stage ``load``: records answered for, of all records of the run.

    Raises:
        LoadError: As for `advance`, or the time is up, or a job is stuck; running again goes on from there.
        ApiError: The platform refused a request.
        ConnectionFailedError: The platform cannot be reached.
        ReconciliationError: The platform's counts do not add up to what was sent.
        RejectedRecordsError: More than *max_errors* records were not loaded; the dead letters have them.
    """
    _check(in_flight)
    allowed(max_errors, 0)  # a threshold that makes no sense must not wait for the end to say so
    deadline = time.monotonic() + timeout
    watch = StuckWatch(stuck_after)
    patience = 0  # a platform never reached in this process fails at once
    before, since = None, time.monotonic()
    with run.exclusive():
        while True:
            try:
                progress = _advance(tc, run, in_flight)
            except (ApiError, ConnectionFailedError) as error:
                if patience == 0 or not _passing(error):
                    raise
                patience -= 1
            else:
                patience = FAILURES
                if on_progress:
                    on_progress("load", progress.answered, progress.records)
                if progress.done:
                    break
                if progress != before:
                    before, since = progress, time.monotonic()
                if stuck := watch.look(progress.running, time.monotonic()):
                    raise _stuck(run, stuck, stuck_after)
            now = time.monotonic()
            if now >= deadline:
                raise LoadError(
                    f"load {run.path} is not done after {timeout:g} s; {_open_jobs(run)}",
                    hint="run again to go on from there, or allow more time",
                )
            shortest, longest = POLL
            time.sleep(min(max(shortest, (now - since) / 8), longest, deadline - now))
        return finish(run, max_errors=max_errors)


def _check(in_flight: int) -> None:
    if in_flight < 1:
        raise LoadError(f"in_flight is {in_flight}", hint="at least one job must be open for a load to go on")


def _advance(tc: "ThreatConnect", run: Run, in_flight: int) -> Progress:
    receipts = run.receipts()
    live: dict[int, BatchStatus] = {}
    for index, receipt in enumerate(receipts):
        if receipt.phase not in ("planned", "saved"):
            receipts[index] = _step(tc, run, receipt, live)

    open_jobs = sum(_is_open(receipt) for receipt in receipts)
    for index, receipt in enumerate(receipts):
        if open_jobs >= in_flight:
            break
        if receipt.phase == "planned":
            receipts[index] = _upload(tc, run, _create(tc, run, receipt))
            open_jobs += 1

    return _progress(receipts, live)


def _step(tc: "ThreatConnect", run: Run, receipt: Receipt, live: dict[int, BatchStatus]) -> Receipt:
    """Take an open chunk as far as the platform lets it go now; *live* gets the status of a job that still runs."""
    if receipt.phase == "created":
        receipt = _settle(tc, run, receipt) if receipt.upload_started_at else _upload(tc, run, receipt)
    if receipt.phase == "uploaded":
        status = _status(tc, receipt)
        if not status.finished:
            live[receipt.chunk] = status
            return receipt
        receipt = _record(
            run,
            receipt.but(
                phase="completed",
                succeeded=status.succeeded,
                failed=status.failed,
                unprocessed=status.unprocessed,
                completed_at=_now(),
            ),
        )
    if receipt.phase == "completed":
        receipt = _collect(tc, run, receipt)
    return receipt


def _create(tc: "ThreatConnect", run: Run, receipt: Receipt) -> Receipt:
    batch_id = tc.batch.create(run.settings)
    return _record(run, receipt.but(phase="created", batch_id=batch_id, created_at=_now()))


def _upload(tc: "ThreatConnect", run: Run, receipt: Receipt) -> Receipt:
    content = run.content(receipt.chunk)
    receipt = _record(run, receipt.but(upload_started_at=_now(), uploads=receipt.uploads + 1))
    try:
        tc.batch.upload(_job(receipt), content)
    except (ApiError, ConnectionFailedError) as error:
        if _outcome_unknown(error):
            if receipt.uploads < UPLOADS:
                return receipt  # the next step asks the platform
            raise LoadError(
                f"chunk {receipt.chunk} did not reach job {receipt.batch_id} in {receipt.uploads} attempts: {error}",
                hint="run again to go on from there once the platform is well",
            ) from error
        refused = isinstance(error, ApiError) and error.status != 429
        if not refused or _status(tc, receipt).status == "Created":
            # It certainly has no file, so the next attempt may go out without asking.
            _record(run, receipt.but(upload_started_at=None, uploads=receipt.uploads - 1))
            if not refused:
                raise
            raise LoadError(
                f"chunk {receipt.chunk} was refused by job {receipt.batch_id}: {error.message}",
                hint=error.hint or "if it is too large, plan again with smaller chunks (max_records, max_bytes)",
            ) from error
    return _record(run, receipt.but(phase="uploaded", uploaded_at=_now()))


def _settle(tc: "ThreatConnect", run: Run, receipt: Receipt) -> Receipt:
    """Find out what became of an upload that started and was not seen to end."""
    assert receipt.upload_started_at is not None
    if _status(tc, receipt).status != "Created":
        return _record(run, receipt.but(phase="uploaded", uploaded_at=receipt.upload_started_at))
    if _age(receipt.upload_started_at) < SETTLE:
        return receipt
    return _upload(tc, run, receipt)


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


def _progress(receipts: list[Receipt], live: dict[int, BatchStatus]) -> Progress:
    def total(field: str) -> int:
        return sum(getattr(live.get(receipt.chunk, receipt), field) or 0 for receipt in receipts)

    saved = sum(receipt.phase == "saved" for receipt in receipts)
    return Progress(
        done=saved == len(receipts),
        open_batch_ids=[_job(receipt) for receipt in receipts if _is_open(receipt)],
        records=sum(receipt.records for receipt in receipts),
        sent=sum(receipt.records for receipt in receipts if receipt.uploaded_at),
        succeeded=total("succeeded"),
        failed=total("failed"),
        # What a running job has not processed, it may well process yet.
        unprocessed=sum(receipt.unprocessed or 0 for receipt in receipts),
        chunks_done=saved,
        chunks_total=len(receipts),
        running=tuple(live.values()),
    )


def _is_open(receipt: Receipt) -> bool:
    return receipt.phase not in ("planned", "saved")


def _job(receipt: Receipt) -> int:
    assert receipt.batch_id is not None
    return receipt.batch_id


def _outcome_unknown(error: ApiError | ConnectionFailedError) -> bool:
    """Whether the platform may have acted although the request failed; a gateway's 5xx says nothing about it."""
    return error.outcome_unknown if isinstance(error, ConnectionFailedError) else error.status >= 500


def _passing(error: ApiError | ConnectionFailedError) -> bool:
    if isinstance(error, ConnectionFailedError):
        return not isinstance(error, TlsError)
    return error.status == 429 or error.status >= 500


def _stuck(run: Run, jobs: list[BatchStatus], seconds: float) -> LoadError:
    described = "; ".join(
        f"job {job.id} stands still at {job.status} with {job.succeeded + job.failed} records answered for"
        for job in jobs
    )
    return LoadError(
        f"load {run.path} is stuck: {described}, for {seconds:g} s",
        hint="run again to go on waiting; or abandon the job, run again, and retry its records (tcetl batch abandon)",
    )


def _open_jobs(run: Run) -> str:
    jobs = [str(receipt.batch_id) for receipt in run.receipts() if _is_open(receipt)]
    return f"open jobs: {', '.join(jobs)}" if jobs else "no job is open"


def _age(moment: datetime) -> float:
    return (_now() - moment).total_seconds()


def _now() -> datetime:
    return datetime.now(UTC)
