"""What is no feed says so: which file, what was found, what to do."""

import gzip

import pytest

from tcetl.errors import FeedError
from tcetl.feeds import open_feed


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "is empty"),
        (b" \n\r\n\t\n", "nothing but blanks"),
        (gzip.compress(b"", mtime=0), "nothing but blanks"),
        (b"# only\n# comments\n", "comments but no rows"),
        (b"<!DOCTYPE html><html><body>Please log in</body></html>", "HTML page"),
        (b"\n\n<HTML>\n<head>", "HTML page"),
        (b"\xef\xbb\xbf<!doctype html>", "HTML page"),
        (b"<?xml version='1.0'?><stix/>", "XML"),
        (b'{"indicator": []}', "holds no records"),
        (b"PK\x03\x04....", "damaged or ends early: File is not a zip file"),
        (b"PAR1....", "Parquet"),
        (b"%PDF-1.7\n", "PDF"),
        (b"MZ\x90\x00", "program"),
        (b"a,b\n\x00\x01\x02\x00,\n", "binary"),
        (gzip.compress(b"url,x\nhttp://a.example,1\n" * 999, mtime=0)[:-20], "damaged or ends early"),
    ],
)
def test_no_feed(tmp_path, content, found):
    path = tmp_path / "feed.csv"
    path.write_bytes(content)
    with pytest.raises(FeedError, match=found) as caught:
        list(open_feed(path).batches())
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_missing_directory_and_unknown_format(tmp_path):
    with pytest.raises(FeedError, match="does not exist"):
        open_feed(tmp_path / "absent.csv")
    with pytest.raises(FeedError, match="holds 0 files and is no feed"):
        open_feed(tmp_path)
    path = tmp_path / "feed.csv"
    path.write_text("a.example\n")
    with pytest.raises(FeedError, match="'xyz' is not a feed format"):
        open_feed(path, format="xyz")
    with pytest.raises(FeedError, match="is no table"):
        open_feed(path, format="csv")


def test_a_line_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("tcetl.feeds.text._LONGEST_LINE", 1000)
    monkeypatch.setattr("tcetl.feeds.text.BLOCK_SIZE", 100)
    path = tmp_path / "feed.txt"
    path.write_text("a.example" * 200_000)
    with pytest.raises(FeedError, match="has a line of more than"):
        list(open_feed(path, format="list").batches())
