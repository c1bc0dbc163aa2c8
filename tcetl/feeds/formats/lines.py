"""Plain lists: one value per line, with comments."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from tcetl.feeds.base import ROW, RawBatch
from tcetl.feeds.comments import Comments
from tcetl.feeds.decode import Decoder
from tcetl.feeds.format import Format
from tcetl.feeds.sniff import HOSTS_LINE
from tcetl.feeds.source import Source

VALUE: Final = "value"
REMARK: Final = "comment"

# After the value: blanks and a comment sign, or a semicolon, which a URL may hold and which therefore ends only a
# value without a slash before it.
_CUT: Final = r"^(?:([^\s;/]+)\s*;|(.*?)\s+(?:#|;|//))\s*(.*)$"
# A line of a hosts file: the address is no indicator, the one name behind it is.
_SIGNS: Final = ("#", ";", "//")
_SINK: Final = rf"^{HOSTS_LINE}\s*(?:#.*)?$"


class ListFeed:
    """A feed with one value per line; whole-line comments are skipped, those behind a value are its ``comment``."""

    format = "list"
    columns: Sequence[str] = (VALUE, REMARK)

    def __init__(self, source: Source, name: str) -> None:
        assert source.lines  # or it says why there are none
        self.name = name
        self.file = source.location
        self._source = source
        self._decoder = Decoder()
        self._comments = Comments()

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how the feed was read so far."""
        return self._decoder.notes()

    @property
    def comments(self) -> Sequence[str]:
        """What the comment lines read so far say."""
        return self._comments.said()

    def batches(self) -> Iterator[RawBatch]:
        """Yield one batch per block of the file."""
        self._decoder = Decoder()
        self._comments = Comments()
        line = 1
        for block in self._source.blocks():
            lines = self._decoder.lines(block)
            self._comments.add(text for text in lines if text.lstrip().startswith(_SIGNS))
            yield RawBatch(_values(lines, line))
            line += len(lines)


def _values(lines: Sequence[str], first_line: int) -> pl.DataFrame:
    text = pl.col("text")
    host = text.str.extract(_SINK, 1)
    return (
        pl.DataFrame({"text": pl.Series(lines, dtype=pl.String)})
        .with_columns(
            text.str.strip_chars(),
            pl.int_range(first_line, first_line + len(lines), dtype=pl.Int64).alias(ROW),
        )
        .filter((text != "") & ~text.str.contains(r"^(?:#|;|//)"))
        .with_columns(text.str.extract_groups(_CUT).alias("cut"))
        .select(
            pl.coalesce(host, pl.col("cut").struct[0], pl.col("cut").struct[1], text).alias(VALUE),
            pl.col("cut").struct[2].fill_null("").alias(REMARK),
            ROW,
        )
    )


FORMAT: Final = Format(
    "list", "one value per line: plain lists, hosts files", ListFeed, lambda source: not source.foreign
)
