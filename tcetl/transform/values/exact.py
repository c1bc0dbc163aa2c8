"""Settle one raw value by the exact rules: its type and canonical summary, or why it is no indicator.

What the value lost on the way to its summary is told, so that nothing is changed silently.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from tcetl.errors import InvalidValueError
from tcetl.indicators import (
    INVISIBLE,
    TYPES,
    canonical,
    classify,
    has_host_bits,
    is_file_name,
    is_registry_path,
    refang,
)
from tcetl.transform.vocabulary import TYPE_WORDS, plain_name

LONGEST_VALUE: Final = 8192
"""Characters of a value beyond which it is not looked at: a damaged cell, or one made to waste time."""

HASH_LENGTH: Final = {"md5": 32, "sha1": 40, "sha256": 64, "sha_1": 40, "sha_256": 64}
"""Digits of each kind of hash, by what words for a type call it."""

CHANGES: Final = {
    "invisible": "values had characters that cannot be seen or unusual blanks, which were dropped",
    "invisible-kept": "values hold characters that cannot be seen or unusual blanks, kept as free text may mean them",
    "port": "values had a port, which is no part of the indicator and was left off",
    "zone": "values had an IPv6 zone, which means nothing elsewhere and was left off",
    "mapped": "values were IPv4 addresses written as IPv6 and were rewritten",
    "host-bits": "values were blocks with bits beyond their prefix, which were cleared",
    "name": "values had a name beside the e-mail address, which was left off",
}
"""What a value can lose, beside mere notation, on its way to a summary; each completes "12 …"."""

_ODD_BLANK: Final = re.compile("[\x0b\x0c\x1c-\x1f\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\]:[0-9]{1,5}|([^\s:/@\[\]]+):([0-9]{1,5})")
_DISPLAYED: Final = re.compile(r"[^<>]*[<\[]\s*(?:mailto:)?([^<>\[\]\s]+@[^<>\[\]\s]+)\s*[>\]]", re.IGNORECASE)
_MAILTO: Final = re.compile(r"mailto:([^?]+)(?:\?.*)?", re.IGNORECASE)
_FREE_TEXT: Final = frozenset({"Mutex", "User Agent", "Email Subject", "Hashtag", "Registry Key"})


class Settled(NamedTuple):
    """A value settled: a type and summary, or a code, reason and hint for why not.

    ``changes`` are slugs of :data:`CHANGES`, joined by blanks; null when the value lost nothing.
    """

    type: str | None = None
    summary: str | None = None
    code: str | None = None
    reason: str | None = None
    hint: str | None = None
    changes: str | None = None


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
    if wanted is None and is_registry_path(value.strip()):
        wanted = "Registry Key"  # not refanged: the backslash in HKCR\.exe is none of defanging
    if wanted in _FREE_TEXT:
        summary = canonical(wanted, value)
        return Settled(wanted, summary, changes="invisible-kept" if _has_invisible(summary) else None)
    whole = refang(value)
    text = _without_extras(whole, wanted)
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
    changes = " ".join(_changes(value, whole, text, shape, summary))
    return Settled(shape, summary, changes=changes or None)


def _changes(value: str, whole: str, text: str, shape: str, summary: str) -> Iterator[str]:
    if _has_invisible(value):
        yield "invisible"
    if text != whole and shape in ("Address", "Host"):
        yield "port"
    if text != whole and shape == "EmailAddress" and not _MAILTO.fullmatch(whole):
        yield "name"
    if shape == "Address" and "%" in text:
        yield "zone"
    if shape == "Address" and ":" in text and ":" not in summary:
        yield "mapped"
    if shape == "CIDR" and has_host_bits(text):
        yield "host-bits"


def _has_invisible(text: str) -> bool:
    return INVISIBLE.search(text) is not None or _ODD_BLANK.search(text) is not None


def _without_extras(text: str, wanted: str | None) -> str:
    """Take the port from ``192.0.2.1:443`` and ``[2001:db8::1]:443``, the name from ``Jane <jane@example.com>``."""
    if (match := _WITH_PORT.fullmatch(text)) and wanted in (None, "Address", "Host"):
        if match[3] and not 0 < int(match[3]) < 65536:
            return text
        return match[1] or match[2]
    if wanted in (None, "EmailAddress") and (match := _DISPLAYED.fullmatch(text) or _MAILTO.fullmatch(text)):
        return match[1]
    return text


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
    algorithm = next((name for name in HASH_LENGTH if name in word), None)
    if algorithm and all(len(part) != HASH_LENGTH[algorithm] for part in summary.split(" : ")):
        raise InvalidValueError("type-mismatch", f"the feed declares {algorithm}, but '{summary}' has another length")
