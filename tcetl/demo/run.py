"""Run the demo: start the emulator and Airflow, run the three DAGs, count everything again, write the report."""

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow.parquet as pq

from tcetl.atomic import AtomicFile
from tcetl.demo.charts import draw
from tcetl.demo.dag_runner import Airflow, DemoError, Results, run_airflow
from tcetl.demo.outcome import Outcome, Step
from tcetl.demo.page import render
from tcetl.demo.planted import plant
from tcetl.emulator import Emulator, EmulatorError, run_emulator
from tcetl.errors import ConfigError
from tcetl.feeds import open_feed
from tcetl.lake import latest
from tcetl.load import Run
from tcetl.siem import ExportReport

OWNER: Final = "Demo Source"
ANY: Final = 1_000_000_000
"""Refused records that the feed's DAG lets pass: the demo goes on to show them, and its caller judges the outcome."""

OnStep = Callable[[str, str, bool], None]
"""Called with (step, detail, done) when a step starts, gets on or ends."""


def run_demo(out: Path, *, on_step: OnStep, feed: Path | None = None, seed_count: int = 100_000) -> Outcome:
    """Run the whole demo into *out* and return what it came to; ``report.html`` and ``summary.json`` are written there.

    Whether the counts reconcile is for the caller to ask the outcome.

    Args:
        out: Directory to make; if it exists it must be empty.
        on_step: Told of the steps.
        feed: A feed to load instead of the demo's own.
        seed_count: Indicators that the emulator holds before.

    Raises:
        ConfigError: *out* is not empty.
        FeedError: *feed* is none.
        DemoError: The emulator or Airflow did not start, or a DAG failed.
        PublishError: Something cannot be written to *out*.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already and not an empty directory", hint="name another one with --out")
    if feed is not None:
        open_feed(feed)  # before anything is started: a wrong path is the commonest mistake
    out.mkdir(parents=True, exist_ok=True)
    try:
        return _Demo(out.resolve(), on_step).run(feed, seed_count)
    except EmulatorError as error:
        raise DemoError(str(error)) from error


class _Demo:
    """One run in the directory *out*."""

    def __init__(self, out: Path, on_step: OnStep) -> None:
        self._out = out
        self._run_dir = out / "runs" / "demo"
        self._on_step = on_step
        self._steps: list[Step] = []

    def run(self, feed: Path | None, seed_count: int) -> Outcome:
        began = time.monotonic()
        planted = None if feed else plant(self._out / "feed.csv")
        feed = feed.resolve() if feed else self._out / "feed.csv"
        with run_emulator() as emulator, self._airflow(emulator) as airflow:
            # Airflow reads its many modules on one core while the emulator makes indicators on the other.
            with self._step(f"Emulator: {seed_count:,} indicators in {OWNER}"):
                emulator.seed(OWNER, seed_count, report=False)
            with self._step("Airflow: database migrated, DAGs read"):
                airflow.wait_until_ready()
            before = sum(emulator.counts(OWNER).values())
            exports = self._run_dags(airflow, feed)
            with self._step("Everything counted again"):
                outcome = replace(self._count(emulator, feed, exports), planted=planted, before=before)
        with self._step("Report drawn"):
            charts = draw(outcome)
            outcome = replace(outcome, steps=[*self._steps], seconds=time.monotonic() - began)
            with AtomicFile(outcome.report_path) as report:
                report.write(render(outcome, charts).encode())
        with AtomicFile(outcome.summary_path) as summary:
            summary.write(msgspec.json.format(msgspec.json.encode(outcome.to_json(), enc_hook=str)))
        return outcome

    @contextmanager
    def _step(self, name: str) -> Iterator[Callable[[str], None]]:
        began = time.monotonic()
        self._on_step(name, "", False)
        yield lambda detail: self._on_step(name, detail, False)
        self._steps.append(Step(name, time.monotonic() - began))
        self._on_step(name, "", True)

    def _airflow(self, emulator: Emulator) -> AbstractContextManager[Airflow]:
        connection = {
            "conn_type": "threatconnect",
            "host": emulator.url,
            "login": emulator.access_id,
            "password": emulator.secret_key,
            "extra": {"default_owner": OWNER},
        }
        return run_airflow(self._out / "airflow", self._out, connection)

    def _run_dags(self, airflow: Airflow, feed: Path) -> list[dict[str, Any]]:
        """Run the three DAGs, each on what the one before it made; return the results of the exports."""
        jobs = {"feed": str(feed), "run_dir": str(self._run_dir), "max_errors": ANY, "tags": ["tcetl-demo"]}
        self._run_dag(airflow, "threatconnect_feed_ingest", jobs)
        self._run_dag(airflow, "threatconnect_bulk_to_lake", {"run_id": "demo"})
        return self._run_dag(airflow, "threatconnect_siem_export", {})["export"]

    def _run_dag(self, airflow: Airflow, dag_id: str, conf: dict[str, Any]) -> Results:
        with self._step(f"DAG {dag_id}") as detail:
            return airflow.run(dag_id, conf, on_task=lambda task, state: detail(f"{task}: {state}"))

    def _count(self, emulator: Emulator, feed: Path, exports: list[dict[str, Any]]) -> Outcome:
        load = Run.open(self._run_dir).report()
        dataset = latest(self._out / "lake")
        reports = [ExportReport(**export | {"path": Path(export["path"])}) for export in exports]
        lake: Counter[str] = Counter()
        for file in dataset.files:
            with pq.ParquetFile(file.path) as parquet:
                types = parquet.read(columns=["type"])["type"]
            lake.update({count["values"]: count["counts"] for count in types.value_counts().to_pylist()})
        return Outcome(
            out=self._out,
            feed=feed,
            load=load,
            dead_letters=pq.read_metadata(load.rejects_path).num_rows - load.warnings,
            dataset=dataset,
            lake=dict(lake),
            platform={name: count for name, count in emulator.counts(OWNER).items() if count},
            exports=reports,
            siem={report.format: _records(report.path, report.format) for report in reports},
        )


def _records(path: Path, form: str) -> int:
    """Count the records in an exported file with the standard library alone: a CSV cell may span lines."""
    with path.open(encoding="utf-8", newline="") as file:
        if form == "csv":
            return sum(1 for _ in csv.reader(file)) - 1
        return sum(1 for _ in file)


__all__ = ["DemoError", "OnStep", "run_demo"]
