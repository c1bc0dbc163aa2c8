"""Bring an owner's bulk report into the lake as one Parquet dataset: every day, and after every load."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, Param, conf

from tcetl.airflow.operators.download import ThreatConnectBulkDownloadOperator

DATA = conf.get("threatconnect", "data_folder")

with DAG(
    "threatconnect_bulk_to_lake",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 6 * * *", timezone="UTC"), assets=[Asset("threatconnect_indicators")]
    ),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["threatconnect"],
    params={
        "tc_owner": Param(None, type=["null", "string"], description="Empty: the connection's default owner."),
        "lake": Param(f"{DATA}/lake", type="string", description="Root folder of the lake."),
        "run_now": Param(True, type="boolean", description="Have a fresh report made, and wait for it."),
        "run_id": Param(None, type=["null", "string"], description="Name of the dataset. Empty: this DAG run's id."),
    },
) as dag:
    ThreatConnectBulkDownloadOperator(
        task_id="download",
        tc_owner=dag.param("tc_owner"),
        lake=dag.param("lake"),
        run_now=dag.param("run_now"),
        run_id=dag.param("run_id"),
        outlets=[Asset("threatconnect_lake")],
    )
