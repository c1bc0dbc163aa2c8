"""Feed → ThreatConnect."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from tcetl.catalogue import Adjusting, FeedDefinition, adjust, read, undeclared
from tcetl.client.batch import BatchSettings
from tcetl.feeds.sources import FetchState
from tcetl.load import MAX_BYTES, MAX_RECORDS, LoadReport, Run, plan
from tcetl.load.preview import Preview
from tcetl.pipeline.load import Submitting, check_settings, fetched_file, resume_load
from tcetl.pipeline.preview import preview_of, preview_run
from tcetl.pipeline.progress import AnyPath, OnProgress, stage_progress
from tcetl.transform import ColumnMap, Transform, label_table

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect


def plan_feed(
    feed: AnyPath | FeedDefinition,
    owner: str,
    run_dir: AnyPath,
    *,
    format: str = "auto",  # noqa: A002 - the word users know
    state: AnyPath | None = None,
    settings: BatchSettings | None = None,
    columns: ColumnMap | Mapping[str, Any] | None = None,
    transforms: Sequence[Transform | Callable[..., Any] | str] = (),
    groups: bool = False,
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
    on_progress: OnProgress | None = None,
    **adjusting: Unpack[Adjusting],
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
        columns: What the feed's columns mean; what some of them mean, by role, where a mapping such as
            ``{"value": "url", "also": {"ip": "Address"}}``; all others are found by their names and values.
        transforms: Functions of the user's, in order: decorated by :func:`tcetl.transform.transform`, plain, or named
            as ``module:function``.
        groups: Load the reports, malware, events, rules and so on of a STIX or MISP feed too, as groups with their
            indicators.
        max_records: Most records in a batch job, at most 25,000.
        max_bytes: Most bytes in a batch job.
        on_progress: Told of stage ``read``, in rows.
        **adjusting: What the indicators get, and what is not to be loaded: ``rating``, ``confidence``, ``tags``,
            ``security_labels``, ``allow``, ``scores``, ``decay``; ``options`` of the format's reader, ``member`` and
            ``password_env`` of an archive. See :class:`tcetl.catalogue.Adjusting`.

    Raises:
        FeedError: The feed is missing, empty, not a feed, or has no usable column.
        DriftError: A declared feed is not as it should be, or nothing in a feed can be loaded.
        NothingNewError: The provider says that nothing is new since the last load.
        LoadError: *run_dir* already holds a plan, or the plan cannot be written.
    """
    definition = adjust(feed if isinstance(feed, FeedDefinition) else undeclared(feed, format), **adjusting)
    known = FetchState(state) if state is not None else None
    reading = read(
        definition,
        owner=owner,
        state=known,
        columns=columns,
        groups=groups,
        transforms=transforms,
        on_progress=stage_progress(on_progress, "read"),
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
        labels=label_table(definition.security_labels),
        notes=reading.remarks,
        max_records=max_records,
        max_bytes=max_bytes,
    )
    if known is not None:
        known.keep(fetched_file(run))
    return run


def load_feed(
    tc: "ThreatConnect",
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


def preview_feed(
    feed: AnyPath | FeedDefinition,
    owner: str,
    run_dir: AnyPath | None = None,
    *,
    settings: BatchSettings | None = None,
    diff_with: "ThreatConnect | None" = None,
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
        return preview_of(run, diff_with, on_progress, scratch=True)
