"""Delimited tables (CSV, TSV and their kin), block by block.

Two ways to the same rows. Nearly every block is plain: one record per line, every record as wide as the table; those
go through Arrow's reader. A block that holds anything else (comments, blank lines, quoted line breaks, ragged rows,
bytes that are not UTF-8) goes through `csv.reader` line by line, which can say of every record where it began.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from tcetl.errors import FeedError
from tcetl.feeds.base import ROW, Malformed, RawBatch, reject_table
from tcetl.feeds.comments import Comments
from tcetl.feeds.decode import Decoder
from tcetl.feeds.format import Format
from tcetl.feeds.markdown import is_markdown
from tcetl.feeds.notation import is_list
from tcetl.feeds.records import Record, Records
from tcetl.feeds.sniff import column_names, table_dialect
from tcetl.feeds.source import Source


class TableFeed:
    """A feed of delimited records.

    Args:
        source: The file.
        name: The feed's name.
        header: Names of the columns of a table without a header.
    """

    format = "csv"

    def __init__(self, source: Source, name: str, *, header: Sequence[str] | None = None) -> None:
        dialect = table_dialect(source.lines)
        if dialect is None:
            raise FeedError(
                f"feed file {source.location} is no table: its lines do not split into the same number of columns",
                hint="try format 'list' or 'report'",
            )
        if header is not None:
            if len(header) != len(dialect.columns):
                raise FeedError(
                    f"feed file {source.location} has {len(dialect.columns)} columns, not {len(header)}",
                    hint=f"header names each of them; it is {', '.join(header)}",
                )
            dialect = replace(dialect, columns=tuple(header), header=0)
        self.name = name
        self.file = source.location
        self.columns: Sequence[str] = dialect.columns
        self.dialect = dialect
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
        ahead = self.dialect.header
        line = 1
        carried: list[str] = []
        blocks = self._source.blocks()
        block = next(blocks, None)
        if block is not None and ahead:  # the header's own block may be plain but for what precedes the rows
            head = Records(Decoder().lines(block), self.dialect.delimiter, self.dialect.skip_initial_space)
            head.read(limit=ahead)
            *above, rest = block.split(b"\n", head.used)
            if len(head.records) == ahead and not head.unreadable and len(above) == head.used and rest:
                self._note(head.comments, head.records[:-1])
                ahead = 0
                line += head.used
                block = rest
        while block is not None:
            following = next(blocks, None)
            frame = None if carried or ahead else self._plain(block, line)
            if frame is not None:
                line += frame.height
                yield RawBatch(frame)
            else:
                lines = carried + self._decoder.lines(block)
                found = Records(lines, self.dialect.delimiter, self.dialect.skip_initial_space, final=following is None)
                found.read()
                self._note(found.comments, found.records[:ahead][: self.dialect.header - 1])
                records = found.records[ahead:]
                ahead -= min(ahead, len(found.records))
                yield self._batch(records, found, line)
                carried = lines[found.used :]
                line += found.used
            block = following

    def _note(self, comments: Sequence[str], titles: Sequence[Record]) -> None:
        """Take note of comment lines, and of the records that stand above the header."""
        self._comments.add([*(" ".join(filter(None, record.cells)) for record in titles), *comments])

    def _plain(self, block: bytes, line: int) -> pl.DataFrame | None:
        """Return the block's frame, or None when it is not one well-formed record per line."""
        if self.dialect.skip_initial_space or not block.endswith(b"\n"):
            return None
        if (returns := block.count(b"\r")) and returns != block.count(b"\r\n"):
            return None  # which end lines for Arrow, and so could make up for blank ones
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(block),
                read_options=pa_csv.ReadOptions(
                    column_names=list(self.columns), use_threads=False, block_size=len(block) + 1
                ),
                parse_options=pa_csv.ParseOptions(delimiter=self.dialect.delimiter, newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types={name: pa.string() for name in self.columns}, strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid:  # a ragged row, or bytes that are not UTF-8
            return None
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        if frame.height != block.count(b"\n") or any("\n" in cell for cell in frame.row(-1)):
            return None  # lines are blank, or records span lines; or the last one goes on in the next block
        first = frame[self.columns[0]]
        if first.str.starts_with("#").any() or (self.dialect.header and (first == first.name).any()):
            return None  # comments; or files were put together with their headers
        return frame.with_columns(pl.int_range(line, line + frame.height, dtype=pl.Int64).alias(ROW))

    def _batch(self, records: Sequence[Record], found: Records, line: int) -> RawBatch:
        """Return what was found in lines of which the first is number *line*; *records* are those with data."""
        width = len(self.columns)
        malformed = [
            Malformed(line + at, found.lines[at], code, reason, "quote the cell properly")
            for at, code, reason in found.unreadable
        ]
        rows: list[int] = []
        cells: list[list[str]] = []
        for start, end, row in records:
            if len(row) > width and not any(cell.strip() for cell in row[width:]):
                del row[width:]  # a delimiter too many at the end of the line
            if self.dialect.header and column_names(map(str.strip, row)) == self.columns:
                continue  # the header once more: files were put together
            if len(row) == width:
                rows.append(line + start)
                cells.append(row)
                continue
            malformed.append(
                Malformed(
                    line + start,
                    "\n".join(found.lines[start:end]),
                    "ragged-row",
                    f"{len(row)} cells where the table has {width} columns",
                    "quote cells that hold the delimiter",
                )
            )
        by_column = list(zip(*cells, strict=True)) or [()] * width
        columns = {
            name: pl.Series(values, dtype=pl.String) for name, values in zip(self.columns, by_column, strict=True)
        }
        frame = pl.DataFrame({**columns, ROW: pl.Series(rows, dtype=pl.Int64)})
        return RawBatch(frame, reject_table(malformed, source=self.name, file=self.file))


def _recognise(source: Source) -> bool:
    """A list whose remarks follow a semicolon looks like a table too; only a row of names settles that it is one."""
    if source.foreign or is_markdown(source.lines):
        return False
    dialect = table_dialect(source.lines)
    return dialect is not None and (dialect.header > 0 or not is_list(source.lines, surely=True))


FORMAT: Final = Format("csv", "any delimited table: CSV, TSV and their kin", TableFeed, _recognise)
