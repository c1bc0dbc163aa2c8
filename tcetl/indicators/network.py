"""Canonical form and validity of what lives on a network: Address, CIDR, ASN, Host, URL, EmailAddress."""

import ipaddress
import re
from functools import lru_cache
from typing import Final

import idna

from tcetl.errors import InvalidValueError

_ASN: Final = re.compile(r"(?:ASN?\s*)?([0-9]{1,10})", re.IGNORECASE)
_LAST_ASN: Final = 2**32 - 1
_CIDR: Final = re.compile(r"([0-9A-Fa-f:.]+)/([0-9]{1,3})")
# Letters, digits, hyphens and, as found in the wild, underscores; a label neither begins nor ends with a hyphen.
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LONGEST_HOST: Final = 253
_DOT: Final = re.compile("[.\u3002\uff0e\uff61]")  # those of other scripts are dots to IDNA
_LABELS: Final = 10_000  # remembered, as those of a feed repeat
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://([^/?#]*)(.*)", re.DOTALL)
_AUTHORITY: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]*))?")
# What no URL holds unencoded, and no copy of one either: blanks, control characters, angle brackets, quotes.
_NOT_IN_URL: Final = re.compile(r"[\s\x00-\x1f\x7f<>\"]")
_USER_INFO: Final = re.compile(r"[!-\[\]-~]*")  # printable ASCII but the backslash, which browsers take for a slash
_LOCAL_PART: Final = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


def address(value: str) -> str:
    """Return an IPv4 address in dotted form, an IPv6 address compressed and lower case.

    An IPv4-mapped IPv6 address is the IPv4 address; a zone (``%eth0``) means nothing beyond its machine and is dropped.
    """
    try:
        parsed = ipaddress.ip_address(value.partition("%")[0])
    except ValueError as error:
        raise InvalidValueError("bad-address", f"'{value}' is not an IPv4 or IPv6 address") from error
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def cidr(value: str) -> str:
    """Return a block: ``192.0.2.0/24``, or eight IPv6 groups without leading zeros (``2001:db8:0:0:0:0:0:0/32``).

    Bits beyond the prefix are cleared: 192.0.2.77/24 names the same block. `has_host_bits` tells whether there are any.
    """
    match = _CIDR.fullmatch(value)
    try:
        if not match:
            raise ValueError(value)
        block = ipaddress.ip_network(f"{match[1]}/{int(match[2])}", strict=False)
    except ValueError as error:
        raise InvalidValueError(
            "bad-cidr", f"'{value}' is not an IPv4 or IPv6 block", hint="address/prefix length, such as 192.0.2.0/24"
        ) from error
    if isinstance(block, ipaddress.IPv4Network):
        return str(block)
    groups = block.network_address.exploded.split(":")
    return f"{':'.join(f'{int(group, 16):x}' for group in groups)}/{block.prefixlen}"


def has_host_bits(block: str) -> bool:
    """Tell whether a valid *block* is written with an address inside it, not with its first one."""
    written, _, prefix = block.partition("/")
    address = ipaddress.ip_address(written)
    return int(address) % (1 << (address.max_prefixlen - int(prefix))) != 0


def asn(value: str) -> str:
    """Return an autonomous system as ``ASN64496``; ``AS64496``, ``asn 64496`` and ``64496`` are brought to it."""
    match = _ASN.fullmatch(value)
    if not match or int(match[1]) > _LAST_ASN:
        raise InvalidValueError("bad-asn", f"'{value}' is not an autonomous system number", hint="such as ASN64496")
    return f"ASN{int(match[1])}"


def host(value: str) -> str:
    """Return a host name lower case, non-ASCII labels as punycode, without the root dot.

    Non-ASCII labels go by IDNA 2008 after the mapping of UTS 46 (non-transitional); labels that are punycode already
    must decode to something that mapping leaves alone, which admits names with emoji that some registries sold.
    Underscores are allowed (real names have them); a single label, an address, a port, a path or a scheme is not.
    """
    text = value.lower() if value.isascii() else ".".join(map(_ascii_label, _DOT.split(value)))
    text = text.removesuffix(".")
    labels = text.split(".")
    if len(labels) < 2 or len(text) > _LONGEST_HOST:
        raise _bad_host(value, "no dot in it" if len(labels) < 2 else f"longer than {_LONGEST_HOST} characters")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise _bad_host(value, f"the label '{label[:80]}' is empty, too long or has characters no host name has")
        if label.startswith("xn--") and not _is_punycode(label):
            raise _bad_host(value, f"'{label}' does not decode as punycode")
    if labels[-1].isdigit() or re.fullmatch(r"0x[0-9a-f]*", labels[-1]):
        raise _bad_host(value, "its last label is a number")
    return text


def url(value: str) -> str:
    """Return a URL with scheme and host lower case and the host as punycode; user info, path and query stay as sent."""
    match = _URL.fullmatch(value)
    if not match:
        raise InvalidValueError("bad-url", f"'{value}' has no scheme", hint="a URL begins with http:// or the like")
    scheme, authority, rest = match.groups()
    if found := _NOT_IN_URL.search(value):
        raise InvalidValueError("bad-url", f"'{value}' holds {found[0]!r}, which no URL does", hint="percent-encode it")
    user, at, location = authority.rpartition("@")
    parts = _AUTHORITY.fullmatch(location)
    if not parts or not _USER_INFO.fullmatch(user):
        raise InvalidValueError("bad-url", f"'{value}' has no valid host and port")
    name, port = parts.groups()
    if port and not 0 < int(port) < 65536:
        raise InvalidValueError("bad-url", f"'{value}' has a port beyond 65535 or zero")
    try:
        location = _url_host(name)
    except InvalidValueError as error:
        raise InvalidValueError("bad-url", f"the host of '{value}' is not valid: {error.reason}") from error
    return f"{scheme.lower()}://{user}{at}{location}{f':{int(port)}' if port else ''}{rest}"


def email(value: str) -> str:
    """Return an e-mail address lower case, its domain as punycode."""
    local, at, domain = value.lower().rpartition("@")
    try:
        if not at or len(local) > 64 or not _LOCAL_PART.fullmatch(local):
            raise InvalidValueError("bad-email", "no valid part before the @")
        return f"{local}@{host(domain)}"
    except InvalidValueError as error:
        raise InvalidValueError("bad-email", f"'{value}' is not an e-mail address: {error.reason}") from error


def _url_host(name: str) -> str:
    if name.startswith("["):
        inside = address(name[1:-1])
        return f"[{inside}]" if ":" in inside else inside
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        return host(name)


@lru_cache(_LABELS)
def _ascii_label(label: str) -> str:
    """The label as punycode where it is not ASCII; the mapping may make several of one."""
    try:
        mapped = _mapped(label)
        return ".".join(part if part.isascii() else idna.alabel(part).decode("ascii") for part in mapped.split("."))
    except (idna.IDNAError, UnicodeError) as error:
        raise _bad_host(label, str(error)) from error


@lru_cache(_LABELS)
def _is_punycode(label: str) -> bool:
    try:
        decoded = label[4:].encode("ascii").decode("punycode")
        return (
            not decoded.isascii()
            and decoded.encode("punycode").decode("ascii") == label[4:]
            and _mapped(decoded) == decoded
        )
    except (UnicodeError, ValueError, OverflowError):
        return False


def _mapped(name: str) -> str:
    return idna.uts46_remap(name, std3_rules=False, transitional=False)


def _bad_host(value: str, why: str) -> InvalidValueError:
    return InvalidValueError("bad-host", f"'{value[:300]}' is not a host name: {why}")
