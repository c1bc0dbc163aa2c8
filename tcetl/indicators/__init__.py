"""The vocabulary of indicators: types, API branches, value keys, canonical form and validity per type.

Source: ThreatConnect REST docs, v2 indicator types and value rules. The emulator has its own, independent statement
of the same rules; tests hold the two against each other.
"""

from collections.abc import Callable
from typing import Final

from tcetl.errors import InvalidValueError
from tcetl.indicators.classify import FILE_ENDING, classify, is_file_name
from tcetl.indicators.files import FileHashes, file_hashes, file_summary
from tcetl.indicators.network import address, asn, cidr, email, has_host_bits, host, url
from tcetl.indicators.refang import INVISIBLE, refang
from tcetl.indicators.text import hashtag, is_registry_path, plain_text, registry_key
from tcetl.indicators.types import SEPARATOR, TYPES, IndicatorType

__all__ = [
    "FILE_ENDING",
    "INVISIBLE",
    "SEPARATOR",
    "TYPES",
    "FileHashes",
    "IndicatorType",
    "canonical",
    "classify",
    "file_hashes",
    "has_host_bits",
    "is_file_name",
    "is_registry_path",
    "refang",
]

_CANONICAL: Final[dict[str, Callable[[str], str]]] = {
    "Address": address,
    "EmailAddress": email,
    "File": file_summary,
    "Host": host,
    "URL": url,
    "ASN": asn,
    "CIDR": cidr,
    "Mutex": plain_text,
    "Registry Key": registry_key,
    "User Agent": plain_text,
    "Email Subject": plain_text,
    "Hashtag": hashtag,
}


def canonical(type: str, value: str) -> str:  # noqa: A002 - the API's own word
    """Return the summary under which the platform keeps *value* as an indicator of *type*.

    Idempotent: a canonical summary is its own canonical form. Nothing is guessed and nothing but notation changes:
    case where the platform ignores it, IDNA, address and block notation, hash order, registry root aliases.
    Defanged values go through `refang` first.

    Raises:
        InvalidValueError: the platform would refuse the value, or *type* is none of the twelve.
    """
    try:
        form = _CANONICAL[type]
    except KeyError:
        raise InvalidValueError(
            "unknown-type", f"'{type}' is no indicator type", hint=f"one of: {', '.join(TYPES)}"
        ) from None
    text = value.strip()
    if not text:
        raise InvalidValueError("empty-value", f"the {type} value is empty")
    return form(text)
