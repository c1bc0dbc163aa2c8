"""Batch jobs: what is asked, and how every documented answer is read."""

import json
from pathlib import Path

import pytest
from scripted import Answer, Api, answer, failure, success, text, zipped

from tcetl.client import BatchError, BatchSettings, BatchStatus, ThreatConnect
from tcetl.errors import (
    ApiError,
    AuthenticationError,
    ConfigError,
    ConnectionFailedError,
    NotFoundError,
    OwnerNotFoundError,
)

SETTINGS = BatchSettings(owner="Demo Source")


def test_settings_are_the_job_body() -> None:
    assert SETTINGS.to_json() == {
        "owner": "Demo Source",
        "action": "Create",
        "haltOnError": False,
        "attributeWriteType": "Replace",
        "tagWriteType": "Replace",
        "securityLabelWriteType": "Replace",
        "playbookTriggersEnabled": False,
        "version": "V2",
    }
    full = BatchSettings(owner="o", file_merge_mode="Merge", hash_collision_mode="Split", version="V1", action="Delete")
    assert full.to_json()["fileMergeMode"] == "Merge"
    assert BatchSettings.from_json(json.loads(json.dumps(full.to_json()))) == full


@pytest.mark.parametrize(
    "wrong",
    [
        {"owner": ""},
        {"owner": "o", "action": "create"},
        {"owner": "o", "attribute_write_type": "Merge"},
        {"owner": "o", "tag_write_type": "Static"},
        {"owner": "o", "file_merge_mode": "Split"},
        {"owner": "o", "hash_collision_mode": "Merge"},
        {"owner": "o", "version": "V3"},
    ],
)
def test_wrong_settings(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        BatchSettings(**wrong)


@pytest.mark.parametrize("document", [{"ownr": "o"}, {}])
def test_settings_from_something_else(document: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        BatchSettings.from_json(document)


def test_create(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    api.on("POST", "/v2/batch", Answer(reset=True), failure("x", 500), success({"batchId": "2446"}, 201))
    assert tc.batch.create(SETTINGS) == 2446
    assert json.loads(api.asked[-1].body) == SETTINGS.to_json()
    assert api.asked[-1].headers["Content-Type"] == "application/json"


def test_create_without_permission(api: Api, tc: ThreatConnect) -> None:
    words = (
        "Unable to perform the requested operation due to the following error(s): "
        "You do not have permission to create Indicators; Groups;"
    )
    api.on("POST", "/v2/batch", text(words, 401))
    with pytest.raises(AuthenticationError, match="You do not have permission to create Indicators") as caught:
        tc.batch.create(SETTINGS)
    assert "role" in caught.value.hint


def test_create_for_an_unknown_owner_names_those_that_are_visible(api: Api, tc: ThreatConnect) -> None:
    api.on("POST", "/v2/batch", failure("The requested owner was not found", 403))
    owners = [{"id": 1, "name": "Demo Community", "type": "Community"}]
    api.on("GET", "/v2/owners", success({"resultCount": 1, "owner": owners}))
    with pytest.raises(OwnerNotFoundError, match=r"'Demo Source'.*Demo Community"):
        tc.batch.create(SETTINGS)


@pytest.mark.parametrize(
    "document",
    [
        {"status": "Success", "data": {"batchStatus": {"id": 7, "status": "Queued", "errorCount": 0}}},
        {"status": "Queued"},
    ],
)
def test_upload(api: Api, tc: ThreatConnect, tmp_path: Path, document: object) -> None:
    file = tmp_path / "chunk.json"
    file.write_text('{"indicator":[]}')
    api.on("POST", "/v2/batch/7", answer(document, 202))
    status = tc.batch.upload(7, file)
    assert (status.id, status.status, status.finished) == (7, "Queued", False)
    assert api.asked[0].body == b'{"indicator":[]}'
    assert api.asked[0].headers["Content-Type"] == "application/octet-stream"


def test_an_upload_is_never_sent_twice(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    api.on("POST", "/v2/batch/7", Answer(reset=True))
    with pytest.raises(ConnectionFailedError) as caught:
        tc.batch.upload(7, b"{}")
    assert caught.value.outcome_unknown
    assert len(api.asked) == 1


def test_upload_too_large(api: Api, tc: ThreatConnect) -> None:
    words = "File size greater than allowable limit of 2000000"
    api.on("POST", "/v2/batch/7", answer({"status": "Invalid", "description": words}, 400))
    with pytest.raises(ApiError, match=f"400 {words}"):
        tc.batch.upload(7, b"{}")


def test_status_with_all_counts(api: Api, tc: ThreatConnect) -> None:
    counts = {
        "successCount": 5,
        "errorCount": 2,
        "unprocessCount": 1,
        "successIndicatorCount": 3,
        "errorIndicatorCount": 1,
        "successGroupCount": 2,
        "errorGroupCount": 1,
        "successAssociationCount": 4,
        "errorAssociationCount": 6,
    }
    api.on("GET", "/v2/batch/7", success({"batchStatus": {"id": 7, "status": "Completed", "later": 1, **counts}}))
    assert tc.batch.status(7) == BatchStatus(
        id=7,
        status="Completed",
        succeeded=5,
        failed=2,
        unprocessed=1,
        succeeded_indicators=3,
        failed_indicators=1,
        succeeded_groups=2,
        failed_groups=1,
        succeeded_associations=4,
        failed_associations=6,
    )
    assert api.asked[0].query["includeAdditional"] == ["true"]


def test_absent_counts_are_zero(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/v2/batch/7", success({"batchStatus": {"id": "7", "status": "Completed", "errorCount": "3"}}))
    assert tc.batch.status(7) == BatchStatus(id=7, status="Completed", failed=3)
    assert tc.batch.status(7).finished


def test_status_of_an_unknown_job(api: Api, tc: ThreatConnect) -> None:
    with pytest.raises(NotFoundError):
        tc.batch.status(8)


def test_status_that_is_none(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/v2/batch/7", success({"batchStatus": {"id": 7}}))
    with pytest.raises(ApiError, match="not what the API documents"):
        tc.batch.status(7)


ITEM = {"errorReason": "bad is not a valid Host.", "errorSource": "bad is not valid."}


def test_damaged_errors_are_no_errors_list(api: Api, tc: ThreatConnect) -> None:
    whole = zipped([ITEM] * 9, say_so=False)
    damaged = [whole.body[:-12], whole.body[:15], whole.body[:20] + b"xxxx" + whole.body[24:], b"[" + b"\xff" * 9]
    for body in damaged:
        api.on("GET", "/v2/batch/7/errors", Answer(200, body, whole.headers))
        with pytest.raises(ApiError, match="/v2/batch/7/errors: the answer is not what the API documents"):
            tc.batch.errors(7)


@pytest.mark.parametrize("given", [zipped([ITEM]), zipped([ITEM], say_so=False), answer([ITEM])])
def test_errors(api: Api, tc: ThreatConnect, given: Answer) -> None:
    api.on("GET", "/v2/batch/7/errors", given)
    assert tc.batch.errors(7) == [BatchError(None, None, "bad is not a valid Host.", None, "bad is not valid.")]


def test_errors_of_other_shapes(api: Api, tc: ThreatConnect) -> None:
    v1 = {"errorReason": None, "errorSource": {"summary": "x.example", "type": "Host"}, "new": 1}
    coded = {"code": "0x1005", "severity": "Error", "errorReason": "r", "errorMessage": "m"}
    api.on("GET", "/v2/batch/7/errors", zipped([v1, coded]))
    assert tc.batch.errors(7) == [
        BatchError(None, None, "", None, '{"summary":"x.example","type":"Host"}'),
        BatchError("0x1005", "Error", "r", "m", None),
    ]


def test_no_errors(api: Api, tc: ThreatConnect) -> None:
    assert tc.batch.errors(7) == []
    assert tc.batch.results(7) == []


def test_errors_of_a_running_job(api: Api, tc: ThreatConnect) -> None:
    words = "Batch still in Running state"
    api.on("GET", "/v2/batch/7/errors", answer({"status": "Invalid", "description": words}, 400))
    with pytest.raises(ApiError, match=words) as caught:
        tc.batch.errors(7)
    assert caught.value.status == 400


def test_results_with_filters(api: Api, tc: ThreatConnect) -> None:
    api.on("GET", "/v2/batch/7/results", answer([{"code": "0x1003", "severity": "Error", "errorReason": "r"}]))
    assert tc.batch.results(7, code="0x1003", contains="a b", severity="error")[0].code == "0x1003"
    query = api.asked[0].query
    assert (query["code"], query["contains"], query["severity"]) == (["0x1003"], ["a b"], ["error"])
    tc.batch.results(7)
    assert "code" not in api.asked[1].query


def test_create_and_upload(api: Api, tc: ThreatConnect) -> None:
    counts = {"status": "Completed", "successCount": 1, "errorCount": 0}
    api.on("POST", "/v2/batch/createAndUpload", success({"batchStatus": counts}))
    status = tc.batch.create_and_upload(SETTINGS, b'{"indicator":[1]}')
    assert (status.id, status.succeeded, status.finished) == (None, 1, True)
    (asked,) = api.asked
    assert asked.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'name="config"' in asked.body
    assert b'name="content"' in asked.body
    assert b'{"indicator":[1]}' in asked.body
    assert b'"owner":"Demo Source"' in asked.body
    assert asked.query["includeAdditional"] == ["true"]


def test_create_and_upload_is_never_sent_twice(api: Api, tc: ThreatConnect, naps: list[float]) -> None:
    api.on("POST", "/v2/batch/createAndUpload", failure("An unknown error occurred", 500))
    with pytest.raises(ApiError):
        tc.batch.create_and_upload(SETTINGS, b"{}")
    assert len(api.asked) == 1
