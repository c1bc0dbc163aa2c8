"""Tag cells as lists of tags."""

from collections.abc import Sequence
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa

from tcetl.schema import INDICATORS, TAG

_LONGEST: Final = 128
TOO_LONG: Final = f"tags are longer than the {_LONGEST} characters of the platform and were left out"
_BETWEEN: Final = r"[,;|\n]|\s+#"
_TAG: Final = pl.col("tag")


def tag_column(cells: pl.Series, more: Sequence[str] = ()) -> tuple[pa.Array, pl.Series]:
    """Return the ``tags`` column for tag *cells*, and the tags that are too long for it.

    Each row has its cell's tags and *more*, sorted, each once; ``#`` before a tag is notation. A tag of more than the
    platform's 128 characters is left out, as it would fail the whole indicator.
    """
    distinct = pl.DataFrame({"cell": cells.unique()}).with_row_index("at")
    split = pl.col("cell").fill_null("").str.replace_all(_BETWEEN, "\x1f").str.split("\x1f").alias("tag")
    found = (
        distinct.select("at", split)
        .explode("tag")
        .with_columns(_TAG.str.strip_chars().str.strip_chars_start("#").str.strip_chars())
        .filter((_TAG != "") & (_TAG.str.to_lowercase() != "none"))
    )
    fits = found["tag"].str.len_chars() <= _LONGEST
    every = distinct.select("at").join(pl.DataFrame({"tag": more}, schema={"tag": pl.String}), how="cross")
    tags = (
        pl.concat([found.filter(fits), every]).unique().sort("at", "tag").group_by("at", maintain_order=True).agg("tag")
    )
    lists = distinct.join(tags, on="at", how="left", maintain_order="left").select("cell", _TAG.fill_null([]))
    column = cells.to_frame("cell").join(lists, on="cell", how="left", nulls_equal=True, maintain_order="left")["tag"]
    names = cast(Any, column.to_arrow(compat_level=pl.CompatLevel.oldest()))
    flat = names.flatten().cast(pa.string())
    values = pa.StructArray.from_arrays([flat, pa.nulls(len(flat), pa.string())], fields=list(TAG))
    array = pa.ListArray.from_arrays(names.offsets.cast(pa.int32()), values, type=INDICATORS.field("tags").type)
    return array, found.filter(~fits)["tag"]
