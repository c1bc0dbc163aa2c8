"""``rejects.csv``: the dead letters as a spreadsheet shows them, read back from whatever it made of them.

Spreadsheets change what nobody asked them to: quotes, line ends, separator and encoding of the file; ``00123`` becomes
``123`` and a hash of digits ``1.2E+31``; ``1-2`` becomes a date. So every row carries the number of its dead letter,
and :func:`untouched` and :func:`spoilt` tell such changes from those that somebody made.
"""

import codecs
import csv
import io
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import IO, Final

import polars as pl
import pyarrow as pa

from tcetl.schema import REJECTS

LETTER: Final = "letter"
"""First column of the file: the number of the dead letter, from 1 in the order of ``rejects.parquet``."""

_HEADER: Final = [LETTER, *REJECTS.names]
_TEXTS: Final = [field.name for field in REJECTS if pa.types.is_string(field.type)]
# A cell that begins so is a formula to a spreadsheet, and feeds are written by strangers. An apostrophe before it says
# that it is text; values that look as if they had one already get one more, so that taking one away is exact.
_FORMULA: Final = r"^'*[=+\-@\t\r\n]"
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r\n]")

_CELL: Final = 32_000
"""Spreadsheets cut cells; the shortest cut known is Excel's, at 32,767 characters."""
_DIGITS: Final = 15
"""Of a longer number, spreadsheets keep no more."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(?:[Ee]([+-]?\d{1,4}))?")
_DATE: Final = re.compile(
    r"\d{1,2}-[A-Za-z]{3}(?:-\d{2,4})?|[A-Za-z]{3}-\d{2}|\d{1,4}[/.]\d{1,2}[/.]\d{1,4}|\d{4}-\d\d-\d\d|\d{1,2}:\d\d(?::\d\d)?"
    r"(?: ?[AP]M)?",
)
_WESTERN: Final = ("cp1252", "latin-1", "mac_roman")


class SheetWriter:
    """Writes dead letters as a CSV file with a byte order mark, without which Excel takes UTF-8 for something else."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._written = 0
        stream.write(codecs.BOM_UTF8)
        pl.DataFrame(schema=dict.fromkeys(_HEADER, pl.String)).write_csv(stream)

    def write(self, rejects: pa.Table) -> None:
        """Add the rows of *rejects* (REJECTS), with the numbers of their letters or to be numbered on."""
        rows = pl.DataFrame(rejects)
        if LETTER not in rows.columns:
            rows = rows.with_row_index(LETTER, offset=self._written + 1)
        self._written += rows.height
        rows.with_columns(pl.col(_TEXTS).str.replace(_FORMULA, "'$0")).select(_HEADER).write_csv(
            self._stream, include_header=False
        )


def read_sheet(stream: IO[bytes], wanted: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row of a CSV file that is not empty: its number as spreadsheets count (the header is 1), its cells.

    UTF-8 and UTF-16, separated by commas, semicolons or tabs, lines ended in any way; columns in any order.

    Args:
        stream: The file.
        wanted: Columns that there must be.

    Raises:
        ValueError: It is no such file; the message says what is wrong with it.
    """
    csv.field_size_limit(sys.maxsize)
    lines = io.TextIOWrapper(stream, encoding=_encoding(stream), newline="")
    try:
        first = lines.readline()
        names, separator = _header(first)
        if missing := [name for name in wanted if name not in names]:
            raise ValueError(f"it has no column {', '.join(missing)}" if first.strip() else "it is empty")
        places = [(name, max(at for at, given in enumerate(names) if given == name)) for name in wanted]
        for number, cells in enumerate(csv.reader(lines, delimiter=separator, strict=True), start=2):
            if any(cells):
                if len(cells) > len(names) and any(cells[len(names) :]):
                    raise ValueError(f"row {number} has more cells than the header has names")
                cells.extend([""] * (len(names) - len(cells)))
                yield number, {name: _unguarded(cells[place]) for name, place in places}
    except UnicodeDecodeError as error:
        raise ValueError("it is neither UTF-8 nor UTF-16; save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise ValueError(f"it is damaged: {error}") from error
    finally:
        lines.detach()


def untouched(now: str, was: str) -> bool:
    """Whether *now* is *was* as a spreadsheet may have written it by itself: nobody changed it."""
    if now == was:
        return True
    if _plain(now) == _plain(was):
        return True
    if {now.upper(), was.upper()} <= {"TRUE", "FALSE"} and now.upper() == was.upper():
        return True
    return _is_same_number(now, was) or (len(now) >= _CELL and was.startswith(now))


def spoilt(now: str, was: str) -> str | None:
    """What a spreadsheet did to *was*, so that neither can be told to be meant; None when somebody changed it."""
    if not was.isascii() and any(_reread(was, codec) == now for codec in _WESTERN):
        return f"{now[:60]!r} is {was[:60]!r} read by another character set: open the file as UTF-8"
    if not was.isascii() and any(_lossy(was, codec) == now for codec in ("ascii", *_WESTERN)):
        return f"characters of {was[:60]!r} were lost: save the file as 'CSV UTF-8'"
    if _DATE.fullmatch(now) and re.fullmatch(r"[\d\-/.: ]+|[A-Za-z]{3,9}[\s-]?\d{1,4}", was):
        return f"{was!r} became {now!r}, as if it were a date or time; give the column the format 'text' on opening"
    return None


def _encoding(stream: IO[bytes]) -> str:
    start = stream.read(4)
    stream.seek(0)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in start:
        return "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
    return "utf-8-sig"


def _header(line: str) -> tuple[list[str], str]:
    """The names of the columns, and what separates them: what gives the most names."""
    rows = {mark: next(csv.reader([line], delimiter=mark), []) for mark in (",", ";", "\t")}
    separator = max(rows, key=lambda mark: len(rows[mark]))
    return [name.strip().lower() for name in rows[separator]], separator


def _unguarded(cell: str) -> str:
    return cell[1:] if _GUARDED.match(cell) else cell


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _is_same_number(now: str, was: str) -> bool:
    """Whether both are one number, as far as *now* shows it: ``1.2346E+31`` shows five digits of it."""
    now = now.replace(",", ".") if now.count(",") == 1 else now  # a decimal comma
    shown, full = _NUMBER.fullmatch(now), _NUMBER.fullmatch(was)
    if shown is None or full is None:
        return False
    there, here = Decimal(was), Decimal(now)
    if there == here or (shown[2] is None and len(was) <= _DIGITS):
        return there == here
    last = here.normalize().as_tuple().exponent  # of the last digit shown, which may be rounded or cut
    more = (here - there) * (1 if there > 0 else -1)
    return isinstance(last, int) and -1 < more.scaleb(-last) <= Decimal("0.5")


def _reread(text: str, codec: str) -> str:
    return text.encode().decode(codec, "replace")


def _lossy(text: str, codec: str) -> str:
    return text.encode(codec, "replace").decode(codec)
