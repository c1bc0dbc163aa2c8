"""CSV against the standard library and DuckDB, and the formula guard and its way back."""

import csv
import io
import json
import re
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tcetl.siem.csv import FORMULA, Csv

from .conftest import HOSTILE, batch_of, cleaned, record

FREE_TEXT_TYPE = "Mutex"


def encode(*rows: dict[str, Any], **options: Any) -> str:
    encoder = Csv(**options)
    return (encoder.header() + bytes(encoder.encode(pl.from_arrow(batch_of(*rows))).text)).decode()


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and re.match(FORMULA, cell[1:]) else cell


rows = st.builds(
    record,
    type=st.sampled_from(["Host", FREE_TEXT_TYPE]),
    summary=HOSTILE,
    owner_name=HOSTILE,
    description=st.one_of(st.none(), HOSTILE),
    source=HOSTILE,
    web_link=HOSTILE,
    tags=st.lists(HOSTILE, max_size=2),
    security_labels=st.lists(HOSTILE, max_size=2),
    attributes=st.lists(st.tuples(HOSTILE, st.one_of(st.none(), HOSTILE)), max_size=2),
)


@given(st.lists(rows, max_size=3), st.sampled_from(["none", "text", "all"]))
@example([record(type=FREE_TEXT_TYPE, summary="'=x", description="''+1", source="@x", web_link="")], "text")
def test_every_cell_comes_back(rows, guard):
    text = encode(*rows, guard=guard)
    restore = str if guard == "none" else unguarded

    for row, cells in zip(rows, read(text), strict=True):
        found = {key: restore(cell) for key, cell in cells.items()}
        if guard == "text":  # not guarded, so nothing to take away
            found["webLink"], found["securityLabels"] = cells["webLink"], cells["securityLabels"]
            if row["type"] == "Host":
                found["summary"] = cells["summary"]
        assert None not in cells
        assert found["summary"] == cleaned(row["summary"])
        assert found["ownerName"] == cleaned(row["owner_name"])
        assert found["description"] == cleaned(row["description"] or "")
        assert found["source"] == cleaned(row["source"])
        assert found["webLink"] == cleaned(row["web_link"])
        assert found["tags"] == cleaned("; ".join(tag["name"] for tag in row["tags"]))
        assert found["securityLabels"] == cleaned("; ".join(row["security_labels"]))
        pairs = [{key: value for key, value in pair.items() if value is not None} for pair in row["attributes"]]
        assert json.loads(found["attributes"] or "[]") == pairs


@given(HOSTILE)
def test_no_guarded_cell_begins_like_a_formula(text):
    [cells] = read(encode(record(type=FREE_TEXT_TYPE, summary=text, description=text, source=text, owner_name=text)))

    for key in ("summary", "description", "source", "ownerName"):
        assert (
            not cells[key].lstrip().startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
        )


@pytest.mark.parametrize(
    ("guard", "type_", "summary", "link"),
    [
        ("none", "Email Subject", "=1", "=2"),
        ("text", "Email Subject", "'=1", "=2"),
        ("text", "A custom type", "'=1", "=2"),
        ("text", "Host", "=1", "=2"),
        ("all", "Host", "'=1", "'=2"),
    ],
)
def test_what_each_guard_covers(guard, type_, summary, link):
    [cells] = read(encode(record(type=type_, summary="=1", web_link="=2", confidence=5), guard=guard))

    assert (cells["summary"], cells["webLink"]) == (summary, link)
    assert cells["confidence"] == "5"


def test_bom_is_there_when_asked_for(exported):
    assert exported("csv", record(), bom=True)[0].startswith(b"\xef\xbb\xbfid,ownerName,")
    assert exported("csv", record())[0].startswith(b"id,ownerName,")


def test_duckdb_reads_the_same_cells(exported, tmp_path):
    exported("csv", *[record(id=n, summary=f'h{n},"q"', description="two\nlines", tags=["a", "b"]) for n in range(50)])

    rows = duckdb.sql(f"SELECT id, summary, description, tags FROM read_csv('{tmp_path}/out.csv', header = true)")

    assert rows.fetchall()[7] == (7, 'h7,"q"', "two\nlines", "a; b")
    assert len(rows.fetchall()) == 50
