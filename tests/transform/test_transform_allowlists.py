"""Allow-lists: how each kind compares, what each action does, and that nothing is lost on the way."""

import ipaddress
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_feeds import FEEDS, needs_feeds

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.transform import Normalised, allow_list, normalise, screen
from tcetl.transform.screening.allowlists import AllowList, Rule
from tcetl.transform.screening.hosting import SERVICES
from tcetl.transform.screening.screen import listed

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
VALUES = [
    "10.1.2.3",
    "198.51.100.7",
    "2001:db8::1",
    "10.0.0.0/16",
    "8.0.0.0/5",
    "www.example.com",
    "example.com",
    "notexample.com",
    "cdn.example.net",
    "https://www.example.com/malware.exe",
    "http://10.1.2.3/shell.sh",
    "http://[2001:db8::5]:8080/a",
    "https://example.org/Path",
    "abuse@isp.example",
    "user@isp.example",
    MD5,
]


def normalised(tmp_path: Path, values: list[str] = VALUES) -> Normalised:
    path = tmp_path / "feed.txt"
    path.write_text("\n".join(values) + "\n")
    return normalise(open_feed(path, format="list"), owner="Mine")


def misp(tmp_path: Path, kind: str, attributes: list[str], entries: list[str]) -> Path:
    path = tmp_path / "list.json"
    document = {"name": "Known", "type": kind, "matching_attributes": attributes, "list": entries, "version": 1}
    path.write_text(json.dumps(document))
    return path


def on(result: Normalised, allowed: AllowList) -> set[str]:
    marked = listed(result.indicators, allowed).to_list()
    return {one for one, mark in zip(result.indicators["summary"].to_pylist(), marked, strict=True) if mark}


@pytest.mark.parametrize(
    ("kind", "attributes", "entries", "expected"),
    [
        ("cidr", ["ip-src"], ["10.0.0.0/8", "2001:DB8::/32"], {"10.1.2.3", "2001:db8::1", "10.0.0.0/16"}),
        ("cidr", ["ip-dst|port"], ["198.51.100.7"], {"198.51.100.7"}),
        ("string", ["domain", "url"], ["example.com"], {"example.com"}),
        ("string", ["domain"], [".example.com"], {"example.com", "www.example.com"}),
        ("hostname", ["hostname", "url"], ["Example.com"], {"example.com", "www.example.com"}),
        ("hostname", ["url"], ["example.com"], set()),
        ("string", ["url"], ["https://example.org/Path"], {"https://example.org/Path"}),
        ("string", ["url"], ["https://example.org/path"], set()),
        ("substring", ["url"], ["MALWARE"], {"https://www.example.com/malware.exe"}),
        ("regex", ["email-src"], [r"/^(noc|abuse)\@.*\..*$/i"], {"abuse@isp.example"}),
        ("string", ["md5", "filename|sha256"], [MD5], {MD5.upper()}),
    ],
)
def test_each_kind_compares_as_misp_says(
    tmp_path: Path, *, kind: str, attributes: list[str], entries: list[str], expected: set[str]
) -> None:
    assert on(normalised(tmp_path), allow_list(misp(tmp_path, kind, attributes, entries))) == expected


def test_a_popular_host_says_nothing_of_the_urls_on_it_unless_told_to(tmp_path: Path) -> None:
    path = misp(tmp_path, "hostname", ["hostname", "url"], ["example.com"])
    assert on(normalised(tmp_path), allow_list(path, urls_by_host=True)) == {
        "example.com",
        "www.example.com",
        "https://www.example.com/malware.exe",
    }


TENANTS = [
    "evil.github.io", "www.evil.github.io", "github.io", "www.github.io", "notgithub.io", "https://github.io/x",
    "https://evil.github.io/x", "bucket.s3.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com",
]  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "urls", "expected"),
    [
        (["github.io"], False, {"github.io", "www.github.io"}),
        (["io"], False, {"github.io", "www.github.io", "notgithub.io"}),
        (["evil.github.io"], False, {"evil.github.io", "www.evil.github.io"}),
        (["amazonaws.com"], False, {"sts.eu-west-1.amazonaws.com"}),
        (["github.io"], True, {"github.io", "www.github.io", "https://github.io/x"}),
        (["evil.github.io"], True, {"evil.github.io", "www.evil.github.io", "https://evil.github.io/x"}),
    ],
)
def test_a_hosting_service_says_nothing_of_its_tenants(
    tmp_path: Path, *, entries: list[str], urls: bool, expected: set[str]
) -> None:
    result = normalised(tmp_path, TENANTS)
    path = misp(tmp_path, "hostname", ["hostname", "url"], entries)
    assert on(result, allow_list(path, urls_by_host=urls)) == expected
    if not urls:
        dotted = misp(tmp_path, "string", ["hostname"], [*entries, *(f".{entry}" for entry in entries)])
        assert on(result, allow_list(dotted)) == expected


def test_hosting_services_are_declared_once_and_as_names() -> None:
    assert len(set(SERVICES)) == len(SERVICES)
    assert all(name == name.lower().strip(".") and name.count(".") for name in SERVICES)


def test_reserved_addresses_are_known_and_urls_on_them_too(tmp_path: Path) -> None:
    assert on(normalised(tmp_path), allow_list("reserved")) == {
        "10.1.2.3",
        "198.51.100.7",
        "2001:db8::1",
        "10.0.0.0/16",
        "http://10.1.2.3/shell.sh",
        "http://[2001:db8::5]:8080/a",
    }


def test_a_text_file_says_by_its_entries_how_they_compare(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(f"# ours\n*.example.com  # and below\n10.0.0.0/8\n{MD5}\nhttps://example.org/Path\n\n")
    assert on(normalised(tmp_path), allow_list(path)) == {
        "example.com",
        "www.example.com",
        "10.1.2.3",
        "10.0.0.0/16",
        MD5.upper(),
        "https://example.org/Path",
    }


def test_what_is_dropped_is_a_reject_with_its_place_and_the_counts_hold(tmp_path: Path) -> None:
    before = normalised(tmp_path, [*VALUES, "10.1.2.3"])
    after = screen(before, [allow_list("reserved")])
    rejects = [row for row in after.rejects.to_pylist() if row["code"] == "allow-listed"]
    assert {row["raw"] for row in rejects} == set(VALUES) & {row["raw"] for row in rejects}
    assert [row["row"] for row in sorted(rejects, key=lambda row: row["row"])] == [1, 2, 3, 4, 11, 12]
    assert all("reserved" in row["reason"] and row["severity"] == "info" for row in rejects)
    assert after.counts.rejected == {"allow-listed": 6}
    assert after.counts.duplicates == 1
    assert after.indicators.num_rows == sum(after.counts.indicators.values()) == before.indicators.num_rows - 6


def test_tagging_and_reporting_keep_the_indicator_and_say_so(tmp_path: Path) -> None:
    before = normalised(tmp_path)
    tagged = screen(before, [allow_list("reserved", "tag")])
    tags = dict(zip(tagged.indicators["summary"].to_pylist(), tagged.indicators["tags"].to_pylist(), strict=True))
    assert tags["10.1.2.3"] == [{"name": "allow-list: reserved", "web_link": None}]
    assert tags["example.com"] == []
    assert tagged.counts == before.counts
    assert tagged.indicators.schema == before.indicators.schema

    reported = screen(before, [allow_list("reserved", "report")])
    assert reported.indicators.equals(before.indicators)
    assert any("6 indicators are on the allow-list 'reserved'" in note for note in reported.notes)


def test_what_one_list_drops_another_does_not_tag(tmp_path: Path) -> None:
    after = screen(normalised(tmp_path), [allow_list("reserved", "tag"), allow_list("reserved")])
    assert after.counts.rejected == {"allow-listed": 6}
    assert not any("tagged" in note for note in after.notes)


@pytest.mark.parametrize(
    ("kind", "entries", "says"),
    [
        ("cidr", ["10.0.0.0/99"], "10.0.0.0/99"),
        ("regex", ["/(/i"], "/(/i"),
        ("fuzzy", ["x"], "fuzzy"),
        ("string", [], "no entries"),
    ],
)
def test_a_list_that_is_none_is_refused_by_its_entry(tmp_path: Path, kind: str, entries: list[str], says: str) -> None:
    with pytest.raises(FeedError) as caught:
        allow_list(misp(tmp_path, kind, ["domain"], entries))
    assert says in str(caught.value)


def test_missing_files_and_unknown_actions_are_named(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="does not exist"):
        allow_list(tmp_path / "none.json")
    with pytest.raises(FeedError, match="keep"):
        allow_list("reserved", "keep")
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(FeedError, match="warninglist"):
        allow_list(tmp_path / "other.json")


def test_an_expression_that_could_take_for_ever_is_refused(tmp_path: Path) -> None:
    allowed = allow_list(misp(tmp_path, "regex", ["domain"], [r"/(?=a)b/"]))
    with pytest.raises(FeedError, match="look-around"):
        screen(normalised(tmp_path), [allowed])


NETWORKS = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 32)).map(
        lambda pair: str(ipaddress.ip_network(pair, strict=False))
    ),
    min_size=1,
    max_size=8,
)


@given(networks=NETWORKS, addresses=st.lists(st.ip_addresses(v=4).map(str), min_size=1, max_size=20, unique=True))
def test_networks_hold_just_what_ipaddress_says(
    tmp_path_factory: pytest.TempPathFactory, networks: list[str], addresses: list[str]
) -> None:
    ends = [str(ipaddress.ip_network(network)[at]) for network in networks for at in (0, -1)]
    result = normalised(tmp_path_factory.mktemp("feed"), [*addresses, *ends])
    rule = Rule("cidr", frozenset({"Address"}), frozenset(networks))
    expected = {
        one
        for one in {*addresses, *ends}
        if any(ipaddress.ip_address(one) in ipaddress.ip_network(network) for network in networks)
    }
    assert on(result, AllowList("x", [rule])) == expected


@needs_feeds
@pytest.mark.parametrize("path", sorted((FEEDS / "warninglists").glob("*.json")), ids=lambda path: path.stem)
def test_every_real_warninglist_is_read_and_holds_its_own_entries(tmp_path: Path, path: Path) -> None:
    allowed = allow_list(path)
    entries = json.loads(path.read_text())["list"]
    assert sum(len(rule.entries) for rule in allowed.rules) == len({entry.strip() for entry in entries})
    if allowed.rules[0].kind in ("regex", "substring") or path.stem == "tlds":
        return
    result = normalised(tmp_path, [entry.removeprefix(".") for entry in entries][:2000])
    fitting = result.indicators.filter(
        pc.is_in(result.indicators["type"], value_set=pa.array(sorted(allowed.rules[0].types)))
    )
    assert fitting.num_rows
    assert len(on(result, allowed)) == fitting.num_rows
