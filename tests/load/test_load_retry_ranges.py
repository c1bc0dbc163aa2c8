"""Edited dead letters are compared range by range: what is there, what is wrong and what is sent is as of one range."""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from fake_platform import OWNER, FakePlatform, hosts

from tcetl import sorted_runs
from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError, RejectedRecordsError
from tcetl.load import Run, owed, plan, rehearse, steps, submit
from tcetl.load.mending import rows as edited_rows
from tcetl.load.mending.mends import read_mends
from tcetl.schema import REJECTS

submitting = sys.modules["tcetl.load.submit"]
LETTERS = 24


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 0.0)
    monkeypatch.setattr(submitting, "POLL", (0.0, 0.0))


@pytest.fixture
def parent(tmp_path: Path) -> Run:
    """A load that loaded nothing."""
    job = BatchSettings(owner=OWNER)
    run = plan(hosts(LETTERS), REJECTS.empty_table(), tmp_path / "run", settings=job, counts={}, max_records=5)
    with pytest.raises(RejectedRecordsError):
        submit(FakePlatform(lambda index, record: "no"), run)
    return run


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ranges, batches and pieces so small that a handful of letters fills many."""
    monkeypatch.setattr(owed, "_ROWS", 4)
    monkeypatch.setattr(edited_rows, "_BATCH", 3)
    monkeypatch.setattr(sorted_runs, "_PIECES", 2)


Rows = list[dict[str, Any]]


def save(run: Run, change: Callable[[Rows], Rows]) -> None:
    table = pl.read_csv(run.rejects_text_path.read_bytes(), infer_schema=False)
    rows = pl.DataFrame(change(table.to_dicts()), schema=table.schema)
    run.rejects_text_path.write_bytes(rows.write_csv().encode())


def mixed(rows: Rows) -> Rows:
    """Of every three one is removed, one mended, and of those every other to one and the same value; in no order."""
    for number, row in enumerate(rows):
        if number % 3 == 1:
            row["summary"] = "same.example" if number % 2 else f"a-{number}.example"
    kept = [row for number, row in enumerate(rows) if number % 3]
    random.Random(7).shuffle(kept)
    return kept


def test_ranges_make_what_one_range_makes(parent: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(parent, mixed)
    whole = rehearse(parent.path, tmp_path / "whole", max_records=5)
    narrow(monkeypatch)
    ranged = rehearse(parent.path, tmp_path / "ranged", max_records=5)
    assert whole.counts == {"rows_read": LETTERS, "rejected": {"removed": 8}, "duplicates": 3, "mended": 8}
    assert ranged.counts == whole.counts
    assert [chunk.sha256 for chunk in ranged.chunks] == [chunk.sha256 for chunk in whole.chunks]
    aside = [pq.read_table(run.planned_rejects_path).to_pylist() for run in (whole, ranged)]
    assert aside[0] == aside[1]
    assert [row["code"] for row in aside[0]] == ["removed"] * 8 + ["duplicate"] * 3
    assert read_mends(ranged) == read_mends(whole)
    assert sorted(mend.letter for mend in read_mends(ranged)) == list(range(2, LETTERS, 3))


def test_equal_values_of_many_ranges_are_sent_once(
    parent: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch)
    save(parent, lambda rows: [row | {"summary": "same.example"} for row in rows])
    child = rehearse(parent.path, tmp_path / "again")
    assert (sum(chunk.records for chunk in child.chunks), child.counts["duplicates"]) == (1, LETTERS - 1)
    assert child.origins(0)["row"].to_pylist() == [1], "the first letter is the one that is sent"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda rows: [rows[0] | {"letter": "0"}, *rows[1:]], "row 2: there is no dead letter ''"),
        (lambda rows: [*rows[:9], rows[9] | {"letter": "x"}, *rows[10:]], "row 11: there is no dead letter 'x'"),
        (lambda rows: [*rows, rows[0] | {"letter": "25"}], "row 26: there is no dead letter '25'"),
        (lambda rows: [*rows, rows[0] | {"letter": "9" * 30}], "row 26: there is no dead letter '9{30}'"),
        (lambda rows: [*rows, rows[3]], "row 5: letter 4 is there twice; row 26: letter 4 is there twice"),
        (
            lambda rows: [row | {"summary": rows[::-1][at]["summary"]} for at, row in enumerate(rows)],
            "row 2: the column summary was sorted without the others",
        ),
        (
            lambda rows: [row | {"summary": "no host"} for row in rows[::-1]],
            "row 2: .*; row 3: .*; row 4: .*; row 5: .*; row 6: .*; and 19 more",
        ),
    ],
)
def test_what_is_wrong_is_found_in_whatever_range(
    parent: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Rows], Rows], complaint: str
) -> None:
    narrow(monkeypatch)
    save(parent, change)
    with pytest.raises(LoadError, match=complaint):
        rehearse(parent.path, tmp_path / "again")
    assert not Run.is_planned(tmp_path / "again")
