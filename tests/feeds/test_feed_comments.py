"""What a feed says of itself: kept, bounded, and the count of records found in it."""

import pytest

from tcetl.feeds import open_feed, stated_records
from tcetl.feeds.comments import Comments


@pytest.mark.parametrize(
    ("comment", "count"),
    [
        ("Number of entries: 1,217,668", 1217668),
        ("END 28 entries", 28),
        ("Entries: 4875", 4875),
        ("count: 1404", 1404),
        ("Total number of records = 12", 12),
        ("Entries            : 4529 unique IPs", 4529),
        ("Window: 30 days", None),
        ("IP number of (black)lists", None),
        ("updated 2024-07-16", None),
    ],
)
def test_stated_records(comment, count):
    assert stated_records([comment]) == count
    assert stated_records(["Number of entries: 9", comment]) == (9 if count is None else count)


@pytest.mark.parametrize(
    "text", ["# Feed\n#\n192.0.2.1\n# END 1 entries\n", "# Feed\r\n#ip,x\r\n192.0.2.1,a\r\n# END 1 entries"]
)
def test_banner_and_footer_are_kept(tmp_path, text):
    path = tmp_path / "feed.txt"
    path.write_text(text)
    feed = open_feed(path)
    for _ in range(2):
        assert sum(batch.rows_read for batch in feed.batches()) == 1
        assert (feed.comments[0], feed.comments[-1]) == ("Feed", "END 1 entries")
        assert stated_records(feed.comments) == 1


def test_comments_are_bounded():
    comments = Comments()
    for block in range(10):
        comments.add(f"# {block} {n}" + "x" * 1000 for n in range(90))
    said = comments.said()
    assert len(said) == 200
    assert said[0].startswith("0 0x")
    assert said[-1].startswith("9 89x")
    assert max(map(len, said)) <= 500
