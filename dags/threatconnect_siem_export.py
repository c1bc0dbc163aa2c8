"""Write the newest dataset of the lake as SIEM lines, one file per format, as soon as it is published."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, Param, conf, task

from tcetl.airflow.operators.export import IndicatorExportOperator

DATA = conf.get("threatconnect", "data_folder")

with DAG(
    "threatconnect_siem_export",
    doc_md=__doc__,
    schedule=[Asset("threatconnect_lake")],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["threatconnect"],
    params={
        "dataset": Param(
            None,
            type=["null", "string"],
            description="A dataset, or a lake for its latest. Empty: the one just published, else the default lake's.",
        ),
        "formats": Param(["cef", "csv", "ndjson"], type="array", items={"type": "string"}),
        "out_dir": Param(f"{DATA}/siem", type="string", description="Folder for the files."),
    },
):

    @task
    def exports(params: dict, triggering_asset_events: dict) -> list[dict]:
        """One export per format, of the dataset that is asked for or has just been published."""
        events = [event for group in triggering_asset_events.values() for event in group]
        published = max(events, key=lambda event: event.timestamp).extra["dataset"] if events else f"{DATA}/lake"
        dataset = params["dataset"] or published
        return [
            {"dataset": dataset, "format": name, "out": f"{params['out_dir']}/indicators.{name}"}
            for name in params["formats"]
        ]

    IndicatorExportOperator.partial(task_id="export", map_index_template="{{ task.format }}").expand_kwargs(exports())
