"""The rows of one feed that are no indicators, as they are found."""

from collections import Counter

import polars as pl
import pyarrow as pa

from tcetl.transform.tables import Tables


class Rejected:
    """Collects rejects, and counts their codes."""

    def __init__(self, tables: Tables) -> None:
        self.tables: list[pa.Table] = []
        self._make = tables.rejects
        self._codes: Counter[str] = Counter()

    @property
    def by_code(self) -> dict[str, int]:
        """How many there are of each code, sorted by code."""
        return dict(sorted(self._codes.items()))

    def take(self, table: pa.Table) -> None:
        """Take in REJECTS."""
        self.tables.append(table)
        self._codes.update(table["code"].to_pylist())

    def add(self, rows: pl.DataFrame, **constants: str | None) -> None:
        """Take in *rows*; see `Tables.rejects`."""
        if not rows.is_empty():
            self.take(self._make(rows, **constants))
