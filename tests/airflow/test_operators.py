import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from airflow.sdk import Asset, RetryAction
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from airflow_home import RECORDS

from tcetl.airflow.operators.base import SURE_FAILURES, progress_log
from tcetl.airflow.operators.download import ThreatConnectBulkDownloadOperator, ThreatConnectRetrieveOperator
from tcetl.airflow.operators.export import IndicatorExportOperator
from tcetl.airflow.operators.feed import FeedPlanOperator
from tcetl.airflow.operators.run import BatchPartsOperator, BatchReportOperator, BatchRetryOperator
from tcetl.airflow.operators.upload import ThreatConnectBatchUploadOperator
from tcetl.client import BatchSettings
from tcetl.errors import (
    ApiError,
    AuthenticationError,
    BulkReportError,
    ConfigError,
    ConnectionFailedError,
    LoadError,
    NothingNewError,
    OwnerNotFoundError,
    PublishError,
    RejectedRecordsError,
)
from tcetl.load import Run, plan
from tcetl.schema import ASSOCIATIONS, GROUPS, INDICATORS, REJECTS

UPLOAD = {"route": "/v2/batch/*", "method": "POST"}
"""The request that brings a job its file."""


def _upload(run_dir, **options):
    return ThreatConnectBatchUploadOperator(task_id="upload", run_dir=run_dir, **options)


# --- plan


def test_plan_accounts_for_every_row(default_connection, feed, tmp_path, context):
    outlet = Asset("planned")
    task = FeedPlanOperator(task_id="plan", feed=str(feed), run_dir=str(tmp_path / "run"), outlets=[outlet])

    result = task.execute(context)

    assert (result["records"], result["chunks"], result["owner"]) == (RECORDS, 1, default_connection.SOURCE)
    assert result["rows_read"] == RECORDS + result["duplicates"] + sum(result["rejected"].values())
    assert context["outlet_events"][outlet].extra == result
    assert len(json.dumps(result)) < 1024


def test_plan_takes_lists_scores_and_labels(default_connection, feed, tmp_path, context):
    options = {"allow": [{"list": "reserved"}], "scores": ["type=Host,rating=5"], "decay": "30d"}
    task = FeedPlanOperator(
        task_id="plan", feed=str(feed), run_dir=str(tmp_path / "run"), security_labels=["tlp:red"], **options
    )
    assert set(options) | {"security_labels"} <= set(task.template_fields)
    run = Run.open(task.execute(context)["run_dir"])
    sent = json.loads(run.content(0))["indicator"]
    assert {label["name"] for record in sent for label in record["securityLabel"]} == {"TLP:RED"}
    assert {record.get("rating") for record in sent if record["type"] == "Host"} == {5}
    assert run.counts["rejected"]["allow-listed"] >= 1


def test_plan_has_a_directory_of_its_own_for_each_dag_run(default_connection, feed, tmp_path, context, monkeypatch):
    monkeypatch.setenv("AIRFLOW__THREATCONNECT__DATA_FOLDER", str(tmp_path / "data"))
    result = FeedPlanOperator(task_id="plan", feed=str(feed)).execute(context)
    assert result["run_dir"] == f"{tmp_path}/data/runs/some_dag/manual__2026-01-01T00%3A00%3A00%2B00%3A00"
    assert Run.is_planned(result["run_dir"])


def test_plan_skips_what_follows_when_nothing_is_new(default_connection, feed, tmp_path, context, monkeypatch):
    def nothing_new(*args, **options):
        raise NothingNewError("feed some-feed has nothing new")

    monkeypatch.setattr("tcetl.airflow.operators.feed.plan_feed", nothing_new)
    with pytest.raises(AirflowSkipException, match="nothing new"):
        FeedPlanOperator(task_id="plan", feed=str(feed), run_dir=str(tmp_path / "run")).execute(context)


def test_what_was_fetched_counts_once_the_load_has_ended(default_connection, feed, tmp_path, context):
    state, run_dir = tmp_path / "feeds.state", str(tmp_path / "run")
    FeedPlanOperator(task_id="plan", feed=str(feed), run_dir=run_dir, state=str(state)).execute(context)
    assert not state.exists()
    _upload(run_dir, deferrable=True).execute(context)
    assert state.exists()


def test_plan_keeps_what_an_earlier_try_planned(run_dir, feed, context):
    feed.write_text("203.0.113.77\n")
    result = FeedPlanOperator(task_id="plan", feed=str(feed), run_dir=run_dir).execute(context)
    assert result["records"] == RECORDS


def test_plan_refuses_a_directory_of_another_owner(run_dir, feed, context):
    task = FeedPlanOperator(task_id="plan", feed=str(feed), run_dir=run_dir, tc_owner="Demo Community")
    with pytest.raises(LoadError, match=r"holds a load with owner 'Demo Source', not 'Demo Community'"):
        task.execute(context)


def test_plan_takes_the_settings_of_the_jobs(default_connection, feed, tmp_path, context):
    options = {"feed": str(feed), "run_dir": str(tmp_path / "run"), "max_records": 2}
    result = FeedPlanOperator(task_id="plan", settings={"action": "Delete"}, **options).execute(context)
    assert result["chunks"] == 3
    assert Run.open(result["run_dir"]).settings.action == "Delete"
    with pytest.raises(ConfigError, match="unexpected keyword argument 'acton'"):
        FeedPlanOperator(task_id="plan", settings={"acton": "Delete"}, **options).execute(context)


# --- upload


@pytest.mark.parametrize("deferrable", [False, True])
def test_upload_loads_every_record_in_one_upload(default_connection, run_dir, context, deferrable):
    outlet = Asset("loaded")

    result = _upload(run_dir, deferrable=deferrable, outlets=[outlet]).execute(context)

    assert (result["sent"], result["succeeded"], result["failed"], result["unprocessed"]) == (RECORDS, RECORDS, 0, 0)
    assert sum(default_connection.counts(default_connection.SOURCE).values()) == RECORDS
    assert len(default_connection.journal("/v2/batch/*", method="POST")) == 1
    assert context["outlet_events"][outlet].extra == result
    assert len(json.dumps(result)) < 2048


def test_upload_of_a_finished_load_sends_nothing(default_connection, run_dir, context):
    first = _upload(run_dir).execute(context)
    assert _upload(run_dir, deferrable=True).execute(context) == first
    assert len(default_connection.journal("/v2/batch", method="POST")) == 1


def test_upload_defers_while_jobs_run_and_ends_when_woken(default_connection, run_dir, context):
    default_connection.add_fault("job_stuck", **UPLOAD, seconds=1)
    task = _upload(run_dir, deferrable=True, patience=0, poll_interval=0.2)

    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)

    path, arguments = deferred.value.trigger.serialize()
    assert path == "tcetl.airflow.triggers.batch.BatchJobsTrigger"
    assert arguments["batch_ids"] == [Run.open(run_dir).receipts()[0].batch_id]
    assert default_connection.secret_key not in json.dumps(arguments)
    assert deferred.value.method_name == "resume"
    assert deferred.value.timeout > timedelta(hours=1)  # the trigger ends by itself before

    task.patience = 10
    assert task.resume(context, {"deadline": arguments["deadline"], "stuck": []})["succeeded"] == RECORDS
    assert len(default_connection.journal("/v2/batch/*", method="POST")) == 1


def test_upload_does_not_defer_on_an_upload_of_unknown_outcome(default_connection, run_dir, context):
    # The platform took the file, the answer was lost: only `advance` can settle that.
    default_connection.add_fault("reset", **UPLOAD, when="after")
    result = _upload(run_dir, deferrable=True, patience=0).execute(context)
    assert result["succeeded"] == RECORDS
    assert len(default_connection.journal("/v2/batch/*", method="POST")) == 1


@pytest.mark.parametrize("deferrable", [False, True])
def test_upload_fails_when_the_time_is_up_and_names_the_job(default_connection, run_dir, context, deferrable):
    default_connection.add_fault("job_stuck", **UPLOAD)
    task = _upload(run_dir, deferrable=deferrable, timeout=timedelta(seconds=0.5))
    with pytest.raises(LoadError, match=r"not done after .*open jobs: \d+"):
        task.execute(context)


@pytest.mark.parametrize("deferrable", [False, True])
def test_upload_fails_on_records_that_were_not_loaded(default_connection, run_dir, context, deferrable):
    default_connection.add_fault("job_half", **UPLOAD, fraction=0.4)
    with pytest.raises(RejectedRecordsError, match=r"3 of 5 records were not loaded into Demo Source"):
        _upload(run_dir, deferrable=deferrable).execute(context)
    assert (Run.open(run_dir).rejects_path).exists()


def test_upload_allows_as_many_as_it_is_told(default_connection, run_dir, context):
    default_connection.add_fault("job_half", **UPLOAD, fraction=0.4)
    result = _upload(run_dir, max_errors=3).execute(context)
    assert result["failed"] + result["unprocessed"] == 3


def test_upload_fails_when_the_trigger_saw_a_job_stand_still(default_connection, run_dir, context):
    default_connection.add_fault("job_stuck", **UPLOAD)
    task = _upload(run_dir, deferrable=True, patience=0, stuck_after=timedelta(minutes=5))
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    _, arguments = deferred.value.trigger.serialize()
    assert arguments["stuck_after"] == 300
    event = {"deadline": arguments["deadline"], "stuck": arguments["batch_ids"]}
    with pytest.raises(LoadError, match=r"is stuck: job \d+ stands still at Running .+ for 300 s"):
        task.resume(context, event)


def test_kill_says_which_jobs_go_on(default_connection, run_dir, context, capsys):
    default_connection.add_fault("job_stuck", **UPLOAD)
    task = _upload(run_dir, deferrable=True, patience=0)
    with pytest.raises(TaskDeferred):
        task.execute(context)
    task.on_kill()
    (receipt,) = Run.open(run_dir).receipts()
    assert f"jobs {receipt.batch_id} go on at the platform" in capsys.readouterr().out


# --- parts, report, retry


@pytest.fixture
def three_chunks(default_connection, feed, tmp_path, context):
    """The run directory of a load of three chunks."""
    path = str(tmp_path / "run")
    FeedPlanOperator(task_id="plan", feed=str(feed), run_dir=path, max_records=2).execute(context)
    return path


def _judge(run_dir, **options):
    return BatchReportOperator(task_id="report", run_dir=run_dir, **options)


@pytest.mark.parametrize("deferrable", [False, True])
def test_parts_are_uploaded_apart_and_judged_together(default_connection, three_chunks, context, deferrable):
    outlet = Asset("loaded")
    names = BatchPartsOperator(task_id="parts", run_dir=three_chunks, max_parts="2").execute(context)
    assert names == ["0", "1-2"]

    results = [_upload(three_chunks, chunks=part, deferrable=deferrable).execute(context) for part in reversed(names)]

    assert [(result["chunks"], result["jobs"], result["sent"]) for result in results] == [("1-2", 2, 3), ("0", 1, 2)]
    report = _judge(three_chunks, outlets=[outlet]).execute(context)
    assert (report["sent"], report["succeeded"], report["jobs"]) == (RECORDS, RECORDS, 3)
    assert context["outlet_events"][outlet].extra == report
    assert sum(default_connection.counts(default_connection.SOURCE).values()) == RECORDS
    assert len(default_connection.journal("/v2/batch/*", method="POST")) == 3


def test_parts_are_never_more_than_airflow_maps_over(three_chunks, context, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    assert len(BatchPartsOperator(task_id="parts", run_dir=three_chunks).execute(context)) == 2


def test_report_of_a_load_that_is_not_done_says_what_is_missing(three_chunks, context):
    _upload(three_chunks, chunks="1-2").execute(context)
    with pytest.raises(LoadError, match="1 of 3 chunks are open"):
        _judge(three_chunks).execute(context)


def test_part_leaves_the_judgement_to_the_report(default_connection, three_chunks, context):
    default_connection.add_fault("job_half", **UPLOAD)
    assert _upload(three_chunks, chunks="0").execute(context)["failed"] == 1
    _upload(three_chunks, chunks="1-2").execute(context)
    with pytest.raises(RejectedRecordsError, match="1 of 5 records were not loaded"):
        _judge(three_chunks).execute(context)
    assert Run.open(three_chunks).rejects_path.exists()
    assert _judge(three_chunks, max_errors="20%").execute(context)["failed"] == 1


@pytest.fixture
def two_waves(default_connection, tmp_path):
    """The run directory of a load of two groups and what associates them."""
    lists = {"tags": [], "attributes": [], "security_labels": []}
    groups = [lists | {"type": "Threat", "name": name, "xid": name} for name in ("one", "two")]
    association = {"type_1": "Threat", "ref_1": "one", "type_2": "Threat", "ref_2": "two"}
    path = str(tmp_path / "run")
    plan(
        INDICATORS.empty_table(),
        REJECTS.empty_table(),
        path,
        settings=BatchSettings(owner=default_connection.SOURCE),
        counts={},
        groups=pa.Table.from_pylist(groups, schema=GROUPS),
        associations=pa.Table.from_pylist([association], schema=ASSOCIATIONS),
    )
    return path


def test_a_part_of_a_later_wave_waits_for_the_earlier_ones(default_connection, two_waves, context):
    waves = [BatchPartsOperator(task_id="parts", run_dir=two_waves, wave=wave).execute(context) for wave in (0, 1)]
    assert waves == [["0"], ["1"]]
    early = _upload(two_waves, chunks="1", deferrable=True, patience=0)
    with pytest.raises(LoadError, match=r"chunks 1 of .+ must wait until those of an earlier wave have ended"):
        early.execute(context)
    assert default_connection.batches() == []
    for part in ("0", "1"):
        _upload(two_waves, chunks=part, deferrable=True).execute(context)
    report = _judge(two_waves).execute(context)
    assert (report["sent"], report["succeeded"], report["jobs"]) == (3, 3, 2)


def test_nobody_takes_a_part_that_another_has(three_chunks, context):
    with Run.open(three_chunks).exclusive([1]):
        with pytest.raises(LoadError, match=r"chunk 1 of run directory .+ is in use by process"):
            _upload(three_chunks, chunks="1-2", deferrable=True).execute(context)
        with pytest.raises(LoadError, match="is in use by process"):
            _judge(three_chunks).execute(context)
        assert _upload(three_chunks, chunks="0").execute(context)["succeeded"] == 2


def test_kill_of_a_part_names_the_jobs_of_that_part(default_connection, three_chunks, context, capsys):
    default_connection.add_fault("job_stuck", **UPLOAD, count=None)
    tasks = [_upload(three_chunks, chunks=part, deferrable=True, patience=0) for part in ("0", "1-2")]
    for task in tasks:
        with pytest.raises(TaskDeferred):
            task.execute(context)
    tasks[0].on_kill()
    jobs = [receipt.batch_id for receipt in Run.open(three_chunks).receipts()]
    assert f"jobs {jobs[0]} go on at the platform" in capsys.readouterr().out


def test_retry_plans_what_was_not_loaded_and_only_once(default_connection, run_dir, context):
    default_connection.add_fault("job_half", **UPLOAD, fraction=0.4)
    with pytest.raises(RejectedRecordsError):
        _upload(run_dir).execute(context)
    task = BatchRetryOperator(task_id="retry", run_dir=run_dir)
    result = task.execute(context)
    assert (result["records"], result["chunks"], result["parent"]) == (3, 1, run_dir)
    assert task.execute(context) == result
    assert _upload(result["run_dir"], deferrable=True).execute(context)["succeeded"] == 3
    assert sum(default_connection.counts(default_connection.SOURCE).values()) == RECORDS


# --- download and export


def test_bulk_download_then_export(default_connection, tmp_path, context):
    default_connection.seed(default_connection.SOURCE, 300)
    lake = str(tmp_path / "lake")

    result = ThreatConnectBulkDownloadOperator(task_id="download", lake=lake, run_now=True).execute(context)

    counts = default_connection.counts(default_connection.SOURCE)
    assert result["rows"] == sum(counts.values()) == 300
    assert result["by_type"] == counts
    assert result["run_id"] == context["run_id"]
    assert len(json.dumps(result)) < 2048

    out = tmp_path / "out.ndjson"
    task = IndicatorExportOperator(task_id="export", dataset=result["dataset"], format="ndjson", out=str(out))
    exported = task.execute(context)
    assert exported["written"] == 300 == len(out.read_text().splitlines())
    assert len(json.dumps(exported)) < 2048


def test_bulk_download_of_an_owner_without_report(default_connection, tmp_path, context):
    task = ThreatConnectBulkDownloadOperator(task_id="d", lake=str(tmp_path), tc_owner=default_connection.SILENT_SOURCE)
    with pytest.raises(BulkReportError, match="Silent Source"):
        task.execute(context)
    assert list(tmp_path.iterdir()) == []


def test_downloads_to_a_full_disk_publish_nothing(default_connection, tmp_path, context, little_room):
    default_connection.seed(default_connection.SOURCE, 3000)
    whole = str(tmp_path / "whole")
    result = ThreatConnectBulkDownloadOperator(task_id="d", lake=whole, run_now=True).execute(context)
    out, lake = tmp_path / "out.csv", str(tmp_path / "lake")
    tasks = [
        ThreatConnectBulkDownloadOperator(task_id="bulk", lake=lake),
        ThreatConnectRetrieveOperator(task_id="retrieve", lake=lake),
        IndicatorExportOperator(task_id="export", dataset=result["dataset"], format="csv", out=str(out)),
    ]
    little_room(40_000)
    for task in tasks:
        with pytest.raises(PublishError, match=r"cannot write .*: File too large") as caught:
            task.execute(context)
        assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_retrieve_by_type_and_filter(default_connection, run_dir, tmp_path, context):
    _upload(run_dir).execute(context)
    task = ThreatConnectRetrieveOperator(
        task_id="retrieve", lake=str(tmp_path / "lake"), type="Host", modified_since="2020-01-01T00:00:00"
    )
    assert task.execute(context)["by_type"] == {"Host": 1}


@pytest.mark.parametrize(
    "moment", [datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00", "2026-01-02T01:00:00+01:00"]
)
def test_modified_since_is_utc_unless_it_says_otherwise(default_connection, tmp_path, context, moment, monkeypatch):
    asked = {}

    def retrieve(*_, **options):
        asked.update(options)
        raise LoadError("enough")

    monkeypatch.setattr("tcetl.airflow.operators.download.retrieve_to_lake", retrieve)
    with pytest.raises(LoadError, match="enough"):
        ThreatConnectRetrieveOperator(task_id="r", lake=str(tmp_path), modified_since=moment).execute(context)
    assert asked["modified_since"] == datetime(2026, 1, 2, tzinfo=UTC)


# --- failures


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (AuthenticationError("401", status=401), RetryAction.FAIL),
        (OwnerNotFoundError("403", status=403), RetryAction.FAIL),
        (RejectedRecordsError("2 of 9"), RetryAction.FAIL),
        (ApiError("503", status=503), RetryAction.DEFAULT),
        (ConnectionFailedError("refused"), RetryAction.DEFAULT),
        (LoadError("in use"), RetryAction.DEFAULT),
    ],
)
def test_only_what_may_pass_is_tried_again(error, action):
    assert SURE_FAILURES.evaluate(error, try_number=1, max_tries=3).action is action


def test_operators_fail_at_once_unless_told_otherwise():
    assert _upload("runs/1").retry_policy is SURE_FAILURES
    assert _upload("runs/1", retry_policy=None).retry_policy is None


def test_template_fields_are_attributes():
    tasks = [
        FeedPlanOperator(task_id="a", feed="f"),
        _upload("runs/1"),
        BatchPartsOperator(task_id="p", run_dir="runs/1"),
        _judge("runs/1"),
        BatchRetryOperator(task_id="r", run_dir="runs/1"),
        ThreatConnectBulkDownloadOperator(task_id="b", lake="lake"),
        ThreatConnectRetrieveOperator(task_id="c", lake="lake"),
        IndicatorExportOperator(task_id="d", dataset="lake", format="cef", out="x"),
    ]
    for task in tasks:
        assert all(hasattr(task, name) for name in task.template_fields)


def test_progress_is_written_now_and_then():
    said: list[str] = []
    tell = progress_log(said.append, every=0)
    tell("read", 1000, None)
    tell("load", 1000, 5000)
    assert said == ["read: 1,000", "load: 1,000 of 5,000"]
    quiet = progress_log(said.append, every=3600)
    quiet("load", 1, 2)
    assert len(said) == 2
