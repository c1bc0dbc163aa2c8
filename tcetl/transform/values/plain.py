"""Patterns for values that need no exact rules, as polars runs them: whole columns at once.

They accept only what the exact rules of `tcetl.indicators` would leave as it is but for case, brackets of the usual
defanging and a port, so that a value they know has the same summary either way.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from tcetl.indicators import FILE_ENDING
from tcetl.transform.values.exact import LONGEST_VALUE

_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_PORT: Final = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = rf"(?:{_LABEL}\.)+[a-z]{{2,63}}"
# Printable ASCII without blanks, quotes, and the brackets and backslashes that may be defanging.
_REST: Final = r"(?:[/?#][!#-'*-;=?-Z^-z|~]*)?"
_LOCAL: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_ANY_CASE: Final = "(?i-u)"  # of ASCII only: other letters have lower cases that are ASCII

_TEXT: Final = pl.col("_text")
_ADDRESS: Final = rf"^{_IPV4}$"
_ADDRESS_PORT: Final = rf"^{_IPV4}:{_PORT}$"
_CIDR: Final = rf"^{_IPV4}/(?:3[0-2]|[12]?[0-9])$"
_HASH: Final = r"^(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})$"
_LOWER_URL: Final = rf"^(?:https?|ftp)://(?:{_IPV4}|{_HOST})(?::{_PORT})?{_REST}$"
_ORIGIN: Final = r"^([^:]*://[^/?#]*)"
_LONG_HOST: Final = r"^[^:]*://[^/?#]{254}"
_PUNYCODE: Final = _TEXT.str.contains(f"{_ANY_CASE}xn--")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Values of one ``kind``: ``matches`` tells them by ``_text``; ``summary`` is their canonical form."""

    kind: str
    matches: pl.Expr
    summary: pl.Expr
    port: bool = False


_FITS: Final = (pl.col("value").str.len_bytes() <= LONGEST_VALUE) & ~_TEXT.str.contains(_LONG_HOST) & ~_PUNYCODE
_LOWER: Final = _TEXT.str.to_lowercase()
_SHORT: Final = _TEXT.str.len_bytes() <= 253
URLS: Final = (
    Pattern("URL", _TEXT.str.contains(_LOWER_URL) & _FITS, _TEXT),
    Pattern(
        "URL",
        _TEXT.str.contains(_LOWER_URL.replace("^", f"^{_ANY_CASE}", 1)) & _FITS,
        pl.concat_str(_TEXT.str.extract(_ORIGIN, 1).str.to_lowercase(), _TEXT.str.replace(_ORIGIN, "")),
    ),
)
"""Patterns for values with ``://``."""


def _is_first_address() -> pl.Expr:
    """Tell whether a block is written with its first address: no bits beyond the prefix."""
    parts = _TEXT.str.extract_groups(r"^([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)/([0-9]+)$").struct
    a, b, c, d, prefix = (parts[n].cast(pl.Int64, strict=False) for n in range(5))
    size = pl.lit(2, pl.Int64).pow(32 - prefix.clip(0, 32))  # beyond 32 it is no block, which the pattern knows
    return (((a * 256 + b) * 256 + c) * 256 + d) % size == 0


# Canonical IPv6: no zero beside "::", which stands for two groups or more, and no two zeros in a row elsewhere.
_IPV6: Final = r"^(?:(?:0|[1-9a-f][0-9a-f]{0,3})(?::|::|$)){2,8}$"
_NOT_CANONICAL: Final = r"::.*::|(?:^|:)0::|::0(?::|$)|(?:^|:)0:0(?::|$)|:$"


def _is_canonical_ipv6() -> pl.Expr:
    groups = _TEXT.str.count_matches("[0-9a-f]+")
    compressed = _TEXT.str.contains("::", literal=True)
    whole = pl.when(compressed).then(groups <= 6).otherwise(groups == 8)
    return _TEXT.str.contains(_IPV6) & ~_TEXT.str.contains(_NOT_CANONICAL) & whole


OTHERS: Final = (
    Pattern("Address", _TEXT.str.contains(_ADDRESS), _TEXT),
    Pattern(
        "File",
        _TEXT.str.contains(_HASH) & ((_TEXT.str.len_bytes() < 64) | (_TEXT.str.head(32) != _TEXT.str.tail(32))),
        _TEXT.str.to_uppercase(),
    ),
    Pattern(
        "Host",
        _TEXT.str.contains(f"{_ANY_CASE}^{_HOST}$") & _SHORT & ~_PUNYCODE & ~_TEXT.str.contains(FILE_ENDING),
        _LOWER,
    ),
    Pattern("Address", _TEXT.str.contains(_ADDRESS_PORT), _TEXT.str.extract(r"^([0-9.]+)", 1), port=True),
    Pattern(
        "EmailAddress",
        _TEXT.str.contains(f"{_ANY_CASE}^{_LOCAL}@{_HOST}$")
        & ~_TEXT.str.contains("^[^@]{65}") & ~_TEXT.str.contains("@.{254}") & ~_PUNYCODE,
        _LOWER,
    ),
    Pattern("Address", _is_canonical_ipv6(), _TEXT),
    Pattern("CIDR", _TEXT.str.contains(_CIDR) & _is_first_address(), _TEXT),
)  # fmt: skip
"""Patterns for values without."""
