"""A dataset of the lake becomes lines for a SIEM."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Context

from tcetl.airflow.operators.base import EtlOperator, progress_log
from tcetl.pipeline import lake_to_siem


class IndicatorExportOperator(EtlOperator):
    """Write a dataset as lines of one SIEM format; the file appears whole or not at all.

    Returns ``path``, ``format``, ``written``, ``skipped`` and ``truncated`` (by reason), ``bytes`` and ``sha256``.

    Args:
        dataset: A dataset's folder, or a lake's root for its latest.
        format: One of :data:`tcetl.siem.FORMATS`.
        out: File to write.
        allow_empty: Write an empty file for an empty dataset instead of failing.
        options: The format's own options.
        **kwargs: As for every operator.
    """

    template_fields: Sequence[str] = ("dataset", "format", "out", "options")

    def __init__(
        self,
        *,
        dataset: str,
        format: str,  # noqa: A002 - the word users know
        out: str,
        allow_empty: bool = False,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.format = format
        self.out = out
        self.allow_empty = allow_empty
        self.options = options

    def execute(self, context: Context) -> dict[str, Any]:
        """Export the dataset."""
        report = lake_to_siem(
            self.dataset,
            self.out,
            self.format,
            allow_empty=self.allow_empty,
            on_progress=progress_log(self.log.info),
            **(self.options or {}),
        )
        return self.emit(context, report.to_json())
