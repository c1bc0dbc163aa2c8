import csv
import io
import threading
import time

from .conftest import Api

SOURCE = {"owner": "Demo Source"}


def status(api, owner="Demo Source"):
    return api.get("/v2/indicators/bulk", params={"owner": owner}).json()["bulkStatus"]


def test_report_holds_what_the_lists_show(api, tc_emulator):
    tc_emulator.seed("Demo Source", 500)
    response = api.get("/v2/indicators/bulk/json", params=SOURCE)
    assert response.headers["content-type"] == "application/json"
    assert int(response.headers["content-length"]) == len(response.content)
    items = response.json()["indicator"]
    listed = api.data("/v2/indicators", **SOURCE, resultLimit=500, includes=["additional", "tags", "attributes"])[
        "indicator"
    ]
    for item in listed:
        item.pop("lastObserved", None)  # the old SDK fails on it (api §9 G-12)
    assert items == listed
    types = {}
    for item in items:
        types[item["type"]] = types.get(item["type"], 0) + 1
    assert types == tc_emulator.counts("Demo Source")


def test_csv_report(api, tc_emulator):
    tc_emulator.seed("Demo Source", 300)
    items = api.get("/v2/indicators/bulk/json", params=SOURCE).json()["indicator"]
    response = api.get("/v2/indicators/bulk/csv", params=SOURCE)
    assert response.headers["content-type"] == "text/csv"
    header, *rows = csv.reader(io.StringIO(response.content.decode()))
    assert header == ["Type", "Value", "Rating", "Confidence"]
    assert rows == [
        [
            item["type"],
            item["summary"],
            f"{item['rating']:.2f}" if "rating" in item else "null",
            str(item.get("confidence", "null")),
        ]
        for item in items
    ]


def test_owners_without_reports(api, tc_emulator):
    assert status(api, "Silent Source") == {"name": "Silent Source", "csvEnabled": False, "jsonEnabled": False}
    for owner in ("Silent Source", "Demo Organization"):
        response = api.get("/v2/indicators/bulk/json", params={"owner": owner})
        assert response.status_code == 400
        assert response.json()["status"] == "Failure"
    tc_emulator.set_bulk("Silent Source", json=True)
    assert api.get("/v2/indicators/bulk/json", params={"owner": "Silent Source"}).status_code == 404
    run = api.get("/v2/indicators/bulk/json", params={"owner": "Silent Source", "runNow": "true"})
    assert run.content == b'{"indicator":[]}'
    assert api.get("/v2/indicators/bulk/csv", params={"owner": "Silent Source"}).status_code == 400


def test_report_is_a_snapshot_until_it_is_run_again(api, tc_emulator):
    tc_emulator.seed("Demo Source", 10)
    before = status(api)
    assert before["status"] == "Complete"
    api.load("Demo Source", {"indicator": [{"type": "Host", "summary": "new.example.com"}]})
    assert len(api.get("/v2/indicators/bulk/json", params=SOURCE).json()["indicator"]) == 10
    tc_emulator.advance_clock(7200)
    api.auth.skew = 7200
    assert status(api) == before
    run = api.get("/v2/indicators/bulk/json", params={**SOURCE, "runNow": "True"})
    assert len(run.json()["indicator"]) == 11
    assert status(api)["lastRun"] > before["lastRun"]
    assert status(api)["nextRun"] > before["nextRun"]


def test_status_tells_that_a_report_is_being_made(api, tc_emulator):
    tc_emulator.seed("Demo Source", 30_000, report=False)
    with Api(tc_emulator) as other:
        runner = threading.Thread(target=other.get, args=["/v2/indicators/bulk/json?owner=Demo%20Source&runNow=true"])
        runner.start()
        seen = []
        while runner.is_alive():
            seen.append(status(api).get("status"))
            time.sleep(0.01)
        runner.join()
    assert "Running" in seen
    assert status(api)["status"] == "Complete"


def test_failed_generation_keeps_the_old_report(api, tc_emulator):
    tc_emulator.seed("Demo Source", 5)
    tc_emulator.set_bulk("Demo Source", fails=True)
    assert api.get("/v2/indicators/bulk/json", params={**SOURCE, "runNow": "true"}).status_code == 500
    assert status(api)["status"] == "Failure"
    assert len(api.get("/v2/indicators/bulk/json", params=SOURCE).json()["indicator"]) == 5


def test_only_active_indicators_are_reported(api, tc_emulator):
    items = [{"type": "Host", "summary": f"h{n}.example.com", "active": n > 0} for n in range(3)]
    api.load("Demo Source", {"indicator": items})
    found = api.get("/v2/indicators/bulk/json", params={**SOURCE, "runNow": "true"}).json()["indicator"]
    assert [item["summary"] for item in found] == ["h1.example.com", "h2.example.com"]


def test_report_can_be_fed_back_by_a_batch(api, tc_emulator):
    # api §4: the report is documented as directly re-ingestable
    tc_emulator.seed("Demo Source", 300)
    report = api.get("/v2/indicators/bulk/json", params=SOURCE).content
    status_, results = api.load("Demo Community", report)
    assert (status_["successCount"], status_["errorCount"], results) == (300, 0, [])
    assert tc_emulator.counts("Demo Community") == tc_emulator.counts("Demo Source")
