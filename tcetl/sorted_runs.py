"""More rows than memory holds, in order: written aside in sorted runs, and merged.

What lies between two keys is read of every run, and sorted together.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from tcetl.atomic import closing_writes, publish_errors

_PIECES: Final = 25
"""Pieces that a run is written in; as many, of whatever runs, are sorted together."""
_WRITTEN: Final = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_PLAIN: Final = pl.CompatLevel.oldest()  # a view of text would take all of the text it was cut from along

_Key = tuple[Any, ...]
_Piece = tuple[int, _Key]
"""Its number in the file, and the key that it begins with."""


class SortedRuns:
    """Sorted runs of rows in one file, which has each of them in pieces.

    Args:
        path: The file to make.
        keys: Columns to sort by, none of which has nulls.

    Attributes:
        rows: How many were written.
    """

    def __init__(self, path: Path, keys: Sequence[str]) -> None:
        self.rows = 0
        self._path = path
        self._keys = list(keys)
        self._columns: list[str] = []
        self._pieces: list[list[_Piece]] = []  # of every run

    @contextmanager
    def writing(self) -> Iterator[Callable[[pl.DataFrame], None]]:
        """Give, for the block, what writes a run: a frame that is sorted by the keys, of the columns of all others.

        Raises:
            PublishError: The file cannot be written.
        """
        number, writer = 0, None

        def write(run: pl.DataFrame) -> None:
            nonlocal number, writer
            if run.is_empty():
                return
            table, size = run.to_arrow(compat_level=_PLAIN), -(-run.height // _PIECES)
            with publish_errors(self._path):
                writer = writer or opened.enter_context(
                    pa.ipc.new_file(str(self._path), table.schema, options=_WRITTEN)
                )
                writer.write_table(table, max_chunksize=size)
            self._columns = run.columns
            self._pieces.append(list(enumerate(run.select(self._keys).gather_every(size).rows(), number)))
            number += len(self._pieces[-1])
            self.rows += run.height

        with closing_writes(self._path) as opened:
            yield write

    def frames(self, columns: Iterable[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield all rows in order, some at a time; of *columns*, the keys among them, or of all."""
        firsts = sorted(first for pieces in self._pieces for _, first in pieces)
        with self._opened(columns) as read:
            runs = [_Run(read, self._keys, pieces) for pieces in self._pieces]
            for bound in (*firsts[_PIECES::_PIECES], None):
                if parts := [part for run in runs for part in run.before(bound)]:
                    yield pl.concat(parts).sort(pl.struct(self._keys))

    def pieces(self, columns: Iterable[str]) -> Iterator[pl.DataFrame]:
        """Yield *columns* of all rows as they were written."""
        with self._opened(columns) as read:
            for pieces in self._pieces:
                for number, _ in pieces:
                    yield read(number)

    @contextmanager
    def _opened(self, columns: Iterable[str] | None) -> Iterator[Callable[[int], pl.DataFrame]]:
        """Give a function that reads *columns* of a piece, by its number."""
        if not self._pieces:
            yield lambda _: pl.DataFrame()
            return
        options = pa.ipc.IpcReadOptions(included_fields=[self._columns.index(name) for name in columns or ()])
        with pa.OSFile(str(self._path)) as source, pa.ipc.open_file(source, options=options) as file:
            yield lambda number: pl.DataFrame(file.get_batch(number))


class _Run:
    """What nobody has taken yet of a run."""

    def __init__(self, read: Callable[[int], pl.DataFrame], keys: list[str], pieces: Iterable[_Piece]) -> None:
        self._read = read
        self._keys = keys
        self._pieces = deque(pieces)
        self._begun = pl.DataFrame()  # what is left of a piece that is read already

    def before(self, bound: _Key | None) -> Iterator[pl.DataFrame]:
        """Take the rows before *bound*; all for None."""
        while self._begun.height or (self._pieces and (bound is None or self._pieces[0][1] < bound)):
            piece = self._begun if self._begun.height else self._read(self._pieces.popleft()[0])
            count = piece.height if bound is None else self._before(piece, bound)
            yield piece[:count]
            self._begun = piece[count:]
            if self._begun.height:
                return

    def _before(self, piece: pl.DataFrame, bound: _Key) -> int:
        """How many rows of the sorted *piece* come before *bound*."""
        columns = [piece[key] for key in self._keys]
        return bisect_left(range(piece.height), bound, key=lambda at: tuple(column[at] for column in columns))
