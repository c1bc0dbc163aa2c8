"""A fresh Airflow with the project's DAGs, and the emulator as its connection."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tcetl.airflow import dags_folder

CONNECTION = "AIRFLOW_CONN_THREATCONNECT_DEFAULT"
FEED = """\
# bad rows on purpose
http://malware.example.com/one
http://malware.example.com/two
hxxp://malware.example[.]com/two
198.51.100.7
203.0.113.9
not an indicator
bad.example.com
"""
RECORDS = 5
"""Indicators in FEED, which has one bad row and one duplicate beside them."""


def connection(emulator: Any, **changes: Any) -> dict[str, Any]:
    """The emulator as an Airflow connection in JSON form."""
    return {
        "conn_type": "threatconnect",
        "host": emulator.url,
        "login": emulator.access_id,
        "password": emulator.secret_key,
        "extra": {"default_owner": emulator.SOURCE, "retries": 1},
    } | changes


@dataclass
class AirflowHome:
    """An AIRFLOW_HOME; ``run`` makes it and runs DAGs there, in a process of its own: the project's, and *more*."""

    path: Path
    more: Sequence[Path] = ()

    def run(self, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Run *jobs*, each as ``run_dags.py`` says; return for each its state, the tasks' states, XComs and errors."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.path / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        }
        shutil.copytree(dags_folder(), self.path / "dags")
        for path in self.more:
            shutil.copy(path, self.path / "dags")
        (self.path / "jobs.json").write_text(json.dumps(jobs))
        with (self.path / "log.txt").open("w") as log:
            process = subprocess.run(
                [sys.executable, Path(__file__).with_name("run_dags.py")],
                env=environment,
                stdout=log,
                stderr=log,
                timeout=240,
                check=False,
            )
        assert process.returncode == 0, self.log
        results: list[dict[str, Any]] = json.loads((self.path / "results.json").read_text())
        return results

    @property
    def log(self) -> str:
        """Everything all processes and tasks wrote."""
        return "\n".join(
            [(self.path / "log.txt").read_text(), *(path.read_text() for path in self.path.glob("logs/**/*.log"))]
        )

    @property
    def database(self) -> str:
        """The metadata database as SQL text: XComs, rendered fields, trigger arguments, serialised DAGs."""
        with sqlite3.connect(self.path / "airflow.db") as database:
            return "\n".join(database.iterdump())
