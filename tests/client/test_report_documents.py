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
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.client.report import ReportReader, cutting, indicator_batch
from tcetl.client.report.parsing import parse
from tcetl.client.report.seen import Seen
from tcetl.client.report.wire import ITEM
from tcetl.errors import DamagedDocumentError
from tcetl.schema import INDICATORS, REJECTS

BLOCK_SIZES = [1, 2, 3, 5, 7, 16, 33, 64, 300, 1 << 20]
COLUMNS = {
    "id": "id",
    "ownerName": "owner_name",
    "type": "type",
    "summary": "summary",
    "rating": "rating",
    "confidence": "confidence",
    "threatAssessRating": "threat_assess_rating",
    "threatAssessConfidence": "threat_assess_confidence",
    "threatAssessScore": "threat_assess_score",
    "calScore": "cal_score",
    "dateAdded": "date_added",
    "lastModified": "last_modified",
    "webLink": "web_link",
    "description": "description",
    "source": "source",
    "size": "size",
    "active": "active",
    "activeLocked": "active_locked",
    "privateFlag": "private_flag",
    "observationCount": "observation_count",
    "lastObserved": "last_observed",
    "falsePositiveCount": "false_positive_count",
    "falsePositiveLastReported": "false_positive_last_reported",
    "firstSeen": "first_seen",
    "lastSeen": "last_seen",
}
INSIDE = {
    "tag": ("tags", {"name": "name", "webLink": "web_link"}),
    "attribute": (
        "attributes",
        {
            "id": "id",
            "type": "type",
            "value": "value",
            "source": "source",
            "displayed": "displayed",
            "dateAdded": "date_added",
            "lastModified": "last_modified",
        },
    ),
}


def read(document: bytes, **options: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and rejects; every batch must be a sound one."""
    reader = ReportReader(io.BytesIO(document), **options)
    rows: list[dict[str, Any]] = []
    for batch in reader:
        assert batch.schema.equals(INDICATORS)
        assert batch.num_rows
        batch.validate(full=True)
        rows += batch.to_pylist()
    assert reader.rows == len(rows)
    assert reader.bytes == len(document)
    assert reader.rejects.schema.equals(REJECTS)
    return rows, reader.rejects.to_pylist()


# What the tests expect of a record, stated once more, and slowly.


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def expected(record: dict[str, Any]) -> dict[str, Any]:
    record = {key: value for key, value in record.items() if value is not None}
    row: dict[str, Any] = dict.fromkeys(INDICATORS.names)
    extra: dict[str, Any] = {}
    for key, value in record.items():
        if key in COLUMNS:
            is_time = pa.types.is_timestamp(INDICATORS.field(COLUMNS[key]).type)
            row[COLUMNS[key]] = _moment(value) if is_time else value
        elif key in ("dnsActive", "whoisActive"):
            row["dns_active" if key == "dnsActive" else "whois_active"] = value == "true"
        elif key in INSIDE:
            column, names = INSIDE[key]
            fields = [field.name for field in INDICATORS.field(column).type.value_type]
            elements = [_element(element, names, fields) for element in value]
            row[column] = [known for known, _ in elements]
            if any(unknown for _, unknown in elements):
                extra[key] = [unknown for _, unknown in elements]
        elif key == "securityLabel":
            row["security_labels"] = [label["name"] for label in value]
        elif key not in ("md5", "sha1", "sha256"):
            extra[key] = value
    for column in ("tags", "attributes", "security_labels"):
        row[column] = row[column] or []
    row["extra"] = extra or None
    hashes = {len(part): part.lower() for part in row["summary"].split(" : ")} if row["type"] == "File" else {}
    for name, length in (("md5", 32), ("sha1", 40), ("sha256", 64)):
        row[name] = (record.get(name) or hashes.get(length) or "").lower() or None
    return row


def _element(
    element: dict[str, Any], names: dict[str, str], fields: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    known: dict[str, Any] = dict.fromkeys(fields)
    for key, name in names.items():
        value = element.get(key)
        known[name] = _moment(value) if value is not None and key in ("dateAdded", "lastModified") else value
    return known, {key: value for key, value in element.items() if key not in names and value is not None}


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"extra": row["extra"] and json.loads(row["extra"])}


# Generated documents.

NASTY = st.sampled_from(
    ['},{"', "}]},{", '"', "\\", '\\"', "\\\\", "]}", "}, {", '},{"summary":"x"}', "\u2028", "é😀", "\x00", "\n", "/"]
)
TEXT = st.lists(NASTY | st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=4).map("".join)
NAME = TEXT.map(lambda text: text or "x")
SPAN = datetime(1970, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001
TIME = st.datetimes(*SPAN).flatmap(
    lambda moment: st.sampled_from(
        [
            moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            moment.strftime("%Y-%m-%dT%H:%M:%S"),
            moment.strftime("%Y-%m-%dT%H:%M:%S-04:30"),
            moment.isoformat(timespec="milliseconds") + "Z",
            moment.strftime("%Y-%m-%d"),
        ]
    )
)
UNKNOWN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(-1e9, 1e9) | TEXT | TIME,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=3),
    max_leaves=4,
)
UNKNOWN_KEY = NAME.map(lambda text: "x-" + text)


def _of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_string(kind):
        return TEXT
    if pa.types.is_timestamp(kind):
        return TIME
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_floating(kind):
        return st.floats(-1e6, 1e6) | st.integers(-100, 100)
    return st.integers(-(2**31), 2**31 - 1)


def _inside(key: str, required: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    known = {field.name: _of(field.type) | st.none() for field in ITEM.field(key).type.value_type}
    element = st.fixed_dictionaries({required: TEXT}, optional={k: v for k, v in known.items() if k != required})
    return st.lists(_with_unknown(element) if key != "securityLabel" else element, max_size=3)


def _with_unknown(records: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    more = st.just({}) | st.dictionaries(UNKNOWN_KEY, UNKNOWN, max_size=2)
    merged = st.tuples(records, more).map(lambda pair: list((pair[0] | pair[1]).items()))
    return merged.flatmap(st.permutations).map(dict)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    field.name: _of(field.type) for field in ITEM if not pa.types.is_list(field.type)
} | {
    "type": st.sampled_from(["Host", "URL", "File", "Odd Custom Type"]),
    "ownerName": NAME,
    "summary": NAME
    | st.sampled_from(["A" * 32, f"{'B' * 32} : {'c' * 40} : {'D' * 64}", f"{'B' * 32} :  : {'D' * 64}"]),
    "dnsActive": st.sampled_from(["true", "false"]),
    "whoisActive": st.sampled_from(["true", "false"]),
    "md5": st.just("E" * 32),
    "tag": _inside("tag", "name"),
    "attribute": _inside("attribute", "type"),
    "securityLabel": st.lists(st.fixed_dictionaries({"name": TEXT.map(lambda t: "L" + t)}), max_size=2),
}
REQUIRED = ("ownerName", "type", "summary")
RECORD = _with_unknown(
    st.fixed_dictionaries(
        {key: VALUES[key] for key in REQUIRED},
        optional={key: value | st.none() for key, value in VALUES.items() if key not in REQUIRED},
    )
)
STYLE = st.sampled_from(
    [
        {},
        {"separators": (",", ":")},
        {"separators": (",", ":"), "ensure_ascii": False},
        {"indent": 1},
        {"separators": (" ,\t", " :\r\n"), "ensure_ascii": False},
    ]
)
ENVELOPE = st.sampled_from(
    [
        lambda records: {"indicator": records},
        lambda records: {"status": "Success", "data": {"resultCount": 3, "indicator": records}},
        lambda records: {
            "note": '"indicator":[ {"a',
            "x": [[{}]],
            "indicator": records,
            "more": [{"a": 1}, {"b": [2]}],
        },
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    return json.dumps(draw(ENVELOPE)(draw(st.lists(RECORD, max_size=5))), **draw(STYLE)).encode()


def records_of(document: bytes) -> list[dict[str, Any]]:
    found = json.loads(document)
    return found["indicator"] if "indicator" in found else found["data"]["indicator"]


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


@settings(max_examples=40, deadline=None)
@given(documents(), st.data())
def test_a_cut_document_is_damaged(document: bytes, data: st.DataObject) -> None:
    document = document.rstrip()
    end = data.draw(st.integers(0, len(document) - 1))
    for block_size in (1, 40, 1 << 20):
        with pytest.raises(DamagedDocumentError) as caught:
            read(document[:end], block_size=block_size)
        assert 0 <= caught.value.offset <= end


def _is_json(document: bytes) -> bool:
    def no_constant(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(document.decode(), parse_constant=no_constant)
    except ValueError:
        return False
    return True


@settings(max_examples=60, deadline=None)
@given(
    documents(),
    st.data(),
    st.sampled_from([b"", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\xff", b"0", b"NaN"]),
)
def test_a_document_with_a_wrong_byte(document: bytes, data: st.DataObject, wrong: bytes) -> None:
    place = data.draw(st.integers(0, len(document) - 1))
    changed = document[:place] + wrong + document[place + 1 :]
    results = [outcome(changed, block_size) for block_size in (1, 40, 1 << 20)]
    assert results[0] == results[1] == results[2]
    assert results[0] is None or _is_json(changed)


def test_a_key_that_is_no_text_near_the_end_of_a_block() -> None:
    bad = ITEM_TEXT.replace(b'"summary"', b'"su\xffmary"')
    document = b'{"indicator":[' + b",".join([ITEM_TEXT, ITEM_TEXT, bad, ITEM_TEXT]) + b"]}"
    for block_size in range(1, len(document) + 2):
        with pytest.raises(DamagedDocumentError, match="not JSON"):
            read(document, block_size=block_size)


def outcome(document: bytes, block_size: int) -> object:
    """What reading gives; None for a damaged document."""
    try:
        return read(document, block_size=block_size)
    except DamagedDocumentError:
        return None


# Damage by hand.

ITEM_TEXT = b'{"id":1,"ownerName":"O","type":"Host","summary":"a.example","tag":[{"name":"a"},{"name":"b"}]}'
WHOLE = b'{"indicator":[' + b",".join([ITEM_TEXT] * 4) + b"]}"
END = len(b'{"indicator":[' + ITEM_TEXT)


@pytest.mark.parametrize("block_size", [1, 20, 150, 1 << 20])
def test_every_truncation(block_size: int) -> None:
    for end in range(len(WHOLE)):
        with pytest.raises(DamagedDocumentError) as caught:
            read(WHOLE[:end], block_size=block_size)
        assert caught.value.offset <= end
        with pytest.raises(DamagedDocumentError, match="announced") as caught:
            read(WHOLE[:end], block_size=block_size, expected_bytes=len(WHOLE))
        assert caught.value.offset == end


@pytest.mark.parametrize(
    ("document", "offset", "says"),
    [
        (b"", 0, "not JSON"),
        (b"<html><body>Sign in</body></html>", 0, "not JSON"),
        (b"{}", 2, "no list of indicators"),
        (b'{"indicator":null}', 18, "no list of indicators"),
        (b'{"indicator":"x"}', 17, "no list of indicators"),
        (b'{"status":"Failure","message":"no"}', 35, "no list of indicators"),
        (b'{"x" {"indicator":[]}}', 5, "not JSON"),
        (b'{"indicator":[]', 15, "does not end"),
        (b'{"indicator":[]}x', 16, "does not end"),
        (WHOLE + WHOLE, len(WHOLE), "does not end"),
        (b'{"indicator":[' + ITEM_TEXT + b'],"indicator":[' + ITEM_TEXT + b"]}", END + 1, "second list"),
        (b'{"indicator":[' + ITEM_TEXT + b",]}", END + 1, "is damaged"),
        (b'{"indicator":[,' + ITEM_TEXT + b"]}", 14, "is damaged"),
        (b'{"indicator":[' + ITEM_TEXT + b",," + ITEM_TEXT + b"]}", END + 1, "is damaged"),
        (b'{"indicator":[' + ITEM_TEXT + b" " + ITEM_TEXT + b"]}", END + 1, "not JSON"),
        (b'{"indicator":[' + ITEM_TEXT + b"}," + ITEM_TEXT + b"]}", END, "'}' between"),
        (
            b'{"indicator":[' + ITEM_TEXT + b"," + ITEM_TEXT.replace(b"Host", b"Ho\xffst") + b"]}",
            END + 1 + ITEM_TEXT.index(b"st"),
            "not JSON",
        ),
        (
            b'{"indicator":[' + ITEM_TEXT + b"," + ITEM_TEXT.replace(b":1", b":01") + b"]}",
            END + 1 + ITEM_TEXT.index(b"1") + 1,
            "not JSON",
        ),
    ],
)
def test_where_it_is_damaged(document: bytes, offset: int, says: str) -> None:
    for block_size in (1, 60, 1 << 20):
        with pytest.raises(DamagedDocumentError, match=says) as caught:
            read(document, block_size=block_size)
        assert abs(caught.value.offset - offset) <= 1, caught.value


@pytest.mark.parametrize("expected_bytes", [len(WHOLE) - 1, len(WHOLE) + 1])
def test_another_length_than_announced(expected_bytes: int) -> None:
    with pytest.raises(DamagedDocumentError, match="were announced"):
        read(WHOLE, expected_bytes=expected_bytes)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("depth", [5_000, 1_000_000])
def test_nesting_too_deep_to_read_is_no_crash(depth: int, opening: bytes, closing: bytes) -> None:
    deep = opening * depth + b"1" + closing * depth
    with pytest.raises(DamagedDocumentError):
        read(b'{"indicator":[' + ITEM_TEXT[:-1] + b',"x":' + deep + b"}]}")
    with pytest.raises(DamagedDocumentError):
        read(b'{"x":' + deep + b',"indicator":[]}')


@pytest.mark.parametrize("before", [True, False])
def test_a_flood_around_the_list_is_not_held(before: bool) -> None:
    class Flood(io.RawIOBase):
        start = b'{"x":"' if before else b'{"indicator":[],"x":"'
        given = 0

        def readinto(self, buffer: Any) -> int:
            view = memoryview(buffer)
            view[:] = b"x" * len(view)
            if not self.given:
                view[: len(self.start)] = self.start
            self.given += len(view)
            return len(view)

    flood = Flood()
    with pytest.raises(DamagedDocumentError):
        list(ReportReader(flood, block_size=64 << 10))
    assert flood.given < 3 * cutting.ENVELOPE_LIMIT


def test_an_item_without_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "ITEM_LIMIT", 100_000)
    large = ITEM_TEXT[:-1] + b',"x":"' + b"y" * 90_000 + b'"}'
    assert len(read(b'{"indicator":[' + large + b"]}", block_size=1000)[0]) == 1
    with pytest.raises(DamagedDocumentError, match=r"an item has more than 100,000 bytes"):
        read(b'{"indicator":[' + ITEM_TEXT[:-1] + b',"x":"' + b"y" * 10_000_000, block_size=1000)


def test_an_error_of_the_stream_passes_through() -> None:
    class Broken(io.RawIOBase):
        asked = 0

        def readinto(self, buffer: Any) -> int:
            self.asked += 1
            if self.asked > 2:
                raise DamagedDocumentError("the connection broke", offset=7)
            view = memoryview(buffer)
            view[:] = (b'{"indicator":[' + b",".join([ITEM_TEXT] * 99))[: len(view)]
            return len(view)

    with pytest.raises(DamagedDocumentError, match="the connection broke"):
        list(ReportReader(Broken(), block_size=1000))


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
