"""Object stores and patterns of files."""

import fsspec
import pytest

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.feeds.sources import Fetching, fetch
from tcetl.transform import normalise


def test_a_feed_in_an_object_store():
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/feed.txt", b"192.0.2.1\n")
    feed = open_feed("memory://bucket/feed.txt")
    assert [batch.frame["value"].to_list() for batch in feed.batches()] == [["192.0.2.1"]]
    assert (feed.name, feed.file) == ("feed", "memory://bucket/feed.txt")
    with pytest.raises(FeedError, match="does not exist"):
        open_feed("memory://bucket/absent.txt")
    with pytest.raises(FeedError, match="larger than 5 bytes"):
        fetch("memory://bucket/feed.txt", Fetching(max_bytes=5))
    with pytest.raises(FeedError, match="cannot be read"):
        open_feed("no-such-store://bucket/feed.txt")


def test_all_files_that_a_pattern_matches_are_one_feed(tmp_path):
    for name, values in {"b": ["192.0.2.3", "192.0.2.1"], "a": ["192.0.2.1", "192.0.2.2"]}.items():
        (tmp_path / f"{name}.csv").write_text("ip,comment\n" + "".join(f"{value},x\n" for value in values))
    feed = open_feed(str(tmp_path / "*.csv"))
    result = normalise(feed, owner="O")
    assert result.counts.rows_read == 4
    assert result.counts.duplicates == 1
    origins = {(one["origin"]["file"], one["origin"]["row"]) for one in result.indicators.to_pylist()}
    assert origins == {(str(tmp_path / "a.csv"), 2), (str(tmp_path / "a.csv"), 3), (str(tmp_path / "b.csv"), 2)}
    (tmp_path / "c.csv").write_text("url,comment\nhttp://a.example/,x\n")
    with pytest.raises(FeedError, match=r"c\.csv has other columns"):
        list(open_feed(str(tmp_path / "*.csv")).batches())
    with pytest.raises(FeedError, match="no file matches"):
        open_feed(str(tmp_path / "*.tsv"))


def test_a_path_that_looks_like_a_pattern_is_a_path_where_it_exists(tmp_path):
    path = tmp_path / "list[1].txt"
    path.write_text("192.0.2.1\n")
    assert open_feed(str(path)).file == str(path)
    assert open_feed(f"file://{tmp_path}/list%5B1%5D.txt").file == str(path)
