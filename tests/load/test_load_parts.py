import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_platform import OWNER, hosts
from hypothesis import given
from hypothesis import strategies as st

from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError
from tcetl.load import WAVES, Run, chunks_of, parts, plan
from tcetl.load.run import FORMAT, Chunk, Plan
from tcetl.schema import REJECTS


def _run(*waves: int) -> Run:
    """A run of so many chunks in each wave, as far as cutting it goes."""
    settings = BatchSettings(owner=OWNER)
    document = Plan(
        format=FORMAT,
        created_at=datetime.now(UTC),
        settings=settings.to_json(),
        counts={},
        rejected={},
        duplicates=0,
        merged=0,
        added=0,
        chunks=[
            Chunk(number, "indicator", wave, 1, 1, "")
            for number, wave in enumerate(wave for wave, chunks in enumerate(waves) for _ in range(chunks))
        ],
    )
    return Run(Path(), settings, {}, document)


@given(first=st.integers(0, 3000), second=st.integers(0, 100), most=st.integers(1, 1024))
def test_every_chunk_is_in_one_part_of_its_wave_and_the_parts_are_even(first: int, second: int, most: int) -> None:
    run = _run(first, second)
    expected = {0: range(first), 1: range(first, first + second)}
    for wave in WAVES:
        cut = [chunks_of(part) for part in parts(run, wave, most)]
        assert [chunk for part in cut for chunk in part] == list(expected[wave])
        assert len(cut) == min(most, len(expected[wave]))
        assert max(map(len, cut), default=0) - min(map(len, cut), default=0) <= 1


def test_names_of_parts_stay_small_however_large_the_load() -> None:
    assert len(json.dumps(parts(_run(99_999), 0))) < 4096


def test_parts_of_a_planned_load(tmp_path: Path) -> None:
    settings = BatchSettings(owner=OWNER)
    run = plan(hosts(9), REJECTS.empty_table(), tmp_path / "run", settings=settings, counts={}, max_records=2)
    assert parts(run, 0) == ["0", "1", "2", "3", "4"]
    assert parts(run, 0, 2) == ["0-1", "2-4"]
    assert parts(run, 1) == []


@pytest.mark.parametrize("name", ["", "all", "3-1", "1-", "-1", "1,2", "1-2-3"])
def test_what_names_no_chunks_is_refused(name: str) -> None:
    with pytest.raises(LoadError, match="names no chunks"):
        chunks_of(name)


def test_a_load_cannot_be_cut_into_no_parts() -> None:
    with pytest.raises(LoadError, match="max_parts is 0"):
        parts(_run(3), 0, 0)
