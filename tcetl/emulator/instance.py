"""One emulated instance: all its parts, and what concerns them together."""

from pathlib import Path

from tcetl.emulator.batch_jobs import BatchJobs
from tcetl.emulator.bulk import Reports
from tcetl.emulator.clock import Clock
from tcetl.emulator.faults import FaultBoard
from tcetl.emulator.group_files import GroupFiles
from tcetl.emulator.journal import Journal
from tcetl.emulator.limits import Limits
from tcetl.emulator.seeding import Seeder
from tcetl.emulator.store import Store
from tcetl.emulator.tenants import Owner


class Instance:
    """The state behind the routes, kept in files below *directory*."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.clock = Clock()
        self.limits = Limits()
        self.journal = Journal()
        self.faults = FaultBoard()
        self.store = Store(directory)
        self.seeder = Seeder(self.store)
        self.reports = Reports(self.store, self.clock, directory / "reports")
        self.files = GroupFiles(self.store, directory / "files")
        self.jobs = BatchJobs(self.store, self.clock, self.limits, directory / "batch")

    def reset(self) -> None:
        """Back to the state after start: no indicators, jobs, reports, faults or journal; the clock is right again."""
        self.faults.clear()
        self.jobs.forget()
        self.store.clear()
        self.files.clear()
        self.seeder.clear()
        self.reports.clear()
        self.clock.offset = 0.0
        self.limits.__init__()  # type: ignore[misc]
        self.journal.clear()

    def seed(self, owner: Owner, count: int, *, seed: int = 0, report: bool = True) -> None:
        """Add *count* made-up indicators, and generate the owner's bulk reports, as if a night had passed."""
        self.seeder.seed(owner, count, seed=seed)
        if report and owner.bulk:
            self.reports.generate(owner)
