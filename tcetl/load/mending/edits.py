"""What somebody changed in a run's dead letters before a retry.

The file to edit is ``rejects.csv``, in any spreadsheet or editor: mend ``type`` or ``summary`` of a row, or the JSON in
its ``record``; delete the row of a record that is not to be sent again. Every row keeps the number of its ``letter``,
which is how it is known again: rows and columns may be sorted, other cells reformatted, columns added.
``rejects.parquet`` stays what the platform said.

Where value and record were both changed they must say the same, or only one of them a new value. What a spreadsheet
changes by itself (see :mod:`tcetl.load.spreadsheet`) is taken as untouched or refused, never sent.
"""

import hashlib
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import polars as pl

from tcetl.load.mending.mend import REFUSALS, Named, mend
from tcetl.load.mending.mends import Mend
from tcetl.load.mending.misedits import Problems
from tcetl.load.mending.rows import NUMBER, EditedRows
from tcetl.load.run import Run
from tcetl.load.spreadsheet import LETTER, spoilt, untouched
from tcetl.load.storage import RunPath

_EDITABLE: Final = ("type", "summary", "record")
_FIXED: Final = ("row", "code")  # what shows that a letter's number still stands beside its own row
_COLUMNS: Final = [LETTER, *_FIXED, *_EDITABLE]


def digest(path: RunPath) -> str:
    """Return the SHA-256 of the file at *path* in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(cast("BufferedReader", stream), "sha256").hexdigest()


def is_edited(run: Run) -> bool:
    """Whether ``rejects.csv`` of *run* is not the file that ended the load any more."""
    if not run.report_path.exists():
        return False
    return not run.rejects_text_path.exists() or digest(run.rejects_text_path) != run.report().rejects_sha256


class Edited(NamedTuple):
    """What became of some of a run's rejects.

    Attributes:
        kept: Those to send again, changed values in canonical form and in their records, with ``mend``: what was
            changed (:class:`~tcetl.load.mending.mends.Mend` as JSON), null where nothing was.
        removed: Of each of the rejects, whether it could be sent again and is no more in the file.
    """

    kept: pl.DataFrame
    removed: pl.Series


def apply_edits(run: Run, rejects: Iterable[pl.DataFrame], folder: Path) -> Iterator[Edited]:
    """Say of the rejects of *run*, some at a time, what ``rejects.csv`` makes of them.

    What was said counts only when all is said: what is wrong with the file is raised at its end.

    Args:
        run: A finished load.
        rejects: All of its rejects in order, in frames: REJECTS, their place as ``index``, and ``sendable``, whether
            their records can be sent again; the others may be deleted, but not changed.
        folder: Where the rows of the file lie meanwhile, sorted by the numbers of their letters.

    Raises:
        LoadError: The file cannot be read, has rows that are not this run's, or values that are no valid indicators.
    """
    problems = Problems(run)
    rows = EditedRows(run, _COLUMNS, folder / "rows.arrow")
    for letters in rejects:
        yield _compare(letters, rows.until(letters["index"][-1] + 1), problems)
    for row in rows.rest():
        problems.add_unknown(row)
    problems.raise_if_any()


def _compare(letters: pl.DataFrame, rows: pl.DataFrame, problems: Problems) -> Edited:
    """Hold *letters* against the *rows* that bear their numbers, or numbers before them that no letter has."""
    was = _texts(letters).select(
        NUMBER,
        "index",
        "kind",
        "sendable",
        *(pl.col(name).alias(f"{name}_was") for name in (*_FIXED, *_EDITABLE)),
    )
    known = rows.join(was, on=NUMBER, how="left", maintain_order="left")
    for row in known.filter(pl.col("index").is_null()).iter_rows(named=True):
        problems.add_unknown(row)
    known = known.filter(pl.col("index").is_not_null())
    twice = known[NUMBER].is_duplicated()
    for row in known.filter(twice).iter_rows(named=True):
        problems.add(row, f"letter {row[LETTER]} is there twice")

    differing = pl.any_horizontal(pl.col(name) != pl.col(f"{name}_was") for name in (*_FIXED, *_EDITABLE))
    judged = (_judged(row, problems) for row in known.filter(~twice & differing).iter_rows(named=True))
    mended = [row for row in judged if row is not None]
    schema = pl.Schema({"index": letters.schema["index"], **dict.fromkeys((*_EDITABLE, "mend"), pl.String())})
    update = pl.DataFrame(mended, schema=schema, orient="row")
    there = letters["index"].is_in(known["index"].implode())
    kept = letters.filter(there & letters["sendable"]).with_columns(mend=pl.lit(None, pl.String))
    return Edited(kept.update(update, on="index"), letters["sendable"] & ~there)


_Mended = tuple[int, str, str, str, str]
"""The place of a letter, what its record is called now, the record, and the mend as JSON."""


def _judged(row: dict[str, Any], problems: Problems) -> _Mended | None:
    """What somebody made of the letter that *row* differs from; None if nothing, or nothing that can be used."""
    if why := _misplaced(row) or _spoilt(row):
        problems.add(row, why)
    elif changed := [name for name in _EDITABLE if not _untouched(row, name)]:
        if not row["sendable"]:
            problems.add(row, "it is no record to send again; mend it in its source and load that")
            return None
        for name in changed:
            problems.add_change(row, name)
        try:
            now, record = _mended(row)
        except REFUSALS as error:
            problems.add(row, str(error))
        else:
            change = Mend(row["index"] + 1, Named(row["type_was"], row["summary_was"]), now)
            return row["index"], now.type, now.summary, record, change.to_json()
    return None


def _texts(rejects: pl.DataFrame) -> pl.DataFrame:
    """*rejects* as the file holds them: all text, null and empty the same, each with the number of its letter."""
    return rejects.with_columns(
        (pl.col("index") + 1).cast(pl.Int64).alias(NUMBER),
        *(pl.col(name).cast(pl.String).fill_null("") for name in (*_FIXED, *_EDITABLE)),
    )


def _misplaced(row: dict[str, Any]) -> str | None:
    if all(_untouched(row, name) for name in _FIXED):
        return None
    return f"letter {row[LETTER]} is of row {row['row_was']}, code {row['code_was']}: sort rows as a whole"


def _untouched(row: dict[str, Any], name: str) -> bool:
    return untouched(row[name], row[f"{name}_was"])


def _spoilt(row: dict[str, Any]) -> str | None:
    found = (spoilt(row[name], row[f"{name}_was"]) for name in _EDITABLE if not _untouched(row, name))
    return next((why for why in found if why), None)


def _mended(row: dict[str, Any]) -> tuple[Named, str]:
    was, now = Named(row["type_was"], row["summary_was"]), Named(row["type"], row["summary"])
    revalued = not (_untouched(row, "type") and _untouched(row, "summary"))
    rewritten = not _untouched(row, "record")
    return mend(
        row["kind"],
        row["record_was"],
        was,
        value=now if revalued else None,
        content=row["record"] if rewritten else None,
    )
