"""The demo's Airflow, in a process of its own: migrates a fresh database, then runs the DAGs it is told to.

Started by :mod:`tcetl.demo.dag_runner` as ``python -m tcetl.demo.dag_process``. One JSON document per line, both ways::

    in   {"dag_id": "…", "conf": {…}}
    out  {"event": "ready"}
         {"event": "task", "dag_id": "…", "task_id": "…", "state": "running|success|failed", "error": "…"}
         {"event": "dag", "dag_id": "…", "state": "success|failed", "results": {task_id: [XCom, …]}}
         {"event": "broken", "error": "…"}     a DAG file that cannot be imported, or no such DAG
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

Emit = Callable[[dict[str, Any]], None]


def main() -> None:
    """Serve the protocol on standard input and output until the input ends."""
    emit = _emitter(_claim_stdout())

    # First import of Airflow: it reads its settings from the environment, and the database must be there before DAGs.
    from airflow.utils.db import initdb

    initdb()

    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    if bag.import_errors:
        emit({"event": "broken", "error": "; ".join(f"{file}: {text}" for file, text in bag.import_errors.items())})
        return
    _report_tasks(emit)
    emit({"event": "ready"})
    for line in sys.stdin:
        job = json.loads(line)
        dag = bag.dags.get(job["dag_id"])
        if dag is None:
            emit({"event": "broken", "error": f"no DAG {job['dag_id']}; there are {', '.join(sorted(bag.dags))}"})
            return
        for task in dag.tasks:
            task.retries = 0  # nobody waits minutes for a demo to fail
        run = dag.test(run_conf=job["conf"])
        emit({"event": "dag", "dag_id": run.dag_id, "state": str(run.state), "results": _results(run)})


def _claim_stdout() -> TextIO:
    """Keep standard output for the protocol; whatever else is printed, by Airflow or a task, goes to standard error."""
    protocol = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return protocol


def _emitter(stream: TextIO) -> Emit:
    def emit(event: dict[str, Any]) -> None:
        stream.write(json.dumps(event, default=str) + "\n")

    return emit


def _report_tasks(emit: Emit) -> None:
    from airflow.listeners import hookimpl
    from airflow.sdk.listener import get_listener_manager

    class Listener:
        """Tells of every task that starts or ends; the hooks' names and parameters are Airflow's."""

        @hookimpl
        def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:  # noqa: ARG002
            self._emit(task_instance, "running")

        @hookimpl
        def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:  # noqa: ARG002
            self._emit(task_instance, "success")

        @hookimpl
        def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: Any) -> None:  # noqa: ARG002
            self._emit(task_instance, "failed", str(error or ""))

        def _emit(self, task: Any, state: str, error: str = "") -> None:
            emit({"event": "task", "dag_id": task.dag_id, "task_id": task.task_id, "state": state, "error": error})

    get_listener_manager().add_listener(Listener())  # type: ignore[no-untyped-call]


def _results(run: Any) -> dict[str, list[Any]]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    results: dict[str, list[Any]] = {}
    with create_session() as session:
        found: Any = session.scalars(XComModel.get_many(run_id=run.run_id, dag_ids=run.dag_id, key="return_value"))
        for xcom in sorted(found, key=lambda xcom: xcom.map_index):
            results.setdefault(xcom.task_id, []).append(XComModel.deserialize_value(xcom))
    return results


if __name__ == "__main__":
    main()
