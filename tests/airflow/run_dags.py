"""Run DAGs one after the other, as ``jobs.json`` in AIRFLOW_HOME says, and write ``results.json`` there.

A job: ``dag_id``, ``conf``, ``connection`` (Airflow's JSON form), ``tasks`` ({task id: {attribute: value}}).
"""

import json
import os
import warnings
from pathlib import Path
from typing import Any

from airflow.exceptions import RemovedInAirflow4Warning
from airflow.utils.db import initdb

initdb()

from airflow.dag_processing.dagbag import DagBag  # noqa: E402 - reads the database
from airflow.listeners import hookimpl  # noqa: E402
from airflow.models.xcom import XComModel  # noqa: E402
from airflow.sdk.listener import get_listener_manager  # noqa: E402
from airflow.utils.session import create_session  # noqa: E402

HOME = Path(os.environ["AIRFLOW_HOME"])
errors: dict[str, str] = {}


class Errors:
    """Notes why tasks failed."""

    @hookimpl
    def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: Any) -> None:
        errors[task_instance.task_id] = f"{type(error).__name__}: {error}"


def read_dags() -> dict[str, Any]:
    bag = DagBag(dag_folder=os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    assert not bag.import_errors, bag.import_errors
    return bag.dags


def run(job: dict[str, Any]) -> dict[str, Any]:
    errors.clear()
    dag = read_dags()[job["dag_id"]]  # anew each time: a test run leaves its conf in them
    os.environ["AIRFLOW_CONN_THREATCONNECT_DEFAULT"] = json.dumps(job["connection"])
    for task in dag.tasks:
        task.retries = 0
        for name, value in job.get("tasks", {}).get(task.task_id, {}).items():
            setattr(task, name, value)
    ran = dag.test(run_conf=job["conf"])
    with create_session() as session:
        xcoms = [
            {"task_id": xcom.task_id, "key": xcom.key, "value": XComModel.deserialize_value(xcom)}
            for xcom in session.scalars(XComModel.get_many(run_id=ran.run_id, dag_ids=ran.dag_id))
        ]
        tasks = [(ti.task_id, ti.map_index, str(ti.state)) for ti in ran.get_task_instances(session=session)]
    return {"state": str(ran.state), "tasks": sorted(tasks), "xcoms": xcoms, "errors": dict(errors)}


get_listener_manager().add_listener(Errors())
warnings.simplefilter("error", RemovedInAirflow4Warning)
results = [run(job) for job in json.loads((HOME / "jobs.json").read_text())]
(HOME / "results.json").write_text(json.dumps(results, default=str))
