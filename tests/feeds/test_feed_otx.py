"""OTX pulses: each indicator with what its pulse says, whichever way the pulses are wrapped."""

import json

import pytest

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.transform import normalise

PULSE = {
    "id": "5f0", "name": "A campaign", "TLP": "green", "author_name": "jane", "adversary": "Some Bear",
    "tags": ["x", "y, z"], "malware_families": [{"id": "m", "display_name": "Mal"}, "Ware"], "industries": [],
    "created": "2025-01-01T00:00:00.5",
    "indicators": [
        {"id": 1, "indicator": "192.0.2.1", "type": "IPv4", "created": "2025-01-02T03:04:05", "title": "C2",
         "is_active": 1},
        {"id": 2, "indicator": "a.example", "type": "hostname", "description": ""},
        {"id": 3, "indicator": "d41d8cd98f00b204e9800998ecf8427e", "type": "FileHash-MD5", "expiration": None},
        {"id": 4, "indicator": "CVE-2025-1", "type": "CVE"},
        {"id": 5, "indicator": "b.example", "type": "domain", "is_active": 0},
        {"id": 6, "indicator": "c.example", "type": "domain", "expiration": "2020-01-01T00:00:00"},
        {"id": 7, "type": "domain"},
    ],
}  # fmt: skip


def read(folder, document, **options):
    path = folder / "pulses.json"
    path.write_text(json.dumps(document))
    return open_feed(path, **options)


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one], lambda one: {"count": 1, "results": [one]}])
def test_pulses(tmp_path, wrap):
    feed = read(tmp_path, wrap(PULSE))
    assert feed.format == "otx"
    result = normalise(feed, owner="O")
    assert result.counts.rows_read == 7
    assert result.counts.rejected == {"bad-object": 1, "expired": 2, "unsupported-type": 1}
    found = {one["summary"]: one for one in result.indicators.to_pylist()}
    assert set(found) == {"192.0.2.1", "a.example", "D41D8CD98F00B204E9800998ECF8427E"}
    address = found["192.0.2.1"]
    assert address["origin"]["pointer"] == "5f0/1"
    assert address["description"] == "A campaign; C2"
    assert address["source"] == "https://otx.alienvault.com/pulse/5f0"
    assert [tag["name"] for tag in address["tags"]] == ["Mal", "Some Bear", "Ware", "x", "y z"]
    assert address["first_seen"].isoformat() == "2025-01-02T03:04:05+00:00"


def test_expired_ones_can_be_taken(tmp_path):
    assert normalise(read(tmp_path, PULSE, expired=True), owner="O").counts.indicators == {
        "Address": 1, "File": 1, "Host": 3,
    }  # fmt: skip


def test_what_is_no_pulse(tmp_path):
    assert read(tmp_path, {"indicators": [{"ioc": "a.example"}], "name": "x"}).format == "json"
    with pytest.raises(FeedError, match="holds no OTX pulse"):
        read(tmp_path, [{"ioc": "a.example"}], format="otx")
