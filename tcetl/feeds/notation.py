"""How lists write a value on a line: alone, with a remark behind it, or in the words of hosts files and blockers."""

import re
from collections.abc import Sequence
from typing import Final

import polars as pl

VALUE: Final = "value"
REMARK: Final = "comment"

_SAMPLE: Final = 200  # lines looked at
_AGREE: Final = 0.8  # share of them that must hold a value for the lines to be a list
_FEW, _HALF = 10, 0.5  # half is enough of so few: as a list, a line that is no value is a reject and not silence

_HASH: Final = r"(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})"
_IPV4: Final = r"[0-9]+(?:(?:\.|\[\.\])[0-9]+){3}(?:[:/][0-9]+)?"
_IPV6: Final = r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*(?:/[0-9]+)?"
_URL: Final = r"[A-Za-z][A-Za-z0-9+.*-]*(?:\[:\]|:)//\S+"
_AS: Final = r"(?:AS|as)N?[0-9]+"

# A line of a hosts file: an address that leads nowhere, which is no indicator, and the names behind it.
_SINK: Final = (
    r"(?:0\.0\.0\.0|127(?:\.[0-9]+){3}|255\.255\.255\.255|::1?|0(?::0){6}:[01]|fe80::1%\w+|ff02::[123]|[f-]e00::0)"
)
_HOSTS: Final = rf"^{_SINK}\s+([^#;]+?)\s*(?:[#;].*)?$"
# A rule of an ad blocker (||a.example^) or of dnsmasq (address=/a.example/0.0.0.0) for a whole name.
_RULE: Final = r"^(?:\|\|([^\^/$*|@]+)\^?(?:\$.*)?|(?:address|server|local)=/([^/]+)/\S*)$"
# After the value: blanks and a comment sign, or a semicolon, which a URL may hold and which therefore ends only a
# value without a slash before it.
_REMARKED: Final = r"^(?:([^\s;/]+)\s*;|(.*?)\s+(?:#|;|//))\s*(.*)$"
# Without a sign only what can be nothing but a value ends at a blank: `sha256sum` and many lists of addresses do so.
_FOLLOWED: Final = rf"^({_HASH}|{_IPV4}|{_IPV6}|{_URL}|{_AS})\s+\*?(.+)$"
_COMMENT: Final = r"^(?:#|;|//|!|\[Adblock)"

# What every hosts file says of the machine itself.
_LOCAL: Final = (
    "localhost", "localhost.localdomain", "localhost4", "localhost6", "localhost4.localdomain4",
    "localhost6.localdomain6", "local", "broadcasthost", "ip6-localhost", "ip6-loopback", "ip6-localnet",
    "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters", "ip6-allhosts", "0.0.0.0",  # noqa: S104
)  # fmt: skip

_HOST_OR_EMAIL: Final = r"[^\s,;|\"']*\.[^\s,;|\"']+|[^\s,;|]+@[^\s,;|]+"
_LONE_VALUE: Final = re.compile(rf"{_HASH}|{_IPV4}|{_IPV6}|{_URL}|{_AS}|{_HOST_OR_EMAIL}", re.IGNORECASE)
_SURE_VALUE: Final = re.compile(rf"(?=[^,|\"']+$)(?:{_LONE_VALUE.pattern})", re.IGNORECASE)


def is_list(lines: Sequence[str], *, surely: bool = False) -> bool:
    """Tell whether *lines* are a list: one value per line, with at most a remark.

    Args:
        lines: The first lines of a file.
        surely: Take nothing for a list that may be a table: no commas, and a remark only behind a sign.
    """
    sample = [line for line in lines if line.strip() and not re.match(_COMMENT, line.strip())][:_SAMPLE]
    read = _read(_whole(sample, 1, "row"), "row")
    value = _SURE_VALUE if surely else _LONE_VALUE
    fitting = {
        row
        for text, is_local, is_sure, row in read.select(VALUE, "local", "sure", "row").iter_rows()
        if is_local or ((is_sure or not surely) and value.fullmatch(text))
    }
    return len(fitting) >= (_AGREE if len(sample) >= _FEW else _HALF) * len(sample)


def read_lines(lines: Sequence[str], first: int, row: str) -> tuple[pl.DataFrame, pl.DataFrame, Sequence[str]]:
    """Return the values on *lines*, the names that only mean the machine itself, and the comment lines.

    Args:
        lines: Decoded lines; the first is number *first* of the file.
        first: Its number.
        row: What to call the column of line numbers.

    Returns:
        Two frames of ``value``, ``comment`` and *row*; a line of a hosts file gives a row per name.
    """
    whole = _whole(lines, first, row)
    is_comment = whole["text"].str.contains(_COMMENT)
    read = _read(whole.filter(~is_comment), row)
    wanted = read.select(VALUE, REMARK, row)
    return wanted.filter(~read["local"]), wanted.filter(read["local"]), whole["text"].filter(is_comment).to_list()


def _whole(lines: Sequence[str], first: int, row: str) -> pl.DataFrame:
    numbers = pl.int_range(first, first + len(lines), dtype=pl.Int64).alias(row)
    text = pl.DataFrame({"text": pl.Series(lines, dtype=pl.String)})
    return text.with_columns(pl.col("text").str.strip_chars(), numbers).filter(pl.col("text") != "")


def _read(lines: pl.DataFrame, row: str) -> pl.DataFrame:
    """Return value and remark of each line; ``local`` names of the machine itself, ``sure`` that a sign parts them."""
    text = pl.col("text")
    names, rule, remarked, followed = pl.col("names"), pl.col("rule"), pl.col("remarked"), pl.col("followed")
    return (
        lines.with_columns(
            text.str.extract(_HOSTS, 1).str.extract_all(r"\S+").alias("names"),
            text.str.extract_groups(_RULE).alias("rule"),
            text.str.extract_groups(_REMARKED).alias("remarked"),
            text.str.extract_groups(_FOLLOWED).alias("followed"),
        )
        .explode("names")
        .with_columns(
            pl.coalesce(names, rule.struct[0], rule.struct[1], remarked.struct[0], remarked.struct[1]).alias("sure")
        )
        .select(
            pl.coalesce("sure", followed.struct[0], text).alias(VALUE),
            pl.when(names.is_null())
            .then(pl.coalesce(remarked.struct[2], followed.struct[1]))
            .fill_null("")
            .alias(REMARK),
            row,
            names.str.to_lowercase().is_in(_LOCAL).fill_null(value=False).alias("local"),
            (pl.col("sure").is_not_null() | followed.struct[0].is_null()).alias("sure"),
        )
    )
