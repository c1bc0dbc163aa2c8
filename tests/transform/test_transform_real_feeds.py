"""Real published feeds, where the folder that holds them is present: every record accounted for."""

import csv
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.transform import normalise

SHARED = Path(os.environ.get("TCETL_SHARED", Path(__file__).parents[3] / "shared"))
FEEDS = SHARED / "feeds"
pytestmark = pytest.mark.skipif(not FEEDS.is_dir(), reason="the folder of real feeds is not here")

# Records as the publisher's format counts them, indicators by type, rejects by code; the rest are duplicates.
EXPECTED = {
    "blackberry-ta575.csv": (
        1687,
        {"Address": 64, "EmailAddress": 1, "File": 508, "Host": 924, "URL": 83, "User Agent": 1},
        {"type-mismatch": 3, "unsupported-type": 49},
    ),
    "feodotracker.csv": (28, {"Address": 28}, {}),
    "ipsum.txt": (20000, {"Address": 20000}, {}),
    "maltrail-generic.txt": (
        14370,
        {"Address": 1135, "Host": 7562, "URL": 4643},
        {"no-scheme": 258, "not-an-indicator": 346},
    ),
    "maltrail-mass_scanner.txt": (10461, {"Address": 10455}, {}),
    "mstic-nobelium.csv": (127, {"Address": 7, "File": 70, "Host": 40}, {"bad-url": 1}),
    "sekoia-doppelganger.csv": (590, {"Address": 5, "Host": 585}, {}),
    "signature-base-hashes.txt": (3224, {"File": 3053}, {}),
    "sslbl.csv": (5565, {"File": 5565}, {}),
    "threatfox.csv": (6, {"Address": 4, "URL": 1}, {"ragged-row": 1}),
    "tweetfeed-hosts.txt": (4875, {"Host": 4873}, {"bad-host": 2}),
    "tweetfeed.csv": (
        4683,
        {"Address": 954, "File": 733, "Host": 971, "URL": 1926},
        {"bad-address": 5, "bad-hash": 3, "empty-value": 1, "not-an-indicator": 1},
    ),
    "unit42-bitter.csv": (85, {"File": 85}, {}),
    "unit42-dearjoohn.csv": (9, {"File": 9}, {}),
    "unit42-silverterrier.csv": (18623, {"Host": 18590}, {"type-mismatch": 6}),
    "urlhaus.csv": (6000, {"URL": 6000}, {}),
    "volexity-xegroup.csv": (144, {"Address": 8, "File": 52, "Host": 84}, {}),
    "x4bnet-datacenter-asn.txt": (906, {"ASN": 892}, {}),
    "x4bnet-vpn-ipv4.txt": (10862, {"CIDR": 10862}, {}),
    "x4bnet-vpn-ipv6.txt": (498, {"CIDR": 498}, {}),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_record_is_accounted_for(name):
    records, indicators, rejected = EXPECTED[name]
    result = normalise(open_feed(FEEDS / name), owner="O")
    assert result.counts.rows_read == records
    assert result.counts.indicators == indicators
    assert result.counts.rejected == rejected
    assert result.counts.duplicates == records - sum(indicators.values()) - sum(rejected.values())
    stages = Counter(result.rejects["stage"].to_pylist())
    assert stages["duplicate"] == result.counts.duplicates
    assert all(result.rejects["reason"].to_pylist())


def test_urlhaus_by_an_independent_count():
    path = FEEDS / "urlhaus.csv"
    with path.open(newline="") as stream:
        reader = csv.DictReader(stream)
        expected = {row["url"]: (reader.line_num, set(filter(None, row["tags"].split(",")))) for row in reader}
    indicators = normalise(open_feed(path), owner="O").indicators.to_pylist()
    assert len(indicators) == len(expected) == 6000
    for one in indicators:
        line, tags = expected[one["origin"]["raw"]]
        assert (one["type"], one["origin"]["row"]) == ("URL", line)
        assert one["summary"].lower() == one["origin"]["raw"].lower()
        assert {tag["name"] for tag in one["tags"]} == {tag.strip() for tag in tags} - {"None"}
        assert one["first_seen"] <= one["last_seen"]


def test_lists_by_an_independent_count():
    lines = (FEEDS / "maltrail-mass_scanner.txt").read_text().splitlines()
    wanted = {line.split("#")[0].strip().lower() for line in lines} - {""}
    got = normalise(open_feed(FEEDS / "maltrail-mass_scanner.txt"), owner="O").indicators["summary"].to_pylist()
    assert len(got) == len(wanted)
    hashes = {
        found[1].upper()
        for line in (FEEDS / "signature-base-hashes.txt").read_text().splitlines()
        if (found := re.match(r"([0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64});", line))
    }
    got = normalise(open_feed(FEEDS / "signature-base-hashes.txt"), owner="O").indicators["summary"].to_pylist()
    assert set(got) == hashes


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("cisa-kev.json", "JSON"),
        ("amnesty-pegasus.stix2", "JSON"),
        ("eset-windigo.ioc", "XML"),
        ("uscert-mifr.stix1.xml", "XML"),
        ("unit42-ta551.txt", "no line of .* is an indicator"),
        ("misp-feed", "holds 4 files and is no feed"),
    ],
)
def test_what_is_neither_table_nor_list_says_so(name, found):
    with pytest.raises(FeedError, match=found):
        normalise(open_feed(FEEDS / name), owner="O")
