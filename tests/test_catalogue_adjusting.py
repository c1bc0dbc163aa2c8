"""What a load says of its feed fills the definition, and an undeclared feed gets all that a declared one can."""

import json
from pathlib import Path

import pytest

from tcetl.catalogue import adjust, read, undeclared
from tcetl.catalogue.adjusting import allowed, column_role, fading, further, option, score_rule
from tcetl.catalogue.definition import Allowed, Fading
from tcetl.errors import FeedError
from tcetl.load import Run
from tcetl.pipeline import plan_feed
from tcetl.transform import ScoreRule

CSV = """\
url,tags,last_seen,tlp
http://a.example.com/x,c2,2020-01-01,
http://10.0.0.1/y,c2,,
http://b.example.com/z,,,RED
"""


def feed(tmp_path: Path) -> Path:
    path = tmp_path / "feed.csv"
    path.write_text(CSV)
    return path


def sent(run: Run) -> dict[str, dict[str, object]]:
    return {record["text"]: record for record in json.loads(run.content(0))["indicator"]}


def test_an_undeclared_feed_is_screened_scored_and_labelled(tmp_path: Path) -> None:
    (tmp_path / "ours.txt").write_text("b.example.com\n")
    run = plan_feed(
        feed(tmp_path),
        "O",
        tmp_path / "run",
        allow=["reserved", f"{tmp_path / 'ours.txt'}=tag,urls-by-host"],
        scores=["tag=c2,rating=5,confidence=80"],
        decay="30d,10",
        security_labels=["tlp amber", "Internal"],
        confidence=50,
    )
    records = sent(run)
    assert records.keys() == {"http://a.example.com/x", "http://b.example.com/z"}
    first, second = records["http://a.example.com/x"], records["http://b.example.com/z"]
    assert (first["rating"], first["confidence"]) == (5, 10)  # 80, years ago
    assert (second.get("rating"), second["confidence"]) == (None, 50)
    assert second["tag"] == [{"name": "allow-list: ours"}]
    labels = {name: [label["name"] for label in record["securityLabel"]] for name, record in records.items()}  # type: ignore[attr-defined]
    assert labels == {"http://a.example.com/x": ["TLP:AMBER", "Internal"], "http://b.example.com/z": ["TLP:RED"]}
    assert run.counts["rejected"] == {"allow-listed": 1}


def test_groups_without_a_label_get_one_too(tmp_path: Path) -> None:
    ref = "malware--11111111-1111-4111-8111-111111111111"
    named = {"type": "malware", "id": ref, "name": "Mozi", "is_family": True, "spec_version": "2.1"}
    pattern = {
        "type": "indicator",
        "id": ref.replace("malware", "indicator"),
        "spec_version": "2.1",
        "pattern": "[domain-name:value = 'a.example.com']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
    }
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps({"type": "bundle", "id": ref.replace("malware", "bundle"), "objects": [named, pattern]}))
    reading = read(adjust(undeclared(path), security_labels=["TLP:GREEN"]), owner="O", groups=True)
    assert reading.groups["security_labels"].to_pylist() == [["TLP:GREEN"]]
    assert reading.indicators["security_labels"].to_pylist() == [["TLP:GREEN"]]
    bare = read(undeclared(path), owner="O", groups=True)
    assert bare.groups.schema == reading.groups.schema
    assert bare.indicators.schema == reading.indicators.schema
    assert bare.indicators["security_labels"].to_pylist() == [[]]


def test_what_a_load_says_comes_before_what_the_definition_says(tmp_path: Path) -> None:
    declared = adjust(
        undeclared(feed(tmp_path)),
        allow=["reserved"],
        scores=["type=URL,rating=1"],
        decay="7d",
        tags=["x"],
        security_labels=["Old"],
        rating=1,
    )
    again = adjust(declared, allow=["more.txt"], scores=["tag=c2,rating=5"], decay="1d", tags=["y", "x"], rating=2)
    assert [one.list for one in again.allow] == ["reserved", "more.txt"]
    assert [(rule.tag, rule.type) for rule in again.scores] == [("c2", None), (None, "URL")]
    assert again.decay == Fading(half_life="1d")
    assert (again.defaults.tags, again.defaults.rating) == (("x", "y"), 2)
    assert again.security_labels == ["Old"]
    assert adjust(again) == again


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("reserved", Allowed(list="reserved")),
        ("cdn.json=tag", Allowed(list="cdn.json", action="tag")),
        ("a=b.txt", Allowed(list="a=b.txt")),
        ("a=b.txt=report", Allowed(list="a=b.txt", action="report")),
        ("cdn.json=urls-by-host", Allowed(list="cdn.json", urls_by_host=True)),
        ("cdn.json=tag, urls-by-host", Allowed(list="cdn.json", action="tag", urls_by_host=True)),
        ({"list": "cdn.json", "action": "tag"}, Allowed(list="cdn.json", action="tag")),
        (Allowed(list="x"), Allowed(list="x")),
    ],
)
def test_an_allow_list_is_said_in_a_few_words(said: object, meant: Allowed) -> None:
    assert allowed(said) == meant  # type: ignore[arg-type]


def test_one_of_a_kind_may_stand_alone(tmp_path: Path) -> None:
    one = adjust(undeclared(tmp_path), tags="c2", security_labels="TLP:RED", allow="reserved", scores="tag=c2,rating=5")
    assert (one.defaults.tags, one.security_labels) == (("c2",), ["TLP:RED"])
    assert ([each.list for each in one.allow], [each.tag for each in one.scores]) == (["reserved"], ["c2"])


def test_scores_and_decay_are_said_in_a_few_words() -> None:
    assert score_rule("tag=c2, rating=4.5") == ScoreRule(tag="c2", rating=4.5)
    assert score_rule({"type": "URL", "confidence": 9}) == ScoreRule(type="URL", confidence=9)
    assert fading("30d") == Fading(half_life="30d")
    assert fading("12h, 5") == fading({"half_life": "12h", "floor": 5}) == Fading(half_life="12h", floor=5)


def test_columns_and_options_are_said_in_a_few_words() -> None:
    assert column_role("value=bad = url") == ("value", "bad = url")
    assert further("ip") == ("ip", "")
    assert further("a=b") == ("a=b", "")
    assert further("a=b=Registry Key") == ("a=b", "Registry Key")
    assert option("records=/a=b") == ("records", "/a=b")
    assert option("expired=true") == ("expired", True)
    assert option("header=ip, port") == ("header", ["ip", "port"])
    for wrong in ("value", "value=", "also=ip", "valeu=x"):
        with pytest.raises(FeedError, match="ROLE=COLUMN"):
            column_role(wrong)
    with pytest.raises(FeedError, match="NAME=VALUE"):
        option("records")


def test_columns_of_a_load_stand_over_those_of_the_definition(tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    path.write_text('{"a": [{"x": "192.0.2.1", "y": "c2"}], "b": [{"x": "192.0.2.2", "y": "c2"}]}')
    declared = adjust(undeclared(path), options={"records": "/a"})
    assert declared.options == {"records": "/a"}
    found = read(declared, owner="O", columns={"tags": "y"}).indicators.to_pylist()
    assert [(row["summary"], row["tags"][0]["name"]) for row in found] == [("192.0.2.1", "c2")]


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"allow": ["x=tag,drop"]}, "tag and drop"),
        ({"allow": [{"lists": "x"}]}, "lists"),
        ({"scores": ["tag=c2"]}, "neither rating nor confidence"),
        ({"scores": ["tag=c2,rating=9"]}, "rating is 0 to 5"),
        ({"scores": ["rating=5"]}, "tag or a type"),
        ({"scores": ["type=Url,rating=5"]}, "'Url', which is no indicator"),
        ({"scores": ["c2"]}, "c2"),
        ({"decay": "often"}, "no time span"),
        ({"decay": "30d,x"}, "floor"),
        ({"decay": "30d,101"}, "0 to 100"),
        ({"security_labels": ["TLP:PINK"]}, "TLP:PINK"),
        ({"security_labels": [" "]}, "no security label"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, said: dict[str, object], says: str) -> None:
    with pytest.raises(FeedError, match=says):
        adjust(undeclared(feed(tmp_path)), **said)  # type: ignore[arg-type]
