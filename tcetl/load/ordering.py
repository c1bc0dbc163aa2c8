"""Records in the order of their identity, however many there are, in bounded memory.

Rows that are in order already are made into records as these are asked for. Others are written aside in sorted runs,
and these are merged: what lies between two keys is read of every run, and sorted together.
"""

import tempfile
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl.atomic import closing_writes, publish_errors
from tcetl.errors import LoadError
from tcetl.load.records import COLUMNS

KEYS: Final = ["type", "summary"]
"""The identity of an indicator in its owner, by which records are sorted."""
_PIECES: Final = 25
"""Pieces that a run is written in; as many, of whatever runs, are sorted together."""
_WRITTEN: Final = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_PLAIN: Final = pl.CompatLevel.oldest()  # a view of text would take all of the text it was cut from along

_Key = tuple[str, str]
_Piece = tuple[int, _Key]
"""Its number in the file, and the key that it begins with."""


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
        yield _Runs(iter(records(rows)), Path(folder) / "runs.arrow")


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


class _Runs(Ordered):
    """Sorted runs of records in one file, which has each of them in pieces."""

    def __init__(self, runs: Iterable[pl.DataFrame], path: Path) -> None:
        self.rows = 0
        self._path = path
        self._pieces: list[list[_Piece]] = []  # of every run
        number = 0
        with closing_writes(path) as opened:
            writer = None
            for run in runs:
                table, size = run.to_arrow(compat_level=_PLAIN), -(-run.height // _PIECES)
                with publish_errors(path):
                    writer = writer or opened.enter_context(pa.ipc.new_file(str(path), table.schema, options=_WRITTEN))
                    writer.write_table(table, max_chunksize=size)
                self._pieces.append(list(enumerate(run.select(KEYS).gather_every(size).rows(), number)))
                number += len(self._pieces[-1])
                self.rows += run.height

    def frames(self) -> Iterator[pl.DataFrame]:
        firsts = sorted(first for pieces in self._pieces for _, first in pieces)
        with self._opened(COLUMNS) as read:
            runs = [_Run(read, pieces) for pieces in self._pieces]
            for bound in (*firsts[_PIECES::_PIECES], None):
                if parts := [part for run in runs for part in run.before(bound)]:
                    frame = pl.concat(parts).sort(pl.struct(KEYS))
                    _check_unique(frame)
                    yield frame

    def summaries(self, type_: str) -> pl.Series:
        with self._opened(KEYS) as read:
            found = [read(number).filter(type=type_)["summary"] for pieces in self._pieces for number, _ in pieces]
        return pl.concat([pl.Series(dtype=pl.String), *found])

    @contextmanager
    def _opened(self, columns: Iterable[str]) -> Iterator[Callable[[int], pl.DataFrame]]:
        """Give a function that reads *columns* of a piece, by its number."""
        if not self._pieces:
            yield lambda _: pl.DataFrame()
            return
        options = pa.ipc.IpcReadOptions(included_fields=[COLUMNS.index(name) for name in columns])
        with pa.OSFile(str(self._path)) as source, pa.ipc.open_file(source, options=options) as file:
            yield lambda number: pl.DataFrame(file.get_batch(number))


class _Run:
    """What nobody has taken yet of a run."""

    def __init__(self, read: Callable[[int], pl.DataFrame], pieces: Iterable[_Piece]) -> None:
        self._read = read
        self._pieces = deque(pieces)
        self._begun = pl.DataFrame()  # what is left of a piece that is read already

    def before(self, bound: _Key | None) -> Iterator[pl.DataFrame]:
        """Take the records before *bound*; all for None."""
        while self._begun.height or (self._pieces and (bound is None or self._pieces[0][1] < bound)):
            piece = self._begun if self._begun.height else self._read(self._pieces.popleft()[0])
            count = piece.height if bound is None else _before(piece, bound)
            yield piece[:count]
            self._begun = piece[count:]
            if self._begun.height:
                return


def _before(piece: pl.DataFrame, bound: _Key) -> int:
    """How many records of the sorted *piece* come before *bound*."""
    types, summaries = (piece[key] for key in KEYS)
    return bisect_left(range(piece.height), bound, key=lambda at: (types[at], summaries[at]))


def _check_unique(keys: pl.DataFrame) -> None:
    """Raise LoadError if the sorted *keys* have one twice."""
    twice = keys.filter((pl.col("type") == pl.col("type").shift()) & (pl.col("summary") == pl.col("summary").shift()))
    if twice.height:
        raise LoadError(
            f"{twice['type'][0]} {twice['summary'][0]!r} is there more than once ({twice.height} such rows)",
            hint="merge duplicates before planning",
        )
