"""ThreatConnect → lake."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from tcetl.client import ThreatConnect
from tcetl.lake import Dataset, publish
from tcetl.pipeline.progress import AnyPath, OnProgress, stage_progress


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
    forward = stage_progress(on_progress, "download")
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
    forward = stage_progress(on_progress, "retrieve")
    batches = tc.indicators(
        owner, type=type, filters=filters, match_any=match_any, modified_since=modified_since, on_progress=forward
    )
    details = {"owner": owner, "kind": "retrieve", "type": type, "filters": list(filters)}
    return publish(batches, lake, run_id=run_id, source=f"{tc.settings.host}/{owner}", details=details)
