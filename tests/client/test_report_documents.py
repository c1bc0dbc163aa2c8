"""The report reader against json.loads: any document, at any block size, gives what json.loads gives."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from generated_reports import BLOCK_SIZES, ITEM_TEXT, comparable, documents, expected, read, records_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.client.report import ReportReader, cutting, indicator_batch
from tcetl.client.report.parsing import parse
from tcetl.client.report.seen import Seen
from tcetl.errors import DamagedDocumentError
from tcetl.schema import INDICATORS


@settings(max_examples=60, deadline=None)
@given(documents(), st.sampled_from(BLOCK_SIZES))
def test_equals_json_loads(document: bytes, block_size: int) -> None:
    rows, rejects = read(document, block_size=block_size, expected_bytes=len(document))
    assert [comparable(row) for row in rows] == [expected(record) for record in records_of(document)]
    assert not rejects


@settings(max_examples=15, deadline=None)
@given(documents())
def test_equal_at_every_block_size(document: bytes) -> None:
    whole = read(document)
    for block_size in BLOCK_SIZES:
        assert read(document, block_size=block_size) == whole


# Where a block ends.


def test_a_wrong_guess_is_taken_back() -> None:
    """Things inside a record that look like records: only counting brackets tells them apart."""
    inner = [{"ownerName": "O", "type": "Host", "summary": f"inner{n}.example"} for n in range(40)]
    records = [
        {"ownerName": "O", "type": "Host", "summary": f"outer{n}.example", "related": inner[: 10 * (n % 5)]}
        for n in range(30)
    ]
    document = json.dumps({"indicator": records}).encode()
    for block_size in (200, 500, 1000, 3000, 10_000):
        rows, rejects = read(document, block_size=block_size)
        assert [row["summary"] for row in rows] == [record["summary"] for record in records]
        assert [json.loads(row["extra"] or '{"related":[]}') for row in rows] == [
            {"related": record["related"]} for record in records
        ]
        assert not rejects


def test_a_wrong_guess_before_the_damage() -> None:
    inner = [{"ownerName": "O", "type": "Host", "summary": f"inner{n}.example"} for n in range(40)]
    records = [{"ownerName": "O", "type": "Host", "summary": "outer.example", "related": inner}] * 3
    document = json.dumps({"indicator": records}).encode()
    for block_size in (300, 1000, 2500):
        with pytest.raises(DamagedDocumentError) as caught:
            read(document[:-1], block_size=block_size)
        assert caught.value.offset == len(document) - 1


def test_a_record_of_many_blocks() -> None:
    record = {"ownerName": "O", "type": "Mutex", "summary": "big", "description": '},{"summary":"' * 20_000}
    small = {"ownerName": "O", "type": "Mutex", "summary": "small"}
    document = json.dumps({"indicator": [small, record, small, record]}).encode()
    for block_size in (1000, 1 << 16, 1 << 22):
        rows, _ = read(document, block_size=block_size)
        assert [len(row["description"] or "") for row in rows] == [0, 280_000, 0, 280_000]


def test_keys_that_come_up_late() -> None:
    """The parser looks for the keys that came up so far, at first for none: each that comes later has its value."""
    plain = {"ownerName": "O", "type": "Mutex", "summary": "m"}
    later: list[dict[str, Any]] = [
        {},
        {"rating": None},
        {"tag": [{"name": "T"}]},
        {"rating": 3, "attribute": []},
        {"tag": [{"name": "T", "webLink": "https://tc.example/t"}], "attribute": [{"type": "A", "value": None}]},
        {"attribute": [{"type": "A", "value": "v", "displayed": True}], "securityLabel": [{"name": "Internal"}]},
        {"lastSeen": "2026-01-31T00:00:00Z", "unheardOf": [1]},
    ]
    records = [plain | more for more in later for _ in range(3)]
    document = json.dumps({"indicator": records}).encode()
    rows, _ = read(document, block_size=1)
    assert [comparable(row) for row in rows] == [expected(record) for record in records]
    assert read(document) == (rows, [])


@pytest.mark.parametrize("item", [ITEM_TEXT, b'{"ownerName":"O","type":"Mutex","summary":"m","rating":null}'])
def test_keys_are_learnt_once(item: bytes) -> None:
    document = cutting.PREFIX + item + cutting.SUFFIX
    seen = Seen()
    parse(document, seen=seen)
    keys = seen.keys
    parse(document, seen=seen)
    assert seen.keys is keys
    assert {path[0] for path in keys.paths} == set(json.loads(item))


def test_blocks_are_bounded() -> None:
    """Many records come in many batches: memory does not follow the document."""
    document = b'{"indicator":[' + b",".join([ITEM_TEXT] * 5000) + b"]}"
    sizes = [batch.num_rows for batch in ReportReader(io.BytesIO(document), block_size=10_000)]
    assert sum(sizes) == 5000
    assert max(sizes) <= 10_000 // len(ITEM_TEXT) + 1


def test_reading_stops_with_the_reader() -> None:
    """Only a few blocks are read ahead; closing early leaves nothing running."""
    document = b'{"indicator":[' + b",".join([ITEM_TEXT] * 5000) + b"]}"
    reader = ReportReader(io.BytesIO(document), block_size=10_000)
    batches: Iterator[pa.RecordBatch] = iter(reader)
    next(batches)
    assert reader.bytes < 120_000
    batches.close()  # type: ignore[attr-defined]
    assert reader.bytes < 120_000


def test_one_page() -> None:
    batch = indicator_batch([ITEM_TEXT, ITEM_TEXT], exported_at=datetime(2026, 1, 31, tzinfo=UTC))
    assert batch.schema.equals(INDICATORS)
    assert batch["exported_at"].to_pylist() == [datetime(2026, 1, 31, tzinfo=UTC)] * 2
    assert indicator_batch([]).num_rows == 0


def test_one_page_with_a_bad_item() -> None:
    with pytest.raises(DamagedDocumentError, match=r"item 2 of 2 .* is none: the record has no summary") as caught:
        indicator_batch([ITEM_TEXT, b'{"ownerName":"O","type":"Host"}'])
    assert caught.value.offset == len(ITEM_TEXT) + 1
    with pytest.raises(DamagedDocumentError, match="not JSON"):
        indicator_batch([b"{"])


def test_reading_and_publishing_import_no_pandas(tmp_path: Path) -> None:
    label = b'"securityLabel":[{"name":"TLP:WHITE"}],"dnsActive":"true"}'
    (tmp_path / "report.json").write_bytes(b'{"indicator":[' + ITEM_TEXT[:-1] + b"," + label + b"]}")
    code = """
import sys
from datetime import UTC, datetime
from tcetl.client.report import ReportReader
from tcetl.lake import publish
with open("report.json", "rb") as report:
    dataset = publish(ReportReader(report, exported_at=datetime(2026, 1, 31, tzinfo=UTC)), "lake", run_id="x")
light = "pandas" not in sys.modules
(row,) = next(dataset.batches()).to_pylist()
print(light, row["tlp"], row["dns_active"], row["exported_at"].isoformat())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "CLEAR", "True", "2026-01-31T00:00:00+00:00"]
