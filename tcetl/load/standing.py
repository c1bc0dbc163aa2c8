"""Where a load stands, as its directory has it: read by whoever wants to know, while others work on it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tcetl.client.batch import BatchStatus
from tcetl.load.chain import Generation, chain, read_link
from tcetl.load.lock import Holder, holders
from tcetl.load.report import LoadReport
from tcetl.load.run import Receipt, Run

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect

State = Literal["planned", "under way", "interrupted", "answered", "loaded", "incomplete"]
"""``planned``: nothing was sent. ``under way``: a process is at it. ``interrupted``: it was begun, and nobody is at it.
``answered``: all jobs have ended, and nobody has judged them yet. ``loaded``: every record sent was loaded.
``incomplete``: it has ended, and some were not."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a load stands. Counts are in records, but for *phases*, which counts chunks.

    Attributes:
        run_dir: The run directory.
        owner: Owner loaded into.
        action: ``Create`` or ``Delete``.
        state: One of :data:`State`.
        phases: Chunks by phase.
        chunks: Every chunk's receipt.
        records: Records to send.
        sent: Records that jobs were given.
        succeeded: Records that ended jobs loaded.
        failed: Records that ended jobs refused.
        unprocessed: Records that ended jobs did not get to.
        open_jobs: Jobs that have not been seen to end.
        holders: The processes at work on it.
        report: What it came to, once it has ended.
        parent: The run whose dead letters it takes up.
        retried_in: The run that takes up its own.
        generations: It and its retries.
        notes: What a person should know of how its feed was read.
    """

    run_dir: str
    owner: str
    action: str
    state: State
    phases: dict[str, int]
    chunks: list[Receipt]
    records: int
    sent: int
    succeeded: int
    failed: int
    unprocessed: int
    open_jobs: list[int]
    holders: list[Holder]
    report: LoadReport | None
    parent: str | None
    retried_in: str | None
    generations: list[Generation]
    notes: list[str]


def standing(run: Run) -> Standing:
    """Return where *run* stands, from its directory alone."""
    receipts, at_work = run.receipts(), holders(run.path)
    report = run.report() if run.report_path.exists() else None
    link = read_link(run)

    def total(field: str) -> int:
        return sum(getattr(receipt, field) or 0 for receipt in receipts)

    return Standing(
        run_dir=str(run.path),
        owner=run.settings.owner,
        action=run.settings.action,
        state=_state(receipts, at_work, report),
        phases=dict(Counter(receipt.phase for receipt in receipts)),
        chunks=receipts,
        records=total("records"),
        sent=sum(receipt.records for receipt in receipts if receipt.uploaded_at),
        succeeded=total("succeeded"),
        failed=total("failed"),
        unprocessed=total("unprocessed"),
        open_jobs=[receipt.batch_id for receipt in receipts if receipt.is_open and receipt.batch_id],
        holders=at_work,
        report=report,
        parent=run.plan.parent,
        retried_in=link.run_dir if link and Run.is_planned(link.run_dir) else None,
        generations=chain(run),
        notes=run.plan.notes,
    )


def look(tc: "ThreatConnect", run: Run) -> Mapping[int, BatchStatus]:
    """Ask the platform how the open jobs of *run* stand, and return their states by job; nothing is written down."""
    jobs = [receipt.batch_id for receipt in run.receipts() if receipt.is_open and receipt.batch_id]
    return {job: tc.batch.status(job) for job in jobs}


def _state(receipts: list[Receipt], at_work: list[Holder], report: LoadReport | None) -> State:
    if report is not None:
        return "incomplete" if report.failed or report.unprocessed or report.unaccounted else "loaded"
    if at_work:
        return "under way"
    if all(receipt.phase == "saved" for receipt in receipts):
        return "answered"
    return "planned" if all(receipt.phase == "planned" for receipt in receipts) else "interrupted"
