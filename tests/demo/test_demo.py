"""The demo, from one command to its report."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pytest
from shared_feeds import FEEDS, needs_feeds


def run_demo(*arguments: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TC_", "AIRFLOW"))}
    return subprocess.run(
        [sys.executable, "-c", "from tcetl.cli import main; main()", "demo", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of one finished demo with its own feed."""
    out = tmp_path_factory.mktemp("demo") / "out"
    done = run_demo("--seed-count", "3000", "--out", out, cwd=out.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("rows read", "rejected", "duplicates", "succeeded", "failed", "in the lake", "SIEM lines", "seconds"):
        assert word in done.stdout
    assert str(out / "report.html") in done.stdout.replace("\n", "")
    assert done.stderr.count("✓") == 7, done.stderr
    assert "Traceback" not in done.stderr
    return out


@pytest.fixture(scope="module")
def summary(demo: Path) -> dict[str, Any]:
    """The demo's summary."""
    found: dict[str, Any] = json.loads((demo / "summary.json").read_bytes())
    return found


def test_every_row_is_accounted_for(summary: dict[str, Any]) -> None:
    load = summary["load"]
    unloaded = sum(load["rejected"].values()) + load["duplicates"] + load["failed"]
    assert load["rows_read"] == load["succeeded"] + unloaded == 12_291
    assert load["failed"] == 5
    assert load["duplicates"] == 240
    assert summary["reconciles"] is True
    assert all(check["holds"] for check in summary["checks"])
    assert {"rejected, by reason = planted in the feed"} <= {check["claim"] for check in summary["checks"]}


def test_the_lake_holds_what_the_platform_holds(summary: dict[str, Any]) -> None:
    query = f"SELECT type, count(*) FROM '{summary['lake']['dataset']['path']}/*.parquet' GROUP BY type"
    counted = dict(duckdb.sql(query).fetchall())
    assert counted == summary["platform"]["by_type"]
    platform = summary["platform"]
    assert platform["before"] == 3000
    assert sum(counted.values()) == platform["before"] + platform["new"]
    assert platform["new"] + platform["updated"] == summary["load"]["succeeded"]


def test_the_rejects_name_their_lines(demo: Path, summary: dict[str, Any]) -> None:
    lines = (demo / "feed.csv").read_text().splitlines()
    query = f"SELECT \"row\", raw, code FROM '{summary['load']['rejects_path']}' WHERE stage <> 'duplicate'"
    rejects = duckdb.sql(query).fetchall()
    assert len(rejects) == 51
    for row, raw, code in rejects:
        assert (raw or "") in lines[row - 1], code


def test_the_siem_files_have_one_line_per_indicator(demo: Path, summary: dict[str, Any]) -> None:
    rows = sum(summary["platform"]["by_type"].values())
    assert (demo / "siem" / "indicators.cef").read_bytes().count(b"\n") == rows
    assert (demo / "siem" / "indicators.ndjson").read_bytes().count(b"\n") == rows
    assert duckdb.sql(f"SELECT count(*) FROM read_csv('{demo}/siem/indicators.csv')").fetchall() == [(rows,)]


class _Page(HTMLParser):
    """Collects ids, references, figures and elements that load something."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"]] if given.get("id") else []  # type: ignore[list-item]
        self.links += [value for name, value in attrs if name in {"src", "href"} and value]


def test_the_report_stands_alone(demo: Path) -> None:
    page = _Page()
    text = (demo / "report.html").read_text()
    page.feed(text)
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("svg") == page.tags.count("figure") == page.tags.count("figcaption") == 3
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "url(http" not in text
    assert "@import" not in text
    for link in page.links:
        assert (demo / unquote(link)).exists(), f"{link} leads nowhere"
    assert "<html lang=" in text
    assert "prefers-color-scheme: dark" in text
    assert "All counts reconcile" in text


def test_no_secret_in_what_is_left_behind(demo: Path) -> None:
    for path in demo.rglob("*"):
        if path.is_file():
            assert b"emulator-secret-key" not in path.read_bytes(), path


def test_a_feed_of_ones_own_with_a_refused_record(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("c2.example.net:443\nwww.excluded.example\nnot an indicator\n")
    done = run_demo("--feed", "mine.txt", "--seed-count", "0", "--out", "out", "--json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "error: the platform refused 1 record" in done.stderr
    load = json.loads(done.stdout)["load"]
    assert (load["rows_read"], load["succeeded"], load["failed"]) == (3, 1, 1)
    assert load["notes"] == ["1 values had a port, which is no part of the indicator and was left off (row 1)"]
    assert f"<li>{load['notes'][0]}</li>" in (tmp_path / "out" / "report.html").read_text()


@needs_feeds
def test_the_real_urlhaus_feed(tmp_path: Path) -> None:
    feed = FEEDS / "urlhaus.csv"
    done = run_demo("--feed", feed, "--seed-count", "0", "--out", "out", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["load"]["rows_read"] == summary["load"]["succeeded"] == 6000
    assert summary["platform"]["by_type"] == summary["lake"]["by_type"] == {"URL": 6000}
