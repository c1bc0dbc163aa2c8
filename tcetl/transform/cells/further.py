"""Further indicators of a row: the server that a file calls, beside the file's hash."""

from typing import Final

import polars as pl

from tcetl.feeds import ROW
from tcetl.transform.columns.column_map import ColumnMap
from tcetl.transform.notes import Notes
from tcetl.transform.vocabulary import NOTHING, joined

FIELD: Final = "_field"
"""The reserved text column that `with_further` adds: the feed's column that a row's value is from."""

_AT: Final = f"{ROW}_at"  # no feed's column begins with the reserved name
_REMARK: Final = r"\s\([^()]{4,}\)"  # longer than "(dot)", which is a way of defanging
_ADDRESSES: Final = r"[,;]([A-Za-z]+\[?:\]?//)"  # a comma within a URL is part of it, one before a URL is not
_BETWEEN: Final = r"[,;]*\s+|[,;]+$"
_WHOLE: Final = frozenset({"Mutex", "User Agent", "Email Subject", "Registry Key"})
"""Types whose values may hold blanks and commas: a cell is one of them."""


def with_further(frame: pl.DataFrame, columns: ColumnMap, notes: Notes) -> pl.DataFrame:
    """Return *frame* with a row of its own for each further indicator of a row; see `ColumnMap.further`.

    Such a row has all that its origin says, but not what is of the row's own indicator alone: its type, its hashes, and
    the size and the places of the file. Values stand between commas, semicolons or blanks; a remark in brackets behind
    one is left off, and noted. A row that has nothing but further indicators has no row for its own.
    """
    if not columns.has_further:
        return frame
    frame = frame.with_row_index(_AT)
    own = [columns.type, *columns.hashes, columns.size, columns.file_name, columns.path, columns.found]
    nothing = [pl.lit("").alias(name) for name in dict.fromkeys(name for name in own if name)]
    parts = []
    for column, kind in columns.further.items():
        if kind in _WHOLE:
            values = pl.concat_list(column)
        else:
            remarked = frame.filter(pl.col(column).str.contains(_REMARK))
            notes.add(f"cells of '{column}' had a remark in brackets, which was left off", remarked[ROW])
            values = _values(column)
        made = frame.with_columns(values.alias(columns.value), pl.lit(column).alias(FIELD), *nothing)
        parts.append(made.explode(columns.value))
    if columns.hashes_apart:
        first = pl.lit(columns.hashes[0]).alias(FIELD)
        parts.append(frame.with_columns(joined(columns.hashes).alias(columns.value), first, *nothing))
    further = pl.concat(parts).filter(~pl.col(columns.value).str.contains(NOTHING))
    alone = pl.col(columns.value).str.contains(NOTHING) & pl.col(_AT).is_in(further[_AT].implode())
    return pl.concat([frame.filter(~alone).with_columns(pl.lit(columns.value).alias(FIELD)), further]).drop(_AT)


def _values(column: str) -> pl.Expr:
    cell = pl.col(column).str.replace_all(_REMARK, " ").str.replace_all(_ADDRESSES, " $1")
    apart = pl.when(cell.str.contains("//", literal=True)).then(cell).otherwise(cell.str.replace_all("[,;]", " "))
    return apart.str.replace_all(_BETWEEN, " ").str.strip_chars().str.split(" ")
