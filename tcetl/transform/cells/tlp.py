"""TLP levels of a feed's rows, and the security labels that say them on the platform."""

from typing import Any, Final, cast

import polars as pl
import pyarrow as pa

from tcetl.feeds.tlp import LEVELS, level_of
from tcetl.schema import INDICATORS, SECURITY_LABELS

LEVEL: Final = pl.Enum(LEVELS)
"""The data type of a column of levels; a stricter one is greater."""

_SHARING: Final = {  # color and meaning, by level
    "CLEAR": ("FFFFFF", "Recipients can spread this to the world: there is no limit on disclosure."),
    "GREEN": ("33FF00", "Limited disclosure: recipients can spread this within their community."),
    "AMBER": ("FFC000", "Limited disclosure: recipients can spread this within their organization and its clients."),
    "AMBER+STRICT": ("FFC000", "Limited disclosure: recipients can spread this within their organization only."),
    "RED": ("FF2B2B", "For the eyes and ears of individual recipients only: no further disclosure."),
}

# By polars: pyarrow would import the whole of pandas to convert Python objects.
LABELS: Final = (
    pl.DataFrame(
        [(f"TLP:{level}", color, meaning) for level, (color, meaning) in _SHARING.items()],
        schema=SECURITY_LABELS.names,
        orient="row",
    )
    .to_arrow()
    .cast(SECURITY_LABELS)
)
"""The labels, as SECURITY_LABELS: a platform that has none of its own makes them."""


def label_name(text: str) -> str:
    """Return the name of the security label that *text* means: for ``tlp amber``, ``TLP:AMBER``; else *text* itself.

    Raises:
        ValueError: It is empty, or no level of the Traffic Light Protocol though it says so.
    """
    name = text.strip()
    if level := level_of(name):
        return f"TLP:{level}"
    if not name or name.lower().startswith("tlp:"):
        raise ValueError(f"{text!r} is no security label")
    return name


def levels(text: pl.Series) -> pl.Series:
    """Return the levels that cells name, with or without ``TLP:``; null for what is none."""
    named = {cell: level_of(cell) or level_of(f"tlp:{cell}") or None for cell in text.unique().drop_nulls()}
    return text.replace_strict(named, default=None, return_dtype=LEVEL)


def label_column(levels: pl.Series) -> pa.Array:
    """Return the ``security_labels`` column for *levels*: one label each, none for null."""
    label = pl.concat_str(pl.lit("TLP:"), pl.col("level").cast(pl.String))
    worn = levels.to_frame("level").select(
        pl.when(pl.col("level").is_null()).then(pl.lit([], dtype=pl.List(pl.String))).otherwise(pl.concat_list(label))
    )
    found = cast(Any, worn.to_series().to_arrow(compat_level=pl.CompatLevel.oldest()))
    return found.cast(INDICATORS.field("security_labels").type)
