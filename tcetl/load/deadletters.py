"""A dead letter for every record of a chunk that was not loaded, with its origin and what the platform said.

What the platform says of single records (its errors) is held against what it says of the whole job (its counts), and
the difference becomes dead letters too, so that the rows add up to the counts: naming the record where that is
certain, naming none where it is not.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from tcetl.client.batch import BatchError
from tcetl.load.attribute import Attributor, names_of
from tcetl.load.run import Answer, Receipt, Run

ABANDONED: Final = "abandoned"
"""Code of a record whose job never ended, so that somebody stopped waiting for it."""
FILE_UPLOAD: Final = "file-upload"
"""Code of a file that could not be read, or that the platform did not take."""
NO_CODE: Final = "no-code"
"""Code of a complaint to which the platform gave none."""
UNPROCESSED: Final = "unprocessed"
"""Code of a record that the platform never got to."""
UNEXPLAINED: Final = "unexplained"
"""Code of a record that failed without a complaint of its own."""

_BY_CODE: Final = {"0x1": "error", "0x2": "warning", "0x3": "info"}
_BY_NAME: Final = {"err": "error", "error": "error", "warn": "warning", "warning": "warning", "info": "info"}
_CODED: Final = re.compile(r"(?:Error|Warning|Info) \((0x[0-9A-Fa-f]{4})\):")
_RANK: Final = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class _Letter:
    index: int | None  # of the record in its chunk; None when no record is named with certainty
    code: str
    severity: str
    reason: str


def dead_letters(run: Run, receipt: Receipt) -> pl.DataFrame:
    """Return, in columns of REJECTS, a row per record of a chunk that was not loaded or that drew a complaint."""
    kind = run.chunks[receipt.chunk].kind
    if receipt.succeeded == receipt.records and not (kind != "file" and run.answer(receipt.chunk)):
        return pl.DataFrame()
    records = run.records(receipt.chunk)
    origins = pl.DataFrame(run.origins(receipt.chunk)).with_row_index("index").cast({"index": pl.Int64})
    if kind == "file":
        letters = _of_files(run, receipt)
    else:
        letters = _of_job(run, receipt, Attributor(names_of(kind, origins, records), kind))
    rows = pl.DataFrame(
        {
            "index": [letter.index for letter in letters],
            "code": [letter.code for letter in letters],
            "severity": [letter.severity for letter in letters],
            "reason": [letter.reason for letter in letters],
            "record": [None if letter.index is None else records[letter.index].decode() for letter in letters],
        },
        schema={"index": pl.Int64, "code": pl.String, "severity": pl.String, "reason": pl.String, "record": pl.String},
    )
    return (
        rows.join(origins, on="index", how="left", maintain_order="left")
        .drop("index")
        .with_columns(
            stage=pl.lit("load"),
            kind=pl.lit(kind),
            owner_name=pl.lit(run.settings.owner),
            chunk=pl.lit(receipt.chunk),
            batch_id=pl.lit(receipt.batch_id),
        )
    )


def _of_job(run: Run, receipt: Receipt, attributor: Attributor) -> list[_Letter]:
    """What a batch job did not load, or complained about."""
    if receipt.abandoned_at:
        return _abandoned(receipt)
    complaints = _merged(run.answer(receipt.chunk))
    return _account(_letters(complaints, attributor.attribute(complaints)), receipt)


def _of_files(run: Run, receipt: Receipt) -> list[_Letter]:
    """The files that their groups do not have."""
    letters = []
    for index in range(receipt.records):
        file = run.file_receipt(receipt.chunk, index)
        if file and file.phase == "failed":
            letters.append(_Letter(index, FILE_UPLOAD, "error", file.reason))
        elif file and file.phase == "left":
            letters.append(_Letter(index, UNPROCESSED, "error", file.reason))
    return letters


def _abandoned(receipt: Receipt) -> list[_Letter]:
    reason = f"job {receipt.batch_id} did not end and was abandoned; the platform may still carry it out"
    return [_Letter(index, ABANDONED, "error", reason) for index in range(receipt.records)]


def _merged(answer: Answer) -> list[BatchError]:
    """Return every complaint once: the errors, which have sources, with the codes that the results give for them."""
    coded: dict[str, list[BatchError]] = defaultdict(list)
    for result in answer.results:
        coded[result.reason].append(result)
    complaints = []
    for error in answer.errors:
        same = coded[error.reason]
        twin = next((result for result in same if error.code in (None, result.code)), None)
        if twin:
            same.remove(twin)
            error = replace(  # noqa: PLW2901 - the fuller one
                error, code=twin.code, severity=error.severity or twin.severity, message=error.message or twin.message
            )
        complaints.append(error)
    return complaints + [result for rest in coded.values() for result in rest]


def _letters(complaints: list[BatchError], found: list[int | None]) -> list[_Letter]:
    """Return a letter per record, its gravest complaint first, and one per complaint that names no record."""
    by_record: dict[int, list[_Letter]] = defaultdict(list)
    nobodys: list[_Letter] = []
    for complaint, index in zip(complaints, found, strict=True):
        code = complaint.code or _code_in(complaint.reason)
        letter = _Letter(index, code or NO_CODE, _severity(complaint.severity, code), _reason(complaint))
        (nobodys if index is None else by_record[index]).append(letter)
    letters = []
    for _, same in sorted(by_record.items()):
        same.sort(key=lambda letter: _RANK[letter.severity])
        letters.append(replace(same[0], reason="; ".join(dict.fromkeys(letter.reason for letter in same))))
    return letters + nobodys


def _account(letters: list[_Letter], receipt: Receipt) -> list[_Letter]:
    """Return *letters* and those for the records that were not loaded and drew no complaint."""
    failed = {letter.index for letter in letters if letter.index is not None and letter.severity == "error"}
    missing = receipt.records - (receipt.succeeded or 0) - len(failed)
    if missing <= 0:
        return letters
    nobodys = [letter for letter in letters if letter.index is None and letter.severity == "error"]
    unprocessed = receipt.unprocessed or 0
    code = UNPROCESSED if missing <= unprocessed else UNEXPLAINED

    rest = [index for index in range(receipt.records) if index not in failed]
    if len(rest) == missing:  # nothing at all was loaded, so these were not
        said = "; ".join(dict.fromkeys(letter.reason for letter in nobodys)) or "nothing about it"
        reasons = {letter.index: letter.reason for letter in letters}
        generic = f"the job loaded nothing; the platform said: {said}"
        return [letter for letter in letters if letter.index in failed] + [
            _Letter(index, code, "error", reasons.get(index, generic)) for index in rest
        ]

    # Jobs read their file as a stream: where the last failure has exactly as many records behind it as the platform
    # left unprocessed, and every failure is known, they are those.
    tail = [index for index in rest if index > max(failed, default=receipt.records)]
    if len(tail) == missing == unprocessed:
        reason = "the job ended at an error before this record"
        return letters + [_Letter(index, UNPROCESSED, "error", reason) for index in tail]

    unsaid = max(missing - len(nobodys), 0)
    left = min(unsaid, unprocessed)
    return [
        *letters,
        *[_Letter(None, UNPROCESSED, "error", "the platform did not get to a record and does not say which")] * left,
        *[_Letter(None, UNEXPLAINED, "error", "the platform failed a record and does not say which")] * (unsaid - left),
    ]


def _code_in(reason: str) -> str | None:
    """The code that a reason opens with, where it has no field of its own."""
    match = _CODED.match(reason)
    return match[1] if match else None


def _severity(named: str | None, code: str | None) -> str:
    return _BY_NAME.get((named or "").lower()) or _BY_CODE.get((code or "")[:3].lower(), "error")


def _reason(complaint: BatchError) -> str:
    parts = (complaint.reason, complaint.message, complaint.source)
    return " | ".join(dict.fromkeys(part for part in parts if part)) or "the platform gave no reason"
