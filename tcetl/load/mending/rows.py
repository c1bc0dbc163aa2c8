"""The rows of an edited ``rejects.csv``, letter by letter, however many there are and in whatever order."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import polars as pl

from tcetl.errors import LoadError
from tcetl.load.mending.misedits import unusable
from tcetl.load.run import Run
from tcetl.load.spreadsheet import LETTER, read_sheet
from tcetl.sorted_runs import SortedRuns

NUMBER: Final = "number"
"""Column of the number of a letter."""
_BATCH: Final = 10_000


class EditedRows:
    """The rows of ``rejects.csv``, to be taken once, in the order of the numbers of their letters.

    Each has its ``line``, as a spreadsheet counts, the ``number`` of its letter, 0 where that is none, and *columns*,
    the letter among them, as text. They lie in the file *path* meanwhile: to put them there in order costs less than to
    see first whether they are.

    Raises:
        LoadError: The file is gone or cannot be read.
    """

    def __init__(self, run: Run, columns: list[str], path: Path) -> None:
        schema = pl.Schema({"line": pl.Int64(), **dict.fromkeys(columns, pl.String())})
        runs = SortedRuns(path, [NUMBER, "line"])
        with runs.writing() as write:
            for batch in _batches(run, columns):
                write(_numbered(pl.DataFrame(batch, schema=schema, orient="row")).sort(NUMBER, "line"))
        self._frames = runs.frames()
        self._none = _numbered(pl.DataFrame(schema=schema))
        self._left = self._none

    def until(self, number: int) -> pl.DataFrame:
        """Take the rows up to the letter of *number*."""
        taken = [self._left]
        while taken[-1].is_empty() or taken[-1][NUMBER][-1] <= number:
            if (frame := next(self._frames, None)) is None:
                self._left = self._none
                return pl.concat(taken)
            taken.append(frame)
        last = taken.pop()
        count = last[NUMBER].search_sorted(number, side="right")
        self._left = last[count:]
        return pl.concat([*taken, last[:count]])

    def rest(self) -> Iterator[dict[str, Any]]:
        """Take the rows that are left, one by one."""
        for frame in (self._left, *self._frames):
            yield from frame.iter_rows(named=True)


def _batches(run: Run, columns: list[str]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of the file as text, with the number that a spreadsheet gives them, some at a time."""
    try:
        with run.rejects_text_path.open("rb") as stream:
            rows = ((line, *cells.values()) for line, cells in read_sheet(stream, columns))
            while batch := list(islice(rows, _BATCH)):
                yield batch
    except FileNotFoundError:
        raise LoadError(
            f"{run.rejects_text_path} is gone", hint=f"put it back, or make it anew: tcetl batch resume {run.path}"
        ) from None
    except ValueError as error:
        raise unusable(run, str(error)) from error


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    rows = rows.with_columns(pl.col(LETTER).str.strip_suffix(".0").str.strip_chars_start("0"))
    number = pl.col(LETTER).str.extract("^([0-9]+)$").cast(pl.Int64, strict=False).fill_null(0)
    return rows.with_columns(number.alias(NUMBER))
