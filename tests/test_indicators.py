"""Canonical form and validity of the twelve types, rule by rule, and that canonical forms are fixed points."""
# ruff: noqa: RUF001 - letters of other scripts are what is tested

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcetl.errors import InvalidValueError
from tcetl.indicators import TYPES, canonical, classify, file_hashes, refang

MD5, SHA1, SHA256 = "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "e3b0c442" * 8
KEY = r"HKEY_LOCAL_MACHINE\Software\Run"

CANONICAL = [
    ("Address", "192.0.2.1", "192.0.2.1"),
    ("Address", " 192.0.2.1 ", "192.0.2.1"),
    ("Address", "2001:DB8:0:0:0:0:0:0001", "2001:db8::1"),
    ("Address", "::ffff:192.0.2.1", "192.0.2.1"),
    ("Address", "::ffff:c000:201", "192.0.2.1"),
    ("Address", "fe80::1%eth0", "fe80::1"),
    ("CIDR", "192.0.2.0/24", "192.0.2.0/24"),
    ("CIDR", "192.0.2.77/24", "192.0.2.0/24"),
    ("CIDR", "192.0.2.1/32", "192.0.2.1/32"),
    ("CIDR", "2001:db8:1234::/48", "2001:db8:1234:0:0:0:0:0/48"),
    ("CIDR", "2001:0DB8:0000:0000:0000:0000:0000:0000/32", "2001:db8:0:0:0:0:0:0/32"),
    ("ASN", "ASN64496", "ASN64496"),
    ("ASN", "AS64496", "ASN64496"),
    ("ASN", "as 64496", "ASN64496"),
    ("ASN", "ASN 64496", "ASN64496"),
    ("ASN", "64496", "ASN64496"),
    ("ASN", "4294967295", "ASN4294967295"),
    ("Host", "WWW.Example.COM", "www.example.com"),
    ("Host", "example.com.", "example.com"),
    ("Host", "bücher.example", "xn--bcher-kva.example"),
    ("Host", "Bücher。Example", "xn--bcher-kva.example"),  # an ideographic full stop is a dot in IDNA
    ("Host", "xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("Host", "_dmarc.some_host.example", "_dmarc.some_host.example"),
    ("Host", "ｅｘａｍｐｌｅ．ｃｏｍ", "example.com"),
    ("Host", "faß.example", "xn--fa-hia.example"),  # non-transitional: not fass.example, which is another host
    ("Host", "हिन्दी.example", "xn--j2bd4cyah0f.example"),
    ("Host", "نامه\u200cای.example", "xn--mgba3gch31f060k.example"),  # the joiner makes it another name
    ("Host", "президент.рф", "xn--d1abbgf6aiiy.xn--p1ai"),
    ("Host", "xn--i-7iq.example", "xn--i-7iq.example"),  # an emoji: no IDNA 2008, but registered as such
    ("URL", "HTTP://Example.COM/Path?Q=A#F", "http://example.com/Path?Q=A#F"),
    ("URL", "https://bücher.example/ü", "https://xn--bcher-kva.example/ü"),
    ("URL", "ftp://User:Pass@Example.com:2121/", "ftp://User:Pass@example.com:2121/"),
    ("URL", "http://192.0.2.1:8080/a,b;c", "http://192.0.2.1:8080/a,b;c"),
    ("URL", "http://[2001:DB8::1]:80/x", "http://[2001:db8::1]:80/x"),
    ("URL", "http://example.com//a//b", "http://example.com//a//b"),
    ("URL", "http://example.com", "http://example.com"),
    ("URL", "http://example.com./x", "http://example.com/x"),
    ("URL", "http://example.com:00080/", "http://example.com:80/"),
    ("URL", "http://example.com:/", "http://example.com/"),
    ("URL", "http://a@b@example.com/", "http://a@b@example.com/"),
    ("URL", "http://[fe80::1%25eth0]/", "http://[fe80::1]/"),
    ("URL", "http://[::ffff:192.0.2.1]/", "http://192.0.2.1/"),
    ("URL", "http://example.com/a?u=http://B.example/[x]", "http://example.com/a?u=http://B.example/[x]"),
    ("EmailAddress", "Jane.Doe+x@Example.COM", "jane.doe+x@example.com"),
    ("EmailAddress", "jane@bücher.example", "jane@xn--bcher-kva.example"),
    ("File", MD5, MD5.upper()),
    ("File", SHA256.upper(), SHA256.upper()),
    ("File", f"{SHA256} : {MD5}", f"{MD5} : {SHA256}".upper()),
    ("File", f"{SHA1},{SHA256},{MD5}", f"{MD5} : {SHA1} : {SHA256}".upper()),
    ("File", f"{MD5} : {MD5.upper()}", MD5.upper()),
    ("Mutex", r"Global\Bad : Mutex", r"Global\Bad : Mutex"),
    ("User Agent", "Mozilla/5.0 (X; rv=1)", "Mozilla/5.0 (X; rv=1)"),
    ("Email Subject", "Your INVOICE", "Your INVOICE"),
    ("Hashtag", "#BadGuyOp", "#badguyop"),
    ("Hashtag", "BadGuyOp", "badguyop"),
    ("Registry Key", f"{KEY} : Name : REG_SZ", f"{KEY} : Name : REG_SZ"),
    ("Registry Key", f"{KEY} : Name : reg_dword", f"{KEY} : Name : REG_DWORD"),
    ("Registry Key", KEY, f"{KEY} :   : REG_NONE"),
    ("Registry Key", f"{KEY} :   : REG_SZ", f"{KEY} :   : REG_SZ"),
    ("Registry Key", f"{KEY} :  : REG_SZ", f"{KEY} :   : REG_SZ"),
    ("Registry Key", r"HKLM\Software\Run : Name : REG_SZ", f"{KEY} : Name : REG_SZ"),
    ("Registry Key", r"HKLM:\Software\Run : Name : REG_SZ", f"{KEY} : Name : REG_SZ"),
    ("Registry Key", r"hkcu\X : Y : REG_SZ", r"HKEY_CURRENT_USER\X : Y : REG_SZ"),
    ("Registry Key", r"HKCR\.exe\shell", r"HKEY_CLASSES_ROOT\.exe\shell :   : REG_NONE"),
    ("Registry Key", r"HKU\S-1-5-18\X", r"HKEY_USERS\S-1-5-18\X :   : REG_NONE"),
    ("Registry Key", "HKLM\\\\Software\\\\Run\\", f"{KEY} :   : REG_NONE"),
    ("Registry Key", f"[{KEY}]", f"{KEY} :   : REG_NONE"),
    ("Registry Key", rf"Computer\{KEY}", f"{KEY} :   : REG_NONE"),
    ("Registry Key", r"\REGISTRY\MACHINE\Software\Run", f"{KEY} :   : REG_NONE"),
    ("Registry Key", "HKEY_USERS : my-registry-key : REG_DWORD", "HKEY_USERS : my-registry-key : REG_DWORD"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "summary"), CANONICAL)
def test_canonical_form(kind, value, summary):
    assert canonical(kind, value) == summary
    assert canonical(kind, summary) == summary


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("Address", "192.0.2.256", "bad-address"),
        ("Address", "192.0.2.01", "bad-address"),  # an octet with a leading zero is octal to some readers
        ("Address", "192.0.2", "bad-address"),
        ("Address", "192.0.2.1:80", "bad-address"),
        ("Address", "12:30:45", "bad-address"),
        ("Address", "2001:db8::g", "bad-address"),
        ("CIDR", "192.0.2.0", "bad-cidr"),
        ("CIDR", "192.0.2.0/33", "bad-cidr"),
        ("CIDR", "192.0.2.0/255.255.255.0", "bad-cidr"),
        ("CIDR", "2001:db8::/129", "bad-cidr"),
        ("ASN", "ASN4294967296", "bad-asn"),
        ("ASN", "ASNx", "bad-asn"),
        ("Host", "localhost", "bad-host"),
        ("Host", "192.0.2.1", "bad-host"),
        ("Host", "example.com:80", "bad-host"),
        ("Host", "example.com/path", "bad-host"),
        ("Host", "http://example.com", "bad-host"),
        ("Host", "exa mple.com", "bad-host"),
        ("Host", "-a.example.com", "bad-host"),
        ("Host", "a..example.com", "bad-host"),
        ("Host", f"{'a' * 64}.example", "bad-host"),
        ("Host", ".".join(["abcdefgh"] * 29), "bad-host"),
        ("Host", "xn--\x80.example", "bad-host"),
        ("Host", "xn--a-zzzzzzzzzz.example", "bad-host"),
        ("Host", "xn--a.example", "bad-host"),  # decodes to a control character
        ("Host", "xn--abc-.example", "bad-host"),
        ("Host", "a\u203fb.example", "bad-host"),  # a sign that IDNA has no place for
        ("Host", "i\u2764.example", "bad-host"),
        ("Host", "\u0627a.example", "bad-host"),  # right to left and left to right in one label
        ("URL", "example.com/path", "bad-url"),
        ("URL", "http://", "bad-url"),
        ("URL", "http://exa mple.com/", "bad-url"),
        ("URL", "http://example.com/<unique>", "bad-url"),
        ("URL", "http://example.com:99999/", "bad-url"),
        ("URL", "http://example.com:x/", "bad-url"),
        ("URL", "http://localhost/", "bad-url"),
        ("URL", "http://[2001:db8::x]/", "bad-url"),
        ("URL", "http://a_b_c", "bad-url"),
        ("URL", "http://good.example\\@evil.example/", "bad-url"),  # two hosts, by whom you ask
        ("URL", "http://192.0.2.1.5/", "bad-url"),
        ("URL", "http://0x7f.1/", "bad-url"),
        ("URL", "http://[192.0.2.1/", "bad-url"),
        ("URL", "http://example.com/\u00a0x", "bad-url"),
        ("EmailAddress", "jane", "bad-email"),
        ("EmailAddress", "jane@localhost", "bad-email"),
        ("EmailAddress", "ja ne@example.com", "bad-email"),
        ("EmailAddress", ".jane@example.com", "bad-email"),
        ("EmailAddress", f"{'j' * 65}@example.com", "bad-email"),
        ("File", "abc", "bad-hash"),
        ("File", "z" * 32, "bad-hash"),
        ("File", f"{MD5} : {'0' * 32}", "bad-hash"),
        ("Mutex", "a\nb", "bad-text"),
        ("User Agent", "a\x00b", "bad-text"),
        ("Registry Key", r"Software\Run : Name : REG_SZ", "bad-registry-key"),
        ("Registry Key", f"{KEY} : Name : REG_FOO", "bad-registry-key"),
        ("Registry Key", r"HKEY_LOCAL_MACHINES\X", "bad-registry-key"),
        ("Registry Key", f"{KEY} : a : b : REG_SZ", "bad-registry-key"),
        ("Nonsense", "x", "unknown-type"),
        *((name, "  ", "empty-value") for name in TYPES),
    ],
)
def test_refused(kind, value, code):
    with pytest.raises(InvalidValueError) as caught:
        canonical(kind, value)
    assert caught.value.code == code
    assert caught.value.reason


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("hxxp://example[.]com/a", "http://example.com/a"),
        ("hXXps[:]//example(.)com", "https://example.com"),
        ("hxxps[://]example[.]com", "https://example.com"),
        ("h**p://example.com", "http://example.com"),
        ("http:\\\\example.com", "http://example.com"),
        ("192[.]0[.]2[.]1", "192.0.2.1"),
        ("192.0.2[.1", "192.0.2.1"),
        ("example[dot]com", "example.com"),
        ("example (dot) com", "example.com"),
        ("example{.}com[/]x", "example.com/x"),
        ("jane[@]example[.]com", "jane@example.com"),
        ("jane [at] example [dot] com", "jane@example.com"),
        ("example\\.com", "example.com"),
        ("exam\u00adple.com\u200b", "example.com"),
        ("\ufeffexample.com\u00a0", "example.com"),
        ("<http://example.com/>", "http://example.com/"),
        ("“example.com”", "example.com"),
        ("http://[2001:db8::1]/", "http://[2001:db8::1]/"),
        ("http://example.com/?a[]=1", "http://example.com/?a[]=1"),
        ("dot.example.com", "dot.example.com"),
        ("fxp://example.com", "ftp://example.com"),
        ("fxps[:]//example.com", "ftps://example.com"),
        ("hxxp[s]://example.com", "https://example.com"),
        ("meow://example.com", "http://example.com"),
        ("hxxp:// example.com", "http://example.com"),
        ("example dot com", "example.com"),
        ("jane at example dot com", "jane@example.com"),
        ("jane AT example.com", "jane@example.com"),
        ("jane{at}example{dot}com", "jane@example.com"),
        ("meet me at noon", "meet me at noon"),
        ("2001[:]db8[:][:]1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[example.com]", "example.com"),
        ("a.example\u202etxt.com", "a.exampletxt.com"),
        ("نامه\u200cای.example", "نامه\u200cای.example"),
    ],
)
def test_refang(raw, value):
    assert refang(raw) == value
    assert refang(value) == value


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("192.0.2.1", "Address"),
        ("999.1.1.1", "Address"),
        ("2001:db8::1", "Address"),
        ("192.0.2.0/24", "CIDR"),
        ("2001:db8::/32", "CIDR"),
        ("AS64496", "ASN"),
        ("example.com", "Host"),
        ("bücher.example", "Host"),
        ("http://example.com", "URL"),
        ("jane@example.com", "EmailAddress"),
        (MD5, "File"),
        (f"{SHA1},{SHA256}", "File"),
        (KEY, "Registry Key"),
        (r"HKLM\Software", "Registry Key"),
        ("HKLM", None),
        ("हिन्दी.com", "Host"),
        ("ｅｘａｍｐｌｅ．ｃｏｍ", "Host"),
        ("fe80::1%25eth0.1", "Address"),
        ("invoice.doc", None),
        ("64496", None),
        ("a sentence with example.com in it", None),
        ("#hashtag", None),
        ("", None),
    ],
)
def test_classify_by_shape(value, kind):
    assert classify(value) == kind


def test_file_hashes_by_algorithm():
    found = file_hashes(f"{SHA256.upper()}; {MD5}")
    assert (found.md5, found.sha1, found.sha256) == (MD5, None, SHA256)
    assert found.summary == f"{MD5} : {SHA256}".upper()


def _canonical_or_none(kind, value):
    try:
        return canonical(kind, value)
    except InvalidValueError:
        return None


TEXT = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="abcxyzABC0189.:/@[]()#?&=%-_ \\\t\u00ad\u00fcßİ", max_size=40),
    st.from_regex(r"\A(https?|hxxp)://[A-Za-z0-9.\[\]ü_-]{1,30}(:\d{1,6})?(/[ -~]{0,20})?\Z"),
    st.from_regex(r"\A[A-Za-zßü0-9_-]{1,20}(\.[A-Za-zßü0-9_-]{1,20}){0,3}\.?\Z"),
    st.from_regex(r"\A(xn--[a-z0-9-]{0,20}\.){1,2}example\Z"),
)


@given(st.sampled_from(sorted(TYPES)), TEXT)
def test_canonical_is_idempotent_and_never_crashes(kind, value):
    summary = _canonical_or_none(kind, value)
    if summary is not None:
        assert canonical(kind, summary) == summary


@given(TEXT)
def test_refang_is_idempotent(value):
    assert refang(refang(value)) == refang(value)


@given(st.ip_addresses())
def test_every_spelling_of_an_address_has_one_form(address):
    summary = canonical("Address", str(address))
    assert canonical("Address", address.exploded.upper()) == summary
    assert classify(summary) == "Address"


@given(st.integers(0, 2**128 - 1), st.integers(0, 128))
def test_ipv6_blocks_are_written_in_eight_groups_without_leading_zeros(number, length):
    block = ipaddress.IPv6Network((number, length), strict=False)
    summary = canonical("CIDR", str(block))
    groups, _, prefix = summary.partition("/")
    assert len(groups.split(":")) == 8
    assert all(group == f"{int(group, 16):x}" for group in groups.split(":"))
    assert (ipaddress.IPv6Network(summary), int(prefix)) == (block, length)


@given(st.permutations([MD5, SHA1, SHA256]), st.sampled_from([" : ", ",", ";", "\n", " ", "|"]))
def test_hashes_of_a_file_in_any_order_and_notation(hashes, separator):
    assert canonical("File", separator.join(hashes)) == f"{MD5} : {SHA1} : {SHA256}".upper()
