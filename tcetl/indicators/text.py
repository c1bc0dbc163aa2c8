"""Canonical form and validity of free-text types: Mutex, User Agent, Email Subject, Hashtag, Registry Key."""

import re
from typing import Final

from tcetl.errors import InvalidValueError
from tcetl.indicators.types import SEPARATOR

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_ROOTS: Final = (
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
# Abbreviations, and the names that the kernel has for the two hives of which all others are parts.
_ROOT_ALIASES: Final = {
    "HKCR": "HKEY_CLASSES_ROOT",
    "HKCC": "HKEY_CURRENT_CONFIG",
    "HKCU": "HKEY_CURRENT_USER",
    "HKLM": "HKEY_LOCAL_MACHINE",
    "HKPD": "HKEY_PERFORMANCE_DATA",
    "HKU": "HKEY_USERS",
    r"\REGISTRY\MACHINE": "HKEY_LOCAL_MACHINE",
    r"\REGISTRY\USER": "HKEY_USERS",
}
_SPELT: Final = {root: root for root in _ROOTS} | _ROOT_ALIASES
# Regedit shows the machine above the roots; PowerShell writes HKLM:\.
_ROOT: Final = re.compile(
    rf"(?:Computer\\+)?({'|'.join(map(re.escape, sorted(_SPELT, key=len, reverse=True)))}):?(?=\\|$)", re.IGNORECASE
)

_VALUE_TYPES: Final = (
    "REG_NONE",
    "REG_BINARY",
    "REG_DWORD",
    "REG_DWORD_LITTLE_ENDIAN",
    "REG_DWORD_BIG_ENDIAN",
    "REG_EXPAND_SZ",
    "REG_LINK",
    "REG_MULTI_SZ",
    "REG_QWORD",
    "REG_QWORD_LITTLE_ENDIAN",
    "REG_SZ",
)
_NO_VALUE_NAME: Final = " "  # what the platform wants where a key has no value name


def plain_text(value: str) -> str:
    """Return free text as it is: case counts; only control characters, which no line format survives, are refused."""
    if _CONTROL.search(value):
        raise InvalidValueError("bad-text", f"{value[:200]!r} holds control characters")
    return value


def hashtag(value: str) -> str:
    """Return a hashtag lower case, with or without its ``#`` as given."""
    # Lower-casing "İ" yields two characters whose lower case is themselves: one pass is a fixed point.
    return plain_text(value).lower()


def registry_key(value: str) -> str:
    """Return ``key : value name : value type`` with the root spelt out.

    A key alone gets a blank value name and REG_NONE: the platform requires all three parts. Names of keys and values
    keep their case.
    """
    key, *rest = plain_text(value).split(SEPARATOR)
    if len(rest) > 2:
        raise InvalidValueError(
            "bad-registry-key", f"'{value}' has more than key, value name and value type between ' : '"
        )
    name = (rest[0] if rest else "").strip() or _NO_VALUE_NAME
    kind = (rest[1] if len(rest) == 2 else "").strip().upper() or "REG_NONE"
    if kind not in _VALUE_TYPES:
        raise InvalidValueError(
            "bad-registry-key", f"'{kind}' is no value type", hint=f"one of: {', '.join(_VALUE_TYPES)}"
        )
    spelt = key.strip()
    if spelt.startswith("[") and spelt.endswith("]"):  # a section of a .reg file
        spelt = spelt[1:-1]
    root = _ROOT.match(spelt)
    if not root:
        raise InvalidValueError(
            "bad-registry-key", f"'{spelt[:80]}' begins with no registry root", hint=f"one of: {', '.join(_ROOTS)}"
        )
    # No part of a path is empty: a doubled backslash was escaped once too often, a last one is a habit.
    path = re.sub(r"\\+", lambda _: "\\", spelt[root.end() :].rstrip("\\"))
    return SEPARATOR.join((_SPELT[root[1].upper()] + path.rstrip(), name, kind))


def is_registry_path(value: str) -> bool:
    """Tell whether *value* is a path below a registry root, in any spelling; a root alone may be a word."""
    root = _ROOT.match(value)
    return root is not None and len(value) > root.end()
