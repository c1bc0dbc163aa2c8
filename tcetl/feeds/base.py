"""What every reader of feeds gives: batches of raw rows, each row with the line it began on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import polars as pl
import pyarrow as pa

from tcetl.schema import REJECTS, empty_table

ROW: Final = "_row"
"""The reserved Int64 column: the 1-based physical line on which the record begins."""

_LONGEST_RAW: Final = 4000
"""How much of a malformed line a reject keeps, in characters; a binary file named .csv must not fill the rejects."""


@dataclass(frozen=True, slots=True)
class RawBatch:
    """A piece of a feed: ``frame`` has the feed's columns, all text, and ``_row``.

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
        """The format it was opened with: ``csv`` or ``text``."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns of every batch, without ``_row``."""

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how the feed was read so far (an encoding that had to be guessed)."""

    def batches(self) -> Iterator[RawBatch]:
        """Yield the feed piece by piece, in bounded memory; raises `FeedError` when it cannot be read on."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that has not the shape of its feed."""

    row: int
    raw: str
    code: str
    reason: str
    hint: str | None = None


def reject_table(malformed: Sequence[Malformed], *, source: str, file: str) -> pa.Table:
    """Return *malformed* as REJECTS of the stage ``read``."""
    if not malformed:
        return empty_table(REJECTS)
    return pa.Table.from_pylist(
        [
            {
                "stage": "read",
                "source": source,
                "file": file,
                "row": one.row,
                "raw": one.raw[:_LONGEST_RAW],
                "code": one.code,
                "reason": one.reason,
                "hint": one.hint,
                "severity": "error",
            }
            for one in malformed
        ],
        schema=REJECTS,
    )
