"""Record batches for the lake's tests."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from tcetl.schema import INDICATORS

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


def record(number: int) -> dict[str, object]:
    """One full indicator; every third is a File, every fifth has no description."""
    is_file = number % 3 == 0
    md5 = f"{number:032x}"
    return {
        "id": number,
        "owner_name": "Example Community",
        "type": "File" if is_file else "Host",
        "summary": md5 if is_file else f"host-{number}.example",
        "rating": float(number % 6),
        "confidence": number % 101,
        "date_added": START,
        "last_modified": START + timedelta(microseconds=number),
        "description": None if number % 5 == 0 else f'line {number}\nsecond, "ü"',
        "tags": [{"name": f"tag {n}", "web_link": None} for n in range(number % 3)],
        "attributes": [{"type": "Source", "value": f"value {number}", "displayed": True, "id": number}],
        "security_labels": ["TLP:AMBER"],
        "tlp": "AMBER",
        "md5": md5 if is_file else None,
        "extra": '{"unknown": 1}',
        "origin": {"source": "feed", "file": "feed.csv", "row": number, "pointer": None, "raw": "x"},
    }


def indicator_batches(rows: int, *, size: int = 1000) -> Iterator[pa.RecordBatch]:
    for start in range(0, rows, size):
        records = [record(number) for number in range(start, min(start + size, rows))]
        yield pa.RecordBatch.from_pylist(records, schema=INDICATORS)


@pytest.fixture
def batches() -> Callable[..., Iterator[pa.RecordBatch]]:
    return indicator_batches
