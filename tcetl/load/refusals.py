"""What planning itself does not send: rows refused, and rows that say what another row says already."""

from collections import Counter
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl import schema
from tcetl.load.records import Kind

_ORIGIN: Final = tuple(field.name for field in schema.ORIGIN)


class Refusals:
    """Collects rows that are not sent, as REJECTS, and counts them.

    Attributes:
        rejected: Rows refused, by code.
        duplicates: Rows that repeat another one.
        merged: Rows that travel inside the record of another one, as file occurrences do.
        added: Records that are sent beside the one of their row: the files of groups.
    """

    def __init__(self, owner: str) -> None:
        self.rejected: Counter[str] = Counter()
        self.duplicates = 0
        self.merged = 0
        self.added = 0
        self._owner = owner
        self._tables: list[pa.Table] = []

    def refuse(self, rows: pl.DataFrame, kind: Kind | None, code: str, reason: pl.Expr, *, hint: str = "") -> None:
        """Add *rows*, of which ``origin`` and the columns count that REJECTS has too, for *reason*."""
        self.rejected.update({code: rows.height} if rows.height else {})
        self._add(rows, kind, reason, stage="load", code=code, severity="error", hint=hint or None)

    def repeat(self, rows: pl.DataFrame, kind: Kind, reason: str) -> None:
        """Add *rows* that repeat others."""
        self.duplicates += rows.height
        self._add(rows, kind, pl.lit(reason), stage="duplicate", code="duplicate", severity="info", hint=None)

    def table(self) -> pa.Table:
        """All rows added, as REJECTS."""
        return pa.concat_tables(self._tables) if self._tables else schema.empty_table(schema.REJECTS)

    def _add(self, rows: pl.DataFrame, kind: Kind | None, reason: pl.Expr, **values: str | None) -> None:
        if rows.is_empty():
            return
        rows = rows.with_columns(reason=reason).drop(name for name in _ORIGIN if name in rows.columns)
        rows = rows.unnest("origin").with_columns(
            owner_name=pl.lit(self._owner),
            kind=pl.lit(kind, pl.String),
            **{name: pl.lit(value, pl.String) for name, value in values.items()},
        )
        self._tables.append(as_rejects(rows))


def as_rejects(rows: pl.DataFrame) -> pa.Table:
    """Return *rows* as REJECTS; columns that are not there are null."""
    batches = rows.select(name for name in rows.columns if name in schema.REJECTS.names).to_arrow().to_batches()
    return pa.Table.from_batches(schema.conform(batches, schema.REJECTS), schema.REJECTS)
