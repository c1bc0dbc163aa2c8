"""The few whole jobs, each a composition of the rooms and nothing more.

Airflow's operators and the ``tcetl`` command are two thin faces on these functions; a script may call them as well:

* feed → ThreatConnect: :func:`plan_feed` and :func:`load_feed`; then :func:`resume_load` and :func:`retry_load`; and
  before any of them, :func:`preview_feed`, :func:`preview_run`, :func:`preview_retry`
* tables of indicators, groups and associations → ThreatConnect: :func:`load_tables`
* ThreatConnect → lake: :func:`bulk_to_lake` and :func:`retrieve_to_lake`
* lake → SIEM: :func:`lake_to_siem`
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pyarrow as pa
from upath import UPath

from tcetl.catalogue import FeedDefinition, read, undeclared
from tcetl.client import ThreatConnect
from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError
from tcetl.feeds.sources import FetchState
from tcetl.lake import Dataset, open_dataset, publish
from tcetl.load import MAX_BYTES, MAX_RECORDS, LoadReport, MaxErrors, Run, plan, rehearse, retry, submit
from tcetl.load.diff import diff
from tcetl.load.preview import Preview, preview
from tcetl.schema import INDICATORS, REJECTS
from tcetl.siem import ExportReport, export
from tcetl.transform import TLP_LABELS, ColumnMap, Transform

OnProgress = Callable[[str, int, int | None], None]
"""Called with (stage, done, total or None) as a job goes on; the unit of done and total is the stage's own."""

AnyPath = str | os.PathLike[str]


class Submitting(TypedDict, total=False):
    """How a planned load is submitted: the options of :func:`tcetl.load.submit`, with its defaults."""

    in_flight: int
    timeout: float
    stuck_after: float
    max_errors: MaxErrors


def plan_feed(
    feed: AnyPath | FeedDefinition,
    owner: str,
    run_dir: AnyPath,
    *,
    format: str = "auto",  # noqa: A002 - the word users know
    state: AnyPath | None = None,
    settings: BatchSettings | None = None,
    rating: float | None = None,
    confidence: int | None = None,
    tags: Sequence[str] = (),
    columns: ColumnMap | None = None,
    transforms: Sequence[Transform | Callable[..., Any] | str] = (),
    groups: bool = False,
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
    on_progress: OnProgress | None = None,
) -> Run:
    """Turn the feed at *feed* into a planned load at *run_dir*: batch files, rejects and counts; nothing is sent.

    Args:
        feed: The feed: a path, a pattern of paths, or an address, as :func:`tcetl.feeds.open_feed` takes it; or one
            that is declared (see :func:`tcetl.catalogue.find`), which says the rest itself.
        owner: ThreatConnect owner that the indicators are for.
        run_dir: Directory to make; a directory that already holds a finished plan is refused.
        format: ``auto``, or one of the formats that :func:`tcetl.feeds.open_feed` names.
        state: File that remembers what was fetched, so that only what is new is loaded; it moves on when a load has
            ended well.
        settings: Batch job settings; the defaults of :class:`BatchSettings` for *owner* when None.
        rating: Rating (0-5) for rows that bring none of their own.
        confidence: Confidence (0-100) for rows that bring none of their own.
        tags: Tags for every indicator.
        columns: What the feed's columns mean; found by their names and values when None.
        transforms: Functions of the user's, in order: decorated by :func:`tcetl.transform.transform`, plain, or named
            as ``module:function``.
        groups: Load the reports, malware, events and so on of a STIX or MISP feed too, as groups with their indicators.
        max_records: Most records in a batch job, at most 25,000.
        max_bytes: Most bytes in a batch job.
        on_progress: Told of stage ``read``, in rows.

    Raises:
        FeedError: The feed is missing, empty, not a feed, or has no usable column.
        DriftError: A declared feed is not as it should be.
        NothingNewError: The provider says that nothing is new since the last load.
        LoadError: *run_dir* already holds a plan, or the plan cannot be written.
    """
    definition = feed if isinstance(feed, FeedDefinition) else undeclared(feed, format)
    known = FetchState(state) if state is not None else None
    reading = read(
        definition.adjusted(rating=rating, confidence=confidence, tags=tags),
        owner=owner,
        state=known,
        columns=columns,
        groups=groups,
        transforms=transforms,
        on_progress=_stage(on_progress, "read"),
    )
    run = plan(
        reading.indicators,
        reading.rejects,
        run_dir,
        settings=settings or BatchSettings(owner=owner),
        counts={**reading.counts, "rows_read": reading.counts["rows_read"] + reading.beside},
        groups=reading.groups,
        associations=reading.associations,
        occurrences=reading.occurrences,
        labels=TLP_LABELS,
        max_records=max_records,
        max_bytes=max_bytes,
    )
    if known is not None:
        known.keep(_fetched(run))
    return run


def commit_fetched(run: Run) -> None:
    """Let what was learnt in fetching the feed of *run* count, now that it is loaded; see ``state`` of `plan_feed`."""
    FetchState.commit_kept(_fetched(run))


def _fetched(run: Run) -> UPath:
    return UPath(run.path) / "fetched.json"


def load_feed(
    tc: ThreatConnect,
    feed: AnyPath | FeedDefinition,
    owner: str,
    run_dir: AnyPath,
    *,
    settings: BatchSettings | None = None,
    submitting: Submitting | None = None,
    on_progress: OnProgress | None = None,
    **planning: Any,
) -> LoadReport:
    """Load the feed at *feed* into *owner*; with a *run_dir* that holds a plan, go on where that run stopped.

    Args:
        tc: The connection.
        feed: The feed: a path, a pattern of paths, or an address, as :func:`tcetl.feeds.open_feed` takes it; or one
            that is declared (see :func:`tcetl.catalogue.find`), which says the rest itself.
        owner: ThreatConnect owner to load into; it must exist.
        run_dir: The load's directory: what was planned, sent and answered.
        settings: Batch job settings; the defaults of :class:`BatchSettings` for *owner* when None.
        submitting: How to submit, where that is not by default.
        on_progress: Told of stages ``read`` (rows) and ``load`` (records answered for, of records sent).
        **planning: As for :func:`plan_feed`.

    Raises:
        LoadError: *run_dir* holds a load into another owner or by other settings.
        OwnerNotFoundError: *owner* does not exist or is not visible.
        RejectedRecordsError: More than ``max_errors`` records were refused; they are in the run's rejects.
        ReconciliationError: The platform's counts do not add up to what was sent.
    """
    settings = settings or BatchSettings(owner=owner)
    if Run.is_planned(run_dir):
        check_settings(Run.open(run_dir), settings)
    else:
        tc.owner(owner)  # before any work: a typo here is the commonest mistake
        plan_feed(feed, owner, run_dir, settings=settings, on_progress=on_progress, **planning)
    return resume_load(tc, run_dir, on_progress=on_progress, **(submitting or {}))


class Tables(TypedDict, total=False):
    """What can be loaded together; each in its schema of :mod:`tcetl.schema`."""

    indicators: pa.Table
    groups: pa.Table
    associations: pa.Table
    occurrences: pa.Table
    labels: pa.Table


def load_tables(
    tc: ThreatConnect,
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
    tc: ThreatConnect,
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
    tc: ThreatConnect,
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


def preview_feed(
    feed: AnyPath | FeedDefinition,
    owner: str,
    run_dir: AnyPath | None = None,
    *,
    settings: BatchSettings | None = None,
    diff_with: ThreatConnect | None = None,
    on_progress: OnProgress | None = None,
    **planning: Any,
) -> Preview:
    """Show what :func:`load_feed` would send; nothing is sent, and nothing kept.

    Args:
        feed: The feed's file.
        owner: ThreatConnect owner that the indicators would be for.
        run_dir: The load's directory, if it has one; of a load planned there, show what is left to send.
        settings: Batch job settings; the defaults of :class:`BatchSettings` for *owner* when None.
        diff_with: Read what the owner holds here, and tell what would change; see :mod:`tcetl.load.diff`.
        on_progress: Told of stages ``read`` (rows) and ``compare`` (indicators read from the platform).
        **planning: As for :func:`plan_feed`.

    Raises:
        FeedError: The feed cannot be used.
        LoadError: *run_dir* holds a load into another owner or by other settings.
        OwnerNotFoundError: The owner to compare with does not exist or is not visible.
    """
    settings = settings or BatchSettings(owner=owner)
    if run_dir is not None and Run.is_planned(run_dir):
        check_settings(Run.open(run_dir), settings)
        return preview_run(run_dir, diff_with=diff_with, on_progress=on_progress)
    with tempfile.TemporaryDirectory(prefix="tcetl-preview-") as scratch:
        scratch_run = Path(scratch) / "run"
        run = plan_feed(feed, owner, scratch_run, settings=settings, on_progress=on_progress, **planning)
        return _preview(run, diff_with, on_progress, scratch=True)


def preview_run(
    run_dir: AnyPath, *, diff_with: ThreatConnect | None = None, on_progress: OnProgress | None = None
) -> Preview:
    """Show what :func:`resume_load` would yet send of *run_dir*; as :func:`preview_feed`."""
    return _preview(Run.open(run_dir), diff_with, on_progress)


def preview_retry(
    run_dir: AnyPath,
    *,
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
    diff_with: ThreatConnect | None = None,
    on_progress: OnProgress | None = None,
) -> Preview:
    """Show what :func:`retry_load` would send of *run_dir*, with the edits as they are now; as :func:`preview_feed`.

    Raises:
        LoadError: As for :func:`tcetl.load.retry`.
    """
    with tempfile.TemporaryDirectory(prefix="tcetl-preview-") as scratch:
        run = rehearse(run_dir, Path(scratch) / "run", max_records=max_records, max_bytes=max_bytes)
        return _preview(run, diff_with, on_progress, scratch=run.path.parent == Path(scratch))


def _preview(
    run: Run, diff_with: ThreatConnect | None, on_progress: OnProgress | None, *, scratch: bool = False
) -> Preview:
    shown = preview(run, scratch=scratch)
    if diff_with is None:
        return shown
    return replace(shown, diff=diff(diff_with, run, on_progress=on_progress))


def bulk_to_lake(
    tc: ThreatConnect,
    owner: str,
    lake: AnyPath,
    *,
    run_id: str,
    run_now: bool = False,
    max_age: timedelta | None = None,
    on_progress: OnProgress | None = None,
) -> Dataset:
    """Stream *owner*'s bulk report into one published Parquet dataset.

    Records of the report that are no indicators are kept beside the dataset and counted in it (``rejected``).

    Args:
        tc: The connection.
        owner: Owner whose JSON bulk report is enabled.
        lake: Root folder of the lake.
        run_id: Name of this run; running it again replaces its dataset.
        run_now: Ask the platform for a fresh report first and wait for it.
        max_age: Refuse a report older than this.
        on_progress: Told of stage ``download``, in bytes.

    Raises:
        BulkReportError: The report is disabled, stale, still being made, damaged, or changed while it was read.
        PublishError: The dataset cannot be written; what readers see is as it was before.
    """
    forward = _stage(on_progress, "download")
    with tc.bulk.json(owner, run_now=run_now, max_age=max_age, on_progress=forward) as download:
        return publish(
            download,
            lake,
            run_id=run_id,
            source=f"{tc.settings.host}/{owner}",
            details={"owner": owner, "kind": "bulk"},
            rejects=lambda: download.rejects,
        )


def retrieve_to_lake(
    tc: ThreatConnect,
    owner: str,
    lake: AnyPath,
    *,
    run_id: str,
    type: str | None = None,  # noqa: A002 - the API's word
    filters: Sequence[str] = (),
    match_any: bool = False,
    modified_since: datetime | None = None,
    on_progress: OnProgress | None = None,
) -> Dataset:
    """Page *owner*'s indicators through API filters into one published Parquet dataset.

    Args:
        tc: The connection.
        owner: Owner to read from.
        lake: Root folder of the lake.
        run_id: Name of this run; running it again replaces its dataset.
        type: One indicator type, such as ``Host``; all when None.
        filters: API filters such as ``confidence>50``.
        match_any: Keep what matches any filter instead of all.
        modified_since: Only indicators modified at or after this time.
        on_progress: Told of stage ``retrieve``, in indicators.

    Raises:
        ApiError: The platform refused the request.
        PublishError: The dataset cannot be written; what readers see is as it was before.
    """
    forward = _stage(on_progress, "retrieve")
    batches = tc.indicators(
        owner, type=type, filters=filters, match_any=match_any, modified_since=modified_since, on_progress=forward
    )
    details = {"owner": owner, "kind": "retrieve", "type": type, "filters": list(filters)}
    return publish(batches, lake, run_id=run_id, source=f"{tc.settings.host}/{owner}", details=details)


def lake_to_siem(
    dataset: AnyPath,
    out: AnyPath,
    format: str,  # noqa: A002 - the word users know
    *,
    allow_empty: bool = False,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> ExportReport:
    """Write a dataset as lines of one SIEM format.

    Args:
        dataset: A dataset's folder, or a lake's root, which stands for its latest dataset.
        out: File to write; it appears whole or not at all.
        format: One of :data:`tcetl.siem.FORMATS`.
        allow_empty: Write an empty file for an empty dataset instead of failing.
        on_progress: Told of stage ``export``, in indicators.
        **options: The format's own options.

    Raises:
        PublishError: No such dataset, an incomplete one, or the file cannot be written.
    """
    return export(
        open_dataset(dataset).batches(),
        out,
        format,
        allow_empty=allow_empty,
        on_progress=_stage(on_progress, "export"),
        **options,
    )


def _stage(on_progress: OnProgress | None, stage: str) -> Callable[..., None] | None:
    """A room's own progress callback (done, or done and total) that reports as *stage*."""
    if on_progress is None:
        return None
    return lambda done, total=None, *_: on_progress(stage, done, total)
