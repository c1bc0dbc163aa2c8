"""Settle what a raw value is: its type and canonical summary, or why it is no indicator.

Most values of most feeds are plain: a dotted address, a host, an http URL in lower case, a hash. Vectorised patterns
settle those, accepting only what the exact rules of `tcetl.indicators` would leave as it is (hashes: upper-cased); all
others, each distinct one once, go through the exact rules.
"""

from typing import Final, NamedTuple

import polars as pl

from tcetl.feeds import ROW
from tcetl.indicators import FILE_ENDING, TYPES
from tcetl.transform.exact import HASH_LENGTH, LONGEST_VALUE, Settled, settle_one
from tcetl.transform.vocabulary import TYPE_WORDS, plain_name

_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_PORT: Final = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4})"
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = rf"(?:{_LABEL}\.)+[a-z]{{2,63}}"
# Printable ASCII without blanks, quotes, and the brackets and backslashes that may be defanging.
_REST: Final = r"(?:[/?#][!#-'*-;=?-Z^-z|~]*)?"
_PLAIN_ADDRESS: Final = rf"^{_IPV4}$"
_PLAIN_ADDRESS_PORT: Final = rf"^{_IPV4}:{_PORT}$"
_PLAIN_HOST: Final = rf"^{_HOST}$"
_PLAIN_URL: Final = rf"^(?:https?|ftp)://(?:{_IPV4}|{_HOST})(?::{_PORT})?{_REST}$"
_LONG_HOST: Final = r"^[a-z]+://[^/?#]{254}"
_PLAIN_HASH: Final = r"^(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})$"
_TEXT: Final = pl.col("_text")
_PATTERNS: Final = (
    pl.when(_TEXT.str.contains(_PLAIN_URL) & (pl.col("value").str.len_bytes() <= LONGEST_VALUE)
            & ~_TEXT.str.contains(_LONG_HOST) & ~_TEXT.str.contains("xn--", literal=True)).then(pl.lit("URL"))
    .when(_TEXT.str.contains(_PLAIN_ADDRESS)).then(pl.lit("Address"))
    .when(_TEXT.str.contains(_PLAIN_HASH) & (_TEXT.str.len_bytes() < 64)).then(pl.lit("File"))
    .when(_TEXT.str.contains(_PLAIN_HASH) & (_TEXT.str.head(32) != _TEXT.str.tail(32))).then(pl.lit("File"))
    .when(_TEXT.str.contains(_PLAIN_HOST) & (_TEXT.str.len_bytes() <= 253)
          & ~_TEXT.str.contains("xn--", literal=True) & ~_TEXT.str.contains(FILE_ENDING)).then(pl.lit("Host"))
    .when(_TEXT.str.contains(_PLAIN_ADDRESS_PORT)).then(pl.lit("Address:port"))
)  # fmt: skip
_DEFANGED: Final = r"(?i)^hxxp|\[\.\]|\[:"

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
    parts = [
        _settle_plain(frame.filter(~defanged).with_columns(_stripped(frame).alias("_text"))),
        _settle_plain(frame.filter(defanged).with_columns(usual.alias("_text"))),
    ]
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


def _settle_plain(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that the patterns settle by their ``_text`` (``_port``: without the port), and the rest."""
    text, plain = pl.col("_text"), pl.col("_plain")
    declared_type, declared_length = _declared(frame["declared"])
    # The type that a row declares must be the plain value's own; for a hash the algorithm as well.
    kind = plain.str.strip_suffix(":port")
    agrees = plain.is_not_null() & (
        pl.col("declared").is_null()
        | (kind == declared_type) & (declared_length.is_null() | (text.str.len_bytes() == declared_length))
    )
    looked = frame.with_columns(_PATTERNS.alias("_plain")).with_columns(agrees.fill_null(value=False).alias("_settled"))
    summary = (
        pl.when(plain == "File").then(text.str.to_uppercase())
        .when(plain == "Address:port").then(text.str.extract(r"^([0-9.]+)", 1))
        .otherwise(text)
    )  # fmt: skip
    rest = looked.filter(~pl.col("_settled")).drop("_text", "_plain", "_settled")
    settled = looked.filter("_settled").with_columns(
        kind.cast(KINDS).alias("type"), summary.alias("summary"), (plain == "Address:port").alias("_port")
    )
    return settled.drop("_text", "_plain", "_settled", "value", "declared"), rest


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
    return (
        text.str.replace_all("[.]", ".", literal=True)
        .str.replace(r"(?i)^hxxp", "http")
        .str.replace(r"^(https?)(?:\[://\]|\[:\]//)", "$1://")
    )


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
