"""What is done with a run directory alone, without the platform: cut it into parts, judge it, plan its retry."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context, conf

from tcetl.airflow.operators.base import EtlOperator
from tcetl.load import MAX_PARTS, WAVES, LoadReport, MaxErrors, Run, finish, parts, retry
from tcetl.pipeline import commit_fetched


class BatchPartsOperator(EtlOperator):
    """Cut one wave of a planned load into parts to map an upload over, so that several workers take it at a time.

    The second wave holds what refers to records of the first: associations, and the files of groups. It is for a mapped
    task of its own, after that of the first.

    Returns the parts' names (``["0-3", "4-7"]``), each a few characters; the chunks stay in the run directory.

    Args:
        run_dir: The planned load's directory.
        wave: One of :data:`tcetl.load.WAVES`.
        max_parts: Most parts, and so most mapped tasks; no more than ``[core] max_map_length`` either.
        **kwargs: As for every operator.
    """

    template_fields: Sequence[str] = ("run_dir", "wave", "max_parts")

    def __init__(self, *, run_dir: str, wave: int = WAVES[0], max_parts: int = MAX_PARTS, **kwargs: Any) -> None:
        super().__init__(**({"multiple_outputs": False} | kwargs))
        self.run_dir = run_dir
        self.wave = wave
        self.max_parts = max_parts

    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - the signature is Airflow's
        """Name the parts."""
        most = min(int(self.max_parts), conf.getint("core", "max_map_length"))
        return parts(Run.open(self.run_dir), int(self.wave), most)


class BatchReportOperator(EtlOperator):
    """Judge a load whose parts were uploaded by mapped tasks: write dead letters and report, and only then fail.

    Runs as soon as none of them has failed; a load of no chunks at all is judged too. Returns what
    :class:`~tcetl.airflow.operators.upload.ThreatConnectBatchUploadOperator` returns for a whole load.

    Args:
        run_dir: The load's directory.
        max_errors: Most records that the platform may have refused or left; or a share such as ``1%``.
        **kwargs: As for every operator.
    """

    template_fields: Sequence[str] = ("run_dir", "max_errors")

    def __init__(self, *, run_dir: str, max_errors: MaxErrors = 0, **kwargs: Any) -> None:
        super().__init__(**({"trigger_rule": "none_failed_min_one_success"} | kwargs))
        self.run_dir = run_dir
        self.max_errors = max_errors

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge the load."""
        return self.emit(context, judge(Run.open(self.run_dir), self.max_errors))


class BatchRetryOperator(EtlOperator):
    """Plan a load of exactly those records of another one that were not loaded, as its dead letters have them now.

    Edit ``rejects.csv`` in the run directory first, where records need mending; an upload of the returned ``run_dir``
    comes next. Planned once: a second try takes up what the first has planned. Returns ``run_dir``, ``parent``,
    ``owner``, ``chunks`` and ``records``.

    Args:
        run_dir: A finished load's directory.
        new_run_dir: Directory of the retry; beside *run_dir* when empty.
        **kwargs: As for every operator.
    """

    template_fields: Sequence[str] = ("run_dir", "new_run_dir")

    def __init__(self, *, run_dir: str, new_run_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_dir = run_dir
        self.new_run_dir = new_run_dir

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan the retry, or take up the plan of an earlier try."""
        return self.emit(context, planned(retry(self.run_dir, self.new_run_dir or None)))


def planned(run: Run) -> dict[str, Any]:
    """What a planned load comes to, for XCom."""
    return {
        "run_dir": str(run.path),
        "owner": run.settings.owner,
        "chunks": len(run.chunks),
        "records": sum(chunk.records for chunk in run.chunks),
        **({"parent": run.plan.parent} if run.plan.parent else {}),
        **run.counts,
    }


def judge(run: Run, max_errors: MaxErrors) -> dict[str, Any]:
    """Judge *run*, which nobody may be at work on, and return what it came to, for XCom."""
    with run.exclusive():
        report = finish(run, max_errors=max_errors)
    commit_fetched(run)
    return summary(report)


def summary(report: LoadReport) -> dict[str, Any]:
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
