"""What somebody changed in a run's dead letters before a retry.

The file to edit is ``rejects.csv``: mend ``type`` or ``summary`` of a row, or the JSON in its ``record``; delete the
row of a record that is not to be sent again. A row is known again by whichever of the two was left alone, so a row
whose value *and* record were changed is refused, as is one that was added. ``rejects.parquet`` stays what the
platform said.
"""

import hashlib
from io import BufferedReader
from typing import Any, Final, cast

import msgspec
import polars as pl

from tcetl.errors import InvalidValueError, LoadError
from tcetl.indicators import SEPARATOR, TYPES, canonical
from tcetl.load.run import Run
from tcetl.load.storage import RunPath

_EDITABLE: Final = ("type", "summary", "record")
_COLUMNS: Final = ("stage", "source", "file", "row", "raw", "code", "severity", *_EDITABLE)
_SHOWN: Final = 5


def digest(path: RunPath) -> str:
    """Return the SHA-256 of the file at *path* in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(cast("BufferedReader", stream), "sha256").hexdigest()


def is_edited(run: Run) -> bool:
    """Whether ``rejects.csv`` of *run* is not the file that ended the load any more."""
    if not (run.report_path.exists() and run.rejects_text_path.exists()):
        return False
    return digest(run.rejects_text_path) != run.report().rejects_sha256


def apply_edits(run: Run, letters: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Return those of *letters* that ``rejects.csv`` of *run* still has, as they stand there now.

    Args:
        run: A finished load.
        letters: Its dead letters (REJECTS and a column ``index``) whose records can be sent again.
        others: Its other rows of REJECTS; they may be deleted, but not changed.

    Returns:
        The letters kept, in order, changed values in canonical form and in their records.

    Raises:
        LoadError: The file cannot be read, has rows that are not this run's, or values that are no valid indicators.
    """
    rows = _read(run)
    known = _texts(letters).select("index", *(pl.col(name).alias(f"{name}_was") for name in _EDITABLE))
    mine = rows.filter(stage="load", severity="error")
    by_record = mine.join(known, left_on="record", right_on="record_was").with_columns(record_was="record")
    by_value = mine.join(by_record, on="line", how="anti").join(
        known, left_on=["type", "summary"], right_on=["type_was", "summary_was"]
    )
    by_value = by_value.with_columns(type_was="type", summary_was="summary")
    kept = pl.concat([by_record, by_value.select(by_record.columns)])
    _refuse_strangers(run, rows.join(kept, on="line", how="anti"), others)
    if (twice := kept.filter(pl.col("index").is_duplicated())).height:
        raise _unusable(run, [f"row {line} is the same record as another row" for line in twice["line"]])

    changed = kept.filter(pl.any_horizontal(pl.col(name) != pl.col(f"{name}_was") for name in _EDITABLE))
    mended: list[dict[str, Any]] = []
    problems: list[str] = []
    for row in changed.iter_rows(named=True):
        try:
            mended.append({"index": row["index"]} | _mend(row))
        except (InvalidValueError, msgspec.DecodeError, ValueError) as error:
            problems.append(f"row {row['line']}: {error}")
    if problems:
        raise _unusable(run, problems)
    update = pl.DataFrame(mended, schema={"index": letters.schema["index"], **dict.fromkeys(_EDITABLE, pl.String)})
    return letters.join(kept, on="index", how="semi", maintain_order="left").update(update, on="index")


def _read(run: Run) -> pl.DataFrame:
    """The rows of the file as text, with the number that a spreadsheet gives them (the header is row 1)."""
    try:
        rows = pl.read_csv(run.rejects_text_path.read_bytes(), infer_schema=False)
    except pl.exceptions.NoDataError:
        raise _unusable(run, ["it is empty"]) from None
    except pl.exceptions.PolarsError as error:
        raise _unusable(run, [str(error)]) from error
    if missing := [name for name in _COLUMNS if name not in rows.columns]:
        raise _unusable(run, [f"it has no column {', '.join(missing)}"])
    return _texts(rows.with_row_index("line", offset=2))


def _texts(rows: pl.DataFrame) -> pl.DataFrame:
    """*rows* as a CSV file holds them: all text, where null and empty are the same."""
    return rows.with_columns(pl.col(name).cast(pl.String).fill_null("") for name in _COLUMNS)


def _refuse_strangers(run: Run, rows: pl.DataFrame, others: pl.DataFrame) -> None:
    strangers = rows.join(_texts(others), on=list(_COLUMNS), how="anti")
    if strangers.height:
        raise _unusable(
            run,
            [
                f"row {row['line']}: value and record were both changed, or it is none of the run's rows"
                if row["stage"] == "load"
                else f"row {row['line']}: refused before it was sent; mend it in its source and load that"
                for row in strangers.head(_SHOWN + 1).iter_rows(named=True)
            ],
        )


def _mend(row: dict[str, Any]) -> dict[str, str]:
    """The changed row's type, summary in canonical form, and record."""
    document = msgspec.json.decode(row["record"])
    if not isinstance(document, dict):
        raise ValueError("the record is no JSON object")
    if row["record"] == row["record_was"]:
        return _revalued(document, row)
    kind = str(document.get("type", ""))
    given = _value(document, kind)
    if kind not in TYPES:
        return {"type": kind, "summary": given or row["summary"], "record": _encode(document)}
    summary = canonical(kind, given)
    record = document if summary == given else _with_value(document, kind, summary)
    return {"type": kind, "summary": summary, "record": _encode(record)}


def _revalued(document: dict[str, Any], row: dict[str, Any]) -> dict[str, str]:
    kind, summary = row["type"].strip(), row["summary"].strip()
    if kind in TYPES or kind != row["type_was"]:
        summary = canonical(kind, summary)
    elif "summary" not in document:
        raise ValueError(f"the value of a {kind} is in its record: mend it there")
    return {"type": kind, "summary": summary, "record": _encode(_with_value(document, kind, summary))}


def _value(document: dict[str, Any], kind: str) -> str:
    keys = TYPES[kind].value_keys if kind in TYPES else ()
    parts = [str(document[key]) for key in keys if document.get(key) is not None]
    return SEPARATOR.join(parts) or str(document.get("summary", ""))


def _with_value(document: dict[str, Any], kind: str, summary: str) -> dict[str, Any]:
    """*document* as a *kind* called *summary*, a key that every type knows, with all else as it was."""
    was = document.get("type")
    valued = {"type", "summary", *(TYPES[was].value_keys if was in TYPES else ())}
    return {"type": kind, "summary": summary, **{key: value for key, value in document.items() if key not in valued}}


def _encode(document: dict[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


def _unusable(run: Run, problems: list[str]) -> LoadError:
    shown = "; ".join(problems[:_SHOWN]) + ("; …" if len(problems) > _SHOWN else "")
    return LoadError(
        f"{run.rejects_text_path} cannot be used: {shown}",
        hint="mend type and summary, or the record, of rows of stage load; or delete rows",
    )
