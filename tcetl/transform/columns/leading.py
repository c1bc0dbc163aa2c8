"""Which column is a row's own indicator, where the names of several say that they hold some."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl

from tcetl.transform.values.exact import settle_one

_SAMPLE: Final = 200
_FILLED: Final = 0.9  # of the share of valid cells that the best column has
_DISTINCT: Final = 0.5  # of the number of values that the most varied column has
_WHOLE: Final = ("URL", "File")  # what names more than hosts and networks do, wherever it stands


class _Column(NamedTuple):
    """A column, its declared type, and how many of its cells are valid, and different."""

    name: str
    type: str
    valid: int
    distinct: int


def leading(sample: pl.DataFrame, named: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return the column that the others of a row describe, and its type.

    It is one that is filled in nearly every row and does not repeat itself as a description does. Of those that are
    left, a URL or a file is what the row is about; of hosts, addresses and networks, it is the one that stands first:
    in a list of networks the host is that of their owner, in one of hosts the network is where they are.

    Args:
        sample: The feed's first rows.
        named: The columns that it may be, with the types that their names say, what is likeliest first.
    """
    if len(named) == 1:
        return named[0]
    found = [_looked_at(sample, name, kind) for name, kind in named]
    most_valid, most_distinct = max(one.valid for one in found), max(one.distinct for one in found)
    if not most_valid:
        return named[0]
    kept = [one for one in found if one.valid >= _FILLED * most_valid and one.distinct >= _DISTINCT * most_distinct]
    kept = kept or [one for one in found if one.valid == most_valid]
    whole = [one for one in kept if one.type in _WHOLE]
    best = whole[0] if whole else min(kept, key=lambda one: sample.columns.index(one.name))
    return best.name, best.type


def _looked_at(sample: pl.DataFrame, name: str, kind: str) -> _Column:
    summaries = [settle_one(cell, kind).summary for cell in sample[name].head(_SAMPLE)]
    valid = [summary for summary in summaries if summary]
    return _Column(name, kind, len(valid), len(set(valid)))
