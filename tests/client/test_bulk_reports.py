"""Bulk reports: status, freshness, making one on demand, and everything that can be wrong with one."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pyarrow as pa
import pytest
from scripted import Answer, Api, Asked, Script, answer, failure, html, success

from tcetl.client import BulkStatus, ThreatConnect
from tcetl.client.bulk import CSV
from tcetl.errors import ApiError, BulkReportError, ConnectionFailedError, DamagedDocumentError, OwnerNotFoundError
from tcetl.schema import INDICATORS

OWNER = "Demo Source"
MADE = datetime(2026, 1, 31, 2, 30, tzinfo=UTC)
NOW = MADE + timedelta(hours=6)
STATUS, JSON, CSV_PATH = "/v2/indicators/bulk", "/v2/indicators/bulk/json", "/v2/indicators/bulk/csv"
ITEM = {
    "id": 1,
    "ownerName": OWNER,
    "type": "Host",
    "dateAdded": "2026-01-01T00:00:00Z",
    "lastModified": "2026-01-02T00:00:00Z",
    "rating": 5.0,
    "confidence": 73,
    "webLink": "https://tc.example/1",
    "summary": "example.com",
}


def status(
    last_run: datetime | None = MADE, status: str | None = "Complete", *, now: datetime = NOW, **more: object
) -> Answer:
    fields = {
        "name": OWNER,
        "csvEnabled": True,
        "jsonEnabled": True,
        "nextRun": "2026-02-01T02:30:00Z",
        "lastRun": last_run and last_run.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "status": status,
    } | more
    document = {"bulkStatus": {name: value for name, value in fields.items() if value is not None}}
    return answer(document, Date=format_datetime(now, usegmt=True))


def report(*items: object) -> Answer:
    return answer({"indicator": list(items)})


def csv(text: str) -> Answer:
    return Answer(200, text.encode(), {"Content-Type": "text/csv"})


READERS: dict[str, Callable[..., object]] = {
    "json": lambda tc, **options: list(tc.bulk.json(OWNER, **options)),
    "csv": lambda tc, **options: list(tc.bulk.csv(OWNER, **options)),
}


@pytest.fixture(params=sorted(READERS))
def read(request: pytest.FixtureRequest) -> Callable[..., object]:
    return READERS[request.param]


def served(api: Api, *script: Script) -> None:
    api.on("GET", STATUS, *script)
    api.on("GET", JSON, report(ITEM))
    api.on("GET", CSV_PATH, csv("Type,Value,Rating,Confidence\nHost,example.com,5.00,73\n"))


def test_status_bare_and_wrapped(api: Api, tc: ThreatConnect) -> None:
    expected = BulkStatus(
        name=OWNER,
        csv_enabled=True,
        json_enabled=False,
        next_run=datetime(2026, 2, 1, 2, 30, tzinfo=UTC),
        last_run=MADE,
        status="Complete",
    )
    bare = status(jsonEnabled=False)
    api.on("GET", STATUS, bare, success(json.loads(bare.body)))
    assert tc.bulk.status(OWNER) == expected
    assert tc.bulk.status(OWNER) == expected
    assert api.asked[0].query["owner"] == [OWNER]


@pytest.mark.parametrize(
    "text", ["2026-01-31T02:30:00Z", "2026-01-30T22:30:00-04:00", "2026-01-31T02:30:00", "2026-01-31T02:30:00.00Z"]
)
def test_times_of_every_notation(api: Api, tc: ThreatConnect, text: str) -> None:
    api.on("GET", STATUS, status(lastRun=text, nextRun=""))
    assert tc.bulk.status(OWNER).last_run == MADE
    assert tc.bulk.status(OWNER).next_run is None


def test_a_time_that_is_none(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", STATUS, status(lastRun="yesterday"))
    with pytest.raises(ApiError, match="not what the API documents"):
        tc.bulk.status(OWNER)


def test_disabled(api: Api, tc: ThreatConnect, read: Callable[..., object]) -> None:
    served(api, status(jsonEnabled="false", csvEnabled=False))
    with pytest.raises(BulkReportError, match=r"bulk report of 'Demo Source' is not enabled.*administrator"):
        read(tc)


def test_an_organization_has_none(api: Api, tc: ThreatConnect, read: Callable[..., object]) -> None:
    served(api, failure("Bulk reports are not available for Organizations", 400))
    with pytest.raises(BulkReportError, match=r"not available for Organizations.*only Sources and Communities"):
        read(tc)


def test_unknown_owner(api: Api, tc: ThreatConnect, read: Callable[..., object]) -> None:
    served(api, failure("The requested owner was not found", 403))
    api.on(
        "GET", "/v2/owners", success({"resultCount": 1, "owner": [{"id": 1, "name": "demo source", "type": "Source"}]})
    )
    with pytest.raises(OwnerNotFoundError, match="did you mean 'demo source'"):
        read(tc)


def test_a_failed_run(api: Api, tc: ThreatConnect, read: Callable[..., object]) -> None:
    served(api, status(status="Failure"))
    with pytest.raises(BulkReportError, match="ended as 'Failure'"):
        read(tc)


@pytest.mark.parametrize("word", ["Running", "Queued", "In Progress"])
def test_still_running(api: Api, tc: ThreatConnect, read: Callable[..., object], word: str) -> None:
    served(api, status(status=word))
    with pytest.raises(BulkReportError, match=f"still being made .*'{word}'"):
        read(tc)


def test_never_made(api: Api, tc: ThreatConnect, read: Callable[..., object]) -> None:
    served(api, status(None, None))
    with pytest.raises(BulkReportError, match=r"was never made; the next run is 2026-02-01 02:30:00\+00:00.*run_now"):
        read(tc)


def test_stale_by_the_platforms_clock(api: Api, tc: ThreatConnect, read: Callable[..., object]) -> None:
    served(api, status())
    with pytest.raises(BulkReportError, match=r"stale: made 2026-01-31 .*, 6:00:00 ago; allowed are 5:59:00"):
        read(tc, max_age=timedelta(hours=5, minutes=59))
    assert read(tc, max_age=timedelta(hours=6))


def test_changed_while_read(api: Api, tc: ThreatConnect, read: Callable[..., object]) -> None:
    served(api, status(), status(MADE + timedelta(hours=5)))
    with pytest.raises(BulkReportError, match="changed while it was read"):
        read(tc)


def test_run_now_waits_for_the_new_report(
    api: Api, tc: ThreatConnect, naps: list[float], read: Callable[..., object]
) -> None:
    new = MADE + timedelta(hours=6)
    served(api, status(), status(), status(MADE, "Running"), status(new, "Running"), status(new, now=new))
    assert read(tc, run_now=True)
    downloads = [asked for asked in api.asked if asked.path != "/api" + STATUS]
    assert [asked.query.get("runNow") for asked in downloads] == [["true"], None]
    assert naps == [0.5, 0.75, 0.75 * 1.5]


def test_run_now_makes_good_for_what_was_wrong(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    served(api, status(MADE, "Failure"), status(MADE, "Failure"), status(NOW))
    assert list(tc.bulk.json(OWNER, run_now=True, max_age=timedelta(minutes=1)))


def test_run_now_that_fails(api: Api, tc: ThreatConnect, naps: list[float], read: Callable[..., object]) -> None:
    served(api, status(), status(status="Running"), status(NOW, "Failure"))
    with pytest.raises(BulkReportError, match="ended as 'Failure'"):
        read(tc, run_now=True)


def test_run_now_within_the_second_of_the_last_run(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    served(api, status(now=MADE), status(MADE + timedelta(seconds=1), now=MADE + timedelta(seconds=1)))
    list(tc.bulk.json(OWNER, run_now=True))
    assert naps == [1]


@pytest.mark.parametrize("lost", [Answer(reset=True), Answer(504, b"gateway timeout")])
def test_run_now_whose_answer_is_lost_is_asked_once(
    api: Api, tc: ThreatConnect, naps: list[float], lost: Answer
) -> None:
    served(api, status(), status(), status(NOW))
    api.on("GET", JSON, lost, report(ITEM))
    assert list(tc.bulk.json(OWNER, run_now=True))
    assert len([asked for asked in api.asked if "runNow" in asked.query]) == 1


def test_run_now_that_is_refused(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    served(api, status())
    api.on("GET", JSON, failure("An unknown error occurred", 500))
    with pytest.raises(ApiError, match="500"):
        tc.bulk.json(OWNER, run_now=True)


def test_run_now_that_never_ends(
    api: Api, tc: ThreatConnect, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tcetl.client.bulk.MAKING_TIMEOUT", 0.0)
    served(api, status())
    with pytest.raises(BulkReportError, match="not ready"):
        tc.bulk.json(OWNER, run_now=True)


def test_json(api: Api, tc: ThreatConnect) -> None:
    served(api, status())
    progress: list[tuple[int, int | None]] = []
    with tc.bulk.json(OWNER, on_progress=lambda done, total: progress.append((done, total))) as download:
        table = pa.Table.from_batches(download, INDICATORS)
    length = len(report(ITEM).body)
    assert table.select(["summary", "confidence", "exported_at"]).to_pylist() == [
        {"summary": "example.com", "confidence": 73, "exported_at": MADE}
    ]
    assert (download.rows, download.bytes, download.rejects.num_rows) == (1, length, 0)
    assert download.status.last_run == MADE
    assert progress[-1] == (length, length)


def test_a_record_without_a_value_is_a_reject(api: Api, tc: ThreatConnect) -> None:
    served(api, status())
    api.on("GET", JSON, report(ITEM, ITEM | {"id": 2, "summary": None}))
    with tc.bulk.json(OWNER) as download:
        assert sum(batch.num_rows for batch in download) == 1
    assert download.rejects.num_rows == 1


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_report_that_breaks_off(api: Api, tc: ThreatConnect, cut: int) -> None:
    served(api, status())
    whole = report(*[ITEM] * 3).body
    for broken in (Answer(body=whole[:-cut], length=len(whole)), Answer(body=whole[:-cut])):
        api.on("GET", JSON, broken)
        with pytest.raises(DamagedDocumentError) as caught:
            list(tc.bulk.json(OWNER))
        assert 0 <= caught.value.offset <= len(whole)


def test_a_login_page_instead_of_a_report(api: Api, tc: ThreatConnect, read: Callable[..., object]) -> None:
    served(api, status())
    api.on("GET", JSON, html())
    api.on("GET", CSV_PATH, html())
    with pytest.raises(ApiError, match="HTML page"):
        read(tc)


def test_closing_early(api: Api, tc: ThreatConnect) -> None:
    served(api, status())
    with tc.bulk.json(OWNER) as download:
        next(download)
    assert len(api.calls("GET", STATUS)) == 1


def test_csv(api: Api, tc: ThreatConnect) -> None:
    rows = 'Host,example.com,5.00,73\nURL,"https://example.com/?a=1,2",null,null\nMutex,null,0.00,0\n'
    served(api, status())
    api.on("GET", CSV_PATH, csv("Type,Value,Rating,Confidence\n" + rows))
    table = pa.Table.from_batches(tc.bulk.csv(OWNER), CSV)
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("Host", "example.com", 5.0, 73),
        ("URL", "https://example.com/?a=1,2", None, None),
        ("Mutex", "null", 0.0, 0),
    ]


def test_csv_without_rows(api: Api, tc: ThreatConnect) -> None:
    served(api, status())
    api.on("GET", CSV_PATH, csv("Type,Value,Rating,Confidence\n"))
    assert pa.Table.from_batches(tc.bulk.csv(OWNER), CSV).num_rows == 0


@pytest.mark.parametrize(
    "text",
    ["", "Type,Value\nHost,x\n", "Type,Value,Rating,Confidence\nHost,x\n", "Type,Value,Rating,Confidence\na,b,c,d\n"],
)
def test_csv_of_another_shape(api: Api, tc: ThreatConnect, text: str) -> None:
    served(api, status())
    api.on("GET", CSV_PATH, csv(text))
    with pytest.raises(DamagedDocumentError, match="CSV bulk report of 'Demo Source' is damaged"):
        list(tc.bulk.csv(OWNER))


def test_csv_that_breaks_off(api: Api, tc: ThreatConnect) -> None:
    served(api, status())
    api.on("GET", CSV_PATH, Answer(body=b"Type,Value,Rating,Confidence\nHost,example.com,5.00,73\n", length=999))
    with pytest.raises(DamagedDocumentError, match="broke off after"):
        list(tc.bulk.csv(OWNER))


def test_a_lost_connection_is_told_from_a_missing_report(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    def reset(_: Asked) -> Answer:
        return Answer(reset=True)

    served(api, reset)
    with pytest.raises(ConnectionFailedError):
        tc.bulk.status(OWNER)
