"""Lake → SIEM."""

from typing import Any

from tcetl.lake import open_dataset
from tcetl.pipeline.progress import AnyPath, OnProgress, stage_progress
from tcetl.siem import ExportReport, export


def lake_to_siem(
    dataset: AnyPath,
    out: AnyPath,
    format: str,  # noqa: A002 - the word users know
    *,
    allow_empty: bool = False,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> ExportReport:
    """Write a dataset as lines of one SIEM format, in the order of owner, type and summary.

    The same indicators make the same bytes, in whatever order the platform reported them.

    Args:
        dataset: A dataset's folder, or a lake's root, which stands for its latest dataset.
        out: File to write; it appears whole or not at all.
        format: One of :data:`tcetl.siem.FORMATS`.
        allow_empty: Write an empty file for an empty dataset instead of failing.
        on_progress: Told of stages ``sort`` (of a dataset that does not fit in memory) and ``export``, in indicators.
        **options: The format's own options.

    Raises:
        PublishError: No such dataset, an incomplete one, or the file or the temporary folder cannot be written.
    """
    return export(
        open_dataset(dataset).batches_in_order(on_progress=stage_progress(on_progress, "sort")),
        out,
        format,
        allow_empty=allow_empty,
        on_progress=stage_progress(on_progress, "export"),
        **options,
    )
