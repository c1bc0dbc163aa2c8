"""Indicators in order, however many and however they come."""

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from fake_platform import OWNER, indicators
from hypothesis import given, settings
from hypothesis import strategies as st
from mixed import occurrences

from tcetl import sorted_runs
from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError, PublishError, ReconciliationError
from tcetl.load import Run, plan
from tcetl.load.ordering import ordered
from tcetl.load.records import indicators as indicator_records
from tcetl.schema import REJECTS

NO_OCCURRENCES = pl.DataFrame(schema={"summary": pl.String, "fileOccurrence": pl.List(pl.String)})
VALUES = st.tuples(st.sampled_from(["Host", "Email Subject", "EmailAddress", "Email", "URL"]), st.text(max_size=6))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs so small that a handful of records makes many."""
    monkeypatch.setattr(indicator_records, "_ROWS", 4)
    monkeypatch.setattr(sorted_runs, "_PIECES", 2)


def made(batches: Iterable[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    """Records, as planning makes them."""
    yield from indicator_records.records(batches, NO_OCCURRENCES, {}, delete=False)


def in_batches(table: pa.Table, size: int) -> Iterator[pa.RecordBatch]:
    yield from table.to_batches(max_chunksize=size)


@given(st.lists(VALUES, unique=True, max_size=60).flatmap(st.permutations), st.integers(1, 20))
@settings(deadline=None, max_examples=60)
def test_every_row_comes_once_and_in_order(values: list[tuple[str, str]], size: int) -> None:
    with ordered(in_batches(indicators(values), size), made) as found:
        assert found.rows == len(values)
        for _ in range(2):  # as often as needed
            rows = [(row["type"], row["summary"], row["origin"]["raw"]) for f in found.frames() for row in f.to_dicts()]
            assert rows == [(*value, f"raw {value[1]}") for value in sorted(values, key=_bytewise)]
        hosts = sorted(found.summaries("Host").to_list())
        assert hosts == sorted(summary for type_, summary in values if type_ == "Host")


def _bytewise(value: tuple[str, str]) -> tuple[bytes, bytes]:
    return value[0].encode(), value[1].encode()


def test_rows_in_order_are_not_written_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", None)
    values = sorted([("Host", f"{number}.example") for number in range(20)] + [("File", "0" * 32)], key=_bytewise)
    with ordered(indicators(values), made) as found:
        frames = list(found.frames())
        assert [row for frame in frames for row in frame.select("type", "summary").rows()] == values
        assert (found.rows, len(frames), found.summaries("File").to_list()) == (21, 6, ["0" * 32])


def test_few_large_records_are_many_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indicator_records, "_ROWS", 1000)
    monkeypatch.setattr(indicator_records, "_BYTES", 8000)
    values = [("Mutex", f"{number:03} {'x' * 300}") for number in range(60)]
    with ordered(in_batches(indicators(list(reversed(values))), 60), made) as found:
        frames = list(found.frames())
        assert len(frames) > 5
        assert [summary for frame in frames for summary in frame["summary"]] == [name for _, name in values]


@pytest.mark.parametrize("apart", [1, 3, 40])
@pytest.mark.parametrize("streamed", [True, False])
def test_an_indicator_that_is_there_twice_is_found_wherever_it_stands(apart: int, streamed: bool) -> None:
    values = [("Host", f"{number}.example") for number in range(40)]
    table = indicators([*values[:apart], values[0], *values[apart:]])
    with (
        ordered(in_batches(table, 5) if streamed else table, made) as found,
        pytest.raises(LoadError, match=r"Host '0\.example' is there more than"),
    ):
        list(found.frames())


def planned(path: Path, table: pa.Table, size: int | None, **given: pa.Table) -> Run:
    counts = {"rows_read": table.num_rows + sum(each.num_rows for each in given.values()), "rejected": {}}
    source = table if size is None else in_batches(table, size)
    job = BatchSettings(owner=OWNER)
    return plan(source, REJECTS.empty_table(), path, settings=job, counts=counts, max_records=7, **given)


def test_a_stream_makes_the_same_chunks_as_a_table_in_whatever_order(tmp_path: Path) -> None:
    values = [("Host", f"{number}.example") for number in range(30)] + [("File", "0" * 32), ("File", "1" * 32)]
    table = indicators(values)
    backwards = table.take(list(reversed(range(table.num_rows))))
    given = {"occurrences": occurrences({"summary": "0" * 32, "path": "/tmp"}, {"summary": "f" * 32, "path": "/tmp"})}
    runs = [
        planned(tmp_path / str(number), rows, size, **given)
        for number, (rows, size) in enumerate(itertools.product((table, backwards), (None, 1, 9)))
    ]
    assert len({tuple(chunk.sha256 for chunk in run.chunks) for run in runs}) == 1
    assert {tuple(run.plan.rejected.items()) for run in runs} == {(("unknown-file", 1),)}
    assert sum(chunk.records for chunk in runs[0].chunks) == 32


def test_what_a_stream_holds_is_held_against_the_counts(tmp_path: Path) -> None:
    with pytest.raises(ReconciliationError, match=r"21 rows read are not .* \+ 20 to load"):
        plan(
            in_batches(indicators([("Host", f"{number}.example") for number in range(20)]), 6),
            REJECTS.empty_table(),
            tmp_path / "run",
            settings=BatchSettings(owner=OWNER),
            counts={"rows_read": 21, "rejected": {}, "duplicates": 0},
        )
    assert not Run.is_planned(tmp_path / "run")


def test_nothing_stays_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = indicators([("Host", f"{number}.example") for number in range(20)])

    def breaking() -> Iterator[pa.RecordBatch]:
        yield from in_batches(table, 6)
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"), ordered(breaking(), made):
        pass
    with ordered(in_batches(table, 6), made) as found:
        assert sum(frame.height for frame in found.frames()) == 20
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_for_what_is_written_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(pa.RecordBatchFileWriter, "write_table", lambda *_, **__: os.write(full, b"x"), raising=False)
    full = os.open("/dev/full", os.O_WRONLY)
    table = indicators([("Host", f"{number}.example") for number in range(20)])
    with pytest.raises(PublishError, match=r"tcetl-plan-.*No space left"), ordered(in_batches(table, 6), made):
        pass
    os.close(full)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("streamed", [True, False])
def test_no_rows_at_all(streamed: bool) -> None:
    table = indicators([])
    with ordered(in_batches(table, 6) if streamed else table, made) as found:
        assert (found.rows, list(found.frames()), found.summaries("File").to_list()) == (0, [], [])
