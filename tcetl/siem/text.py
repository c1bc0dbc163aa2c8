"""Text and numbers as every SIEM format needs them, as polars expressions over whole columns."""

from typing import Final

import polars as pl

from tcetl.schema import ATTRIBUTE, TAG

CONTROL: Final = r"[\x00-\x09\x0B\x0C\x0E-\x1F\x7F\u{85}\u{2028}\u{2029}]"
"""Characters that break lines or terminals; LF and CR are not among them, each format has its own way with those."""

_JSON_LINE_ENDS: Final = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029", "\x7f": "\\u007f"}


def cleaned(text: pl.Expr) -> pl.Expr:
    """*text* with CRLF as LF, other control characters as blanks, and no blanks around it."""
    return text.str.replace_all("\r\n", "\n", literal=True).str.replace_all(CONTROL, " ").str.strip_chars()


def finite(number: pl.Expr) -> pl.Expr:
    """*number*, or null where it is NaN or infinite: no format has a text for those."""
    return pl.when(number.is_finite()).then(number)


def timestamp(time: pl.Expr) -> pl.Expr:
    """*time* as RFC 3339 text in UTC, with as many decimals as it has (none, 3 or 6)."""
    return time.dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")


def epoch_ms(time: pl.Expr) -> pl.Expr:
    """*time* as milliseconds since the epoch."""
    return time.dt.epoch("ms")


def tag_names(tags: pl.Expr) -> pl.Expr:
    """Lists of tag structs as lists of names."""
    return tags.list.eval(pl.element().struct.field(TAG[0].name))


def attribute_pairs(attributes: pl.Expr) -> pl.Expr:
    """Lists of attribute structs as lists of (type, value) structs."""
    type_, value = ATTRIBUTE[0].name, ATTRIBUTE[1].name
    return attributes.list.eval(pl.struct(pl.element().struct.field(type_), pl.element().struct.field(value)))


def json_object(columns: list[str], *, nullable: list[str]) -> pl.Expr:
    """A JSON object per row with *columns* as keys, on one line whoever splits it; null *nullable* keys are left out.

    Keys of nested objects may be *nullable* too; a key that stands alone in its object may not.
    """
    text = pl.struct(columns).struct.json_encode()
    # In JSON text a quote inside a string is always escaped, so these patterns match keys and nothing else.
    absent = {f',"{key}":null': "" for key in nullable} | {f'{{"{key}":null,': "{" for key in nullable}
    return text.str.replace_many(absent | _JSON_LINE_ENDS)


def joined(lines: pl.Series) -> memoryview:
    """The bytes of *lines*, one after another as they are, without a Python string per line."""
    array = lines.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    *_, text = array.buffers()  # validity, offsets, and the texts one after another
    return memoryview(text or b"")
