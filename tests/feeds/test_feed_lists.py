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


def test_each_name_of_a_hosts_line_is_a_record(tmp_path):
    text = "0.0.0.0 a.example\n127.0.1.1\tb.example  c.example # why\n:: d.example\n203.0.113.7 e.example\n"
    assert read(tmp_path, text) == [
        (1, "a.example", ""), (2, "b.example", ""), (2, "c.example", ""), (3, "d.example", ""),
        (4, "203.0.113.7", "e.example"),
    ]  # fmt: skip


def test_what_a_hosts_file_says_of_the_machine_is_no_indicator(tmp_path):
    path = tmp_path / "hosts"
    path.write_text(
        "127.0.0.1 localhost localhost.localdomain\n::1 ip6-localhost\n255.255.255.255 broadcasthost\n0.0.0.0 0.0.0.0\n"
        "0.0.0.0 a.example\n"
    )
    batches = list(open_feed(path).batches())
    assert [value for batch in batches for value in batch.frame["value"]] == ["a.example"]
    refused = [(one["row"], one["raw"], one["severity"]) for batch in batches for one in batch.rejects.to_pylist()]
    assert {one[2] for one in refused} == {"info"}
    assert [(row, raw) for row, raw, _ in refused] == [
        (1, "localhost"), (1, "localhost.localdomain"), (2, "ip6-localhost"), (3, "broadcasthost"), (4, "0.0.0.0"),
    ]  # fmt: skip
    assert sum(batch.rows_read for batch in batches) == 6


@pytest.mark.parametrize(
    ("line", "value", "comment"),
    [
        ("AS64496 # a name, with AS64497 in it", "AS64496", "a name, with AS64497 in it"),
        ("AS64496 a name", "AS64496", "a name"),
        ("198.51.100.0/24 ; SBL1", "198.51.100.0/24", "SBL1"),
        ("198.51.100.7 13", "198.51.100.7", "13"),
        ("198.51.100[.]7\tseen twice", "198.51.100[.]7", "seen twice"),
        ("2001:db8::1  x", "2001:db8::1", "x"),
        ("d41d8cd98f00b204e9800998ecf8427e *empty.exe", "d41d8cd98f00b204e9800998ecf8427e", "empty.exe"),
        ("http://a.example/ malware", "http://a.example/", "malware"),
        ("||a.example^", "a.example", ""),
        ("||a.example^$document,popup", "a.example", ""),
        ("address=/a.example/0.0.0.0", "a.example", ""),
        ("a.example is a host", "a.example is a host", ""),
        ("@@||good.example^", "@@||good.example^", ""),
    ],
)
def test_notations(tmp_path, line, value, comment):
    assert read(tmp_path, f"! Title\n[Adblock Plus 2.0]\n{line}\n", format="list") == [(3, value, comment)]


def test_a_list_with_remarks_is_no_table_and_a_table_no_list(tmp_path):
    for text, expected in (
        ("198.51.100.7;x\n198.51.100.8;y\n", "list"),
        ("ip;note\n198.51.100.7;x\n198.51.100.8;y\n", "csv"),
        ("198.51.100.7\t3\n198.51.100.8\t2\n", "csv"),
        ("198.51.100.7 3\n198.51.100.8 2\n", "list"),
        ("198.51.100.7,85\n198.51.100.8,90\n", "csv"),
        ("http://a.example/?a,b\nhttp://b.example/\nhttp://c.example/,,\n", "list"),
    ):
        path = tmp_path / "feed"
        path.write_text(text)
        assert open_feed(path).format == expected, text


def test_lines_that_are_not_utf8(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"a.example # caf\xe9\nb.example\n")
    feed = open_feed(path)
    assert next(iter(feed.batches())).frame["comment"].to_list() == ["café", ""]
    assert list(feed.notes) == ["1 lines are not UTF-8 and were read as cp1252"]


def test_text_can_be_demanded(tmp_path):
    assert read(tmp_path, "a,b\nc,d\n", format="list") == [(1, "a,b", ""), (2, "c,d", "")]
