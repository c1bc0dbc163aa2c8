import time

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
    if acted:
        api.finish(batch_id)
    else:
        assert api.data(f"/v2/batch/{batch_id}")["batchStatus"]["status"] == "Created"
    assert tc_emulator.counts(OWNER) == ({"Host": 1} if acted else {})


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


def test_second_upload_accepted(api, tc_emulator):
    tc_emulator.add_fault("upload_again", route="/v2/batch/*", method="POST", count=None)
    batch_id = api.create(OWNER)
    assert api.upload(batch_id, HOST).status_code == 202
    api.finish(batch_id)
    assert api.upload(batch_id, HOST).status_code == 202


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
