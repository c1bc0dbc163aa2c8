"""Where a load stands, seen from outside: its state, who is at work on it, its retries and what went over to them."""

import os
import sys
from pathlib import Path

import pytest
from fake_platform import OWNER, FakePlatform, hosts
from upath import UPath

from tcetl.client.batch import BatchError, BatchSettings
from tcetl.errors import LoadError, RejectedRecordsError
from tcetl.load import Run, advance, plan, retry, steps, submit
from tcetl.load.chain import chain
from tcetl.load.complaints import by_reason, chosen, rejects
from tcetl.load.standing import look, standing
from tcetl.load.trace import trace
from tcetl.schema import REJECTS

submitting = sys.modules["tcetl.load.submit"]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 0.0)
    monkeypatch.setattr(submitting, "POLL", (0.0, 0.0))


def planned(path: Path | UPath, count: int, *bad: int, max_records: int = 4) -> Run:
    job = BatchSettings(owner=OWNER)
    return plan(hosts(count, *bad), REJECTS.empty_table(), path, settings=job, counts={}, max_records=max_records)


def test_the_states_of_a_load(tmp_path: Path) -> None:
    platform, run = FakePlatform(), planned(tmp_path / "run", 9, 3)
    assert standing(run).state == "planned"
    advance(platform, run, in_flight=1)
    now = standing(run)
    assert (now.state, now.open_jobs, now.sent, now.phases) == ("interrupted", [1], 4, {"uploaded": 1, "planned": 2})
    with run.exclusive():
        assert standing(run).state == "under way"
    while not advance(platform, run).done:
        pass
    assert standing(run).state == "answered"
    submit(platform, run, max_errors=1)
    now = standing(run)
    assert (now.state, now.succeeded, now.failed) == ("incomplete", 8, 1)
    submit(FakePlatform(lambda index, record: None), retry(run.path))
    assert standing(Run.open(tmp_path / "run-retry-1")).state == "loaded"
    assert standing(run).retried_in == str(tmp_path / "run-retry-1")


@pytest.mark.parametrize("place", ["disk", "store"])
def test_whoever_is_at_work_is_named(tmp_path: Path, place: str) -> None:
    run = planned(tmp_path / "run" if place == "disk" else UPath("memory://standing/run"), 9)
    assert standing(run).holders == []
    with run.exclusive():
        assert [(one.pid, one.chunk) for one in standing(run).holders] == [(os.getpid(), None)]
    with run.exclusive([0, 2]):
        assert sorted(one.chunk or 0 for one in standing(run).holders) == [0, 2]
    assert standing(run).holders == []


def test_what_a_killed_process_left_is_not_at_work(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 9)
    (run.path / "lock").write_text('{"host": "here", "pid": 1, "since": "then"}')
    assert standing(run).holders == []


def test_looking_asks_and_writes_nothing(tmp_path: Path) -> None:
    platform, run = FakePlatform(polls=10**9), planned(tmp_path / "run", 9)
    advance(platform, run, in_flight=2)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    live = look(platform, run)
    assert {job: status.status for job, status in live.items()} == {1: "Running", 2: "Running"}
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_chain_adds_up_from_end_to_end(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 20, 1, 2, 3, 11, 12)
    with pytest.raises(RejectedRecordsError):
        submit(FakePlatform(), run)
    second = retry(run.path)
    halting = FakePlatform(lambda index, record: "no" if index == 1 else None, halts=True)
    with pytest.raises(RejectedRecordsError):
        submit(halting, second)
    third = retry(second.path)
    assert chain(third)[-1].left is None
    submit(FakePlatform(lambda index, record: None), third)
    generations = chain(second)
    assert [one.run_dir for one in generations] == [str(run.path), str(second.path), str(third.path)]
    assert [(one.owed, one.sent, one.succeeded, one.left) for one in generations] == [
        (20, 20, 15, 5),
        (5, 5, 1, 4),
        (4, 4, 4, 0),
    ]
    second.path.rename(tmp_path / "moved")
    assert len(chain(run)) == 1


class Vague(FakePlatform):
    """Counts what it refuses, names one of them, and complains of the job as a whole."""

    def errors(self, batch_id: int) -> list[BatchError]:
        named, *_ = super().errors(batch_id)
        return [named, *[BatchError("0x1004", "Error", "Something went wrong.", None, None)] * 3]

    def results(self, batch_id: int) -> list[BatchError]:
        return []


def test_complaints_beyond_the_counts_are_no_records(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", 9, 1, 2, max_records=9)
    with pytest.raises(RejectedRecordsError):
        submit(Vague(), run)
    report = run.report()
    assert (report.failed, report.unattributed) == (2, 3)
    child = retry(run.path)
    report = submit(FakePlatform(lambda index, record: None), child)
    assert (report.rows_read, report.sent, report.rejected) == (2, 1, {"unattributed": 1})
    nobodys = by_reason(chosen(rejects(run), unattributed=True))
    assert [(one.code, one.count, one.reason) for one in nobodys] == [("0x1004", 3, "Something went wrong.")]


def test_a_record_is_traced(tmp_path: Path) -> None:
    platform, run = FakePlatform(), planned(tmp_path / "run", 9, 1)
    assert [one.outcome for one in trace(run, "host-00005.example")] == ["not sent yet"]
    advance(platform, run)
    assert trace(run, "HOST-00005.example")[0].outcome == "with job 2, which has not been seen to end"
    submit(platform, run, max_errors=1)
    (one,) = trace(run, "bad-00001.example")
    assert (one.chunk, one.index, one.batch_id, one.origin["row"]) == (0, 0, 1, 2)
    assert one.outcome.startswith("not loaded: 0x1005")
    assert one.record == {"type": "Host", "hostName": "bad-00001.example"}
    assert [one.outcome for one in trace(run, "host-00005.example")] == ["loaded"]
    assert trace(run, "nobody.example") == []


def test_retrying_where_nothing_is_named_says_so(tmp_path: Path) -> None:
    class Mute(Vague):
        def errors(self, batch_id: int) -> list[BatchError]:
            return []

    run = planned(tmp_path / "run", 9, 1, 2, max_records=9)
    with pytest.raises(RejectedRecordsError):
        submit(Mute(), run)
    with pytest.raises(LoadError, match="all of its dead letters name no record"):
        retry(run.path)
    assert trace(run, "host-00003.example")[0].outcome.startswith("loaded, unless")
