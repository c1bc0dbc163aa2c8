"""Plain lists: one value per line, with comments."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl.feeds.base import ROW, Malformed, RawBatch, reject_table
from tcetl.feeds.comments import Comments
from tcetl.feeds.format import Format
from tcetl.feeds.markdown import is_markdown
from tcetl.feeds.notation import REMARK, VALUE, is_list, read_lines
from tcetl.feeds.source import Source


class ListFeed:
    """A feed with one value per line; whole-line comments are skipped, those behind a value are its ``comment``."""

    format = "list"
    columns: Sequence[str] = (VALUE, REMARK)

    def __init__(self, source: Source, name: str) -> None:
        assert source.lines  # or it says why there are none
        self.name = name
        self.file = source.location
        self._source = source
        self._decoder = self._source.decoder()
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
        self._decoder = self._source.decoder()
        self._comments = Comments()
        line = 1
        for block in self._source.blocks():
            lines = self._decoder.lines(block)
            frame, local, comments = read_lines(lines, line, ROW)
            self._comments.add(comments)
            yield RawBatch(frame, self._refused(local))
            line += len(lines)

    def _refused(self, local: pl.DataFrame) -> pa.Table:
        malformed = [
            Malformed(row, name, "local-name", "a hosts file's name for the machine itself", severity="info")
            for name, row in local.select(VALUE, ROW).iter_rows()
        ]
        return reject_table(malformed, source=self.name, file=self.file)


def _recognise(source: Source) -> bool:
    return not source.foreign and not is_markdown(source.lines) and is_list(source.lines)


FORMAT: Final = Format(
    "list",
    "one value per line: plain lists, hosts files",
    ListFeed,
    _recognise,
)
