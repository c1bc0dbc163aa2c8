"""No document crashes or hangs the readers of standards: it is used, or refused by a `FeedError`, and all adds up."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_feeds import FEEDS

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.feeds.standards import misp_groups, stix_groups
from tcetl.feeds.standards.finding import Finding, Refusal
from tcetl.feeds.standards.grouping import IS_GROUP, GroupedFeed, Groups
from tcetl.feeds.standards.misp_event import MispReader
from tcetl.feeds.standards.misp_record import MispOptions
from tcetl.feeds.standards.stix_objects import StixReader
from tcetl.transform import as_groups, normalise

REAL = [
    "unit42-watchdog.stix20.json", "eset-stantinko.misp.json", "eset-windigo.ioc", "uscert-mifr.stix1.xml",
    "mandiant-apt1-appendixg.stix21.json",
]  # fmt: skip

UUID = "c37d49bb-2287-5087-b408-ce338bf8d71f"
INDICATOR = {
    "type": "indicator", "id": f"indicator--{UUID}", "pattern": "[file:hashes.MD5 = 'a' AND file:name = 'b']",
    "valid_until": "2030-01-01T00:00:00Z", "labels": ["x"], "confidence": 5, "created_by_ref": f"identity--{UUID}",
    "kill_chain_phases": [{"kill_chain_name": "k", "phase_name": "p"}], "object_marking_refs": ["m"],
    "external_references": [{"url": "u"}], "revoked": False, "modified": "2024-01-01T00:00:00Z", "pattern_type": "stix",
}  # fmt: skip
RULE = {**INDICATOR, "id": f"indicator--{UUID.replace('c', 'd')}", "pattern_type": "yara", "pattern": "rule r {}"}
OBSERVABLES = [
    {"type": "file", "id": f"file--{UUID}", "hashes": {"MD5": "1" * 32, "SHA-256": "2" * 64}, "name": "n"},
    {"type": "windows-registry-key", "key": "HKLM\\a", "values": [{"name": "n", "data_type": "REG_SZ"}]},
    {
        "type": "observed-data",
        "first_observed": "2024",
        "objects": {"0": {"type": "domain-name", "value": "a.example"}},
    },
    {"type": "marking-definition", "definition": {"tlp": "red"}, "id": "m"},
    {"type": "report", "id": "r", "name": "n", "published": "2024-01-01T00:00:00Z", "object_refs": ["x"]},
    {"type": "relationship", "source_ref": "r", "target_ref": "x"},
]
EVENT = {
    "uuid": UUID, "date": "2024-01-01", "info": "i", "threat_level_id": "1",
    "Orgc": {"name": "o"}, "Tag": [{"name": "tlp:red"}],
    "Galaxy": [{"GalaxyCluster": [{"tag_name": "t"}]}],
    "Attribute": [{"type": "domain|ip", "value": "a.example|192.0.2.1", "to_ids": True, "timestamp": "1700000000"},
                  {"type": "yara", "value": "rule r { condition: true }", "uuid": UUID.replace("c", "d")},
                  {"type": "vulnerability", "value": "CVE-2024-1", "uuid": UUID.replace("c", "e"), "comment": "c"}],
    "Object": [{"name": "file", "Attribute": [{"type": "md5", "value": "1" * 32, "to_ids": True},
                                              {"type": "sha1", "value": "2" * 40, "to_ids": "1", "Tag": [{}]}]}],
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw, document):
    """*document* with any one value in it replaced by any other."""
    if draw(st.integers(0, 3)) == 0 or not isinstance(document, dict | list) or not document:
        return draw(JSON)
    if isinstance(document, dict):
        key = draw(st.sampled_from(sorted(document)))
        return {**document, key: draw(damaged(document[key]))}
    at = draw(st.integers(0, len(document) - 1))
    return [*document[:at], draw(damaged(document[at])), *document[at + 1 :]]


def check(items):
    for item, pointer in items:
        assert isinstance(pointer, str)
        assert isinstance(item, Finding | Refusal)
        texts = item if isinstance(item, Finding) else (item.raw, item.code, item.reason, item.severity)
        assert all(isinstance(text, str) for text in texts)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_stix_objects_of_any_shape(data):
    objects = data.draw(damaged([INDICATOR, INDICATOR, RULE, *OBSERVABLES]))
    objects = [one for one in objects if isinstance(one, dict)] if isinstance(objects, list) else []
    reader = StixReader()
    for one in objects:
        reader.learn(one)
    for one in objects:
        reader.learn_version(one)
    groups = Groups("feed", "file")
    for one in objects:
        check(reader.findings(one))
        stix_groups.collect(one, reader, groups)
    groups.grouped()
    assert all(isinstance(note, str) for note in reader.notes())


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_misp_events_of_any_shape(data):
    event = data.draw(damaged(EVENT))
    if isinstance(event, dict):
        reader = MispReader()
        check(reader.findings(event))
        groups = Groups("feed", "file")
        misp_groups.collect(event, groups, MispOptions())
        groups.grouped()
        assert all(isinstance(note, str) for note in reader.notes())


def read(path, **options):
    """Read and normalise a document: it is used or refused, and its records add up."""
    try:
        feed = open_feed(path, **options)
        result = normalise(feed, owner="O")
    except FeedError:
        return
    result.indicators.validate(full=True)
    result.rejects.validate(full=True)
    assert result.indicators.num_rows + result.rejects.num_rows == result.counts.rows_read
    if isinstance(feed, GroupedFeed):
        grouped = feed.groups()
        grouped.groups.validate(full=True)
        rejects, first, later = as_groups(result.rejects, grouped.records)
        assert rejects.num_rows == result.rejects.num_rows - first
        assert first + later >= len(grouped.records)
        assert IS_GROUP not in rejects["code"].to_pylist()


WHOLE = {
    "stix": json.dumps({"type": "bundle", "objects": [INDICATOR, RULE, *OBSERVABLES]}).encode(),
    "misp": json.dumps({"response": [{"Event": EVENT}]}).encode(),
    "openioc": b"""<?xml version="1.0"?><ioc xmlns="http://schemas.mandiant.com/2010/ioc">
<definition><Indicator operator="AND">
<IndicatorItem condition="is"><Context search="Network/DNS"/><Content>a.example</Content></IndicatorItem></Indicator>
</definition></ioc>""",
    "stix1": b"""<stix:STIX_Package xmlns:stix="http://stix.mitre.org/stix-1" xmlns:cybox="http://cybox.mitre.org/cybox-2"
xmlns:d="http://cybox.mitre.org/objects#DomainNameObject-1"><stix:Observables>
<cybox:Observable id="o"><cybox:Object><cybox:Properties>
<d:Value condition="Equals">a.example##comma##b.example</d:Value></cybox:Properties></cybox:Object></cybox:Observable>
</stix:Observables></stix:STIX_Package>""",
}
PIECES = st.sampled_from(
    [b'"', b"{", b"[", b"}", b"]", b",", b":", b"<", b">", b"</", b"&a;", b"\x00", b"\xff", b"\\", b"<!DOCTYPE x [",
     b"]>", b"<![CDATA[", b"<!--", b"null", b"1e999", b"\\ud800", b" negate='true'", b"<cybox:Observable>",
     b"NaN", b"-"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(sorted(WHOLE)))
def test_bytes_of_any_kind(tmp_path_factory, data, kind):
    document = WHOLE[kind]
    changes = st.tuples(st.integers(0, len(document)), PIECES, st.integers(0, 30))
    for at, piece, cut in data.draw(st.lists(changes, max_size=6)):
        document = document[:at] + piece + document[at + cut :]
    path = tmp_path_factory.mktemp("fuzz") / "feed"
    path.write_bytes(document)
    read(path, format=kind)
    read(path)


@pytest.mark.parametrize("name", [name for name in REAL if (FEEDS / name).is_file()])
def test_real_documents_damaged_anywhere(tmp_path, name):
    whole = (FEEDS / name).read_bytes()
    kind = open_feed(FEEDS / name).format
    chance = random.Random(name)
    path = tmp_path / name
    for _ in range(12):
        document = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(document))
            match chance.randrange(4):
                case 0:
                    document[at] = chance.randrange(256)
                case 1:
                    del document[at : at + chance.randrange(1, 5000)]
                case 2:
                    document[at:at] = document[chance.randrange(len(document)) :][:2000]
                case _:
                    del document[max(at, 1) :]
        path.write_bytes(document)
        read(path, format=kind)


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("stix", b'{"type":"bundle","objects":' + b"[" * 200_000),
        ("stix", b'{"objects":[' + b'{"a":' * 200_000),
        ("misp", b'{"Event":{"Attribute":' + b"[" * 200_000),
        ("misp", b'{"Event":{"Object":[' + b'{"Attribute":[' * 100_000 + b"]}" * 100_000 + b"]}}"),
        ("stix", b'{"objects":[{"type":"indicator","id":"i","pattern":"[' + b"(" * 50_000 + b'"}]}'),
        ("stix", b'{"objects":[{"type":"indicator","id":"i","pattern":"' + b"[a:b=1] AND " * 3_000 + b'"}]}'),
        ("openioc", b"<ioc>" + b"<Indicator>" * 100_000),
        ("stix1", b'<x:STIX_Package xmlns:x="http://stix.mitre.org/stix-1">' + b"<Observable>" * 100_000),
    ],
)
def test_documents_nested_beyond_all_measure(tmp_path, kind, document):
    path = tmp_path / "feed"
    path.write_bytes(document)
    read(path, format=kind)
