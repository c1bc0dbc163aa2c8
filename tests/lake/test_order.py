"""A dataset read in order: by owner, type and summary, however it was published, in bounded memory."""

import random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcetl.errors import PublishError
from tcetl.lake import ordering, publish
from tcetl.pipeline import lake_to_siem
from tcetl.schema import INDICATORS
from tcetl.siem import FORMATS

from .conftest import indicator_batches, record


def shuffled(rows: int, seed: int) -> list[pa.RecordBatch]:
    records = [record(number) | {"owner_name": f"Owner {number % 3}"} for number in range(rows)]
    random.Random(seed).shuffle(records)
    return [pa.RecordBatch.from_pylist(records[start : start + 50], INDICATORS) for start in range(0, rows, 50)]


@pytest.fixture
def many_runs(monkeypatch):
    monkeypatch.setattr(ordering, "_ROWS", 40)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_indicators_make_the_same_file(tmp_path, many_runs, name):
    written = set()
    for seed in range(2):
        dataset = publish(shuffled(500, seed), tmp_path / "lake", run_id=str(seed))
        assert lake_to_siem(dataset.path, tmp_path / f"{seed}", name).written == 500
        written.add((tmp_path / f"{seed}").read_bytes())
    assert len(written) == 1


def test_runs_do_not_show(tmp_path, monkeypatch, many_runs):
    dataset = publish(shuffled(500, 1), tmp_path, run_id="r")
    seen = []
    parted = pa.Table.from_batches(dataset.batches_in_order(on_progress=seen.append))
    assert seen[-1] == 500
    monkeypatch.undo()
    whole = pa.Table.from_batches(dataset.batches_in_order(on_progress=seen.append))
    assert parted.equals(whole)
    assert parted.equals(pa.Table.from_batches(shuffled(500, 1)).sort_by([(key, "ascending") for key in ordering.KEY]))


def test_columns_come_in_the_order_asked_for_and_no_others(tmp_path, many_runs):
    dataset = publish(shuffled(200, 1), tmp_path, run_id="r")
    table = pa.Table.from_batches(dataset.batches_in_order(["tags", "summary"]))
    assert table.column_names == ["tags", "summary"]
    assert table.num_rows == 200
    with pytest.raises(PublishError, match="unknown columns nope"):
        list(dataset.batches_in_order(["nope"]))


def test_no_rows(tmp_path):
    assert list(publish([], tmp_path, run_id="r").batches_in_order()) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=60, unique=True))
def test_the_order_is_that_of_utf_8(tmp_path, many_runs, names):
    rows = [record(1) | {"type": "Mutex", "owner_name": f"o{owner}", "summary": text} for owner, text in names]
    rows = [row for row in rows if "\0" not in row["owner_name"]]
    table = pa.Table.from_pylist(rows, INDICATORS)
    read = list(ordering.in_order(table.to_batches(max_chunksize=7), INDICATORS))
    found = [(row["owner_name"], row["summary"]) for batch in read for row in batch.to_pylist()]
    names = [(row["owner_name"], row["summary"]) for row in rows]
    assert found == sorted(names, key=lambda name: [part.encode() for part in name])


def test_memory_holds_a_run_however_many_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(ordering, "_ROWS", 2_000)
    monkeypatch.setattr("tcetl.lake.dataset._BATCH_ROWS", 500)

    def peak(rows: int) -> int:
        dataset = publish(indicator_batches(rows), tmp_path, run_id="r")
        return max(pa.total_allocated_bytes() for _ in dataset.batches_in_order())

    assert peak(20_000) <= 1.5 * peak(5_000)


def test_a_full_disk_for_what_is_written_aside(tmp_path, many_runs, little_room):
    dataset = publish(shuffled(500, 1), tmp_path / "lake", run_id="r")
    little_room(4_000)
    with pytest.raises(PublishError, match=r"tcetl-sort-.*: File too large") as caught:
        lake_to_siem(dataset.path, tmp_path / "out.csv", "csv")
    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]
