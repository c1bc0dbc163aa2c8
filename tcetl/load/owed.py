"""What becomes of the records that a load did not load, when it is retried: as its dead letters say, edited or not."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tcetl import schema
from tcetl.errors import LoadError
from tcetl.load.mending.edits import apply_edits, is_edited
from tcetl.load.plan import WAVE_OF
from tcetl.load.records import COLUMNS, Kind
from tcetl.load.run import Run
from tcetl.sorted_runs import SortedRuns

REMOVED: Final = "removed"
"""Code of a record whose dead letter somebody deleted, so that it is not sent again."""
UNATTRIBUTED: Final = "unattributed"
"""Code of a dead letter that names no record of ours, so that there is nothing to send again."""

_ROWS: Final = 25_000  # of the rejects, held against the edited file at once
_ORIGIN: Final = [field.name for field in schema.ORIGIN]
_LOST: Final = (pl.col("severity") == "error") & pl.col("chunk").is_not_null()
_SENDABLE: Final = _LOST & pl.col("record").is_not_null()
_NOBODYS: Final = _LOST & pl.col("record").is_null()
_IDENTITY: Final = ["type", "summary", "id"]
_KEYS: Final = [*_IDENTITY, "index"]


@dataclass(frozen=True)
class Owed:
    """What becomes of the ``records`` that a load did not load.

    Attributes:
        records: How many they are, by the platform's counts.
        again: How many are sent again.
        removed: How many somebody deleted from the dead letters.
        twins: How many were mended to what another one is.
        nobodys: Dead letters that name no record.
        mended: How many were changed.
        letters: Those sent again by kind, in :data:`~tcetl.load.records.COLUMNS` and in order, some at a time.
        aside: All others, as REJECTS of the new run, some at a time.
        mends: What was changed, each a :class:`~tcetl.load.mending.mends.Mend` as JSON, in the order of ``letters``.
    """

    records: int
    again: int
    nobodys: int
    letters: Mapping[Kind, Iterable[pl.DataFrame]]
    aside: Iterable[pa.Table]
    removed: int = 0
    twins: int = 0
    mended: int = 0
    mends: Iterable[str] = ()

    @property
    def counts(self) -> dict[str, Any]:
        """What the new run's counts begin with."""
        # Complaints beyond the platform's own counts, of a job as a whole for instance, stand for no record.
        unattributed = max(self.records - self.again - self.removed - self.twins, 0)
        rejected = {REMOVED: self.removed, UNATTRIBUTED: unattributed}
        return {
            "rows_read": self.again + self.removed + self.twins + unattributed,
            "rejected": {code: count for code, count in rejected.items() if count},
            "duplicates": self.twins,
            "mended": self.mended,
        }


@contextmanager
def owed_by(parent: Run) -> Iterator[Owed]:
    """Give, for the block, what *parent* owes; in memory that does not grow with it.

    Raises:
        LoadError: Nothing, or its dead letters were edited in a way that cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="tcetl-retry-") as folder:
        owed = _edited(parent, Path(folder)) if is_edited(parent) else _as_it_was(parent)
        if not (owed.again or owed.removed):
            what = "all of its dead letters name no record" if owed.nobodys else "all its records were loaded"
            raise LoadError(f"{parent.path} has nothing to retry: {what}", hint=f"see {parent.report().rejects_path}")
        yield owed


def _as_it_was(parent: Run) -> Owed:
    """What *parent* owes where nobody changed its dead letters, which are in the order of its chunks already."""
    again = nobodys = 0
    places: dict[Kind, list[int]] = {kind: [] for kind in WAVE_OF}
    with parent.rejects_path.open("rb") as stream, pq.ParquetFile(stream) as file:
        for number in range(file.num_row_groups):  # each of one chunk or none
            rejects = pl.DataFrame(file.read_row_group(number))
            letters = rejects.filter(_SENDABLE)
            if letters.height:
                again += letters.height
                places[letters["kind"][0]].append(number)
            nobodys += rejects.filter(_NOBODYS).height
    return Owed(
        records=_unloaded(parent),
        again=again,
        nobodys=nobodys,
        letters={kind: _read_letters(parent, numbers) for kind, numbers in places.items()},
        aside=(_nobodys(rejects) for rejects in _read_rejects(parent)),
    )


def _read_letters(parent: Run, numbers: list[int]) -> Iterator[pl.DataFrame]:
    with parent.rejects_path.open("rb") as stream, pq.ParquetFile(stream) as file:
        for number in numbers:
            letters = pl.DataFrame(file.read_row_group(number)).filter(_SENDABLE)
            yield _records(letters.sort("type", "summary", "xid"))


def _edited(parent: Run, folder: Path) -> Owed:
    """What *parent* owes by its dead letters as somebody left them; those to send lie in *folder*, sorted."""
    kept = {kind: SortedRuns(folder / f"{kind}.arrow", _KEYS) for kind in WAVE_OF}
    removed: list[pl.Series] = []
    mended = nobodys = 0
    with ExitStack() as files:
        write = {kind: files.enter_context(runs.writing()) for kind, runs in kept.items()}
        rejects = (each.with_columns(_SENDABLE.alias("sendable")) for each in _read_rejects(parent))
        for edited in apply_edits(parent, rejects, folder):
            removed.append(edited.removed)
            mended += edited.kept["mend"].count()
            letters = edited.kept.with_columns(id=pl.col("xid").fill_null("")).sort(_KEYS)
            for kind, add in write.items():
                add(letters.filter(kind=kind))
    for each in _read_rejects(parent):
        nobodys += each.filter(_NOBODYS).height
    twins = sum(int(twin.sum()) for runs in kept.values() for _, twin in _with_twins(runs, _KEYS))
    return Owed(
        records=_unloaded(parent),
        again=sum(runs.rows for runs in kept.values()) - twins,
        nobodys=nobodys,
        letters={
            kind: (_records(each.filter(~twin)) for each, twin in _with_twins(runs)) for kind, runs in kept.items()
        },
        aside=_aside(parent, removed, kept.values()),
        removed=sum(int(gone.sum()) for gone in removed),
        twins=twins,
        mended=mended,
        mends=_mends(kept.values()),
    )


def _with_twins(runs: SortedRuns, columns: list[str] | None = None) -> Iterator[tuple[pl.DataFrame, pl.Series]]:
    """Yield *runs* in order, and whether each row is what the row before it is."""
    last = pl.DataFrame(schema=dict.fromkeys(_IDENTITY, pl.String)).clear(1)
    for frame in runs.frames(columns):
        names = frame.select(_IDENTITY)
        before = pl.concat([last, names[:-1]]).rename(lambda name: f"{name}_before")
        same = pl.all_horizontal(pl.col(name) == pl.col(f"{name}_before") for name in _IDENTITY)
        yield frame, pl.concat([names, before], how="horizontal").select(same.fill_null(value=False)).to_series()
        last = names[-1:]


def _aside(parent: Run, removed: Iterable[pl.Series], kept: Iterable[SortedRuns]) -> Iterator[pa.Table]:
    for rejects, gone in zip(_read_rejects(parent), removed, strict=True):
        yield _set_aside(rejects.filter(gone), REMOVED, "load", "deleted from the dead letters before the retry")
        yield _nobodys(rejects)
    for runs in kept:
        for frame, twin in _with_twins(runs):
            why = "mended to the same value as another record"
            yield _set_aside(frame.filter(twin), "duplicate", "duplicate", why)


def _mends(kept: Iterable[SortedRuns]) -> Iterator[str]:
    for runs in kept:
        for frame in runs.frames([*_KEYS, "mend"]):
            yield from frame["mend"].drop_nulls()


def _nobodys(rejects: pl.DataFrame) -> pa.Table:
    return _set_aside(rejects.filter(_NOBODYS), UNATTRIBUTED, "load", "names no record with certainty")


def _read_rejects(parent: Run) -> Iterator[pl.DataFrame]:
    """The rejects of *parent*, with their places as ``index``; some at a time, as often as asked for the same ones."""
    start = 0
    with parent.rejects_path.open("rb") as stream, pq.ParquetFile(stream) as file:
        for batch in file.iter_batches(_ROWS):
            if batch.num_rows:
                yield pl.DataFrame(batch).with_row_index("index", offset=start)
                start += batch.num_rows


def _unloaded(parent: Run) -> int:
    report = parent.report()
    return report.failed + report.unprocessed


def _records(letters: pl.DataFrame) -> pl.DataFrame:
    return letters.rename({"record": "json"}).with_columns(origin=pl.struct(_ORIGIN)).select(COLUMNS)


def _set_aside(letters: pl.DataFrame, code: str, stage: str, why: str) -> pa.Table:
    """*letters* as rejects of the new run, which say what they were refused for in the old one."""
    rows = letters.select(schema.REJECTS.names).with_columns(
        reason=pl.format("{} (before: {} {})", pl.lit(why), "code", "reason"),
        code=pl.lit(code),
        stage=pl.lit(stage),
        severity=pl.lit("info"),
        chunk=pl.lit(None, pl.Int32),
        batch_id=pl.lit(None, pl.Int64),
    )
    return pa.Table.from_batches(schema.conform(rows.to_arrow().to_batches(), schema.REJECTS), schema.REJECTS)
