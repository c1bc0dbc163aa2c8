"""Parquet and tables in memory: values of any type as text, each row with its number or its label."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.feeds.cells import as_text_column
from tcetl.transform import normalise

NOON = datetime(2025, 1, 2, 12, 30, tzinfo=timezone(timedelta(hours=2)))


def read(given, **options):
    feed = open_feed(given, **options)
    rows = []
    for batch in feed.batches():
        assert [name for name in batch.frame.columns if not name.startswith("_")] == list(feed.columns)
        assert batch.frame.drop("_row").null_count().transpose().sum().item() in (0, None)
        rows += batch.frame.to_dicts()
    return rows, feed


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["a", None, "ü"], pa.string(), ["a", "", "ü"]),
        (["a", "a", None], pa.dictionary(pa.int8(), pa.string()), ["a", "a", ""]),
        ([1, None], pa.int64(), ["1", ""]),
        ([1.0, 2.5, None, float("nan")], pa.float64(), ["1", "2.5", "", ""]),
        ([True, None], pa.bool_(), ["true", ""]),
        ([Decimal("1.10")], pa.decimal128(5, 2), ["1.10"]),
        ([date(2025, 1, 2)], pa.date32(), ["2025-01-02"]),
        ([NOON, None], pa.timestamp("us", "UTC"), ["2025-01-02T10:30:00Z", ""]),
        ([NOON], pa.timestamp("ns", "Europe/Berlin"), ["2025-01-02T10:30:00Z"]),
        ([datetime(2025, 1, 2, 3)], pa.timestamp("ms"), ["2025-01-02T03:00:00"]),  # noqa: DTZ001 - as tables have it
        ([b"a\xff"], pa.binary(), ["a\ufffd"]),
        ([["a", None, "b"], []], pa.list_(pa.string()), ["a, b", ""]),
        ([{"x": 1, "y": ["z"]}], pa.struct([("x", pa.int8()), ("y", pa.list_(pa.string()))]), ['{"x": 1, "y": ["z"]}']),
        ([None, None], pa.null(), ["", ""]),
    ],
)
def test_cells_of_every_type(values, kind, expected):
    assert as_text_column(pa.array(values, kind)).to_list() == expected
    assert as_text_column(pa.chunked_array([pa.array(values, kind)] * 2)).to_list() == expected * 2


def test_parquet_by_row_groups(tmp_path):
    path = tmp_path / "feed.bin"
    table = pa.table(
        {"ioc": [f"a{n}.example" for n in range(250)], "seen": pa.array([NOON] * 250, pa.timestamp("us", "UTC"))}
    )
    pq.write_table(table, path, row_group_size=100)
    rows, feed = read(path)
    assert (feed.format, list(feed.columns)) == ("parquet", ["ioc", "seen"])
    assert [row["_row"] for row in rows] == list(range(1, 251))
    assert rows[249] == {"ioc": "a249.example", "seen": "2025-01-02T10:30:00Z", "_row": 250}
    result = normalise(feed, owner="O")
    assert result.counts.indicators == {"Host": 250}


@pytest.mark.parametrize("cut", [10, 200, -3])
def test_damaged_parquet(tmp_path, cut):
    path = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"ioc": ["a.example"] * 1000}), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FeedError, match="damaged or no Parquet file"):
        read(path)


def test_empty_tables_say_so(tmp_path):
    path = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"ioc": pa.array([], pa.string())}), path)
    with pytest.raises(FeedError, match="holds no records"):
        read(path)
    for empty in (pd.DataFrame(), pl.DataFrame({"ioc": []}), pa.table({})):
        with pytest.raises(FeedError, match="has 0 rows"):
            open_feed(empty)


TABLE = {"ioc": ["a.example", "192.0.2.1"], "confidence": [80, None]}


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_tables_in_memory(make, monkeypatch):
    monkeypatch.setattr("tcetl.feeds.frame._BATCH", 1)
    rows, feed = read(make(TABLE), name="mine")
    assert (feed.name, feed.format, feed.file) == ("mine", "frame", "frame")
    assert rows == [
        {"ioc": "a.example", "confidence": "80", "_row": 1},
        {"ioc": "192.0.2.1", "confidence": "", "_row": 2},
    ]
    indicators = normalise(feed, owner="O").indicators.to_pylist()
    assert [(one["summary"], one["confidence"], one["origin"]["row"]) for one in indicators] == [
        ("192.0.2.1", None, 2), ("a.example", 80, 1),
    ]  # fmt: skip


def test_labels_of_a_pandas_index_are_pointers():
    frame = pd.DataFrame(TABLE, index=["one", "two"])
    assert [row["_pointer"] for row in read(frame)[0]] == ["one", "two"]
    frame.index = pd.Index([0.5, 1.5])
    assert [row["_pointer"] for row in read(frame)[0]] == ["0.5", "1.5"]


def test_awkward_frames():
    frame = pd.DataFrame([["a.example", 1, datetime(2025, 1, 2, tzinfo=UTC)], ["b.example", "x", None]])
    frame.columns = ["ioc", "ioc", 7]
    rows, feed = read(frame)
    assert list(feed.columns) == ["ioc", "ioc_2", "7"]
    assert [row["ioc_2"] for row in rows] == ["1", "x"]
    assert rows[0]["7"] == "2025-01-02T00:00:00Z"


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.text(max_size=5), st.integers(-(2**63), 2**63 - 1) | st.none()), min_size=1, max_size=20))
def test_all_three_kinds_of_tables_give_the_same(rows):
    columns = {"a": [one for one, _ in rows], "b": pd.array([two for _, two in rows], dtype="Int64")}
    table = pa.table({"a": pa.array(columns["a"], pa.string()), "b": pa.array(columns["b"], from_pandas=True)})
    expected = read(table)[0]
    assert read(pd.DataFrame(columns))[0] == expected
    assert read(pl.from_arrow(table))[0] == expected
    assert [row["b"] for row in expected] == ["" if two is None else str(two) for _, two in rows]
