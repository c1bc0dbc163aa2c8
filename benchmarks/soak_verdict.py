"""The verdict on one schedule, from what the emulator holds and what it wrote down of every request.

None of it rests on what the load says of itself (receipts, reports), which is then held against it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
from soak_schedule import Schedule

from tcetl.emulator import Emulator


@dataclass
class Verdict:
    """How many of each kind of wrong there are; all 0 in a sound load.

    Attributes:
        lost: Good records (and files of groups) that the platform does not hold.
        doubled: Records that a batch item has written more than once.
        strange: Records that the platform holds and nobody wanted loaded.
        unexplained: Bad records without a dead letter that says why, and dead letters that name no record.
        uploads_doubled: Uploads beyond one for each planned chunk, by the hash of what arrived.
        chunks_lost: Planned chunks that never arrived.
        lied: Counts in the load's reports that are not what the platform holds.
    """

    lost: int = 0
    doubled: int = 0
    strange: int = 0
    unexplained: int = 0
    uploads_doubled: int = 0
    chunks_lost: int = 0
    lied: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not any(asdict(self).values())


def judge(schedule: Schedule, emulator: Emulator, owner: str, folder: Path) -> Verdict:
    """Return what is wrong with the load of *schedule*, whose run directories are in *folder*."""
    held: dict[tuple[str, str, str], int] = {}
    for found in emulator.contents(owner):
        held[found["kind"], found["type"], found["name"]] = found["writes"]
        if found.get("file"):
            held["file", found["type"], found["name"]] = 1  # sending the same file again would not show, nor harm
    good = {record.held for record in schedule.records if not record.is_bad}
    letters = {record.letter: record for record in schedule.records}
    bad = {record.letter for record in schedule.records if record.is_bad}
    runs = sorted(folder.glob("run-*"), key=lambda path: int(path.name.partition("-")[2]))

    explained, nobodys = set(), 0
    for run in runs:
        for row in _dead_letters(run):
            letter = (row["kind"], row["type"], row["summary"])
            if letter not in letters:
                nobodys += 1
            elif row["code"].startswith("0x1"):
                explained.add(letter)

    arrived = Counter(upload["sha256"] for job in emulator.batches() for upload in job["uploads"])
    planned = Counter(hashlib.sha256(content).hexdigest() for run in runs for content in _batch_files(run))
    journaled = sum(entry["served"] == 202 for entry in emulator.journal("/v2/batch/*", method="POST"))
    said = [msgspec.json.decode(path.read_bytes()) for run in runs for path in run.glob("report.json")]
    return Verdict(
        lost=len(good - held.keys()),
        doubled=sum(writes > 1 for writes in held.values()),
        strange=len(held.keys() - good),
        unexplained=len(bad - explained) + nobodys,
        uploads_doubled=(arrived - planned).total() + abs(journaled - arrived.total()),
        chunks_lost=(planned - arrived).total(),
        lied=abs(sum(report["succeeded"] for report in said) - len(held))
        + sum(abs(report["unaccounted"]) for report in said),
    )


def _dead_letters(run: Path) -> list[dict[str, str]]:
    """What the platform said, whatever somebody has done to rejects.csv since."""
    path = run / "rejects.parquet"
    if not path.exists():  # a load that never got to its end
        return []
    rows = pq.read_table(path, columns=["stage", "severity", "kind", "type", "summary", "code"]).to_pylist()
    return [row for row in rows if (row["stage"], row["severity"]) == ("load", "error")]


def _batch_files(run: Path) -> Iterator[bytes]:
    """The files of the batch jobs of a run; the lists of group files are none."""
    for path in (run / "chunks").glob("?????.json"):
        if not (content := path.read_bytes()).startswith(b'{"file"'):
            yield content
