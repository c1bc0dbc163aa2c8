"""How a load ends when it does not end well: thresholds, jobs that stand still, jobs given up."""

import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fake_platform import OWNER, FakePlatform, hosts

from tcetl.client.batch import BatchSettings, BatchStatus
from tcetl.errors import LoadError, RejectedRecordsError
from tcetl.load import Run, abandon, plan, steps, submit
from tcetl.load.stuck import StuckWatch
from tcetl.load.threshold import allowed
from tcetl.schema import REJECTS

submitting = sys.modules["tcetl.load.submit"]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 0.0)
    monkeypatch.setattr(submitting, "POLL", (0.0, 0.0))


def planned(path: Path, count: int, *bad: int, max_records: int = 1000) -> Run:
    job = BatchSettings(owner=OWNER)
    return plan(hosts(count, *bad), REJECTS.empty_table(), path, settings=job, counts={}, max_records=max_records)


@pytest.mark.parametrize(
    ("threshold", "sent", "most"),
    [(0, 100, 0), (7, 3, 7), ("7", 3, 7), ("1%", 99, 0), ("1%", 100, 1), ("0.5 %", 1000, 5), ("100%", 9, 9)],
)
def test_thresholds(threshold: int | str, sent: int, most: int) -> None:
    assert allowed(threshold, sent) == most


@pytest.mark.parametrize("threshold", ["", "-1", -1, "one", "101%", "1%%", "1.5"])
def test_a_threshold_that_makes_no_sense_is_refused_before_anything_is_sent(
    tmp_path: Path, threshold: int | str
) -> None:
    platform = FakePlatform()
    with pytest.raises(LoadError, match="max_errors is"):
        submit(platform, planned(tmp_path / "run", 1), max_errors=threshold)
    assert platform.calls == []


def test_a_share_of_what_was_sent_is_forgiven(tmp_path: Path) -> None:
    assert submit(FakePlatform(), planned(tmp_path / "a", 200, 1, 2), max_errors="1%").failed == 2
    with pytest.raises(RejectedRecordsError):
        submit(FakePlatform(), planned(tmp_path / "b", 199, 1, 2), max_errors="1%")


def status(job: int, state: str, succeeded: int = 0) -> BatchStatus:
    return BatchStatus(id=job, status=state, succeeded=succeeded)


def test_only_what_stands_still_is_stuck() -> None:
    watch = StuckWatch(10)
    assert watch.look([status(1, "Running"), status(2, "Queued")], 0) == []
    assert watch.look([status(1, "Running", 5), status(2, "Queued")], 9) == []
    assert watch.look([status(1, "Running", 5), status(2, "Queued")], 18) == []
    assert [job.id for job in watch.look([status(1, "Running", 5), status(2, "Queued")], 19)] == [1, 2]
    assert [job.id for job in watch.look([status(1, "Running", 5), status(2, "Running")], 20)] == [1]
    assert watch.look([status(2, "Running", 1)], 29) == []


def test_a_stuck_job_is_named_and_can_be_done_without(tmp_path: Path) -> None:
    platform = FakePlatform(polls=10**9)
    run = planned(tmp_path / "run", 10, max_records=4)
    with pytest.raises(LoadError, match=r"job 1 stands still at Running.*abandon"):
        submit(platform, run, in_flight=1, stuck_after=0.05)
    with pytest.raises(LoadError, match="job 7 is none"):
        abandon(platform, run, [7])
    assert abandon(platform, run) == [1]
    platform.polls = 0
    with pytest.raises(RejectedRecordsError, match=r"4 of 10 records were not loaded .*4 abandoned"):
        submit(platform, run)
    assert (run.report().succeeded, run.report().unprocessed, run.report().unattributed) == (6, 4, 0)
    assert pq.read_table(run.rejects_path)["row"].to_pylist() == [1, 2, 3, 4]
    assert platform.calls.count("upload") == 3


def test_a_job_that_ended_meanwhile_is_not_abandoned(tmp_path: Path) -> None:
    platform = FakePlatform(polls=10**9)
    run = planned(tmp_path / "run", 3)
    with pytest.raises(LoadError, match="stuck"):
        submit(platform, run, stuck_after=0.0)
    platform.polls = 0
    with pytest.raises(LoadError, match="job 1 has ended meanwhile"):
        abandon(platform, run)
    assert submit(platform, run).succeeded == 3
