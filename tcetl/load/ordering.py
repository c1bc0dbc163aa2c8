"""Indicators in the order of their identity, however many there are, in bounded memory.

Few are sorted in memory. Many are written aside as they come, parted by sampled keys into ranges of a size that can be
sorted in memory, and sorted range by range; equal identities meet in the same range.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl import schema
from tcetl.errors import LoadError

_RANGE: Final = 50_000
"""Rows that are sorted in memory at once."""
_MOST_RANGES: Final = 200
"""Files open at once; above that ranges grow with the data."""
_SAMPLE: Final = 100
"""One key in so many is looked at for the bounds of the ranges."""
_WINDOW: Final = 10_000
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")


class Ordered:
    """INDICATORS, ``rows`` of them, to be read in order as often as needed."""

    def __init__(self, ranges: list[pa.Table | Path], rows: int) -> None:
        self._ranges = ranges
        self.rows = rows

    def windows(self) -> Iterator[pl.DataFrame]:
        """Yield the rows sorted by type and summary, some at a time.

        Raises:
            LoadError: An indicator is there twice.
        """
        for table in self._tables():
            keys = pl.DataFrame(table.select(["type", "summary"])).with_row_index("place").sort("type", "summary")
            _check_unique(keys)
            in_order = table.combine_chunks().take(keys["place"].to_arrow())
            for start in range(0, in_order.num_rows, _WINDOW):
                yield pl.DataFrame(in_order.slice(start, _WINDOW))

    def summaries(self, type_: str) -> pl.Series:
        """The summaries of all indicators of *type_*, in no order."""
        found = [
            pl.DataFrame(table.select(["type", "summary"])).filter(type=type_)["summary"] for table in self._tables()
        ]
        return pl.concat(found) if found else pl.Series(dtype=pl.String)

    def _tables(self) -> Iterator[pa.Table]:
        for each in self._ranges:
            yield each if isinstance(each, pa.Table) else pa.Table.from_batches(_read(each), schema.INDICATORS)


@contextmanager
def ordered(indicators: pa.Table | Iterable[pa.RecordBatch]) -> Iterator[Ordered]:
    """Take in *indicators* (INDICATORS, in any order), and give them in order for the block.

    More than fit in memory at once lie in a temporary folder meanwhile.
    """
    batches = _conformed(indicators.to_batches() if isinstance(indicators, pa.Table) else indicators)
    few: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        few.append(batch)
        rows += batch.num_rows
        if rows > _RANGE:
            break
    else:
        yield Ordered([pa.Table.from_batches(few, schema.INDICATORS)] if rows else [], rows)
        return
    with tempfile.TemporaryDirectory(prefix="tcetl-plan-") as folder:
        aside = Path(folder) / "all.arrow"
        sampled, rows = _write_aside(aside, few, batches)
        yield Ordered(_part(aside, Path(folder), sampled, rows), rows)


def _conformed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, _WINDOW):
            part = pa.Table.from_batches([batch.slice(start, _WINDOW)])
            yield from part.cast(schema.INDICATORS).to_batches()


def _write_aside(path: Path, few: list[pa.RecordBatch], batches: Iterator[pa.RecordBatch]) -> tuple[list[str], int]:
    """Write the batches of *few*, which is emptied, and *batches* to *path*; return sampled keys, and how many rows."""
    sampled: list[str] = []
    rows = 0
    with pa.ipc.new_stream(str(path), schema.INDICATORS, options=_OPTIONS) as stream:
        for source in (_emptying(few), batches):
            for batch in source:
                stream.write_batch(batch)
                keys = _keys(batch)
                sampled += keys.filter(keys.hash() % _SAMPLE == 0).to_list()  # not by place: feeds have rhythms
                rows += batch.num_rows
    return sampled, rows


def _emptying(few: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    while few:
        yield few.pop(0)


def _part(aside: Path, folder: Path, sampled: list[str], rows: int) -> list[pa.Table | Path]:
    """Part the rows of the file *aside* into files of their ranges, in order, and remove it."""
    ranges = min(-(-rows // _RANGE), _MOST_RANGES)
    known = pl.Series(sampled, dtype=pl.String).sort()
    bounds = known.gather([len(known) * number // ranges for number in range(1, ranges) if len(known)])
    paths = [folder / f"{number}.arrow" for number in range(ranges)]
    with ExitStack() as opened:
        streams = [
            opened.enter_context(pa.ipc.new_stream(str(path), schema.INDICATORS, options=_OPTIONS)) for path in paths
        ]
        for batch in _read(aside):
            places = bounds.search_sorted(_keys(batch), side="right").to_frame("range").with_row_index("place")
            for (number,), rows_of in places.partition_by("range", as_dict=True, include_key=False).items():
                streams[number].write_batch(batch.take(rows_of["place"].to_arrow()))
    aside.unlink()
    return list(paths)


def _read(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.ipc.open_stream(str(path)) as stream:
        yield from stream


def _keys(batch: pa.RecordBatch) -> pl.Series:
    """The identities as single values that sort alike: no type holds a NUL, and none sorts before it."""
    rows = pl.DataFrame(batch.select(["type", "summary"]))
    return rows.select(pl.concat_str("type", pl.lit("\0"), "summary")).to_series()


def _check_unique(keys: pl.DataFrame) -> None:
    """Raise LoadError if the sorted *keys* have one twice."""
    twice = keys.filter((pl.col("type") == pl.col("type").shift()) & (pl.col("summary") == pl.col("summary").shift()))
    if twice.height:
        raise LoadError(
            f"{twice['type'][0]} {twice['summary'][0]!r} is there more than once ({twice.height} such rows)",
            hint="merge duplicates before planning",
        )
