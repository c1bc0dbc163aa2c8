"""Excel workbooks (.xlsx, .xlsm), row by row: the values of their sheets, never their macros, links or formulas."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from functools import cached_property
from itertools import islice
from typing import Any, Final
from zipfile import ZipFile

import polars as pl

from tcetl.errors import FeedError
from tcetl.feeds.base import POINTER, ROW, Malformed, RawBatch, reject_table
from tcetl.feeds.format import Format
from tcetl.feeds.sniff import column_names, is_header
from tcetl.feeds.source import Source
from tcetl.feeds.unpack import ZIP
from tcetl.feeds.unreadable import refuse_document

_BATCH: Final = 10_000
_SAMPLE: Final = 50
_WIDEST: Final = 1000
_SMALL: Final = 32 << 20  # bytes of which no ratio is asked
_EXTRA: Final = "install the extra that reads workbooks: pip install 'tcetl[feeds]'"


class XlsxFeed:
    """A feed of the rows of a workbook; ``_row`` numbers the rows of the sheet, ``_pointer`` is ``'sheet'!A17``.

    The first row of a sheet names its columns, unless it is data; blank rows above it are skipped. Several sheets are
    read one after the other, each with columns of its own; the feed has all of them.

    Args:
        source: The file.
        name: The feed's name.
        sheet: The name of the one sheet to read; all that hold anything by default.
    """

    format = "xlsx"
    notes: Sequence[str] = ()
    comments: Sequence[str] = ()

    def __init__(self, source: Source, name: str, *, sheet: str | None = None) -> None:
        self.name = name
        self.file = source.location
        self._source = source
        self._wanted = sheet
        self._check_size()
        with self._workbook() as book:
            titles = [one.title for one in book.worksheets]
        if sheet is not None and sheet not in titles:
            raise FeedError(f"workbook {self.file} has no sheet '{sheet}'", hint=f"it has: {', '.join(titles)}")

    @cached_property
    def columns(self) -> Sequence[str]:
        """The columns of all sheets, those of the first sheet first."""
        with self._workbook() as book:
            named = [name for sheet in self._sheets(book) for name in self._layout(sheet)[0]]
        if not named:
            raise FeedError(f"workbook {self.file} holds no records", hint="is the feed empty today?")
        return list(dict.fromkeys(named))

    def batches(self) -> Iterator[RawBatch]:
        """Yield the rows of one sheet after the other.

        Raises:
            FeedError: the workbook is damaged or empty.
        """
        columns = self.columns
        schema = {**dict.fromkeys(columns, pl.String), ROW: pl.Int64, POINTER: pl.String}
        with self._workbook() as book:
            for sheet in self._sheets(book):
                names, skipped = self._layout(sheet)
                rows = self._rows(sheet, skipped)
                while some := list(islice(rows, _BATCH)):
                    good = [(number, row) for number, row in some if not any(row[len(names) :])]
                    cells = {
                        name: [row[at] if at < len(row) else "" for _, row in good] for at, name in enumerate(names)
                    }
                    blank = [""] * len(good)
                    places = {
                        ROW: [number for number, _ in good],
                        POINTER: [f"'{sheet.title}'!A{number}" for number, _ in good],
                    }
                    frame = pl.DataFrame({name: cells.get(name, blank) for name in columns} | places, schema=schema)
                    yield RawBatch(frame, self._refused(sheet.title, len(names), some))

    def _refused(self, title: str, width: int, rows: Sequence[tuple[int, list[str]]]) -> Any:
        malformed = [
            Malformed(
                number,
                "\t".join(row),
                "ragged-row",
                f"{len(row)} cells where the sheet has {width} columns",
                "name every column in the first row",
                f"'{title}'!A{number}",
            )
            for number, row in rows
            if any(row[width:])
        ]
        return reject_table(malformed, source=self.name, file=self.file)

    def _sheets(self, book: Any) -> list[Any]:
        return [one for one in book.worksheets if self._wanted in (None, one.title)]

    def _layout(self, sheet: Any) -> tuple[Sequence[str], int]:
        """Return the names of a sheet's columns, and the number of the last row that is no data."""
        sample = list(islice(self._rows(sheet, 0), _SAMPLE))
        if not sample:
            return (), 0
        number, first = sample[0]
        width = max(len(row) for _, row in sample)
        cells = [cell.strip() for cell in first] + [""] * (width - len(first))
        if is_header([cell for cell in cells if cell] or [""], [row for _, row in sample[1:]]):
            return column_names(cells), number
        return column_names([""] * width), number - 1

    def _rows(self, sheet: Any, after: int) -> Iterator[tuple[int, list[str]]]:
        """Yield number and cells of each row below *after* that is not blank, without blank cells at its end."""
        rows = sheet.iter_rows(min_row=after + 1, max_col=_WIDEST, values_only=True)
        number = after
        with self._told():
            for values in rows:
                number += 1
                row = [_text(value) for value in values]
                while row and not row[-1]:
                    row.pop()
                if row:
                    yield number, row

    @contextmanager
    def _workbook(self) -> Iterator[Any]:
        try:
            import defusedxml  # noqa: F401, PLC0415 - openpyxl reads XML by it where it is there
            from openpyxl import load_workbook  # noqa: PLC0415 - of the extra "feeds"
        except ImportError:
            raise FeedError(f"feed file {self.file} is a workbook", hint=_EXTRA) from None
        with self._source.open_seekable() as stream:
            with self._told(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # on styles and validation rules, which say nothing about values
                book = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            try:
                yield book
            finally:
                book.close()

    def _check_size(self) -> None:
        """Refuse a workbook that would expand beyond what an archive may."""
        limits = self._source.unpacking
        with self._told(), self._source.open_seekable() as stream, ZipFile(stream) as archive:
            packed = sum(info.compress_size for info in archive.infolist())
            size = sum(info.file_size for info in archive.infolist())
            refuse_document(archive.namelist(), self.file)
        if size > min(limits.max_bytes, max(limits.max_ratio * packed, _SMALL)):
            raise FeedError(
                f"workbook {self.file} expands to {size:,} bytes", hint="made to fill the memory? See Unpacking"
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FeedError:
            raise
        except Exception as error:  # noqa: BLE001 - openpyxl lets through whatever a damaged part makes it stumble over
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise FeedError(
                f"workbook {self.file} is damaged: {reason}", hint="open and save it, or fetch it again"
            ) from None


def _text(value: Any) -> str:
    """Return a cell as text; a cell that holds an error of Excel says nothing."""
    match value:
        case None:
            return ""
        case str():
            return "" if value in _ERRORS else value
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 2**53:
            return str(int(value))
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)


_ERRORS: Final = frozenset({"#N/A", "#REF!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#VALUE!"})


def _recognise(source: Source) -> bool:
    return source.head.startswith(ZIP)  # an archive of files is unpacked, and an Office document alone is left


FORMAT: Final = Format("xlsx", "an Excel workbook: the values of its sheets", XlsxFeed, _recognise)
