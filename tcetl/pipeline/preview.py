"""What a planned load, or a retry, would send."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tcetl.load import MAX_BYTES, MAX_RECORDS, Run, rehearse
from tcetl.load.preview import Preview, preview
from tcetl.pipeline.progress import AnyPath, OnProgress

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect


def preview_run(
    run_dir: AnyPath, *, diff_with: "ThreatConnect | None" = None, on_progress: OnProgress | None = None
) -> Preview:
    """Show what :func:`resume_load` would yet send of *run_dir*; as :func:`preview_feed`."""
    return preview_of(Run.open(run_dir), diff_with, on_progress)


def preview_retry(
    run_dir: AnyPath,
    *,
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
    diff_with: "ThreatConnect | None" = None,
    on_progress: OnProgress | None = None,
) -> Preview:
    """Show what :func:`retry_load` would send of *run_dir*, with the edits as they are now; as :func:`preview_feed`.

    Raises:
        LoadError: As for :func:`tcetl.load.retry`.
    """
    with tempfile.TemporaryDirectory(prefix="tcetl-preview-") as scratch:
        run = rehearse(run_dir, Path(scratch) / "run", max_records=max_records, max_bytes=max_bytes)
        return preview_of(run, diff_with, on_progress, scratch=run.path.parent == Path(scratch))


def preview_of(
    run: Run, diff_with: "ThreatConnect | None", on_progress: OnProgress | None, *, scratch: bool = False
) -> Preview:
    """What *run* would send, and its difference from what *diff_with* holds, if that is given."""
    shown = preview(run, scratch=scratch)
    if diff_with is None:
        return shown
    from tcetl.load.diff import diff  # noqa: PLC0415 - brings what compares with the platform along

    return replace(shown, diff=diff(diff_with, run, on_progress=on_progress))
