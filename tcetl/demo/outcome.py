"""What a demo run came to, and whether its counts reconcile."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tcetl.demo.planted import Planted
from tcetl.lake import Dataset
from tcetl.load import LoadReport
from tcetl.siem import ExportReport


@dataclass(frozen=True, slots=True)
class Check:
    """Two counts, taken in different places, that must be the same."""

    claim: str
    left: int | Mapping[str, int]
    right: int | Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether they are the same."""
        return self.left == self.right


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the demo and how long it took, in seconds; steps may run at the same time."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All counts of one demo run.

    Attributes:
        out: The demo's directory.
        feed: The feed that was loaded.
        load: The load, as the feed DAG reported it.
        dead_letters: Rows of the load's rejects file, duplicates included.
        dataset: The published dataset, as the lake DAG reported it.
        lake: Indicators by type, counted in the Parquet files themselves.
        platform: Indicators by type, counted by the emulator in its own database.
        exports: The SIEM exports, as the export DAG reported them.
        siem: Records by format, counted as lines in the exported files.
        before: Indicators that the owner held before the feed was loaded.
        planted: What stands in the demo's own feed; None for a user's feed.
        steps: How long each step took.
        seconds: How long all of it took.
    """

    out: Path
    feed: Path
    load: LoadReport
    dead_letters: int
    dataset: Dataset
    lake: Mapping[str, int]
    platform: Mapping[str, int]
    exports: list[ExportReport]
    siem: Mapping[str, int]
    before: int = 0
    planted: Planted | None = None
    steps: list[Step] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def report_path(self) -> Path:
        """The HTML report."""
        return self.out / "report.html"

    @property
    def summary_path(self) -> Path:
        """The same as JSON."""
        return self.out / "summary.json"

    @property
    def files(self) -> dict[str, Path]:
        """What there is to look at, and where."""
        return {
            "report": self.report_path,
            "summary": self.summary_path,
            "feed": self.feed,
            "load": Path(self.load.run_dir),
            "rejects": Path(self.load.rejects_path).with_suffix(".csv"),
            "dataset": self.dataset.path,
            **{f"SIEM, {export.format}": export.path for export in self.exports},
            "Airflow": self.out / "airflow",
        }

    @property
    def new(self) -> int:
        """Loaded indicators that the owner did not hold before."""
        return sum(self.platform.values()) - self.before

    @property
    def updated(self) -> int:
        """Loaded indicators that the owner held already."""
        return self.load.succeeded - self.new

    @property
    def checks(self) -> list[Check]:
        """What must hold for the run to count as a success."""
        load = self.load
        unloaded = sum(load.rejected.values()) + load.failed + load.duplicates
        found = [
            Check("rows read = loaded + rejected + duplicates", load.rows_read, load.succeeded + unloaded),
            Check("records sent = succeeded + failed", load.sent, load.succeeded + load.failed),
            Check("rejects file = rejected + duplicates", self.dead_letters, unloaded),
            Check("indicators in the lake, by type = on the platform", self.lake, self.platform),
            Check(
                "SIEM lines + skipped, by format = indicators in the lake",
                {export.format: self.siem[export.format] + sum(export.skipped.values()) for export in self.exports},
                {export.format: sum(self.lake.values()) for export in self.exports},
            ),
        ]
        if (planted := self.planted) is not None:
            found += [
                Check("rejected, by reason = planted in the feed", load.rejected, planted.rejected),
                Check("duplicates = planted in the feed", load.duplicates, planted.duplicates),
                Check("refused by the platform = planted in the feed", load.failed, planted.refused),
                Check("loaded = good rows in the feed", load.succeeded, planted.loaded),
            ]
        return found

    @property
    def reconciles(self) -> bool:
        """Whether all checks hold."""
        return all(check.holds for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values, but for paths, which are left as they are."""
        return {
            "reconciles": self.reconciles,
            "out": self.out,
            "feed": self.feed,
            "load": self.load.to_json(),
            "lake": {"dataset": self.dataset.to_json(), "by_type": dict(self.lake)},
            "platform": {
                "by_type": dict(self.platform),
                "before": self.before,
                "new": self.new,
                "updated": self.updated,
            },
            "siem": [export.to_json() | {"lines": self.siem[export.format]} for export in self.exports],
            "checks": [asdict(check) | {"holds": check.holds} for check in self.checks],
            "steps": [asdict(step) for step in self.steps],
            "seconds": self.seconds,
        }
