"""Tag cells as lists of tags."""

import re
from collections.abc import Sequence
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa

from tcetl.schema import INDICATORS, TAG

_LONGEST: Final = 128
_BETWEEN: Final = re.compile(r"[,;|\n]|\s+(?=#)")


def split_tags(cell: str, more: Sequence[str] = ()) -> list[str]:
    """Return the tags in *cell* and *more*, sorted, each once; ``#`` before a tag is notation.

    A tag longer than the platform's 128 characters is left out: it would fail the whole indicator.
    """
    found = {tag.strip().lstrip("#").strip() for tag in _BETWEEN.split(cell)}
    return sorted({tag for tag in found if 0 < len(tag) <= _LONGEST and tag.lower() != "none"}.union(more))


def tag_column(cells: pl.Series, more: Sequence[str]) -> pa.Array:
    """Return the ``tags`` column for tag *cells*, with the tags *more* in every row."""
    distinct = cells.unique()
    lists = pl.Series([split_tags(cell or "", more) for cell in distinct], dtype=pl.List(pl.String))
    position = cells.to_frame("cell").join(
        pl.DataFrame({"cell": distinct}).with_row_index("at"), on="cell", how="left", nulls_equal=True,
        maintain_order="left",
    )["at"]  # fmt: skip
    names = cast(Any, lists.gather(position).to_arrow(compat_level=pl.CompatLevel.oldest()))
    flat = names.flatten().cast(pa.string())
    values = pa.StructArray.from_arrays([flat, pa.nulls(len(flat), pa.string())], fields=list(TAG))
    return pa.ListArray.from_arrays(names.offsets.cast(pa.int32()), values, type=INDICATORS.field("tags").type)
