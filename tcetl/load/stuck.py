"""Jobs that stand still: noticed while waiting for them, and done without when somebody says so.

The platform's API has no way to cancel a job. What can be done is to stop waiting for it: its records then count as
unprocessed, and a retry sends them again. Should the platform carry the job out after all, they are loaded twice,
which changes nothing under the default write types and doubles attributes under ``Append``.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tcetl.client.batch import BatchStatus
from tcetl.errors import LoadError, NotFoundError
from tcetl.load.run import Answer, Receipt, Run

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect


STUCK: Final = 900.0
"""Seconds that a job may stand still before it counts as stuck, unless told otherwise."""


class StuckWatch:
    """Notices jobs whose state and counts have not moved for *after* seconds.

    A job that waits its turn is not stuck while another of ours moves.
    """

    def __init__(self, after: float) -> None:
        self._after = after
        self._seen: dict[int | None, tuple[BatchStatus, float]] = {}

    def look(self, running: Iterable[BatchStatus], now: float) -> list[BatchStatus]:
        """Return those of *running* that are stuck at *now*, in seconds of any steady clock."""
        jobs = {status.id: status for status in running}
        still = {job for job, status in jobs.items() if job in self._seen and self._seen[job][0] == status}
        moved = still != jobs.keys() or jobs.keys() != self._seen.keys()
        self._seen = {
            job: self._seen[job] if job in still and not (moved and status.status == "Queued") else (status, now)
            for job, status in jobs.items()
        }
        return [status for status, since in self._seen.values() if now - since >= self._after]


def stuck_error(run: Run, jobs: Iterable[BatchStatus], seconds: float) -> LoadError:
    """Return the error to raise for *jobs* of *run* that have not moved for *seconds*."""
    described = "; ".join(
        f"job {job.id} stands still at {job.status} with {job.succeeded + job.failed} records answered for"
        for job in jobs
    )
    return LoadError(
        f"load {run.path} is stuck: {described}, for {seconds:g} s",
        hint="run again to go on waiting; or abandon the job, run again, and retry its records (tcetl batch abandon)",
    )


def abandon(tc: "ThreatConnect", run: Run, batch_ids: Collection[int] = ()) -> list[int]:
    """Stop waiting for jobs of *run* that do not end, and return their ids; their records count as unprocessed.

    Args:
        tc: The connection.
        run: A load with open jobs.
        batch_ids: The jobs; all open ones when empty.

    Raises:
        LoadError: A job is none of this run's open ones or has ended meanwhile, or a process is at work on its chunk.
    """
    waiting = _waiting(run)
    chosen = list(batch_ids) or list(waiting)
    if strangers := [job for job in chosen if job not in waiting]:
        raise LoadError(
            f"job {strangers[0]} is none that {run.path} waits for",
            hint=f"those are: {', '.join(map(str, waiting)) or 'none'}",
        )
    with run.exclusive([waiting[job].chunk for job in chosen]):
        waiting = _waiting(run)
        for job in chosen:
            if job not in waiting or _has_ended(tc, job):
                raise LoadError(f"job {job} has ended meanwhile", hint="run the load again; it goes on from there")
        for job in chosen:
            receipt = waiting[job]
            run.write_answer(receipt.chunk, Answer([], []))
            run.write_receipt(
                receipt.but(
                    phase="saved", succeeded=0, failed=0, unprocessed=receipt.records, abandoned_at=datetime.now(UTC)
                )
            )
    return chosen


def _waiting(run: Run) -> dict[int, Receipt]:
    """The receipts whose jobs have, or may have, their file and have not been seen to end, by job."""
    return {
        receipt.batch_id: receipt
        for receipt in run.receipts()
        if receipt.phase in ("created", "uploaded") and receipt.upload_started_at and receipt.batch_id
    }


def _has_ended(tc: "ThreatConnect", job: int) -> bool:
    try:
        return tc.batch.status(job).finished
    except NotFoundError:
        return False
