"""Records in the order of their identity, however many there are, in bounded memory.

Rows that are in order already are made into records as these are asked for. Others are written aside in sorted runs.
"""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl.errors import LoadError
from tcetl.sorted_runs import SortedRuns

KEYS: Final = ["type", "summary"]
"""The identity of an indicator in its owner, by which records are sorted."""


class Ordered(ABC):
    """Records in :data:`tcetl.load.records.COLUMNS`, ``rows`` of them, to be read in order as often as needed."""

    rows: int

    @abstractmethod
    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the records sorted by type and summary, some at a time.

        Raises:
            LoadError: One is there twice.
        """

    @abstractmethod
    def summaries(self, type_: str) -> pl.Series:
        """The summaries of all records of *type_*, in no order."""


@contextmanager
def ordered(
    rows: pa.Table | Iterable[pa.RecordBatch], records: Callable[[Iterable[pa.RecordBatch]], Iterable[pl.DataFrame]]
) -> Iterator[Ordered]:
    """Give the records of *rows* in order for the block.

    More than one frame of them lies in a temporary folder meanwhile, unless *rows* is a table that is in order.

    Args:
        rows: INDICATORS in any order.
        records: Makes the records of rows, in frames that each are sorted and fit in memory.

    Raises:
        PublishError: The temporary folder cannot be written.
    """
    if isinstance(rows, pa.Table):
        keys, rows = pl.DataFrame(rows.select(KEYS)), rows.to_batches()
        if in_order(keys):
            yield _AsTheyAre(keys, partial(records, rows))
            return
    with tempfile.TemporaryDirectory(prefix="tcetl-plan-") as folder:
        yield _Spilled(records(rows), Path(folder) / "runs.arrow")


def in_order(rows: pl.DataFrame) -> bool:
    """Whether *rows* are sorted by type and summary, and none is there twice."""
    type_, summary = (pl.col(key) for key in KEYS)
    after = (type_ > type_.shift()) | ((type_ == type_.shift()) & (summary > summary.shift()))
    return bool(rows.select(after.all()).item())


class _AsTheyAre(Ordered):
    """The records of rows that are in order."""

    def __init__(self, keys: pl.DataFrame, records: Callable[[], Iterable[pl.DataFrame]]) -> None:
        self.rows = keys.height
        self._keys = keys
        self._records = records

    def frames(self) -> Iterator[pl.DataFrame]:
        yield from self._records()

    def summaries(self, type_: str) -> pl.Series:
        return self._keys.filter(type=type_)["summary"]


class _Spilled(Ordered):
    """Records that lie aside in sorted runs."""

    def __init__(self, frames: Iterable[pl.DataFrame], path: Path) -> None:
        self._runs = SortedRuns(path, KEYS)
        with self._runs.writing() as write:
            for frame in frames:
                write(frame)
        self.rows = self._runs.rows

    def frames(self) -> Iterator[pl.DataFrame]:
        for frame in self._runs.frames():
            _check_unique(frame)
            yield frame

    def summaries(self, type_: str) -> pl.Series:
        found = [keys.filter(type=type_)["summary"] for keys in self._runs.pieces(KEYS)]
        return pl.concat([pl.Series(dtype=pl.String), *found])


def _check_unique(keys: pl.DataFrame) -> None:
    """Raise LoadError if the sorted *keys* have one twice."""
    twice = keys.filter((pl.col("type") == pl.col("type").shift()) & (pl.col("summary") == pl.col("summary").shift()))
    if twice.height:
        raise LoadError(
            f"{twice['type'][0]} {twice['summary'][0]!r} is there more than once ({twice.height} such rows)",
            hint="merge duplicates before planning",
        )
