"""Publishing a run: written to a staging folder, then moved to its place in one step, in exchange for what is there.

Layout of a lake::

    ROOT/LATEST                                       path of the dataset published last, relative to ROOT
    ROOT/v1/snapshot_date=2024-06-15/run=ID/          one dataset; the date is that of its first publication
        part-0000.parquet  _manifest.json  _rejects.ndjson (where there are any)

The manifest travels inside the folder, so that one step publishes data and manifest together; then LATEST is replaced.
Whoever looks at any moment, or after a kill at any moment, finds a run as it was before or as it is now, never both and
never neither (for file systems that cannot exchange folders, see :func:`tcetl.atomic.exchange`). An engine that reads
every run takes ``ROOT/v1/**/*.parquet``; staging folders stand outside ``v1``.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pyarrow as pa

from tcetl.atomic import AtomicFile, exchange, publish_errors, sync_directory
from tcetl.errors import PublishError
from tcetl.lake.dataset import LATEST, Dataset, local_path, open_dataset, write_manifest
from tcetl.lake.parts import write_parts

_STAGING: Final = ".staging-"
_ABANDONED_SECONDS: Final = 24 * 3600.0


def publish(
    batches: Iterable[pa.RecordBatch],
    root: str | os.PathLike[str],
    *,
    run_id: str,
    source: str = "",
    details: Mapping[str, Any] | None = None,
    rows_per_file: int = 4_000_000,
    bytes_per_file: int = 256 << 20,
    rejects: Callable[[], pa.Table] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Dataset:
    """Write *batches* as one dataset of the lake at *root* and publish it atomically, as the lake's latest.

    Memory is bounded by one row group, however long the stream. A run that was published before is replaced, where it
    stands. If anything fails, the source included, readers see what they saw before and nothing is left over.

    Args:
        batches: Record batches with the INDICATORS schema.
        root: The lake's folder; made if missing.
        run_id: Name of the run.
        source: Where the records come from, for the manifest and the files' metadata.
        details: More about the run for the manifest; JSON values.
        rows_per_file: Rows after which a further file is begun.
        bytes_per_file: Bytes on disk after which a further file is begun.
        rejects: Asked once *batches* has ended: what of the source is no indicator (REJECTS).
        on_progress: Called with the rows written so far.

    Raises:
        PublishError: The dataset cannot be written; what the source raises passes through.
    """
    if not run_id:
        raise PublishError(f"cannot publish to {os.fspath(root)} without a run id", hint="give run_id")

    lake = local_path(root)
    with _made(lake), _staged(lake) as fresh:
        written = write_parts(
            batches,
            fresh,
            source=source,
            rows_per_file=rows_per_file,
            bytes_per_file=bytes_per_file,
            on_progress=on_progress,
        )
        now = datetime.now(UTC)
        rejected = rejects().to_pylist() if rejects else []
        dataset = Dataset(
            path=fresh,
            run_id=run_id,
            files=written.files,
            rows=sum(file.rows for file in written.files),
            bytes=sum(file.bytes for file in written.files),
            by_type=written.by_type,
            rejected=len(rejected),
            source=source,
            details=dict(details or {}),
            published_at=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        )
        if dataset.rejects_path:
            with AtomicFile(dataset.rejects_path) as file:
                for row in rejected:
                    file.write(msgspec.json.encode(row) + b"\n")
        with AtomicFile(dataset.manifest_path) as manifest:
            manifest.write(write_manifest(dataset))
        place = _place(lake, run_id, now)
        written.finish()
        _put(fresh, place, lake)

    return open_dataset(place)


@contextmanager
def _made(lake: Path) -> Iterator[None]:
    """Make the folder *lake* for the block; if that fails, none of it is left that was not there before."""
    missing = [folder for folder in (lake, *lake.parents) if not folder.exists()]
    try:
        with publish_errors(lake):
            lake.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # somebody else publishes there as well
                folder.rmdir()
        raise


@contextmanager
def _staged(lake: Path) -> Iterator[Path]:
    """Yield an empty folder in *lake*; it goes with the block, unless it was moved."""
    with publish_errors(lake):
        _sweep(lake)
        staging = lake / f"{_STAGING}{token_hex(6)}"
        staging.mkdir()
    try:
        fresh = staging / "fresh"
        with publish_errors(lake):
            fresh.mkdir()
        yield fresh
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _place(lake: Path, run_id: str, now: datetime) -> Path:
    """The run's folder: where it was published before, else under today's date."""
    name = f"run={quote(run_id, safe='')}"
    published = sorted(day / name for day in lake.glob("v1/snapshot_date=*") if (day / name).is_dir())
    return published[0] if published else lake / "v1" / f"snapshot_date={now:%Y-%m-%d}" / name


def _put(fresh: Path, place: Path, lake: Path) -> None:
    """Put *fresh* in *place*, and what was there in that of *fresh*; then point LATEST to it. On failure undo both."""
    with publish_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        move = exchange if place.exists() else Path.rename
        try:
            move(fresh, place)
            try:
                sync_directory(place.parent)
                with AtomicFile(lake / LATEST) as pointer:
                    pointer.write(f"{place.relative_to(lake).as_posix()}\n".encode())
            except BaseException:
                move(place, fresh)
                raise
        except BaseException:
            _remove_empty(place.parent, lake)
            raise


def _remove_empty(folder: Path, lake: Path) -> None:
    """Remove *folder* and its parents below *lake* where they are empty."""
    with suppress(OSError):  # not empty: another run lives there
        while folder != lake:
            folder.rmdir()
            folder = folder.parent


def _sweep(lake: Path) -> None:
    """Remove staging folders that killed processes left behind: nothing in them was written to for a day."""
    deadline = time.time() - _ABANDONED_SECONDS
    for staging in lake.glob(f"{_STAGING}*"):
        with suppress(FileNotFoundError):  # its own process has just removed it
            if all(entry.stat().st_mtime < deadline for entry in (staging, *staging.rglob("*"))):
                shutil.rmtree(staging, ignore_errors=True)
