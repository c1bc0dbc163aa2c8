"""Killed at every step of a publication: readers find each run as it was or as it is, and the next one goes through."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow.dataset import dataset

from tcetl import atomic
from tcetl.errors import PublishError
from tcetl.lake import latest, open_dataset, publish
from tcetl.schema import INDICATORS

TOUCHES = {"open", "os.mkdir", "os.rename", "os.rmdir", "os.remove"}  # audit events of what changes a disk
BEFORE, AFTER, BESIDE = 30, 20, 5


def rows_of(lake: Path, run_id: str) -> int:
    """What an engine finds that reads all of a lake's files."""
    files = [str(path) for path in lake.glob(f"v1/*/run={run_id}/*.parquet")]
    return dataset(files, format="parquet").count_rows() if files else 0


def rows_read(lake: Path) -> tuple[str, int]:
    """What a reader of the latest dataset gets."""
    found = latest(lake)
    return found.run_id, sum(batch.num_rows for batch in found.batches())


def publish_and_die(rows: Iterator[pa.RecordBatch], lake: Path, moment: int) -> bool:
    """Publish r1 in a process that is killed as it touches the disk for the *moment*-th time; whether it was."""
    child = os.fork()
    if child == 0:
        left = iter(range(moment))

        def die(event: str, _arguments: tuple[object, ...]) -> None:
            if event in TOUCHES and next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(die)
        publish(rows, lake, run_id="r1", rows_per_file=1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_a_run_published_again(tmp_path: Path, batches: Callable[..., Iterator[pa.RecordBatch]]) -> None:
    seen = set()
    for moment in count():
        lake = tmp_path / str(moment)
        publish(batches(BEFORE), lake, run_id="r1")
        publish(batches(BESIDE), lake, run_id="r2")
        killed = publish_and_die(batches(AFTER), lake, moment)

        seen.add((rows_of(lake, "r1"), rows_read(lake)))
        assert rows_of(lake, "r2") == BESIDE
        assert publish(batches(AFTER), lake, run_id="r1").rows == AFTER
        assert rows_of(lake, "r1") == AFTER
        assert rows_read(lake) == ("r1", AFTER)
        if not killed:
            break
    assert seen == {(BEFORE, ("r2", BESIDE)), (AFTER, ("r2", BESIDE)), (AFTER, ("r1", AFTER))}


def test_the_latest_run_published_again(tmp_path: Path, batches: Callable[..., Iterator[pa.RecordBatch]]) -> None:
    seen = set()
    for moment in count():
        lake = tmp_path / str(moment)
        publish(batches(BEFORE), lake, run_id="r1")
        killed = publish_and_die(batches(AFTER), lake, moment)
        seen.add((rows_of(lake, "r1"), rows_read(lake)))
        if not killed:
            break
    assert seen == {(BEFORE, ("r1", BEFORE)), (AFTER, ("r1", AFTER))}


def test_a_first_publication(tmp_path: Path, batches: Callable[..., Iterator[pa.RecordBatch]]) -> None:
    seen = set()
    for moment in count():
        lake = tmp_path / str(moment)
        killed = publish_and_die(batches(AFTER), lake, moment)
        seen.add(rows_of(lake, "r1"))
        if (lake / "LATEST").exists():
            assert rows_read(lake) == ("r1", AFTER)
        else:
            with pytest.raises(PublishError, match="nothing was published"):
                latest(lake)
        if not killed:
            break
    assert seen == {0, AFTER}


@pytest.mark.parametrize("atomically", [True, False])
def test_who_reads_goes_on_with_what_was_there(
    tmp_path: Path,
    batches: Callable[..., Iterator[pa.RecordBatch]],
    monkeypatch: pytest.MonkeyPatch,
    atomically: bool,
) -> None:
    monkeypatch.setattr("tcetl.lake.parts.ROW_GROUP_ROWS", 10)
    before = publish(batches(BEFORE, size=10), tmp_path, run_id="r1", rows_per_file=10)
    assert len(before.files) == 3
    reading = before.batches()
    rows = [next(reading)]
    if not atomically:
        monkeypatch.setattr(atomic, "_exchanged", lambda one, other: False)
    publish(batches(AFTER, size=10), tmp_path, run_id="r1", rows_per_file=10)
    rows.extend(reading)
    assert pa.Table.from_batches(rows, INDICATORS).equals(pa.Table.from_batches(batches(BEFORE)))
    assert rows_read(tmp_path) == ("r1", AFTER)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LATEST", "v1"]


@pytest.mark.parametrize("step", range(3))
def test_where_folders_cannot_be_exchanged_a_failure_leaves_what_was_there(
    tmp_path: Path, batches: Callable[..., Iterator[pa.RecordBatch]], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    place = publish(batches(BEFORE), tmp_path, run_id="r1").path
    moves = count()
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.is_dir() and next(moves) == step:
            raise OSError("no more")
        return rename(self, target)

    monkeypatch.setattr(atomic, "_exchanged", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PublishError, match="no more"):
        publish(batches(AFTER), tmp_path, run_id="r1")
    assert open_dataset(place).rows == BEFORE
    assert rows_of(tmp_path, "r1") == BEFORE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LATEST", "v1"]
