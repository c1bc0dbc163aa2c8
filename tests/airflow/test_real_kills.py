"""The proof: with the real scheduler, kill (SIGKILL) what runs a task, or the triggerer, at each step of a load.

Takes minutes, so it runs when asked for: ``pytest -m slow -s tests/airflow/test_real_kills.py``. Whatever dies when,
the run ends green with one upload per chunk and every record loaded once, and no secret is in anything Airflow keeps.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from airflow_home import FEED, RECORDS, connection
from real_airflow import DagRun, RealAirflow, kill, parent_of, run_airflow, wait_until

from tcetl.load import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

INGEST, MAPPED = "threatconnect_feed_ingest", "threatconnect_feed_ingest_mapped"
CREATE = {"route": "/v2/batch", "method": "POST"}
UPLOAD = {"route": "/v2/batch/*", "method": "POST"}
LOOK = {"route": "/v2/batch/*", "method": "GET"}
ERRORS = {"route": "/v2/batch/*/errors", "method": "GET"}
RESULTS = {"route": "/v2/batch/*/results", "method": "GET"}
HELD: dict[str, Any] = {"kind": "delay", "seconds": 4}
"""The platform has not got round to the request."""
DONE: dict[str, Any] = {"kind": "drip", "bytes": 1_000_000, "seconds": 4}
"""The platform has done it; its answer is on the way."""
SIGNATURE = re.compile(rb"TC \d+:[A-Za-z0-9+/]{16,}")


@dataclass(frozen=True)
class Step:
    """A moment of a load: what keeps it there, or what shows that it has come."""

    task: str
    faults: tuple[dict[str, Any], ...] = ()
    file: str | None = None
    deferred: bool = False


RUNNING = {
    "planned": Step("plan", file="plan.json"),
    "creating the job": Step("upload", (CREATE | HELD,)),
    "job created, its id on the way": Step("upload", (CREATE | DONE,)),
    "uploading": Step("upload", (UPLOAD | HELD,)),
    "uploaded, the answer on the way": Step("upload", (UPLOAD | DONE,)),
    "polling": Step("upload", (LOOK | HELD,)),
    "reading errors": Step("upload", (ERRORS | HELD, UPLOAD | {"kind": "job_half", "fraction": 0.4})),
    "reading results": Step("upload", (RESULTS | HELD,)),
}
STEPS = ("planned", "creating the job", "uploading", "polling", "reading errors")
DEFERRED = Step("upload", (UPLOAD | {"kind": "job_stuck", "seconds": 8},), deferred=True)


@pytest.fixture(scope="module")
def emulator(tc_emulator_process: Any) -> Any:
    tc_emulator_process.reset()
    return tc_emulator_process


@pytest.fixture(scope="module")
def airflow(emulator: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    with run_airflow(tmp_path_factory.mktemp("real") / "home", connection(emulator)) as airflow:
        yield airflow


@pytest.fixture(scope="module")
def table() -> Iterator[list[tuple[Any, ...]]]:
    """What was seen, printed at the end."""
    rows: list[tuple[Any, ...]] = []
    yield rows
    print("\n\n| killed | while | tries | jobs made | uploads | loaded | XCom, bytes | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print("|", " | ".join(map(str, row)), "|")


@dataclass
class Load:
    """A run of a DAG over a feed, in which something dies."""

    airflow: RealAirflow
    emulator: Any
    folder: Path
    table: list[tuple[Any, ...]]

    def __post_init__(self) -> None:
        self.airflow.wait_until_idle()  # an earlier test may have failed half-way
        wait_until(lambda: self.emulator.requests_under_way() == 0, "end of old requests")
        self.emulator.reset()
        self.run_dir = self.folder / "run"
        (self.folder / "feed.txt").write_text(FEED)
        self.began = time.monotonic()

    def start(self, dag_id: str, step: Step, **conf: Any) -> DagRun:
        """Start a run that will stop at *step*."""
        for fault in step.faults:
            self.emulator.add_fault(**fault)
        feed = str(self.folder / "feed.txt")
        return self.airflow.trigger(dag_id, feed=feed, run_dir=str(self.run_dir), max_errors="100%", **conf)

    def reach(self, run: DagRun, step: Step, map_index: int = -1) -> int:
        """Wait until *run* is at *step*, and return the process of its task, if there is any."""
        if step.deferred:
            run.wait_for(step.task, "deferred", map_index)
            return 0
        pid = run.pid(step.task, map_index)
        if step.file:
            _spin_until((self.run_dir / step.file).exists)
        else:
            wait_until(lambda: self.emulator.faults()[0]["struck"], str(step), pause=0.02)
            time.sleep(0.2)  # let the platform act
        return pid

    def end(self, run: DagRun, victim: str, moment: str) -> None:
        """Wait for the end of *run* and hold what came of it against the promises."""
        self.emulator.clear_faults()
        assert run.wait() == "success", f"see {self.airflow.home}"
        tasks = run.tasks()
        planned = Run.open(self.run_dir)
        report = planned.report()
        jobs = self.emulator.batches()
        uploads = [upload for job in jobs for upload in job["uploads"]]
        contents = self.emulator.contents(self.emulator.SOURCE)
        sizes = [len(json.dumps(xcom["value"])) for xcom in run.xcoms()]
        self.table.append(
            (
                victim,
                moment,
                max(task["try_number"] for task in tasks.values()),
                len(jobs),
                len(uploads),
                len(contents),
                sum(sizes),
                f"{time.monotonic() - self.began:.0f}",
            )
        )
        assert max(len(job["uploads"]) for job in jobs) == 1
        assert sorted(upload["sha256"] for upload in uploads) == sorted(chunk.sha256 for chunk in planned.chunks)
        assert {item["writes"] for item in contents} == {1}
        assert len(contents) == report.succeeded
        assert report.sent == report.succeeded + report.failed + report.unprocessed == RECORDS
        assert max(sizes) < 4096


@pytest.fixture
def load(airflow: RealAirflow, emulator: Any, tmp_path: Path, table: list[tuple[Any, ...]]) -> Load:
    return Load(airflow, emulator, tmp_path, table)


def _spin_until(ready: Callable[[], bool]) -> None:
    """As fast as can be: what comes after is milliseconds away."""
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline


@pytest.mark.parametrize("moment", RUNNING)
def test_task_process_is_killed(load: Load, moment: str) -> None:
    run = load.start(INGEST, RUNNING[moment])
    kill(load.reach(run, RUNNING[moment]))
    load.end(run, "task", moment)
    assert run.tasks()[RUNNING[moment].task, -1]["try_number"] == 2


def test_task_process_is_killed_while_planning(
    airflow: RealAirflow, emulator: Any, tmp_path: Path, table: list[tuple[Any, ...]]
) -> None:
    step = Step("plan", file="chunks/00000.json")
    for attempt in range(10):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        load = Load(airflow, emulator, folder, table)
        run = load.start(INGEST, step)
        kill(load.reach(run, step))
        if not Run.is_planned(load.run_dir):  # else it was over within the milliseconds before the kill
            break
        run.wait()
    else:
        pytest.fail("planning was never met")
    load.end(run, "task", "planning")
    assert run.tasks()["plan", -1]["try_number"] == 2


@pytest.mark.parametrize("moment", STEPS)
def test_worker_is_killed(load: Load, moment: str) -> None:
    """Task process and supervisor at once: nobody is left to say so, the scheduler has to miss the heartbeat."""
    run = load.start(INGEST, RUNNING[moment])
    pid = load.reach(run, RUNNING[moment])
    kill(parent_of(pid), pid)
    load.end(run, "worker", moment)
    assert run.tasks()[RUNNING[moment].task, -1]["try_number"] == 2


@pytest.mark.parametrize("moment", [*STEPS, "deferred"])
def test_triggerer_is_killed(load: Load, moment: str) -> None:
    step = RUNNING.get(moment, DEFERRED)
    run = load.start(INGEST, step)
    load.reach(run, step)
    load.airflow.kill("triggerer")
    time.sleep(1)
    load.airflow.start("triggerer")
    load.end(run, "triggerer", moment)
    assert run.tasks()["upload", -1]["try_number"] == 1


@pytest.mark.parametrize("victim", ["task", "worker"])
def test_one_of_several_workers_is_killed(load: Load, victim: str) -> None:
    step = replace(RUNNING["uploaded, the answer on the way"], task="upload_0")
    run = load.start(MAPPED, step, max_records=1, max_parts=3)
    pid = load.reach(run, step, map_index=1)
    kill(*([parent_of(pid)] if victim == "worker" else []), pid)
    load.end(run, victim, "one of 3 mapped tasks is uploading")
    assert run.tasks()["upload_0", 1]["try_number"] == 2


def test_triggerer_is_killed_while_mapped_tasks_are_deferred(load: Load) -> None:
    step = Step("upload_0", (UPLOAD | {"kind": "job_stuck", "seconds": 8, "count": None},), deferred=True)
    run = load.start(MAPPED, step, max_records=2, max_parts=3)
    for map_index in range(3):
        load.reach(run, step, map_index)
    load.airflow.kill("triggerer")
    load.airflow.start("triggerer")
    load.end(run, "triggerer", "3 mapped tasks are deferred")


@pytest.mark.parametrize("state", ["running", "deferred"])
def test_a_task_that_is_stopped_says_which_job_goes_on(load: Load, state: str) -> None:
    step = DEFERRED if state == "deferred" else RUNNING["polling"]
    run = load.start(INGEST, step)
    load.reach(run, step)
    run.stop("upload")
    (receipt,) = Run.open(load.run_dir).receipts()
    said = f"killed; jobs {receipt.batch_id} go on at the platform"
    wait_until(lambda: any(said in text for _, text in load.airflow.traces()), said)
    assert run.wait() == "failed"
    run.clear("upload")
    load.end(run, "nobody: stopped and cleared", state)


def test_no_secret_is_in_anything_that_airflow_keeps(airflow: RealAirflow, emulator: Any) -> None:
    kept = {path: path.read_bytes() for path in airflow.home.rglob("*") if path.is_file()}
    kept |= {Path(name): text.encode() for name, text in airflow.traces()}
    everything = b"\n".join(kept.values())
    for expected in (emulator.access_id, "BatchJobsTrigger", "records answered for", "rendered_task_instance_fields"):
        assert expected.encode() in everything  # what is searched is what was meant to be
    assert b"RemovedInAirflow4Warning" not in everything
    for secret in (emulator.secret_key, emulator.token):
        assert [path for path, content in kept.items() if secret.encode() in content] == []
    assert [path for path, content in kept.items() if SIGNATURE.search(content)] == []
