"""Airflow as it runs in earnest, on SQLite: api-server, scheduler with LocalExecutor, dag-processor and triggerer.

Each is a process group of its own, so that each can be killed alone (SIGKILL) with whatever it has started.
"""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from tcetl.airflow import dags_folder

POLICY = '''\
"""The project's own DAGs, in a hurry: what they wait for between tries and looks is for days, not for tests."""

from datetime import timedelta


def task_policy(task):
    task.retry_delay = timedelta(seconds=1)
    for name, value in {"patience": 1.0, "poll_interval": 0.5}.items():
        if hasattr(task, name):
            setattr(task, name, value)
'''
SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer")
ENDED = ("success", "failed")


def wait_until(ready: Callable[[], Any], what: str, *, timeout: float = 90.0, pause: float = 0.2) -> Any:
    """Return the first true answer of *ready*."""
    deadline = time.monotonic() + timeout
    while not (found := ready()):
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout:g} s"
        time.sleep(pause)
    return found


class RealAirflow:
    """A running Airflow in *home*, whose default ThreatConnect connection lies in its database."""

    def __init__(self, home: Path) -> None:
        self.home = home
        ports = _free_ports(3)
        self._url = f"http://127.0.0.1:{ports[0]}"
        self._api = requests.Session()
        self._api.trust_env = False
        self._services: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(ports[0]),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": "shared-by-all-components-of-a-test",
            "AIRFLOW__API_AUTH__JWT_SECRET": "shared-by-all-components-of-this-one-test-and-no-other",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder()),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(ports[1]),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports[2]),
            # How soon a death is noticed.
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "8",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "4",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        }

    # --- services

    def migrate(self) -> None:
        """Make home and database."""
        (self.home / "config").mkdir(parents=True)
        (self.home / "config" / "airflow_local_settings.py").write_text(POLICY)
        with (self.home / "migrate.txt").open("wb") as log:
            subprocess.run(["airflow", "db", "migrate"], env=self._environment, stdout=log, stderr=log, check=True)

    def start(self, *services: str) -> None:
        """Start *services*; what they write goes to a file for each."""
        for name in services:
            with (self.home / f"{name}.txt").open("ab") as log:
                self._services[name] = subprocess.Popen(
                    ["airflow", name], env=self._environment, stdout=log, stderr=log, start_new_session=True
                )

    def kill(self, service: str) -> None:
        """Kill *service* and what it has started, all at once and unasked."""
        process = self._services.pop(service)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Stop all services: as told to at first, and then unasked."""
        for process in self._services.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._services.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait_until_healthy(self) -> None:
        """Return when all components call themselves healthy and the DAGs are there."""

        def healthy() -> bool:
            dead = [name for name, process in self._services.items() if process.poll() is not None]
            assert not dead, f"{dead} ended; see {self.home}"
            with suppress(requests.RequestException, ValueError):
                health = self._api.get(f"{self._url}/api/v2/monitor/health", timeout=5).json()
                return all(part["status"] == "healthy" for part in health.values())
            return False

        wait_until(healthy, "health", timeout=180)
        token = self._api.get(f"{self._url}/auth/token", timeout=30).json()["access_token"]
        self._api.headers["Authorization"] = f"Bearer {token}"
        # A file has one DAG, of its name; but that of the catalogue has those that a setting asks for, here none.
        expected = {path.stem for path in dags_folder().glob("*.py")} - {"threatconnect_catalogue"}
        wait_until(
            lambda: expected <= {dag["dag_id"] for dag in self.call("GET", "dags")["dags"]},
            "reading the DAGs",
            timeout=120,
        )

    def wait_until_idle(self) -> None:
        """Return when no run of any DAG is under way."""
        path = "dags/~/dagRuns?state=running&state=queued"
        wait_until(lambda: self.call("GET", path)["total_entries"] == 0, "end of all runs", timeout=300)

    # --- what one does through the API

    def call(self, method: str, path: str, **document: Any) -> Any:
        """Call the public API."""
        answer = self._api.request(method, f"{self._url}/api/v2/{path}", json=document or None, timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def connect(self, connection: dict[str, Any]) -> None:
        """Keep *connection* in the database as ``threatconnect_default``."""
        fields = {"connection_id": "threatconnect_default"} | connection | {"extra": json.dumps(connection["extra"])}
        self.call("POST", "connections", **fields)

    def trigger(self, dag_id: str, **conf: Any) -> "DagRun":
        """Start a run of *dag_id*."""
        self.call("PATCH", f"dags/{dag_id}", is_paused=False)
        run = self._api.post(
            f"{self._url}/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf}, timeout=60
        ).json()
        return DagRun(self, dag_id, run["dag_run_id"])

    # --- what is left behind

    def traces(self) -> Iterator[tuple[str, str]]:
        """All that Airflow keeps, as (where, text): every log, every service's output, the metadata database as SQL."""
        for path in self.home.rglob("*"):
            if path.is_file() and path.suffix in (".log", ".txt"):
                yield str(path.relative_to(self.home)), path.read_text(errors="replace")
        with sqlite3.connect(self.home / "airflow.db") as database:
            yield "database", "\n".join(database.iterdump())


class DagRun:
    """One run of a DAG."""

    def __init__(self, airflow: RealAirflow, dag_id: str, run_id: str) -> None:
        self._airflow = airflow
        self.dag_id, self.run_id = dag_id, run_id
        self._path = f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"

    @property
    def state(self) -> str:
        """State of the run."""
        return str(self._airflow.call("GET", self._path)["state"])

    def tasks(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Its task instances by task id and map index."""
        found = self._airflow.call("GET", f"{self._path}/taskInstances?limit=500")["task_instances"]
        return {(task["task_id"], task["map_index"]): task for task in found}

    def pid(self, task_id: str, map_index: int = -1) -> int:
        """Wait until the task runs, and return its process."""

        def running() -> Any:
            task = self.tasks().get((task_id, map_index), {})
            assert self.state not in ENDED, f"the run has ended before {task_id} was seen to run"
            return task.get("state") == "running" and task.get("pid")

        return int(wait_until(running, f"running of {task_id}", pause=0.05))

    def wait_for(self, task_id: str, state: str, map_index: int = -1) -> None:
        """Return when the task is in *state*."""
        wait_until(
            lambda: self.tasks().get((task_id, map_index), {}).get("state") == state, f"{task_id} {state}", pause=0.1
        )

    def wait(self, timeout: float = 180.0) -> str:
        """Wait for its end, and return the state."""
        wait_until(lambda: self.state in ENDED, f"end of {self.run_id}", timeout=timeout)
        return self.state

    def stop(self, task_id: str) -> None:
        """Mark a task failed, as one does in the user interface to stop it."""
        self._airflow.call("PATCH", f"{self._path}/taskInstances/{task_id}", new_state="failed")

    def clear(self, task_id: str) -> None:
        """Clear a task, so that it runs again."""
        self._airflow.call(
            "POST",
            f"dags/{self.dag_id}/clearTaskInstances",
            dag_run_id=self.run_id,
            task_ids=[task_id],
            dry_run=False,
            only_failed=False,
        )

    def xcoms(self) -> list[dict[str, Any]]:
        """All its XComs, with key and value."""
        found: list[dict[str, Any]] = []
        for task_id, map_index in self.tasks():
            path = f"{self._path}/taskInstances/{task_id}/xcomEntries"
            for entry in self._airflow.call("GET", f"{path}?map_index={map_index}&limit=100")["xcom_entries"]:
                value = self._airflow.call("GET", f"{path}/{entry['key']}?map_index={map_index}")
                found.append({"task_id": task_id, "map_index": map_index, "key": entry["key"], "value": value["value"]})
        return found


def parent_of(pid: int) -> int:
    """The process that started *pid*."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def kill(*pids: int) -> None:
    """SIGKILL."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def run_airflow(home: Path, connection: dict[str, Any]) -> Iterator[RealAirflow]:
    """Run an Airflow whose default ThreatConnect connection is *connection*, for the block."""
    airflow = RealAirflow(home)
    airflow.migrate()
    try:
        airflow.start(*SERVICES)
        airflow.wait_until_healthy()
        airflow.connect(connection)
        yield airflow
    finally:
        airflow.stop()


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
