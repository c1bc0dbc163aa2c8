"""A second try for exactly the records of a load that were refused or left, as a run of its own.

The new run is linked to its parent by path, and its counts begin where the parent's end::

    parent: failed + unprocessed = child: rejected (removed by hand, unattributed) + duplicates + sent
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl
import pyarrow as pa

from tcetl import schema
from tcetl.errors import LoadError
from tcetl.load.edits import apply_edits, digest, is_edited
from tcetl.load.plan import MAX_BYTES, MAX_RECORDS, write_plan
from tcetl.load.run import Run
from tcetl.load.storage import AnyPath, RunPath, locate, write_whole

REMOVED: Final = "removed"
"""Code of a record whose dead letter somebody deleted, so that it is not sent again."""
UNATTRIBUTED: Final = "unattributed"
"""Code of a dead letter that names no record of ours, so that there is nothing to send again."""

_SENT: Final = ["json", "type", "summary", *(field.name for field in schema.ORIGIN)]


class _Link(msgspec.Struct, frozen=True):
    """What ``retry.json`` holds: the run that took up this one's dead letters. There is never more than one.

    ``rejects_sha256`` is of ``rejects.csv`` as it was then.
    """

    run_dir: str
    rejects_sha256: str


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
        report = parent.report()
        link_path = parent.path / "retry.json"
        link = msgspec.json.decode(link_path.read_bytes(), type=_Link) if link_path.exists() else None
        path = locate(new_run_dir if new_run_dir is not None else link.run_dir if link else _beside(parent.path))
        if link and link.run_dir != _name(path) and Run.is_planned(link.run_dir):
            raise LoadError(
                f"{parent.path} is already retried in {link.run_dir}", hint="go on there, or retry that run"
            )
        edited = digest(parent.rejects_text_path) if parent.rejects_text_path.exists() else ""
        if Run.is_planned(path):
            if link and link.rejects_sha256 != edited:
                raise LoadError(
                    f"{parent.rejects_text_path} was changed after its records had gone over to {path}",
                    hint=f"submit {path}, and mend what that does not load in its own rejects.csv",
                )
            return _own(path, parent)

        with parent.rejects_path.open("rb") as stream:
            rejects = pl.read_parquet(stream).with_row_index("index")
        lost = rejects.filter(severity="error").filter(pl.col("chunk").is_not_null())
        nobodys = lost.filter(pl.col("record").is_null())
        letters = lost.filter(pl.col("record").is_not_null())
        if letters.is_empty():
            what = "all of its dead letters name no record" if nobodys.height else "all its records were loaded"
            raise LoadError(f"{parent.path} has nothing to retry: {what}", hint=f"see {report.rejects_path}")
        others = rejects.join(letters, on="index", how="anti")
        kept = apply_edits(parent, letters, others) if is_edited(parent) else letters

        unique = kept.unique(["type", "summary"], keep="first", maintain_order=True)
        twins = kept.join(unique, on="index", how="anti")
        removed = letters.join(kept, on="index", how="anti")
        counts: dict[str, Any] = {
            "rows_read": lost.height,
            "rejected": {
                code: rows.height for code, rows in ((REMOVED, removed), (UNATTRIBUTED, nobodys)) if rows.height
            },
            "duplicates": twins.height,
        }
        write_whole(link_path, msgspec.json.encode(_Link(_name(path), edited)))
        return write_plan(
            _records(unique),
            pa.concat_tables(
                [
                    _set_aside(removed, REMOVED, "load", "deleted from the dead letters before the retry"),
                    _set_aside(nobodys, UNATTRIBUTED, "load", "names no record with certainty"),
                    _set_aside(twins, "duplicate", "duplicate", "mended to the same value as another record"),
                ]
            ),
            path,
            settings=parent.settings,
            counts=counts,
            max_records=max_records,
            max_bytes=max_bytes,
            parent=_name(parent.path),
        )


def _beside(path: RunPath) -> RunPath:
    """The folder that *path* is retried in unless told otherwise."""
    stem, mark, number = path.name.rpartition("-retry-")
    if not (mark and number.isdecimal()):
        stem, number = path.name, "0"
    return path.parent / f"{stem}-retry-{int(number) + 1}"


def _name(path: RunPath) -> str:
    """*path* as it reads from any working directory."""
    return str(path.absolute() if isinstance(path, Path) else path)


def _own(path: RunPath, parent: Run) -> Run:
    run = Run.open(path)
    if run.plan.parent != _name(parent.path):
        raise LoadError(f"{path} already holds another load", hint="retry in a new directory")
    return run


def _records(letters: pl.DataFrame) -> Iterator[pl.DataFrame]:
    yield letters.rename({"record": "json"}).sort("type", "summary").select(_SENT)


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
