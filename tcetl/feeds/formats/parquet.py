"""Parquet files, batch by batch."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tcetl.errors import FeedError
from tcetl.feeds.base import ROW, RawBatch
from tcetl.feeds.cells import as_text_column
from tcetl.feeds.format import Format
from tcetl.feeds.sniff import column_names
from tcetl.feeds.source import Source

_MAGIC: Final = b"PAR1"
_BATCH: Final = 65_536


class ParquetFeed:
    """A feed of the rows of a Parquet file, of any schema; ``_row`` is the 1-based row.

    Args:
        source: The file.
        name: The feed's name.
    """

    format = "parquet"
    notes: Sequence[str] = ()
    comments: Sequence[str] = ()

    def __init__(self, source: Source, name: str) -> None:
        self.name = name
        self.file = source.location
        self._source = source
        with self._source.open_seekable() as stream:
            self.columns: Sequence[str] = column_names(self._open(stream).schema_arrow.names)

    def batches(self) -> Iterator[RawBatch]:
        """Yield the rows; no more than a batch of a row group is decoded at a time.

        Raises:
            FeedError: the file is damaged, or holds no rows.
        """
        row = 1
        with self._source.open_seekable() as stream:
            file = self._open(stream)
            batches = file.iter_batches(batch_size=_BATCH, use_threads=False)
            while (batch := self._next(batches)) is not None:
                numbers = pl.int_range(row, row + batch.num_rows, dtype=pl.Int64, eager=True)
                cells = [
                    as_text_column(column).alias(name) for name, column in zip(self.columns, batch.columns, strict=True)
                ]
                yield RawBatch(pl.DataFrame([*cells, numbers.alias(ROW)]))
                row += batch.num_rows
        if row == 1:
            raise FeedError(f"feed file {self.file} holds no records", hint="is the feed empty today?")

    def _open(self, stream: object) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(stream, pre_buffer=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from None

    def _next(self, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        try:
            return next(batches, None)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> FeedError:
        reason = str(error).partition("\n")[0]
        return FeedError(f"feed file {self.file} is damaged or no Parquet file: {reason}", hint="fetch it again")


FORMAT: Final = Format(
    "parquet", "a Parquet file of any schema", ParquetFeed, lambda source: source.head.startswith(_MAGIC)
)
