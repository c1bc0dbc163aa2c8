"""Settle what a raw value is: its type and canonical summary, or why it is no indicator.

Most values of most feeds are plain: a dotted address, a host, an http URL in lower case, a hash. Vectorised patterns
settle those, accepting only what the exact rules of `tcetl.indicators` would leave as it is (hashes: upper-cased); all
others, each distinct one once, go through the exact rules.
"""

import re
from typing import Final, NamedTuple

import polars as pl

from tcetl.errors import InvalidValueError
from tcetl.feeds import ROW
from tcetl.indicators import FILE_ENDING, TYPES, canonical, classify, is_file_name, refang
from tcetl.transform.vocabulary import TYPE_WORDS, plain_name

LONGEST_VALUE: Final = 8192
"""Characters of a value beyond which it is not looked at: a damaged cell, or one made to waste time."""

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
_PLAIN_HASH: Final = r"^(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})$"
_TEXT: Final = pl.col("_text")
_PATTERNS: Final = (
    pl.when(_TEXT.str.contains(_PLAIN_URL) & (pl.col("value").str.len_bytes() <= LONGEST_VALUE)).then(pl.lit("URL"))
    .when(_TEXT.str.contains(_PLAIN_ADDRESS)).then(pl.lit("Address"))
    .when(_TEXT.str.contains(_PLAIN_HASH) & (_TEXT.str.len_bytes() < 64)).then(pl.lit("File"))
    .when(_TEXT.str.contains(_PLAIN_HASH) & (_TEXT.str.head(32) != _TEXT.str.tail(32))).then(pl.lit("File"))
    .when(_TEXT.str.contains(_PLAIN_HOST) & (_TEXT.str.len_bytes() <= 253)
          & ~_TEXT.str.contains("xn--", literal=True) & ~_TEXT.str.contains(FILE_ENDING)).then(pl.lit("Host"))
    .when(_TEXT.str.contains(_PLAIN_ADDRESS_PORT)).then(pl.lit("Address:port"))
)  # fmt: skip
_DEFANGED: Final = r"(?i)^hxxp|\[\.\]|\[:"
_HASH_LENGTH: Final = {"md5": 32, "sha1": 40, "sha256": 64, "sha_1": 40, "sha_256": 64}

_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\]:[0-9]{1,5}|([^\s:/@\[\]]+):([0-9]{1,5})")
_DISPLAYED: Final = re.compile(r"[^<>]*[<\[]\s*(?:mailto:)?([^<>\[\]\s]+@[^<>\[\]\s]+)\s*[>\]]", re.IGNORECASE)
_FREE_TEXT: Final = frozenset({"Mutex", "User Agent", "Email Subject", "Hashtag", "Registry Key"})


class Settled(NamedTuple):
    """A value settled: a type and summary, or a code, reason and hint for why not."""

    type: str | None = None
    summary: str | None = None
    code: str | None = None
    reason: str | None = None
    hint: str | None = None


KINDS: Final = pl.Enum(sorted(TYPES))
"""The data type of a column of indicator types; it sorts alphabetically."""

SETTLED: Final = pl.Schema(dict.fromkeys(Settled._fields, pl.String))


def settle(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of *frame* that are indicators, and those that are not.

    The former get ``type`` and ``summary`` and are in no order; the latter get ``code``, ``reason`` and ``hint``.

    Args:
        frame: Has ``_row``, ``value`` (the raw cell, no nulls) and ``declared`` (the feed's word for its type, or
            null); its other columns are passed on.
    """
    value = pl.col("value")
    defanged = frame.select(value.str.contains(_DEFANGED)).to_series()
    parts = [
        _settle_plain(frame.filter(~defanged).with_columns(_stripped(frame).alias("_text"))),
        _settle_plain(frame.filter(defanged).with_columns(_refang_usual(value.str.strip_chars()).alias("_text"))),
    ]
    odd = pl.concat([rest for _, rest in parts])
    exact = _settle_exactly(odd)
    settled = pl.col("type").is_not_null()
    good = exact.filter(settled).drop("code", "reason", "hint").with_columns(pl.col("type").cast(KINDS))
    bad = exact.filter(~settled).drop("type", "summary").sort(ROW)
    return pl.concat([*(plain for plain, _ in parts), good]), bad


def _settle_plain(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that the patterns settle by their ``_text``, and the rest."""
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
    settled = looked.filter("_settled").with_columns(kind.cast(KINDS).alias("type"), summary.alias("summary"))
    return settled.drop("_text", "_plain", "_settled", "value", "declared"), rest


def _settle_exactly(frame: pl.DataFrame) -> pl.DataFrame:
    """Return *frame* with the columns of `Settled`; each distinct value goes through the exact rules once."""
    distinct = frame.select("value", "declared").unique(maintain_order=True)
    exact = pl.DataFrame(
        [settle_one(value, declared) for value, declared in distinct.iter_rows()], schema=SETTLED, orient="row"
    )
    lookup = pl.concat([distinct, exact], how="horizontal")
    joined = frame.join(lookup, on=["value", "declared"], how="left", nulls_equal=True, maintain_order="left")
    return joined.drop("value", "declared")


def settle_one(value: str, declared: str | None = None) -> Settled:
    """Settle one raw cell by the exact rules.

    Args:
        value: The cell as it stands in the feed.
        declared: What the feed calls its type (``ip:port``, ``sha256``, ``URL``), if it does.
    """
    try:
        return _settle(value, declared)
    except InvalidValueError as error:
        return Settled(code=error.code, reason=error.reason, hint=error.hint or None)


def _settle(value: str, declared: str | None) -> Settled:
    if not value.strip():
        raise InvalidValueError("empty-value", "the row has no value")
    if len(value) > LONGEST_VALUE:
        raise InvalidValueError("too-long", f"the value is {len(value)} characters long, more than {LONGEST_VALUE}")
    word = plain_name(declared or "")
    wanted = declared if declared in TYPES else TYPE_WORDS.get(word)
    if declared and not wanted:
        raise InvalidValueError(
            "unsupported-type", f"the row declares the type '{declared}', which is no indicator", hint=", ".join(TYPES)
        )
    if wanted in _FREE_TEXT:
        return Settled(wanted, canonical(wanted, value))
    text = _without_extras(refang(value), wanted)
    shape = classify(text)
    if wanted == "ASN" and text.isdecimal():
        shape = "ASN"  # a bare number is one only where the feed says so
    if shape is None:
        raise _not_an_indicator(text, wanted)
    if wanted and shape != wanted:
        raise InvalidValueError(
            "type-mismatch",
            f"the feed declares {declared}, but '{text[:300]}' is shaped like {shape}",
            hint="correct the feed, or map its columns without a type to go by each value's shape",
        )
    summary = canonical(shape, text)
    if shape == "File":
        _check_hash(summary, word)
    return Settled(shape, summary)


def _without_extras(text: str, wanted: str | None) -> str:
    """Take the port from ``192.0.2.1:443`` and ``[2001:db8::1]:443``, the name from ``Jane <jane@example.com>``."""
    if (match := _WITH_PORT.fullmatch(text)) and wanted in (None, "Address", "Host"):
        if match[3] and not 0 < int(match[3]) < 65536:
            return text
        return match[1] or match[2]
    if (match := _DISPLAYED.fullmatch(text)) and wanted in (None, "EmailAddress"):
        return match[1]
    return text.removeprefix("mailto:") if wanted in (None, "EmailAddress") else text


def _not_an_indicator(text: str, wanted: str | None) -> InvalidValueError:
    head, slash, _ = text.partition("/")
    if slash and classify(_without_extras(head, None)) in ("Host", "Address"):
        return InvalidValueError(
            "no-scheme", f"'{text[:300]}' is a URL without a scheme", hint="a URL begins with http:// or the like"
        )
    if is_file_name(text):
        return InvalidValueError("file-name", f"'{text[:300]}' is a file name, not a host")
    what = f"no valid {wanted}" if wanted else "no indicator of any type"
    return InvalidValueError("not-an-indicator", f"'{text[:300]}' is {what}")


def _check_hash(summary: str, word: str) -> None:
    if len(summary) == 64 and summary[:32] == summary[32:]:
        raise InvalidValueError("bad-hash", f"'{summary}' is 32 digits written twice, not a sha256")
    algorithm = next((name for name in _HASH_LENGTH if name in word), None)
    if algorithm and all(len(part) != _HASH_LENGTH[algorithm] for part in summary.split(" : ")):
        raise InvalidValueError("type-mismatch", f"the feed declares {algorithm}, but '{summary}' has another length")


def _refang_usual(text: pl.Expr) -> pl.Expr:
    return (
        text.str.replace_all("[.]", ".", literal=True)
        .str.replace(r"(?i)^hxxp", "http")
        .str.replace(r"^(https?)(?:\[://\]|\[:\]//)", "$1://")
    )


def _stripped(frame: pl.DataFrame) -> pl.Expr:
    """The value without outer blanks; the very column where no cell has any, so that its text is not copied."""
    value = pl.col("value")
    return value.str.strip_chars() if frame["value"].str.contains(r"^\s|\s$").any() else value


def _declared(words: pl.Series) -> tuple[pl.Expr, pl.Expr]:
    """The type that each row declares, and the length of hash (``sha256_hash``: 64), null where it does not say."""
    types: dict[str, str | None] = {}
    lengths: dict[str, int | None] = {}
    for word in words.unique().drop_nulls():
        types[word] = word if word in TYPES else TYPE_WORDS.get(plain_name(word))
        lengths[word] = next((size for name, size in _HASH_LENGTH.items() if name in plain_name(word)), None)
    declared = pl.col("declared")
    return (
        declared.replace_strict(types, default=None, return_dtype=pl.String),
        declared.replace_strict(lengths, default=None, return_dtype=pl.UInt32),
    )
