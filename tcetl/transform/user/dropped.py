"""What is said of a row that a transform dropped."""

from typing import Final

import polars as pl

from tcetl.feeds import PLACE

DROPPED: Final = "dropped-by-transform"
"""The code of rows that a transform dropped."""


def reason_of(name: str) -> str:
    """Return why there is a reject, where the transform *name* dropped a row."""
    return f"the transform '{name}' dropped it"


def with_raw(rows: pl.DataFrame, value: str | None) -> pl.DataFrame:
    """Return the place of *rows* and what stood there: the cell of the column *value*, or all cells."""
    cells = [value] if value in rows.columns else [name for name in rows.columns if name not in PLACE]
    raw = pl.concat_str([pl.col(str(name)) for name in cells], separator=", ").alias("raw")
    return rows.select(*(name for name in PLACE if name in rows.columns), raw)
