"""Record batches in the order of their identity, however many there are, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl.schema import conform
from tcetl.sorted_runs import SortedRuns

KEY: Final = ("owner_name", "type", "summary", "id")
"""What records are sorted by: their identity, in bytes of UTF-8; the id sets apart what should not be there twice."""

_ROWS: Final = 16_384
_BYTES: Final = 32 << 20
"""Records, and their bytes in memory, that are sorted at once."""
_SLICE: Final = 8_192
_SORTED: Final = (*KEY[:-1], "id_or_none")  # which has no nulls, as the key of a run must


def in_order(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, on_progress: Callable[[int], None] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield *batches* of *schema*, which has at least the columns of :data:`KEY`, sorted by these.

    They lie in a temporary folder meanwhile.

    Args:
        batches: Record batches in any order.
        schema: That of each of them.
        on_progress: Called with the rows that are written aside so far.

    Raises:
        PublishError: The temporary folder cannot be written.
    """
    with TemporaryDirectory(prefix="tcetl-sort-") as folder:
        runs = SortedRuns(Path(folder) / "runs.arrow", _SORTED)
        with runs.writing() as write:
            for run in _runs(batches):
                write(run)
                if on_progress:
                    on_progress(runs.rows)
        for frame in runs.frames():
            for part in frame.iter_slices(_SLICE):
                yield from conform(part.drop(_SORTED[-1]).to_arrow().to_batches(), schema)


def _runs(batches: Iterable[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    """Yield *batches*, some at a time, each time sorted."""
    some: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        some.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _ROWS or size >= _BYTES:
            yield _sorted(some)
            some, rows, size = [], 0, 0
    if some:
        yield _sorted(some)


def _sorted(batches: list[pa.RecordBatch]) -> pl.DataFrame:
    frame = pl.DataFrame(pa.Table.from_batches(batches))
    return frame.with_columns(pl.col("id").fill_null(-1).alias(_SORTED[-1])).sort(pl.struct(_SORTED))
