"""Tables that have a column for each type of indicator, of which a row fills one: any of them is the row's indicator.

Where a row fills two of them, what the second is cannot be told from a name: ``ip`` beside ``domain`` may be what an
actor uses as well, or merely where somebody else's server stood. So one such row in the sample, and none is taken.
"""

from typing import Final

import polars as pl

from tcetl.feeds import PLACE
from tcetl.transform.values.exact import settle_one
from tcetl.transform.vocabulary import HASH_NAMES, NOTHING, TYPED_NAMES, plain_name

_SAMPLE: Final = 500
_NEARLY: Final = 0.9  # share of a column's cells that must be what its name says; the others are the feed's bad rows


def filled_instead(sample: pl.DataFrame, value: str) -> dict[str, str]:
    """Return the columns of *sample* that rows fill in the place of *value*, with the types that their names say.

    Hashes of one file count as one column, and are none of those returned.
    """
    named = {column: plain_name(column) for column in sample.columns if column not in PLACE}
    hashes = [column for column, name in named.items() if name in HASH_NAMES]
    typed = {
        column: TYPED_NAMES[name] for column, name in named.items() if name in TYPED_NAMES and name not in HASH_NAMES
    }
    columns = [[column] for column in {*typed, value} - {*hashes}]
    filled = sample.select(
        pl.any_horizontal(~pl.col(column).str.contains(NOTHING) for column in each).alias(each[0])
        for each in [*columns, *([hashes] if hashes else [])]
    )
    if filled.select((pl.sum_horizontal(pl.all()) > 1).any()).item():
        return {}
    typed.pop(value, None)
    return {column: kind for column, kind in typed.items() if _is_of(sample, column, kind)}


def _is_of(sample: pl.DataFrame, column: str, kind: str) -> bool:
    cells = sample[column].filter(~sample[column].str.contains(NOTHING)).head(_SAMPLE)
    return len(cells) > 0 and sum(settle_one(cell, kind).type == kind for cell in cells) >= _NEARLY * len(cells)
