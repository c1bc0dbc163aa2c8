"""NDJSON: one JSON object a line, nothing lost; the landing format of every other path.

UTF-8 without BOM, LF after every line, keys in canonical order, nulls left out, empty lists kept.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

import polars as pl

from tcetl.siem.canonical import KEYS, canonical
from tcetl.siem.format import Encoded
from tcetl.siem.text import joined, json_object

_NULLABLE: Final = [key for key in KEYS if key not in ("tags", "securityLabels", "attributes")] + ["value"]


@dataclass(frozen=True, kw_only=True)
class Ndjson:
    """Newline-delimited JSON; it has no options."""

    columns: ClassVar[tuple[str, ...]] = tuple(KEYS.values())

    def header(self) -> bytes:
        """NDJSON has none."""
        return b""

    def encode(self, frame: pl.DataFrame) -> Encoded:
        """Turn INDICATORS rows into JSON objects, one a line."""
        lines = canonical(frame).select(json_object(list(KEYS), nullable=_NULLABLE) + "\n")
        return Encoded(joined(lines.to_series()), frame.height)
