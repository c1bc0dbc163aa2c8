"""What a planned load would send, for somebody to look at before it is sent."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tcetl.load.mending.mends import Mend, read_mends
from tcetl.load.run import Chunk, Run
from tcetl.load.storage import full_name

if TYPE_CHECKING:
    from tcetl.load.diff import Diff

SAMPLES: Final = 5
"""Records to show unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a load would send. Counts are in records.

    Attributes:
        run_dir: The run directory, unless it was made for the preview alone.
        settings: Settings of every batch job, as the API has them.
        rows_read: Rows of the feed; of a retry, what the load before it did not load.
        rejected: Rows refused before anything is sent, by code.
        duplicates: Rows merged into an equal one.
        records: Records to send, by type.
        jobs: Batch jobs to come.
        files: Files of groups to upload, each by itself.
        bytes: Bytes to send in batch jobs.
        mends: What was changed by hand, for a retry.
        samples: Some of the records, as they would be sent.
        notes: What a person should know of how the feed was read.
        diff: What would change on the platform, where somebody asked.
    """

    run_dir: str | None
    settings: dict[str, Any]
    rows_read: int
    rejected: dict[str, int]
    duplicates: int
    records: dict[str, int]
    jobs: int
    files: int
    bytes: int
    mends: list[Mend]
    samples: list[dict[str, Any]]
    diff: "Diff | None" = None
    notes: list[str] = field(default_factory=list)


def preview(run: Run, *, samples: int = SAMPLES, scratch: bool = False) -> Preview:
    """Return what `submit` would send of *run*: the chunks that no job was made for yet.

    Args:
        run: A planned load.
        samples: Records to show, from all over it.
        scratch: The run directory is there for the preview alone, and its name is of no use to anybody.
    """
    coming = [run.chunks[receipt.chunk] for receipt in run.receipts() if receipt.phase == "planned"]
    jobs = [chunk for chunk in coming if chunk.kind != "file"]
    types: Counter[str] = Counter()
    for chunk in coming:
        types.update(run.origins(chunk.chunk)["type"].to_pylist())
    rejected = Counter(run.counts.get("rejected", {})) + Counter(run.plan.rejected)
    duplicates = int(run.counts.get("duplicates", 0)) + run.plan.duplicates
    planned = sum(chunk.records for chunk in run.chunks) + run.plan.merged - run.plan.added
    return Preview(
        run_dir=None if scratch else full_name(run.path),
        settings=run.settings.to_json(),
        rows_read=run.counts.get("rows_read", rejected.total() + duplicates + planned),
        rejected=dict(rejected),
        duplicates=duplicates,
        records=dict(types),
        jobs=len(jobs),
        files=sum(chunk.records for chunk in coming if chunk.kind == "file"),
        bytes=sum(chunk.bytes for chunk in jobs),
        mends=read_mends(run),
        samples=list(_samples(run, coming, samples)),
        notes=run.plan.notes,
    )


def _samples(run: Run, chunks: list[Chunk], count: int) -> Iterator[dict[str, Any]]:
    """Records from all over *chunks*, which are sorted by type: so that each type is likely to show."""
    total = sum(chunk.records for chunk in chunks)
    count = min(count, total)
    wanted = {index * total // count for index in range(count)}
    start = 0
    for chunk in chunks:
        here = sorted(index - start for index in wanted if start <= index < start + chunk.records)
        records = run.records(chunk.chunk) if here else []
        yield from (msgspec.json.decode(records[index]) for index in here)
        start += chunk.records
