"""Further indicators of a row: the server that a file calls, beside the file's hash."""

from typing import Final

import polars as pl

from tcetl.feeds import ROW
from tcetl.transform.columns import ColumnMap
from tcetl.transform.notes import Notes
from tcetl.transform.vocabulary import NOTHING

FIELD: Final = "_field"
"""The reserved text column that `with_further` adds: the feed's column that a row's value is from."""

_REMARK: Final = r"\s\([^()]{4,}\)"  # longer than "(dot)", which is a way of defanging
_ADDRESSES: Final = r"[,;]([A-Za-z]+\[?:\]?//)"  # a comma within a URL is part of it, one before a URL is not
_BETWEEN: Final = r"[,;]*\s+|[,;]+$"


def with_further(frame: pl.DataFrame, columns: ColumnMap, notes: Notes) -> pl.DataFrame:
    """Return *frame* with a row of its own for each value in the columns of `ColumnMap.also`.

    Such a row has all that its origin says, but not what is of the row's own indicator alone: its type, its hashes, and
    the size and the places of the file. Values stand between commas, semicolons or blanks; a remark in brackets behind
    one is left off, and noted.
    """
    if not columns.also:
        return frame
    own = [columns.type, *columns.hashes, columns.size, columns.file_name, columns.path, columns.found]
    nothing = [pl.lit("").alias(name) for name in dict.fromkeys(name for name in own if name)]
    parts = [frame.with_columns(pl.lit(columns.value).alias(FIELD))]
    for column in columns.also:
        remarked = frame.filter(pl.col(column).str.contains(_REMARK))
        notes.add(f"cells of '{column}' had a remark in brackets, which was left off", remarked[ROW])
        made = frame.with_columns(_values(column).alias(columns.value), pl.lit(column).alias(FIELD), *nothing)
        parts.append(made.explode(columns.value).filter(~pl.col(columns.value).str.contains(NOTHING)))
    return pl.concat(parts)


def _values(column: str) -> pl.Expr:
    cell = pl.col(column).str.replace_all(_REMARK, " ").str.replace_all(_ADDRESSES, " $1")
    apart = pl.when(cell.str.contains("//", literal=True)).then(cell).otherwise(cell.str.replace_all("[,;]", " "))
    return apart.str.replace_all(_BETWEEN, " ").str.strip_chars().str.split(" ")
