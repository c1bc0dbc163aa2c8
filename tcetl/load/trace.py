"""What became of one record of a load: where it came from, how it was sent, and what the platform said."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from tcetl.indicators import SEPARATOR
from tcetl.load.complaints import rejects
from tcetl.load.run import Receipt, Run


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One record, or one row that never became one.

    Attributes:
        type: Its type; None where the row was not understood so far.
        summary: Its value, likewise.
        origin: The fields of its origin: source, file, row, pointer, raw.
        chunk: The chunk that has it; None for a row refused before anything was sent.
        index: Its place in that chunk, from 0.
        batch_id: The job that was given it.
        outcome: In words: loaded, not sent yet, refused and why.
        record: The record as it was, or will be, sent.
    """

    type: str | None
    summary: str | None
    origin: dict[str, Any]
    chunk: int | None
    index: int | None
    batch_id: int | None
    outcome: str
    record: dict[str, Any] | None


def trace(run: Run, value: str) -> list[Trace]:
    """Return the records of *run* whose value, or one hash of it, is *value* in any case, and the rows that said so."""
    said: list[dict[str, Any]] = []
    named: Counter[int] = Counter()  # records per chunk that are known not to have been loaded
    for table in rejects(run):
        rows = pl.DataFrame(table)
        said += _matching(rows, value).rows(named=True)
        named.update(rows.filter(pl.col("record").is_not_null(), severity="error")["chunk"].drop_nulls().to_list())
    found = [
        one
        for receipt in run.receipts()
        for one in _sent(run, receipt, value, said, all_known=named[receipt.chunk] == _not_loaded(receipt))
    ]
    return found + [_refused(row) for row in said if row["chunk"] is None]


def _not_loaded(receipt: Receipt) -> int:
    return receipt.records - (receipt.succeeded or 0)


def _matching(rows: pl.DataFrame, value: str) -> pl.DataFrame:
    wanted = value.strip().lower()
    summary = pl.col("summary").str.to_lowercase()
    return rows.filter(
        (summary == wanted) | summary.str.split(SEPARATOR).list.contains(wanted) | (pl.col("raw") == value)
    )


def _sent(run: Run, receipt: Receipt, value: str, said: list[dict[str, Any]], *, all_known: bool) -> Iterator[Trace]:
    here = _matching(pl.DataFrame(run.origins(receipt.chunk)).with_row_index("index"), value)
    records = run.records(receipt.chunk) if here.height else []
    for row in here.iter_rows(named=True):
        mine = [
            letter
            for letter in said
            if (letter["chunk"], letter["type"], letter["summary"]) == (receipt.chunk, row["type"], row["summary"])
        ]
        yield Trace(
            type=row["type"],
            summary=row["summary"],
            origin=_origin(row),
            chunk=receipt.chunk,
            index=row["index"],
            batch_id=receipt.batch_id,
            outcome=_outcome(receipt, mine, all_known=all_known),
            record=msgspec.json.decode(records[row["index"]]),
        )


def _outcome(receipt: Receipt, letters: list[dict[str, Any]], *, all_known: bool) -> str:
    """What became of a record of *receipt*'s chunk; *all_known*: every one that was not loaded has a letter."""
    if receipt.phase == "planned":
        return "not sent yet"
    if receipt.phase != "saved":
        return f"with job {receipt.batch_id}, which has not been seen to end"
    told = "; ".join(f"{letter['code']} {letter['reason']}" for letter in letters)
    if any(letter["severity"] == "error" for letter in letters):
        return f"not loaded: {told}"
    loaded = "loaded" if all_known else "loaded, unless it is one of those that failed without being named"
    return f"{loaded}, with a remark: {told}" if told else loaded


def _refused(row: dict[str, Any]) -> Trace:
    return Trace(
        type=row["type"],
        summary=row["summary"],
        origin=_origin(row),
        chunk=None,
        index=None,
        batch_id=None,
        outcome=f"not sent: {row['code']} {row['reason']}",
        record=msgspec.json.decode(row["record"]) if row["record"] else None,
    )


def _origin(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("source", "file", "row", "pointer", "raw") if row[name] is not None}
