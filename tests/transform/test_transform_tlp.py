"""TLP: how it is written, which level wins, and the security label that says it on the platform."""

import json

import pytest

from tcetl.feeds import open_feed
from tcetl.feeds.tlp import LEVELS, level_of, strictest
from tcetl.pipeline import plan_feed
from tcetl.transform import normalise


@pytest.mark.parametrize(
    ("label", "level"),
    [
        ("TLP:RED", "RED"),
        ("tlp:amber+strict", "AMBER+STRICT"),
        ("TLP Amber Strict", "AMBER+STRICT"),
        ("tlp-green", "GREEN"),
        ("TLP:WHITE", "CLEAR"),
        (" TLP:CLEAR ", "CLEAR"),
        ("red", ""),
        ("tlp:ex:chr", ""),
        ("my tlp:red", ""),
        ("", ""),
    ],
)
def test_levels_by_how_they_are_written(label, level):
    assert level_of(label) == level


def test_the_strictest_level_wins():
    assert [strictest(LEVELS[:n]) for n in range(6)] == ["", *LEVELS]


def test_levels_of_rows_become_labels_and_merge_to_the_strictest(tmp_path):
    path = tmp_path / "feed.csv"
    path.write_text(
        "domain,tlp\na.example,White\nb.example,TLP:AMBER\nb.example,tlp:amber strict\n"
        "b.example,GREEN\nc.example,\nd.example,secret\n"
    )
    result = normalise(open_feed(path), owner="O")
    said = {one["summary"]: (one["tlp"], one["security_labels"]) for one in result.indicators.to_pylist()}
    assert said == {
        "a.example": ("CLEAR", ["TLP:CLEAR"]),
        "b.example": ("AMBER+STRICT", ["TLP:AMBER+STRICT"]),
        "c.example": (None, []),
        "d.example": (None, []),
    }
    assert any("Traffic Light Protocol" in note for note in result.notes)


def test_a_load_names_the_label_and_describes_it(tmp_path):
    path = tmp_path / "feed.csv"
    path.write_text("domain,tlp\na.example,RED\nb.example,\n")
    run = plan_feed(path, "O", tmp_path / "run")
    [chunk] = [found for found in (tmp_path / "run").rglob("*.json*") if b"a.example" in found.read_bytes()]
    [first, second] = json.loads(chunk.read_bytes())["indicator"]
    [label] = first["securityLabel"]
    assert (label["name"], label["color"], bool(label["description"])) == ("TLP:RED", "FF2B2B", True)
    assert not second.get("securityLabel")
    assert run.settings.owner == "O"
