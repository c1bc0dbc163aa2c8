"""Groups of STIX and MISP feeds: what they are, what belongs to them, and that all of it is loaded."""

import hashlib
import json
import uuid
import zipfile
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from tcetl.client import ThreatConnect
from tcetl.errors import EmptyFeedError, FeedError
from tcetl.feeds import open_feed
from tcetl.pipeline import load_feed, plan_feed
from tcetl.transform import associate, normalise

if TYPE_CHECKING:
    from tcetl.emulator import Emulator

OWNER = "Demo Source"
ONE, TWO, THREE = (f"indicator--0000000{n}-0000-4000-8000-000000000000" for n in (1, 2, 3))
MALWARE, REPORT = "malware--2e9d534b-2e11-4758-bdc5-9c3e1c100d4d", "report--190593d6-1861-4cfe-b212-c016fce1e248"
RED = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
EVENT, ATTRIBUTE = "c37d49bb-2287-5087-b408-ce338bf8d71f", "b435245a-5424-593f-8b2e-4fa756a24325"


def relationship(source, target, **more):
    return {"type": "relationship", "id": f"relationship--{source[-36:]}", "relationship_type": "indicates",
            "source_ref": source, "target_ref": target, **more}  # fmt: skip


BUNDLE = {
    "type": "bundle",
    "objects": [
        {"type": "indicator", "id": ONE, "pattern": "[domain-name:value = 'a.example' OR mutex:name = 'm']"},
        {"type": "indicator", "id": TWO, "pattern": "[domain-name:value = 'A.example']"},
        {"type": "indicator", "id": THREE, "pattern": "[domain-name:value = 'c.example']", "revoked": True},
        {"type": "malware", "id": MALWARE, "name": "Pegasus " * 20, "labels": ["spyware"],
         "object_marking_refs": [RED]},
        {"type": "report", "id": REPORT, "name": "The report", "published": "2024-01-01T00:00:00Z",
         "object_refs": [MALWARE, TWO, THREE, "relationship--1"]},
        {"type": "campaign", "id": "campaign--1", "name": "Gone", "revoked": True},
        relationship(ONE, MALWARE),
        relationship(THREE, MALWARE),
        relationship(TWO, "campaign--1"),
    ],
}  # fmt: skip


@pytest.fixture
def stix(tmp_path):
    path = tmp_path / "feed.json"
    path.write_text(json.dumps(BUNDLE))
    return path


def test_stix_objects_are_groups_with_their_indicators(stix):
    feed = open_feed(stix)
    groups, associations, members, _ = feed.groups()
    malware, report = groups.to_pylist()
    assert (malware["type"], malware["xid"], len(malware["name"])) == ("Malware", MALWARE, 100)
    assert malware["description"].startswith("Pegasus Pegasus")
    assert (malware["tags"][0]["name"], malware["security_labels"]) == ("spyware", ["TLP:RED"])
    assert (report["type"], report["name"], report["publish_date"].year) == ("Report", "The report", 2024)
    [between] = associations.to_pylist()
    assert {between["ref_1"], between["ref_2"]} == {MALWARE, REPORT}
    found = normalise(feed, owner="O")
    joined = associate(found.indicators, found.rejects, members)
    assert [(one["type_1"], one["ref_1"], one["ref_2"]) for one in joined.to_pylist()] == [
        ("Host", "a.example", MALWARE),
        ("Host", "a.example", REPORT),  # by the record that was merged into the first
        ("Mutex", "m", MALWARE),
    ]


def test_misp_events_are_groups_with_their_attributes(tmp_path):
    path = tmp_path / "event.json"
    event = {
        "uuid": EVENT, "info": "Campaign", "date": "2024-05-01", "Tag": [{"name": "tlp:green"}, {"name": "apt"}],
        "Orgc": {"name": "CIRCL"},
        "Attribute": [{"uuid": ATTRIBUTE, "type": "domain|ip", "value": "a.example|192.0.2.1", "to_ids": True}],
    }  # fmt: skip
    path.write_text(json.dumps({"Event": event}))
    feed = open_feed(path)
    groups, associations, members, _ = feed.groups()
    [group] = groups.to_pylist()
    assert (group["type"], group["name"], group["xid"], group["source"]) == ("Event", "Campaign", EVENT, "CIRCL")
    assert (group["tags"], group["security_labels"]) == ([{"name": "apt", "web_link": None}], ["TLP:GREEN"])
    assert group["event_date"].isoformat() == "2024-05-01T00:00:00+00:00"
    assert associations.num_rows == 0
    found = normalise(feed, owner="O")
    joined = associate(found.indicators, found.rejects, members).to_pylist()
    assert [(one["ref_1"], one["ref_2"]) for one in joined] == [("192.0.2.1", EVENT), ("a.example", EVENT)]


YARA = 'import "pe"\n\nprivate rule Loader : apt {\n  condition: true\n}\nrule Second { condition: false }\n'
SIGMA = "title: 'Suspicious, very'\nid: 1\ndetection: {}\n"
SNORT = 'alert tcp any any -> any 80 (msg:"ET \\"X\\" beacon"; sid:1;)'


def misp(kind, value, **more):
    number = hashlib.md5(repr((kind, value, more)).encode(), usedforsecurity=False).hexdigest()
    return {"uuid": str(uuid.UUID(number)), "type": kind, "value": value, "to_ids": True, **more}


RULES = {
    "uuid": EVENT, "info": "Campaign", "Orgc": {"name": "CIRCL"}, "Tag": [{"name": "tlp:green"}, {"name": "apt"}],
    "Attribute": [
        misp("ip-dst", "192.0.2.1"),
        misp("yara", YARA, comment="of the loader", Tag=[{"name": "own"}], timestamp="1700000000"),
        misp("sigma", SIGMA),
        misp("snort", SNORT),
        misp("zeek", "signature x {}"),
        misp("yara", "rule Gone {}", deleted=True),
        misp("yara", "rule Doubtful {}", to_ids=False),
        misp("vulnerability", "CVE-2021-44228", to_ids=False, comment="used first"),
    ],
    "Object": [{"name": "vulnerability", "Attribute": [
        misp("vulnerability", " cve-2021-44228", to_ids=False, object_relation="id", Tag=[{"name": "tlp:red"}]),
        misp("text", "Log4Shell.", to_ids=False, object_relation="summary"),
    ]}],
}  # fmt: skip


def test_rules_and_vulnerabilities_of_misp_are_groups(tmp_path):
    path = tmp_path / "event.json"
    path.write_text(json.dumps({"Event": RULES}))
    feed = open_feed(path)
    groups, associations, _, records = feed.groups()
    by_name = {row["name"]: row for row in groups.to_pylist()}
    assert {name: row["type"] for name, row in by_name.items()} == {
        "Campaign": "Event",
        "Loader": "Signature",
        "Suspicious, very": "Signature",
        'ET \\"X\\" beacon': "Signature",
        "Bro rule of Campaign": "Signature",
        "CVE-2021-44228": "Vulnerability",
    }
    loader = by_name["Loader"]
    assert (loader["file_text"], loader["file_type"], loader["file_name"]) == (YARA, "YARA", "Loader.yar")
    assert (loader["description"], loader["source"], loader["security_labels"]) == (
        "of the loader", "CIRCL", ["TLP:GREEN"],
    )  # fmt: skip
    assert [tag["name"] for tag in loader["tags"]] == ["apt", "own"]
    assert loader["xid"] == loader["origin"]["pointer"] == RULES["Attribute"][1]["uuid"]
    assert [by_name[name]["file_type"] for name in ("Suspicious, very", "Bro rule of Campaign")] == ["Sigma", "Bro"]
    flaw = by_name["CVE-2021-44228"]
    assert (flaw["xid"], flaw["description"]) == (None, "used first\nvulnerability; Log4Shell.")
    assert flaw["security_labels"] == ["TLP:RED"]
    assert {(one["ref_1"], one["ref_2"]) for one in associations.to_pylist()} >= {("CVE-2021-44228", EVENT)}
    assert associations.num_rows == 5
    assert len(records) == 6  # two of which are the same vulnerability


def test_without_its_groups_a_rule_is_a_reject_that_says_how_to_load_it(tmp_path):
    path = tmp_path / "event.json"
    path.write_text(json.dumps({"Event": RULES}))
    run = plan_feed(path, OWNER, tmp_path / "run")
    assert run.plan.counts["rejected"] == {"deleted": 1, "is-group": 6, "not-for-detection": 2}
    rejects = pq.read_table(tmp_path / "run" / "rejects.plan.parquet").to_pylist()
    [rule] = [one for one in rejects if one["raw"] == YARA]
    assert rule["severity"] == "info"
    assert "a Signature" in rule["reason"]
    assert "--groups" in rule["hint"]


def test_a_feed_of_rules_alone_is_loaded_and_all_adds_up(tmp_path, tc_emulator: "Emulator"):
    event = {**RULES, "Attribute": RULES["Attribute"][1:]}
    (tmp_path / "event.json").write_text(json.dumps({"Event": event}))
    with ThreatConnect(
        base_url=tc_emulator.url, access_id=tc_emulator.access_id, secret_key=tc_emulator.secret_key
    ) as tc:
        report = load_feed(tc, tmp_path / "event.json", OWNER, tmp_path / "run", groups=True)
        again = load_feed(tc, tmp_path / "event.json", OWNER, tmp_path / "again", groups=True)
    for one in (report, again):
        kinds = {name: (kind.sent, kind.succeeded) for name, kind in one.kinds.items()}
        assert (kinds["group"], kinds["association"]) == ((6, 6), (5, 5))
        assert (one.rejected, one.duplicates, one.unaccounted) == ({"deleted": 1, "not-for-detection": 2}, 1, 0)
    assert report.rows_read == 9 + 1 + 5  # records, and beside them the event and what joins it to the others


def test_rules_of_stix_are_signatures(tmp_path):
    rule = {"type": "indicator", "id": ONE, "pattern_type": "yara", "pattern": YARA, "name": "Loaders of X"}
    objects = [
        rule,
        {**rule, "id": TWO, "revoked": True},
        {**rule, "id": THREE, "valid_until": "2020-01-01T00:00:00Z"},
        {"type": "malware", "id": MALWARE, "name": "X"},
        relationship(ONE, MALWARE),
    ]
    (tmp_path / "feed.json").write_text(json.dumps({"type": "bundle", "objects": objects}))
    groups, associations, _, records = open_feed(tmp_path / "feed.json").groups()
    assert [(one["type"], one["name"], one["file_name"]) for one in groups.to_pylist()] == [
        ("Signature", "Loaders of X", "Loaders_of_X.yar"), ("Malware", "X", None),
    ]  # fmt: skip
    assert (associations.num_rows, len(records)) == (1, 1)
    run = plan_feed(tmp_path / "feed.json", OWNER, tmp_path / "run", groups=True)
    assert run.plan.counts["rejected"] == {"expired": 1, "revoked": 1}


def test_a_feed_of_groups_without_a_single_indicator_is_empty_only_without_them(tmp_path):
    objects = [one for one in BUNDLE["objects"] if one["type"] in ("malware", "report")]
    (tmp_path / "feed.json").write_text(json.dumps({"type": "bundle", "objects": objects}))
    with pytest.raises(EmptyFeedError):
        plan_feed(tmp_path / "feed.json", OWNER, tmp_path / "run")
    run = plan_feed(tmp_path / "feed.json", OWNER, tmp_path / "run", groups=True)
    assert {chunk.kind: chunk.records for chunk in run.chunks} == {"group": 2, "association": 1}
    (tmp_path / "feed.json").write_text(json.dumps({"type": "bundle", "objects": [{"type": "identity", "id": "i"}]}))
    with pytest.raises(FeedError):
        plan_feed(tmp_path / "feed.json", OWNER, tmp_path / "empty", groups=True)


def test_groups_of_several_files_are_those_of_one_feed(tmp_path):
    other = EVENT.replace("c", "d")
    again = misp("vulnerability", "CVE-2021-44228", comment="used again")
    events = [RULES, {"uuid": other, "info": "Later", "Attribute": [misp("domain", "a.example"), again]}]
    with zipfile.ZipFile(tmp_path / "feed.zip", "w") as archive:
        for number, event in enumerate(events):
            archive.writestr(f"{number}.json", json.dumps({"Event": event}))
    run = plan_feed(tmp_path / "feed.zip", OWNER, tmp_path / "run", groups=True)
    assert run.plan.counts["rejected"] == {"deleted": 1, "not-for-detection": 2}
    assert run.plan.counts["duplicates"] == 2
    sent = [record for chunk in run.chunks for record in json.loads(run.content(chunk.chunk)).get("group", [])]
    assert len(sent) == 7
    associations = [one for chunk in run.chunks for one in json.loads(run.content(chunk.chunk)).get("association", [])]
    flaw = next(record["xid"] for record in sent if record["name"] == "CVE-2021-44228")
    assert {EVENT, other} <= {ref for one in associations for ref in (one["ref_1"], one["ref_2"])} - {flaw}
    assert sum(flaw in (one["ref_1"], one["ref_2"]) for one in associations) == 2
    for name in ("a", "b"):
        one = {"type": "indicator", "id": ONE, "pattern": f"[domain-name:value = '{name}.example']"}
        (tmp_path / f"{name}.json").write_text(json.dumps({"type": "bundle", "objects": [one]}))
    run = plan_feed(str(tmp_path / "*.json"), OWNER, tmp_path / "none", groups=True)
    assert {chunk.kind: chunk.records for chunk in run.chunks} == {"indicator": 2}
    (tmp_path / "a.csv").write_text("ip,x\n192.0.2.1,1\n")
    with pytest.raises(FeedError, match="format csv has no groups"):
        plan_feed(str(tmp_path / "*.csv"), OWNER, tmp_path / "other", groups=True)


def test_a_feed_without_groups_says_so(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("192.0.2.1\n")
    with pytest.raises(FeedError, match="has no groups"):
        plan_feed(path, "O", tmp_path / "run", groups=True)


def test_groups_are_loaded_with_what_belongs_to_them(stix, tmp_path, tc_emulator: "Emulator"):
    with ThreatConnect(
        base_url=tc_emulator.url, access_id=tc_emulator.access_id, secret_key=tc_emulator.secret_key
    ) as tc:
        report = load_feed(tc, stix, OWNER, tmp_path / "run", groups=True)
    kinds = {name: (kind.sent, kind.succeeded) for name, kind in report.kinds.items()}
    assert kinds["group"] == (2, 2)
    assert kinds["indicator"] == (2, 2)
    assert kinds["association"][0] == 4
    assert (report.failed, report.unaccounted, report.rejected, report.duplicates) == (0, 0, {"revoked": 1}, 1)
