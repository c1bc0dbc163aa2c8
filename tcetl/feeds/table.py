"""Delimited tables (CSV, TSV and their kin), block by block.

Two ways to the same rows. Nearly every block is plain: one record per line, every record as wide as the table; those
go through Arrow's reader. A block that holds anything else (comments, blank lines, quoted line breaks, ragged rows,
bytes that are not UTF-8) goes through `csv.reader` line by line, which can say of every record where it began.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from tcetl.feeds.base import ROW, Malformed, RawBatch, reject_table
from tcetl.feeds.decode import Decoder
from tcetl.feeds.sniff import COMMENT, Dialect
from tcetl.feeds.source import Source

_MOST_LINES: Final = 500
"""Lines one record may span; beyond that a quote was left open and must not swallow the rest of the feed."""

_OPEN_QUOTE: Final = "a quoted cell that begins here is never closed"


class TableFeed:
    """A feed of delimited records."""

    format = "csv"

    def __init__(self, source: Source, name: str, dialect: Dialect) -> None:
        self.name = name
        self.file = str(source.path)
        self.columns: Sequence[str] = dialect.columns
        self.dialect = dialect
        self._source = source
        self._decoder = Decoder()

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how the feed was read so far."""
        return self._decoder.notes()

    def batches(self) -> Iterator[RawBatch]:
        """Yield one batch per block of the file."""
        self._decoder = Decoder()
        skip_record = self.dialect.header
        line = 1
        carried: list[str] = []
        blocks = self._source.blocks()
        block = next(blocks, None)
        while block is not None:
            following = next(blocks, None)
            frame = None if carried or skip_record else self._plain(block, line)
            if frame is not None:
                line += block.count(b"\n")
                yield RawBatch(frame)
            else:
                lines = carried + self._decoder.lines(block)
                records = _Records(self.dialect, lines, line, final=following is None)
                rows, malformed, used = records.read(skip_first=skip_record)
                skip_record = skip_record and not records.skipped
                carried = lines[used:]
                line += used
                yield RawBatch(self._frame(rows), reject_table(malformed, source=self.name, file=self.file))
            block = following

    def _plain(self, block: bytes, line: int) -> pl.DataFrame | None:
        """Return the block's frame, or None when it is not one well-formed record per line."""
        if self.dialect.skip_initial_space or block.startswith((b"#", b"\n", b"\r")):
            return None
        if b"\n#" in block or b"\n\n" in block or b"\n\r\n" in block:
            return None
        odd: list[object] = []

        def note(row: object) -> str:
            odd.append(row)
            return "error"

        try:
            table = pa_csv.read_csv(
                pa.BufferReader(block),
                read_options=pa_csv.ReadOptions(
                    column_names=list(self.columns), use_threads=False, block_size=len(block) + 1
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self.dialect.delimiter, newlines_in_values=True, invalid_row_handler=note
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types={name: pa.string() for name in self.columns}, strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid:  # a ragged row, or bytes that are not UTF-8
            return None
        if table.num_rows != block.count(b"\n") + (not block.endswith(b"\n")):
            return None
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        return frame.with_columns(pl.int_range(line, line + frame.height, dtype=pl.Int64).alias(ROW))

    def _frame(self, rows: Sequence[tuple[int, list[str]]]) -> pl.DataFrame:
        cells = list(zip(*(cells for _, cells in rows), strict=True)) or [()] * len(self.columns)
        columns = {name: pl.Series(values, dtype=pl.String) for name, values in zip(self.columns, cells, strict=True)}
        return pl.DataFrame({**columns, ROW: pl.Series([row for row, _ in rows], dtype=pl.Int64)})


@dataclass(slots=True)
class _Records:
    """Reads records from lines with `csv.reader`, knowing at any moment whether one has begun."""

    dialect: Dialect
    lines: Sequence[str]
    first_line: int
    final: bool  # no more lines will follow: a record that is not complete now never will be
    skipped: bool = False
    _at: int = 0  # index of the next line
    _start: int = 0  # index of the line on which the current record began
    _inside: bool = False
    _starved: bool = False
    _rows: list[tuple[int, list[str]]] = field(default_factory=list)
    _malformed: list[Malformed] = field(default_factory=list)

    def read(self, *, skip_first: bool) -> tuple[list[tuple[int, list[str]]], list[Malformed], int]:
        """Return the records with their lines, what is malformed, and how many lines are dealt with."""
        while self._at < len(self.lines):
            if self._read_on(skip_first=skip_first and not self.skipped):
                break
        return self._rows, self._malformed, self._at

    def _read_on(self, *, skip_first: bool) -> bool:
        """Read until a record must be given up (then False: go on after it) or the lines end."""
        reader = csv.reader(self._feed(), **self.dialect.reader_options())  # type: ignore[arg-type]
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                return self._give_up("bad-csv", str(error))
            if self._starved:
                self._starved = False
                if self.final or self._at - self._start > _MOST_LINES:
                    return self._give_up("unterminated-quote", _OPEN_QUOTE)
                self._at = self._start
                return True
            if cells is None:
                return True
            self._inside = False
            if skip_first and not self.skipped:
                self.skipped = True
                continue
            self._take(cells)

    def _feed(self) -> Iterator[str]:
        while self._at < len(self.lines):
            text = self.lines[self._at]
            self._at += 1
            if not self._inside:
                if text.startswith(COMMENT) or not text.strip():
                    continue
                self._start = self._at - 1
                self._inside = True
            elif self._at - self._start > _MOST_LINES:
                self._starved = True
                return
            yield f"{text}\n"
        self._starved = self._inside

    def _give_up(self, code: str, reason: str) -> bool:
        """Reject the line on which the record began, and go on with the next."""
        self._malformed.append(
            Malformed(self.first_line + self._start, self.lines[self._start], code, reason, "quote the cell properly")
        )
        self._at = self._start + 1
        self._inside = False
        return False

    def _take(self, cells: list[str]) -> None:
        width = len(self.dialect.columns)
        if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
            cells = cells[:width]  # a delimiter too many at the end of the line
        row = self.first_line + self._start
        if len(cells) == width:
            self._rows.append((row, cells))
            return
        self._malformed.append(
            Malformed(
                row,
                "\n".join(self.lines[self._start : self._at]),
                "ragged-row",
                f"{len(cells)} cells where the table has {width} columns",
                "quote cells that hold the delimiter",
            )
        )
