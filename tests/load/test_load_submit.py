import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fake_platform import OWNER, Death, FakePlatform, hosts
from pyarrow import csv
from upath import UPath

from tcetl.client.batch import BatchError, BatchSettings
from tcetl.errors import (
    ApiError,
    ConnectionFailedError,
    LoadError,
    ReconciliationError,
    RejectedRecordsError,
    TlsError,
)
from tcetl.load import Run, advance, finish, plan, steps, submit
from tcetl.schema import REJECTS

submitting = sys.modules["tcetl.load.submit"]  # the package has a function of that name


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 0.0)
    monkeypatch.setattr(submitting, "POLL", (0.0, 0.0))


def planned(path: Path | UPath, count: int = 10, *bad: int, max_records: int = 4) -> Run:
    return plan(
        hosts(count, *bad),
        REJECTS.empty_table(),
        path,
        settings=BatchSettings(owner=OWNER),
        counts={"rows_read": count, "rejected": {}, "duplicates": 0},
        max_records=max_records,
    )


def test_a_clean_load_accounts_for_every_record(tmp_path: Path) -> None:
    platform = FakePlatform()
    heard: list[tuple[str, int, int | None]] = []
    report = submit(platform, planned(tmp_path / "run"), on_progress=lambda *step: heard.append(step))
    assert (report.rows_read, report.sent, report.succeeded, report.failed, report.jobs) == (10, 10, 10, 0, 3)
    assert report.unaccounted == report.unattributed == report.unprocessed == 0
    assert platform.calls.count("upload") == platform.calls.count("create") == 3
    assert set(platform.loaded().values()) == {1}
    assert len(platform.loaded()) == 10
    assert heard[-1] == ("load", 10, 10)
    assert pq.read_table(report.rejects_path).num_rows == 0
    assert Run.open(tmp_path / "run").report() == report
    assert [time.records for time in report.job_times] == [4, 4, 2]
    assert json.loads(json.dumps(report.to_json()))["succeeded"] == 10


def test_refused_records_are_dead_letters_before_the_load_fails(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 10, 2, 7)
    with pytest.raises(RejectedRecordsError, match="2 of 10 records were not loaded into Example Source"):
        submit(FakePlatform(), run)
    report = run.report()
    assert (report.succeeded, report.failed, report.refused, report.unattributed) == (8, 2, {"0x1005": 2}, 0)
    rows = pq.read_table(run.rejects_path).to_pylist()
    assert [row["summary"] for row in rows] == ["bad-00002.example", "bad-00007.example"]
    assert [row["row"] for row in rows] == [3, 8]
    assert rows[0] | {"record": None} == {
        "stage": "load",
        "source": "feed",
        "file": "feed.csv",
        "row": 3,
        "pointer": None,
        "raw": "raw bad-00002.example",
        "field": None,
        "code": "0x1005",
        "reason": "bad-00002.example is not a valid Host. | bad-00002.example",
        "hint": None,
        "severity": "error",
        "owner_name": OWNER,
        "type": "Host",
        "summary": "bad-00002.example",
        "chunk": 0,
        "batch_id": 1,
        "record": None,
        "kind": "indicator",
        "xid": None,
    }
    assert json.loads(rows[0]["record"]) == {"type": "Host", "hostName": "bad-00002.example"}
    assert csv.read_csv(run.path / "rejects.csv").num_rows == 2
    assert finish(run, max_errors=2) == report


def test_at_most_max_errors_are_forgiven(tmp_path: Path) -> None:
    assert submit(FakePlatform(), planned(tmp_path / "a", 10, 2, 7), max_errors=2).failed == 2
    with pytest.raises(RejectedRecordsError):
        submit(FakePlatform(), planned(tmp_path / "b", 10, 2, 7), max_errors=1)


def test_what_halting_left_is_known_record_by_record(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 8, 3, max_records=8)
    platform = FakePlatform(lambda index, record: "halt here" if index == 3 else None, halts=True)
    with pytest.raises(RejectedRecordsError):
        submit(platform, run)
    rows = pq.read_table(run.rejects_path).to_pylist()
    assert [(row["summary"], row["code"]) for row in rows[1:]] == [
        (f"host-{n:05}.example", "unprocessed") for n in (4, 5, 6, 7)
    ]
    assert run.report().refused == {"0x1005": 1, "unprocessed": 4}


def test_failures_that_nobody_explains_are_counted_and_nobodys(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 6, 1, 4, max_records=6)
    platform = FakePlatform()
    platform.errors = lambda batch_id: [BatchError(None, None, "something went wrong", None, None)]
    platform.results = lambda batch_id: []
    with pytest.raises(RejectedRecordsError):
        submit(platform, run)
    rows = pq.read_table(run.rejects_path).to_pylist()
    assert [row["summary"] for row in rows] == [None, None]
    assert [row["code"] for row in rows] == ["no-code", "unexplained"]
    assert run.report().unattributed == 2


def test_a_job_that_loaded_nothing_gives_every_record_a_dead_letter(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 5, max_records=5)
    platform = FakePlatform()
    reason = "Processing this batch would exceed the number of allowed indicators: 5 of 4."

    def work(job) -> None:
        job.status, job.failed, job.unprocessed = "Completed", 1, 4
        job.errors = [BatchError("0x1008", "Error", reason, None, "batch")]

    platform._work = work
    with pytest.raises(RejectedRecordsError):
        submit(platform, run)
    rows = pq.read_table(run.rejects_path).to_pylist()
    assert [row["row"] for row in rows] == [1, 2, 3, 4, 5]
    assert all(reason in row["reason"] for row in rows)


def test_counts_that_do_not_add_up_fail_the_load(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 5, max_records=5)
    platform = FakePlatform()

    def work(job) -> None:
        job.status, job.succeeded = "Completed", 3

    platform._work = work
    with pytest.raises(ReconciliationError, match="5 records sent are not 3 succeeded"):
        submit(platform, run, max_errors=100)
    assert run.report().unaccounted == 2
    assert pq.read_table(run.rejects_path).num_rows == 2


def test_warnings_are_kept_but_not_failures(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 3, max_records=3)
    platform = FakePlatform()
    warning = BatchError("0x2001", "Warning", "host-00001.example lost an attribute", None, None)
    platform.results = lambda batch_id: [warning]
    report = submit(platform, run)
    assert (report.succeeded, report.warnings, report.refused) == (3, 1, {})
    assert pq.read_table(run.rejects_path)["severity"].to_pylist() == ["warning"]


def test_no_more_jobs_are_open_than_allowed(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 20, max_records=2)
    platform = FakePlatform(polls=3)
    while not (progress := advance(platform, run, in_flight=3)).done:
        assert len(progress.open_batch_ids) <= 3
        assert sum(job.status != "Completed" for job in platform.jobs.values()) <= 3
    assert (progress.chunks_done, progress.chunks_total, progress.answered, progress.sent) == (10, 10, 20, 20)


def test_a_running_jobs_counts_show_but_what_is_left_does_not_count_as_answered(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 10, max_records=10)
    platform = FakePlatform(polls=1)
    advance(platform, run)
    platform.jobs[1].succeeded, platform.jobs[1].unprocessed = 3, 7
    progress = advance(platform, run)
    assert (progress.done, progress.succeeded, progress.answered, progress.open_batch_ids) == (False, 3, 3, [1])


def test_a_run_directory_in_a_store_is_loaded_all_the_same() -> None:
    run = planned(UPath("memory://runs/submit-test"), 10, 2)
    report = submit(FakePlatform(), run, max_errors=1)
    assert (report.succeeded, report.failed) == (9, 1)
    with run.rejects_path.open("rb") as stream:
        assert pq.read_table(stream)["summary"].to_pylist() == ["bad-00002.example"]
    assert Run.open("memory://runs/submit-test").report() == report


def test_an_empty_plan_is_done_at_once(tmp_path: Path) -> None:
    report = submit(FakePlatform(), planned(tmp_path / "run", 0))
    assert (report.sent, report.jobs, report.seconds) == (0, 0, 0.0)


def test_an_upload_whose_answer_was_lost_is_not_repeated(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 4)
    platform = FakePlatform()

    def lose(name: str, call: int) -> None:
        if name == "upload":
            raise ConnectionFailedError("reset", outcome_unknown=True)

    platform.after = lose
    assert submit(platform, run).succeeded == 4
    assert platform.calls.count("upload") == 1


@pytest.mark.parametrize("error", [ConnectionFailedError("x", outcome_unknown=True), ApiError("gateway", status=502)])
def test_an_upload_that_never_arrived_goes_to_the_same_job(tmp_path: Path, error: Exception) -> None:
    run = planned(tmp_path / "run", 4)
    platform = FakePlatform()
    failures = iter([error, error])

    def fail(name: str, call: int) -> None:
        if name == "upload" and (failure := next(failures, None)):
            raise failure

    platform.before = fail
    assert submit(platform, run).succeeded == 4
    assert (platform.calls.count("create"), platform.calls.count("upload")) == (1, 3)


def test_an_upload_that_never_arrives_ends_the_load(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 4)
    platform = FakePlatform()

    def fail(name: str, call: int) -> None:
        if name == "upload":
            raise ApiError("gateway", status=502)

    platform.before = fail
    with pytest.raises(LoadError, match="did not reach job 1 in 3 attempts: gateway"):
        submit(platform, run)
    platform.before = lambda name, call: None
    assert submit(platform, run).succeeded == 4
    assert len(platform.jobs) == 1


def test_an_upload_still_in_doubt_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 3600.0)
    run = planned(tmp_path / "run", 4)
    platform = FakePlatform()

    def fail(name: str, call: int) -> None:
        if name == "upload":
            raise ConnectionFailedError("reset", outcome_unknown=True)

    platform.before = fail
    for _ in range(5):
        advance(platform, run)
    assert platform.calls.count("upload") == 1


def test_the_wait_for_a_slow_upload_begins_when_it_broke_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that gives up after a minute has passed the file on all the same: the platform is still reading it."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(steps, "SETTLE", 10.0)
    monkeypatch.setattr(steps, "_now", lambda: moment)
    run = planned(tmp_path / "run", 4)
    platform = FakePlatform()

    def give_up_after_a_minute(name: str, call: int) -> None:
        nonlocal moment
        if name == "upload":
            moment += timedelta(seconds=60)
            raise ApiError("504 Gateway Timeout", status=504)

    platform.before = give_up_after_a_minute
    for _ in range(3):
        advance(platform, run)
        moment += timedelta(seconds=3)
    platform.before = lambda name, call: None
    assert platform.calls.count("upload") == 1
    platform.upload(1, run.content(0))  # at last
    assert submit(platform, run).succeeded == 4
    assert set(platform.loaded().values()) == {1}


def test_the_wait_for_an_upload_whose_process_died_begins_with_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(steps, "SETTLE", 10.0)
    monkeypatch.setattr(steps, "_now", lambda: moment)
    run = planned(tmp_path / "run", 4)
    platform = FakePlatform()

    def die(name: str, call: int) -> None:
        if name == "upload":
            raise Death

    platform.before = die
    with pytest.raises(Death):
        advance(platform, run)
    platform.before = lambda name, call: None
    moment += timedelta(seconds=60)  # how long it had been uploading before it died, nobody knows
    advance(platform, run)
    assert platform.calls.count("upload") == 1
    (receipt,) = run.receipts()
    assert receipt.doubt == "the process that sent it ended"
    moment += timedelta(seconds=10)
    advance(platform, run)
    assert platform.calls.count("upload") == 2


@pytest.mark.parametrize("status", [200, 302])
def test_a_page_of_somebody_elses_leaves_an_upload_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(steps, "SETTLE", 3600.0)
    run = planned(tmp_path / "run", 4)
    platform = FakePlatform()

    def sign_in(name: str, call: int) -> None:
        if name == "upload":
            raise ApiError("an HTML page titled 'Sign in'", status=status)

    platform.before = sign_in
    for _ in range(3):
        advance(platform, run)
    assert platform.calls.count("upload") == 1
    assert run.receipts()[0].doubt == "an HTML page titled 'Sign in'"


def test_a_refused_file_says_which_chunk_and_why(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 4)
    platform = FakePlatform()

    def fail(name: str, call: int) -> None:
        if name == "upload":
            raise ApiError("File size greater than allowable limit of 2000000", status=400)

    platform.before = fail
    with pytest.raises(LoadError, match=r"chunk 0 was refused by job 1: File size greater .*max-bytes"):
        submit(platform, run)


def test_passing_failures_are_waited_out_once_the_platform_was_reached(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 4)
    platform = FakePlatform()
    failures = iter([ApiError("busy", status=503), ConnectionFailedError("reset"), ApiError("later", status=429)])

    def fail(name: str, call: int) -> None:
        if name == "status" and (failure := next(failures, None)):
            raise failure

    platform.before = fail
    assert submit(platform, run).succeeded == 4


@pytest.mark.parametrize("error", [ApiError("no", status=403), TlsError("not trusted")])
def test_lasting_failures_end_the_load_at_once(tmp_path: Path, error: Exception) -> None:
    run = planned(tmp_path / "run", 4)
    platform = FakePlatform()

    def fail(name: str, call: int) -> None:
        if name == "status":
            raise error

    platform.before = fail
    with pytest.raises(type(error)):
        submit(platform, run)
    assert platform.calls.count("status") == 1


def test_a_platform_never_reached_fails_at_once(tmp_path: Path) -> None:
    platform = FakePlatform()

    def fail(name: str, call: int) -> None:
        raise ConnectionFailedError("refused")

    platform.before = fail
    with pytest.raises(ConnectionFailedError):
        submit(platform, planned(tmp_path / "run", 4))
    assert len(platform.calls) == 1


def test_a_job_that_the_platform_does_not_know_is_not_replaced(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 4)
    advance(FakePlatform(), run)
    with pytest.raises(LoadError, match="does not know job 1"):
        advance(FakePlatform(), run)


def test_time_up_names_the_open_jobs_and_the_load_goes_on_later(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 4)
    platform = FakePlatform(polls=50)
    with pytest.raises(LoadError, match="open jobs: 1"):
        submit(platform, run, timeout=0)
    assert submit(platform, run).succeeded == 4
    assert platform.calls.count("upload") == 1


def test_an_error_list_that_lags_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 3600.0)
    run = planned(tmp_path / "run", 4, 1)
    platform = FakePlatform()
    results = platform.results
    asked: list[int] = []

    def lagging(batch_id: int) -> list[BatchError]:
        asked.append(batch_id)
        return [] if len(asked) == 1 else results(batch_id)

    platform.errors = lambda batch_id: []
    platform.results = lagging
    with pytest.raises(RejectedRecordsError):
        submit(platform, run)
    assert run.report().unattributed == 0


def test_a_load_that_is_not_done_cannot_be_finished(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 4)
    with pytest.raises(LoadError, match="1 of 1 chunks are open"):
        finish(run)
    with pytest.raises(LoadError, match="is not finished"):
        run.report()


def test_a_changed_chunk_is_not_sent(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 4)
    (tmp_path / "run" / "chunks" / "00000.json").write_bytes(b"{}")
    with pytest.raises(LoadError, match="is not what was planned"):
        submit(FakePlatform(), run)


def test_a_lost_receipt_stops_the_load(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 4)
    (tmp_path / "run" / "receipts" / "00000.json").unlink()
    with pytest.raises(LoadError, match=r"receipts/00000\.json is missing") as caught:
        submit(FakePlatform(), run)
    assert "chunk 0 may or may not be loaded" in caught.value.hint
