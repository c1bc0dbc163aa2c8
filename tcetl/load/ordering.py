"""Records in the order of their identity, however many there are, in bounded memory.

Few are sorted in memory. Many are written aside as they come, parted by sampled keys into ranges of a size that can be
sorted in memory, and sorted range by range; equal identities meet in the same range.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl.errors import LoadError

_ROWS: Final = 50_000
_BYTES: Final = 64_000_000
"""Records, and bytes of their JSON, that are sorted in memory at once."""
_MOST_RANGES: Final = 200
"""Files open at once; above that ranges grow with the data."""
_SAMPLE: Final = 100
"""One key in so many is looked at for the bounds of the ranges."""
_WINDOW: Final = 10_000
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")
_PLAIN: Final = pl.CompatLevel.oldest()  # a view of text would take all of the text it was cut from along


@dataclass
class Ordered:
    """Records in :data:`tcetl.load.records.COLUMNS`, ``rows`` of them, to be read in order as often as needed."""

    rows: int = 0
    _ranges: list[pl.DataFrame | Path] = field(default_factory=list)

    def windows(self) -> Iterator[pl.DataFrame]:
        """Yield the records sorted by type and summary, some at a time.

        Raises:
            LoadError: One is there twice.
        """
        for frame in self._frames():
            in_order = frame.sort("type", "summary")
            _check_unique(in_order)
            yield from in_order.iter_slices(_WINDOW)

    def summaries(self, type_: str) -> pl.Series:
        """The summaries of all records of *type_*, in no order."""
        found = [frame.filter(type=type_)["summary"] for frame in self._frames()]
        return pl.concat(found) if found else pl.Series(dtype=pl.String)

    def _frames(self) -> Iterator[pl.DataFrame]:
        for each in self._ranges:
            if isinstance(each, pl.DataFrame):
                yield each
            elif parts := list(_read(each)):
                yield pl.concat(parts)


@contextmanager
def ordered(records: Iterable[pl.DataFrame]) -> Iterator[Ordered]:
    """Take in *records*, in any order and frames, and give them in order for the block.

    More than fit in memory at once lie in a temporary folder meanwhile.
    """
    frames = (part for frame in records for part in frame.iter_slices(_WINDOW))
    few: list[pl.DataFrame] = []
    rows = size = 0
    for frame in frames:
        few.append(frame)
        rows += frame.height
        size += _size(frame)
        if rows > _ROWS or size > _BYTES:
            break
    else:
        yield Ordered(rows, [pl.concat(few)] if few else [])
        return
    with tempfile.TemporaryDirectory(prefix="tcetl-plan-") as folder:
        yield _written_aside(Path(folder), few, frames)


def _written_aside(folder: Path, few: list[pl.DataFrame], rest: Iterator[pl.DataFrame]) -> Ordered:
    """Write the frames of *few*, which is emptied, and the *rest* to files of ranges in *folder*."""
    aside, sampled = folder / "all.arrow", list[str]()
    rows = size = 0
    with ExitStack() as opened:
        stream = None
        for source in (_emptying(few), rest):
            for frame in source:
                stream = stream or opened.enter_context(_writer(aside, frame))
                _write(stream, frame)
                keys = _keys(frame)
                sampled += keys.filter(keys.hash() % _SAMPLE == 0).to_list()  # not by place: feeds have rhythms
                rows, size = rows + frame.height, size + _size(frame)
    ranges = min(max(-(-rows // _ROWS), -(-size // _BYTES)), _MOST_RANGES)
    known = pl.Series(sampled, dtype=pl.String).sort()
    bounds = known.gather([len(known) * number // ranges for number in range(1, ranges) if len(known)])
    return Ordered(rows, _part(aside, folder, bounds))


def _emptying(few: list[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    while few:
        yield few.pop(0)


def _part(aside: Path, folder: Path, bounds: pl.Series) -> list[pl.DataFrame | Path]:
    """Part the records of the file *aside* into files of the ranges between *bounds*, in order, and remove it."""
    paths = [folder / f"{number}.arrow" for number in range(len(bounds) + 1)]
    with ExitStack() as opened:
        streams: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        for frame in _joined(_read(aside)):
            numbers = bounds.search_sorted(_keys(frame), side="right").alias("range")
            parts = frame.with_columns(numbers).partition_by("range", as_dict=True, include_key=False)
            for (number,), part in parts.items():
                if number not in streams:
                    streams[number] = opened.enter_context(_writer(paths[number], part))
                _write(streams[number], part)
    aside.unlink()
    return [path for path in paths if path.exists()]


def _joined(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """*frames* in larger ones, which are parted into fewer pieces."""
    size, several = 0, list[pl.DataFrame]()
    for frame in frames:
        several.append(frame)
        size += _size(frame)
        if size > _BYTES // 16:
            yield pl.concat(several)
            size, several = 0, []
    if several:
        yield pl.concat(several)


def _writer(path: Path, frame: pl.DataFrame) -> pa.ipc.RecordBatchStreamWriter:
    return pa.ipc.new_stream(str(path), frame.head(0).to_arrow(compat_level=_PLAIN).schema, options=_OPTIONS)


def _write(stream: pa.ipc.RecordBatchStreamWriter, frame: pl.DataFrame) -> None:
    stream.write_table(frame.to_arrow(compat_level=_PLAIN))


def _read(path: Path) -> Iterator[pl.DataFrame]:
    with pa.ipc.open_stream(str(path)) as stream:
        for batch in stream:
            yield pl.DataFrame(batch)


def _size(frame: pl.DataFrame) -> int:
    return int(frame["json"].str.len_bytes().cast(pl.Int64).sum())


def _keys(frame: pl.DataFrame) -> pl.Series:
    """The identities as single values that sort alike: no type holds a NUL, and none sorts before it."""
    return frame.select(pl.concat_str("type", pl.lit("\0"), "summary")).to_series()


def _check_unique(keys: pl.DataFrame) -> None:
    """Raise LoadError if the sorted *keys* have one twice."""
    twice = keys.filter((pl.col("type") == pl.col("type").shift()) & (pl.col("summary") == pl.col("summary").shift()))
    if twice.height:
        raise LoadError(
            f"{twice['type'][0]} {twice['summary'][0]!r} is there more than once ({twice.height} such rows)",
            hint="merge duplicates before planning",
        )
