"""The connector's value rules and the platform's, two independent statements, held against each other.

What the connector would upload, the platform must take; and the two must agree on which values are the same. Where the
platform takes a value that the connector refuses or writes otherwise, the reason is one of those given below.
"""

import ipaddress
import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tcetl.emulator.rules import InvalidValueError, check, split_summary
from tcetl.emulator.vocabulary import INDICATORS, REGISTRY_VALUE_TYPES
from tcetl.errors import InvalidValueError as Rejected
from tcetl.indicators import canonical

_label = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,12}[A-Za-z0-9_])?", fullmatch=True)
_odd_label = st.text(alphabet=string.ascii_letters + string.digits + "-_ äßİ.", min_size=0, max_size=8)
_ipv4 = st.ip_addresses(v=4).map(str)
_ipv6 = st.ip_addresses(v=6).flatmap(lambda ip: st.sampled_from([str(ip), ip.exploded, str(ip).upper()]))
_host = st.lists(st.one_of(_label, _odd_label), min_size=1, max_size=5).flatmap(
    lambda labels: st.sampled_from(["example", "COM", "xn--p1ai", "1", "c", "bücher"]).map(
        lambda last: ".".join([*labels, last])
    )
)
_authority = st.one_of(_host, _ipv4, _ipv6.map("[{}]".format), _label)
_path = st.text(alphabet=string.printable + "äñ\u202e", max_size=20)
_url = st.tuples(
    st.sampled_from(["http://", "HTTPS://", "ftp://", "hxxp://", "//", ""]),
    st.sampled_from(["", "user:pw@", "a@b@"]),
    _authority,
    st.sampled_from(["", ":80", ":0", ":99999", ":x", ":"]),
    _path.map("/{}".format) | _path,
).map("".join)
_hash = st.sampled_from([32, 40, 64, 31]).flatmap(
    lambda size: st.text(alphabet="0123456789abcdefABCDEF", min_size=size, max_size=size)
)
_network = st.tuples(_ipv4 | _ipv6, st.integers(-1, 130).map(str) | st.sampled_from(["", "08"])).map("/".join)
# Values holding " : " are ambiguous by the contract itself (api §8, "multi-value split").
_part = st.text(alphabet=st.characters(exclude_characters=":"), max_size=8).filter(str.strip)
_registry = st.tuples(
    st.sampled_from(["HKEY_LOCAL_MACHINE", "HKLM", "HKEY_USERS", "HKEY_NONE", ""]),
    _part.map("\\{}".format) | st.just(""),
    _part.map(" : {}".format) | st.just(""),
    st.sampled_from([*REGISTRY_VALUE_TYPES, "REG_BAD"]).map(" : {}".format) | st.just(""),
).map("".join)
VALUES = {
    "Address": _ipv4 | _ipv6 | st.text(alphabet="0123456789abcdef.:%/[] ", max_size=20),
    "EmailAddress": st.tuples(_label | st.text(max_size=6), _host).map("@".join) | st.text(max_size=10),
    "File": st.lists(_hash, min_size=1, max_size=4).map(" : ".join) | st.text(max_size=10),
    "Host": _host | _ipv4 | st.text(max_size=12),
    "URL": _url | st.text(max_size=12),
    "ASN": st.tuples(st.sampled_from(["ASN", "asn", "AS", "AS ", ""]), st.integers(-1, 2**33).map(str)).map("".join),
    "CIDR": _network | st.text(max_size=10),
    "Mutex": st.text(max_size=20),
    "Registry Key": _registry,
    "User Agent": st.text(max_size=20),
    "Email Subject": st.text(max_size=20),
    "Hashtag": st.text(max_size=20),
}


def refused_host(value, why):
    """Punycode that stands for no name: the platform looks at the characters only."""
    return "xn--" in value.lower() and "does not decode as punycode" in why


def url_port(value):
    return re.search(r":([0-9]+)(?:[/?#]|$)", value[value.index("//") :])[1]


# Why the connector refuses what the platform takes: it is stricter wherever such a value can only be a mistake of the
# feed, or an indicator that nothing could match. Each predicate sees the value and the connector's reason.
REFUSED = {
    "EmailAddress": {
        "the local part is ASCII: no server takes another without SMTPUTF8, and feeds have them from homoglyphs":
            lambda value, why: not value.isascii(),
        "the local part has no empty atom, and at most 64 characters (RFC 5321)":
            lambda value, why: "before the @" in why,
        "its host is not valid": lambda value, why: refused_host(value.rpartition("@")[2], why),
    },
    "Host": {"its host is not valid": refused_host},
    "URL": {
        "blanks, quotes and angle brackets stand for themselves in no URL (RFC 3986)":
            lambda value, why: re.search(r'[\s"<>]', value),
        "user info is ASCII without a backslash, which browsers take for a slash":
            lambda value, why: "no valid host and port" in why,
        "no connection goes to port 0": lambda value, why: "a port beyond" in why and int(url_port(value)) == 0,
        "a URL of a single name or a number leads nowhere outside its network, or is an address in disguise":
            lambda value, why: "no dot in it" in why or "last label is a number" in why,
        "its host is not valid": refused_host,
    },
    "CIDR": {"the prefix is written in up to three digits": lambda value, why: re.search(r"/[0-9]{4,}$", value)},
    "ASN": {"there are 2^32 numbers": lambda value, why: int(value[3:]) >= 2**32},
    **{
        name: {"no line format carries control characters": lambda value, why: re.search(r"[\x00-\x1f\x7f]", value)}
        for name in ("Mutex", "User Agent", "Email Subject", "Hashtag", "Registry Key")
    },
}  # fmt: skip
# Where both take a value but the platform would keep it apart from the connector's summary: other notations of what is
# the same, which the connector writes in one way so that a feed's duplicates are found.
REWRITTEN = {
    "Address": {"an IPv4 address written as IPv6": lambda value: ipaddress.IPv6Address(value).ipv4_mapped},
    "CIDR": {"bits beyond the prefix are cleared, leading zeros dropped": lambda value: True},
    "ASN": {"leading zeros": lambda value: re.match(r"(?i)ASN0", value)},
    "URL": {
        "scheme in lower case": lambda value: value.split(":")[0] != value.split(":")[0].lower(),
        "an empty port, or zeros before it": lambda value: re.search(r":0*[0-9]*(?:[/?#]|$)", value[8:]),
        "a root dot": lambda value: re.search(r"\.[:/?#]|\.$", value),
        "an IPv6 host compressed, or IPv4 in it": lambda value: "[" in value,
    },
    "Registry Key": {"no blanks around the parts, no empty part in a path": lambda value: True},
    "EmailAddress": {},
    "Host": {},
}


def key(type_, summary):
    """How the platform compares the value; a File by its hashes."""
    value = check(INDICATORS[type_], split_summary(INDICATORS[type_], summary))
    return value.key or value.parts


@pytest.mark.parametrize("type_", VALUES)
def test_the_platform_takes_what_the_connector_would_send(type_):
    @given(VALUES[type_])
    @example("")
    def holds(value):
        try:
            summary = canonical(type_, value)
        except Rejected:
            return
        try:
            key(type_, summary)
        except InvalidValueError as error:
            raise AssertionError(f"{value!r} becomes {summary!r}, which the platform refuses") from error

    holds()


@pytest.mark.parametrize("type_", VALUES)
def test_they_agree_on_which_values_are_the_same(type_):
    @given(VALUES[type_], st.sampled_from([str.upper, str.lower, str.swapcase, str.title]))
    def holds(value, change):
        try:
            summaries = [canonical(type_, each) for each in (value, change(value))]
        except Rejected:
            return
        keys = [key(type_, summary) for summary in summaries]
        assert (summaries[0] == summaries[1]) == (keys[0] == keys[1])

    holds()


@pytest.mark.parametrize("type_", VALUES)
def test_what_the_platform_shows_is_already_canonical(type_):
    @given(VALUES[type_])
    def holds(value):
        try:
            summary = canonical(type_, value)
        except Rejected:
            return
        kind = INDICATORS[type_]
        assert canonical(type_, check(kind, split_summary(kind, summary)).summary) == summary

    holds()


@pytest.mark.parametrize("type_", VALUES)
def test_what_only_the_connector_refuses_has_a_reason(type_):
    def refusal(value):
        try:
            canonical(type_, value)
        except Rejected as error:
            return error.reason
        return None

    @given(VALUES[type_].map(str.strip))
    def holds(value):
        try:
            key(type_, value)
        except InvalidValueError:
            return
        if why := refusal(value):
            assert any(applies(value, why) for applies in REFUSED.get(type_, {}).values()), (value, why)

    holds()


@pytest.mark.parametrize("type_", VALUES)
def test_what_the_connector_writes_otherwise_has_a_reason(type_):
    @given(VALUES[type_].map(str.strip))
    def holds(value):
        try:
            platforms, ours = key(type_, value), key(type_, canonical(type_, value))
        except (InvalidValueError, Rejected):
            return
        if platforms != ours:
            assert any(applies(value) for applies in REWRITTEN[type_].values()), (value, platforms, ours)

    holds()
