"""Tables → ThreatConnect, and loads that are planned already: resume, retry."""

from typing import TYPE_CHECKING, TypedDict, Unpack

import pyarrow as pa

from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError
from tcetl.feeds.sources import FetchState
from tcetl.load import MAX_BYTES, MAX_RECORDS, LoadReport, MaxErrors, Run, plan, retry, submit
from tcetl.load.storage import RunPath
from tcetl.pipeline.progress import AnyPath, OnProgress
from tcetl.schema import INDICATORS, REJECTS

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect


class Submitting(TypedDict, total=False):
    """How a planned load is submitted: the options of :func:`tcetl.load.submit`, with its defaults."""

    in_flight: int
    timeout: float
    stuck_after: float
    max_errors: MaxErrors


class Tables(TypedDict, total=False):
    """What can be loaded together; each in its schema of :mod:`tcetl.schema`."""

    indicators: pa.Table
    groups: pa.Table
    associations: pa.Table
    occurrences: pa.Table
    labels: pa.Table


def load_tables(
    tc: "ThreatConnect",
    owner: str,
    run_dir: AnyPath,
    *,
    settings: BatchSettings | None = None,
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
    submitting: Submitting | None = None,
    on_progress: OnProgress | None = None,
    **tables: Unpack[Tables],
) -> LoadReport:
    """Load indicators, groups, what joins them, and the groups' files; with a planned *run_dir*, go on with that.

    Args:
        tc: The connection.
        owner: ThreatConnect owner to load into; it must exist.
        run_dir: The load's directory: what was planned, sent and answered.
        settings: Batch job settings; the defaults of :class:`BatchSettings` for *owner* when None.
        max_records: Most records in a batch job, at most 25,000.
        max_bytes: Most bytes in a batch job.
        submitting: How to submit, where that is not by default.
        on_progress: Told of stage ``load``: records answered for, of records sent.
        **tables: What to load; see :func:`tcetl.load.plan`.

    Raises:
        LoadError: *run_dir* holds a load into another owner or by other settings, or the tables cannot be planned.
        OwnerNotFoundError: *owner* does not exist or is not visible.
        RejectedRecordsError: More than ``max_errors`` records were refused; they are in the run's rejects.
        ReconciliationError: The platform's counts do not add up to what was sent.
    """
    settings = settings or BatchSettings(owner=owner)
    if Run.is_planned(run_dir):
        check_settings(Run.open(run_dir), settings)
    else:
        tc.owner(owner)
        plan(
            tables.get("indicators", INDICATORS.empty_table()),
            REJECTS.empty_table(),
            run_dir,
            settings=settings,
            counts={},
            groups=tables.get("groups"),
            associations=tables.get("associations"),
            occurrences=tables.get("occurrences"),
            labels=tables.get("labels"),
            max_records=max_records,
            max_bytes=max_bytes,
        )
    return resume_load(tc, run_dir, on_progress=on_progress, **(submitting or {}))


def check_settings(run: Run, wanted: BatchSettings) -> None:
    """Raise LoadError unless *run* was planned with the settings *wanted*."""
    planned, asked = run.settings.to_json(), wanted.to_json()
    if differing := [key for key in planned | asked if planned.get(key) != asked.get(key)]:
        key = differing[0]
        raise LoadError(
            f"{run.path} holds a load with {key} {planned.get(key)!r}, not {asked.get(key)!r}",
            hint=f"go on with it as it was planned (tcetl batch resume {run.path}), or name another run directory",
        )


def resume_load(
    tc: "ThreatConnect",
    run_dir: AnyPath,
    *,
    on_progress: OnProgress | None = None,
    **submitting: Unpack[Submitting],
) -> LoadReport:
    """Take the planned load at *run_dir* from wherever it stands to its end.

    A load that has ended already is not sent again: its report is made anew from what the platform answered then.

    Args:
        tc: The connection.
        run_dir: A planned load, new or interrupted.
        on_progress: Told of stage ``load``: records answered for, of records sent.
        **submitting: How to submit, where that is not by default.

    Raises:
        LoadError: There is no plan; another process is at work on it; the time is up or a job is stuck.
        RejectedRecordsError: More than ``max_errors`` records were refused; they are in the run's rejects.
        ReconciliationError: The platform's counts do not add up to what was sent.
    """
    run = Run.open(run_dir)
    tc.owner(run.settings.owner)
    report = submit(tc, run, on_progress=on_progress, **submitting)
    commit_fetched(run)
    return report


def retry_load(
    tc: "ThreatConnect",
    run_dir: AnyPath,
    new_run_dir: AnyPath | None = None,
    *,
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
    on_progress: OnProgress | None = None,
    **submitting: Unpack[Submitting],
) -> LoadReport:
    """Send exactly those records of *run_dir* again that were not loaded, as its dead letters have them now.

    Planning alone is :func:`tcetl.load.retry`. Asked again, it goes on with the retry that it has begun.

    Args:
        tc: The connection.
        run_dir: A finished load.
        new_run_dir: Directory of the retry, a load like any other; beside *run_dir* when None: ``RUN-retry-1``.
        max_records: Most records in a batch job.
        max_bytes: Most bytes in a batch job.
        on_progress: Told of stage ``load``: records answered for, of records sent.
        **submitting: How to submit, where that is not by default.

    Raises:
        LoadError: As for :func:`tcetl.load.retry` and :func:`resume_load`.
        RejectedRecordsError: More than ``max_errors`` records were refused again.
        ReconciliationError: The platform's counts do not add up to what was sent.
    """
    run = retry(run_dir, new_run_dir, max_records=max_records, max_bytes=max_bytes)
    return resume_load(tc, str(run.path), on_progress=on_progress, **submitting)


def commit_fetched(run: Run) -> None:
    """Let what was learnt in fetching the feed of *run* count, now that it is loaded; see ``state`` of `plan_feed`."""
    FetchState.commit_kept(fetched_file(run))


def fetched_file(run: Run) -> RunPath:
    """Where *run* keeps what was learnt in fetching its feed, until it is loaded."""
    return run.path / "fetched.json"
