"""STIX 2 objects: what is taken, what the standard itself keeps from being taken, and what is said of each value."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.feeds.standards.finding import Finding
from tcetl.feeds.standards.stix_objects import StixOptions, StixReader

NOW = datetime(2025, 1, 1, tzinfo=UTC)
AUTHOR = "identity--25b4ac53-b009-44a7-adac-6377624c6a31"
OWN_AMBER = "marking-definition--11111111-b009-44a7-adac-6377624c6a31"
GREEN = "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"
RED = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"


def indicator(pattern="[domain-name:value = 'a.example']", **more):
    return {"type": "indicator", "id": f"indicator--{uuid4()}", "pattern": pattern, **more}


def read(*objects, **options):
    reader = StixReader(StixOptions(**options), now=NOW)
    for one in objects:
        reader.learn(one)
    if reader.has_versions:
        for one in objects:
            reader.learn_version(one)
    return [item for one in objects for item, _ in reader.findings(one)]


def test_what_an_indicator_says_is_kept():
    [found] = read(
        indicator(
            name="Beacon",
            description="calls\n  home",
            labels=["malicious-activity", "apt, one"],
            indicator_types=["malicious-activity"],
            kill_chain_phases=[{"kill_chain_name": "lockheed", "phase_name": "c2"}],
            valid_from="2024-05-01T02:00:00.5+02:00",
            confidence=85,
            created_by_ref=AUTHOR,
            object_marking_refs=[GREEN, OWN_AMBER],
        ),
        {"type": "identity", "id": AUTHOR, "name": "ACME CERT"},  # both stand after what refers to them
        {"type": "marking-definition", "id": OWN_AMBER, "definition_type": "tlp", "definition": {"tlp": "amber"}},
    )
    assert found == Finding(
        "a.example",
        "Host",
        description="Beacon; calls home",
        source="ACME CERT",
        tags="malicious-activity,apt one,lockheed:c2",
        first_seen="2024-05-01T00:00:00Z",
        confidence="85",
        tlp="AMBER",
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"revoked": True}, "revoked"),
        ({"valid_until": "2024-12-31T23:59:59Z"}, "expired"),
        ({"valid_until": "2025-01-01T02:00:00+01:00"}, "Host"),
        ({"pattern_type": "sigma"}, "is-group"),
        ({"pattern_type": "spl"}, "unsupported-type"),
        ({"pattern_type": "stix", "revoked": False}, "Host"),
        ({"pattern": 5}, "bad-object"),
    ],
)
def test_what_is_not_to_be_loaded_says_so(more, expected):
    [found] = read(indicator(**more) if "pattern" not in more else {**indicator(), **more})
    assert (found.type if isinstance(found, Finding) else found.code) == expected


def test_expired_ones_are_taken_by_option():
    assert [one.type for one in read(indicator(valid_until="2020-01-01T00:00:00Z"), expired=True)] == ["Host"]


def test_only_the_newest_version_of_an_indicator_counts():
    first = indicator(modified="2024-01-01T00:00:00Z")
    found = read(
        {**first, "modified": "2024-03-01T00:00:00.000Z", "revoked": True},
        first,
        {**first, "modified": "2024-02-01T00:00:00Z"},
    )
    assert [one.code for one in found] == ["revoked", "superseded", "superseded"]


def test_observables_are_read_by_what_they_are():
    objects = [
        {
            "type": "file",
            "id": "file--1",
            "name": "a.exe",
            "hashes": {"MD5": "1" * 32, "SHA-256": "2" * 64, "SHA-512": "x"},
        },
        {"type": "ipv4-addr", "id": "ipv4-addr--1", "value": "192.0.2.0/24"},
        {"type": "windows-registry-key", "key": "HKLM\\a", "values": [{"name": "n", "data_type": "REG_SZ"}]},
        {"type": "email-addr", "value": "a@b.example", "display_name": "Jane"},
        {"type": "email-message", "subject": "invoice"},
        {"type": "process", "pid": 3},
        {"type": "file", "name": "only.exe"},
    ]
    found = read(*objects)
    assert [(one.type, one.value) for one in found[:5]] == [
        ("File", f"{'1' * 32} : {'2' * 64}"),
        ("CIDR", "192.0.2.0/24"),
        ("Registry Key", r"HKLM\a : n : REG_SZ"),
        ("EmailAddress", "a@b.example"),
        ("Email Subject", "invoice"),
    ]
    assert [one.code for one in found[5:]] == ["unsupported-type"] * 2
    assert {one.code for one in read(*objects, observables=False)} == {"observable-only"}


def test_observed_data_of_stix_2_0_holds_its_observables():
    reader = StixReader(now=NOW)
    observed = {
        "type": "observed-data",
        "id": "observed-data--1",
        "first_observed": "2024-01-01T00:00:00Z",
        "last_observed": "2024-01-02T00:00:00Z",
        "objects": {
            "0": {"type": "domain-name", "value": "a.example"},
            "1": {"type": "ipv4-addr", "value": "192.0.2.1"},
        },
    }
    found = [(item.value, item.last_seen, pointer) for item, pointer in reader.findings(observed)]
    assert found == [
        ("a.example", "2024-01-02T00:00:00Z", "observed-data--1/objects/0"),
        ("192.0.2.1", "2024-01-02T00:00:00Z", "observed-data--1/objects/1"),
    ]


def test_other_objects_are_counted_and_named():
    reader = StixReader()
    for one in (
        {"type": "malware", "name": "Emotet"},
        {"type": "relationship"},
        {"type": "malware", "name": "Qbot"},
        {},
    ):
        reader.learn(one)
    assert reader.notes() == [
        "objects that are no indicators were not loaded: 2 malware (Emotet, Qbot); 1 relationship; 1 untyped"
    ]


def bundle(tmp_path, content):
    path = tmp_path / "feed.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("wrap", [
    lambda objects: {"type": "bundle", "id": f"bundle--{uuid4()}", "objects": objects},
    lambda objects: {"more": False, "objects": objects},
    lambda objects: [{"type": "bundle", "objects": objects[:1]}, {"type": "bundle", "objects": objects[1:]}],
    lambda objects: objects,
])  # fmt: skip
def test_every_way_to_hand_objects_over(tmp_path, wrap):
    objects = [indicator("[mutex:name = 'm' OR mutex:name = 'n']"), indicator(), indicator(revoked=True)]
    feed = open_feed(bundle(tmp_path, wrap(objects)))
    assert feed.format == "stix"
    [batch] = feed.batches()
    rows = batch.frame.select("_row", "_pointer", "value").rows()
    assert rows == [(1, objects[0]["id"], "m"), (2, objects[0]["id"], "n"), (3, objects[1]["id"], "a.example")]
    assert batch.rejects.select(["row", "pointer", "code", "severity"]).to_pylist() == [
        {"row": 4, "pointer": objects[2]["id"], "code": "revoked", "severity": "info"}
    ]
    assert batch.rows_read == 4


def test_a_cut_off_bundle_is_an_error_and_members_that_are_no_objects_are_rejects(tmp_path):
    whole = json.dumps({"type": "bundle", "objects": [indicator(), 5, None, "x"]})
    [batch] = open_feed(bundle(tmp_path, whole), format="stix").batches()
    assert batch.rejects["code"].to_pylist() == ["bad-object"] * 3
    for cut in (len(whole) - 1, len(whole) - 30, len(whole) // 2):
        with pytest.raises(FeedError, match="damaged or no whole JSON"):
            list(open_feed(bundle(tmp_path, whole[:cut]), format="stix").batches())
    with pytest.raises(FeedError, match="is no STIX bundle"):
        open_feed(bundle(tmp_path, '{"a": 1}'), format="stix")


def test_a_bundle_in_utf_16_is_read(tmp_path):
    path = tmp_path / "feed.json"
    path.write_bytes(
        json.dumps({"type": "bundle", "objects": [indicator(name="Größe")]}, ensure_ascii=False).encode("utf-16")
    )
    [batch] = open_feed(path).batches()
    assert batch.frame["description"].to_list() == ["Größe"]
