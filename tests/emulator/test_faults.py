import hashlib
import json
import time
from email.utils import parsedate_to_datetime

import pytest
import requests
from requests import exceptions

OWNER = "Demo Source"
HOST = {"indicator": [{"type": "Host", "summary": "a.example.com"}]}


def test_status_with_retry_after_on_the_second_call_twice(api, tc_emulator):
    tc_emulator.add_fault("status", route="/v2/owners", nth=2, count=2, status=429, retry_after=7, body="slow down")
    answers = [api.get("/v2/owners") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 429, 429, 200]
    assert (answers[1].headers["retry-after"], answers[1].text) == ("7", "slow down")
    assert [entry["fault"] for entry in tc_emulator.journal()] == [None, "status", "status", None]
    assert tc_emulator.faults()[0] | {"id": 0} == {
        "id": 0,
        "kind": "status",
        "route": "/v2/owners",
        "method": None,
        "matched": 4,
        "struck": 2,
    }


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504])
def test_every_status_comes_with_what_is_usual(api, tc_emulator, status):
    tc_emulator.add_fault("status", route="/v2/owners", status=status)
    answer = api.get("/v2/owners")
    assert answer.status_code == status
    if status in (502, 504):  # a gateway's, not the platform's
        assert answer.headers["content-type"] == "text/html"
        assert str(status) in answer.text
    else:
        assert answer.headers["content-type"] == "application/json"
        assert (answer.json()["status"], bool(answer.json()["message"])) == ("Failure", True)
    assert api.get("/v2/owners").status_code == 200


def test_every_rule_counts_every_request_that_it_fits(api, tc_emulator):
    tc_emulator.add_fault("status", status=500, count=2)
    tc_emulator.add_fault("status", status=429, nth=3)
    assert [api.get("/v2/owners").status_code for _ in range(4)] == [500, 500, 429, 200]
    assert [(rule["matched"], rule["struck"]) for rule in tc_emulator.faults()] == [(4, 2), (4, 1)]


def test_fault_for_ever_until_cleared(api, tc_emulator):
    tc_emulator.add_fault("status", count=None)
    assert [api.get("/v2/owners").status_code for _ in range(3)] == [503] * 3
    tc_emulator.clear_faults()
    assert api.get("/v2/owners").status_code == 200


def test_route_and_method_narrow(api, tc_emulator):
    tc_emulator.add_fault("status", route="/v2/batch/*", method="GET", count=None)
    batch_id = api.create(OWNER)
    assert api.upload(batch_id, HOST).status_code == 202
    assert api.get(f"/v2/batch/{batch_id}").status_code == 503
    assert api.get(f"/v2/batch/{batch_id}/errors").status_code != 503  # a star is one segment


def test_probability_is_seeded(api, tc_emulator):
    def pattern(seed):
        tc_emulator.clear_faults()
        tc_emulator.add_fault("status", count=None, probability=0.5, seed=seed)
        return [api.get("/v2/owners").status_code for _ in range(30)]

    assert pattern(1) == pattern(1) != pattern(2)
    assert {200, 503} == set(pattern(1))


@pytest.mark.parametrize(("when", "acted"), [("before", False), ("after", True)])
def test_reset(api, tc_emulator, when, acted):
    batch_id = api.create(OWNER)
    tc_emulator.add_fault("reset", route="/v2/batch/*", method="POST", when=when)
    with pytest.raises(exceptions.ConnectionError):
        api.upload(batch_id, HOST)
    entry = tc_emulator.journal("/v2/batch/*", method="POST")[0]
    assert (entry["fault"], entry["status"], entry["bytes"]) == ("reset", 0, 0)
    assert entry["served"] == (202 if acted else 0)
    if acted:
        api.finish(batch_id)
    else:
        assert api.data(f"/v2/batch/{batch_id}")["batchStatus"]["status"] == "Created"
    assert tc_emulator.counts(OWNER) == ({"Host": 1} if acted else {})


def test_reset_amid_an_upload(api, tc_emulator):
    tc_emulator.add_fault("reset", route="/v2/batch/*", method="POST", bytes=300_000)
    batch_id = api.create(OWNER)
    with pytest.raises(exceptions.ConnectionError):
        api.upload(batch_id, b" " * 30_000_000)
    (entry,) = tc_emulator.journal("/v2/batch/*", method="POST")
    assert entry["served"] == 0
    assert 300_000 <= entry["request_bytes"] < 30_000_000
    assert api.upload(batch_id, HOST).status_code == 202


def test_reset_over_tls(tc_emulator_tls, tls_api):
    tc_emulator_tls.add_fault("reset", route="/v2/owners")
    with pytest.raises(exceptions.ConnectionError):
        tls_api.get("/v2/owners")
    assert tls_api.get("/v2/owners").status_code == 200


@pytest.mark.parametrize(("when", "acted"), [("before", 0), ("after", 1)])
def test_status_before_or_after_the_server_acted(api, tc_emulator, when, acted):
    tc_emulator.add_fault("status", route="/v2/batch", status=504, when=when)
    body = {"owner": OWNER, "action": "Create", "haltOnError": False, "attributeWriteType": "Replace"}
    assert api.post("/v2/batch", json=body).status_code == 504
    assert api.create(OWNER) == acted + 1


def test_truncation_breaks_the_body_off(api, tc_emulator):
    tc_emulator.seed(OWNER, 200)
    whole = api.get("/v2/indicators/bulk/json", params={"owner": OWNER}).content
    tc_emulator.add_fault("truncate", route="/v2/indicators/bulk/json")
    tc_emulator.add_fault("truncate", route="/v2/indicators/bulk/json", bytes=1000)
    for expected in (len(whole) // 2, 1000):
        response = api.get("/v2/indicators/bulk/json", params={"owner": OWNER}, stream=True)
        assert int(response.headers["content-length"]) == len(whole)
        received = b""
        try:
            for piece in response.iter_content(256):
                received += piece
        except (exceptions.ChunkedEncodingError, exceptions.ConnectionError):
            pass
        else:
            pytest.fail("the body came whole")
        assert whole.startswith(received)
        assert expected - 256 <= len(received) <= expected
        assert tc_emulator.journal("/v2/indicators/bulk/json")[-1]["bytes"] == expected


def test_drip(api, tc_emulator):
    expected = api.get("/v2/types/indicatorTypes").content
    tc_emulator.add_fault("drip", bytes=500, seconds=0.03)
    started = time.monotonic()
    assert api.get("/v2/types/indicatorTypes").content == expected
    assert time.monotonic() - started > 0.03 * (len(expected) // 500)


def test_html_page(api, tc_emulator):
    tc_emulator.add_fault("html")
    response = api.get("/v2/owners")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html")
    assert response.text.startswith("<!DOCTYPE html>")


def test_skewed_clock_on_some_requests(api, tc_emulator):
    tc_emulator.add_fault("skew", seconds=1000, count=1)
    assert api.get("/v2/owners").json()["message"] == "Timestamp out of acceptable time range"
    assert api.get("/v2/owners").status_code == 200


def test_stuck_for_a_while(api, tc_emulator):
    tc_emulator.add_fault("job_stuck", route="/v2/batch/*", method="POST", seconds=0.3)
    batch_id = api.create(OWNER)
    api.upload(batch_id, HOST)
    time.sleep(0.1)
    assert api.data(f"/v2/batch/{batch_id}")["batchStatus"]["status"] == "Running"
    assert api.finish(batch_id)["successCount"] == 1


def test_stuck_for_good(api, tc_emulator):
    tc_emulator.add_fault("job_stuck", route="/v2/batch/*", method="POST")
    stuck, other = api.create(OWNER), api.create(OWNER)
    assert api.upload(stuck, HOST).status_code == 202
    assert api.upload(other, {"indicator": [{"type": "Host", "summary": "b.example.com"}]}).status_code == 202
    assert api.finish(other)["successCount"] == 1  # the others go on
    assert api.data(f"/v2/batch/{stuck}")["batchStatus"]["status"] == "Running"
    assert api.get(f"/v2/batch/{stuck}/errors").status_code == 400


def test_a_job_that_fails_halfway(api, tc_emulator):
    tc_emulator.add_fault("job_half", route="/v2/batch/*", method="POST", fraction=0.3)
    hosts = [{"type": "Host", "summary": f"h{number}.example.com"} for number in range(10)]
    status, results = api.load(OWNER, {"indicator": hosts})
    assert (status["successCount"], status["errorCount"], status["unprocessCount"]) == (3, 1, 6)
    assert [result["code"] for result in results] == ["0x1004"]
    assert tc_emulator.counts(OWNER) == {"Host": 3}


def test_a_job_that_refuses_items_by_name(api, tc_emulator):
    refuse = {"h1.example.com": "0x100A", "h3.example.com": "0x1002", "h7.example.com": "0x1003"}
    tc_emulator.add_fault("job_refuses", route="/v2/batch/*", method="POST", refuse=refuse)
    hosts = [{"type": "Host", "summary": f"h{number}.example.com"} for number in range(10)]
    status, results = api.load(OWNER, {"indicator": hosts})
    assert (status["successCount"], status["errorCount"], status["unprocessCount"]) == (5, 3, 2)
    assert [result["code"] for result in results] == ["0x100A", "0x1002", "0x1003"]
    assert "Last processed indicator[7] 'h7.example.com'." in results[2]["errorMessage"]
    with pytest.raises(RuntimeError, match="0x9999"):
        tc_emulator.add_fault("job_refuses", refuse={"a": "0x9999"})


def test_a_clock_that_is_off_says_so_in_its_date(api, tc_emulator):
    tc_emulator.add_fault("skew", seconds=-4000, count=None)
    tc_emulator.add_fault("status", status=500, count=1)  # both strike
    refused, again = api.get("/v2/owners"), api.get("/v2/owners")
    assert (refused.status_code, again.status_code) == (500, 401)
    for answer in (refused, again):
        behind = time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp()
        assert 3990 < behind < 4010
    api.auth.skew = -4000
    assert api.get("/v2/owners").status_code == 200


def test_a_double_upload_is_proven_by_journal_and_state(api, tc_emulator):
    """The first answer is lost, so that only the server can know; the client's second upload is accepted too."""
    tc_emulator.add_fault("upload_again", route="/v2/batch/*", method="POST", count=None)
    tc_emulator.add_fault("reset", route="/v2/batch/*", method="POST", when="after")
    group = {"type": "Campaign", "name": "Winter", "xid": "winter"}
    content = json.dumps({"group": [group], "indicator": HOST["indicator"]}).encode()
    batch_id = api.create(OWNER)
    with pytest.raises(exceptions.ConnectionError):
        api.upload(batch_id, content)
    api.finish(batch_id)
    assert {found["writes"] for found in tc_emulator.contents(OWNER)} == {1}
    assert api.upload(batch_id, content).status_code == 202
    status = api.finish(batch_id)

    uploads = tc_emulator.journal("/v2/batch/*", method="POST")
    assert [(entry["status"], entry["served"]) for entry in uploads] == [(0, 202), (202, 202)]
    assert [entry["fault"] for entry in uploads] == ["upload_again+reset", "upload_again"]
    assert status["successCount"] == 4  # of two items
    (job,) = tc_emulator.batches()
    assert (job["id"], job["owner"], job["status"], job["successGroupCount"]) == (batch_id, OWNER, "Completed", 2)
    assert [upload["sha256"] for upload in job["uploads"]] == [hashlib.sha256(content).hexdigest()] * 2
    assert {upload["bytes"] for upload in job["uploads"]} == {len(content)}
    assert tc_emulator.contents(OWNER) == [
        {"kind": "indicator", "type": "Host", "name": "a.example.com", "writes": 2},
        {"kind": "group", "type": "Campaign", "name": "winter", "writes": 2, "file": None},
    ]


def test_a_second_upload_amid_the_first_is_applied_too(api, tc_emulator):
    tc_emulator.add_fault("upload_again", route="/v2/batch/*", method="POST", count=None)
    hosts = [{"type": "Host", "summary": f"h{number}.example.com"} for number in range(3000)]
    batch_id = api.create(OWNER)
    for _ in range(2):
        assert api.upload(batch_id, {"indicator": hosts}).status_code == 202
    for _ in range(600):
        if api.finish(batch_id)["successCount"] == 6000:
            break
    assert {found["writes"] for found in tc_emulator.contents(OWNER)} == {2}


def test_without_the_fault_a_second_upload_is_refused(api, tc_emulator):
    batch_id = api.create(OWNER)
    assert [api.upload(batch_id, HOST).status_code for _ in range(2)] == [202, 400]
    api.finish(batch_id)
    assert len(tc_emulator.batches()[0]["uploads"]) == 1


def test_requests_under_way_are_known(api, tc_emulator):
    tc_emulator.add_fault("drip", route="/v2/types/indicatorTypes", seconds=0.05)
    assert tc_emulator.requests_under_way() == 0
    with api.get("/v2/types/indicatorTypes", stream=True):
        assert tc_emulator.requests_under_way() == 1
    for _ in range(200):
        if tc_emulator.requests_under_way() == 0:
            return
        time.sleep(0.02)
    pytest.fail("a request of a client that went away never ended")


@pytest.mark.parametrize(
    "fault", [{"kind": "nonsense"}, {"kind": "status", "rout": "/v2/owners"}, {"kind": "status", "nth": "x"}]
)
def test_bad_rules_are_refused(tc_emulator, fault):
    response = requests.post(tc_emulator.url.replace("/api", "/admin/faults"), json=fault)
    assert response.status_code == 400
    assert tc_emulator.faults() == []


def test_interrupted_upload_may_be_repeated(api, tc_emulator):
    batch_id = api.create(OWNER)

    def broken():
        yield b'{"indicator":['
        raise ConnectionAbortedError

    with pytest.raises((ConnectionAbortedError, exceptions.ConnectionError)):
        api.post(f"/v2/batch/{batch_id}", data=broken(), headers={"Content-Type": "application/octet-stream"})
    api.close()
    for _ in range(100):
        if tc_emulator.journal("/v2/batch/*", method="POST"):
            break
        time.sleep(0.02)
    assert api.upload(batch_id, HOST).status_code == 202
    assert api.finish(batch_id)["successCount"] == 1
