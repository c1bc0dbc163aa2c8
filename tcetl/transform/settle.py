"""Settle what a raw value is: its type and canonical summary, or why it is no indicator.

Most values of most feeds are plain: a dotted address, a host, an http URL in lower case, a hash. Vectorised patterns
settle those, accepting only what the exact rules of `tcetl.indicators` would leave as it is (hashes: upper-cased); all
others, each distinct one once, go through the exact rules.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl

from tcetl.feeds import ROW
from tcetl.indicators import TYPES
from tcetl.transform.exact import HASH_LENGTH, Settled, settle_one
from tcetl.transform.plain import OTHERS, URLS, Pattern
from tcetl.transform.vocabulary import TYPE_WORDS, plain_name

_DEFANGED: Final = r"(?i)^hxxps?[:\[({]|[\[({](?:[.:@]|dot|at)[^\w]"
_BRACKETED: Final = {
    f"{opening}{sign}{closing}": meant
    for opening, closing in ("[]", "()", "{}")
    for sign, meant in ((".", "."), ("dot", "."), (":", ":"), ("://", "://"), ("@", "@"), ("at", "@"))
}

KINDS: Final = pl.Enum(sorted(TYPES))
"""The data type of a column of indicator types; it sorts alphabetically."""

_SETTLED: Final = pl.Schema(dict.fromkeys(Settled._fields, pl.String))
_BLANKS: Final = " \t\r\n"


class Settlement(NamedTuple):
    """What became of a frame's rows.

    ``good`` has those that are indicators, with ``type`` and ``summary``, in no order; ``bad`` the others, with
    ``code``, ``reason`` and ``hint``. ``changed`` has ``_row`` and ``change`` (a slug of `CHANGES`) for each thing that
    a good row's value lost beside mere notation.
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
    value = pl.col("value")
    defanged = frame.select(value.str.contains(_DEFANGED)).to_series()
    usual = _refang_usual(value.str.strip_chars(_BLANKS))
    parts = []
    for rows in (
        frame.filter(~defanged).with_columns(_stripped(frame).alias("_text")),
        frame.filter(defanged).with_columns(usual.alias("_text")),
    ):
        url = rows["_text"].str.contains("://", literal=True)
        parts += [_settle_plain(rows.filter(url), URLS), _settle_plain(rows.filter(~url), OTHERS)]
    exact = _settle_exactly(pl.concat([rest for _, rest in parts]))
    settled = pl.col("type").is_not_null()
    good = exact.filter(settled).with_columns(pl.col("type").cast(KINDS))
    changes = good.filter(pl.col("changes").is_not_null()).select(ROW, pl.col("changes").str.split(" ").alias("change"))
    changed = [
        changes.explode("change"),
        *(plain.filter("_port").select(ROW, pl.lit("port").alias("change")) for plain, _ in parts),
    ]
    return Settlement(
        good=pl.concat([*(plain.drop("_port") for plain, _ in parts), good.drop("code", "reason", "hint", "changes")]),
        bad=exact.filter(~settled).drop("type", "summary", "changes").sort(ROW),
        changed=pl.concat(changed).sort(ROW),
    )


def _settle_plain(frame: pl.DataFrame, patterns: Sequence[Pattern]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that *patterns* settle by their ``_text`` (``_port``: without the port), and the rest."""
    kinds, lengths = _declared(frame["declared"])
    done = []
    for pattern in patterns:
        # The type that a row declares must be the value's own; for a hash the algorithm as well.
        agrees = (kinds == pattern.kind) & (lengths.is_null() | (lengths == pl.col("_text").str.len_bytes()))
        settled = pattern.matches & (pl.col("declared").is_null() | agrees.fill_null(value=False))
        mask = frame.select(settled.alias("_settled")).to_series()
        done.append(
            frame.filter(mask).with_columns(
                pl.lit(pattern.kind).cast(KINDS).alias("type"),
                pattern.summary.alias("summary"),
                pl.lit(pattern.port).alias("_port"),
            )
        )
        frame = frame.filter(~mask)
    return pl.concat(done).drop("_text", "value", "declared"), frame.drop("_text")


def _settle_exactly(frame: pl.DataFrame) -> pl.DataFrame:
    """Return *frame* with the columns of `Settled`; each distinct value goes through the exact rules once."""
    distinct = frame.select("value", "declared").unique(maintain_order=True)
    exact = pl.DataFrame(
        [settle_one(value, declared) for value, declared in distinct.iter_rows()], schema=_SETTLED, orient="row"
    )
    lookup = pl.concat([distinct, exact], how="horizontal")
    joined = frame.join(lookup, on=["value", "declared"], how="left", nulls_equal=True, maintain_order="left")
    return joined.drop("value", "declared")


def _refang_usual(text: pl.Expr) -> pl.Expr:
    """Undo the commonest ways of defanging; what is left of others is left to the exact rules."""
    return text.str.replace_many(_BRACKETED, ascii_case_insensitive=True).str.replace(r"(?i)^hxxp(s?):", "http$1:")


def _stripped(frame: pl.DataFrame) -> pl.Expr:
    """The value without outer blanks; the very column where no cell has any, so that its text is not copied.

    Unusual blanks stay: the exact rules strip them, and tell.
    """
    value = pl.col("value")
    return value.str.strip_chars(_BLANKS) if frame["value"].str.contains(r"^\s|\s$").any() else value


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
