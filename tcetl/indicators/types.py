"""The twelve indicator types: how the API names them, where they live, and which keys hold their value."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class IndicatorType:
    """One indicator type: its ``name`` in the API, v2 ``branch`` and ``entity`` (envelope key), and value keys."""

    name: str
    branch: str
    entity: str
    value_keys: tuple[str, ...]


SEPARATOR: Final = " : "
"""Joins the parts of a multi-part summary (File hashes; Registry Key name, value name, value type)."""

_TYPES: Final = (
    IndicatorType("Address", "addresses", "address", ("ip",)),
    IndicatorType("EmailAddress", "emailAddresses", "emailAddress", ("address",)),
    IndicatorType("File", "files", "file", ("md5", "sha1", "sha256")),
    IndicatorType("Host", "hosts", "host", ("hostName",)),
    IndicatorType("URL", "urls", "url", ("text",)),
    IndicatorType("ASN", "asns", "asn", ("AS Number",)),
    IndicatorType("CIDR", "cidrBlocks", "cidrBlock", ("Block",)),
    IndicatorType("Mutex", "mutexes", "mutex", ("Mutex",)),
    IndicatorType("Registry Key", "registryKeys", "registryKey", ("Key Name", "Value Name", "Value Type")),
    IndicatorType("User Agent", "userAgents", "userAgent", ("User Agent String",)),
    IndicatorType("Email Subject", "emailSubjects", "emailSubject", ("Subject",)),
    IndicatorType("Hashtag", "hashtags", "hashtag", ("Hashtag",)),
)
TYPES: Final[dict[str, IndicatorType]] = {t.name: t for t in _TYPES}
"""The twelve types of the public cloud, by API name; an instance may define further custom ones."""
