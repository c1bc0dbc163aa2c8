"""Why records were not loaded: the dead letters of a load, one by one, or by what was said of them."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tcetl import schema
from tcetl.indicators import SEPARATOR
from tcetl.load.deadletters import dead_letters
from tcetl.load.run import Run
from tcetl.load.spreadsheet import LETTER
from tcetl.load.storage import RunPath

SEVERITIES: Final = ("error", "warning", "info")
"""The gravest first. Notes (``info``) are of records that are loaded, merged into others, or deliberately left out."""

_EXAMPLES: Final = 3
_KINDS: Final = 1_000
"""Different reasons told apart; a platform that words every complaint anew gets one line for the rest of them."""
_OTHERS: Final = "(other reasons)"
_NAME: Final = "…"
_EMPTY_PARTS: Final = frozenset((_NAME, f"{_NAME} is not valid."))
_INDEX: Final = re.compile(r"\[\d+\]")
_COLUMNS: Final = [
    "code",
    "severity",
    "reason",
    "type",
    "summary",
    "xid",
    "source",
    "file",
    "row",
    "pointer",
    "raw",
    "chunk",
]


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """What was said of *count* records, the name of each put as ``…``, and the first few of them as rows of REJECTS."""

    code: str
    severity: str
    reason: str
    count: int
    examples: list[dict[str, Any]]


def rejects(run: Run) -> Iterator[pa.Table]:
    """Yield the rejects of *run*, a batch at a time: the numbers of their letters beside REJECTS.

    Of a load that goes on, those known by now, which have no numbers yet.
    """
    if run.report_path.exists():
        start = 1
        for table in _read(run.rejects_path):
            yield table.add_column(0, LETTER, pa.array(range(start, start + table.num_rows), pa.int64()))
            start += table.num_rows
        return
    for table in _known_by_now(run):
        yield table.add_column(0, LETTER, pa.nulls(table.num_rows, pa.int64()))


def _read(path: RunPath) -> Iterator[pa.Table]:
    with path.open("rb") as stream:
        for batch in pq.ParquetFile(stream).iter_batches():
            yield pa.Table.from_batches([batch])


def _known_by_now(run: Run) -> Iterator[pa.Table]:
    yield from _read(run.planned_rejects_path)
    for receipt in run.receipts():
        if receipt.phase == "saved" and (rows := dead_letters(run, receipt)).height:
            yield pa.Table.from_batches(schema.conform(rows.to_arrow().to_batches(), schema.REJECTS), schema.REJECTS)


def chosen(
    tables: Iterable[pa.Table],
    *,
    codes: Collection[str] = (),
    severities: Collection[str] = SEVERITIES,
    unattributed: bool = False,
) -> Iterator[pa.Table]:
    """Yield of *tables* (as `rejects` does) the rows with one of *codes*, if any are given, and one of *severities*.

    With *unattributed*, only those of which the platform did not say which record they are about.
    """
    wanted = pl.col("severity").is_in(list(severities))
    if codes:
        wanted &= pl.col("code").str.to_lowercase().is_in([code.lower() for code in codes])
    if unattributed:
        wanted &= pl.col("summary").is_null() & pl.col("chunk").is_not_null()
    for table in tables:
        mask = pl.DataFrame(table).select(wanted.fill_null(value=False)).to_series()
        if mask.any():
            yield table.filter(mask.to_arrow())


@dataclass
class _Group:
    count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


def by_reason(tables: Iterable[pa.Table]) -> list[Complaint]:
    """Return the rows of *tables* (as `rejects` does) by code and reason: the gravest first, then the most frequent."""
    groups: dict[tuple[str, str, str], _Group] = {}
    for table in tables:
        for row in table.select(_COLUMNS).to_pylist():
            key = (
                row["code"],
                row["severity"],
                _worded(row["reason"], row["xid"] or "", row["summary"] or row["raw"] or ""),
            )
            if key not in groups and len(groups) >= _KINDS:
                key = (*key[:2], _OTHERS)
            group = groups.setdefault(key, _Group())
            group.count += 1
            if len(group.examples) < _EXAMPLES:
                group.examples.append(row)
    found = [
        Complaint(code=code, severity=severity, reason=reason, count=group.count, examples=group.examples)
        for (code, severity, reason), group in groups.items()
    ]
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), -one.count, one.code, one.reason))


def _worded(reason: str, xid: str, value: str) -> str:
    """*reason* without the names of the one record that it is about, so that equal reasons are equal."""
    for name in dict.fromkeys((xid, value, *value.split(SEPARATOR))):
        if name:
            reason = reason.replace(name, _NAME)
    parts = list(dict.fromkeys(_INDEX.sub("[n]", reason).split(" | ")))
    return " | ".join([part for part in parts if part not in _EMPTY_PARTS] or parts)
