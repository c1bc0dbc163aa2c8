"""The attribute types of MISP, and which indicator each one's value is.

Source: MISP's describeTypes.json (core format, section 2.4.2). A type that is not here is no indicator: a
fingerprint of something other than a file's content, a fact about a victim, a reference. Rules and vulnerabilities are
groups.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from tcetl.feeds.standards import signatures

_WORDS: Final[dict[str, str]] = {
    "md5": "md5",
    "sha1": "sha1",
    "sha256": "sha256",
    "ip-src": "Address",
    "ip-dst": "Address",
    "hostname": "Host",
    "domain": "Host",
    "onion-address": "Host",
    "url": "URL",
    "uri": "URL",
    "email": "EmailAddress",
    "email-src": "EmailAddress",
    "email-dst": "EmailAddress",
    "email-reply-to": "EmailAddress",
    "whois-registrant-email": "EmailAddress",
    "dns-soa-email": "EmailAddress",
    "email-subject": "Email Subject",
    "user-agent": "User Agent",
    "regkey": "Registry Key",
    "AS": "ASN",
    "mutex": "Mutex",
}
_FILE_NAME_AND_HASH: Final = {"filename|md5": "md5", "filename|sha1": "sha1", "filename|sha256": "sha256",
                              "malware-sample": "md5"}  # fmt: skip
_VALUE_AND_PORT: Final = {"ip-src|port": "Address", "ip-dst|port": "Address", "hostname|port": "Host"}


class Part(NamedTuple):
    """An indicator in an attribute: the type's word, its value, and what else the attribute says about it."""

    type: str
    value: str
    about: str = ""


def parts(kind: str, value: str) -> Sequence[Part]:
    """Return the indicators in the *value* of an attribute of type *kind*; none where the type is no indicator."""
    if word := _WORDS.get(kind):
        return (_typed(word, value),)
    if word := _FILE_NAME_AND_HASH.get(kind):
        name, _, digest = value.rpartition("|")
        return (Part(word, digest, f"File name: {name}" if name else ""),)
    first, _, second = value.partition("|")
    if word := _VALUE_AND_PORT.get(kind):
        return (_typed(word, first, f"Port: {second}" if second else ""),)
    if kind == "domain|ip":
        return (Part("Host", first, f"Resolved to {second}"), _typed("Address", second, f"Address of {first}"))
    if kind == "regkey|value":
        return (Part("Registry Key", first, f"Value: {second}" if second else ""),)
    return ()


def group_type(kind: str) -> str | None:
    """Return the type of group that an attribute of type *kind* is by itself, if it is one."""
    if kind == "vulnerability":
        return "Vulnerability"
    return "Signature" if signatures.file_type(kind) else None


def _typed(word: str, value: str, about: str = "") -> Part:
    """An address with a prefix length is a block of them."""
    return Part("CIDR" if word == "Address" and "/" in value else word, value, about)
