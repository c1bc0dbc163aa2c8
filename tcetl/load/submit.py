"""Submit a planned load: take every chunk to its end, a few at a time, and judge what came of it.

What happens to one chunk, and why it is uploaded at most once whatever dies when, is in :mod:`tcetl.load.steps`.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcetl.client.batch import BatchStatus
from tcetl.errors import ApiError, ConnectionFailedError, LoadError, TlsError
from tcetl.load.finish import finish
from tcetl.load.lease import Check
from tcetl.load.report import LoadReport
from tcetl.load.run import Receipt, Run
from tcetl.load.steps import start, step
from tcetl.load.stuck import STUCK, StuckWatch, stuck_error
from tcetl.load.threshold import MaxErrors, allowed

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect

FAILURES: Final = 5
"""Steps in a row that may fail for passing reasons (the client has retried each already) before `submit` gives up."""
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
    chunks_open: int
    chunks_total: int
    running: tuple[BatchStatus, ...] = ()

    @property
    def answered(self) -> int:
        """Records that the platform has answered for, in whatever way."""
        return self.succeeded + self.failed + self.unprocessed

    @property
    def only_waiting(self) -> bool:
        """Whether there is nothing to do for now but to watch the running jobs."""
        return 0 < self.chunks_open == len(self.running)

    @property
    def held_back(self) -> bool:
        """Whether nothing can begin here until others have ended an earlier wave."""
        return not self.done and self.chunks_open == 0


def advance(tc: "ThreatConnect", run: Run, *, in_flight: int = 2, chunks: Collection[int] | None = None) -> Progress:
    """Take *run* one step further and return where it stands: look at each open job once, then start new ones.

    A wave is started when the ones before it have ended.

    Needs no memory of earlier steps, so any process may take the next one; `finish` follows when all is done.

    Args:
        tc: The connection.
        run: A planned load.
        in_flight: Most jobs open on the platform at a time.
        chunks: Work on these alone, and leave the others to other processes; the progress is then theirs.

    Raises:
        LoadError: Another process is at work on this run; the platform does not know a job of ours; a chunk's upload
            was refused.
        ApiError: The platform refused a request. The run stands as it was before that request.
        ConnectionFailedError: The platform cannot be reached. Likewise.
    """
    _check(in_flight)
    with run.exclusive(chunks) as check:
        return _advance(tc, run, in_flight, chunks, check)


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
    allowed(max_errors, 0)  # a threshold that makes no sense must not wait for the end to say so
    with run.exclusive() as check:
        _take_along(tc, run, None, check, in_flight, timeout, stuck_after, on_progress)
        return finish(run, max_errors=max_errors)


def submit_chunks(
    tc: "ThreatConnect",
    run: Run,
    chunks: Collection[int],
    *,
    in_flight: int = 2,
    timeout: float = 3600,
    stuck_after: float = STUCK,
    on_progress: Callable[[str, int, int | None], None] | None = None,
) -> Progress:
    """Take *chunks* of *run* to their ends while other processes see to the others; `finish` judges all of them.

    Chunks of later waves wait until those of earlier ones are saved, whoever sees to these.

    Arguments and errors are those of `submit`; *in_flight*, *timeout* and *on_progress* are for these chunks alone.
    """
    with run.exclusive(chunks) as check:
        return _take_along(tc, run, chunks, check, in_flight, timeout, stuck_after, on_progress)


def _take_along(  # noqa: PLR0917 - what submit and submit_chunks were called with
    tc: "ThreatConnect",
    run: Run,
    chunks: Collection[int] | None,
    check: Check,
    in_flight: int,
    timeout: float,
    stuck_after: float,
    on_progress: Callable[[str, int, int | None], None] | None,
) -> Progress:
    _check(in_flight)
    deadline = time.monotonic() + timeout
    watch = StuckWatch(stuck_after)
    patience = 0  # a platform never reached in this process fails at once
    before, since = None, time.monotonic()
    while True:
        try:
            progress = _advance(tc, run, in_flight, chunks, check)
        except (ApiError, ConnectionFailedError) as error:
            if patience == 0 or not _passing(error):
                raise
            patience -= 1
        else:
            patience = FAILURES
            if on_progress:
                on_progress("load", progress.answered, progress.records)
            if progress.done:
                return progress
            if progress != before:
                before, since = progress, time.monotonic()
            if stuck := watch.look(progress.running, time.monotonic()):
                raise stuck_error(run, stuck, stuck_after)
        now = time.monotonic()
        if now >= deadline:
            raise LoadError(
                f"load {run.path} is not done after {timeout:g} s; {_open_jobs(run, chunks)}",
                hint="run again to go on from there, or allow more time",
            )
        shortest, longest = POLL
        time.sleep(min(max(shortest, (now - since) / 8), longest, deadline - now))


def _check(in_flight: int) -> None:
    if in_flight < 1:
        raise LoadError(f"in_flight is {in_flight}", hint="at least one job must be open for a load to go on")


def _advance(tc: "ThreatConnect", run: Run, in_flight: int, chunks: Collection[int] | None, check: Check) -> Progress:
    receipts = run.receipts(chunks)
    live: dict[int, BatchStatus] = {}
    for index, receipt in enumerate(receipts):
        if receipt.is_open:
            check()
            receipts[index] = step(tc, run, receipt, live, check)

    open_jobs = sum(receipt.is_open for receipt in receipts)
    for index, receipt in enumerate(receipts):
        if open_jobs >= in_flight:
            break
        if receipt.phase == "planned":
            if not _may_begin(run, receipt, receipts):
                break  # nor may those after it, which are of the same wave or a later one
            check()
            receipts[index] = start(tc, run, receipt, check)
            open_jobs += 1

    return _progress(receipts, live)


def _may_begin(run: Run, receipt: Receipt, receipts: list[Receipt]) -> bool:
    """Whether every chunk of the waves before that of *receipt* is saved; *receipts* are those at hand."""
    wave = run.chunks[receipt.chunk].wave
    phases = {known.chunk: known.phase for known in receipts}
    earlier = [chunk.chunk for chunk in run.chunks if chunk.wave < wave]
    if any(phases.get(chunk, "saved") != "saved" for chunk in earlier):
        return False
    others = [chunk for chunk in earlier if chunk not in phases]
    return all(other.phase == "saved" for other in run.receipts(others)) if others else True


def _progress(receipts: list[Receipt], live: dict[int, BatchStatus]) -> Progress:
    def total(field: str) -> int:
        return sum(getattr(live.get(receipt.chunk, receipt), field) or 0 for receipt in receipts)

    saved = sum(receipt.phase == "saved" for receipt in receipts)
    return Progress(
        done=saved == len(receipts),
        open_batch_ids=[receipt.batch_id for receipt in receipts if receipt.is_open and receipt.batch_id],
        records=sum(receipt.records for receipt in receipts),
        sent=sum(receipt.records for receipt in receipts if receipt.uploaded_at),
        succeeded=total("succeeded"),
        failed=total("failed"),
        # What a running job has not processed, it may well process yet.
        unprocessed=sum(receipt.unprocessed or 0 for receipt in receipts),
        chunks_done=saved,
        chunks_open=sum(receipt.is_open for receipt in receipts),
        chunks_total=len(receipts),
        running=tuple(live.values()),
    )


def _passing(error: ApiError | ConnectionFailedError) -> bool:
    if isinstance(error, ConnectionFailedError):
        return not isinstance(error, TlsError)
    return error.status == 429 or error.status >= 500


def _open_jobs(run: Run, chunks: Collection[int] | None) -> str:
    jobs = [str(receipt.batch_id) for receipt in run.receipts(chunks) if receipt.is_open and receipt.batch_id]
    return f"open jobs: {', '.join(jobs)}" if jobs else "no job is open"
