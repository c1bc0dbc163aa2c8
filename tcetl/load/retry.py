"""A second try for exactly the records of a load that were refused or left, as a run of its own.

What depends on a group that is sent again, its associations and its file, goes in a later wave again.

The new run is linked to its parent by path, and its counts begin where the parent's end::

    parent: failed + unprocessed = child: rejected (removed by hand, unattributed) + duplicates + sent
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tcetl import schema
from tcetl.errors import LoadError
from tcetl.load.chain import Link, read_link, write_link
from tcetl.load.edits import Mend, apply_edits, digest, is_edited, write_mends
from tcetl.load.plan import MAX_BYTES, MAX_RECORDS, WAVE_OF, write_plan
from tcetl.load.records import COLUMNS, Kind
from tcetl.load.run import Run
from tcetl.load.storage import AnyPath, RunPath, full_name, locate, make_folder

REMOVED: Final = "removed"
"""Code of a record whose dead letter somebody deleted, so that it is not sent again."""
UNATTRIBUTED: Final = "unattributed"
"""Code of a dead letter that names no record of ours, so that there is nothing to send again."""

_ORIGIN: Final = [field.name for field in schema.ORIGIN]
_NONE: Final = pl.DataFrame(schema.empty_table(schema.REJECTS)).with_row_index("index")


def retry(
    run_dir: AnyPath,
    new_run_dir: AnyPath | None = None,
    *,
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
) -> Run:
    """Plan a run of the records of *run_dir* that were not loaded, and return it; nothing is sent.

    Where ``rejects.csv`` of *run_dir* was edited since the load ended, it says what becomes of each record; see
    :mod:`tcetl.load.edits`. Asking again for the same *new_run_dir* returns the run planned there.

    Args:
        run_dir: A finished load.
        new_run_dir: Folder to make for the new one; when None, that of the retry begun already, or else one beside
            *run_dir*: ``monday`` is retried in ``monday-retry-1``, and that in ``monday-retry-2``.
        max_records: Most records in a chunk.
        max_bytes: Most bytes in a chunk.

    Raises:
        LoadError: The load is not finished, all of it was loaded, it is being retried elsewhere, or the edits cannot
            be used or came too late. Nothing is planned.
    """
    parent = Run.open(run_dir)
    with parent.exclusive():
        path, edited = _where(parent, new_run_dir), _digest(parent)
        if (begun := _begun(parent, path, edited)) is not None:
            return begun
        owed = _owed(parent)
        write_link(parent, Link(full_name(path), edited))
        return _plan(parent, owed, path, max_records, max_bytes)


def rehearse(run_dir: AnyPath, scratch: AnyPath, *, max_records: int = MAX_RECORDS, max_bytes: int = MAX_BYTES) -> Run:
    """Plan in *scratch* what `retry` would send, and return that; or the retry itself where it is planned already.

    *run_dir* is left as it is.

    Raises:
        LoadError: The load is not finished, all of it was loaded, or the edits cannot be used or came too late.
    """
    parent = Run.open(run_dir)
    begun = _begun(parent, _where(parent, None), _digest(parent))
    return begun or _plan(parent, _owed(parent), locate(scratch), max_records, max_bytes)


def _where(parent: Run, new_run_dir: AnyPath | None) -> RunPath:
    """The folder that *parent* is, or is to be, retried in."""
    parent.report()  # or it is not finished
    link = read_link(parent)
    path = locate(new_run_dir if new_run_dir is not None else link.run_dir if link else _beside(parent.path))
    if link and link.run_dir != full_name(path) and Run.is_planned(link.run_dir):
        raise LoadError(
            f"{parent.path} is already retried in {link.run_dir}",
            hint=f"go on there (tcetl batch status {link.run_dir}), or retry that run",
        )
    return path


def _digest(parent: Run) -> str:
    return digest(parent.rejects_text_path) if parent.rejects_text_path.exists() else ""


def _begun(parent: Run, path: RunPath, edited: str) -> Run | None:
    """The retry of *parent* planned at *path*, if it is."""
    if not Run.is_planned(path):
        return None
    link = read_link(parent)
    if link and link.rejects_sha256 != edited:
        raise LoadError(
            f"{parent.rejects_text_path} was changed after its records had gone over to {path}",
            hint=f"mend what {path} does not load in its own rejects.csv (tcetl batch status {path})",
        )
    return _own(path, parent)


@dataclass(frozen=True)
class _Owed:
    """What becomes of the ``records`` that a load did not load; the frames are REJECTS and ``index``.

    ``again`` are sent again; ``letters`` gives them by kind, in frames that follow each other in order.
    """

    records: int
    again: int
    letters: Mapping[Kind, Iterable[pl.DataFrame]]
    removed: pl.DataFrame
    twins: pl.DataFrame
    nobodys: pl.DataFrame
    mends: list[Mend]

    @property
    def counts(self) -> dict[str, Any]:
        """What the new run's counts begin with."""
        # Complaints beyond the platform's own counts, of a job as a whole for instance, stand for no record.
        unattributed = max(self.records - self.again - self.removed.height - self.twins.height, 0)
        rejected = {REMOVED: self.removed.height, UNATTRIBUTED: unattributed}
        return {
            "rows_read": self.again + self.removed.height + self.twins.height + unattributed,
            "rejected": {code: count for code, count in rejected.items() if count},
            "duplicates": self.twins.height,
            "mended": len(self.mends),
        }


def _owed(parent: Run) -> _Owed:
    owed = _edited(parent) if is_edited(parent) else _as_it_was(parent)
    if not (owed.again or owed.removed.height):
        what = "all of its dead letters name no record" if owed.nobodys.height else "all its records were loaded"
        raise LoadError(f"{parent.path} has nothing to retry: {what}", hint=f"see {parent.report().rejects_path}")
    return owed


def _as_it_was(parent: Run) -> _Owed:
    """What *parent* owes where nobody changed its dead letters, which are in the order of its chunks already."""
    again = 0
    places: dict[Kind, list[int]] = {kind: [] for kind in WAVE_OF}
    nobodys = [_NONE]
    with _dead_letters(parent) as (count, read):
        for number in range(count):
            lost = _lost(read(number))
            letters = _sendable(lost)
            if letters.height:
                again += letters.height
                places[letters["kind"][0]].append(number)
            nobodys.append(lost.filter(pl.col("record").is_null()))
    report = parent.report()
    return _Owed(
        records=report.failed + report.unprocessed,
        again=again,
        letters={kind: _read_letters(parent, numbers) for kind, numbers in places.items()},
        removed=_NONE,
        twins=_NONE,
        nobodys=pl.concat(nobodys),
        mends=[],
    )


def _edited(parent: Run) -> _Owed:
    """What *parent* owes by its dead letters as somebody left them; all of these are held in memory meanwhile."""
    report = parent.report()
    with parent.rejects_path.open("rb") as stream:
        rejects = pl.read_parquet(stream).with_row_index("index")
    lost = _lost(rejects)
    letters = _sendable(lost)
    kept, mends = apply_edits(parent, letters, rejects)
    again = kept.unique(["kind", "type", "summary", "xid"], keep="first", maintain_order=True)
    return _Owed(
        records=report.failed + report.unprocessed,
        again=again.height,
        letters={kind: [again.filter(kind=kind)] for kind in WAVE_OF},
        removed=letters.join(kept, on="index", how="anti"),
        twins=kept.join(again, on="index", how="anti"),
        nobodys=lost.filter(pl.col("record").is_null()),
        mends=mends,
    )


@contextmanager
def _dead_letters(parent: Run) -> Iterator[tuple[int, Callable[[int], pl.DataFrame]]]:
    """How many row groups the rejects of *parent* have, each of one chunk or none, and what reads one."""
    with parent.rejects_path.open("rb") as stream, pq.ParquetFile(stream) as file:
        yield file.num_row_groups, lambda number: pl.DataFrame(file.read_row_group(number)).with_row_index("index")


def _read_letters(parent: Run, numbers: list[int]) -> Iterator[pl.DataFrame]:
    with _dead_letters(parent) as (_, read):
        for number in numbers:
            yield _sendable(_lost(read(number)))


def _lost(rejects: pl.DataFrame) -> pl.DataFrame:
    return rejects.filter(severity="error").filter(pl.col("chunk").is_not_null())


def _sendable(lost: pl.DataFrame) -> pl.DataFrame:
    return lost.filter(pl.col("record").is_not_null())


def _plan(parent: Run, owed: _Owed, path: RunPath, max_records: int, max_bytes: int) -> Run:
    make_folder(path)
    write_mends(path, owed.mends)
    return write_plan(
        {kind: _records(letters) for kind, letters in owed.letters.items()},
        pa.concat_tables(
            [
                _set_aside(owed.removed, REMOVED, "load", "deleted from the dead letters before the retry"),
                _set_aside(owed.nobodys, UNATTRIBUTED, "load", "names no record with certainty"),
                _set_aside(owed.twins, "duplicate", "duplicate", "mended to the same value as another record"),
            ]
        ),
        path,
        settings=parent.settings,
        counts=owed.counts,
        max_records=max_records,
        max_bytes=max_bytes,
        parent=full_name(parent.path),
    )


def _beside(path: RunPath) -> RunPath:
    """The folder that *path* is retried in unless told otherwise."""
    stem, mark, number = path.name.rpartition("-retry-")
    if not (mark and number.isdecimal()):
        stem, number = path.name, "0"
    return path.parent / f"{stem}-retry-{int(number) + 1}"


def _own(path: RunPath, parent: Run) -> Run:
    run = Run.open(path)
    if run.plan.parent != full_name(parent.path):
        raise LoadError(f"{path} already holds another load", hint="retry in a new directory")
    return run


def _records(letters: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    for frame in letters:
        rows = frame.rename({"record": "json"}).sort("type", "summary", "xid")
        yield rows.with_columns(origin=pl.struct(_ORIGIN)).select(COLUMNS)


def _set_aside(letters: pl.DataFrame, code: str, stage: str, why: str) -> pa.Table:
    """*letters* as rejects of the new run, which say what they were refused for in the old one."""
    rows = letters.with_columns(
        reason=pl.format("{} (before: {} {})", pl.lit(why), "code", "reason"),
        code=pl.lit(code),
        stage=pl.lit(stage),
        severity=pl.lit("info"),
        chunk=pl.lit(None, pl.Int32),
        batch_id=pl.lit(None, pl.Int64),
    ).drop("index")
    return pa.Table.from_batches(schema.conform(rows.to_arrow().to_batches(), schema.REJECTS), schema.REJECTS)
