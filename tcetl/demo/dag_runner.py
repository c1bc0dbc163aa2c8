"""A throw-away Airflow for the demo: fresh SQLite home, real DAGs, one child process, nothing on the network."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from tcetl.airflow import dags_folder
from tcetl.errors import TcetlError

CONNECTION: Final = "AIRFLOW_CONN_THREATCONNECT_DEFAULT"

Results = dict[str, list[Any]]
"""What tasks returned, by task id: one value, or one per mapped instance in their order."""

OnTask = Callable[[str, str], None]
"""Called with (task id, state) whenever a task of a DAG starts or ends."""


class DemoError(TcetlError):
    """The demo could not run to its end, or its counts do not reconcile."""


class Airflow:
    """The child process of :func:`run_airflow`; its log is ``log``."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self.log = log

    def wait_until_ready(self) -> Self:
        """Wait for the database to be migrated and the DAGs to be read.

        Raises:
            DemoError: Airflow did not come up.
        """
        self._next("ready")
        return self

    def run(self, dag_id: str, conf: dict[str, Any], *, on_task: OnTask | None = None) -> Results:
        """Run *dag_id* once with *conf* as its parameters, and return what its tasks returned.

        Raises:
            DemoError: A task failed; the message has its error.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead, and reading on says how it ended
            self._process.stdin.write(json.dumps({"dag_id": dag_id, "conf": conf}) + "\n")
            self._process.stdin.flush()
        errors: list[str] = []

        def follow(event: dict[str, Any]) -> None:
            if event["error"]:
                errors.append(f"{event['task_id']}: {event['error']}")
            if on_task:
                on_task(event["task_id"], event["state"])

        ended = self._next("dag", follow)
        if ended["state"] != "success":
            said = "; ".join(errors) or "no task said why"
            raise DemoError(f"DAG {dag_id} {ended['state']}: {said}", hint=f"Airflow's log is {self.log}")
        results: Results = ended["results"]
        return results

    def _next(self, wanted: str, on_other: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == wanted:
                return event
            if event["event"] == "broken":
                raise DemoError(event["error"], hint=f"Airflow's log is {self.log}")
            if on_other:
                on_other(event)
        raise DemoError(f"Airflow ended with status {self._process.wait()}", hint=f"its log is {self.log}")


@contextmanager
def run_airflow(home: Path, data: Path, connection: dict[str, Any]) -> Iterator[Airflow]:
    """Start Airflow with a fresh *home* and the ThreatConnect *connection*; it is not ready yet when this yields.

    Args:
        home: Airflow's home, made here; its SQLite database, logs and this process's own log go there.
        data: Where the DAGs keep their runs, lake and exports.
        connection: The connection ``threatconnect_default`` in Airflow's JSON form.
    """
    home.mkdir(parents=True)
    log = home / "demo.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder()),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_PROXY": "127.0.0.1",
        "AIRFLOW__THREATCONNECT__DATA_FOLDER": str(data),
        CONNECTION: json.dumps(connection),
    }
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tcetl.demo.dag_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            text=True,
        )
    try:
        yield Airflow(process, log)
    finally:
        # Closing its input ends it; a run that failed half-way is not waited for.
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
