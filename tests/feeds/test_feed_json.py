"""JSON in every layout that feeds have: where the records are, what their columns are called, where each stood."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.errors import FeedError
from tcetl.feeds import open_feed, stated_records


def write(folder, document, name="feed.json"):
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def read(path, **options):
    """Rows as dicts with their place, rejects as (row, pointer, code), and the feed."""
    feed = open_feed(path, **options)
    rows, rejects = [], []
    for batch in feed.batches():
        assert batch.frame.columns == [*feed.columns, "_row", "_pointer"]
        rows += batch.frame.to_dicts()
        rejects += [(one["row"], one["pointer"], one["code"]) for one in batch.rejects.to_pylist()]
    return rows, rejects, feed


def places(path, column, **options):
    return [(row["_row"], row["_pointer"], row[column]) for row in read(path, **options)[0]]


ONE, TWO = {"ioc": "a.example"}, {"ioc": "b.example"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([ONE, TWO], [(1, "/0", "a.example"), (2, "/1", "b.example")]),
        ({"data": [ONE, TWO]}, [(1, "/data/0", "a.example"), (2, "/data/1", "b.example")]),
        ({"status": "ok", "a/b": {"c": [ONE]}, "tags": ["x"]}, [(1, "/a~1b/c/0", "a.example")]),
        ({"1": ONE, "2": TWO}, [(1, "/1", "a.example"), (2, "/2", "b.example")]),
        ({"1": [ONE, TWO], "2": [TWO]}, [(1, "/1/0", "a.example"), (2, "/1/1", "b.example"), (3, "/2/0", "b.example")]),
        ({"emotet": ONE, "qakbot": TWO}, [(1, "/emotet", "a.example"), (2, "/qakbot", "b.example")]),
        ({"data": {"d41d8cd98f00b204": ONE}}, [(1, "/data/d41d8cd98f00b204", "a.example")]),
        (ONE, [(1, "", "a.example")]),
        ({"query": {"limit": 1}, "links": {"next": "x"}, "data": [ONE]}, [(1, "/data/0", "a.example")]),
    ],
)
def test_records_are_found_wherever_they_are(tmp_path, document, expected):
    path = write(tmp_path, document)
    assert open_feed(path).format == "json"
    assert places(path, "ioc") == expected


def test_threatfox_layout_keeps_the_key(tmp_path):
    path = write(tmp_path, {"1301611": [{"ioc_value": "192.0.2.1:443", "ioc_type": "ip:port", "tags": None}]})
    rows, _, feed = read(path)
    assert list(feed.columns) == ["key", "ioc_value", "ioc_type", "tags"]
    assert rows[0]["key"] == "1301611"
    assert rows[0]["tags"] == ""


def test_lists_of_values(tmp_path):
    assert places(write(tmp_path, ["a.example", "b.example"]), "value") == [
        (1, "/0", "a.example"),
        (2, "/1", "b.example"),
    ]
    assert places(write(tmp_path, {"ips": ["192.0.2.1"], "n": 1}), "value") == [(1, "/ips/0", "192.0.2.1")]


def test_which_list_can_be_named(tmp_path):
    path = write(tmp_path, {"bad": [ONE], "good": [TWO, TWO], "x": {"y": []}})
    with pytest.raises(FeedError, match=r"several lists .*: '/bad' \(1 or more\), '/good' \(2 or more\)") as caught:
        open_feed(path)
    assert "records=/bad" in caught.value.hint
    assert places(path, "ioc", records="/good") == [(1, "/good/0", "b.example"), (2, "/good/1", "b.example")]
    with pytest.raises(FeedError, match="nothing at '/nowhere'"):
        open_feed(path, records="/nowhere")
    with pytest.raises(FeedError, match="format json has no option wrong"):
        open_feed(path, wrong=1)


@pytest.mark.parametrize("entries", [["192.0.2.1", "192.0.2.2"], [f"198.51.100.{n % 256}" for n in range(40_000)]])
def test_a_warninglist_is_no_feed_unless_its_records_are_named(tmp_path, entries):
    about = {"matching_attributes": ["ip-dst"], "name": "Resolvers", "type": "cidr", "version": 1}
    path = write(tmp_path, {"description": "known resolvers", "list": entries, **about})
    with pytest.raises(FeedError, match="known to be no threat"):
        open_feed(path)
    assert len(places(path, "value", records="/list")) == len(entries)
    assert len(places(write(tmp_path, {"description": "mine", "list": entries}), "value")) == len(entries)


def test_what_lies_beyond_the_head_can_be_named(tmp_path):
    path = write(tmp_path, {"pad": "x" * 400_000, "data": [ONE]})
    assert places(path, "ioc", records="/data") == [(1, "/data/0", "a.example")]


def test_nested_fields_and_lists_become_columns(tmp_path):
    record = {
        "ioc": "a.example", "n": 3, "f": 1.5, "yes": True, "no": None, "tags": ["x", 2, None],
        "geo": {"cc": "ZZ", "as": {"n": 1}}, "hits": [{"a": 1}], "empty": {}, "_row": "mine", "a.b": 1,
    }  # fmt: skip
    rows, _, feed = read(write(tmp_path, [record, {"late": "ä"}]))
    assert rows[0] == {
        "ioc": "a.example", "n": "3", "f": "1.5", "yes": "true", "no": "", "tags": "x, 2", "geo.cc": "ZZ",
        "geo.as.n": "1",
        "hits": '[{"a": 1}]', "empty": "", "row": "mine", "a.b": "1", "late": "", "_row": 1, "_pointer": "/0",
    }  # fmt: skip
    assert rows[1]["late"] == "ä"
    assert len(feed.columns) == 13


def test_a_column_that_turns_up_late_is_known_from_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr("tcetl.feeds.objects._BATCH", 10)
    path = write(tmp_path, {"n": [{"ioc": f"a{n}.example"} for n in range(25)] + [{"late": "x"}]})
    feed = open_feed(path)
    batches = list(feed.batches())
    assert [batch.frame.height for batch in batches] == [10, 10, 6]
    assert all(batch.frame.columns == ["ioc", "late", "_row", "_pointer"] for batch in batches)
    assert batches[2].frame["late"].to_list()[-1] == "x"


def test_maps_within_records_stay_one_column(tmp_path):
    path = write(tmp_path, [{"ioc": "a.example", "days": {f"2025-01-{n}": n for n in range(100)}}])
    rows, _, feed = read(path)
    assert list(feed.columns) == ["ioc", "days"]
    assert json.loads(rows[0]["days"])["2025-01-99"] == 99


def test_a_document_of_too_many_fields_says_so(tmp_path):
    path = write(tmp_path, [{f"f{n}": 1 for n in range(2000)}])
    with pytest.raises(FeedError, match="more than 1000 different fields"):
        list(open_feed(path).batches())


PULSES = {
    "count": 2,
    "results": [
        {
            "name": "p",
            "tags": ["x", "y"],
            "id": 7,
            "indicators": [{"indicator": "a.example", "id": 1}, {"indicator": "b.example"}],
        },
        {"name": "q", "indicators": []},
    ],
}


def test_lists_within_records_can_be_exploded(tmp_path):
    rows, rejects, feed = read(write(tmp_path, PULSES), format="json", records="/results", explode="indicators")
    assert [(row["_row"], row["_pointer"], row["indicator"], row["name"], row["tags"]) for row in rows] == [
        (1, "/results/0/indicators/0", "a.example", "p", "x, y"),
        (1, "/results/0/indicators/1", "b.example", "p", "x, y"),
    ]
    assert (rows[0]["id"], rows[0]["record.id"], rows[1]["id"]) == ("1", "7", "7")
    assert rejects == [(2, "/results/1", "no-members")]
    assert stated_records(feed.comments) == 2
    path = write(tmp_path, [{"name": "x", "net": {"ips": ["192.0.2.1", "192.0.2.2"]}}])
    assert places(path, "ips", explode="net.ips") == [
        (1, "/0/net/ips/0", "192.0.2.1"),
        (1, "/0/net/ips/1", "192.0.2.2"),
    ]


def test_what_is_no_record_is_refused(tmp_path):
    rows, rejects, _ = read(write(tmp_path, [ONE, 7, [1], None, "b.example"]))
    assert [row["_row"] for row in rows] == [1, 5]
    assert rejects == [(2, "/1", "no-object"), (3, "/2", "no-object"), (4, "/3", "no-object")]


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a"', '{"data": [{"a": 1}}', '[{"a": 1}] x', '[{"a": NaN}]'])
def test_damaged_documents(tmp_path, text):
    with pytest.raises(FeedError, match="damaged or no whole JSON document"):
        list(open_feed(write(tmp_path, text)).batches())


@pytest.mark.parametrize(("text", "records"), [("{}", None), ("[]", None), ('{"data": []}', None), ("[]", "")])
def test_empty_documents_say_so(tmp_path, text, records):
    with pytest.raises(FeedError, match="holds no records"):
        list(open_feed(write(tmp_path, text), records=records).batches())


@pytest.mark.parametrize("text", ["[" * 100_000, '[{"a": ' + "[" * 100_000 + "]" * 100_000 + "}]", '{"a":' * 100_000])
def test_deep_nesting_is_told_before_it_costs_time(tmp_path, text):
    with pytest.raises(FeedError, match="nested more than 500 levels deep"):
        list(open_feed(write(tmp_path, text), format="json").batches())


LINES = """{"cidr":"192.0.2.0/24","sblid":"SBL1"}

{"cidr":"198.51.100.0/24","x":{"y":1}}
{"type":"metadata","records":2}
"""


def test_ndjson(tmp_path):
    path = write(tmp_path, LINES + "{broken\n[1]\n")
    rows, rejects, feed = read(path)
    assert feed.format == "ndjson"
    assert list(feed.columns) == ["cidr", "sblid", "x.y"]
    assert [(row["_row"], row["cidr"], row["x.y"]) for row in rows] == [
        (1, "192.0.2.0/24", ""),
        (3, "198.51.100.0/24", "1"),
    ]
    assert rejects == [(5, None, "bad-json"), (6, "", "no-object")]
    assert stated_records(feed.comments) == 2


def test_packed_json(tmp_path):
    path = tmp_path / "feed.json.gz"
    path.write_bytes(gzip.compress(LINES.encode()))
    assert len(read(path)[0]) == 2


def test_a_document_is_read_no_further_than_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("tcetl.feeds.objects._BATCH", 10)
    path = write(tmp_path, {"data": [ONE] * 10_000})
    feed = open_feed(path)
    read = []
    whole = feed._source.pieces
    monkeypatch.setattr(feed._source, "pieces", lambda: (read.append(at) or piece for at, piece in _cut(whole())))
    assert len(feed.columns) == 1
    learnt = len(read)
    next(feed.batches())
    assert learnt > 100
    assert len(read) < learnt + 10


def _cut(pieces):
    text = b"".join(pieces)
    return ((at, text[at : at + 1000]) for at in range(0, len(text), 1000))


SCALAR = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8)
KEY = st.sampled_from(["ioc", "a", "b", "c d", "e/f", "~", ""])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.dictionaries(KEY, SCALAR, min_size=1), min_size=1, max_size=20), st.booleans())
def test_every_plain_value_is_read_back(tmp_path_factory, records, as_lines):
    folder = tmp_path_factory.mktemp("json")
    text = "\n".join(json.dumps(one) for one in records) if as_lines else json.dumps({"x": records})
    rows, _, _ = read(write(folder, text), format="ndjson" if as_lines else "json")
    for row, record in zip(rows, [one for one in records if one.get("type") != "metadata"], strict=True):
        for key, value in record.items():
            said = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            assert row[key or "unnamed"] == said
