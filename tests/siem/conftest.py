"""The thirteen records of the golden files, as INDICATORS."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import strategies as st

from tcetl.schema import INDICATORS
from tcetl.siem import ExportReport, export
from tcetl.siem.canonical import KEYS

GOLDEN = Path(__file__).parent / "golden"


# What breaks lines, fields, escapes and quotes, among plain letters and anything else.
HOSTILE = st.text(
    st.one_of(
        st.sampled_from("ab1 =|\\\"'\n\r\t\0\x1b\x7f\x85\u2028\u2029;,:+-@\uff1d\u00e9"),
        st.characters(exclude_categories=["Cs"]),
    )
)


def cleaned(text: str) -> str:
    """The rule for text, stated once more: CRLF is LF, other controls are blanks, none around."""
    return re.sub("[\0-\x09\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]", " ", text.replace("\r\n", "\n")).strip()


def record(**values: Any) -> dict[str, Any]:
    """One INDICATORS row from a few values."""
    row = {"owner_name": "Owner", "type": "Host", "summary": "a.example", **values}
    row["tags"] = [{"name": name} for name in values.get("tags", ())]
    row["attributes"] = [{"type": kind, "value": value} for kind, value in values.get("attributes", ())]
    row["security_labels"] = list(values.get("security_labels", ()))
    return row


def batch_of(*rows: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=INDICATORS)


def golden_batch() -> pa.RecordBatch:
    rows = []
    for line in (GOLDEN / "indicators.ndjson").read_text(encoding="utf-8").splitlines():
        values = {KEYS[key]: value for key, value in json.loads(line).items()}
        values["attributes"] = [(pair["type"], pair["value"]) for pair in values["attributes"]]
        rows.append(record(**values))

    times = ("date_added", "last_modified")
    columns = []
    for field in INDICATORS:
        values = [row.get(field.name) for row in rows]
        if field.name in times:
            columns.append(pc.strptime(values, "%Y-%m-%dT%H:%M:%SZ", "us").cast(field.type))
        else:
            columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=INDICATORS)


@pytest.fixture
def golden() -> pa.RecordBatch:
    return golden_batch()


@pytest.fixture
def exported(tmp_path) -> Callable[..., tuple[bytes, ExportReport]]:
    """Export rows and return the file's bytes and the report."""

    def run(name: str, *rows: dict[str, Any], **options: Any) -> tuple[bytes, ExportReport]:
        report = export([batch_of(*rows)], tmp_path / f"out.{name}", name, **options)
        return report.path.read_bytes(), report

    return run
