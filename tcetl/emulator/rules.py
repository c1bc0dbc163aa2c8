"""Which values an indicator may have, and the form they are stored and compared in (api §8).

This is the platform's side of the rules, stated from the contract alone: the connector has its own, and tests hold
the two against each other.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from tcetl.emulator.vocabulary import INDICATORS, REGISTRY_VALUE_TYPES, SEPARATOR, IndicatorKind


class InvalidValueError(ValueError):
    """The value breaks a rule of its type; the text says which."""


@dataclass(frozen=True, slots=True)
class Value:
    """A checked indicator value: up to three ``parts`` as stored, and the lookup ``key`` (None for a File)."""

    kind: IndicatorKind
    parts: tuple[str | None, ...]
    key: str | None

    @property
    def summary(self) -> str:
        """All parts present, joined (api §2.3)."""
        return SEPARATOR.join(part for part in self.parts if part is not None)


_EMAIL: Final = re.compile(r"[^\s@<>\"(),:;\\\[\]\x00-\x1f]+@(?P<host>[^\s@]+)")
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
# The contract asks for ASCII and nothing but a name; that the last label is no number keeps addresses out (assumed).
_HOST: Final = re.compile(rf"(?:{_LABEL}\.)+(?!\d+\Z){_LABEL}")
_URL_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?".replace("A-Z", ""))
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\x00-\x1f\x7f]+")
_ASN: Final = re.compile(r"ASN\d{1,10}", re.IGNORECASE)
_CIDR6_GROUP: Final = re.compile(r"0|[1-9a-fA-F][0-9a-fA-F]{0,3}")
_HASHES: Final = {32: 0, 40: 1, 64: 2}
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_HIVES: Final = frozenset(
    (
        "HKEY_CLASSES_ROOT",
        "HKEY_CURRENT_CONFIG",
        "HKEY_CURRENT_USER",
        "HKEY_CURRENT_USER_LOCAL_SETTINGS",
        "HKEY_LOCAL_MACHINE",
        "HKEY_PERFORMANCE_DATA",
        "HKEY_PERFORMANCE_NLSTEXT",
        "HKEY_PERFORMANCE_TEXT",
        "HKEY_USERS",
    )
)


def _address(text: str) -> tuple[str, str]:
    if "%" in text:
        raise InvalidValueError
    # Stored as sent, compared in canonical form; leading-zero octets are refused by ipaddress itself.
    return text, str(ipaddress.ip_address(text))


def _is_host(text: str) -> bool:
    return len(text) <= 253 and _HOST.fullmatch(text) is not None


def _email(text: str) -> tuple[str, str]:
    found = _EMAIL.fullmatch(text)
    if found is None or not _is_host(found["host"]):
        raise InvalidValueError
    return text, text.lower()


def _host(text: str) -> tuple[str, str]:
    if not _is_host(text):
        raise InvalidValueError
    return text.lower(), text.lower()


def _url(text: str) -> tuple[str, str]:
    if _URL.fullmatch(text) is None:
        raise InvalidValueError
    parts = urlsplit(text)
    _ = parts.port  # ValueError on a port that is none
    authority = parts.netloc.rpartition("@")[2]
    if authority.startswith("["):
        ipaddress.IPv6Address(authority[1 : authority.index("]")])
    elif _URL_HOST.fullmatch(authority.partition(":")[0]) is None:  # lower case, ASCII, not empty
        raise InvalidValueError
    return text, text


def _asn(text: str) -> tuple[str, str]:
    if _ASN.fullmatch(text) is None:
        raise InvalidValueError
    return text.upper(), text.upper()


def _cidr(text: str) -> tuple[str, str]:
    address, slash, prefix = text.partition("/")
    if not slash or not prefix.isascii() or not prefix.isdigit():
        raise InvalidValueError
    if ":" in address:
        groups = address.split(":")
        if len(groups) != 8 or any(_CIDR6_GROUP.fullmatch(group) is None for group in groups):
            raise InvalidValueError
    if int(prefix) > ipaddress.ip_address(address).max_prefixlen:
        raise InvalidValueError
    return text.lower(), text.lower()


def _text(text: str) -> tuple[str, str]:
    if not text.strip():
        raise InvalidValueError
    return text, text


def _hashtag(text: str) -> tuple[str, str]:
    return _text(text.lower())


_SINGLE: Final[dict[str, Callable[[str], tuple[str, str]]]] = {
    "Address": _address,
    "EmailAddress": _email,
    "Host": _host,
    "URL": _url,
    "ASN": _asn,
    "CIDR": _cidr,
    "Mutex": _text,
    "User Agent": _text,
    "Email Subject": _text,
    "Hashtag": _hashtag,
}


def _file(parts: list[str]) -> Value:
    hashes: list[str | None] = [None, None, None]
    for part in parts:
        position = _HASHES.get(len(part))
        if position is None or hashes[position] is not None or _HEX.fullmatch(part) is None:
            raise InvalidValueError
        hashes[position] = part.upper()
    if hashes == [None, None, None]:
        raise InvalidValueError
    return Value(INDICATORS["File"], tuple(hashes), None)


def _registry_key(parts: list[str]) -> Value:
    if len(parts) != 3 or not parts[1]:
        raise InvalidValueError
    hive = parts[0].partition("\\")[0]
    if hive not in _HIVES or parts[2] not in REGISTRY_VALUE_TYPES:
        raise InvalidValueError
    return Value(INDICATORS["Registry Key"], tuple(parts), SEPARATOR.join(parts))


def check(kind: IndicatorKind, parts: list[str]) -> Value:
    """Return the checked value of *kind* made of *parts*, or raise InvalidValueError with the platform's wording."""
    try:
        if kind.name == "File":
            return _file(parts)
        if kind.name == "Registry Key":
            return _registry_key(parts)
        (text,) = parts
        stored, key = _SINGLE[kind.name](text)
    except ValueError as error:
        # Wording assumed (api §8, last paragraph).
        raise InvalidValueError(f"{SEPARATOR.join(parts)} is not a valid {kind.name}.") from error
    return Value(kind, (stored,), key)


def split_summary(kind: IndicatorKind, summary: str) -> list[str]:
    """Split a summary of *kind* into its values: on " : ", the last separator may lack its first space (api §8)."""
    if kind.name not in {"File", "Registry Key"}:
        return [summary]
    parts = summary.split(SEPARATOR)
    if kind.name == "Registry Key" and len(parts) == 2 and ": " in parts[1]:
        parts[1:] = list(parts[1].split(": ", 1))
    return [part.strip() for part in parts] if kind.name == "File" else parts


def read_value(kind: IndicatorKind, item: dict[str, Any]) -> Value:
    """Find and check the value of a batch item: typed keys win over value1..3, these over the summary (api §5.9)."""
    typed = [str(item[key]) for key in kind.keys if item.get(key) is not None]
    if not typed:
        typed = [str(item[key]) for key in ("value1", "value2", "value3") if item.get(key) is not None]
    if typed:
        return check(kind, [part for part in typed if part] if kind.name == "File" else typed)
    summary = item.get("summary")
    if not isinstance(summary, str) or not summary:
        raise InvalidValueError(f"{kind.name} has no value.")
    return check(kind, split_summary(kind, summary))
