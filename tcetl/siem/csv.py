"""CSV by RFC 4180: comma, CRLF after every record, quotes only where needed, one header line, UTF-8.

A cell that begins like a formula runs as one in a spreadsheet, and indicator texts are written by attackers. The
guard puts one ``'`` before such a cell. It is reversible: take one ``'`` away where :data:`FORMULA` matches the rest.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import ClassVar, Final, Literal

import polars as pl
import polars.selectors as cs

from tcetl.siem.canonical import KEYS, canonical
from tcetl.siem.format import Encoded
from tcetl.siem.text import cleaned, json_object

FORMULA: Final = "^'*\\s*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]"  # the last four are the full-width signs
"""Begins like a formula; the apostrophes keep a guarded cell apart from one that had an apostrophe of its own."""

_BOM: Final = b"\xef\xbb\xbf"
# Values of these types are checked against a strict form by the platform; every other summary is free text.
_STRICT_TYPES: Final = ("Address", "EmailAddress", "File", "Host", "URL", "ASN", "CIDR")
_FREE_TEXT: Final = ("ownerName", "description", "source", "tags", "attributes")


@dataclass(frozen=True, kw_only=True)
class Csv:
    """Comma-separated values.

    Attributes:
        guard: Which cells are guarded against spreadsheet formulas: ``text`` (free text only), ``all`` (every text
            cell) or ``none`` (for machines that must see the values as they are).
        bom: Begin with a byte order mark, which Excel needs to see UTF-8.
    """

    guard: Literal["text", "all", "none"] = "text"
    bom: bool = False

    columns: ClassVar[tuple[str, ...]] = tuple(KEYS.values())

    def header(self) -> bytes:
        """The byte order mark, if asked for, and the names of the columns."""
        return (_BOM if self.bom else b"") + ",".join(KEYS).encode() + b"\r\n"

    def encode(self, frame: pl.DataFrame) -> Encoded:
        """Turn INDICATORS rows into CSV records."""
        attributes = json_object(["attributes"], nullable=["value"])
        cells = canonical(frame).with_columns(
            pl.col("tags", "securityLabels").list.join("; "),
            pl.when(pl.col("attributes").list.len() > 0).then(
                attributes.str.strip_prefix('{"attributes":').str.strip_suffix("}")
            ),
        )
        cells = cells.with_columns(cleaned(cs.string()))
        cells = cells.with_columns(self._guarded())
        # An empty text is no value: without this polars would write a pair of quotes.
        cells = cells.with_columns(pl.when(cs.string() != "").then(cs.string()))
        text = BytesIO()
        cells.write_csv(text, include_header=False, line_terminator="\r\n", quote_style="necessary")
        return Encoded(text.getbuffer(), frame.height)

    def _guarded(self) -> list[pl.Expr]:
        if self.guard == "none":
            return []
        if self.guard == "all":
            return [_guard(cs.string(), True)]
        is_free_text = ~pl.col("type").is_in(_STRICT_TYPES)
        return [_guard(pl.col(*_FREE_TEXT), True), _guard(pl.col("summary"), is_free_text)]


def _guard(cell: pl.Expr | cs.Selector, where: pl.Expr | bool) -> pl.Expr:
    return pl.when(~(cell.str.contains(FORMULA) & where)).then(cell).otherwise(pl.lit("'") + cell)
