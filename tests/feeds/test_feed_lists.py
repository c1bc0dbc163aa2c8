"""Plain lists: one value per line, with comments in every habit."""

import pytest

from tcetl.feeds import open_feed


def read(folder, text, **options):
    path = folder / "list.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    feed = open_feed(path, **options)
    assert feed.format == "list"
    return [row for batch in feed.batches() for row in batch.frame.select("_row", "value", "comment").iter_rows()]


def test_values_comments_and_blank_lines(tmp_path):
    text = "# a list\n\n192.0.2.1\n  a.example  # why\r\n\t\n; also a comment\n// and this\nb.example // because\n"
    assert read(tmp_path, text) == [(3, "192.0.2.1", ""), (4, "a.example", "why"), (8, "b.example", "because")]


def test_a_semicolon_ends_a_value_but_not_a_url(tmp_path):
    digest = "d41d8cd98f00b204e9800998ecf8427e"
    text = f"{digest};a remark; http://example.com/x, y\nhttp://a.example/x;y=1\n192.0.2.0/24 ; SBL1\n"
    assert read(tmp_path, text) == [
        (1, digest, "a remark; http://example.com/x, y"),
        (2, "http://a.example/x;y=1", ""),
        (3, "192.0.2.0/24", "SBL1"),
    ]


def test_a_fragment_is_no_comment(tmp_path):
    assert read(tmp_path, "http://a.example/#top\nhttp://b.example/?a,b\n") == [
        (1, "http://a.example/#top", ""),
        (2, "http://b.example/?a,b", ""),
    ]


@pytest.mark.parametrize("gap", [" ", "\t", "   "])
def test_hosts_files_name_the_host_not_the_sink(tmp_path, gap):
    text = f"# hosts\n0.0.0.0{gap}a.example\n127.0.0.1{gap}b.example # why\n::1{gap}c.example\n"
    assert [value for _, value, _ in read(tmp_path, text)] == ["a.example", "b.example", "c.example"]


def test_a_line_with_several_names_is_kept_whole(tmp_path):
    text = "0.0.0.0 a.example\n0.0.0.0 b.example c.example\n0.0.0.0 d.example\n0.0.0.0 e.example\n0.0.0.0 f.example\n"
    assert read(tmp_path, text)[1] == (2, "0.0.0.0 b.example c.example", "")


def test_lines_that_are_not_utf8(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"a.example # caf\xe9\nb.example\n")
    feed = open_feed(path)
    assert next(iter(feed.batches())).frame["comment"].to_list() == ["café", ""]
    assert list(feed.notes) == ["1 lines are not UTF-8 and were read as cp1252"]


def test_text_can_be_demanded(tmp_path):
    assert read(tmp_path, "a,b\nc,d\n", format="list") == [(1, "a,b", ""), (2, "c,d", "")]
