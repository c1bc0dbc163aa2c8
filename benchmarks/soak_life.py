"""What one process of the soak does with a load, until it is done, fails, or dies.

It knows nothing of those before it but what is in the run directory, as any process that takes a load up again.
"""

import http.client
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
from soak_schedule import CALLS, LATE, Death, Schedule
from tenacity import wait_random

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "load"))
from bucket import BucketPath
from upath import UPath

from tcetl.client import ThreatConnect
from tcetl.client import retry as client_retry
from tcetl.client.batch import BatchSettings
from tcetl.errors import LoadError
from tcetl.load import Run, abandon, advance, finish, lease, plan, retry, steps, storage, submit, submit_chunks
from tcetl.load.stuck import StuckWatch
from tcetl.schema import INDICATORS, REJECTS

OWNER: Final = "Demo Source"
ALL: Final = "100%"
STUCK: Final = 5.0
RETRIES: Final = 60
"""Runs in a row that may take up what the one before left, before something is wrong."""


def hurry() -> None:
    """Wait as little as a server on this machine lets us; in a process of its own, since it is for good."""
    logging.disable()
    sys.modules["tcetl.load.submit"].POLL = (0.005, 0.05)  # type: ignore[attr-defined]
    steps.SETTLE = 0.8  # type: ignore[misc]
    lease.LEASE = 2.0  # type: ignore[misc]
    client_retry._backoff = wait_random(0.0, 0.02)  # type: ignore[misc]


def run_dir(schedule: Schedule, folder: Path, number: int) -> Path | UPath:
    """Where the load is, and after it each run that takes up what the one before left."""
    path = folder / f"run-{number}"
    return path if schedule.store == "disk" else BucketPath(f"bucket://{path}")


def live(schedule: Schedule, folder: Path, connection: dict[str, str], death: Death | None, part: int | None) -> None:
    """Take the load as far as this process gets; *part* is the share of the chunks that it takes, None all."""
    hurry()
    with ThreatConnect(**connection, retries=2, timeout=LATE * 2 / 3) as tc:
        if death:
            _Fate(death).watch(tc)
        for number in range(RETRIES):
            path = run_dir(schedule, folder, number)
            if Run.is_planned(path):
                run = Run.open(path)
            elif number == 0:
                run = _plan(schedule, path)
            else:
                run = retry(run_dir(schedule, folder, number - 1), path, max_records=schedule.max_records)
            _take_along(schedule, tc, run, part)
            if not _leave_the_bad(schedule, run):
                return
    raise RuntimeError(f"{RETRIES} runs were not enough")


def _plan(schedule: Schedule, path: Path | UPath) -> Run:
    values = schedule.good + schedule.bad
    table = pa.Table.from_pylist(
        [
            {
                "owner_name": OWNER,
                "type": kind,
                "summary": summary,
                "tags": [{"name": "soak"}],
                "attributes": [{"type": "Additional Analysis and Context", "value": "once"}],
                "security_labels": [],
                "origin": {"source": "soak", "file": "soak.csv", "row": row, "pointer": None, "raw": summary},
            }
            for row, (kind, summary) in enumerate(values, 1)
        ],
        schema=INDICATORS,
    )
    settings = BatchSettings(owner=OWNER, **schedule.settings)
    counts = {"rows_read": len(values), "rejected": {}, "duplicates": 0}
    return plan(table, REJECTS.empty_table(), path, settings=settings, counts=counts, max_records=schedule.max_records)


def _take_along(schedule: Schedule, tc: ThreatConnect, run: Run, part: int | None) -> None:
    try:
        if part is not None:
            mine = [chunk.chunk for chunk in run.chunks if chunk.chunk % 2 == part]
            submit_chunks(tc, run, mine, in_flight=schedule.in_flight, stuck_after=STUCK)
            finish(run, max_errors=ALL)
        elif schedule.way == "advance":
            watch = StuckWatch(STUCK)
            while not (progress := advance(tc, run, in_flight=schedule.in_flight)).done:
                if watch.look(progress.running, time.monotonic()):
                    abandon(tc, run)
                time.sleep(0.005)
            finish(run, max_errors=ALL)
        else:
            submit(tc, run, in_flight=schedule.in_flight, stuck_after=STUCK, max_errors=ALL)
    except LoadError as error:
        if "is stuck" not in error.message:
            raise
        abandon(tc, run)
        _take_along(schedule, tc, run, part)


def _leave_the_bad(schedule: Schedule, run: Run) -> bool:
    """Take refused records out of the dead letters where they are bad indeed, as a person would; are others left?"""
    bad = pl.col("summary").is_in({name for _, name in schedule.bad}) & pl.col("code").str.starts_with("0x1")
    with run.rejects_path.open("rb") as stream:
        lost = pl.read_parquet(stream).filter(severity="error")
    others = lost.filter(~bad)
    if others.is_empty():
        return False
    if others.height < lost.height:
        text = pl.read_csv(run.rejects_text_path.read_bytes(), infer_schema=False)
        kept = text.filter(~bad)
        storage.write_whole(run.rejects_text_path, kept.write_csv().encode())
    return True


class _Fate:
    """Ends this process at the appointed moment."""

    def __init__(self, death: Death) -> None:
        self._death = death
        self._seen: Counter[tuple[str, str]] = Counter()
        self._calling = ""

    def watch(self, tc: ThreatConnect) -> None:
        for call in CALLS:
            setattr(tc.batch, call, self._mortal(getattr(tc.batch, call), call))
        for name, module in list(sys.modules.items()):
            if name.startswith("tcetl.load."):
                for writer in ("write_whole", "replacing"):
                    if hasattr(module, writer):
                        setattr(module, writer, getattr(self, f"_{writer}"))
        self._between_request_and_answer()

    def _tick(self, when: str, what: str) -> None:
        self._seen[when, what] += 1
        if (when, what) == (self._death.when, self._death.what) and self._seen[when, what] == self._death.nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def _mortal(self, act: Callable[..., Any], call: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            self._tick("before", call)
            self._calling = call
            answer = act(*args, **options)
            self._calling = ""
            self._tick("after", call)
            return answer

        return wrapped

    def _write_whole(self, path: Path | UPath, content: bytes, write: Any = storage.write_whole) -> None:
        what = path.parent.name if path.parent.name in {"receipts", "answers"} else path.name
        self._tick("before", what)
        write(path, content)
        self._tick("after", what)

    @contextmanager
    def _replacing(self, path: Path | UPath, replace: Any = storage.replacing) -> Any:
        self._tick("before", path.name)
        with replace(path) as stream:
            yield stream
        self._tick("after", path.name)

    def _between_request_and_answer(self) -> None:
        read = http.client.HTTPConnection.getresponse

        def getresponse(connection: http.client.HTTPConnection) -> Any:
            if self._calling:
                self._tick("amid", self._calling)
            return read(connection)

        http.client.HTTPConnection.getresponse = getresponse  # type: ignore[method-assign]
