"""A load and its retries: which run took up what another one did not load, and that nothing is lost between them."""

from dataclasses import dataclass
from typing import Final

import msgspec

from tcetl.errors import LoadError
from tcetl.load.report import LoadReport
from tcetl.load.run import Run
from tcetl.load.storage import read_json, write_whole

_LINK: Final = "retry.json"


class Link(msgspec.Struct, frozen=True):
    """What ``retry.json`` holds: the run that took up this one's dead letters. There is never more than one.

    ``rejects_sha256`` is of ``rejects.csv`` as it was then.
    """

    run_dir: str
    rejects_sha256: str


def read_link(run: Run) -> Link | None:
    """Return the link to the retry of *run*, which may not be planned yet; None when nobody began one.

    Raises:
        LoadError: It is damaged.
    """
    try:
        return read_json(run.path / _LINK, Link, hint="restore it: it names the run that retries this one")
    except FileNotFoundError:
        return None


def write_link(run: Run, link: Link) -> None:
    """Say that *run* is retried elsewhere."""
    write_whole(run.path / _LINK, msgspec.json.encode(link))


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One load of a chain. Counts are in records.

    Attributes:
        run_dir: Its run directory.
        owed: What it began with: the rows of a feed and what is sent beside them, or what the load before it left.
        mended: Of those, changed by hand before they were sent again.
        removed: Deleted by hand from the dead letters, and so not sent again.
        unattributed: Told by the platform to have failed without saying which they are, and so not sent again.
        rejected: Refused before anything was sent, for other reasons.
        duplicates: Merged into an equal one, or sent inside the record of another one.
        sent: Sent in batch jobs, and files.
        succeeded: Loaded; None while the load goes on.
        left: Failed or unprocessed, which is what the next one begins with; None while the load goes on.
    """

    run_dir: str
    owed: int
    mended: int
    removed: int
    unattributed: int
    rejected: int
    duplicates: int
    sent: int
    succeeded: int | None
    left: int | None


def chain(run: Run) -> list[Generation]:
    """Return the loads that *run* is one of, the first one first; directories that are not there any more are left out.

    Every generation adds up: ``owed = removed + unattributed + rejected + duplicates + sent``, and once it has ended
    ``sent = succeeded + left``, which is the next one's ``owed``.
    """
    first = run
    while first.plan.parent and (parent := _opened(first.plan.parent)) is not None:
        first = parent
    generations = [_generation(first)]
    last = first
    while (link := read_link(last)) is not None and (child := _opened(link.run_dir)) is not None:
        generations.append(_generation(child))
        last = child
    return generations


def _opened(run_dir: str) -> Run | None:
    try:
        return Run.open(run_dir)
    except LoadError:
        return None


def _generation(run: Run) -> Generation:
    report: LoadReport | None = run.report() if run.report_path.exists() else None
    rejected = dict(run.counts.get("rejected", {}))
    for code, count in run.plan.rejected.items():
        rejected[code] = rejected.get(code, 0) + count
    duplicates = int(run.counts.get("duplicates", 0)) + run.plan.duplicates + run.plan.merged
    sent = sum(chunk.records for chunk in run.chunks)
    is_retry = run.plan.parent is not None
    removed, unattributed = (rejected.pop(code, 0) if is_retry else 0 for code in ("removed", "unattributed"))
    refused = sum(rejected.values())
    read = run.counts.get("rows_read")
    return Generation(
        run_dir=str(run.path),
        owed=removed + unattributed + refused + duplicates + sent if read is None else read + run.plan.added,
        mended=int(run.counts.get("mended", 0)),
        removed=removed,
        unattributed=unattributed,
        rejected=refused,
        duplicates=duplicates,
        sent=sent,
        succeeded=report.succeeded if report else None,
        left=report.failed + report.unprocessed if report else None,
    )
