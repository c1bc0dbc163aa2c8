"""Load a threat feed into ThreatConnect by batch jobs: every row ends as loaded, rejected or duplicate."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, Param, conf

from tcetl.airflow.operators.feed import FeedPlanOperator
from tcetl.airflow.operators.upload import ThreatConnectBatchUploadOperator

DATA = conf.get("threatconnect", "data_folder")

with DAG(
    "threatconnect_feed_ingest",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["threatconnect"],
    params={
        "feed": Param(f"{DATA}/feeds/urlhaus.csv", type="string", description="The feed's file."),
        "tc_owner": Param(None, type=["null", "string"], description="Empty: the connection's default owner."),
        "run_dir": Param(None, type=["null", "string"], description="Empty: one of its own under the data folder."),
        "confidence": Param(None, type=["null", "integer"], minimum=0, maximum=100),
        "rating": Param(None, type=["null", "number"], minimum=0, maximum=5),
        "tags": Param([], type="array", items={"type": "string"}, description="Tags for every indicator."),
        "max_errors": Param(0, type=["integer", "string"], description="Records the platform may refuse: 10, or 1%."),
    },
) as dag:
    plan = FeedPlanOperator(
        task_id="plan",
        feed=dag.param("feed"),
        tc_owner=dag.param("tc_owner"),
        run_dir=dag.param("run_dir"),
        confidence=dag.param("confidence"),
        rating=dag.param("rating"),
        tags=dag.param("tags"),
    )
    ThreatConnectBatchUploadOperator(
        task_id="upload",
        run_dir=plan.output["run_dir"],
        max_errors=dag.param("max_errors"),
        deferrable=True,
        outlets=[Asset("threatconnect_indicators")],
    )
