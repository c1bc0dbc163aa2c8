"""Delimited tables: every dialect to the same rows, every row with the line it began on."""

import codecs
import csv
import gzip
import io

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.feeds.formats import csv as csv_format
from tcetl.schema import REJECTS

BANNER = "####\n# Some feed\n# Terms: https://example.com/terms, with a comma\n#\n"


def write(folder, content, name="feed.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, **options):
    """All rows as dicts, all rejects as dicts, and the feed."""
    feed = open_feed(path, **options)
    rows, rejects = [], []
    for batch in feed.batches():
        assert batch.rejects.schema.equals(REJECTS)
        assert batch.frame.columns == [*feed.columns, "_row"]
        assert set(batch.frame.drop("_row").dtypes) <= {pl.String}
        assert batch.frame.schema["_row"] == pl.Int64
        assert batch.rows_read == batch.frame.height + batch.rejects.num_rows
        rows += batch.frame.to_dicts()
        rejects += batch.rejects.to_pylist()
    return rows, rejects, feed


def values(path, column="url", **options):
    return [(row["_row"], row[column]) for row in read(path, **options)[0]]


def test_urlhaus_layout_with_the_header_as_a_comment(tmp_path):
    path = write(
        tmp_path,
        (BANNER + '# id,dateadded,url,tags\n"1","2025-01-01 00:00:00","http://a.example/x,y","elf,Mozi"\n'
         '"2","2025-01-01 00:00:01","http://b.example/""q""",""\n# Number of entries: 2\n').replace("\n", "\r\n"),
    )  # fmt: skip
    rows, rejects, feed = read(path)
    assert list(feed.columns) == ["id", "dateadded", "url", "tags"]
    assert (feed.name, feed.file, feed.format) == ("feed", str(path), "csv")
    assert rejects == []
    assert [(r["_row"], r["url"], r["tags"]) for r in rows] == [
        (6, "http://a.example/x,y", "elf,Mozi"),
        (7, 'http://b.example/"q"', ""),
    ]


def test_uncommented_header_after_a_banner(tmp_path):
    path = write(tmp_path, BANNER + '"first_seen","dst_ip"\n"2025-01-01","192.0.2.1"\n# END 1 entries\n')
    assert values(path, "dst_ip") == [(6, "192.0.2.1")]


def test_blank_between_delimiter_and_quote(tmp_path):
    path = write(tmp_path, '# "seen","ioc"\n"2025-01-01", "192.0.2.1, b"\n"2025-01-02", "a "", b"\n')
    assert values(path, "ioc") == [(2, "192.0.2.1, b"), (3, 'a ", b')]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimiters(tmp_path, delimiter):
    path = write(tmp_path, "".join(delimiter.join(row) + "\n" for row in [("url", "x"), ("http://a.example", "1")]))
    assert values(path) == [(2, "http://a.example")]


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE),
     ("utf-32-le", codecs.BOM_UTF32_LE)],
)  # fmt: skip
def test_byte_order_marks(tmp_path, encoding, mark):
    path = write(tmp_path, mark + "url,x\r\nhttp://a.example/ü,1\r\n".encode(encoding))
    rows, _, feed = read(path)
    assert list(feed.columns) == ["url", "x"]
    assert rows[0]["url"] == "http://a.example/ü"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_no_end_of_the_last_line(tmp_path, end):
    path = write(tmp_path, end.join(["url,x", "http://a.example,1", "http://b.example,2"]))
    assert values(path) == [(2, "http://a.example"), (3, "http://b.example")]


def test_line_feeds_in_quoted_cells_keep_the_lines_right(tmp_path):
    path = write(tmp_path, 'url,note\r\nhttp://a.example,"one\ntwo\n\n# three"\r\nhttp://b.example,x\r\n')
    rows, rejects, _ = read(path)
    assert rejects == []
    assert [(r["_row"], r["note"]) for r in rows] == [(2, "one\ntwo\n\n# three"), (6, "x")]


def test_blank_lines_and_comments_are_no_rows_but_count_as_lines(tmp_path):
    path = write(tmp_path, "url,x\n\nhttp://a.example,1\n# a comment\n   \nhttp://b.example,2\n")
    assert values(path) == [(3, "http://a.example"), (6, "http://b.example")]


def test_a_comment_as_wide_as_the_table_is_none_of_its_rows(tmp_path):
    path = write(tmp_path, "url,n\nhttp://a.example/,1\n#http://b.example/,2\nhttp://c.example/,3\n")
    rows, rejects, _ = read(path)
    assert [(row["_row"], row["n"]) for row in rows] == [(2, "1"), (4, "3")]
    assert rejects == []


def test_a_lone_carriage_return_does_not_make_up_for_a_blank_line(tmp_path):
    path = write(
        tmp_path, "url,n\nhttp://a.example/,1\n\nhttp://b.example/,2\nhttp://c\r.example/,3\nhttp://d.example/,4\n"
    )
    assert [row for row, _ in values(path)] == [2, 4, 6]


def test_ragged_rows_are_rejected_with_their_line(tmp_path):
    good = "".join(f"http://h{n}.example,{n},x\n" for n in range(20))
    path = write(
        tmp_path,
        "url,x,y\nhttp://a.example,1,2\nhttp://b.example,1\nhttp://c.example,1,2,3\nhttp://d.example,1,2,\n" + good,
    )
    rows, rejects, _ = read(path)
    assert [r["_row"] for r in rows] == [2, *range(5, 26)]  # a delimiter too many at the end takes nothing away
    assert [(r["row"], r["code"], r["raw"], r["stage"]) for r in rejects] == [
        (3, "ragged-row", "http://b.example,1", "read"),
        (4, "ragged-row", "http://c.example,1,2,3", "read"),
    ]
    assert rejects[0]["reason"] == "2 cells where the table has 3 columns"


def test_an_open_quote_costs_one_row(tmp_path):
    good = [f"http://h{n}.example,{n}" for n in range(2000)]
    path = write(tmp_path, "\n".join(["url,x", *good[:3], '"http://open.example,1', *good[3:]]) + "\n")
    rows, rejects, _ = read(path)
    assert [(r["row"], r["code"]) for r in rejects] == [(5, "unterminated-quote")]
    assert [r["url"] for r in rows] == [line.split(",")[0] for line in good]


def test_an_oversized_cell_costs_one_row(tmp_path):
    path = write(tmp_path, f"url,x\nhttp://a.example,{'x' * 200_000}\n#\nhttp://b.example,2\n")
    rows, rejects, _ = read(path)
    assert [r["_row"] for r in rows] == [4]
    assert [(r["row"], r["code"], len(r["raw"])) for r in rejects] == [(2, "bad-csv", 4000)]


def test_old_encodings_are_told_apart_and_reported(tmp_path):
    path = write(
        tmp_path,
        b"domain,note\na.example\xca,x\nb.example,caf\xe9\nc.example,d\xc3\xa9j\xc3\xa0\n",
    )
    rows, _, feed = read(path)
    assert [r["domain"] for r in rows] == ["a.example\u00a0", "b.example", "c.example"]
    assert [r["note"] for r in rows] == ["x", "café", "déjà"]
    assert list(feed.notes) == [
        "1 lines are not UTF-8 and were read as cp1252",
        "1 lines are not UTF-8 and were read as mac-roman",
    ]


def test_headerless_and_awkward_headers(tmp_path):
    headerless = write(tmp_path, "2025-01-01,ip,192.0.2.1\n2025-01-02,domain,a.example\n")
    assert list(open_feed(headerless).columns) == ["column_1", "column_2", "column_3"]
    hosts = write(tmp_path, "a.example,bad\nb.example,bad\n", "hosts.csv")
    assert values(hosts, "column_1") == [(1, "a.example"), (2, "b.example")]
    awkward = write(tmp_path, "url,x,x,,_row\nhttp://a.example,1,2,3,4\n", "awkward.csv")
    assert list(open_feed(awkward).columns) == ["url", "x", "x_2", "column_4", "row"]


def test_one_named_column(tmp_path):
    assert values(write(tmp_path, "url\nhttp://a.example/?a,b\n"), format="auto") == []
    assert values(write(tmp_path, "url\nhttp://a.example/\n")) == [(2, "http://a.example/")]


@pytest.mark.parametrize("name", ["feed.csv.gz", "feed.csv"])
def test_gzip_is_told_by_content(tmp_path, name):
    path = write(tmp_path, gzip.compress(b"url,x\nhttp://a.example,1\n"), name)
    assert values(path) == [(2, "http://a.example")]
    assert open_feed(path).name == "feed"


def test_reading_again_starts_over(tmp_path):
    feed = open_feed(write(tmp_path, "url,x\nhttp://a.example,1\n"))
    assert [b.rows_read for b in feed.batches()] == [b.rows_read for b in feed.batches()] == [1]


CELL = st.text(alphabet='ab,;"#\n\t ü1', max_size=8)


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.just("http://a.example"), CELL, CELL), min_size=1, max_size=30),
    block=st.integers(1, 60),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_csv_writes_is_read_back_row_by_row(tmp_path_factory, rows, block, end):
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writerow(["url", "one", "two"])
    lines = []
    for row in rows:
        lines.append(text.getvalue().count("\n") + 1)
        writer.writerow(row)
    path = write(tmp_path_factory.mktemp("csv"), text.getvalue())
    feed = open_feed(path)
    source = feed._source
    whole = source.blocks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "blocks", lambda: whole(block))
        got = pl.concat([b.frame for b in feed.batches()])
    assert got["_row"].to_list() == lines
    assert list(got.drop("_row").iter_rows()) == rows


def test_both_ways_of_reading_agree(tmp_path, monkeypatch):
    text = "url,x\n" + "".join(f'"http://h{n}.example/","a ""b"", {n}"\n' for n in range(5000))
    path = write(tmp_path, text)
    careful = read(path)[:2]
    monkeypatch.setattr("tcetl.feeds.source.Source.blocks", _small_blocks)
    plain = read(path)[:2]
    monkeypatch.setattr(csv_format.TableFeed, "_plain", lambda *_: None)
    assert read(path)[:2] == plain == careful


def _small_blocks(self):
    data = self.open().read().splitlines(keepends=True)
    for at in range(0, len(data), 100):
        yield b"".join(data[at : at + 100])


@pytest.mark.parametrize(
    "title", ["Threat list of January\n", "Threat list,,\n\nAll rights reserved\n", '"Made by a\ntool",,\n']
)
def test_titles_above_the_header(tmp_path, title):
    path = write(tmp_path, f"{title}ip,port,note\n192.0.2.1,443,x\n192.0.2.2,80,y\n192.0.2.3,80,z\n")
    rows, rejects, feed = read(path)
    assert list(feed.columns) == ["ip", "port", "note"]
    assert [row["ip"] for row in rows] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert rows[0]["_row"] == title.count("\n") + 2
    assert rejects == []
    assert feed.comments[0].startswith(title.strip('",\n')[:6])


def test_files_put_together_with_their_headers(tmp_path):
    part = "url,x\n" + "http://a.example,1\n" * 5
    path = write(tmp_path, part * 3)
    assert [row for row, _ in values(path)] == [2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18]
    spaced = write(tmp_path, "".join(f"{line}\n#\n" for line in (part * 2).splitlines()), "spaced.csv")
    assert len(values(spaced)) == 10


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_told_and_reported(tmp_path, encoding):
    path = write(tmp_path, "url,x\r\nhttp://a.example/ü,ж\r\n".encode(encoding))
    rows, _, feed = read(path)
    assert [(row["url"], row["x"]) for row in rows] == [("http://a.example/ü", "ж")]
    assert list(feed.notes) == [f"the file is {encoding} without a byte order mark"]


def test_a_table_without_a_header_can_be_given_names(tmp_path):
    path = tmp_path / "feed.csv"
    path.write_text("# IP\tlists\n198.51.100.7\t3\n198.51.100.8\t9\n")
    feed = open_feed(path, format="csv", header=["address", "count"])
    assert feed.columns == ("address", "count")
    assert [batch.frame["count"].to_list() for batch in feed.batches()] == [["3", "9"]]
    with pytest.raises(FeedError, match="has 2 columns, not 3"):
        open_feed(path, format="csv", header=["a", "b", "c"])
