"""Writing indicators as a file of one format: counted, checked, and published whole or not at all."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from tcetl.ahead import ahead
from tcetl.atomic import AtomicFile
from tcetl.errors import ConfigError, PublishError
from tcetl.siem.cef import Cef
from tcetl.siem.csv import Csv
from tcetl.siem.format import Encoded, Format, with_options
from tcetl.siem.ndjson import Ndjson

FORMATS: Final[Mapping[str, type[Format]]] = {"cef": Cef, "csv": Csv, "ndjson": Ndjson}
"""The formats by name; a further one is a module and a line here."""


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote: records written and skipped (by reason), values truncated (by field), and the file."""

    path: Path
    format: str
    written: int
    skipped: dict[str, int]
    truncated: dict[str, int]
    bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-ready values: small, for XComs and reports."""
        return {**asdict(self), "path": str(self.path)}


def export(
    batches: Iterable[pa.RecordBatch],
    path: str | os.PathLike[str],
    format: str,  # noqa: A002 - the word users know
    *,
    allow_empty: bool = False,
    on_progress: Callable[[int], None] | None = None,
    **options: Any,
) -> ExportReport:
    """Write *batches* to *path* in *format*, one record batch in memory at a time.

    The records stand in the order in which they come (:meth:`tcetl.lake.Dataset.batches_in_order` gives them sorted).
    The file appears when it is complete; if anything fails, the source included, what was at *path* before is still
    there.

    Args:
        batches: Record batches of INDICATORS, or of the columns that ``FORMATS[format].columns`` names.
        path: File to write or replace; missing folders are made.
        format: A name in :data:`FORMATS`.
        allow_empty: Write the file even if no record was written.
        on_progress: Called with the records read so far.
        **options: The format's own options; see its class.

    Raises:
        ConfigError: The format or an option is unknown, or an option has no such value.
        PublishError: The file cannot be written, or no record was written; what the source raises passes through.
    """
    if format not in FORMATS:
        raise ConfigError(f"no export format {format!r}", hint=f"known are {', '.join(FORMATS)}")
    encoder = with_options(FORMATS[format], format, options)

    target = Path(path).absolute()
    read = written = 0
    skipped: Counter[str] = Counter()
    truncated: Counter[str] = Counter()
    with AtomicFile(target) as file:
        file.write(encoder.header())
        for rows, encoded in ahead(partial(_encode, encoder=encoder), batches):
            file.write(encoded.text)
            read += rows
            written += encoded.written
            skipped.update(encoded.skipped)
            truncated.update(encoded.truncated)
            if on_progress:
                on_progress(read)

        if not written and not allow_empty:
            raise PublishError(
                f"nothing to write to {target}: {read:,} records read, {skipped.total():,} skipped",
                hint="check the dataset, or allow an empty file (allow_empty, --allow-empty)",
            )

    # + drops what never happened
    return ExportReport(target, format, written, dict(+skipped), dict(+truncated), file.size, file.sha256)


def _encode(batch: pa.RecordBatch, encoder: Format) -> tuple[int, Encoded]:
    """Return the rows and the text of *batch*."""
    frame = pl.from_arrow(batch.select(encoder.columns))
    assert isinstance(frame, pl.DataFrame)  # a record batch never becomes a Series
    return frame.height, encoder.encode(frame)
