"""Real published feeds, where the folder that holds them is present: docs/feeds-checked.md is true of them."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from shared_feeds import FEEDS, needs_feeds

from tcetl.errors import FeedError
from tcetl.feeds import open_feed, stated_records
from tcetl.transform import normalise

CHECKED = Path(__file__).parents[2] / "docs" / "feeds-checked.md"
RECOMPUTED = 6  # columns; what follows was written by who looked at the rejects
pytestmark = needs_feeds


def table():
    """The rows of docs/feeds-checked.md by file: the cells that are recomputed."""
    lines = [line for line in CHECKED.read_text().splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip("`"): row[:RECOMPUTED] for row in rows}


def counted(counts):
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"


@pytest.mark.parametrize("name", table())
def test_what_the_table_says_of_a_feed_is_so(name):
    feed = open_feed(FEEDS / name.removesuffix("/"))
    result = normalise(feed, owner="O")
    counts = result.counts
    further = f" + {result.further:,}" if result.further else ""
    found = [
        f"`{name}`",
        feed.format,
        f"{counts.rows_read - result.further:,}{further}",
        counted(counts.indicators),
        f"{counts.duplicates:,}",
        counted(counts.rejected),
    ]
    assert found == table()[name], f"the row should begin with\n| {' | '.join(found)} |"
    stages = Counter(result.rejects["stage"].to_pylist())
    assert stages["duplicate"] == counts.duplicates
    assert stages.total() - stages["duplicate"] == sum(counts.rejected.values())
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
        ("cisa-kev.json", "no column of .* holds indicators"),
        ("sslbl.csv", "are of TLS certificates"),
        ("misp-feed/manifest.json", "no column of .* holds indicators"),
        ("warninglists/google.json", "known to be no threat"),
        ("warninglists/public-dns-v4.json", "known to be no threat"),
        ("misp-feed/hashes.csv", "hashes are of values, not of files"),
    ],
)
def test_what_holds_no_indicators_says_so(name, found):
    with pytest.raises(FeedError, match=found):
        normalise(open_feed(FEEDS / name), owner="O")


def test_no_file_is_left_out():
    named = {name.rstrip("/") for name in table()} | {"cisa-kev.json", "sslbl.csv", "warninglists", "SOURCES.md"}
    assert {path.name for path in FEEDS.iterdir()} <= named


@pytest.mark.parametrize(
    ("name", "stated"), [("cisa-kev.json", 1404), ("feodotracker.csv", 28), ("tweetfeed-hosts.txt", 4875)]
)
def test_feeds_have_as_many_records_as_they_say(name, stated):
    feed = open_feed(FEEDS / name)
    assert sum(batch.rows_read for batch in feed.batches()) == stated
    assert stated_records(feed.comments) == stated


def test_a_feed_that_was_cut_says_how_many_records_it_should_have():
    feed = open_feed(FEEDS / "threatfox.csv")
    assert sum(batch.rows_read for batch in feed.batches()) == 6
    assert stated_records(feed.comments) == 1_217_668


def test_warning_lists_are_read_as_lists():
    for path in (FEEDS / "warninglists").glob("*.json"):
        values = [value for batch in open_feed(path, records="/list").batches() for value in batch.frame["value"]]
        assert values == json.loads(path.read_text())["list"]
