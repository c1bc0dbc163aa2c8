"""Record batches in the order of their identity, however many there are, in bounded memory.

They are read twice: for the bounds of ranges that can each be sorted in memory, and to write them aside by range. Few
are one range, and stay in memory.
"""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tcetl.atomic import closing_writes, publish_errors

KEY: Final = ("owner_name", "type", "summary", "id")
"""What records are sorted by: their identity, in bytes of UTF-8; the id sets apart what should not be there twice."""

_ROWS: Final = 50_000
_BYTES: Final = 64 << 20
"""Records, and their bytes in memory, that are sorted at once."""
_MOST_RANGES: Final = 200
"""Files open at once; above that ranges grow with the data."""
_SAMPLE: Final = 100
"""One record in so many is looked at for the bounds of the ranges."""
_SLICE: Final = 16_384


def in_order(
    read: Callable[[], Iterator[pa.RecordBatch]], on_progress: Callable[[int], None] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the batches that *read* gives, with at least the columns of :data:`KEY`, sorted by these.

    What does not fit in memory lies in a temporary folder meanwhile.

    Args:
        read: Gives all batches, each time that it is called.
        on_progress: Called with the rows that are written aside so far.

    Raises:
        PublishError: The temporary folder cannot be written.
    """
    bounds = _bounds(read())
    if not bounds:
        yield from _sorted(list(read()))
        return
    with TemporaryDirectory(prefix="tcetl-sort-") as folder:
        for path in _parted(read(), bounds, Path(folder), on_progress):
            with pa.ipc.open_stream(str(path)) as stream:
                batches = list(stream)
            path.unlink()
            yield from _sorted(batches)


def _bounds(batches: Iterator[pa.RecordBatch]) -> list[str]:
    """The keys that part *batches* into ranges, in order; none where all of them can be sorted at once."""
    chance = random.Random(0)  # noqa: S311 - not by place: reports have rhythms
    sampled: list[str] = []
    rows = size = 0
    for batch in batches:
        rows, size = rows + batch.num_rows, size + batch.nbytes
        some = chance.sample(range(batch.num_rows), -(-batch.num_rows // _SAMPLE))
        sampled += _keys(batch.select(KEY).take(pa.array(some, pa.int64()))).to_pylist()
    ranges = min(max(-(-rows // _ROWS), -(-size // _BYTES)), _MOST_RANGES)
    sampled.sort()
    return sorted({sampled[len(sampled) * number // ranges] for number in range(1, ranges)})


def _parted(
    batches: Iterator[pa.RecordBatch], bounds: Sequence[str], folder: Path, on_progress: Callable[[int], None] | None
) -> list[Path]:
    """Write *batches* to files of the ranges between *bounds*; return those files in order."""
    paths = [folder / f"{number}.arrow" for number in range(len(bounds) + 1)]
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    rows = 0
    with closing_writes(folder) as opened:
        streams: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        for batch in batches:
            keys = _keys(batch)
            order = pc.array_sort_indices(keys)
            ordered, keys = batch.take(order), keys.take(order)
            cuts = [0, *(bisect_left(keys, bound, key=lambda key: key.as_py()) for bound in bounds), batch.num_rows]
            for number, (start, end) in enumerate(pairwise(cuts)):
                if start == end:
                    continue
                with publish_errors(folder):
                    if number not in streams:
                        stream = pa.ipc.new_stream(str(paths[number]), batch.schema, options=options)
                        streams[number] = opened.enter_context(stream)
                    streams[number].write_batch(ordered.slice(start, end - start))
            rows += batch.num_rows
            if on_progress:
                on_progress(rows)
    return [paths[number] for number in sorted(streams)]


def _sorted(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if not batches:
        return
    table = pa.Table.from_batches(batches).combine_chunks()
    batches.clear()
    (batch,) = table.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
    del table
    order = pc.array_sort_indices(_keys(batch))
    for start in range(0, batch.num_rows, _SLICE):
        yield batch.take(order.slice(start, _SLICE))


def _keys(batch: pa.RecordBatch) -> pa.Array:
    """Each record's key as one text that sorts alike: nothing sorts before a NUL, and no owner or type holds one."""
    parts = [batch.column(name).cast(pa.string()) for name in KEY]
    return pc.binary_join_element_wise(*parts, "\0", null_handling="replace", null_replacement="")
