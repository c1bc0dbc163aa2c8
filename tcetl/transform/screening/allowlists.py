"""Allow-lists: what is known to be harmless, or to belong to everybody, in MISP's format or one's own text files.

Of a list in MISP's *warninglist* format, ``type`` decides how values are compared (``string``: equal; ``hostname``: the
name or one below it; ``cidr``: within; ``substring``; ``regex``) and ``matching_attributes`` which types of indicators.
In a text file, one entry per line, an entry says by its shape what it is: a network holds addresses, a host itself and
the names below it, anything else its equal.

A list of hosts says nothing of URLs on them: malware on a popular host is still malware. Only ``urls_by_host`` makes a
list speak of every URL on its hosts and addresses. And it says nothing of the tenants of a hosting service, whose names
stand below the service's (see `tcetl.transform.screening.hosting`).

Source: MISP warninglists, schema.json.
"""

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from tcetl.errors import FeedError, InvalidValueError
from tcetl.indicators import canonical, classify

Kind = Literal["string", "hostname", "cidr", "substring", "regex"]
Action = Literal["drop", "tag", "report"]
"""What becomes of an indicator on a list: rejected as ``allow-listed``; tagged; only counted in the notes."""

RESERVED: Final = "reserved"
"""The name of the list that comes with tcetl: addresses that nobody on the internet has."""

ACTIONS: Final = get_args(Action)
"""The actions, by name."""

_KINDS: Final = get_args(Kind)
_ATTRIBUTES: Final = (  # how the names of MISP's attributes begin or end, and the type that they stand for
    (re.compile(r"ip-(src|dst)|domain\|ip"), "Address"),
    (re.compile(r"(domain|hostname)\b"), "Host"),
    (re.compile(r"ur[li]$|link$"), "URL"),
    (re.compile(r"(filename\|)?(md5|sha1|sha256)$"), "File"),
    (re.compile(r"(email|target-email)"), "EmailAddress"),
    (re.compile(r"AS$"), "ASN"),
    (re.compile(r"user-agent$"), "User Agent"),
    (re.compile(r"mutex$"), "Mutex"),
    (re.compile(r"regkey"), "Registry Key"),
)
_PHP_REGEX: Final = re.compile(r"([/#~!@])(.*)\1([a-z]*)", re.DOTALL)
# What no server on the internet can have, documentation and benchmarking ranges among them.
_RESERVED: Final = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
    "240.0.0.0/4", "::/127", "100::/64", "2001:db8::/32", "3fff::/20", "fc00::/7", "fe80::/10", "ff00::/8",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """Entries that are compared in one way, and the types of indicators that they are about."""

    kind: Kind
    types: frozenset[str]
    entries: frozenset[str]


@dataclass(frozen=True, slots=True)
class AllowList:
    """A list: its rules, what becomes of what is on it, and whether it speaks of URLs by their host."""

    name: str
    rules: Sequence[Rule]
    action: Action = "drop"
    urls_by_host: bool = False


def allow_list(given: str | Path, action: str = "drop", *, urls_by_host: bool = False) -> AllowList:
    """Return the list in the file *given*, or the one called ``reserved`` that comes with tcetl.

    ``reserved`` holds what IANA gave to nobody: private, local, multicast and documentation addresses. It speaks of
    URLs on them as well.

    Args:
        given: A file: MISP's JSON, or text with an entry per line and ``#`` before remarks.
        action: ``drop``, ``tag`` or ``report``.
        urls_by_host: Whether URLs on a listed host or address are on the list.

    Raises:
        FeedError: The file is missing or no list; the message names the entry that is none.
    """
    if action not in ACTIONS:
        raise FeedError(f"allow-list {given}: there is no action {action!r}", hint=f"one of: {', '.join(ACTIONS)}")
    chosen = cast(Action, action)
    if str(given) == RESERVED:
        types = frozenset({"Address", "CIDR", "URL"})
        return AllowList(RESERVED, [Rule("cidr", types, frozenset(_RESERVED))], chosen, urls_by_host=True)
    path = Path(given)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FeedError(f"allow-list {path} does not exist", hint=f"a file, or '{RESERVED}'") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FeedError(f"allow-list {path} cannot be read: {error}") from error
    name, rules = _misp(path, text) if text.lstrip().startswith("{") else (path.stem, list(_plain(text.splitlines())))
    if not any(rule.entries for rule in rules):
        raise FeedError(f"allow-list {path} has no entries", hint="is this the file you meant?")
    return AllowList(name, rules, chosen, urls_by_host=urls_by_host)


def _misp(path: Path, text: str) -> tuple[str, list[Rule]]:
    try:
        document: Mapping[str, Any] = json.loads(text)
        kind, entries = document["type"], document["list"]
        attributes = document.get("matching_attributes") or []
        if not isinstance(entries, list) or not isinstance(attributes, list):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FeedError(
            f"allow-list {path} is no MISP warninglist", hint="it needs name, type, matching_attributes and list"
        ) from error
    if kind not in _KINDS:
        raise FeedError(f"allow-list {path} compares by '{kind}'", hint=f"known are: {', '.join(_KINDS)}")
    types = {name for attribute in attributes for pattern, name in _ATTRIBUTES if pattern.match(str(attribute))}
    if kind == "cidr":
        types.add("CIDR")
    described = str(document.get("name") or path.stem)
    return described, [_rule(path, cast(Kind, kind), frozenset(types), map(str, entries))]


def _rule(path: Path, kind: Kind, types: frozenset[str], entries: Iterable[str]) -> Rule:
    listed = {entry.strip() for entry in entries if entry.strip()}
    for entry in listed:
        try:
            if kind == "cidr":
                ipaddress.ip_network(entry, strict=False)
            elif kind == "regex":
                re.compile(pattern(entry))
        except (ValueError, re.error) as error:
            raise FeedError(f"allow-list {path}: {entry[:200]!r} is no {kind}: {error}") from None
    return Rule(kind, types, frozenset(listed))


def pattern(entry: str) -> str:
    """Return a regular expression as MISP writes it (``/…/i``) with its flags inside."""
    match = _PHP_REGEX.fullmatch(entry)
    if match is None:
        return entry
    flags = "".join(flag for flag in match[3] if flag in "imsx")
    return f"(?{flags}){match[2]}" if flags else match[2]


def _plain(lines: Iterable[str]) -> Iterable[Rule]:
    by_kind: dict[tuple[Kind, frozenset[str]], set[str]] = {}
    for line in lines:
        entry = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if not entry:
            continue
        shape = classify(entry.removeprefix("*.").removeprefix("."))
        if shape in ("Address", "CIDR"):
            place: tuple[Kind, frozenset[str]] = ("cidr", frozenset({"Address", "CIDR", "URL"}))
        elif shape == "Host":
            place, entry = ("hostname", frozenset({"Host", "URL"})), entry.removeprefix("*.")
        else:
            place = ("string", frozenset({shape} if shape else {"Mutex", "User Agent", "Email Subject", "Hashtag"}))
        by_kind.setdefault(place, set()).add(_canonical(shape, entry))
    for (kind, types), entries in by_kind.items():
        yield Rule(kind, types, frozenset(entries))


def _canonical(shape: str | None, entry: str) -> str:
    if shape is None or shape in {"Host", "Address", "CIDR"}:
        return entry
    try:
        return canonical(shape, entry)
    except InvalidValueError:
        return entry
