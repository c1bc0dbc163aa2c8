"""Filtered retrieves: the filter notation, and pages as INDICATORS batches."""

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Answer, Api, failure, success

from tcetl.client import ThreatConnect
from tcetl.client.filters import checked
from tcetl.errors import ConfigError, DamagedDocumentError, OwnerNotFoundError
from tcetl.schema import INDICATORS

OWNER = "Demo Source"
BASE = {"ownerName": OWNER, "dateAdded": "2026-01-01T00:00:00Z", "lastModified": "2026-01-02T00:00:00Z", "webLink": "w"}


@pytest.mark.parametrize(
    ("given", "type", "sent"),
    [
        ([], None, None),
        (["confidence>50"], None, "confidence>50"),
        ([" rating < 2.5 ", "summary^exam ple"], None, "rating<2.5,summary^exam ple"),
        (["active=True", "active=false"], None, "active=true,active=false"),
        (
            ["dateAdded>2026-01-31", "dateAdded<2026-02-28T10:00:00Z"],
            None,
            "dateAdded>2026-01-31,dateAdded<2026-02-28T10:00:00Z",
        ),
        (["countryCode=DE"], "Address", "countryCode=DE"),
        (["dnsActive=true"], "Host", "dnsActive=true"),
        (["summary=https://example.com/?a=b<c"], None, "summary=https://example.com/?a=b<c"),
    ],
)
def test_filters(given: list[str], type: str | None, sent: str | None) -> None:  # noqa: A002
    assert checked(given, type) == sent


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("confidence", "is not a filter.*confidence>50"),
        ("", "is not a filter"),
        ("confidance>50", "no filter 'confidance'.*known here: active"),
        ("confidence^5", "cannot be compared by '\\^'.*=  <  >"),
        ("confidence>=50", "cannot be compared by '>='"),
        ("rating=3", "cannot be compared by '='"),
        ("confidence>high", "'high' is not a number"),
        ("confidence>", "'' is not a number"),
        ("dateAdded>soon", "not a date"),
        ("active=yes", "not true or false"),
        ("summary=", "is not some text"),
        ("summary=a,b", "comma"),
        ("countryCode=DE", "without type Address"),
    ],
)
def test_wrong_filters(wrong: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        checked([wrong])


@given(st.text(max_size=40))
def test_any_filter_is_taken_or_refused_in_our_own_words(text: str) -> None:
    try:
        sent = checked([text])
    except ConfigError:
        return
    assert sent is not None
    assert "," not in sent


def read(tc: ThreatConnect, **options: object) -> pa.Table:
    return pa.Table.from_batches(tc.indicators(OWNER, **options), INDICATORS)


def test_all_types(api: Api, tc: ThreatConnect) -> None:
    items = [
        BASE | {"id": 1, "type": "Host", "summary": "example.com", "rating": 3.0, "confidence": 80, "active": True},
        BASE | {"id": 2, "type": "Odd Custom Type", "summary": "x : y", "tag": [{"name": "t", "webLink": "w"}]},
    ]
    api.on("GET", "/v2/indicators", success({"resultCount": 2, "indicator": items}))
    progress: list[tuple[int, int]] = []
    table = read(
        tc,
        filters=["confidence>50", "rating>2"],
        match_any=True,
        modified_since=datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=1))),
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert table.select(["id", "type", "summary"]).to_pylist() == [
        {"id": 1, "type": "Host", "summary": "example.com"},
        {"id": 2, "type": "Odd Custom Type", "summary": "x : y"},
    ]
    assert progress == [(2, 2)]
    query = api.asked[0].query
    assert query["filters"] == ["confidence>50,rating>2"]
    assert query["orParams"] == ["true"]
    assert query["modifiedSince"] == ["2026-01-31T00:00:00Z"]
    assert query["includes"] == ["additional", "attributes", "tags", "labels"]
    assert query["owner"] == [OWNER]
    assert "filters=confidence%3E50%2Crating%3E2" in api.asked[0].target


def test_plain_request(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/v2/indicators", success({"resultCount": 0}))
    assert read(tc, includes=()).num_rows == 0
    assert not {"filters", "orParams", "modifiedSince", "includes"} & set(api.asked[0].query)


def test_several_pages_become_several_batches(api: Api, tc: ThreatConnect) -> None:
    items = [BASE | {"id": n, "type": "Host", "summary": f"h{n}.example"} for n in range(5)]
    api.on(
        "GET",
        "/v2/indicators",
        success({"resultCount": 5, "indicator": items[:2]}),
        success({"indicator": items[2:4]}),
        success({"indicator": items[4:]}),
        success({"resultCount": 5, "indicator": items[:1]}),
    )
    batches = list(tc.indicators(OWNER, page_size=2))
    assert [batch.num_rows for batch in batches] == [2, 2, 1]
    assert all(batch.schema == INDICATORS for batch in batches)


@pytest.mark.parametrize(
    ("name", "path", "key", "values", "summary"),
    [
        ("Address", "addresses", "address", {"ip": "192.0.2.1"}, "192.0.2.1"),
        ("Host", "hosts", "host", {"hostName": "example.com", "dnsActive": "true"}, "example.com"),
        ("URL", "urls", "url", {"text": "https://example.com/", "source": "s"}, "https://example.com/"),
        ("File", "files", "file", {"md5": "A" * 32, "sha256": "B" * 64, "size": 9}, f"{'A' * 32} : {'B' * 64}"),
        (
            "Registry Key",
            "registryKeys",
            "registryKey",
            {"Key Name": "HKEY_USERS\\x", "Value Name": " ", "Value Type": "REG_SZ"},
            "HKEY_USERS\\x :   : REG_SZ",
        ),
    ],
)
def test_one_type(  # noqa: PLR0917
    api: Api, tc: ThreatConnect, name: str, path: str, key: str, values: dict[str, object], summary: str
) -> None:
    api.on("GET", f"/v2/indicators/{path}", success({"resultCount": 1, key: [BASE | {"id": 1} | values]}))
    (row,) = read(tc, type=name).to_pylist()
    assert (row["type"], row["summary"], row["owner_name"]) == (name, summary, OWNER)


def test_hashes_of_files(api: Api, tc: ThreatConnect) -> None:
    item = BASE | {"id": 1, "md5": "A" * 32, "sha1": "B" * 40, "sha256": "C" * 64, "size": 9}
    api.on("GET", "/v2/indicators/files", success({"resultCount": 1, "file": [item]}))
    (row,) = read(tc, type="File").to_pylist()
    assert (row["md5"], row["sha1"], row["sha256"], row["size"]) == ("a" * 32, "b" * 40, "c" * 64, 9)


def test_a_type_of_the_instance(api: Api, tc: ThreatConnect) -> None:
    info = {"name": "IP Port", "custom": "true", "apiBranch": "ipPorts", "apiEntity": "ipPort"}
    labels = {"value1Label": "IP", "value2Label": "Port"}
    api.on("GET", "/v2/types/indicatorTypes", success({"resultCount": 1, "indicatorType": [info | labels]}))
    item = BASE | {"id": 1, "IP": "192.0.2.1", "Port": "443"}
    api.on("GET", "/v2/indicators/ipPorts", success({"resultCount": 1, "ipPort": [item]}))
    assert read(tc, type="IP Port")["summary"].to_pylist() == ["192.0.2.1 : 443"]
    with pytest.raises(ConfigError, match=r"no indicator type 'Hosts'.*types here: IP Port"):
        tc.indicators(OWNER, type="Hosts")


def test_modified_since_holds_for_one_type_too(api: Api, tc: ThreatConnect) -> None:
    old = BASE | {"id": 1, "hostName": "old.example"}
    new = BASE | {"id": 2, "hostName": "new.example", "lastModified": "2026-01-31T00:00:00Z"}
    api.on("GET", "/v2/indicators/hosts", success({"resultCount": 2, "host": [old, new]}))
    found = read(tc, type="Host", modified_since=datetime(2026, 1, 31, tzinfo=UTC))
    assert found["summary"].to_pylist() == ["new.example"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"modified_since": datetime(2026, 1, 31)},  # noqa: DTZ001
        {"includes": ["tag"]},
        {"page_size": 0},
        {"page_size": 10_001},
        {"filters": ["nonsense"]},
    ],
)
def test_wrong_arguments_are_told_before_anything_is_asked(
    api: Api, tc: ThreatConnect, wrong: dict[str, object]
) -> None:
    with pytest.raises(ConfigError):
        tc.indicators(OWNER, **wrong)
    assert not api.asked


@pytest.mark.parametrize("type", [None, "Host"])
@pytest.mark.parametrize("item", [b'{"id":1,"hostName":"a\xff.example"}', b'["a.example"]', b'{"id":1}'])
def test_an_item_that_is_no_indicator(api: Api, tc: ThreatConnect, type: str | None, item: bytes) -> None:  # noqa: A002
    path, key = ("/v2/indicators/hosts", b"host") if type else ("/v2/indicators", b"indicator")
    api.on("GET", path, Answer(200, b'{"status":"Success","data":{"resultCount":1,"' + key + b'":[' + item + b"]}}"))
    with pytest.raises(DamagedDocumentError, match="the list of indicators"):
        read(tc, type=type)


def test_unknown_owner(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/v2/indicators", failure("The requested owner was not found", 403))
    api.on("GET", "/v2/owners", success({"resultCount": 0}))
    with pytest.raises(OwnerNotFoundError, match="'Demo Source'"):
        read(tc)
