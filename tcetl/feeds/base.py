"""What every reader of feeds gives: batches of raw rows, each row knowing where it stood.

**Where a record stood.** Every frame has ``_row``: the 1-based physical line on which the record begins, or in formats
without lines (JSON, workbooks, Parquet, frames) the record's 1-based number. A row number need not be unique: a line of
a hosts file or a report can give several records. Two more reserved columns are optional, but a feed that gives one
gives it in every batch: ``_pointer`` (text, may be null) says where a number is not enough, in the format's own terms
(a JSON pointer, a STIX object's id, ``sheet!A17``, line and column), and ``_file`` (text, no nulls) names the file of a
record where a feed is read from several (a folder of MISP events, members of an archive, a glob). The three together
name one record, and end up in ``INDICATORS.origin`` and in ``REJECTS``.

**Standards.** A reader of a structured standard (MISP, STIX, OpenIOC) knows what its values mean and says so with the
column names that `tcetl.transform.vocabulary` knows: ``type`` (an API name such as ``EmailAddress``, or any word of
``TYPE_WORDS``), ``value``, and as far as it has them ``md5``, ``sha1``, ``sha256`` (further hashes of the file that
``value`` identifies), ``description``, ``source``, ``tags`` (comma-separated), ``first_seen``, ``last_seen`` (ISO 8601,
UTC), ``confidence`` (0-100) and ``rating`` (0-5). A cell with nothing to say is the empty text, never null. A record
that by the standard itself is no indicator to load (revoked, deleted, ``to_ids`` false, expired) or that cannot be one
here (a yara rule) goes into the batch's ``rejects`` with a code of its own: it is counted, and it is not an error of
the feed, so its severity is ``info``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

import polars as pl
import pyarrow as pa

from tcetl.schema import REJECTS, empty_table

ROW: Final = "_row"
"""The reserved Int64 column: the 1-based line on which the record begins, or its number."""

POINTER: Final = "_pointer"
"""The reserved, optional text column: where in the file, in the format's own terms, the record stands."""

FILE: Final = "_file"
"""The reserved, optional text column: the file of the record, where a feed has several."""

PLACE: Final = (ROW, POINTER, FILE)
"""The reserved columns; together they name one record of a feed."""

_LONGEST_RAW: Final = 4000
"""How much of a malformed line a reject keeps, in characters; a binary file named .csv must not fill the rejects."""


@dataclass(frozen=True, slots=True)
class RawBatch:
    """A piece of a feed: ``frame`` has the feed's columns, all text without nulls, and the reserved ones.

    ``rejects`` (schema REJECTS, stage ``read``) are the records that could not be split into those columns, and
    ``rows_read`` counts both: every record of the feed is in exactly one of the two.
    """

    frame: pl.DataFrame
    rejects: pa.Table = field(default_factory=lambda: empty_table(REJECTS))

    @property
    def rows_read(self) -> int:
        """Records in this batch, good and malformed."""
        return int(self.frame.height + self.rejects.num_rows)


class Feed(Protocol):
    """An opened feed; reading it again starts over."""

    @property
    def name(self) -> str:
        """The feed's name, as it stands in every record's origin."""

    @property
    def file(self) -> str:
        """The path it is read from."""

    @property
    def format(self) -> str:
        """The name of the format it was opened with."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns of every batch, without the reserved ones."""

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how the feed was read so far (an encoding that had to be guessed)."""

    @property
    def comments(self) -> Sequence[str]:
        """What the feed said of itself beside its records so far, such as ``Number of entries: 6000``.

        Comment lines without their sign, fields around a list of records as ``name: value``; the first hundred and the
        last hundred. `stated_records` finds the count among them.
        """

    def batches(self) -> Iterator[RawBatch]:
        """Yield the feed piece by piece, in bounded memory; raises `FeedError` when it cannot be read on."""


@runtime_checkable
class PartedFeed(Protocol):
    """A feed of parts that are listed with their versions, such as the events of a MISP feed: not all need be read."""

    @property
    def versions(self) -> Mapping[str, str]:
        """The version of each part that was left out, or read so far, where one is listed."""

    def leave_out(self, known: Mapping[str, str]) -> bool:
        """Read only parts whose version is not that in *known*; tell whether there are any."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that has not the shape of its feed, or that its own standard does not want used (``severity`` info)."""

    row: int
    raw: str
    code: str
    reason: str
    hint: str | None = None
    pointer: str | None = None
    file: str | None = None
    severity: str = "error"


def reject_table(malformed: Sequence[Malformed], *, source: str, file: str) -> pa.Table:
    """Return *malformed* as REJECTS of the stage ``read``; *file* is where those stood that do not name one."""
    if not malformed:
        return empty_table(REJECTS)
    return pa.Table.from_pylist(
        [
            {
                "stage": "read",
                "source": source,
                "file": one.file or file,
                "row": one.row,
                "pointer": one.pointer,
                "raw": one.raw[:_LONGEST_RAW],
                "code": one.code,
                "reason": one.reason,
                "hint": one.hint,
                "severity": one.severity,
            }
            for one in malformed
        ],
        schema=REJECTS,
    )
