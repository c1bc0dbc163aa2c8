"""STIX patterns: both ways to parse agree, and every shape of condition has its rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.feeds.standards.condition import Comparison, Group, TooLargeError
from tcetl.feeds.standards.finding import Finding
from tcetl.feeds.standards.stix_pattern import PatternError, findings, parse, parse_fully, parse_plain

MD5, MD5_2 = "d41d8cd98f00b204e9800998ecf8427e", "0" * 31 + "1"
SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

LITERALS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(
    lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
)
BLANKS = st.sampled_from(["", " ", "\t", "\r\n ", "  "])
PATHS = st.sampled_from(
    ["domain-name:value", "file:hashes.MD5", "file:hashes.'SHA-256'", "ipv4-addr:value", "x-a-1:b_c", "file:name",
     "network-traffic:dst_ref.value", "windows-registry-key:values[*].name", "true:value", "file:size", "a:true"]
)  # fmt: skip


@st.composite
def comparisons(draw):
    blank = lambda: draw(BLANKS)  # noqa: E731
    operator = draw(st.sampled_from(["=", "=", "=", "!=", "LIKE", "IN"]))
    literal = draw(LITERALS)
    literal = f"({literal},{blank()}{literal})" if operator == "IN" else literal
    around = " " if operator.isalpha() else ""
    return f"{draw(PATHS)}{blank()}{around}{operator}{around}{blank()}{literal}"


@st.composite
def patterns(draw):
    operator = draw(st.sampled_from([" OR ", " AND ", "\tOR\n", "OR ", " ANDx ", " OR"]))
    parts = draw(st.lists(comparisons(), min_size=1, max_size=4))
    wrap = draw(st.sampled_from(["[{}]", " [ {} ] ", "[({})]", "[{}", "[{}] OR [{}]"]))
    joined = operator.join(parts)
    return wrap.replace("{}", joined)


@settings(max_examples=300, deadline=None)
@given(patterns())
def test_what_is_parsed_directly_is_what_the_standards_parser_says(pattern):
    plain = parse_plain(pattern)
    if plain is None:
        return
    assert plain == parse_fully(pattern)


def test_usual_patterns_are_parsed_directly():
    for pattern in (
        "[domain-name:value='a.example']",
        f"[file:hashes.'SHA-256' = '{SHA256}']",
        f"[file:hashes.MD5 = '{MD5}' OR file:hashes.MD5 = '{MD5_2}']",
        r"[mutex:name = 'it\'s \\ here']",
        "[network-traffic:dst_ref.value = '192.0.2.1']",
    ):
        assert parse_plain(pattern) == parse_fully(pattern) is not None


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[domain-name:value = 'a.example']", [("Host", "a.example")]),
        ("[ipv4-addr:value = '192.0.2.0/24']", [("CIDR", "192.0.2.0/24")]),
        ("[ipv6-addr:value ISSUBSET '2001:db8::/32']", [("CIDR", "2001:db8::/32")]),
        ("[autonomous-system:number = 64496]", [("ASN", "64496")]),
        ("[network-traffic:dst_ref.value = 'a.example' AND network-traffic:dst_port = 443]", [("", "a.example")]),
        ("[url:value IN ('http://a.example/', 'http://b.example/')]", [("URL", "http://a.example/"),
                                                                     ("URL", "http://b.example/")]),
        ("[url:value LIKE 'http://a.example/']", [("URL", "http://a.example/")]),
        ("[a:b = 'x'] OR [mutex:name = 'm'] FOLLOWEDBY [mutex:name = 'n'] WITHIN 5 SECONDS",
         [("Mutex", "n"), ("Mutex", "m")]),  # FOLLOWEDBY binds least
        (f"[file:hashes.md5 = '{MD5}' AND file:hashes.'SHA-1' = '{SHA1}' AND file:hashes.SHA256 = '{SHA256}']",
         [("File", f"{MD5} : {SHA1} : {SHA256}")]),
        (f"[file:hashes.'SHA-256' = '{SHA256}' AND file:hashes.MD5 = '{MD5}' AND file:name = 'a.exe']",
         [("File", f"{MD5} : {SHA256}")]),
        (f"[file:hashes.MD5 = '{MD5}'] AND [file:hashes.'SHA-1' = '{SHA1}']", [("md5", MD5), ("sha1", SHA1)]),
        (f"[file:hashes.MD5 = '{MD5}' AND file:hashes.MD5 = '{MD5_2}']", [("md5", MD5), ("md5", MD5_2)]),
        (f"[(file:hashes.MD5 = '{MD5}' OR file:hashes.MD5 = '{MD5_2}') AND (file:size = 1 OR file:size = 2)]",
         [("md5", MD5), ("md5", MD5_2)]),
        ("[email-message:subject = 'invoice' AND email-message:from_ref.value = 'a@b.example']",
         [("EmailAddress", "a@b.example")]),
        ("[email-message:subject = 'invoice']", [("Email Subject", "invoice")]),
        (("[windows-registry-key:key = 'HKLM\\\\a' AND windows-registry-key:values[*].name = 'n'"
          " AND windows-registry-key:values[*].data_type = 'REG_SZ']"), [("Registry Key", r"HKLM\a : n : REG_SZ")]),
        ("[windows-registry-key:key = 'HKLM\\\\a' AND windows-registry-key:values[*].data = 'd']",
         [("Registry Key", r"HKLM\a")]),
        ("[domain-name:value = 'a.example' AND NOT]", ["bad-pattern"]),
        ("", ["bad-pattern"]),
        ("domain-name:value = 'a.example'", ["bad-pattern"]),
        ("[url:value LIKE '%a.example%']", ["no-single-value"]),
        ("[domain-name:value MATCHES '^a']", ["no-single-value"]),
        ("[mutex:name != 'm']", ["negated-value"]),
        ("[mutex:name NOT = 'm' OR mutex:name NOT != 'n']", ["negated-value", ("Mutex", "n")]),
        ("[mutex:name NOT IN ('m', 'n')]", ["negated-value"]),
        ("[EXISTS file:name]", ["unsupported-type"]),
        ("[file:hashes.'SHA-512' = 'ab']", ["unsupported-type"]),
        ("[file:hashes.ssdeep = 'ab' AND file:size > 4 AND file:name = 'n']", ["unsupported-type"]),
        ("[x509-certificate:hashes.'SHA-1' = 'ab']", ["unsupported-type"]),
        ("[" + "(" * 2000 + "file:name = 'a'" + ")" * 2000 + "]", ["pattern-too-large"]),
        ("[file:name = '" + "a" * 300_000 + "' AND file:size = 3]", ["pattern-too-large"]),
    ],
)  # fmt: skip
def test_what_a_pattern_says_to_look_for(pattern, expected):
    found = [(one.type, one.value) if isinstance(one, Finding) else one.code for one in findings(pattern)]
    assert found == expected


def test_what_else_must_hold_is_described():
    def said(pattern):
        return {one.value: one.description for one in findings(pattern)}

    port, size, name = "network-traffic:dst_port = 443", "file:size = 1 OR file:size = 2", "file:name = 'a'"
    assert said("[domain-name:value = 'a.example']") == {"a.example": ""}
    assert said(f"[domain-name:value = 'a.example' AND {port}]") == {"a.example": f"Together with: {port}"}
    assert said(f"[file:hashes.MD5 = '{MD5}' AND file:hashes.'SHA-1' = '{SHA1}' AND ({size}) AND {name}]") == {
        f"{MD5} : {SHA1}": f"Together with: ({size}) AND {name}"
    }
    either = "(mutex:name = 'm' OR mutex:name = 'n')"
    assert said(f"[{either} AND domain-name:value = 'a.example']") == {
        "m": "Together with: domain-name:value = 'a.example'",
        "n": "Together with: domain-name:value = 'a.example'",
        "a.example": f"Together with: {either}",
    }


def test_long_chains_are_read_and_large_products_refused():
    names = " OR ".join(f"domain-name:value = 'h{n}.example'" for n in range(1000))
    assert len(list(findings(f"[({names})]"))) == 1000
    [refused] = findings(f"[({names}) AND ({names.replace('domain-name', 'url')})]")
    assert (refused.code, refused.severity) == ("pattern-too-large", "error")


def test_trees_and_their_errors():
    assert parse("[file:size > 4 AND file:name = 'a']") == Group(
        "AND",
        (
            Comparison("file:size", None, ">", "4", "file:size > 4"),
            Comparison("file:name", None, "=", "a", "file:name = 'a'"),
        ),
        "file:size > 4 AND file:name = 'a'",
    )
    with pytest.raises(PatternError, match="1:1"):
        parse("[]")
    with pytest.raises(TooLargeError):
        parse_fully(" " * 300_000)
