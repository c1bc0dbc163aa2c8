"""Documents for tests of the report reader, and what is expected of each record, stated once more and slowly."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from tcetl.client.report import ReportReader
from tcetl.client.report.wire import ITEM
from tcetl.schema import INDICATORS, REJECTS

ITEM_TEXT = b'{"id":1,"ownerName":"O","type":"Host","summary":"a.example","tag":[{"name":"a"},{"name":"b"}]}'
WHOLE = b'{"indicator":[' + b",".join([ITEM_TEXT] * 4) + b"]}"
END = len(b'{"indicator":[' + ITEM_TEXT)
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
