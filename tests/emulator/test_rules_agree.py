"""The connector's value rules and the platform's, two independent statements, held against each other.

What the connector would upload, the platform must take; and the two must agree on which values are the same.
"""

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
