"""Tell by its shape which type of indicator a value is."""

import re
from typing import Final

from tcetl.indicators.text import is_registry_path

_HASHES: Final = re.compile(
    r"(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})(?:[\s,;:|]+(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32}))*"
)
_IPV4: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_IPV6: Final = re.compile(r"(?=[^:]*:[^:]*:)[0-9A-Fa-f:.]+(?:%[\w.-]+)?")
_CIDR: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+){3}|(?=[^:]*:)[0-9A-Fa-f:.]+)/[0-9]{1,3}")
_ASN: Final = re.compile(r"ASN?\s?[0-9]+", re.IGNORECASE)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_EMAIL: Final = re.compile(r"[^\s@/:]+@[^\s@/:]+\.[^\s@/:]+")
# A name of any script: no ASCII but letters, digits, hyphen and underscore; the dot may be that of another script.
_LABEL: Final = r"[^\s\x00-,./:-@\[-^`{-\x7f\u3002\uff0e\uff61]+"
_DOT: Final = r"[.\u3002\uff0e\uff61]"
_HOST: Final = re.compile(rf"{_LABEL}(?:{_DOT}{_LABEL})+{_DOT}?")
# Endings of file names that are no top-level domains: 'update.exe' in a list of domains is not a host. Endings that
# are both (.com, .sh, .zip, .py, .pl, .rs) are read as domains.
FILE_ENDING: Final = (
    r"(?i)\.(?:exe|dll|sys|scr|bat|cmd|vbs|vbe|js|jse|wsf|hta|ps1|psm1|jar|class|docx?|docm|dot|dotm|xls[xm]?|xll|pptx?"
    r"|pptm|rtf|pdf|txt|log|csv|xml|json|ini|cfg|dat|bin|tmp|bak|lnk|iso|img|vhd|msi|cab|rar|gz|tar|tgz|7z|ace|arj|apk"
    r"|dex|elf|php|aspx?|jsp|html?|css|png|jpe?g|gif|bmp|ico|svg|swf|pdb|db|sqlite|dmp|eml|msg|conf|plist|dylib)$"
)
_FILE_NAME: Final = re.compile(FILE_ENDING.replace("(?i)", r"[^\s/]+"), re.IGNORECASE)


def classify(value: str) -> str | None:
    """Return the indicator type whose shape *value* has, or None.

    Shape only: `canonical` has the last word on validity (``999.1.1.1`` is shaped like an Address and refused as
    one). Free text (Mutex, User Agent, Email Subject, Hashtag) has no shape and must be declared.
    """
    text = value.strip()
    if _URL.match(text):
        return "URL"
    if _HASHES.fullmatch(text):
        return "File"
    for name, shape in _SHAPES:
        if shape.fullmatch(text):
            return name
    if is_registry_path(text):
        return "Registry Key"
    if _HOST.fullmatch(text) and not is_file_name(text):
        return "Host"
    return None


_SHAPES: Final = (
    ("Address", _IPV4),
    ("Address", _IPV6),
    ("CIDR", _CIDR),
    ("ASN", _ASN),
    ("EmailAddress", _EMAIL),
)


def is_file_name(value: str) -> bool:
    """Tell whether a dotted name ends like a file (``invoice.doc``) and with no top-level domain."""
    return _FILE_NAME.fullmatch(value) is not None
