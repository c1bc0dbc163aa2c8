from collections import Counter
from pathlib import Path

import pyarrow.compute as pc

from tcetl.demo.planted import EXCLUDED, plant
from tcetl.feeds import open_feed
from tcetl.transform import normalise


def test_exactly_the_planted_rows_are_rejected(tmp_path: Path) -> None:
    planted = plant(tmp_path / "feed.csv")
    normalised = normalise(open_feed(planted.path), owner="Demo Source")
    counts = normalised.counts
    assert counts.rows_read == planted.rows
    assert counts.rejected == planted.rejected
    assert counts.duplicates == planted.duplicates
    assert sum(counts.indicators.values()) == planted.loaded + planted.refused
    assert len(counts.indicators) == 12, "every type occurs"
    assert set(EXCLUDED) <= set(normalised.indicators["summary"].to_pylist())


def test_the_feed_is_the_same_every_time(tmp_path: Path) -> None:
    assert plant(tmp_path / "a.csv").path.read_bytes() == plant(tmp_path / "b.csv").path.read_bytes()


def test_only_reserved_names_occur(tmp_path: Path) -> None:
    normalised = normalise(open_feed(plant(tmp_path / "feed.csv").path), owner="Demo Source")
    table = normalised.indicators
    hosts = table.filter(pc.field("type") == "Host")["summary"].to_pylist()
    assert Counter(host.rpartition(".")[2] for host in hosts).keys() <= {"net", "example"}
    assert all(host.endswith((".example.net", ".example")) for host in hosts)
    addresses = table.filter(pc.field("type") == "Address")["summary"].to_pylist()
    assert all(address.startswith(("198.51.100.", "2001:db8:")) for address in addresses)
