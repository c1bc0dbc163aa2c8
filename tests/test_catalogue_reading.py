"""Declared feeds, from their address to what is loaded: drift, allow-lists, scores, groups, and what is remembered."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from shared_feeds import FEEDS, needs_feeds
from upath import UPath

from tcetl.catalogue import DriftError, FeedDefinition, find, read, read_definition, resolve
from tcetl.errors import EmptyFeedError, FeedError, NothingNewError
from tcetl.feeds import Fetching
from tcetl.feeds.sources import FetchState
from tcetl.pipeline import commit_fetched, plan_feed

NOW = datetime(2026, 3, 31, tzinfo=UTC)
CSV = """# Number of entries: {count}
url,labels,severity,seen
http://a.example.com/x,"c2, Ransomware",HIGH,2026-03-01 00:00:00
http://10.0.0.1/y,c2,low,2026-03-30 00:00:00
http://b.example.com/z,,medium,
"""
DEFINITION = """
title = "Mine"
provider = "Me"
homepage = "https://example.com"
licence = "CC0-1.0"
url = "{url}"
every = "1h"
format = "csv"

[columns]
value = "url"
tags = "labels"
confidence = "severity"
last_seen = "seen"

[words.severity]
high = "90"
low = "20"

[defaults]
confidence = 50
rating = 2
tags = ["mine"]

[[allow]]
list = "reserved"

[[allow]]
list = "ours.txt"
action = "tag"
urls_by_host = true

[[scores]]
tag = "ransomware"
rating = 5

[decay]
half_life = "30d"

[expect]
rows = [1, 100]
columns = ["url", "labels", "severity", "seen"]
"""


def declared(tmp_path: Path, csv: str = CSV.format(count=3), text: str = DEFINITION, url: str = "") -> FeedDefinition:
    (tmp_path / "feed.csv").write_text(csv)
    (tmp_path / "ours.txt").write_text("b.example.com\n")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("{url}", url or str(tmp_path / "feed.csv")))
    return read_definition(path)


def test_a_declared_feed_is_reworded_screened_and_scored(tmp_path: Path) -> None:
    reading = read(declared(tmp_path), owner="O", now=NOW)
    rows = {row["summary"]: row for row in reading.indicators.to_pylist()}
    assert rows.keys() == {"http://a.example.com/x", "http://b.example.com/z"}
    first, second = rows["http://a.example.com/x"], rows["http://b.example.com/z"]
    assert (first["rating"], first["confidence"]) == (5, 45)  # 90, a month ago
    assert (second["rating"], second["confidence"]) == (2, 50)  # a word that nobody translated: the default
    assert {tag["name"] for tag in second["tags"]} == {"mine", "allow-list: ours"}
    assert first["origin"]["source"] == "mine"
    assert reading.counts["rows_read"] == 3
    assert reading.counts["rejected"] == {"allow-listed": 1}
    assert reading.alarms == []


def test_a_footer_that_does_not_match_loads_nothing(tmp_path: Path) -> None:
    with pytest.raises(DriftError, match="says that it has 4 rows, and has 3"):
        read(declared(tmp_path, CSV.format(count=4)), owner="O")


def test_a_missing_key_column_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(DriftError, match="column 'labels' is gone"):
        read(declared(tmp_path, CSV.format(count=3).replace("labels", "tags")), owner="O")


def test_a_warning_goes_along_with_what_was_read(tmp_path: Path) -> None:
    reading = read(declared(tmp_path, text=DEFINITION.replace('"seen"]', '"x"]')), owner="O")
    assert [(alarm.kind, alarm.reaction) for alarm in reading.alarms] == [("new_column", "warn")]


def test_a_feed_of_which_nothing_is_usable_loads_nothing_and_is_fetched_again(tmp_path: Path) -> None:
    wrong = "url,labels,severity,seen\nnothing,c2,low,\nnothing at all,c2,low,\n"
    with pytest.raises(DriftError, match=r"mine has drifted: .*2 rows are refused, such as row 2: 'nothing' is no"):
        plan_feed(declared(tmp_path, wrong), "O", tmp_path / "run", state=tmp_path / "feeds.state")
    assert not (tmp_path / "feeds.state").exists()
    assert not (tmp_path / "run").exists()
    with pytest.raises(DriftError, match=r"feed\.csv is not usable: .*2 rows"):
        plan_feed(tmp_path / "feed.csv", "O", tmp_path / "run", columns={"value": "url"})

    warned = read(declared(tmp_path, wrong, DEFINITION + '[alarms]\nnothing_usable = "warn"\n'), owner="O")
    assert [alarm.kind for alarm in warned.alarms] == ["nothing_usable"]
    assert warned.rejects.num_rows == 2
    ours = "url,labels,severity,seen\nhttp://10.0.0.1/y,c2,low,\nnothing,c2,low,\n"
    assert read(declared(tmp_path, ours), owner="O").alarms == []  # usable, but on an allow-list


@pytest.mark.parametrize("body", ["<!DOCTYPE html><html><body>Sign in</body></html>", "", "   \n"])
def test_a_login_page_or_an_empty_body_is_no_feed(tmp_path: Path, body: str) -> None:
    with pytest.raises(FeedError):
        read(declared(tmp_path, body), owner="O")


def test_an_empty_feed_is_right_only_where_that_is_expected(tmp_path: Path) -> None:
    empty = "url,labels,severity,seen\n"
    with pytest.raises(EmptyFeedError):
        read(declared(tmp_path, empty), owner="O")
    reading = read(declared(tmp_path, empty, DEFINITION.replace("rows = [1,", "rows = [0,")), owner="O")
    assert reading.counts["rows_read"] == reading.indicators.num_rows == 0


def test_a_missing_key_says_where_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ABUSE_CH_AUTH_KEY", raising=False)
    with pytest.raises(FeedError, match=r"ABUSE_CH_AUTH_KEY.*auth\.abuse\.ch"):
        read(find("urlhaus-recent"), owner="O")


def test_what_a_user_names_is_a_feed_of_ours_a_definition_or_a_path(tmp_path: Path) -> None:
    assert resolve("cisa-kev").group["type"] == "Vulnerability"
    assert resolve("feeds/list.csv", "csv").url == "feeds/list.csv"
    with pytest.raises(FeedError, match="says its format itself"):
        resolve("cisa-kev", "json")


def test_a_network_is_made_of_its_columns(tmp_path: Path) -> None:
    table = "# DShield\nStart\tEnd\tNetmask\tAttacks\tName\tCountry\temail\n"
    rows = "".join(f"192.0.{n}.0\t192.0.{n}.255\t24\t9\tX\tZZ\ta@example.com\n" for n in range(2, 8))
    (tmp_path / "block.txt").write_text(table + rows)
    feed = msgspec.structs.replace(find("dshield-block"), url=str(tmp_path / "block.txt"))
    reading = read(feed, owner="O")
    assert reading.indicators["summary"].to_pylist() == [f"192.0.{n}.0/24" for n in range(2, 8)]
    assert reading.alarms == []
    (tmp_path / "block.txt").write_text(table.replace("Netmask", "Mask") + rows)
    with pytest.raises(DriftError, match="'Netmask' is gone"):
        read(feed, owner="O")


A, C = "a1" * 16 + "0f" * 16, "c2" * 16 + "0f" * 16


def test_further_indicators_of_a_row_are_rows_of_their_own(tmp_path: Path) -> None:
    text = (
        'url = "{url}"\ntitle="x"\nprovider="x"\nhomepage="x"\nlicence="x"\nevery="1d"\nformat="csv"\n'
        '[columns]\nvalue = "SHA256"\nhashes = ["MD5"]\ndescription = "Note"\nalso = ["C2 Server"]\n'
        "[expect]\nrows = [1, 2]\n"
    )
    csv = f'SHA256,MD5,C2 Server,Note\n{A},{"b" * 32},"a[.]example, b[.]example",first\n{C},,,second\n'
    reading = read(declared(tmp_path, csv, text), owner="O")
    rows = {row["summary"]: row for row in reading.indicators.to_pylist()}
    assert rows.keys() == {f"{'B' * 32} : {A.upper()}", C.upper(), "a.example", "b.example"}
    assert (rows["b.example"]["type"], rows["b.example"]["description"]) == ("Host", "first")
    assert rows["b.example"]["origin"]["row"] == 2
    assert (reading.counts["rows_read"], reading.further, reading.rows) == (4, 2, 2)
    assert (reading.alarms, reading.unused) == ([], [])
    assert reading.remarks == ["2 of the rows read are further indicators of others"]


def test_columns_of_one_load_stand_over_those_that_are_declared(tmp_path: Path) -> None:
    csv = CSV.format(count=3).replace("labels", "tagged")  # renamed overnight
    feed = declared(tmp_path, csv)
    with pytest.raises(DriftError, match="'labels' is gone"):
        read(feed, owner="O")
    reading = read(feed, owner="O", columns={"tags": "tagged"}, now=NOW)
    assert {tag["name"] for row in reading.indicators.to_pylist() for tag in row["tags"]} >= {"c2", "Ransomware"}
    assert [alarm.message for alarm in reading.alarms] == ["column 'tagged' is new"]


def test_further_columns_of_a_type_are_declared_by_a_table(tmp_path: Path) -> None:
    text = DEFINITION.replace('last_seen = "seen"', 'last_seen = "seen"\n\n[columns.also]\nlabels = "Hashtag"')
    reading = read(declared(tmp_path, text=text.replace('tags = "labels"', "")), owner="O")
    found = [row["summary"] for row in reading.indicators.to_pylist() if row["type"] == "Hashtag"]
    assert (found, reading.further) == (["c2", "ransomware"], 3)


KEV = {
    "title": "Known exploited",
    "count": 2,
    "vulnerabilities": [
        {
            "cveID": f"CVE-2026-000{n}",
            "vendorProject": "Example",
            "product": "Gadget",
            "vulnerabilityName": "Overflow",
            "dateAdded": "2026-01-02",
            "shortDescription": "It overflows.",
            "requiredAction": "Mend it.",
            "dueDate": "2026-02-01",
            "knownRansomwareCampaignUse": "Unknown",
            "notes": "",
            "cwes": ["CWE-787"],
        }
        for n in (1, 2)
    ],
}


def test_a_feed_of_vulnerabilities_becomes_groups(tmp_path: Path) -> None:
    (tmp_path / "kev.json").write_text(json.dumps(KEV))
    feed = msgspec.structs.replace(find("cisa-kev"), url=str(tmp_path / "kev.json"))
    reading = read(feed, owner="O")
    assert [alarm.kind for alarm in reading.alarms] == ["volume"]
    assert [row["name"] for row in reading.groups.to_pylist()] == ["CVE-2026-0001", "CVE-2026-0002"]
    run = plan_feed(feed, "O", tmp_path / "run")
    document = json.loads(run.content(0))
    assert [group["name"] for group in document["group"]] == ["CVE-2026-0001", "CVE-2026-0002"]
    assert {one["type"] for one in document["group"][0]["attribute"]} >= {"Vendor", "Product", "Due Date"}


@pytest.fixture
def server() -> Iterator[Any]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("If-None-Match") == '"1"':
                self.send_response(304)
                self.end_headers()
                return
            body = CSV.format(count=3).encode()
            self.send_response(200)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/feed.csv"
        http.shutdown()
        thread.join()


def test_the_state_moves_only_when_the_load_has_ended(tmp_path: Path, server: str) -> None:
    feed = declared(tmp_path, url=server)
    where, local = tmp_path / "feeds.state", Fetching(allow_private=True)
    first = FetchState(where)
    read(feed, owner="O", state=first, fetching=local)
    first.keep(UPath(tmp_path / "fetched.json"))
    read(feed, owner="O", state=FetchState(where), fetching=local)  # the load failed: the same again

    FetchState.commit_kept(UPath(tmp_path / "fetched.json"))
    with pytest.raises(NothingNewError, match="nothing new"):
        read(feed, owner="O", state=FetchState(where), fetching=local)
    assert FetchState(where).known("feed:mine") == {"rows": "3", "address": "feed:mine"}


def test_a_feed_on_ones_own_network_must_be_allowed(tmp_path: Path, server: str) -> None:
    with pytest.raises(FeedError, match=r"not on the public internet.*--allow-private"):
        read(declared(tmp_path, url=server), owner="O")
    text = DEFINITION.replace("format =", "allow_private = true\nformat =")
    assert read(declared(tmp_path, url=server, text=text), owner="O").counts["rows_read"] == 3
    assert resolve(server, allow_private=True).allow_private


def test_a_login_is_taken_from_its_variables(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = '[secret]\nenv = "MY_PASSWORD"\nuser = "MY_USER"\nsignup = "https://example.com"\n\n[columns]'
    text = DEFINITION.replace("format =", "allow_private = true\nformat =").replace("[columns]", secret, 1)
    feed = declared(tmp_path, url=server, text=text)
    with pytest.raises(FeedError, match=r"MY_USER|MY_PASSWORD"):
        read(feed, owner="O")
    monkeypatch.setenv("MY_USER", "ann")
    monkeypatch.setenv("MY_PASSWORD", "sesame")
    assert read(feed, owner="O").counts["rows_read"] == 3


def test_a_run_remembers_what_was_fetched_until_it_is_loaded(tmp_path: Path) -> None:
    state = tmp_path / "feeds.state"
    run = plan_feed(declared(tmp_path), "O", tmp_path / "run", state=state)
    assert not state.exists()
    commit_fetched(run)
    commit_fetched(run)
    assert FetchState(state).known("feed:mine")["rows"] == "3"


@needs_feeds
@pytest.mark.parametrize(
    ("name", "file", "rows"),
    [
        ("urlhaus-recent", "urlhaus.csv", 6000),
        ("feodotracker-c2", "feodotracker.csv", 28),
        ("cisa-kev", "cisa-kev.json", 1404),
        ("ipsum", "ipsum.txt", 20000),
        ("maltrail-generic", "maltrail-generic.txt", 14370),
        ("maltrail-mass-scanner", "maltrail-mass_scanner.txt", 10461),
        ("tweetfeed-month", "tweetfeed.csv", 4683),
        ("x4bnet-vpn-v4", "x4bnet-vpn-ipv4.txt", 10862),
        ("x4bnet-datacenter-asn", "x4bnet-datacenter-asn.txt", 906),
        ("signature-base-hashes", "signature-base-hashes.txt", 3224),
        ("amnesty-pegasus", "amnesty-pegasus.stix2", 1549),
    ],
)
def test_real_feeds_are_as_their_definitions_expect(name: str, file: str, rows: int) -> None:
    feed = msgspec.structs.replace(find(name), url=str(FEEDS / file), secret=None)
    reading = read(feed, owner="O")
    assert reading.alarms == []
    assert reading.counts["rows_read"] == rows
    assert reading.indicators.num_rows + reading.groups.num_rows > 0


@needs_feeds
def test_a_real_feed_that_was_cut_off_is_noticed() -> None:
    feed = msgspec.structs.replace(find("threatfox-legacy"), url=str(FEEDS / "threatfox.csv"))
    with pytest.raises(DriftError, match="1,217,668 rows, and has 6"):
        read(feed, owner="O")
