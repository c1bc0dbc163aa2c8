"""NDJSON against the standard library: nothing lost, nothing added, one line each."""

import json
from datetime import UTC, datetime

import duckdb
import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from tcetl.siem.canonical import KEYS
from tcetl.siem.ndjson import Ndjson

from .conftest import HOSTILE, batch_of, record

# Texts that look like what the encoder takes out of its own JSON.
SPOOFED = '","description":null,{"id":null,"value":null'
# Unicode's White_Space; Python's strip() also takes the separators U+001C to U+001F, which are not blanks.
WHITE_SPACE = "".join(map(chr, [*range(0x9, 0xE), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029,
                                0x202F, 0x205F, 0x3000]))  # fmt: skip
MAYBE = st.one_of(st.none(), HOSTILE)
NUMBER = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))

rows = st.builds(
    record,
    id=st.one_of(st.none(), st.integers(0, 2**63 - 1)),
    type=HOSTILE,
    summary=HOSTILE,
    owner_name=HOSTILE,
    description=MAYBE,
    source=MAYBE,
    web_link=MAYBE,
    md5=MAYBE,
    rating=NUMBER,
    confidence=st.one_of(st.none(), st.integers(0, 100)),
    tags=st.lists(HOSTILE, max_size=2),
    security_labels=st.lists(HOSTILE, max_size=2),
    attributes=st.lists(st.tuples(HOSTILE, MAYBE), max_size=2),
)


def encode(*rows: dict) -> str:
    return bytes(Ndjson().encode(pl.from_arrow(batch_of(*rows))).text).decode()


@given(st.lists(rows, min_size=1, max_size=3))
@example([record(id=None, description=SPOOFED, tags=[SPOOFED], attributes=[(SPOOFED, SPOOFED), ("t", None)])])
def test_every_value_comes_back(rows):
    text = encode(*rows)
    lines = text.splitlines()

    assert len(lines) == len(rows)
    for row, line in zip(rows, lines, strict=True):
        found = json.loads(line)
        expected = {key: row.get(column) for key, column in KEYS.items()}
        expected["summary"] = row["summary"].strip(WHITE_SPACE)
        expected["tags"] = [tag["name"] for tag in row["tags"]]
        expected["attributes"] = [
            {key: value for key, value in pair.items() if value is not None} for pair in row["attributes"]
        ]
        assert found == {key: value for key, value in expected.items() if value is not None}
        assert list(found) == [key for key in KEYS if key in found]


def test_times_have_the_decimals_that_they_have():
    times = [datetime(2024, 6, 15, 8, 30, 0, micro, tzinfo=UTC) for micro in (0, 120_000, 120_001)]

    lines = encode(*[record(last_modified=time) for time in times]).splitlines()

    assert [json.loads(line)["lastModified"] for line in lines] == [
        "2024-06-15T08:30:00Z",
        "2024-06-15T08:30:00.120Z",
        "2024-06-15T08:30:00.120001Z",
    ]


def test_duckdb_reads_the_same_records(exported, tmp_path):
    exported("ndjson", *[record(id=n, summary=f"h{n}.example", tags=["a"], attributes=[("k", "v")]) for n in range(50)])

    rows = duckdb.sql(f"SELECT id, tags, attributes FROM read_json('{tmp_path}/out.ndjson') ORDER BY id").fetchall()

    assert rows[7] == (7, ["a"], [{"type": "k", "value": "v"}])
    assert len(rows) == 50
