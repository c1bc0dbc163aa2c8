"""The whole jobs of a load, as both faces call them: load, go on, retry."""

import sys
from pathlib import Path

import pytest
from fake_platform import OWNER, FakePlatform

from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError, RejectedRecordsError
from tcetl.load import Run, steps
from tcetl.pipeline import load_feed, plan_feed, resume_load, retry_load

submitting = sys.modules["tcetl.load.submit"]


class Platform(FakePlatform):
    """With the owner that a whole job asks for first."""

    def owner(self, name: str) -> None:
        assert name == OWNER


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 0.0)
    monkeypatch.setattr(submitting, "POLL", (0.0, 0.0))


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    path = tmp_path / "feed.txt"
    path.write_text("".join(f"{'bad' if n in {2, 5} else 'host'}-{n}.example\n" for n in range(9)))
    return path


def test_a_load_and_its_retry(feed: Path, tmp_path: Path) -> None:
    with pytest.raises(RejectedRecordsError):
        load_feed(Platform(), feed, OWNER, tmp_path / "run", max_records=4)
    run = Run.open(tmp_path / "run")
    assert [chunk.records for chunk in run.chunks] == [4, 4, 1]
    report = retry_load(Platform(lambda index, record: None), run.path)
    assert (report.rows_read, report.succeeded, report.parent) == (2, 2, str(run.path))
    with pytest.raises(LoadError, match="nothing to retry"):
        retry_load(Platform(), report.run_dir)


def test_a_retry_goes_on_where_it_stopped(feed: Path, tmp_path: Path) -> None:
    with pytest.raises(RejectedRecordsError):
        load_feed(Platform(), feed, OWNER, tmp_path / "run")
    platform = Platform(lambda index, record: None, polls=10**9)
    with pytest.raises(LoadError, match="not done"):
        retry_load(platform, tmp_path / "run", timeout=0.0)
    platform.polls = 0
    assert retry_load(platform, tmp_path / "run").succeeded == 2
    assert platform.calls.count("upload") == 1
    calls = len(platform.calls)
    assert retry_load(platform, tmp_path / "run").succeeded == 2
    assert len(platform.calls) == calls, "what is done is not done again"


def test_a_plan_is_not_taken_for_another_load(feed: Path, tmp_path: Path) -> None:
    plan_feed(feed, OWNER, tmp_path / "run")
    delete = BatchSettings(owner=OWNER, action="Delete")
    platform = Platform()
    with pytest.raises(LoadError, match="holds a load with action 'Create', not 'Delete'"):
        load_feed(platform, feed, OWNER, tmp_path / "run", settings=delete)
    with pytest.raises(LoadError, match="with owner"):
        load_feed(platform, feed, "Another", tmp_path / "run")
    assert platform.calls == []
    assert resume_load(platform, tmp_path / "run", max_errors=2).succeeded == 7
