"""A feed goes up, the bulk report comes down: what a stranger reads from the lake is what the platform holds."""

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import requests

from tcetl.client import ThreatConnect
from tcetl.config import Settings
from tcetl.emulator import Emulator
from tcetl.pipeline import bulk_to_lake, load_feed

FEED = """\
indicator,type,tags,confidence
http://drop.example.com/a?b=%20%22x,url,"demo,loader",70
hxxps://drop[.]example[.]com/ü,url,demo,
c2.example.net,domain,"Büro, ""quoted"" x",0
198.51.100.7,ip,demo,100
44d88612fea8a8f36de82e1278abb02f,md5,demo,5
"""
KEYS = ("id", "type", "summary", "rating", "confidence", "web_link", "description", "active", "observation_count")


def held(emulator: Emulator) -> list[dict[str, Any]]:
    """All that the platform lists, by its API and none of our code; without labels, which no bulk report has."""
    answer = requests.get(
        f"{emulator.url}/v2/indicators",
        params={
            "owner": emulator.SOURCE,
            "resultLimit": 10_000,
            "includes": ["additional", "attributes", "tags"],
        },
        headers={"Authorization": f"TC-Token {emulator.token}"},
        timeout=30,
    )
    answer.raise_for_status()
    items: list[dict[str, Any]] = answer.json()["data"]["indicator"]
    return items


def as_row(item: dict[str, Any]) -> tuple[Any, ...]:
    names = {"web_link": "webLink", "observation_count": "observationCount"}
    return (
        *(item.get(names.get(key, key)) for key in KEYS),
        *(datetime.fromisoformat(item[key]).timestamp() for key in ("dateAdded", "lastModified")),
        sorted(tag["name"] for tag in item.get("tag", [])),
        [(entry["type"], entry["value"]) for entry in item.get("attribute", [])],
    )


def test_duckdb_reads_what_the_platform_holds(tc_emulator: Emulator, tmp_path: Path) -> None:
    tc_emulator.seed(tc_emulator.SOURCE, 1500)
    (tmp_path / "feed.csv").write_text(FEED)
    settings = Settings(base_url=tc_emulator.url, access_id=tc_emulator.access_id, secret_key=tc_emulator.secret_key)
    with ThreatConnect(settings) as tc:
        report = load_feed(tc, tmp_path / "feed.csv", tc_emulator.SOURCE, tmp_path / "run")
        assert (report.succeeded, report.rejected, report.duplicates) == (5, {}, 0)
        dataset = bulk_to_lake(tc, tc_emulator.SOURCE, tmp_path / "lake", run_id="r", run_now=True)
    query = f"""
        SELECT {", ".join(KEYS)}, epoch(date_added), epoch(last_modified),
            list_sort(list_transform(tags, lambda t: t.name)),
            list_transform(attributes, lambda a: (a.type, a.value))
        FROM read_parquet('{dataset.path}/*.parquet') ORDER BY id
    """
    read = duckdb.sql(query).fetchall()
    assert len(read) == 1505
    assert read == [as_row(item) for item in sorted(held(tc_emulator), key=lambda item: item["id"])]
