"""What an owner holds of the indicators of a load, read from the platform politely and in bounded memory.

Per type of indicator there are two ways to read what the owner holds, and the cheaper one is taken: page through all
of that type, 10,000 a request; or look up every record by itself. Measured on loopback, one lookup takes as long as 25
to 50 items of a page; over a network, where the way there and back counts, as several hundred. So records are looked
up where the owner holds more than :data:`LOOKUP` times as many of their type, and paged through else.

What is read and concerns the load goes to temporary files, by the chunk that it concerns, to be taken up chunk by
chunk. Held in memory for all of the load are 12 bytes a record.
"""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from tcetl.atomic import closing_writes, publish_errors
from tcetl.errors import ConfigError, InvalidValueError
from tcetl.indicators import SEPARATOR, canonical
from tcetl.load.run import Chunk, Run
from tcetl.schema import INDICATORS

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect

LOOKUP: Final = 100
"""Items of a page that one lookup counts as."""

OnProgress = Callable[[str, int, int | None], None]

_EITHER: Final = ("active=true", "active=false")  # without a filter on it the platform gives active indicators only
_CASELESS: Final = ("File", "Host", "EmailAddress", "ASN", "CIDR", "Hashtag")
_FILES: Final = 64
_KEPT: Final = pa.schema([field for field in INDICATORS if field.name not in {"origin", "extra", "web_link"}])
_CHUNK: Final = pa.field("chunk", pa.int32(), nullable=False)


def keyed(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the number of each of *rows* (type, summary) and its ``key``; a File has one per hash.

    Two values have the same key when they are the same to the platform.
    """
    kind, summary = pl.col("type"), pl.col("summary")
    folded = pl.when(kind.is_in(_CASELESS)).then(summary.str.to_lowercase()).otherwise(summary)
    parts = pl.when(kind == "File").then(folded.str.split(SEPARATOR)).otherwise(pl.concat_list(folded))
    found = rows.select(kind, parts.alias("key")).with_row_index("row").explode("key")
    # IPv6 has many notations, and the platform keeps the one it was sent.
    address = (kind == "Address") & pl.col("key").str.contains(":", literal=True)
    if found.select(address.any()).item():
        canonical_key = pl.col("key").map_elements(_address, pl.String)
        found = found.with_columns(pl.when(address).then(canonical_key).otherwise(pl.col("key")).alias("key"))
    return found.select("row", pl.concat_str(kind, pl.lit("\0"), "key").alias("key"))


def _address(text: str) -> str:
    try:
        return canonical("Address", text)
    except InvalidValueError:
        return text


class Held:
    """What the owner holds of the indicators of a load, in files of *folder* that consecutive *chunks* share.

    Attributes:
        reading: By type, ``pages`` or ``lookups``: how it was read.
        unknown: Records by type, of types that the instance does not have.
    """

    def __init__(self, folder: Path, chunks: int) -> None:
        self.reading: dict[str, str] = {}
        self.unknown: Counter[str] = Counter()
        self._folder = folder
        self._per_file = -(-chunks // _FILES) or 1
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        self._open: ExitStack
        self._loaded = -1
        self._rows: dict[int, dict[str, list[dict[str, Any]]]] = {}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Rows are added within the block, and read after it."""
        with closing_writes(self._folder) as self._open:
            yield

    def add(self, batch: pa.RecordBatch, index: pl.DataFrame) -> None:
        """Keep those rows of *batch* whose keys are in *index*, which has them hashed, each with its chunk."""
        keys = keyed(pl.DataFrame(batch.select(["type", "summary"]))).with_columns(pl.col("key").hash())
        mine = keys.join(index, on="key").select("row", "chunk").unique().sort("row")
        rows, chunks = mine["row"].to_numpy(), mine["chunk"].to_numpy()
        for number in np.unique(chunks // self._per_file).tolist():
            here = chunks // self._per_file == number
            part = batch.select(_KEPT.names).take(pa.array(rows[here]))
            with publish_errors(self._folder):
                self._writer(number).write_batch(part.append_column(_CHUNK, pa.array(chunks[here], pa.int32())))

    def _writer(self, number: int) -> pa.ipc.RecordBatchStreamWriter:
        if number not in self._writers:
            sink = self._open.enter_context(pa.OSFile(str(self._path(number)), "wb"))
            self._writers[number] = self._open.enter_context(pa.ipc.new_stream(sink, _KEPT.append(_CHUNK)))
        return self._writers[number]

    def rows(self, chunk: int) -> Mapping[str, list[dict[str, Any]]]:
        """Return what concerns *chunk*, as rows of INDICATORS by key; cheapest when asked for chunk after chunk."""
        number = chunk // self._per_file
        if number != self._loaded:
            self._loaded, self._rows = number, self._load(number)
        return self._rows.get(chunk, {})

    def _load(self, number: int) -> dict[int, dict[str, list[dict[str, Any]]]]:
        found: dict[int, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        if self._path(number).exists():
            with pa.OSFile(str(self._path(number))) as file:
                table = pa.ipc.open_stream(file).read_all()
            rows = table.to_pylist()
            for row, key in keyed(pl.DataFrame(table.select(["type", "summary"]))).iter_rows():
                found[rows[row]["chunk"]][key].append(rows[row])
        return found

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.arrows"


@contextmanager
def read_held(
    tc: "ThreatConnect", run: Run, coming: list[Chunk], on_progress: OnProgress | None = None
) -> Iterator[Held]:
    """Read what the owner of *run* holds of the indicators in the chunks *coming*, and keep it for the block.

    Args:
        tc: The connection; only read from.
        run: A planned load.
        coming: Chunks of it.
        on_progress: Told of stage ``compare``: indicators read or asked for, of all those to be.

    Raises:
        OwnerNotFoundError: The owner does not exist or is not visible.
        ChangedWhileReadError: The owner changed while it was paged through.
    """
    with tempfile.TemporaryDirectory(prefix="tcetl-held-") as folder:
        held = Held(Path(folder), len(run.chunks))
        with held.writing():
            _read(tc, run, coming, held, on_progress)
        yield held


def _read(tc: "ThreatConnect", run: Run, coming: list[Chunk], held: Held, on_progress: OnProgress | None) -> None:
    owner = run.settings.owner
    index = _index(run, coming)
    sizes: dict[str, int] = {}
    for kind, keys in index.items():
        try:
            there = tc.count_indicators(owner, type=kind, filters=_EITHER, match_any=True)
        except ConfigError:
            held.unknown[kind] = keys.height
            continue
        held.reading[kind] = "lookups" if keys.height * LOOKUP < there else "pages"
        sizes[kind] = keys.height if held.reading[kind] == "lookups" else there

    done, total = 0, sum(sizes.values())
    for kind in sizes:
        one_by_one = held.reading[kind] == "lookups"
        for batch in _lookups(tc, run, coming, kind) if one_by_one else _pages(tc, owner, kind):
            if batch is not None:
                held.add(batch, index[kind])
            done += 1 if one_by_one or batch is None else batch.num_rows
            if on_progress:
                on_progress("compare", min(done, total), total)


def _index(run: Run, coming: list[Chunk]) -> dict[str, pl.DataFrame]:
    """By type, the hash of every key and the chunk that has it."""
    parts: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for chunk in coming:
        for (kind,), rows in pl.DataFrame(run.origins(chunk.chunk).select(["type", "summary"])).group_by("type"):
            keys = keyed(rows).select(pl.col("key").hash(), pl.lit(chunk.chunk, pl.Int32).alias("chunk"))
            parts[str(kind)].append(keys)
    return {kind: pl.concat(frames) for kind, frames in sorted(parts.items())}


def _pages(tc: "ThreatConnect", owner: str, kind: str) -> Iterator[pa.RecordBatch]:
    yield from tc.indicators(owner, type=kind, filters=_EITHER, match_any=True)


def _lookups(tc: "ThreatConnect", run: Run, coming: list[Chunk], kind: str) -> Iterator[pa.RecordBatch | None]:
    for chunk in coming:
        origins = run.origins(chunk.chunk)
        for summary in origins.filter(pc.equal(origins["type"], kind))["summary"].to_pylist():
            for value in summary.split(SEPARATOR) if kind == "File" else [summary]:
                yield tc.indicator(run.settings.owner, kind, value)
