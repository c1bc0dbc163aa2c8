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

import pandas as pd  # noqa: F401 - pyarrow imports it to convert: once before the fork, not in every child
import polars as pl
import pyarrow as pa
import pyarrow.dataset  # likewise
from soak_schedule import CALLS, LATE, Death, Record, Schedule
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
from tcetl.schema import ASSOCIATIONS, GROUPS, INDICATORS, REJECTS

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
                run = _plan(schedule, path, folder)
            else:
                run = retry(run_dir(schedule, folder, number - 1), path, max_records=schedule.max_records)
            _take_along(schedule, tc, run, part)
            if not _leave_the_bad(schedule, run):
                return
    raise RuntimeError(f"{RETRIES} runs were not enough")


def _plan(schedule: Schedule, path: Path | UPath, folder: Path) -> Run:
    def rows(kind: str, columns: Any) -> list[dict[str, Any]]:
        return [
            columns(record)
            | {"origin": {"source": "soak", "file": kind, "row": row, "pointer": None, "raw": record.name}}
            for row, record in enumerate((each for each in schedule.records if each.kind == kind), 1)
        ]

    kept = {
        "tags": [{"name": "soak"}],
        "attributes": [{"type": "Additional Analysis and Context", "value": "once"}],
        "security_labels": [],
    }
    papers = {(record.type, record.name) for record in schedule.records if record.kind == "file"}

    def indicator(record: Record) -> dict[str, Any]:
        return {"owner_name": OWNER, "type": record.type, "summary": record.name, **kept}

    def group(record: Record) -> dict[str, Any]:
        columns = {"type": record.type, "name": record.name, "xid": record.name, **kept}
        if record.is_bad:
            columns["status"] = "no such status"
        if (record.type, record.name) in papers:
            paper = folder / f"{record.name}.pdf"
            paper.write_bytes(b"%PDF " + record.name.encode())
            columns |= {"file_name": paper.name, "content": str(paper)}
        return columns

    def association(record: Record) -> dict[str, Any]:
        one, other = record.ends
        return {"type_1": one.type, "ref_1": one.name, "type_2": other.type, "ref_2": other.name}

    tables = {
        "indicator": pa.Table.from_pylist(rows("indicator", indicator), schema=INDICATORS),
        "group": pa.Table.from_pylist(rows("group", group), schema=GROUPS),
        "association": pa.Table.from_pylist(rows("association", association), schema=ASSOCIATIONS),
    }
    return plan(
        tables["indicator"],
        REJECTS.empty_table(),
        path,
        settings=BatchSettings(owner=OWNER, **schedule.settings),
        counts={"rows_read": sum(table.num_rows for table in tables.values()), "rejected": {}, "duplicates": 0},
        groups=tables["group"],
        associations=tables["association"],
        max_records=schedule.max_records,
    )


def _take_along(schedule: Schedule, tc: ThreatConnect, run: Run, part: int | None) -> None:
    try:
        if part is not None:
            mine = [chunk.chunk for chunk in run.chunks if chunk.chunk % 2 == part]
            # Not for ever: a part may wait for one that another process should have seen to, and did not live to.
            submit_chunks(tc, run, mine, in_flight=schedule.in_flight, stuck_after=STUCK, timeout=STUCK * 2)
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
    letters = [record.letter for record in schedule.records if record.is_bad]
    known = pl.DataFrame(letters, schema=["kind", "type", "summary"], orient="row").cast(pl.String)
    with run.rejects_path.open("rb") as stream:
        lost = pl.read_parquet(stream).with_row_index("letter", offset=1).filter(severity="error")
    refused = lost.filter(pl.col("code").str.starts_with("0x1")).join(known, on=known.columns, how="semi")
    others = lost.join(refused, on="letter", how="anti")
    if others.is_empty():
        return False
    if others.height < lost.height:
        text = pl.read_csv(run.rejects_text_path.read_bytes(), infer_schema=False)
        kept = text.filter(~pl.col("letter").is_in(refused["letter"].cast(pl.String).to_list()))
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
        tc.files.upload = self._mortal(tc.files.upload, "file")  # type: ignore[method-assign]
        tc.files.size = self._mortal(tc.files.size, "size")  # type: ignore[method-assign]
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
        what = next((part for part in path.parts if part in {"receipts", "answers", "files"}), path.name)
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
