"""A ThreatConnect in memory that can be made to fail, or the process to die, at any call."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from tcetl.client.batch import BatchError, BatchSettings, BatchStatus
from tcetl.errors import ApiError, NotFoundError
from tcetl.schema import INDICATORS

OWNER = "Example Source"
KEYS = ("xid", "ip", "address", "md5", "sha1", "sha256", "hostName", "text", "Mutex", "summary", "User Agent String")


class Death(BaseException):
    """The process is gone: nothing in the code under test may catch this."""


@dataclass
class Job:
    id: int
    content: bytes | None = None
    polls: int = 0
    status: str = "Created"
    succeeded: int = 0
    failed: int = 0
    unprocessed: int = 0
    errors: list[BatchError] = field(default_factory=list)
    results: list[BatchError] = field(default_factory=list)


Verdict = Callable[[int, dict[str, Any]], str | None]


def refuse_bad(index: int, record: dict[str, Any]) -> str | None:
    """Refuse records whose value says that it is bad."""
    name = name_of(record)
    return f"{name} is not a valid {record['type']}." if "bad" in name else None


def name_of(record: dict[str, Any]) -> str:
    if "ref_1" in record:
        return f"{record['ref_1']} - {record['ref_2']}"
    return str(next(record[key] for key in KEYS if key in record))


def records_in(content: bytes) -> list[dict[str, Any]]:
    """The records of a batch file, whatever kinds it holds."""
    return [record for records in json.loads(content).values() for record in records]


class FakeFiles:
    """Stands in for the files of groups: counts how often each was sent, and keeps its bytes."""

    def __init__(self, platform: "FakePlatform") -> None:
        self.platform = platform
        self.kept: dict[str, bytes] = {}
        self.sent: Counter[str] = Counter()

    def size(self, owner: str, type_: str, xid: str) -> int | None:
        return self.platform.call("size", lambda: len(self.kept.get(xid, b"")))

    def upload(self, owner: str, type_: str, xid: str, content: Path) -> None:
        def act() -> None:
            if xid not in self.platform.held:
                raise NotFoundError("The requested resource was not found", status=404)
            self.kept[xid] = content.read_bytes()
            self.sent[xid] += 1

        self.platform.call("send", act)


class FakePlatform:
    """Stands in for `ThreatConnect` and for its `BatchJobs` at once."""

    def __init__(self, verdict: Verdict = refuse_bad, *, polls: int = 1, halts: bool = False) -> None:
        self.jobs: dict[int, Job] = {}
        self.verdict = verdict
        self.polls = polls
        self.halts = halts
        self.calls: list[str] = []
        self.held: set[str] = set()
        self.files = FakeFiles(self)
        self.before: Callable[[str, int], None] = lambda name, call: None
        self.after: Callable[[str, int], None] = lambda name, call: None

    @property
    def batch(self) -> "FakePlatform":
        return self

    def create(self, settings: BatchSettings) -> int:
        def act() -> int:
            job = Job(len(self.jobs) + 1)
            self.jobs[job.id] = job
            return job.id

        return self.call("create", act)

    def upload(self, batch_id: int, content: bytes) -> BatchStatus:
        def act() -> BatchStatus:
            job = self._job(batch_id)
            if job.status != "Created":
                raise ApiError("the job has its file", status=400)
            job.content = content
            job.status = "Queued"
            return self._status(job)

        return self.call("upload", act)

    def status(self, batch_id: int) -> BatchStatus:
        def act() -> BatchStatus:
            job = self._job(batch_id)
            if job.content is not None and job.status != "Completed":
                job.polls += 1
                job.status = "Running"
                if job.polls > self.polls:
                    self._work(job)
            return self._status(job)

        return self.call("status", act)

    def errors(self, batch_id: int) -> list[BatchError]:
        return self.call("errors", lambda: list(self._job(batch_id).errors))

    def results(self, batch_id: int) -> list[BatchError]:
        return self.call("results", lambda: list(self._job(batch_id).results))

    def loaded(self) -> Counter[str]:
        """How often each value was in an accepted upload."""
        return Counter(
            name_of(record)
            for job in self.jobs.values()
            if job.content is not None
            for record in records_in(job.content)
        )

    def _work(self, job: Job) -> None:
        assert job.content is not None
        for index, record in enumerate(records_in(job.content)):
            if job.failed and self.halts:
                job.unprocessed += 1
            elif reason := self.verdict(index, record):
                job.failed += 1
                job.errors.append(BatchError(None, None, reason, None, name_of(record)))
                job.results.append(BatchError("0x1005", "Error", reason, None, None))
            else:
                job.succeeded += 1
                self.held.add(name_of(record))
                missing = {record[ref] for ref in ("ref_1", "ref_2") if ref in record} - self.held
                assert not missing, f"{name_of(record)} refers to what is not there yet: {missing}"
        job.status = "Completed"

    def _job(self, batch_id: int) -> Job:
        if batch_id not in self.jobs:
            raise NotFoundError("The requested resource was not found", status=404)
        return self.jobs[batch_id]

    @staticmethod
    def _status(job: Job) -> BatchStatus:
        return BatchStatus(
            id=job.id, status=job.status, succeeded=job.succeeded, failed=job.failed, unprocessed=job.unprocessed
        )

    def call(self, name: str, act: Callable[[], Any]) -> Any:
        self.calls.append(name)
        number = len(self.calls)
        self.before(name, number)
        answer = act()
        self.after(name, number)
        return answer


def indicators(values: list[tuple[str, str]], **columns: Any) -> pa.Table:
    """INDICATORS of (type, summary); each says which row of a feed it came from."""
    rows = [
        {
            "owner_name": "Feed",
            "type": kind,
            "summary": summary,
            "tags": [],
            "attributes": [],
            "security_labels": [],
            "origin": {"source": "feed", "file": "feed.csv", "row": number, "pointer": None, "raw": f"raw {summary}"},
            **columns,
        }
        for number, (kind, summary) in enumerate(values, start=1)
    ]
    return pa.Table.from_pylist(rows, schema=INDICATORS)


def hosts(count: int, *bad: int) -> pa.Table:
    """*count* hosts, of which the ones numbered *bad* are refused."""
    return indicators([("Host", f"{'bad' if n in bad else 'host'}-{n:05}.example") for n in range(count)])
