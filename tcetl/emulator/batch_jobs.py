"""The batch jobs of the instance: their states, the queue, and the thread that works it off (api §5.1)."""

import hashlib
import logging
import queue
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from tcetl.emulator.batch_run import BatchRun
from tcetl.emulator.batch_settings import JobSettings
from tcetl.emulator.clock import Clock
from tcetl.emulator.limits import Limits
from tcetl.emulator.store import Store, insert, update

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobFault:
    """How a job is to misbehave.

    Never start (or only after *delay* seconds), stop after a fraction of its items, refuse the items called so with the
    code given.
    """

    stuck: bool = False
    delay: float = 0.0
    stop_after: float | None = None
    refuse: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Upload:
    """One accepted input."""

    id: int
    batch_id: int


class BatchJobs:
    """Creates jobs, queues their input, applies it in one background thread."""

    def __init__(self, store: Store, clock: Clock, limits: Limits, directory: Path) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._queue: queue.Queue[tuple[int, _Upload, JobFault]] = queue.Queue()
        self._generation = 0
        self._busy = threading.Lock()
        threading.Thread(target=self._work, name="batch", daemon=True).start()

    def create(self, owner: int, settings: JobSettings) -> int:
        """A new job in state Created."""
        values = {"owner": owner, "settings": msgspec.json.encode(asdict(settings)).decode(), "status": "Created"}
        with self._store.writing() as connection:
            return insert(connection, "batch", values)

    def partial_path(self, name: str) -> Path:
        """Where an input may be written while it comes in."""
        return self._directory / f"{name}.part"

    def _input_path(self, upload: _Upload) -> Path:
        return self._directory / f"{upload.id}.json"

    def get(self, batch_id: int) -> dict[str, Any] | None:
        """The row of a job, or None."""
        row = self._store.row("SELECT * FROM batch WHERE id = ?", batch_id)
        return dict(row) if row is not None else None

    def claim(self, batch_id: int, *, again: bool = False) -> bool:
        """Take the one right to upload to a job; *again* (a fault) grants it a second time."""
        with self._store.writing() as connection:
            taken = connection.execute(
                "UPDATE batch SET uploads = uploads + 1 WHERE id = ? AND (uploads = 0 OR ?) RETURNING id",
                (batch_id, again),
            ).fetchone()
        return taken is not None

    def release(self, batch_id: int) -> None:
        """Give the right back: the upload was refused or broke off."""
        with self._store.writing() as connection:
            connection.execute("UPDATE batch SET uploads = uploads - 1 WHERE id = ?", (batch_id,))

    def accept(self, batch_id: int, partial: Path, fault: JobFault, *, now: bool = False) -> None:
        """Take the whole input at *partial* for the job, and queue it, or apply it *now* while the caller waits."""
        with partial.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        values = {"batch": batch_id, "time": self._clock.stamp(), "bytes": partial.stat().st_size, "sha256": sha256}
        with self._store.writing() as connection:
            upload = _Upload(insert(connection, "upload", values), batch_id)
            partial.replace(self._input_path(upload))
            update(connection, "batch", batch_id, {"status": "Queued"})
        if now:
            self._run(upload, fault)
        else:
            self._queue.put((self._generation, upload, fault))

    def uploads(self, batch_id: int) -> list[dict[str, Any]]:
        """The inputs accepted for a job, in order; there is more than one only after a fault."""
        sql = "SELECT time, bytes, sha256 FROM upload WHERE batch = ? ORDER BY id"
        return [dict(row) for row in self._store.reader.execute(sql, (batch_id,))]

    def all(self) -> list[dict[str, Any]]:
        """The rows of all jobs, in order."""
        return [dict(row) for row in self._store.reader.execute("SELECT * FROM batch ORDER BY id")]

    def forget(self) -> None:
        """Drop everything queued and wait for the job under way."""
        self._generation += 1
        with self._busy:
            for path in self._directory.iterdir():
                path.unlink(missing_ok=True)

    def messages(self, batch_id: int) -> list[dict[str, Any]]:
        """Everything the job said, in order."""
        rows = self._store.reader.execute(
            "SELECT code, severity, reason, message, source FROM batch_message WHERE batch = ? ORDER BY id", (batch_id,)
        )
        return [dict(row) for row in rows]

    def _set_status(self, batch_id: int, status: str) -> None:
        with self._store.writing() as connection:
            update(connection, "batch", batch_id, {"status": status})

    def _work(self) -> None:
        while True:
            generation, upload, fault = self._queue.get()
            with self._busy:
                if generation != self._generation:
                    continue
                try:
                    self._start(generation, upload, fault)
                except Exception:  # noqa: BLE001 - the thread must outlive whatever one job does
                    _log.exception("batch %d broke", upload.batch_id)

    def _start(self, generation: int, upload: _Upload, fault: JobFault) -> None:
        self._set_status(upload.batch_id, "Running")
        if fault.stuck:
            return
        if fault.delay:
            entry = (generation, upload, replace(fault, delay=0.0))
            timer = threading.Timer(fault.delay, self._queue.put, [entry])
            timer.daemon = True
            timer.start()
            return
        self._run(upload, fault)

    def _run(self, upload: _Upload, fault: JobFault) -> None:
        batch_id = upload.batch_id
        row = self.get(batch_id)
        if row is None:
            return
        settings = msgspec.json.decode(row["settings"], type=JobSettings)
        path = self._input_path(upload)
        run = BatchRun(
            self._store,
            batch_id,
            row["owner"],
            settings,
            self._clock.stamp(),
            max_indicators=self._limits.max_indicators,
        )
        run.run(path, stop_after=fault.stop_after, refuse=fault.refuse)
        self._set_status(batch_id, "Completed")
        path.unlink(missing_ok=True)
