"""One DAG per feed that the setting ``[threatconnect] feeds`` names: fetched as often as its provider allows."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, conf

from tcetl.airflow.operators.feed import FeedPlanOperator
from tcetl.airflow.operators.upload import ThreatConnectBatchUploadOperator
from tcetl.catalogue import find

DATA = conf.get("threatconnect", "data_folder")

for name in conf.getlist("threatconnect", "feeds") or []:
    feed = find(name)
    with DAG(
        f"threatconnect_feed_{feed.name}",
        doc_md=f"{feed.title}. Licence: {feed.licence}. See {feed.homepage}",
        schedule=feed.interval,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
        tags=["threatconnect", "feed"],
    ):
        # What was loaded is remembered, so that a run is skipped when the provider has nothing new.
        plan = FeedPlanOperator(task_id="plan", feed=name, state=f"{DATA}/feeds/{feed.name}.state")
        ThreatConnectBatchUploadOperator(
            task_id="upload",
            run_dir=plan.output["run_dir"],
            max_errors="1%",
            deferrable=True,
            outlets=[Asset("threatconnect_indicators")],
        )
