"""What somebody changed in a run's dead letters before a retry.

The file to edit is ``rejects.csv``, in any spreadsheet or editor: mend ``type`` or ``summary`` of a row, or the JSON in
its ``record``; delete the row of a record that is not to be sent again. Every row keeps the number of its ``letter``,
which is how it is known again: rows and columns may be sorted, other cells reformatted, columns added.
``rejects.parquet`` stays what the platform said.

Where value and record were both changed they must say the same, or only one of them a new value. What a spreadsheet
changes by itself (see :mod:`tcetl.load.spreadsheet`) is taken as untouched or refused, never sent.
"""

import hashlib
from collections import Counter
from io import BufferedReader
from typing import Any, Final, cast

import msgspec
import polars as pl

from tcetl.errors import LoadError
from tcetl.load.mend import REFUSALS, Named, mend
from tcetl.load.run import Run
from tcetl.load.spreadsheet import LETTER, read_sheet, spoilt, untouched
from tcetl.load.storage import RunPath, read_json, write_whole

_EDITABLE: Final = ("type", "summary", "record")
_FIXED: Final = ("row", "code")  # what shows that a letter's number still stands beside its own row
_COLUMNS: Final = [LETTER, *_FIXED, *_EDITABLE]
_MENDS: Final = "mends.json"
_BATCH: Final = 10_000
_SHOWN: Final = 5


class Mend(msgspec.Struct, frozen=True):
    """One record that somebody changed: the number of its letter, and what it was and is called."""

    letter: int
    was: Named
    now: Named


def write_mends(path: RunPath, mends: list[Mend]) -> None:
    """Keep in the new run at *path* what was changed for it."""
    write_whole(path / _MENDS, msgspec.json.encode(mends))


def read_mends(run: Run) -> list[Mend]:
    """Return what was changed by hand before *run*, a retry, was planned."""
    try:
        return read_json(run.path / _MENDS, list[Mend], hint="restore it, or plan the retry in a new directory")
    except FileNotFoundError:
        return []


def digest(path: RunPath) -> str:
    """Return the SHA-256 of the file at *path* in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(cast("BufferedReader", stream), "sha256").hexdigest()


def is_edited(run: Run) -> bool:
    """Whether ``rejects.csv`` of *run* is not the file that ended the load any more."""
    if not run.report_path.exists():
        return False
    return not run.rejects_text_path.exists() or digest(run.rejects_text_path) != run.report().rejects_sha256


def apply_edits(run: Run, letters: pl.DataFrame, rejects: pl.DataFrame) -> tuple[pl.DataFrame, list[Mend]]:
    """Return those of *letters* that ``rejects.csv`` of *run* still has, as they stand there now, and the changes.

    Args:
        run: A finished load.
        letters: Its dead letters (REJECTS and a column ``index``) whose records can be sent again.
        rejects: All of its rejects, likewise; the others may be deleted, but not changed.

    Returns:
        The letters kept, in order, changed values in canonical form and in their records; and what was changed.

    Raises:
        LoadError: The file cannot be read, has rows that are not this run's, or values that are no valid indicators.
    """
    rows = _rows(run)
    was = _texts(rejects).select(
        LETTER,
        "index",
        "kind",
        pl.col("index").is_in(letters["index"].implode()).alias("sendable"),
        *(pl.col(name).alias(f"{name}_was") for name in (*_FIXED, *_EDITABLE)),
    )
    known = rows.join(was, on=LETTER, how="left", maintain_order="left")
    problems = _Problems(run)
    for row in known.filter(pl.col("index").is_null()).iter_rows(named=True):
        problems.add(row, f"there is no dead letter {row[LETTER]!r}; rows cannot be added")
    for row in known.filter(pl.col(LETTER).is_duplicated()).iter_rows(named=True):
        problems.add(row, f"letter {row[LETTER]} is there twice")
    problems.raise_if_any()

    kept = known.filter(pl.col("sendable"))
    differing = pl.any_horizontal(pl.col(name) != pl.col(f"{name}_was") for name in (*_FIXED, *_EDITABLE))
    changed: list[dict[str, Any]] = []
    for row in known.filter(differing).iter_rows(named=True):
        if why := _misplaced(row) or _spoilt(row):
            problems.add(row, why)
        elif any(not _untouched(row, name) for name in _EDITABLE):
            if row["sendable"]:
                changed.append(row)
            else:
                problems.add(row, "it is no record to send again; mend it in its source and load that")
    problems.raise_if_any()
    _refuse_shuffled(changed, problems)

    mended: list[dict[str, Any]] = []
    mends: list[Mend] = []
    for row in changed:
        try:
            name, record = _mended(row)
        except REFUSALS as error:
            problems.add(row, str(error))
        else:
            mended.append({"index": row["index"], **name._asdict(), "record": record})
            mends.append(Mend(row["index"] + 1, Named(row["type_was"], row["summary_was"]), name))
    problems.raise_if_any()
    update = pl.DataFrame(mended, schema={"index": letters.schema["index"], **dict.fromkeys(_EDITABLE, pl.String)})
    return letters.join(kept, on="index", how="semi", maintain_order="left").update(update, on="index"), mends


class _Problems:
    """Collects what is wrong with the file, by row, to tell all of it at once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._found: list[tuple[int, str]] = []

    def add(self, row: dict[str, Any], why: str) -> None:
        self._found.append((row["line"], why))

    def raise_if_any(self) -> None:
        if self._found:
            shown = [f"row {line}: {why}" for line, why in sorted(self._found)[:_SHOWN]]
            more = len(self._found) - len(shown)
            raise _unusable(self._run, "; ".join(shown) + (f"; and {more} more" if more else ""))


def _unusable(run: Run, why: str) -> LoadError:
    return LoadError(
        f"{run.rejects_text_path} cannot be used: {why}",
        hint="mend type and summary, or the record, of what the platform refused; or delete rows. To begin with it "
        f"anew, delete the file and run: tcetl batch resume {run.path}",
    )


def _rows(run: Run) -> pl.DataFrame:
    """The rows of the file as text, with the number that a spreadsheet gives them."""
    schema = {"line": pl.Int64, **dict.fromkeys(_COLUMNS, pl.String)}
    parts = [pl.DataFrame(schema=schema)]
    try:
        with run.rejects_text_path.open("rb") as stream:
            batch: list[dict[str, Any]] = []
            for line, cells in read_sheet(stream, _COLUMNS):
                cells[LETTER] = cells[LETTER].removesuffix(".0").lstrip("0")
                batch.append({"line": line} | cells)
                if len(batch) == _BATCH:
                    parts.append(pl.DataFrame(batch, schema=schema))
                    batch = []
            parts.append(pl.DataFrame(batch, schema=schema))
    except FileNotFoundError:
        raise LoadError(
            f"{run.rejects_text_path} is gone", hint=f"put it back, or make it anew: tcetl batch resume {run.path}"
        ) from None
    except ValueError as error:
        raise _unusable(run, str(error)) from error
    return pl.concat(parts)


def _texts(rejects: pl.DataFrame) -> pl.DataFrame:
    """*rejects* as the file holds them: all text, null and empty the same, each with the number of its letter."""
    return rejects.with_columns(
        (pl.col("index") + 1).cast(pl.String).alias(LETTER),
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


def _refuse_shuffled(changed: list[dict[str, Any]], problems: _Problems) -> None:
    """Refuse values that only changed places among rows: one column was sorted and the others were not."""
    for name in ("summary", "record"):
        moved = [row for row in changed if not _untouched(row, name)]
        if len(moved) > 1 and Counter(row[name] for row in moved) == Counter(row[f"{name}_was"] for row in moved):
            problems.add(moved[0], f"the column {name} was sorted without the others")
    problems.raise_if_any()


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
