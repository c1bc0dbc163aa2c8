"""Groups of STIX and MISP feeds: what they are, what belongs to them, and that all of it is loaded."""

import json
from typing import TYPE_CHECKING

import pytest

from tcetl.client import ThreatConnect
from tcetl.errors import FeedError
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
    groups, associations, members = feed.groups()
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
    groups, associations, members = feed.groups()
    [group] = groups.to_pylist()
    assert (group["type"], group["name"], group["xid"], group["source"]) == ("Event", "Campaign", EVENT, "CIRCL")
    assert (group["tags"], group["security_labels"]) == ([{"name": "apt", "web_link": None}], ["TLP:GREEN"])
    assert group["event_date"].isoformat() == "2024-05-01T00:00:00+00:00"
    assert associations.num_rows == 0
    found = normalise(feed, owner="O")
    joined = associate(found.indicators, found.rejects, members).to_pylist()
    assert [(one["ref_1"], one["ref_2"]) for one in joined] == [("192.0.2.1", EVENT), ("a.example", EVENT)]


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
