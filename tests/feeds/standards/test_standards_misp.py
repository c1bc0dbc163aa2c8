"""MISP: every attribute type is an indicator or refused by name, and events, exports and folders are read alike."""

import json
from importlib.resources import files

import pytest

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.feeds.standards.finding import Finding
from tcetl.feeds.standards.misp_event import MispReader
from tcetl.feeds.standards.misp_record import MispOptions
from tcetl.feeds.standards.misp_types import parts

MD5, SHA1, SHA256 = "1" * 32, "2" * 40, "3" * 64
GROUPS = {"bro", "kusto-query", "sigma", "snort", "suricata", "vulnerability", "yara", "zeek"}
UUID = "c37d49bb-2287-5087-b408-ce338bf8d71f"

INDICATORS = {  # an example of every type that is an indicator, and what it becomes
    "md5": (MD5, [("md5", MD5)]),
    "sha1": (SHA1, [("sha1", SHA1)]),
    "sha256": (SHA256, [("sha256", SHA256)]),
    "filename|md5": (f"a b.exe|{MD5}", [("md5", MD5)]),
    "filename|sha1": (f"a|b.exe|{SHA1}", [("sha1", SHA1)]),
    "filename|sha256": (f"a.exe|{SHA256}", [("sha256", SHA256)]),
    "malware-sample": (f"a.exe|{MD5}", [("md5", MD5)]),
    "ip-src": ("192.0.2.1", [("Address", "192.0.2.1")]),
    "ip-dst": ("192.0.2.0/24", [("CIDR", "192.0.2.0/24")]),
    "ip-src|port": ("192.0.2.1|80", [("Address", "192.0.2.1")]),
    "ip-dst|port": ("2001:db8::1|443", [("Address", "2001:db8::1")]),
    "hostname": ("a.b.example", [("Host", "a.b.example")]),
    "hostname|port": ("a.b.example|8080", [("Host", "a.b.example")]),
    "domain": ("a.example", [("Host", "a.example")]),
    "domain|ip": ("a.example|192.0.2.1", [("Host", "a.example"), ("Address", "192.0.2.1")]),
    "onion-address": ("abc.onion", [("Host", "abc.onion")]),
    "url": ("http://a.example/|x", [("URL", "http://a.example/|x")]),
    "uri": ("http://a.example/", [("URL", "http://a.example/")]),
    "email": ("a@b.example", [("EmailAddress", "a@b.example")]),
    "email-src": ("a@b.example", [("EmailAddress", "a@b.example")]),
    "email-dst": ("a@b.example", [("EmailAddress", "a@b.example")]),
    "email-reply-to": ("a@b.example", [("EmailAddress", "a@b.example")]),
    "whois-registrant-email": ("a@b.example", [("EmailAddress", "a@b.example")]),
    "dns-soa-email": ("a@b.example", [("EmailAddress", "a@b.example")]),
    "email-subject": ("Hi | there", [("Email Subject", "Hi | there")]),
    "user-agent": ("Mozilla/5.0", [("User Agent", "Mozilla/5.0")]),
    "regkey": (r"HKLM\a", [("Registry Key", r"HKLM\a")]),
    "regkey|value": (r"HKLM\a|calc.exe|x", [("Registry Key", r"HKLM\a")]),
    "AS": ("AS64496", [("ASN", "AS64496")]),
    "mutex": ("m", [("Mutex", "m")]),
}


@pytest.mark.parametrize("kind", INDICATORS)
def test_types_that_are_indicators(kind):
    value, expected = INDICATORS[kind]
    assert [(part.type, part.value) for part in parts(kind, value)] == expected


def test_every_type_that_misp_knows_is_decided():
    known = json.loads(files("pymisp").joinpath("data/describeTypes.json").read_text())["result"]["types"]
    assert set(INDICATORS) <= set(known)
    for kind in set(known) - set(INDICATORS) - {"stix2-pattern"}:
        [(refused, _)] = MispReader().findings({"Attribute": [attribute(kind, "v|w")]})
        assert refused.code == ("is-group" if kind in GROUPS else "unsupported-type")
        assert f"type {kind} " in refused.reason


def attribute(kind="domain", value="a.example", **more):
    return {"uuid": UUID, "type": kind, "value": value, "to_ids": True, **more}


def read(event, **options):
    return [item for item, _ in MispReader(MispOptions(**options)).findings(event)]


def test_what_an_event_and_its_attribute_say_is_kept():
    event = {
        "info": "Campaign",
        "threat_level_id": "2",
        "Orgc": {"name": "CIRCL"},
        "Tag": [{"name": "tlp:green"}, {"name": 'misp-galaxy:tool="A, B"'}],
        "Galaxy": [{"GalaxyCluster": [{"tag_name": 'misp-galaxy:threat-actor="Sofacy"'}]}],
        "Attribute": [
            attribute(
                "ip-dst|port",
                "192.0.2.1|443",
                comment="C2",
                category="Network activity",
                timestamp="1700000000",
                last_seen="2024-01-02T00:00:00.000000+00:00",
                Tag=[{"name": "tlp:amber+strict"}, {"name": 'misp:confidence-level="usually-confident"'}],
            )
        ],
    }
    assert read(event) == [
        Finding(
            "192.0.2.1",
            "Address",
            description="C2; Port: 443; Category: Network activity; Event: Campaign",
            source="CIRCL",
            tags='misp-galaxy:tool="A B",misp-galaxy:threat-actor="Sofacy",misp:confidence-level="usually-confident"',
            first_seen="2023-11-14T22:13:20Z",
            last_seen="2024-01-02T00:00:00Z",
            confidence="75",
            rating="3",
            tlp="AMBER+STRICT",
        )
    ]


def test_what_misp_keeps_from_detection_is_refused_by_its_own_code():
    event = {
        "Attribute": [
            attribute(to_ids=False),
            attribute(to_ids="0"),
            attribute(deleted=True),
            attribute(deleted="1", to_ids=False),
            attribute("yara", "rule x {}"),
            attribute(value=None),
            attribute("vulnerability", " ", to_ids=False),
            attribute(to_ids="1"),
        ],
        "Object": [{"name": "file", "deleted": True, "Attribute": [attribute("md5", MD5)]}],
        "ShadowAttribute": [{}],
    }
    codes = [one.type if isinstance(one, Finding) else one.code for one in read(event)]
    assert codes == [
        "not-for-detection", "not-for-detection", "deleted", "deleted", "is-group", "bad-attribute",
        "bad-attribute", "Host", "deleted",
    ]  # fmt: skip
    assert [one.type for one in read({"Attribute": [attribute(to_ids=False)]}, to_ids=False)] == ["Host"]


def test_the_hashes_of_a_file_object_are_one_file():
    file = {
        "name": "file",
        "comment": "dropper",
        "Attribute": [
            attribute("filename", "a.exe", to_ids=False),
            attribute("sha256", SHA256),
            attribute("md5", MD5, Tag=[{"name": "x"}]),
            attribute("sha1", SHA1, to_ids=False),
            attribute("url", "http://a.example/"),
        ],
    }
    found = read({"Object": [file]})
    [whole] = [one for one in found if isinstance(one, Finding) and one.type == "File"]
    assert (whole.value, whole.tags, whole.description) == (f"{MD5} : {SHA256}", "x", "file; dropper")
    assert sorted(one.type if isinstance(one, Finding) else one.code for one in found) == [
        "File", "URL", "not-for-detection", "not-for-detection",
    ]  # fmt: skip
    two = {"name": "file", "Attribute": [attribute("md5", MD5), attribute("md5", "4" * 32), attribute("sha1", SHA1)]}
    assert [one.type for one in read({"Object": [two]})] == ["md5", "md5", "sha1"]


def test_a_pattern_in_an_attribute_is_read_like_that_of_an_indicator():
    found = read({"Attribute": [attribute("stix2-pattern", "[mutex:name = 'm' OR file:name = 'n']")]})
    assert [one.type if isinstance(one, Finding) else one.code for one in found] == ["Mutex", "unsupported-type"]


EVENT = {"uuid": UUID, "info": "i", "Attribute": [attribute(), attribute("mutex", "m")], "Tag": [{"name": "t"}]}


@pytest.mark.parametrize(
    "content",
    [
        {"Event": EVENT},
        [{"Event": EVENT}],
        {"response": [{"Event": EVENT}]},
        {"response": {"Event": EVENT}},
        {
            "response": {
                "Attribute": [{**one, "Event": {"info": "i", "Tag": [{"name": "t"}]}} for one in EVENT["Attribute"]]
            }
        },
    ],
)
def test_every_way_to_hand_events_over(tmp_path, content):
    path = tmp_path / "event.json"
    path.write_text(json.dumps(content))
    feed = open_feed(path)
    assert feed.format == "misp"
    frames = [batch.frame for batch in feed.batches()]
    assert [frame.select("value", "tags", "description", "_pointer").rows() for frame in frames] == [
        [("a.example", "t", "Event: i", UUID), ("m", "t", "Event: i", UUID)]
    ]


def test_a_feed_folder(tmp_path):
    other = UUID.replace("c", "d")
    (tmp_path / "manifest.json").write_text(json.dumps({UUID: {"info": "i"}, other: {"info": "gone"}}))
    (tmp_path / f"{UUID}.json").write_text(json.dumps({"Event": EVENT}))
    (tmp_path / "hashes.csv").write_text(f"{MD5},{UUID}\n{MD5},{UUID}\n")
    feed = open_feed(tmp_path)
    [batch] = feed.batches()
    assert batch.frame["_file"].to_list() == [str(tmp_path / f"{UUID}.json")] * 2
    assert feed.notes == ["1 of 2 events that manifest.json lists are not there"]
    with pytest.raises(FeedError, match="index of a MISP feed"):
        open_feed(tmp_path / "hashes.csv")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(FeedError, match="lists no event"):
        open_feed(tmp_path)
