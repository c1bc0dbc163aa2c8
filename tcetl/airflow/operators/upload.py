"""A planned load goes to the platform by batch jobs."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from airflow.sdk import Context, conf

from tcetl.airflow.operators.base import ThreatConnectOperator, progress_log
from tcetl.airflow.triggers.batch import BatchJobsTrigger
from tcetl.client import ThreatConnect
from tcetl.errors import LoadError
from tcetl.load import LoadReport, MaxErrors, Receipt, Run, advance, finish, submit

LOOKS: Final = (0.25, 2.0)
"""Shortest and longest pause, in seconds, between two looks at a job before the task defers."""


class ThreatConnectBatchUploadOperator(ThreatConnectOperator):
    """Submit a planned load, wait for its jobs, and fail unless the platform took every record.

    The run directory is the truth: whoever dies when, worker or triggerer, the next try goes on where the directory
    says and uploads no chunk twice. Workers must all see the directory; the triggerer does not need it.

    Returns ``run_dir``, ``rejects`` (the dead-letter file), the owner and the counts.

    Args:
        run_dir: The planned load's directory.
        max_errors: Most records that the platform may refuse or leave before the task fails; or a share such as ``1%``.
        in_flight: Most jobs open on the platform at a time.
        timeout: For all jobs together, in one try.
        deferrable: Give up the worker while jobs run; by default as ``[operators] default_deferrable`` says.
        poll_interval: Seconds between two looks at the jobs once deferred.
        patience: Seconds to watch the jobs before deferring; short jobs end in them.
        **kwargs: As for every operator.
    """

    template_fields: Sequence[str] = ("run_dir", "max_errors", "threatconnect_conn_id")

    def __init__(
        self,
        *,
        run_dir: str,
        max_errors: MaxErrors = 0,
        in_flight: int = 2,
        timeout: timedelta = timedelta(hours=1),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 10.0,
        patience: float = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_dir = run_dir
        self.max_errors = max_errors
        self.in_flight = in_flight
        self.timeout = timeout
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.patience = patience

    def execute(self, context: Context) -> dict[str, Any]:
        """Take the load from where it stands to its end, or defer on the way."""
        return self._go_on(context, deadline=time.time() + self.timeout.total_seconds())

    def resume(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on when the trigger saw a job end, or could not go on watching."""
        return self._go_on(context, deadline=event["deadline"])

    def on_kill(self) -> None:
        """Say which jobs the platform still works on: it offers no way to stop them."""
        if isinstance(self.run_dir, str) and Run.is_planned(self.run_dir) and (jobs := _jobs(Run.open(self.run_dir))):
            self.log.warning("killed; jobs %s go on at the platform, and the next try with %s", jobs, self.run_dir)

    def _go_on(self, context: Context, *, deadline: float) -> dict[str, Any]:
        run = Run.open(self.run_dir)
        with self.hook.get_conn() as tc:
            if self.deferrable:
                self._advance_or_defer(tc, run, deadline)
                report = finish(run, max_errors=self.max_errors)
            else:
                report = submit(
                    tc,
                    run,
                    in_flight=self.in_flight,
                    timeout=deadline - time.time(),
                    max_errors=self.max_errors,
                    on_progress=progress_log(self.log.info),
                )
        return self.emit(context, _summary(report))

    def _advance_or_defer(self, tc: ThreatConnect, run: Run, deadline: float) -> None:
        """Return when every chunk has been answered for; else defer, once all that is left to do is to wait."""
        pause, longest = LOOKS
        patient_until = time.monotonic() + self.patience
        while not (progress := advance(tc, run, in_flight=self.in_flight)).done:
            self.log.info("%s of %s records answered for", f"{progress.answered:,}", f"{progress.records:,}")
            if time.time() >= deadline:
                raise LoadError(
                    f"load {run.path} is not done after {self.timeout}; open jobs: {_jobs(run)}",
                    hint="the next try goes on from there; or allow a longer timeout",
                )
            # A chunk on its way (no answer to an upload yet, errors not listed yet) needs `advance`, not watching.
            watching = progress.open_batch_ids == [r.batch_id for r in run.receipts() if r.phase == "uploaded"]
            if watching and time.monotonic() >= patient_until:
                self.defer(
                    trigger=BatchJobsTrigger(
                        threatconnect_conn_id=self.threatconnect_conn_id,
                        batch_ids=progress.open_batch_ids,
                        poll_interval=self.poll_interval,
                        deadline=deadline,
                    ),
                    method_name="resume",
                    # The trigger itself ends at the deadline; this is for a triggerer that is gone.
                    timeout=timedelta(seconds=max(deadline - time.time(), 0) + 3 * self.poll_interval + 60),
                )
            time.sleep(pause)
            pause = min(2 * pause, longest)


def _jobs(run: Run) -> str:
    return ", ".join(str(receipt.batch_id) for receipt in run.receipts() if _is_open(receipt))


def _is_open(receipt: Receipt) -> bool:
    return receipt.batch_id is not None and receipt.phase != "saved"


def _summary(report: LoadReport) -> dict[str, Any]:
    """What goes to XCom: paths, counts and ids. The whole report lies in the run directory."""
    return {
        "run_dir": report.run_dir,
        "rejects": report.rejects_path,
        "owner": report.owner,
        "rows_read": report.rows_read,
        "rejected": report.rejected,
        "duplicates": report.duplicates,
        "sent": report.sent,
        "succeeded": report.succeeded,
        "failed": report.failed,
        "unprocessed": report.unprocessed,
        "jobs": report.jobs,
        "seconds": report.seconds,
    }
