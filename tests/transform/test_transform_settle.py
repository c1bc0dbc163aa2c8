"""The patterns that settle plain values must say what the exact rules say."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.transform.values.exact import CHANGES, settle_one
from tcetl.transform.values.settle import settle

VALUE = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="abcxyzABC0189.:/@[]()#?&=%-_ \\\tü", max_size=40),
    st.from_regex(r"\A(https?|hxxp|FTP)://[A-Za-z0-9.\[\]ü_-]{1,30}(:\d{1,6})?([/?#][ -~]{0,20})?\Z"),
    st.from_regex(r"\A[A-Za-z0-9_-]{1,20}((\.|\[\.\])[A-Za-z0-9_-]{1,20}){1,3}\Z"),
    st.ip_addresses(v=6).flatmap(lambda ip: st.sampled_from([str(ip), ip.exploded, str(ip).upper()])),
    st.lists(st.sampled_from(["0", "0", "", "1", "ffff", "0db8"]), min_size=2, max_size=9).map(":".join),
    st.from_regex(r"\A\d{1,3}(\.\d{1,3}){3}(:\d{1,6}|/\d{1,3})?\Z"),
    st.from_regex(
        r"\A(hxxps?|HXXP|http)(:|\[:\]|\[://\])//[A-Za-z]{1,8}(\(\.\)|\[dot\]|\{\.\}|\.)[a-z]{2,4}[/:?]?\w{0,5}\Z"
    ),
    st.from_regex(r"\A(hxxp)?[A-Za-z.+]{1,20}(@|\[@\]|\(at\))[A-Z]{1,9}(\.|\[\.\])[A-Za-z]{2,3}\Z"),
    st.from_regex(r"\A([0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})\Z"),
    st.sampled_from(
        [
            "http://xn--a.example/",
            f"http://{'ab.' * 90}example/",
            "\u00a0192.0.2.1",
            "0f" * 32,
            "http://a.example:0/",
            "http://a.example:65536/",
            "a.zip",
            "a.exe",
            "xn--a.example",
            "1.1",
        ]
    ),
)
WORDS = ("ip", "ip:port", "domain", "url", "md5", "sha256", "SHA-1", "hash", "email", "asn", "File", "Host", "filename")
DECLARED = st.sampled_from([None, "mutex", "cidr", *WORDS])


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(VALUE, DECLARED), min_size=1, max_size=20))
def test_vectorised_and_exact_agree(rows):
    frame = pl.DataFrame(rows, schema={"value": pl.String, "declared": pl.String}, orient="row").with_row_index("_row")
    good, bad, changed = settle(frame)
    found = {row["_row"]: (row["type"], row["summary"]) for row in good.to_dicts()}
    refused = {row["_row"]: row["code"] for row in bad.to_dicts()}
    assert found.keys() | refused.keys() == set(range(len(rows)))
    assert not found.keys() & refused.keys()
    for at, (value, declared) in enumerate(rows):
        exact = settle_one(value, declared)
        if exact.type:
            assert found[at] == (exact.type, exact.summary)
        else:
            assert refused[at] == exact.code

    told = {row: [c["change"] for c in changed.to_dicts() if c["_row"] == row] for row in found}
    for at, changes in told.items():
        exact = settle_one(*rows[at])
        assert changes == (exact.changes.split(" ") if exact.changes else [])


@pytest.mark.parametrize(
    ("value", "declared", "changes"),
    [
        ("192.0.2.1:80", None, "port"),
        ("[2001:db8::1]:443", None, "port"),
        ("evil.example:8443", "domain", "port"),
        ("fe80::1%eth0", None, "zone"),
        ("::ffff:192.0.2.1", None, "mapped"),
        ("192.0.2.77/24", None, "host-bits"),
        ("2001:db8::1/32", None, "host-bits"),
        ("192.0.2.0/24", None, None),
        ("Jane <jane@example.com>", None, "name"),
        ("mailto:jane@example.com?subject=x", None, None),
        ("exam\u00adple.com", None, "invisible"),
        ("example.com\u00a0", None, "invisible"),
        ("\u202ehttp://example.com/", None, "invisible"),
        ("evil\u200b.example:80", None, "invisible port"),
        ("Mozilla\u00a0/5.0", "User Agent", "invisible-kept"),
        ("hxxp://Example[.]com/", None, None),
        (r"HKCR\.exe", None, None),
    ],
)
def test_what_a_value_lost_is_told(value, declared, changes):
    settled = settle_one(value, declared)
    assert settled.type
    assert settled.changes == changes
    assert set((changes or "").split()) <= CHANGES.keys()
