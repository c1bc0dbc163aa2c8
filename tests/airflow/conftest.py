"""Airflow in the tests: its settings before the first import, and the emulator as its default connection."""

import json
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_home import CONNECTION, FEED, connection

# Airflow makes its home when it is imported; the tests in this process need nothing of it, not even a database.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="tcetl-airflow-")
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fail on what the next Airflow will not have any more."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("error::airflow.exceptions.RemovedInAirflow4Warning"))


@pytest.fixture
def default_connection(tc_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The emulator, which ``threatconnect_default`` leads to in this process."""
    monkeypatch.setenv(CONNECTION, json.dumps(connection(tc_emulator)))
    return tc_emulator


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """A list of indicators with a bad row and a duplicate."""
    path = tmp_path / "feed.txt"
    path.write_text(FEED)
    return path


class _Events(dict[Any, SimpleNamespace]):
    """Outlet events as the task's context has them: made when asked for."""

    def __missing__(self, asset: Any) -> SimpleNamespace:
        self[asset] = SimpleNamespace(extra={})
        return self[asset]


@pytest.fixture
def context() -> dict[str, Any]:
    """As much of a task's context as the operators use."""
    return {
        "run_id": "manual__2026-01-01T00:00:00+00:00",
        "dag": SimpleNamespace(dag_id="some_dag"),
        "outlet_events": _Events(),
    }


@pytest.fixture
def run_dir(default_connection: Any, feed: Path, tmp_path: Path, context: dict[str, Any]) -> str:
    """The run directory of a planned load."""
    from tcetl.airflow.operators.feed import FeedPlanOperator

    path = str(tmp_path / "run")
    FeedPlanOperator(task_id="plan", feed=str(feed), run_dir=path).execute(context)
    return path
