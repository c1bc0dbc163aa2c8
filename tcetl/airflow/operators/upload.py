"""A planned load goes to the platform by batch jobs."""

import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

from airflow.sdk import Context, conf

from tcetl.airflow.operators.base import ThreatConnectOperator, progress_log
from tcetl.airflow.operators.run import judge, summary
from tcetl.airflow.triggers.batch import BatchJobsTrigger
from tcetl.client import ThreatConnect
from tcetl.errors import LoadError
from tcetl.load import STUCK, MaxErrors, Progress, Run, advance, chunks_of, stuck_error, submit_chunks
from tcetl.pipeline import resume_load

LOOKS: Final = (0.25, 2.0)
"""Shortest and longest pause, in seconds, between two looks at a job before the task defers."""


class ThreatConnectBatchUploadOperator(ThreatConnectOperator):
    """Submit a planned load, or a part of it, wait for its jobs, and fail unless the platform took every record.

    The run directory is the truth: whoever dies when, worker or triggerer, the next try goes on where the directory
    says and uploads no chunk twice. Workers must all see the directory; the triggerer does not need it.

    To spread a load over workers, map the task over the parts that
    :class:`~tcetl.airflow.operators.run.BatchPartsOperator` returns. Each mapped task then answers for its chunks
    alone, and :class:`~tcetl.airflow.operators.run.BatchReportOperator` judges the whole.

    The platform offers no way to stop a job. A task that is killed or fails says which of its jobs go on, and its next
    try goes on with them; ``tcetl batch abandon`` is for jobs that shall not be waited for any more.

    Returns ``run_dir``, ``rejects`` (the dead-letter file), the owner and the counts; for a part, its name and counts.

    Args:
        run_dir: The planned load's directory.
        chunks: A part of the load, such as ``0-3``, which other tasks must not have too; all of it when None.
        max_errors: Most records that the platform may refuse or leave before the task fails; or a share such as ``1%``.
            A part is not judged.
        in_flight: Most jobs open on the platform at a time, for this task.
        timeout: For all jobs together, in one try.
        stuck_after: A job that stands still for so long fails the task.
        deferrable: Give up the worker while jobs run; by default as ``[operators] default_deferrable`` says.
        poll_interval: Seconds between two looks at the jobs once deferred.
        patience: Seconds to watch the jobs before deferring; short jobs end in them.
        **kwargs: As for every operator.
    """

    template_fields: Sequence[str] = ("run_dir", "chunks", "max_errors", "threatconnect_conn_id")

    def __init__(
        self,
        *,
        run_dir: str,
        chunks: str | None = None,
        max_errors: MaxErrors = 0,
        in_flight: int = 2,
        timeout: timedelta = timedelta(hours=1),
        stuck_after: timedelta = timedelta(seconds=STUCK),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 10.0,
        patience: float = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_dir = run_dir
        self.chunks = chunks
        self.max_errors = max_errors
        self.in_flight = in_flight
        self.timeout = timeout
        self.stuck_after = stuck_after
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.patience = patience

    def execute(self, context: Context) -> dict[str, Any]:
        """Take the load from where it stands to its end, or defer on the way."""
        return self._go_on(context, deadline=time.time() + self.timeout.total_seconds())

    def resume(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on when the trigger saw a job end or stand still, or could not go on watching."""
        return self._go_on(context, deadline=event["deadline"], stuck=event["stuck"])

    def on_kill(self) -> None:
        """Say which jobs the platform still works on: it offers no way to stop them."""
        if not (isinstance(self.run_dir, str) and Run.is_planned(self.run_dir)):
            return
        if jobs := self._jobs(Run.open(self.run_dir)):
            self.log.warning("killed; jobs %s go on at the platform, and the next try with %s", jobs, self.run_dir)

    def _go_on(self, context: Context, *, deadline: float, stuck: Collection[int] = ()) -> dict[str, Any]:
        run = Run.open(self.run_dir)
        with self.hook.get_conn() as tc:
            if self.deferrable:
                progress = self._advance_or_defer(tc, run, deadline, stuck)
                return self.emit(
                    context, judge(run, self.max_errors) if self.chunks is None else self._part(run, progress)
                )
            options: dict[str, Any] = {
                "in_flight": self.in_flight,
                "timeout": deadline - time.time(),
                "stuck_after": self.stuck_after.total_seconds(),
                "on_progress": progress_log(self.log.info),
            }
            if self.chunks is None:
                return self.emit(context, summary(resume_load(tc, self.run_dir, max_errors=self.max_errors, **options)))
            return self.emit(context, self._part(run, submit_chunks(tc, run, chunks_of(self.chunks), **options)))

    def _advance_or_defer(self, tc: ThreatConnect, run: Run, deadline: float, stuck: Collection[int]) -> Progress:
        """Return when every chunk has been answered for; else defer, once all that is left to do is to wait."""
        pause, longest = LOOKS
        patient_until = time.monotonic() + self.patience
        while not (progress := advance(tc, run, in_flight=self.in_flight, chunks=self._chunks())).done:
            self.log.info("%s of %s records answered for", f"{progress.answered:,}", f"{progress.records:,}")
            if still := [job for job in progress.running if job.id in stuck]:
                raise stuck_error(run, still, self.stuck_after.total_seconds())
            if time.time() >= deadline:
                raise LoadError(
                    f"load {run.path} is not done after {self.timeout}; open jobs: {self._jobs(run)}",
                    hint="the next try goes on from there; or allow a longer timeout",
                )
            # A chunk on its way (no answer to an upload yet, errors not listed yet) needs `advance`, not watching.
            if progress.only_waiting and time.monotonic() >= patient_until:
                self._defer(progress.open_batch_ids, deadline)
            if progress.held_back and time.monotonic() >= patient_until:
                raise LoadError(
                    f"chunks {self.chunks} of {run.path} must wait until those of an earlier wave have ended",
                    hint="let the task run after the one that uploads these",
                )
            time.sleep(pause)
            pause = min(2 * pause, longest)
        return progress

    def _defer(self, batch_ids: Collection[int], deadline: float) -> None:
        self.defer(
            trigger=BatchJobsTrigger(
                threatconnect_conn_id=self.threatconnect_conn_id,
                batch_ids=batch_ids,
                poll_interval=self.poll_interval,
                deadline=deadline,
                stuck_after=self.stuck_after.total_seconds(),
            ),
            method_name="resume",
            # The trigger itself ends at the deadline; this is for a triggerer that is gone.
            timeout=timedelta(seconds=max(deadline - time.time(), 0) + 3 * self.poll_interval + 60),
        )

    def _chunks(self) -> range | None:
        return None if self.chunks is None else chunks_of(self.chunks)

    def _jobs(self, run: Run) -> str:
        receipts = run.receipts(self._chunks())
        return ", ".join(str(receipt.batch_id) for receipt in receipts if receipt.is_open and receipt.batch_id)

    def _part(self, run: Run, progress: Progress) -> dict[str, Any]:
        return {
            "run_dir": self.run_dir,
            "chunks": self.chunks,
            "sent": progress.sent,
            "succeeded": progress.succeeded,
            "failed": progress.failed,
            "unprocessed": progress.unprocessed,
            "jobs": sum(receipt.batch_id is not None for receipt in run.receipts(self._chunks())),
        }
