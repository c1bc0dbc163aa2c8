"""The client against the emulator, the other, independent statement of the same contract."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tcetl.client import BatchSettings, BatchStatus, ThreatConnect
from tcetl.client.bulk import CSV
from tcetl.config import Settings
from tcetl.errors import (
    ApiError,
    AuthenticationError,
    BulkReportError,
    ConnectionFailedError,
    DamagedDocumentError,
    OwnerNotFoundError,
)
from tcetl.indicators import TYPES
from tcetl.schema import INDICATORS

if TYPE_CHECKING:
    from tcetl.emulator import Emulator

SOURCE = "Demo Source"


def settings(emulator: "Emulator", **changes: object) -> Settings:
    credentials = {"access_id": emulator.access_id, "secret_key": emulator.secret_key}
    return Settings(**{"base_url": emulator.url, "timeout": 10.0, "retries": 3} | credentials | changes)


@pytest.fixture
def tc(tc_emulator: "Emulator") -> Iterator[ThreatConnect]:
    with ThreatConnect(settings(tc_emulator)) as connection:
        yield connection


def loaded(tc: ThreatConnect, document: object, **options: str) -> BatchStatus:
    batch_id = tc.batch.create(BatchSettings(owner=SOURCE, **options))
    tc.batch.upload(batch_id, msgspec.json.encode(document))
    deadline = time.monotonic() + 30
    while not (status := tc.batch.status(batch_id)).finished:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return status


def test_identity(tc: ThreatConnect) -> None:
    assert {"Demo Organization", "Demo Source", "Demo Community", "Silent Source"} <= {o.name for o in tc.owners()}
    assert tc.owner(SOURCE).type == "Source"
    assert tc.owner().name == "Demo Organization"
    assert tc.whoami().user_name
    kinds = {info.name: info for info in tc.indicator_types()}
    for kind in TYPES.values():
        assert (kinds[kind.name].api_branch, kinds[kind.name].api_entity) == (kind.branch, kind.entity)
        if labels := kinds[kind.name].value_labels:
            assert len(labels) == len(kind.value_keys)


def test_https_with_its_ca(tc_emulator_tls: "Emulator") -> None:
    with ThreatConnect(settings(tc_emulator_tls, verify=str(tc_emulator_tls.ca_file))) as tc:
        assert tc.owners()


def test_token(tc_emulator: "Emulator") -> None:
    with ThreatConnect(Settings(base_url=tc_emulator.url, token=tc_emulator.token)) as tc:
        assert tc.owners()
    with ThreatConnect(Settings(base_url=tc_emulator.url, token="wrong")) as tc, pytest.raises(AuthenticationError):
        tc.owners()


@pytest.mark.parametrize("wrong", [{"access_id": "1"}, {"secret_key": "wrong"}])
def test_wrong_credentials(tc_emulator: "Emulator", wrong: dict[str, str]) -> None:
    with ThreatConnect(settings(tc_emulator, **wrong)) as tc, pytest.raises(AuthenticationError) as caught:
        tc.owners()
    assert caught.value.hint
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("seconds", [4000, -4000])
def test_clock_skew(tc: ThreatConnect, tc_emulator: "Emulator", seconds: int) -> None:
    tc_emulator.advance_clock(seconds)
    assert tc.owners()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503, "retry_after": 0, "count": 2},
        {"kind": "status", "status": 429, "retry_after": 0, "count": 2},
        {"kind": "status", "status": 500},
        {"kind": "reset", "count": 2},
        {"kind": "truncate"},
    ],
)
def test_faults_are_overcome(tc: ThreatConnect, tc_emulator: "Emulator", fault: dict[str, object]) -> None:
    tc_emulator.add_fault(route="/v2/owners", **fault)
    assert tc.owners()


def test_a_web_page(tc: ThreatConnect, tc_emulator: "Emulator") -> None:
    tc_emulator.add_fault(kind="html", route="/v2/owners")
    with pytest.raises(ApiError, match="HTML page"):
        tc.owners()


def test_batch_v2(tc: ThreatConnect, tc_emulator: "Emulator") -> None:
    good = {"type": "Host", "summary": "good.example", "rating": 3, "confidence": 50, "tag": [{"name": "t"}]}
    bad = {"type": "Address", "summary": "not an address"}
    status = loaded(tc, {"indicator": [good, bad]})
    assert (status.succeeded, status.failed, status.unprocessed) == (1, 1, 0)
    assert (status.succeeded_indicators, status.failed_indicators) == (1, 1)
    assert status.id is not None
    errors = tc.batch.errors(status.id)
    assert len(errors) == 1
    assert "not an address" in f"{errors[0].reason} {errors[0].source} {errors[0].message}"
    results = tc.batch.results(status.id)
    assert [result.reason for result in results] == [errors[0].reason]
    assert results[0].code is not None
    assert tc.batch.results(status.id, code=results[0].code) == results
    assert tc.batch.results(status.id, code="0x1001", contains="no such text") == []
    (row,) = pa.Table.from_batches(tc.indicators(SOURCE), INDICATORS).to_pylist()
    assert (row["type"], row["summary"], row["rating"], row["confidence"]) == ("Host", "good.example", 3.0, 50)
    assert [tag["name"] for tag in row["tags"]] == ["t"]


def test_batch_v1_and_delete(tc: ThreatConnect, tc_emulator: "Emulator") -> None:
    host = {"type": "Host", "summary": "one.example"}
    assert loaded(tc, [host], version="V1").succeeded == 1
    assert tc_emulator.counts(SOURCE)["Host"] == 1
    status = loaded(tc, {"indicator": [host]}, action="Delete")
    assert (status.succeeded, status.failed) == (1, 0)
    assert tc.batch.errors(status.id or 0) == []
    assert not tc_emulator.counts(SOURCE).get("Host")


def test_create_and_upload(tc: ThreatConnect, tc_emulator: "Emulator") -> None:
    content = msgspec.json.encode({"indicator": [{"type": "Host", "summary": "one.example"}]})
    status = tc.batch.create_and_upload(BatchSettings(owner=SOURCE), content)
    deadline = time.monotonic() + 30
    while status.id is not None and not (status := tc.batch.status(status.id)).finished:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert tc_emulator.counts(SOURCE)["Host"] == 1


def test_an_upload_that_arrived_though_its_answer_was_lost(tc: ThreatConnect, tc_emulator: "Emulator") -> None:
    batch_id = tc.batch.create(BatchSettings(owner=SOURCE))
    tc_emulator.add_fault(kind="reset", route="/v2/batch/*", method="POST", when="after")
    with pytest.raises(ConnectionFailedError) as caught:
        tc.batch.upload(batch_id, b'{"indicator":[{"type":"Host","summary":"one.example"}]}')
    assert caught.value.outcome_unknown
    assert tc.batch.status(batch_id).status != "Created"
    assert len(tc_emulator.journal(f"/v2/batch/{batch_id}", method="POST")) == 1


def test_batch_for_an_unknown_owner(tc: ThreatConnect) -> None:
    with pytest.raises(OwnerNotFoundError, match=r"'Nobody'.*Demo Source"):
        tc.batch.create(BatchSettings(owner="Nobody"))


def test_batch_without_permission(tc_emulator: "Emulator") -> None:
    reader = {"access_id": tc_emulator.reader.access_id, "secret_key": tc_emulator.reader.secret_key}
    with ThreatConnect(settings(tc_emulator, **reader)) as tc, pytest.raises(AuthenticationError, match="permission"):
        tc.batch.create(BatchSettings(owner=SOURCE))


@pytest.fixture
def seeded(tc_emulator: "Emulator") -> Counter[str]:
    tc_emulator.seed(SOURCE, 2500)
    return Counter(tc_emulator.counts(SOURCE))


def test_bulk_json(tc: ThreatConnect, seeded: Counter[str]) -> None:
    with tc.bulk.json(SOURCE, max_age=timedelta(hours=1)) as download:
        table = pa.Table.from_batches(download, INDICATORS)
    assert Counter(table["type"].to_pylist()) == seeded
    assert (download.rows, download.rejects.num_rows) == (2500, 0)
    assert pc.unique(table["exported_at"]).to_pylist() == [download.status.last_run]


def test_bulk_csv(tc: ThreatConnect, seeded: Counter[str]) -> None:
    table = pa.Table.from_batches(tc.bulk.csv(SOURCE), CSV)
    assert Counter(table["type"].to_pylist()) == seeded


def test_bulk_run_now_sees_what_was_just_loaded(
    tc: ThreatConnect, seeded: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(tc, {"indicator": [{"type": "Host", "summary": "brand-new.example"}]})
    with tc.bulk.json(SOURCE, run_now=True) as download:
        assert "brand-new.example" in pa.Table.from_batches(download, INDICATORS)["summary"].to_pylist()


def test_bulk_stale(tc: ThreatConnect, tc_emulator: "Emulator", seeded: Counter[str]) -> None:
    tc_emulator.advance_clock(7200)
    with pytest.raises(BulkReportError, match="stale"):
        tc.bulk.json(SOURCE, max_age=timedelta(hours=1))


@pytest.mark.parametrize("owner", ["Silent Source", "Demo Organization"])
def test_bulk_not_enabled(tc: ThreatConnect, owner: str) -> None:
    with pytest.raises(BulkReportError, match=owner):
        tc.bulk.json(owner)


def test_bulk_unknown_owner(tc: ThreatConnect) -> None:
    with pytest.raises(OwnerNotFoundError, match=r"visible owners: .*Demo Source"):
        tc.bulk.json("Nobody")


def test_bulk_run_that_fails(tc: ThreatConnect, tc_emulator: "Emulator", seeded: Counter[str]) -> None:
    tc_emulator.set_bulk(SOURCE, fails=True)
    with pytest.raises(BulkReportError):
        tc.bulk.json(SOURCE, run_now=True)


def test_bulk_truncated(tc: ThreatConnect, tc_emulator: "Emulator", seeded: Counter[str]) -> None:
    tc_emulator.add_fault(kind="truncate", route="/v2/indicators/bulk/json")
    with pytest.raises(DamagedDocumentError), tc.bulk.json(SOURCE) as download:
        list(download)


def test_retrieve_in_pages(tc: ThreatConnect, seeded: Counter[str]) -> None:
    table = pa.Table.from_batches(tc.indicators(SOURCE, page_size=700), INDICATORS)
    assert Counter(table["type"].to_pylist()) == seeded


def test_retrieve_by_filter(tc: ThreatConnect, seeded: Counter[str]) -> None:
    everything = pa.Table.from_batches(tc.indicators(SOURCE), INDICATORS)
    found = pa.Table.from_batches(tc.indicators(SOURCE, filters=["confidence>50", "rating>2"]), INDICATORS)
    either = pa.Table.from_batches(
        tc.indicators(SOURCE, filters=["confidence>50", "rating>2"], match_any=True), INDICATORS
    )
    confident, rated = pc.greater(everything["confidence"], 50), pc.greater(everything["rating"], 2)
    assert 0 < found.num_rows == pc.sum(pc.and_kleene(confident, rated)).as_py() < everything.num_rows
    assert either.num_rows == pc.sum(pc.or_kleene(confident, rated)).as_py()


@pytest.mark.parametrize("kind", TYPES)
def test_retrieve_one_type(tc: ThreatConnect, seeded: Counter[str], kind: str) -> None:
    table = pa.Table.from_batches(tc.indicators(SOURCE, type=kind), INDICATORS)
    assert table.num_rows == seeded[kind]
    assert set(table["type"].to_pylist()) <= {kind}
    assert set(table["owner_name"].to_pylist()) <= {SOURCE}
