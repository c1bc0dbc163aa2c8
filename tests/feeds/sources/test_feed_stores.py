"""Object stores and patterns of files."""

from datetime import UTC, datetime
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tcetl.errors import FeedError, NothingNewError
from tcetl.feeds import open_feed
from tcetl.feeds.sources import Fetching, FetchState, fetch
from tcetl.pipeline import plan_feed
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


class Told(MemoryFileSystem):
    """A store that tells of its files what one of the well-known ones does."""

    protocol = "told"
    tells: ClassVar[dict] = {}

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("told:/"))

    def info(self, path, **kwargs):
        return self._told(super().info(path, **kwargs))

    def glob(self, path, **kwargs):
        return {name: self._told(one) for name, one in super().glob(path, **kwargs).items()}

    def _told(self, found):
        return {key: found[key] for key in ("name", "type", "size")} | self.tells.get(found["name"], {})


@pytest.fixture
def store():
    fsspec.register_implementation("told", Told, clobber=True)
    Told.store.clear()
    Told.tells = {}
    return fsspec.filesystem("told")


VERSIONS = [
    ({"ETag": '"a"', "LastModified": datetime(2026, 1, 1, tzinfo=UTC)}, {"ETag": '"b"'}),  # S3
    ({"etag": "a", "last_modified": 1}, {"last_modified": 2}),  # Azure
    ({"etag": "a", "generation": "1", "updated": "then"}, {"generation": "2"}),  # Google Cloud
    ({"mtime": 1.5}, {"mtime": 1.75}),  # SFTP, HDFS, SMB
]


@pytest.mark.parametrize(("first", "then"), VERSIONS)
def test_of_a_store_only_what_changed_is_read(store, tmp_path, first, then):
    state, address = tmp_path / "state.json", "told://bucket/feed.txt"
    store.pipe("/bucket/feed.txt", b"192.0.2.1\n")
    store.tells["/bucket/feed.txt"] = first
    assert fetch(address, state=FetchState(state)).source is not None
    fetched = fetch(address, state=FetchState(state))  # the first was not committed
    assert fetched.source is not None
    fetched.commit()
    assert fetch(address, state=FetchState(state)).source is None
    assert fetch(address).source is not None
    with pytest.raises(NothingNewError):
        plan_feed(address, "O", tmp_path / "run", state=state)
    store.tells["/bucket/feed.txt"] = first | then
    assert fetch(address, state=FetchState(state)).source is not None
    store.tells["/bucket/feed.txt"] = first
    store.pipe("/bucket/feed.txt", b"192.0.2.11\n")  # of another size
    assert fetch(address, state=FetchState(state)).source is not None
    store.rm("/bucket/feed.txt")
    with pytest.raises(FeedError, match="does not exist"):
        fetch(address, state=FetchState(state))


def test_a_store_that_tells_nothing_is_always_read(store, tmp_path):
    store.pipe("/bucket/feed.txt", b"192.0.2.1\n")
    for address in ("told://bucket/feed.txt", "told://bucket/*.txt"):
        for _ in range(2):
            fetched = fetch(address, state=FetchState(tmp_path / "state.json"))
            assert fetched.source is not None
            fetched.commit()


def test_a_pattern_in_a_store_has_news_when_any_file_has(store, tmp_path):
    state, address = tmp_path / "state.json", "told://bucket/*.txt"

    def write(name, version):
        store.pipe(name, b"192.0.2.1\n")
        store.tells[name] = {"ETag": version}

    def news():
        fetched = fetch(address, state=FetchState(state))
        fetched.commit()
        return fetched.source is not None

    write("/bucket/a.txt", "1")
    write("/bucket/b.txt", "1")
    assert news()
    assert not news()
    write("/bucket/b.txt", "2")
    assert news()
    write("/bucket/c.txt", "1")
    assert news()
    store.rm("/bucket/a.txt")
    assert news()
    assert not news()


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
