"""Files by content: rows that share a hash, directly or through others, are one file with all their hashes."""

from collections import defaultdict
from typing import Final

import polars as pl

from tcetl.indicators import SEPARATOR, FileHashes, canonical, file_hashes

CODE: Final = "conflicting-hashes"


def join_files(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give every row of the same file the same summary; return the rows and those whose hashes contradict others.

    Two rows with one md5 and two sha256 cannot both be right. Which one is cannot be told from a feed, so every row
    that ties hashes together in such a group is returned apart, with ``code`` and ``reason``; the order of rows plays
    no part.

    Args:
        rows: Has ``type`` and canonical ``summary``.
    """
    is_file = pl.col("type") == "File"
    several = is_file & pl.col("summary").str.contains(SEPARATOR, literal=True)
    if not rows.select(several.any()).item():
        return rows, rows.clear()
    summaries = rows.filter(is_file).get_column("summary").unique()
    changed, conflicting = _groups(_sharing(summaries))
    bad = rows.filter(several & pl.col("summary").is_in(list(conflicting))).with_columns(
        pl.lit(CODE).alias("code"),
        pl.col("summary").replace_strict(conflicting, default=None, return_dtype=pl.String).alias("reason"),
    )
    good = rows.filter(~(several & pl.col("summary").is_in(list(conflicting)))) if conflicting else rows
    if not changed:
        return good, bad
    whole = pl.col("summary").replace_strict(changed, default=pl.col("summary"), return_dtype=pl.String)
    return good.with_columns(pl.when(is_file).then(whole).otherwise("summary").alias("summary")), bad


def _sharing(summaries: pl.Series) -> list[list[str]]:
    """Return for each hash that stands in several of the *summaries* those summaries; most stand in one."""
    hashes = summaries.to_frame("summary").with_columns(pl.col("summary").str.split(SEPARATOR).alias("hash"))
    shared = hashes.explode("hash", empty_as_null=True, keep_nulls=True).filter(pl.col("hash").is_duplicated())
    return shared.group_by("hash").agg("summary").get_column("summary").to_list()


def _groups(sharing: list[list[str]]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the whole summary for each summary that is part of one, and for each contradicting one the reason."""
    parent: dict[str, str] = {}

    def root(summary: str) -> str:
        while (above := parent.setdefault(summary, summary)) != summary:
            parent[summary] = summary = parent.setdefault(above, above)
        return summary

    for first, *others in sharing:
        for other in others:
            parent[root(other)] = root(first)
    members: dict[str, list[str]] = defaultdict(list)
    for summary in parent:
        members[root(summary)].append(summary)

    changed: dict[str, str] = {}
    conflicting: dict[str, str] = {}
    for group in members.values():
        seen = {
            name: sorted({value for s in group if (value := getattr(file_hashes(s), name))}) for name in _ALGORITHMS
        }
        clash = next((f"{name} {' and '.join(values)}" for name, values in seen.items() if len(values) > 1), None)
        if clash:
            conflicting |= dict.fromkeys((s for s in group if SEPARATOR in s), f"rows of one file differ: {clash}")
        else:
            whole = canonical("File", SEPARATOR.join(value for values in seen.values() for value in values))
            changed |= dict.fromkeys(group, whole)
    return changed, conflicting


_ALGORITHMS: Final = FileHashes._fields
