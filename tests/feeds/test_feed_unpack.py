"""Packed feeds: told by content, unpacked at most twice, within bounds; what cannot be unpacked says so."""

import base64
import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pytest
import pyzipper

from tcetl.errors import FeedError
from tcetl.feeds import Unpacking, open_feed
from tcetl.feeds.source import locate
from tcetl.transform import normalise

CONTENT = b"url,x\n" + b"".join(b"http://a.example/%d,%d\n" % (n, n) for n in range(5000))


def zipped(*members, **options):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def zstd(content):
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(content)
    return packed.getvalue().to_pybytes()


PACKED = {
    "gzip": gzip.compress(CONTENT),
    "two gzip members": gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]),
    "bzip2": bz2.compress(CONTENT),
    "xz": lzma.compress(CONTENT),
    "zstd": zstd(CONTENT),
    "zip": zipped(("feed.csv", CONTENT)),
    "zip with what macOS adds": zipped(
        ("__MACOSX/._feed.csv", b"x"), ("dir/feed.csv", CONTENT), ("dir/.DS_Store", b"x")
    ),
    "zip in gzip": gzip.compress(zipped(("feed.csv", CONTENT))),
    "gzip in zip": zipped(("feed.csv.gz", gzip.compress(CONTENT))),
    "zip in zip": zipped(("feed.zip", zipped(("feed.csv", CONTENT)))),
}


def rows(given, **options):
    feed = open_feed(given, **options)
    return sum(batch.frame.height for batch in feed.batches())


@pytest.mark.parametrize("kind", PACKED)
def test_packing_is_told_by_content_and_can_be_read_again(tmp_path, kind):
    path = tmp_path / "feed.csv"
    path.write_bytes(PACKED[kind])
    feed = open_feed(path)
    assert [sum(batch.frame.height for batch in feed.batches()) for _ in range(2)] == [5000, 5000]
    assert rows(io.BytesIO(PACKED[kind])) == 5000


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("keep", [0.3, 0.95])
def test_what_ends_early_is_damaged(tmp_path, kind, keep):
    path = tmp_path / "feed.csv"
    path.write_bytes(PACKED[kind][: int(len(PACKED[kind]) * keep)])
    with pytest.raises(FeedError, match="damaged or ends early") as caught:
        rows(path)
    assert str(path) in caught.value.message


def test_a_stream_is_read_from_where_it_stands_and_left_open():
    stream = io.BytesIO(b"header of a protocol\n" + CONTENT)
    stream.readline()
    feed = open_feed(stream, name="mine")
    stream.seek(0)
    assert (feed.name, feed.file, sum(batch.rows_read for batch in feed.batches())) == ("mine", "stream", 5000)
    assert not stream.closed


def test_packed_three_times_over():
    with pytest.raises(FeedError, match="more than 2 times"):
        open_feed(io.BytesIO(gzip.compress(gzip.compress(gzip.compress(CONTENT)))))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda data: zipped(("a.csv", data))])
def test_a_bomb_is_stopped(pack, monkeypatch):
    monkeypatch.setattr("tcetl.feeds.unpack._GRACE", 1 << 20)
    bomb = pack(b"url,x\n" + b"http://a.example/,1\n" * 100_000)
    with pytest.raises(FeedError, match="expands to more than 250 times"):
        rows(io.BytesIO(bomb))
    with pytest.raises(FeedError, match="more than 1,000,000 bytes"):
        rows(io.BytesIO(bomb), unpacking=Unpacking(max_bytes=1_000_000, max_ratio=10_000_000))


def test_members_of_one_format_are_one_feed_and_each_record_names_its_own(tmp_path):
    days = [
        ("b.csv", b"ip,comment\n192.0.2.3,x\n192.0.2.1,x\n"),
        ("2026/a.csv.gz", gzip.compress(b"comment,ip\nx,192.0.2.1\n")),
        ("2026/c.csv", b"# Nothing today\nip,comment\n"),
        ("__MACOSX/._b.csv", b"x"),
    ]
    path = tmp_path / "feeds.zip"
    path.write_bytes(zipped(*days))
    for given, location in ((path, str(path)), (io.BytesIO(path.read_bytes()), "stream")):
        feed = open_feed(given)
        assert (feed.format, sorted(feed.columns)) == ("csv", ["comment", "ip"])
        result = normalise(feed, owner="O")
        assert (result.counts.rows_read, result.counts.duplicates) == (3, 1)
        origins = {(one["summary"], one["origin"]["file"]) for one in result.indicators.to_pylist()}
        assert origins == {("192.0.2.1", f"{location}/2026/a.csv.gz"), ("192.0.2.3", f"{location}/b.csv")}
        [duplicate] = [one for one in result.rejects.to_pylist() if one["code"] == "duplicate"]
        assert (duplicate["file"], duplicate["row"]) == (f"{location}/b.csv", 3)
    events = [
        (f"{n}.json", b'{"Event": {"Attribute": [{"type": "domain", "value": "%d.example"}]}}' % n) for n in (1, 2)
    ]
    path.write_bytes(zipped(*events))
    assert rows(path) == rows(path, format="misp") == 2


@pytest.mark.parametrize("top", ["", "osint/"])
def test_a_zipped_folder_is_what_that_folder_is(tmp_path, top):
    uuid = "c37d49bb-2287-5087-b408-ce338bf8d71f"
    event = b'{"Event": {"Attribute": [{"type": "domain", "value": "a.example", "to_ids": true}]}}'
    manifest = b'{"%b": {"timestamp": "1"}}' % uuid.encode()
    path = tmp_path / "feed.zip"
    path.write_bytes(
        zipped((f"{top}manifest.json", manifest), (f"{top}{uuid}.json", event), (f"{top}hashes.csv", b"x,y\n"))
    )
    feed = open_feed(path)
    [batch] = feed.batches()
    assert (feed.format, feed.name, feed.versions) == ("misp", "feed", {uuid: "1"})
    assert batch.frame["_file"].to_list() == [f"{path}/{top}{uuid}.json"]


def test_members_of_different_formats_are_no_feed_and_it_is_said_why(tmp_path):
    path = tmp_path / "feeds.zip"
    path.write_bytes(
        zipped(("a.csv", b"ip,comment\n192.0.2.3,x\n"), ("README.json", b'[{"url": "http://a.example/"}]'))
    )
    with pytest.raises(FeedError, match=r"feeds\.zip/a\.csv is of format csv, and .* format json") as caught:
        rows(path)
    assert "member" in caught.value.hint
    path.write_bytes(zipped(("a.csv", b"ip,comment\n192.0.2.3,x\n"), ("b.csv", b"url,comment\nhttp://a.example/,x\n")))
    with pytest.raises(FeedError, match=r"b\.csv has other columns"):
        rows(path)
    assert rows(path, unpacking=Unpacking(member="b.csv")) == 1


def test_members_are_bounded_all_together(monkeypatch):
    monkeypatch.setattr("tcetl.feeds.unpack._GRACE", 1 << 20)
    content = b"url,x\n" + b"http://a.example/,1\n" * 40_000  # 800,006 bytes each, which alone would do
    bomb = zipped(*((f"{n}.csv", content) for n in range(4)))
    with pytest.raises(FeedError, match="more than 3,000,000 bytes"):
        rows(io.BytesIO(bomb), unpacking=Unpacking(max_bytes=3_000_000, max_ratio=10_000_000))
    with pytest.raises(FeedError, match="expands to more than 250 times"):
        rows(io.BytesIO(bomb))
    again = zipped(*((f"{n}.csv.gz", gzip.compress(content)) for n in range(4)))
    with pytest.raises(FeedError, match="bytes when it is unpacked"):
        rows(io.BytesIO(again), unpacking=Unpacking(max_bytes=3_000_000, max_ratio=10_000_000))
    assert rows(io.BytesIO(again), unpacking=Unpacking(max_bytes=3_300_000, max_ratio=10_000_000)) == 160_000


def test_one_member_can_be_chosen(tmp_path):
    path = tmp_path / "feeds.zip"
    path.write_bytes(zipped(("b.csv", CONTENT), ("a/x.txt", b"192.0.2.1\n192.0.2.2\n")))
    assert rows(path, unpacking=Unpacking(member="a/x.txt")) == 2
    with pytest.raises(FeedError, match="has no file 'c"):
        open_feed(path, unpacking=Unpacking(member="c.csv"))
    folder = locate(path, Unpacking())
    assert list(folder.names()) == ["a/x.txt", "b.csv"]
    assert folder.file("b.csv").location == f"{path}/b.csv"
    assert rows(folder.file("b.csv")) == 5000


def test_encrypted_archives(tmp_path):
    packed = io.BytesIO()
    with pyzipper.AESZipFile(packed, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"infected")
        archive.writestr("feed.csv", CONTENT)
    path = tmp_path / "feed.zip"
    path.write_bytes(packed.getvalue())
    with pytest.raises(FeedError, match="is encrypted") as caught:
        open_feed(path)
    assert "password" in caught.value.hint
    with pytest.raises(FeedError, match=r"[Bb]ad password") as caught:
        open_feed(path, unpacking=Unpacking(password="hunter2"))
    assert "hunter2" not in str(caught.value)
    assert "infected" not in repr(Unpacking(password="infected"))
    assert rows(path, unpacking=Unpacking(password="infected")) == 5000


# By Info-ZIP: one member, two addresses, under the traditional encryption and the password "infected".
TRADITIONAL = base64.b64decode(
    "UEsDBBQACQAIACF9eF1zsQDaHAAAABQAAAAFAAAAYS50eHQN1jKNVLv3JLM9TRjw1FTnfx8iBODJb8t60rMMUEsHCHOxANocAAAAFAAAAFBLAQIe"
    "AxQACQAIACF9eF1zsQDaHAAAABQAAAAFAAAAAAAAAAEAAACkgQAAAABhLnR4dFBLBQYAAAAAAQABADMAAABPAAAAAAA="
)


def test_traditional_encryption():
    assert rows(io.BytesIO(TRADITIONAL), unpacking=Unpacking(password="infected")) == 2
    with pytest.raises(FeedError, match="Bad password"):
        rows(io.BytesIO(TRADITIONAL), unpacking=Unpacking(password="x"))
