"""Settle what a raw value is: its type and canonical summary, or why it is no indicator.

Most values of most feeds are plain: a dotted address, a host, an http URL in lower case, a hash. Vectorised patterns
settle those, accepting only what the exact rules of `tcetl.indicators` would leave as it is (hashes: upper-cased); all
others, each distinct one once, go through the exact rules.
"""

from typing import Any, Final, NamedTuple

import polars as pl

from tcetl.feeds import ROW
from tcetl.indicators import TYPES
from tcetl.transform.values.exact import HASH_LENGTH, Settled, settle_one
from tcetl.transform.values.plain import OTHERS, URLS
from tcetl.transform.vocabulary import TYPE_WORDS, plain_name

_TOUCHED: Final = r"(?i)^hxxps?[:\[({]|[\[({](?:[.:@]|dot|at)[^\w]|^[ \t\r\n]|[ \t\r\n]$"
_BRACKETED: Final = {
    f"{opening}{sign}{closing}": meant
    for opening, closing in ("[]", "()", "{}")
    for sign, meant in ((".", "."), ("dot", "."), (":", ":"), ("://", "://"), ("@", "@"), ("at", "@"))
}

KINDS: Final = pl.Enum(sorted(TYPES))
"""The data type of a column of indicator types; it sorts alphabetically."""

_SETTLED: Final[dict[str, Any]] = {**dict.fromkeys(Settled._fields, pl.String), "type": KINDS}
_BLANKS: Final = " \t\r\n"
_AT: Final = "_at"
_VALUE: Final = pl.col("value")


class Settlement(NamedTuple):
    """What became of a frame's rows.

    ``good`` has those that are indicators, with ``type`` and ``summary``; ``bad`` the others, with ``code``, ``reason``
    and ``hint``. ``changed`` has ``_row`` and ``change`` (a slug of `CHANGES`) for each thing that a good row's value
    lost beside mere notation. All keep the order of the rows.
    """

    good: pl.DataFrame
    bad: pl.DataFrame
    changed: pl.DataFrame


def settle(frame: pl.DataFrame) -> Settlement:
    """Tell the rows of *frame* that are indicators from those that are not.

    Args:
        frame: Has ``_row``, ``value`` (the raw cell, no nulls) and ``declared`` (the feed's word for its type, or
            null); its other columns are passed on.
    """
    settled = _settled(frame.select("value", "declared"))
    whole = frame.drop("value", "declared").hstack(settled)
    is_good = settled["type"].is_not_null()
    good = whole.filter(is_good)
    changed = good.filter(pl.col("changes").is_not_null())
    return Settlement(
        good=good.drop("code", "reason", "hint", "changes"),
        bad=whole.filter(~is_good).drop("type", "summary", "changes"),
        changed=changed.select(ROW, pl.col("changes").str.split(" ").alias("change")).explode("change"),
    )


def _settled(values: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of `Settled` for *values*, row by row."""
    touched = values.select(_VALUE.str.contains(_TOUCHED)).to_series()
    every = values.with_row_index(_AT)
    # Those that are as they should be share their text with the raw cells.
    text = pl.concat(
        [
            every.filter(~touched).with_columns(_VALUE.alias("_text")),
            every.filter(touched).with_columns(_refang_usual(_VALUE.str.strip_chars(_BLANKS)).alias("_text")),
        ]
    )
    url = text["_text"].str.contains("://", literal=True)
    kinds, lengths = _declared(values["declared"])
    done = []
    for rows, patterns in ((text.filter(url), URLS), (text.filter(~url), OTHERS)):
        rest = rows
        for pattern in patterns:
            # The type that a row declares must be the value's own; for a hash the algorithm as well.
            agrees = (kinds == pattern.kind) & (lengths.is_null() | (lengths == pl.col("_text").str.len_bytes()))
            matches = pattern.matches & (pl.col("declared").is_null() | agrees.fill_null(value=False))
            mask = rest.select(matches.alias("_matches")).to_series()
            done.append(
                rest.filter(mask).select(
                    _AT,
                    pl.lit(pattern.kind).cast(KINDS).alias("type"),
                    pattern.summary.alias("summary"),
                    pl.lit("port" if pattern.port else None, dtype=pl.String).alias("changes"),
                )
            )
            rest = rest.filter(~mask)
        done.append(_settle_exactly(rest))
    return pl.concat(done, how="diagonal").sort(_AT).drop(_AT)


def _settle_exactly(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the position and the columns of `Settled`; each distinct value goes through the exact rules once."""
    distinct = rows.select("value", "declared").unique(maintain_order=True)
    exact = pl.DataFrame(
        [settle_one(value, declared) for value, declared in distinct.iter_rows()], schema=_SETTLED, orient="row"
    )
    lookup = pl.concat([distinct, exact], how="horizontal")
    joined = rows.select(_AT, "value", "declared").join(lookup, on=["value", "declared"], how="left", nulls_equal=True)
    return joined.drop("value", "declared")


def _refang_usual(text: pl.Expr) -> pl.Expr:
    """Undo the commonest ways of defanging; what is left of others is left to the exact rules."""
    return text.str.replace_many(_BRACKETED, ascii_case_insensitive=True).str.replace(r"(?i)^hxxp(s?):", "http$1:")


def _declared(words: pl.Series) -> tuple[pl.Expr, pl.Expr]:
    """The type that each row declares, and the length of hash (``sha256_hash``: 64), null where it does not say."""
    types: dict[str, str | None] = {}
    lengths: dict[str, int | None] = {}
    for word in words.unique().drop_nulls():
        types[word] = word if word in TYPES else TYPE_WORDS.get(plain_name(word))
        lengths[word] = next((size for name, size in HASH_LENGTH.items() if name in plain_name(word)), None)
    declared = pl.col("declared")
    return (
        declared.replace_strict(types, default=None, return_dtype=pl.String),
        declared.replace_strict(lengths, default=None, return_dtype=pl.UInt32),
    )
