"""Load a large feed by several workers at a time: one mapped task for each part of it, judged together at the end."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, Param, chain, conf

from tcetl.airflow.operators.feed import FeedPlanOperator
from tcetl.airflow.operators.run import BatchPartsOperator, BatchReportOperator
from tcetl.airflow.operators.upload import ThreatConnectBatchUploadOperator
from tcetl.load import WAVES

DATA = conf.get("threatconnect", "data_folder")

with DAG(
    "threatconnect_feed_ingest_mapped",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["threatconnect"],
    params={
        "feed": Param(f"{DATA}/feeds/urlhaus.csv", type="string", description="The feed's file."),
        "tc_owner": Param(None, type=["null", "string"], description="Empty: the connection's default owner."),
        "run_dir": Param(None, type=["null", "string"], description="Empty: one of its own. All workers must see it."),
        "max_records": Param(10_000, type="integer", minimum=1, maximum=25_000, description="In one batch job."),
        "max_parts": Param(16, type="integer", minimum=1, maximum=256, description="Mapped tasks."),
        "max_errors": Param(0, type=["integer", "string"], description="Records the platform may refuse: 10, or 1%."),
    },
) as dag:
    plan = FeedPlanOperator(
        task_id="plan",
        feed=dag.param("feed"),
        tc_owner=dag.param("tc_owner"),
        run_dir=dag.param("run_dir"),
        max_records=dag.param("max_records"),
    )
    uploads = []
    for wave in WAVES:  # groups and indicators first, then what refers to them
        parts = BatchPartsOperator(
            task_id=f"parts_{wave}", run_dir=plan.output["run_dir"], wave=wave, max_parts=dag.param("max_parts")
        )
        uploads.append(
            ThreatConnectBatchUploadOperator.partial(
                task_id=f"upload_{wave}",
                run_dir=plan.output["run_dir"],
                deferrable=True,
                max_active_tis_per_dagrun=4,
                map_index_template="chunks {{ task.chunks }}",
                trigger_rule="none_failed",  # a wave without chunks is skipped
            ).expand(chunks=parts.output)
        )
    report = BatchReportOperator(
        task_id="report",
        run_dir=plan.output["run_dir"],
        max_errors=dag.param("max_errors"),
        outlets=[Asset("threatconnect_indicators")],
    )
    chain(*uploads)
    uploads >> report
