"""Mixed loads against the emulator: all kinds of records, waves, files, deletes, refusals and their retry."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_platform import hosts, indicators
from mixed import associations, groups, labels, named_groups, occurrences
from typer.testing import CliRunner

from tcetl.cli.app import app
from tcetl.client import ThreatConnect
from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError, RejectedRecordsError
from tcetl.load import KindCounts, LoadReport, Run, plan, retry, steps, submit, submit_chunks
from tcetl.load.preview import preview
from tcetl.pipeline import load_tables
from tcetl.schema import REJECTS

if TYPE_CHECKING:
    from tcetl.emulator import Emulator

OWNER = "Demo Source"
DRIVER = Path(__file__).with_name("killed_load.py")
UPLOADS = "/v2/groups/*/*/upload"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 0.5)
    monkeypatch.setattr(sys.modules["tcetl.load.submit"], "POLL", (0.02, 0.2))


@pytest.fixture
def tc(tc_emulator: "Emulator") -> Iterator[ThreatConnect]:
    with ThreatConnect(
        base_url=tc_emulator.url, access_id=tc_emulator.access_id, secret_key=tc_emulator.secret_key
    ) as connection:
        yield connection


def planned(path: Path, table: pa.Table | None = None, *, max_records: int = 10_000, **given: Any) -> Run:
    job = BatchSettings(owner=OWNER, **given.pop("settings", {}))
    table = hosts(0) if table is None else table
    return plan(table, REJECTS.empty_table(), path, settings=job, counts={}, max_records=max_records, **given)


def linked(emulator: "Emulator", xid: str) -> int:
    found = emulator.group(OWNER, xid)
    assert found is not None
    return len(found["links"])


def everything(tmp_path: Path) -> dict[str, pa.Table]:
    """A load of every kind of record, with a ring of groups that refer to each other."""
    (tmp_path / "paper.pdf").write_bytes(b"%PDF paper")
    (tmp_path / "sample.zip").write_bytes(b"PK\x03\x04\x14\x00\x01\x00 infected")
    ring = [((None, f"xid-{n:02}"), (None, f"xid-{(n + 1) % 7:02}")) for n in range(7)]
    return {
        "groups": pa.concat_tables(
            [
                named_groups(7, tags=[{"name": "ring"}], security_labels=["House"]),
                groups(
                    {
                        "type": "Report",
                        "name": "Paper",
                        "file_name": "paper.pdf",
                        "content": str(tmp_path / "paper.pdf"),
                    },
                    {
                        "type": "Document",
                        "name": "Sample",
                        "xid": "sample",
                        "file_name": "sample.zip",
                        "malware": True,
                        "password": "infected",
                        "content": str(tmp_path / "sample.zip"),
                    },
                ),
            ]
        ),
        "associations": pa.concat_tables(
            [
                associations(
                    *ring,
                    (("Report", "Paper"), ("Document", "sample")),
                    *((("Host", f"host-{n:05}.example"), (None, "xid-00")) for n in range(5)),
                    ((None, "sample"), ("File", "0" * 32)),
                ),
                associations(
                    (("URL", "http://host-00000.example/x"), ("Host", "host-00000.example")),
                    association_type="URL Host",
                ),
            ]
        ),
        "occurrences": occurrences({"summary": "0" * 32, "file_name": "a.exe", "path": "/tmp"}),
        "labels": labels(("House", "00FF00", "For the house")),
    }


def all_indicators() -> pa.Table:
    return pa.concat_tables([hosts(5), indicators([("File", "0" * 32), ("URL", "http://host-00000.example/x")])])


def check_everything(tc: ThreatConnect, emulator: "Emulator", report: LoadReport) -> None:
    assert report.kinds == {
        "group": KindCounts(sent=9, succeeded=9),
        "indicator": KindCounts(sent=7, succeeded=7),
        "association": KindCounts(sent=15, succeeded=15),
        "file": KindCounts(sent=2, succeeded=2),
    }
    assert (report.sent, report.succeeded, report.unaccounted, report.added, report.merged) == (33, 33, 0, 2, 1)
    assert report.rows_read + report.added == report.sent + report.merged
    assert emulator.group_counts(OWNER) == {"Document": 1, "Report": 1, "Threat": 7}
    assert [linked(emulator, f"xid-{n:02}") for n in range(7)] == [7, 2, 2, 2, 2, 2, 2]
    assert linked(emulator, "sample") == 2
    file = emulator.indicator(OWNER, "File", "0" * 32)
    assert file is not None
    assert file["occurrences"] == [{"fileName": "a.exe", "path": "/tmp"}]
    with tc.files.download(OWNER, "Document", "sample") as stream:
        assert stream.read() == b"PK\x03\x04\x14\x00\x01\x00 infected"
    group = emulator.group(OWNER, "xid-03")
    assert group is not None
    assert [label["name"] for label in group["labels"]] == ["House"]


@pytest.mark.parametrize("max_records", [3, 10_000])
def test_everything_is_loaded_in_waves(
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path, max_records: int
) -> None:
    run = planned(tmp_path / "run", all_indicators(), max_records=max_records, **everything(tmp_path))
    check_everything(tc, tc_emulator, submit(tc, run, in_flight=4))
    waves = Counter(chunk.wave for chunk in run.chunks)
    assert waves == ({0: 6, 1: 6} if max_records == 3 else {0: 2, 1: 2})
    ends = {0: [r.completed_at for r in run.receipts() if run.chunks[r.chunk].wave == 0]}
    begins = [r.created_at for r in run.receipts() if run.chunks[r.chunk].wave == 1]
    assert max(filter(None, ends[0])) <= min(filter(None, begins))


def test_loading_again_changes_nothing(tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path) -> None:
    given = everything(tmp_path)
    for name in ("first", "second"):
        check_everything(tc, tc_emulator, submit(tc, planned(tmp_path / name, all_indicators(), **given)))
    assert tc_emulator.group_counts(OWNER) == {"Document": 1, "Report": 1, "Threat": 7}


def test_tables_are_loaded_by_one_function(tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path) -> None:
    tables = everything(tmp_path) | {"indicators": all_indicators()}
    first = load_tables(tc, OWNER, tmp_path / "run", **tables)
    check_everything(tc, tc_emulator, first)
    assert load_tables(tc, OWNER, tmp_path / "run") == first
    with pytest.raises(LoadError, match="holds a load with action 'Create', not 'Delete'"):
        load_tables(tc, OWNER, tmp_path / "run", settings=BatchSettings(owner=OWNER, action="Delete"))


def test_groups_are_deleted_by_xid_and_indicators_by_value(
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path
) -> None:
    given = everything(tmp_path)
    submit(tc, planned(tmp_path / "create", all_indicators(), **given))
    again = {"groups": given["groups"].slice(0, 8), "settings": {"action": "Delete"}}
    report = submit(tc, planned(tmp_path / "delete", all_indicators(), **again))
    assert report.kinds == {"group": KindCounts(sent=8, succeeded=8), "indicator": KindCounts(sent=7, succeeded=7)}
    assert (tc_emulator.group_counts(OWNER), tc_emulator.counts(OWNER)) == ({"Document": 1}, {})
    run = planned(tmp_path / "again", hosts(1), **again)
    with pytest.raises(RejectedRecordsError, match="9 of 9 records"):
        submit(tc, run)
    rows = pq.read_table(run.rejects_path).to_pylist()
    assert {row["code"] for row in rows} == {"0x1007"}
    assert run.report().unattributed == 0


def refusing(tmp_path: Path) -> Run:
    """A load where something of every kind is refused, three records to a job."""
    (tmp_path / "no.zip").write_bytes(b"MZ")
    document = {"type": "Document", "file_name": "x"}
    table = groups(
        {"type": "Incident", "name": "Bad status", "xid": "bad-status", "status": "Lost"},
        {"type": "Incident", "name": "Fine", "xid": "fine", "status": "Open"},
        {"type": "Signature", "name": "Bad type", "file_name": "x", "file_text": "x", "file_type": "Prose"},
        {"type": "Threat", "name": "Partly", "xid": "partly", "attributes": [{"type": "No such type", "value": "x"}]},
        document
        | {"name": "Malware", "xid": "mal", "malware": True, "password": "p", "content": str(tmp_path / "no.zip")},
        document | {"name": "Gone", "xid": "gone", "content": str(tmp_path / "nowhere")},
        {"type": "Report", "name": "Bad date?", "xid": "r", "file_name": "x", "insights": "x", "ai_provider": "y"},
    )
    joined = associations(
        ((None, "fine"), (None, "bad-status")),
        ((None, "fine"), ("Host", "host-00000.example")),
        ((None, "fine"), ("Host", "bad host")),
        ((None, "fine"), (None, 4711)),
        (("Host", "host-00001.example"), (None, "partly")),
    )
    bad = indicators([("Host", "bad host")])
    return planned(
        tmp_path / "run", pa.concat_tables([hosts(2), bad]), groups=table, associations=joined, max_records=3
    )


def test_every_refusal_finds_its_row_and_is_retried_in_waves(
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path
) -> None:
    run = refusing(tmp_path)
    with pytest.raises(RejectedRecordsError, match="8 of 17 records"):
        submit(tc, run)
    report = run.report()
    assert (report.unattributed, report.unaccounted, report.warnings) == (0, 0, 1)
    rows = pq.read_table(run.rejects_path).to_pylist()
    assert {(row["kind"], row["file"], row["row"], row["code"]) for row in rows} == {
        ("group", "groups", 1, "0x1006"),
        ("group", "groups", 3, "0x1006"),
        ("group", "groups", 4, "0x2002"),
        ("indicator", "feed.csv", 1, "0x1005"),
        ("association", "associations", 1, "0x1009"),
        ("association", "associations", 3, "0x1009"),
        ("association", "associations", 4, "0x1009"),
        ("file", "groups", 5, "file-upload"),
        ("file", "groups", 6, "file-upload"),
    }
    by_row = {(row["kind"], row["row"]): row for row in rows}
    assert "protected ZIP" in by_row["file", 5]["reason"]
    assert "cannot be read: No such file or directory" in by_row["file", 6]["reason"]
    assert by_row["group", 1]["xid"] == "bad-status"
    assert by_row["association", 4]["summary"] == "Incident fine - Group #4711"

    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04\x14\x00\x01\x00")
    (tmp_path / "nowhere").write_bytes(b"here now")
    mend(
        run,
        {
            "bad-status": ('""Lost""', '""Open""'),
            '""Prose""': ('""Prose""', '""YARA""'),
            "bad host": ("bad host", "host-00009.example"),
        },
        without="4711",
    )
    again = retry(run.path, tmp_path / "again", max_records=3)
    assert [(chunk.kind, chunk.wave, chunk.records) for chunk in again.chunks] == [
        ("group", 0, 2),
        ("indicator", 0, 1),
        ("association", 1, 2),
        ("file", 1, 2),
    ]
    done = submit(tc, again)
    assert (done.rows_read, done.sent, done.rejected) == (8, 7, {"removed": 1})
    incident = tc_emulator.group(OWNER, "bad-status")
    assert incident is not None
    assert incident["fields"]["status"] == "Open"
    assert linked(tc_emulator, "fine") == 3
    with tc.files.download(OWNER, "Document", "gone") as stream:
        assert stream.read() == b"here now"


def mend(run: Run, changes: dict[str, tuple[str, str]], *, without: str) -> None:
    """Edit rejects.csv as text: in lines that have a key of *changes*, its replacement; no lines with *without*."""
    lines = [line for line in run.rejects_text_path.read_text().splitlines(keepends=True) if without not in line]
    for key, (old, new) in changes.items():
        lines = [line.replace(old, new) if key in line else line for line in lines]
    run.rejects_text_path.write_text("".join(lines))


def test_files_of_groups_that_were_not_loaded_are_left(
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"x")
    row = {"type": "Document", "file_name": "x", "content": str(tmp_path / "x")}
    run = planned(tmp_path / "run", groups=groups(*(row | {"name": f"D{n}", "xid": f"d{n}"} for n in range(3))))
    tc_emulator.add_fault("job_half", route="/v2/batch/*", method="POST", fraction=0.34)
    with pytest.raises(RejectedRecordsError, match="4 of 6 records"):
        submit(tc, run)
    rows = pq.read_table(run.rejects_path).to_pylist()
    assert [(row["kind"], row["xid"], row["code"]) for row in rows] == [
        ("group", "d1", "0x1004"),
        ("group", "d2", "unprocessed"),
        ("file", "d1", "unprocessed"),
        ("file", "d2", "unprocessed"),
    ]
    assert rows[2]["reason"] == "its group was not loaded"
    assert len(tc_emulator.journal(UPLOADS)) == 1
    assert submit(tc, retry(run.path, tmp_path / "again")).succeeded == 4
    assert len(tc_emulator.journal(UPLOADS)) == 3


def one_document(tmp_path: Path) -> Run:
    (tmp_path / "x").write_bytes(b"x" * 1000)
    row = {"type": "Document", "name": "D", "xid": "d", "file_name": "x", "content": str(tmp_path / "x")}
    return planned(tmp_path / "run", groups=groups(row))


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "status": 502}])
@pytest.mark.parametrize(("when", "sent"), [("before", 2), ("after", 1)])
def test_a_file_of_unknown_outcome_is_asked_for_before_it_is_sent_again(  # noqa: PLR0917
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path, fault: dict[str, Any], when: str, sent: int
) -> None:
    tc_emulator.add_fault(**fault, route=UPLOADS, when=when)
    assert submit(tc, one_document(tmp_path)).succeeded == 2
    assert len(tc_emulator.journal(UPLOADS)) == sent
    with tc.files.download(OWNER, "Document", "d") as stream:
        assert stream.read() == b"x" * 1000


def test_a_file_that_the_platform_cannot_take_fails_by_itself(
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path
) -> None:
    tc_emulator.add_fault("status", route=UPLOADS, status=500, count=None)
    run = one_document(tmp_path)
    with pytest.raises(RejectedRecordsError, match="1 of 2 records"):
        submit(tc, run)
    assert run.report().refused == {"file-upload": 1}
    assert len(tc_emulator.journal(UPLOADS)) == 3
    tc_emulator.clear_faults()
    again = retry(run.path, tmp_path / "again")
    assert [chunk.kind for chunk in again.chunks] == ["file"]
    assert submit(tc, again).succeeded == 1


def test_chunks_of_a_later_wave_wait_for_whoever_has_the_earlier_ones(tc: ThreatConnect, tmp_path: Path) -> None:
    run = planned(
        tmp_path / "run", groups=named_groups(2), associations=associations(((None, "xid-00"), (None, "xid-01")))
    )
    with pytest.raises(LoadError, match=r"is not done after 0\.3 s; no job is open"):
        submit_chunks(tc, run, [1], timeout=0.3)
    assert run.receipts([1])[0].phase == "planned"
    assert submit_chunks(tc, run, [0]).done
    assert submit_chunks(tc, run, [1]).succeeded == 1


MOMENTS = [
    ("after upload", 1),
    ("before upload", 3),  # of the associations
    ("after upload", 3),
    ("after receipts/00003.json", 1),
    ("after 00003/00000.json", 1),
    ("before file upload", 1),
    ("after file upload", 1),
    ("after 00003/00001.json", 2),
    ("before run/report.json", 1),
]


@pytest.mark.parametrize(("moment", "nth"), MOMENTS)
def test_killed_at_any_step_it_loads_everything_once(
    tc: ThreatConnect, tc_emulator: "Emulator", tmp_path: Path, moment: str, nth: int
) -> None:
    run = planned(tmp_path / "run", all_indicators(), **everything(tmp_path))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TC_")},
        "TC_API_URL": tc_emulator.url,
        "TC_ACCESS_ID": tc_emulator.access_id,
        "TC_SECRET_KEY": tc_emulator.secret_key,
    }
    command = [sys.executable, str(DRIVER), str(run.path), moment, str(nth)]
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, f"{moment} ({nth}) never came: {killed.stderr}"
    check_everything(tc, tc_emulator, submit(tc, run))
    posts = tc_emulator.journal("/v2/batch/*", method="POST")
    assert sum(post["status"] == 202 for post in posts) == 3
    files = [(entry["path"], entry["status"]) for entry in tc_emulator.journal(UPLOADS)]
    assert len(files) == 2
    assert {status for _, status in files} == {200}


def test_a_dry_run_tells_jobs_and_file_uploads_apart(tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("the text of a report")
    documents = named_groups(3, "Document", content=str(tmp_path / "report.txt"), file_name="report.txt")
    run = planned(tmp_path / "run", hosts(2), groups=documents)
    shown = preview(run)
    assert (shown.jobs, shown.files) == (2, 3)
    assert shown.bytes == sum(chunk.bytes for chunk in run.chunks if chunk.kind != "file")
    told = CliRunner().invoke(app, ["batch", "resume", str(run.path), "--dry-run"], env={"COLUMNS": "200"})
    assert re.search(r"in +2 jobs, \d+ bytes *\nbeside them +3 file uploads", told.stdout)
