"""What is no feed says so: which file, what was found, what to do."""

import gzip
import io
import tarfile
import zipfile

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
        (b"PK\x05\x06" + bytes(18), "holds no files"),
        (b"PAR1....", "Parquet"),
        (b"%PDF-1.7\n", "PDF"),
        (b"MZ\x90\x00", "a Windows program"),
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


def tar(content=b"ip,x\n192.0.2.1,1\n", kind=tarfile.PAX_FORMAT):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=kind) as archive:
        member = tarfile.TarInfo("feed.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def compound(*streams, shift=9, sector=2):
    """The header of a compound file, whose directory names *streams*."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    header[30:32] = shift.to_bytes(2, "little")
    header[48:52] = sector.to_bytes(4, "little")
    entries = b"".join(name.encode("utf-16-le").ljust(128, b"\0") for name in ("Root Entry", *streams))
    return bytes(header).ljust((sector + 1) << shift, b"\0") + entries


def zipped(**members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def document(*names):
    return zipped(**dict.fromkeys(names, "<x/>"))


UNREADABLE = {
    "7-Zip archive (.7z)": b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(range(256)),
    "RAR archive (.rar)": b"Rar!\x1a\x07\x01\x00" + bytes(range(256)),
    "a RAR archive (.rar)": b"Rar!\x1a\x07\x00" + bytes(range(256)),  # of version 4
    "tar archive (.tar)": tar(),
    "a tar archive (.tar)": tar(kind=tarfile.GNU_FORMAT),
    "old Excel workbook (.xls)": compound("Workbook", "SummaryInformation"),
    "an old Excel workbook (.xls)": compound("Book", shift=12, sector=0),
    "old Word document (.doc)": compound("WordDocument"),
    "an Outlook message (.msg)": compound("__nameid_version1.0", "__properties_version1.0"),
    "an Office document with a password": compound("EncryptionInfo", "EncryptedPackage"),
    "old Office document (.xls, .doc, .ppt or .msg)": compound(),
    "OpenDocument file (.ods, .odt)": document("mimetype", "content.xml", "META-INF/manifest.xml"),
    "a binary Excel workbook (.xlsb)": document("[Content_Types].xml", "xl/workbook.bin"),
    "a Word document (.docx)": document("[Content_Types].xml", "word/document.xml"),
    "an SQLite database": b"SQLite format 3\x00" + bytes(100),
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lambda content: zipped(feed=content)], ids=["plain", "gzip", "zip"]
)
def test_files_that_no_reader_reads_are_told_by_content_with_the_mend(tmp_path, kind, pack):
    path = tmp_path / "feed.csv"
    path.write_bytes(pack(UNREADABLE[kind]))
    for asked in ("auto", "xlsx"):
        with pytest.raises(FeedError) as caught:
            open_feed(path, format=asked)
        assert f"{kind}, which tcetl does not read" in caught.value.message
        assert any(word in caught.value.hint for word in ("unpack it", "save it", "copy its text", "export"))


def test_texts_that_begin_like_such_files_are_read(tmp_path):
    path = tmp_path / "feed.txt"
    for text in ("MZ.example\nb.example\n", f"{'a' * 61}.example\n" * 3 + f"{'b' * 43}.example\nustar.example\n"):
        path.write_text(text)
        assert sum(batch.frame.height for batch in open_feed(path, format="list").batches()) == text.count("\n")


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
