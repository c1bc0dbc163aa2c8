"""Retries: exactly the records that were not loaded, as somebody mended them."""

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_platform import OWNER, FakePlatform, hosts, indicators, name_of
from upath import UPath

from tcetl.client.batch import BatchError, BatchSettings
from tcetl.errors import LoadError, RejectedRecordsError
from tcetl.load import Run, finish, plan, rehearse, retry, steps, submit
from tcetl.schema import REJECTS

submitting = sys.modules["tcetl.load.submit"]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 0.0)
    monkeypatch.setattr(submitting, "POLL", (0.0, 0.0))


def failed(table: pa.Table, path: Path | UPath, platform: FakePlatform | None = None) -> Run:
    run = plan(table, REJECTS.empty_table(), path, settings=BatchSettings(owner=OWNER), counts={}, max_records=4)
    with pytest.raises(RejectedRecordsError):
        submit(platform or FakePlatform(), run)
    return run


def edit(run: Run, change: Callable[[dict[str, str]], dict[str, str] | None]) -> None:
    """Change, or delete, every row of the dead letters as a spreadsheet would."""
    rows = pl.read_csv(run.rejects_text_path.read_bytes(), infer_schema=False)
    kept = [row for row in map(change, rows.rows(named=True)) if row is not None]
    run.rejects_text_path.write_bytes(pl.DataFrame(kept, schema=rows.schema).write_csv().encode())


def sent(run: Run) -> list[dict[str, Any]]:
    return [record for chunk in run.chunks for record in json.loads(run.content(chunk.chunk))["indicator"]]


def test_exactly_what_failed_is_sent_again(tmp_path: Path) -> None:
    parent = failed(hosts(20, 3, 4, 17), tmp_path / "run")
    child = retry(parent.path, tmp_path / "again")
    assert [name_of(record) for record in sent(child)] == [f"bad-{n:05}.example" for n in (3, 4, 17)]
    assert child.settings == parent.settings
    assert child.plan.parent == str(parent.path)
    assert child.counts == {"rows_read": 3, "rejected": {}, "duplicates": 0, "mended": 0}
    assert [row["row"] for row in child.origins(0).to_pylist()] == [4, 5, 18]
    report = submit(FakePlatform(lambda index, record: None), child)
    assert (report.rows_read, report.sent, report.succeeded, report.parent) == (3, 3, 3, str(parent.path))


def test_what_the_platform_left_is_sent_again_too(tmp_path: Path) -> None:
    halting = FakePlatform(lambda index, record: "no" if index == 1 else None, halts=True)
    parent = failed(hosts(4), tmp_path / "run", halting)
    assert (
        len(sent(retry(parent.path, tmp_path / "again"))) == parent.report().failed + parent.report().unprocessed == 3
    )


def test_mended_values_are_canonical_and_all_else_is_kept(tmp_path: Path) -> None:
    table = indicators([("Host", "bad 1"), ("Host", "bad 2"), ("URL", "bad://x")], confidence=40)
    parent = failed(table, tmp_path / "run")
    mends = {"bad 1": ("Host", "GOOD.Example."), "bad 2": ("Address", "192.0.2.7"), "bad://x": ("File", "a" * 32)}

    def mend(row: dict[str, str]) -> dict[str, str]:
        kind, summary = mends[row["summary"]]
        return row | {"type": kind, "summary": summary}

    edit(parent, mend)
    child = retry(parent.path, tmp_path / "again")
    assert sent(child) == [
        {"type": "Address", "summary": "192.0.2.7", "confidence": 40},
        {"type": "File", "summary": "A" * 32, "confidence": 40},
        {"type": "Host", "summary": "good.example", "confidence": 40},
    ]
    assert [row["row"] for row in child.origins(0).to_pylist()] == [2, 3, 1]
    assert submit(FakePlatform(), child).succeeded == 3


def test_the_record_itself_may_be_mended(tmp_path: Path) -> None:
    parent = failed(indicators([("Host", "bad.example"), ("Host", "bad2.example")], confidence=40), tmp_path / "run")

    def mend(row: dict[str, str]) -> dict[str, str]:
        record = json.loads(row["record"]) | {"confidence": 50}
        return row | {"record": json.dumps(record | ({"hostName": "Good.example"} if "2" in row["summary"] else {}))}

    edit(parent, mend)
    assert sent(retry(parent.path, tmp_path / "again")) == [
        {"type": "Host", "hostName": "bad.example", "confidence": 50},
        {"type": "Host", "summary": "good.example", "confidence": 50},
    ]


def test_deleted_rows_and_equal_values_are_accounted_for(tmp_path: Path) -> None:
    parent = failed(hosts(8, 1, 2, 3, 4), tmp_path / "run")

    def mend(row: dict[str, str]) -> dict[str, str] | None:
        return (
            None
            if "00001" in row["summary"]
            else row | {"summary": "same.example" if row["row"] != "5" else "b.example"}
        )

    edit(parent, mend)
    child = retry(parent.path, tmp_path / "again")
    report = submit(FakePlatform(), child)
    assert (report.rows_read, report.sent, report.duplicates, report.rejected) == (4, 2, 1, {"removed": 1})
    rows = pq.read_table(child.rejects_path).to_pylist()
    assert [(row["code"], row["row"], row["severity"]) for row in rows] == [
        ("removed", 2, "info"),
        ("duplicate", 4, "info"),
    ]
    assert "0x1005 bad-00001.example is not a valid Host." in rows[0]["reason"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"summary": "not a host"}, "row 2: .*not a host"),
        ({"type": "Hosts"}, "row 2: 'Hosts' is no indicator type"),
        ({"record": "{"}, "row 2: "),
        ({"record": "[]"}, "row 2: the record is no JSON object"),
        ({"summary": "a.example", "record": '{"type":"Host","summary":"b.example"}'}, "row 2: .*let them say the same"),
        ({"letter": "7"}, "row 2: there is no dead letter '7'"),
        ({"letter": ""}, "row 2: there is no dead letter ''"),
        ({"row": "9"}, "row 2: letter 1 is of row 2, code 0x1005: sort rows as a whole"),
    ],
)
def test_edits_that_cannot_be_used_are_named_and_nothing_is_planned(
    tmp_path: Path, change: dict[str, str], complaint: str
) -> None:
    parent = failed(hosts(3, 1), tmp_path / "run")
    edit(parent, lambda row: row | change)
    with pytest.raises(LoadError, match=complaint):
        retry(parent.path, tmp_path / "again")
    assert not Run.is_planned(tmp_path / "again")


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b'letter,"x\n', b"\xe4\n"])
def test_a_file_that_is_no_dead_letters_is_refused(tmp_path: Path, content: bytes) -> None:
    parent = failed(hosts(3, 1), tmp_path / "run")
    parent.rejects_text_path.write_bytes(content)
    with pytest.raises(LoadError, match=r"rejects\.csv cannot be used"):
        retry(parent.path, tmp_path / "again")


def test_a_row_twice_is_refused(tmp_path: Path) -> None:
    parent = failed(hosts(3, 1), tmp_path / "run")
    lines = parent.rejects_text_path.read_text().splitlines(keepends=True)
    parent.rejects_text_path.write_text("".join([*lines, lines[-1].replace("bad-00001.example", "a.example", 1)]))
    with pytest.raises(LoadError, match="row 3: letter 1 is there twice"):
        retry(parent.path, tmp_path / "again")


def test_a_file_that_is_gone_is_missed_and_made_anew(tmp_path: Path) -> None:
    parent = failed(hosts(3, 1), tmp_path / "run")
    parent.rejects_text_path.rename(tmp_path / "mine.csv")
    with pytest.raises(LoadError, match=r"rejects\.csv is gone.*tcetl batch resume"):
        retry(parent.path, tmp_path / "again")
    finish(parent, max_errors=1)
    assert parent.rejects_text_path.read_bytes() == (tmp_path / "mine.csv").read_bytes()


def test_one_column_sorted_by_itself_is_noticed(tmp_path: Path) -> None:
    parent = failed(hosts(9, 1, 4, 6), tmp_path / "run")
    summaries = iter(["bad-00004.example", "bad-00006.example", "bad-00001.example"])
    edit(parent, lambda row: row | {"summary": next(summaries)})
    with pytest.raises(LoadError, match="the column summary was sorted without the others"):
        retry(parent.path, tmp_path / "again")


def test_value_and_record_may_both_be_mended(tmp_path: Path) -> None:
    parent = failed(hosts(9, 1, 4), tmp_path / "run")

    def mend(row: dict[str, str]) -> dict[str, str]:
        if row["row"] == "2":  # the value in its cell, and something else in the record
            return row | {"summary": "good.example", "record": row["record"].replace("{", '{"rating":3,', 1)}
        return row | {"summary": "Fine.example", "record": '{"type":"Host","hostName":"fine.EXAMPLE","confidence":9}'}

    edit(parent, mend)
    child = retry(parent.path, tmp_path / "again")
    assert sent(child) == [
        {"type": "Host", "summary": "fine.example", "confidence": 9},
        {"type": "Host", "summary": "good.example", "rating": 3},
    ]
    assert child.counts["mended"] == 2


def test_a_rehearsal_leaves_no_trace(tmp_path: Path) -> None:
    parent = failed(hosts(9, 1, 4), tmp_path / "run")
    edit(parent, lambda row: row | {"summary": "good.example"} if row["row"] == "2" else row)
    before = {path: path.read_bytes() for path in parent.path.rglob("*") if path.is_file()}
    rehearsed = rehearse(parent.path, tmp_path / "scratch")
    assert {path: path.read_bytes() for path in parent.path.rglob("*") if path.is_file()} == before
    assert sent(retry(parent.path)) == sent(rehearsed)


def test_finishing_again_keeps_what_was_edited(tmp_path: Path) -> None:
    parent = failed(hosts(3, 1), tmp_path / "run")
    edit(parent, lambda row: row | {"summary": "good.example"})
    finish(parent, max_errors=1)
    assert sent(retry(parent.path, tmp_path / "again")) == [{"type": "Host", "summary": "good.example"}]


def test_a_load_is_retried_in_one_place_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = failed(hosts(6, 1, 5), tmp_path / "run")
    child = retry(parent.path, tmp_path / "again")
    monkeypatch.chdir(tmp_path)
    assert retry("run", "again").plan == child.plan
    with pytest.raises(LoadError, match="already retried in"):
        retry(parent.path, tmp_path / "elsewhere")
    other = failed(hosts(3, 1), tmp_path / "other")
    with pytest.raises(LoadError, match="already holds another load"):
        retry(other.path, tmp_path / "again")


def test_a_retry_is_beside_its_parent_unless_told_otherwise(tmp_path: Path) -> None:
    parent = failed(hosts(6, 1, 5), tmp_path / "run")
    child = retry(parent.path)
    assert child.path == tmp_path / "run-retry-1"
    assert retry(parent.path).plan == child.plan
    with pytest.raises(RejectedRecordsError):
        submit(FakePlatform(), child)
    assert retry(child.path).path == tmp_path / "run-retry-2"
    elsewhere = failed(hosts(6, 1), tmp_path / "other")
    retry(elsewhere.path, tmp_path / "named")
    assert retry(elsewhere.path).path == tmp_path / "named"


def test_edits_after_the_retry_was_planned_are_not_passed_over(tmp_path: Path) -> None:
    parent = failed(hosts(6, 1, 5), tmp_path / "run")
    child = retry(parent.path)
    edit(parent, lambda row: row | {"summary": f"good-{row['row']}.example"})
    with pytest.raises(LoadError, match="was changed after its records had gone over"):
        retry(parent.path)
    assert [name_of(record) for record in sent(child)] == ["bad-00001.example", "bad-00005.example"]


def test_a_retry_is_retried(tmp_path: Path) -> None:
    first = failed(hosts(20, 1, 2, 3), tmp_path / "run")
    second = retry(first.path, tmp_path / "second")
    with pytest.raises(RejectedRecordsError):
        submit(FakePlatform(lambda index, record: "no" if "00003" in name_of(record) else None), second)
    third = retry(second.path, tmp_path / "third")
    submit(FakePlatform(lambda index, record: None), third)
    reports = [run.report() for run in (first, second, third)]
    assert sum(report.succeeded for report in reports) == 20
    for before, after in pairwise(reports):
        assert after.rows_read == before.failed + before.unprocessed


def test_nothing_to_retry_and_not_finished_are_told(tmp_path: Path) -> None:
    run = plan(hosts(3), REJECTS.empty_table(), tmp_path / "run", settings=BatchSettings(owner=OWNER), counts={})
    with pytest.raises(LoadError, match="is not finished"):
        retry(run.path, tmp_path / "again")
    submit(FakePlatform(), run)
    with pytest.raises(LoadError, match="nothing to retry: all its records were loaded"):
        retry(run.path, tmp_path / "again")


def test_dead_letters_of_nobody_are_carried_over(tmp_path: Path) -> None:
    platform = FakePlatform()
    real = platform.errors
    platform.errors = lambda batch_id: [  # type: ignore[method-assign]
        BatchError(None, None, "something", None, None) if "00001" in error.reason else error
        for error in real(batch_id)
    ]
    platform.results = lambda batch_id: []  # type: ignore[method-assign]
    parent = failed(hosts(4, 1, 2), tmp_path / "run", platform)
    report = submit(FakePlatform(lambda index, record: None), retry(parent.path, tmp_path / "again"))
    assert (report.rows_read, report.sent, report.rejected) == (2, 1, {"unattributed": 1})


def test_a_run_in_a_store_is_retried_there() -> None:
    parent = failed(hosts(5, 2), UPath("memory://retry/run"))
    edited = parent.rejects_text_path.read_text().replace(",bad-00002.example,", ",good.example,", 1)
    parent.rejects_text_path.write_text(edited)
    child = retry("memory://retry/run", "memory://retry/again")
    assert submit(FakePlatform(lambda index, record: None), child).succeeded == 1


def test_dead_letters_that_nobody_changed_are_read_chunk_by_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retrying = sys.modules["tcetl.load.retry"]
    write_plan, most = retrying.write_plan, []

    def watched(records: dict[str, Any], *arguments: Any, **options: Any) -> Run:
        def seen(frames: Any) -> Any:
            for frame in frames:
                most.append(frame.height)
                yield frame

        return write_plan({kind: seen(frames) for kind, frames in records.items()}, *arguments, **options)

    monkeypatch.setattr(retrying, "write_plan", watched)
    parent = failed(hosts(30, *range(0, 30, 2)), tmp_path / "run")
    streamed = rehearse(parent.path, tmp_path / "streamed", max_records=5)
    assert sum(most) == 15
    assert max(most) <= 4, "no more than a chunk of the parent's at once"

    monkeypatch.setattr("tcetl.load.owed.is_edited", lambda run: True)
    held = rehearse(parent.path, tmp_path / "held", max_records=5)
    assert [chunk.sha256 for chunk in streamed.chunks] == [chunk.sha256 for chunk in held.chunks]
    assert streamed.counts == held.counts
