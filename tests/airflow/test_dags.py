"""The ready DAGs, run for real: `dag.test()` in processes of their own, against the emulator."""

import json
import re
import sqlite3
from pathlib import Path

import duckdb
import pytest
from airflow_home import FEED, RECORDS, AirflowHome, connection

INGEST, BULK, EXPORT = "threatconnect_feed_ingest", "threatconnect_bulk_to_lake", "threatconnect_siem_export"
MAPPED, RETRY = "threatconnect_feed_ingest_mapped", "threatconnect_batch_retry"
WARNED = """
title = "Bad"
provider = "Nobody"
homepage = "https://example.com"
licence = "CC0-1.0"
url = "{}"
every = "1h"
format = "csv"

[columns]
value = "indicator"
value_type = "type"

[expect]
rows = [1, 9]

[alarms]
nothing_usable = "warn"
"""


def _returned(result, task_id):
    return [xcom["value"] for xcom in result["xcoms"] if (xcom["task_id"], xcom["key"]) == (task_id, "return_value")]


@pytest.fixture(scope="module")
def emulator(tc_emulator_process):
    tc_emulator_process.reset()
    tc_emulator_process.seed(tc_emulator_process.SOURCE, 500)
    # The first job runs long enough for the task to defer.
    tc_emulator_process.add_fault("job_stuck", route="/v2/batch/*", method="POST", seconds=1.5)
    tc_emulator_process.add_fault("job_half", route="/v2/batch/*", method="POST", fraction=0.4, nth=2)
    return tc_emulator_process


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return AirflowHome(tmp_path_factory.mktemp("airflow") / "home", [Path(__file__).with_name("transforming_dag.py")])


@pytest.fixture(scope="module")
def results(emulator, home, tmp_path_factory):
    """What came of a run of each DAG, and of runs that must fail, all in one Airflow."""
    folder = tmp_path_factory.mktemp("work")
    feed = folder / "feed.txt"
    feed.write_text(FEED)
    fine = connection(emulator)
    ingest = {"dag_id": INGEST, "connection": fine, "tasks": {"upload": {"patience": 0, "poll_interval": 0.2}}}
    jobs = {
        "ingest": ingest | {"conf": {"feed": str(feed)}},
        "wrong key": ingest
        | {"conf": {"feed": str(feed)}, "connection": connection(emulator, password="not-the-secret-key")},
        "no owner": ingest | {"conf": {"feed": str(feed), "tc_owner": "No Such Owner"}},
        "html": ingest | {"conf": {"feed": str(folder / "page.html")}},
        "empty": ingest | {"conf": {"feed": str(folder / "empty.csv")}},
        "no column": ingest | {"conf": {"feed": str(folder / "colours.csv")}},
        "half": ingest | {"conf": {"feed": str(feed), "run_dir": str(folder / "half")}},
        "retry": {"dag_id": RETRY, "connection": fine, "conf": {"run_dir": str(folder / "half")}},
        "mapped": {
            "dag_id": MAPPED,
            "connection": fine,
            "conf": {"feed": str(feed), "max_records": 1, "max_parts": 3},
        },
        "nothing to load": {"dag_id": MAPPED, "connection": fine, "conf": {"feed": str(folder / "bad.toml")}},
        "transforming": {
            "dag_id": "transforming",
            "connection": fine,
            "conf": {"feed": str(folder / "hits.csv")},
            "tasks": {"upload": {"patience": 0, "poll_interval": 0.2}},
        },
        "bulk": {"dag_id": BULK, "connection": fine, "conf": {}},
        "export": {"dag_id": EXPORT, "connection": fine, "conf": {"formats": ["cef", "ndjson"]}},
        "bulk disabled": {"dag_id": BULK, "connection": fine, "conf": {"tc_owner": emulator.SILENT_SOURCE}},
        "unreachable": {
            "dag_id": BULK,
            "connection": connection(emulator, host="http://127.0.0.1:1/api"),
            "conf": {},
        },
    }
    (folder / "hits.csv").write_text("url,hits\nhttp://few.example.com/,3\nhttp://many.example.com/,5\n")
    (folder / "bad.csv").write_text("type,indicator\nAddress,not an address\nURL,nor a URL\n")
    (folder / "bad.toml").write_text(WARNED.format(folder / "bad.csv"))
    (folder / "empty.csv").write_text("")
    (folder / "colours.csv").write_text("colour,size\nred,big\nblue,small\n")
    (folder / "page.html").write_text("<!DOCTYPE html><html><body>Please sign in</body></html>\n")
    return dict(zip(jobs, home.run(list(jobs.values())), strict=True))


def test_ingest_loads_every_record_by_one_upload_and_defers_meanwhile(results, emulator, home):
    result = results["ingest"]
    assert result["state"] == "success", result["errors"]
    (report,) = _returned(result, "upload")
    assert (report["sent"], report["succeeded"], report["duplicates"]) == (RECORDS, RECORDS, 1)
    assert report["rows_read"] == report["sent"] + report["duplicates"] + sum(report["rejected"].values())
    uploads = emulator.journal("/v2/batch/*", method="POST")
    assert len(uploads) == 1 + 1 + 1 + RECORDS + 1  # of ingest, half, retry, mapped and transforming
    assert all(upload["status"] < 300 for upload in uploads)
    assert "Pausing task as DEFERRED" in home.log


def test_retry_sends_what_was_not_loaded(results):
    result = results["retry"]
    assert result["state"] == "success", result["errors"]
    (report,) = _returned(result, "upload")
    assert (report["sent"], report["succeeded"]) == (3, 3)


def test_mapped_ingest_uploads_each_part_by_a_task_of_its_own(results):
    result = results["mapped"]
    assert result["state"] == "success", result["errors"]
    assert _returned(result, "parts_0") + _returned(result, "parts_1") == [["0", "1-2", "3-4"], []]
    uploads = _returned(result, "upload_0")
    assert sorted((upload["chunks"], upload["jobs"]) for upload in uploads) == [("0", 1), ("1-2", 2), ("3-4", 2)]
    (report,) = _returned(result, "report")
    assert (report["sent"], report["succeeded"], report["jobs"]) == (RECORDS, RECORDS, RECORDS)


def test_mapped_ingest_of_nothing_but_bad_rows_is_judged_too(results):
    result = results["nothing to load"]
    assert result["state"] == "success", result["errors"]
    skipped = [task_id for task_id, _, state in result["tasks"] if state == "skipped"]
    assert skipped == ["upload_0", "upload_1"]
    (report,) = _returned(result, "report")
    assert (report["rows_read"], report["sent"], report["jobs"]) == (2, 0, 0)
    assert sum(report["rejected"].values()) == 2


def test_a_function_of_the_dags_own_decides_what_is_loaded(results, emulator):
    result = results["transforming"]
    assert result["state"] == "success", result["errors"]
    assert [(task_id, state) for task_id, _, state in result["tasks"]] == [("plan", "success"), ("upload", "success")]
    (planned,), (report,) = _returned(result, "plan"), _returned(result, "upload")
    assert (planned["records"], planned["rejected"]) == (1, {"dropped-by-transform": 1})
    assert (report["rows_read"], report["sent"], report["succeeded"]) == (2, 1, 1)
    assert emulator.indicator(emulator.SOURCE, "URL", "http://few.example.com/") is None
    stored = emulator.indicator(emulator.SOURCE, "URL", "http://many.example.com/")
    assert stored["confidence"] == 70
    assert [label["name"] for label in stored["labels"]] == ["TLP:AMBER"]


def test_bulk_report_of_what_was_loaded_reaches_the_lake(results, emulator):
    result = results["bulk"]
    assert result["state"] == "success", result["errors"]
    (dataset,) = _returned(result, "download")
    counts = emulator.counts(emulator.SOURCE)
    assert dataset["by_type"] == counts
    assert dataset["rows"] == 500 + RECORDS + 1
    read = duckdb.sql(f"select count(*) from '{dataset['dataset']}/*.parquet'").fetchall()
    assert read == [(dataset["rows"],)]


def test_export_writes_a_line_for_each_indicator_in_each_format(results):
    result = results["export"]
    assert result["state"] == "success", result["errors"]
    exports = _returned(result, "export")
    assert sorted(export["format"] for export in exports) == ["cef", "ndjson"]
    for export in exports:
        assert export["written"] == 500 + RECORDS + 1 == len(Path(export["path"]).read_text().splitlines())


@pytest.mark.parametrize(
    ("job", "task", "error"),
    [
        ("half", "upload", "RejectedRecordsError: 3 of 5 records"),
        ("wrong key", "upload", "AuthenticationError: .*401.*secret key"),
        ("no owner", "upload", "OwnerNotFoundError: .*No Such Owner"),
        ("html", "plan", r"FeedError: .*page\.html.*HTML"),
        ("empty", "plan", r"FeedError: .*empty\.csv is empty"),
        ("no column", "plan", r"FeedError: no column of .*colours\.csv .*: colour, size"),
        ("bulk disabled", "download", "BulkReportError: .*Silent Source"),
        ("unreachable", "download", r"ConnectionFailedError: .*127\.0\.0\.1:1"),
    ],
)
def test_what_cannot_work_fails_the_task_and_says_why(results, job, task, error):
    result = results[job]
    assert result["state"] == "failed"
    assert [task_id for task_id, _, state in result["tasks"] if state == "failed"] == [task]
    assert re.search(error, result["errors"][task])


def test_assets_carry_the_dataset_to_the_export(results, home):
    with sqlite3.connect(home.path / "airflow.db") as database:
        asset_events = "select a.name, e.extra from asset_event e join asset a on a.id = e.asset_id order by e.id desc"
        first = dict(database.execute(asset_events))
        consumers = set(
            database.execute(
                "select a.name, r.dag_id from dag_schedule_asset_reference r join asset a on a.id = r.asset_id"
            )
        )
    assert json.loads(first["threatconnect_indicators"])["succeeded"] == RECORDS
    assert json.loads(first["threatconnect_lake"])["dataset"] == _returned(results["bulk"], "download")[0]["dataset"]
    assert consumers == {("threatconnect_indicators", BULK), ("threatconnect_lake", EXPORT)}


def test_xcoms_are_tiny(results):
    sizes = [len(json.dumps(xcom["value"])) for result in results.values() for xcom in result["xcoms"]]
    assert sizes
    assert max(sizes) < 2048


def test_secrets_are_in_no_log_and_not_in_the_database(results, emulator, home):
    log, database = home.log, home.database
    assert "threatconnect_feed_ingest" in log
    assert "rendered_task_instance_fields" in database
    for secret in (emulator.secret_key, "not-the-secret-key", emulator.token):
        assert secret not in log
        assert secret not in database
