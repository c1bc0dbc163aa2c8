"""``tcetl batch``: where a load stands, what was refused, going on and trying again."""

import csv
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tcetl.emulator import Emulator
from tcetl.load import Run

Tcetl = Callable[..., Result]

FEED = "indicator,type\nwww.excluded.example,domain\nc2.example.net,domain\nd3.excluded.example,domain\n999.1.1.1,ip\n"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["tcetl.load.submit"], "POLL", (0.02, 0.2))


@pytest.fixture
def refused(tcetl: Tcetl, connection: dict[str, str], tmp_path: Path) -> Path:
    """A load of three records, two of which the platform refused; a fourth row was none."""
    (tmp_path / "feed.csv").write_text(FEED)
    loaded = tcetl("load", "feed.csv", "--run-dir", "run", env=connection)
    assert loaded.exit_code == 3
    assert "tcetl batch errors run" in loaded.stderr
    assert "tcetl batch retry run" in loaded.stderr
    return tmp_path / "run"


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_status_of_a_load_that_lost_records(tcetl: Tcetl, refused: Path) -> None:
    now = told(tcetl("batch", "status", "run", "--json"))["standing"]
    assert (now["state"], now["records"], now["succeeded"], now["failed"]) == ("incomplete", 3, 1, 2)
    assert (now["open_jobs"], now["holders"], now["retried_in"]) == ([], [], None)
    shown = tcetl("batch", "status", "run", env={"COLUMNS": "80"}).stdout
    assert "2 of 3 records were not loaded (0x1001: 2)" in shown
    assert "tcetl batch retry run" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_notes_on_the_feed_are_kept_and_shown(tcetl: Tcetl, connection: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("ip,seen\n198.51.100.7:443,2026-01-01\n")
    (tmp_path / "mine.toml").write_text(
        "title='x'\nprovider='x'\nhomepage='x'\nlicence='x'\nevery='1d'\nformat='csv'\nurl='mine.csv'\n"
        "[columns]\nvalue='ip'\n[expect]\nrows=[5, 9]\ncolumns=['ip']\n"
    )
    notes = [
        "drift: column 'seen' is new",
        "drift: 1 rows are not 5 to 9 as usual",
        "1 values had a port, which is no part of the indicator and was left off (row 2)",
    ]
    assert told(tcetl("load", "mine.toml", "--dry-run", "--json", env=connection))["notes"] == notes
    assert told(tcetl("load", "mine.toml", "--run-dir", "run", "--json", env=connection))["notes"] == notes
    assert json.loads((tmp_path / "run" / "report.json").read_bytes())["notes"] == notes
    assert told(tcetl("batch", "status", "run", "--json"))["standing"]["notes"] == notes
    for command in (("batch", "status", "run"), ("load", "mine.toml", "--run-dir", "run")):
        assert notes[0] in tcetl(*command, env=connection).stdout


def test_errors_by_reason_with_examples(tcetl: Tcetl, refused: Path) -> None:
    complaints = told(tcetl("batch", "errors", "run", "--json"))
    assert [(one["code"], one["count"], one["reason"]) for one in complaints] == [
        ("0x1001", 2, "… is excluded by an exclusion list."),
        ("bad-address", 1, "'…' is not an IPv4 or IPv6 address"),
    ]
    assert {(one["file"], one["row"]) for one in complaints[0]["examples"]} == {("feed.csv", 2), ("feed.csv", 4)}
    shown = tcetl("batch", "errors", "run", env={"COLUMNS": "80"}).stdout
    assert "feed.csv:4" in shown
    assert max(map(len, shown.splitlines())) <= 80
    rows = list(csv.DictReader(io.StringIO(tcetl("batch", "errors", "run", "--code", "0X1001", "--csv").stdout[1:])))
    assert {row["summary"] for row in rows} == {"www.excluded.example", "d3.excluded.example"}
    assert {row["letter"] for row in rows} == {"2", "3"}
    none = tcetl("batch", "errors", "run", "--unattributed")
    assert (none.exit_code, none.stdout) == (0, "run has none such.\n")
    assert told(tcetl("batch", "errors", "run", "--severity", "warning", "--json")) == []


def test_show_a_run_a_chunk_and_a_record(tcetl: Tcetl, refused: Path) -> None:
    shown = tcetl("batch", "show", "run", env={"COLUMNS": "80"}).stdout
    assert "attributeWriteType Replace" in shown
    assert "Host: 3" in shown
    assert told(tcetl("batch", "show", "run", "--json"))["chunks"][0]["types"] == {"Host": 3}
    chunk = told(tcetl("batch", "show", "run", "--chunk", "0", "--rows", "2", "--json"))
    assert [record["hostName"] for record in chunk["records"]] == ["c2.example.net", "d3.excluded.example"]
    assert tcetl("batch", "show", "run", "--chunk", "1").exit_code == 1

    def outcome(value: str) -> str:
        (one,) = told(tcetl("batch", "show", "run", "--record", value, "--json"))
        return str(one["outcome"])

    assert outcome("C2.example.NET") == "loaded"
    assert outcome("www.excluded.example").startswith("not loaded: 0x1001")
    assert outcome("999.1.1.1").startswith("not sent: bad-address")
    assert "feed.csv:2" in tcetl("batch", "show", "run", "--record", "www.excluded.example").stdout
    unknown = tcetl("batch", "show", "run", "--record", "nobody.example")
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (1, 2)


def test_retry_after_mending_and_again(
    tcetl: Tcetl, connection: dict[str, str], refused: Path, tc_emulator: Emulator
) -> None:
    path = refused / "rejects.csv"
    path.write_bytes(path.read_bytes().replace(b",www.excluded.example,0,", b",www.mended.example,0,"))
    again = tcetl("batch", "retry", "run", env=connection)
    assert again.exit_code == 3
    assert "1 of 2 records" in again.stderr
    assert tc_emulator.indicator("Demo Source", "Host", "www.mended.example") is not None
    assert "run-retry-1" in tcetl("batch", "status", "run").stdout

    path = Path("run-retry-1/rejects.csv")
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(row for row in rows if b"d3.excluded" not in row))
    last = told(tcetl("batch", "retry", "run-retry-1", "--json", env=connection))
    assert (last["rows_read"], last["sent"], last["rejected"]) == (1, 0, {"removed": 1})
    generations = told(tcetl("batch", "status", "run-retry-1", "--json"))["standing"]["generations"]
    assert [(one["owed"], one["mended"], one["removed"], one["sent"], one["left"]) for one in generations] == [
        (4, 0, 0, 3, 2),
        (2, 1, 0, 2, 1),
        (1, 0, 1, 0, 0),
    ]
    assert "mended by hand" in tcetl("batch", "show", "run-retry-1").stdout
    assert "set aside" in tcetl("batch", "status", "run-retry-2", env={"COLUMNS": "80"}).stdout
    nothing = tcetl("batch", "retry", "run-retry-2", env=connection)
    assert (nothing.exit_code, "nothing to retry" in nothing.stderr) == (1, True)


def test_within_the_threshold_a_load_is_a_success(tcetl: Tcetl, connection: dict[str, str], refused: Path) -> None:
    assert tcetl("batch", "resume", "run", env=connection).exit_code == 3
    assert tcetl("batch", "resume", "run", "--max-errors", "2", env=connection).exit_code == 0
    assert tcetl("batch", "resume", "run", "--max-errors", "10%", env=connection).exit_code == 3
    wrong = tcetl("batch", "resume", "run", "--max-errors", "a few", env=connection)
    assert (wrong.exit_code, "--max-errors" in wrong.stderr) == (2, True)


def test_a_stuck_job_is_seen_abandoned_and_retried(
    tcetl: Tcetl, connection: dict[str, str], tc_emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "feed.csv").write_text("domain\na.example\nb.example\nc.example\n")
    tc_emulator.add_fault("job_stuck", route="/v2/batch/*", method="POST")
    options = ("--run-dir", "run", "--max-records", "2", "--in-flight", "1", "--stuck-after", "1")
    stuck = tcetl("load", "feed.csv", *options, env=connection)
    assert stuck.exit_code == 1
    assert "tcetl batch abandon" in stuck.stderr

    now = told(tcetl("batch", "status", "run", "--refresh", "--json", env=connection))
    assert (now["standing"]["state"], now["standing"]["phases"]) == ("interrupted", {"uploaded": 1, "planned": 1})
    assert [(job["id"], job["status"]) for job in now["live"]] == [(now["standing"]["open_jobs"][0], "Running")]
    assert "uploaded: Running" in tcetl("batch", "status", "run", "--refresh", env=connection).stdout

    abandoned = tcetl("batch", "abandon", "run", env=connection)
    assert "tcetl batch resume run" in abandoned.stdout
    assert tcetl("batch", "resume", "run", "--stuck-after", "9", env=connection).exit_code == 3
    assert "abandoned" in tcetl("batch", "errors", "run").stdout
    assert told(tcetl("batch", "retry", "run", "--json", env=connection))["succeeded"] == 2
    assert tc_emulator.counts("Demo Source") == {"Host": 3}


def test_status_needs_no_platform_and_says_who_is_at_work(tcetl: Tcetl, refused: Path) -> None:
    Path("run/report.json").unlink()
    assert told(tcetl("batch", "status", "run", "--json"))["standing"]["state"] == "answered"
    with Run.open("run").exclusive():
        now = told(tcetl("batch", "status", "run", "--json"))["standing"]
        assert (now["state"], now["holders"][0][1]) == ("under way", os.getpid())
        assert f"process {os.getpid()}" in tcetl("batch", "status", "run").stdout
    assert told(tcetl("batch", "errors", "run", "--json"))[0]["count"] == 2, "known before the load has ended"


@pytest.mark.parametrize("command", ["status", "show", "errors", "resume", "retry", "abandon"])
def test_a_directory_that_holds_no_load(tcetl: Tcetl, connection: dict[str, str], command: str) -> None:
    result = tcetl("batch", command, "nowhere", env=connection)
    assert result.exit_code == 1
    assert "nowhere holds no planned load" in result.stderr
    assert not Path("nowhere").exists()


def test_settings_reach_the_platform(tcetl: Tcetl, connection: dict[str, str], tc_emulator: Emulator) -> None:
    Path("feed.txt").write_text("a.example\n")
    options = [
        *("--action", "delete", "--halt-on-error", "--attribute-write-type", "SINGLETON", "--tag-write-type", "append"),
        *("--security-label-write-type", "Append", "--file-merge-mode", "Distribute", "--playbook-triggers"),
        *("--hash-collision-mode", "split", "--max-errors", "1", "--run-dir", "run"),
    ]
    assert tcetl("load", "feed.txt", *options, env=connection).exit_code == 0
    assert told(tcetl("batch", "show", "run", "--json"))["settings"] == {
        "owner": "Demo Source",
        "action": "Delete",
        "haltOnError": True,
        "attributeWriteType": "Singleton",
        "tagWriteType": "Append",
        "securityLabelWriteType": "Append",
        "fileMergeMode": "Distribute",
        "hashCollisionMode": "Split",
        "playbookTriggersEnabled": True,
        "version": "V2",
    }
    again = tcetl("load", "feed.txt", "--run-dir", "run", env=connection)
    assert again.exit_code == 1
    assert "holds a load with action 'Delete', not 'Create'" in again.stderr


def test_dry_runs_show_all_and_write_nothing(
    tcetl: Tcetl, connection: dict[str, str], refused: Path, tc_emulator: Emulator
) -> None:
    posts = len(tc_emulator.journal(method="POST"))
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    load = ("load", "feed.csv", "--tag", "new", "--dry-run")
    shown = tcetl(*load, "--diff", env=connection | {"COLUMNS": "80"})
    assert shown.exit_code == 0, shown.output
    assert "new: 2, changed: 1" in shown.stdout
    assert "tags added" in shown.stdout
    assert max(len(line) for line in shown.stdout.splitlines() if not line.startswith("{")) <= 80
    preview = told(tcetl(*load, "--action", "delete", "--diff", "--json", env=connection))
    assert (preview["records"], preview["diff"]["outcomes"]) == ({"Host": 3}, {"deleted": 1, "not there": 2})
    assert (preview["rejected"], preview["settings"]["action"]) == ({"bad-address": 1}, "Delete")

    path = refused / "rejects.csv"
    path.write_bytes(path.read_bytes().replace(b",www.excluded.example,0,", b",www.mended.example,0,"))
    before[Path("run/rejects.csv")] = path.read_bytes()
    again = tcetl("batch", "retry", "run", "--dry-run")
    assert again.exit_code == 0, "without a diff it needs no connection"
    assert "Host www.mended.example" in again.stdout
    assert "Host: 2" in again.stdout
    assert told(tcetl("batch", "resume", "run", "--dry-run", "--json"))["jobs"] == 0
    alone = tcetl("batch", "retry", "run", "--diff")
    assert (alone.exit_code, "--dry-run" in alone.stderr) == (2, True)
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    assert len(tc_emulator.journal(method="POST")) == posts
