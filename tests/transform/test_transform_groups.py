"""Feeds of groups: what becomes a group, what does not, and where it stood."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.schema import GROUPS
from tcetl.transform import GroupMap, normalise_groups

FEED = f"""id,what,when,vendor,labels
CVE-2026-0001,"Overflow, remote",2026-01-02,Example,"rce,kev"
CVE-2026-0002,,2026-01-03 10:00:00,,
,no name,2026-01-04,Example,
{"X" * 101},too long,2026-01-05,Example,
"""
COLUMNS = GroupMap(
    type="Vulnerability",
    name="id",
    description="what",
    first_seen="when",
    tags="labels",
    attributes={"vendor": "Vendor"},
)


def test_records_become_groups_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "kev.csv"
    path.write_text(FEED)
    result = normalise_groups(open_feed(path), COLUMNS, owner="Mine", tags=["kev"])
    assert result.groups.schema == GROUPS
    first, second = result.groups.to_pylist()
    assert (first["type"], first["name"], first["description"]) == (
        "Vulnerability",
        "CVE-2026-0001",
        "Overflow, remote",
    )
    assert first["first_seen"] == datetime(2026, 1, 2, tzinfo=UTC)
    assert [tag["name"] for tag in first["tags"]] == ["kev", "rce"]
    assert [(one["type"], one["value"]) for one in first["attributes"]] == [("Vendor", "Example")]
    assert (first["origin"]["file"], first["origin"]["row"], first["origin"]["raw"]) == (str(path), 2, "CVE-2026-0001")
    assert second["description"] is None
    assert second["attributes"] == []
    assert [tag["name"] for tag in second["tags"]] == ["kev"]


def test_every_record_is_a_group_or_a_reject(tmp_path: Path) -> None:
    path = tmp_path / "kev.csv"
    path.write_text(FEED)
    result = normalise_groups(open_feed(path), COLUMNS, owner="Mine")
    assert result.rows_read == 4 == result.groups.num_rows + result.rejects.num_rows
    assert result.rejected == {"empty-value": 1, "too-long": 1}
    assert [(row["row"], row["code"]) for row in result.rejects.to_pylist()] == [(4, "empty-value"), (5, "too-long")]


def test_a_column_that_is_gone_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kev.csv"
    path.write_text(FEED.replace("vendor", "maker"))
    with pytest.raises(FeedError, match="vendor"):
        normalise_groups(open_feed(path), COLUMNS, owner="Mine")
