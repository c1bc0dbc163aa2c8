"""Send those records of a load again that were not loaded, as its dead letters have them now: mend, then run this."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, Param

from tcetl.airflow.operators.run import BatchRetryOperator
from tcetl.airflow.operators.upload import ThreatConnectBatchUploadOperator

with DAG(
    "threatconnect_batch_retry",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["threatconnect"],
    params={
        "run_dir": Param("", type="string", minLength=1, description="Run directory of the load, see its upload task."),
        "max_errors": Param(0, type=["integer", "string"], description="Records the platform may refuse: 10, or 1%."),
    },
) as dag:
    retry = BatchRetryOperator(task_id="retry", run_dir=dag.param("run_dir"))
    ThreatConnectBatchUploadOperator(
        task_id="upload",
        run_dir=retry.output["run_dir"],
        max_errors=dag.param("max_errors"),
        deferrable=True,
        outlets=[Asset("threatconnect_indicators")],
    )
