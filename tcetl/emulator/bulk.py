"""Bulk indicator reports: generated into files, one pair per owner (api §4)."""

import csv
import io
import itertools
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from tcetl.emulator.clock import Clock, iso
from tcetl.emulator.render import COLUMNS, bulk_item
from tcetl.emulator.store import Store
from tcetl.emulator.tenants import OWNERS, Owner

_PERIOD: Final = 86_400.0
"""Reports are daily. Here the day's run does not start by itself: a test can let a report go stale (assumed)."""

_ROWS: Final = 2_000


class ReportFailedError(Exception):
    """The report could not be generated."""


@dataclass(slots=True)
class _Shelf:
    """The reports of one owner."""

    json: bool
    csv: bool
    fails: bool = False  # the next generations fail (set by a test)
    status: str | None = None
    last_run: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Reports:
    """Generates and keeps the reports of all owners."""

    def __init__(self, store: Store, clock: Clock, directory: Path) -> None:
        self._store = store
        self._clock = clock
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.clear()

    def clear(self) -> None:
        """Forget all reports and settings."""
        self._shelves = {owner.id: _Shelf(json=owner.bulk, csv=owner.bulk) for owner in OWNERS}
        for owner, format_ in itertools.product(OWNERS, ("json", "csv")):
            self.path(owner, format_).unlink(missing_ok=True)

    def configure(self, owner: Owner, *, json: bool | None, csv: bool | None, fails: bool | None) -> None:
        """Change the administrator's settings of one owner; None leaves one as it is."""
        shelf = self._shelves[owner.id]
        shelf.json = shelf.json if json is None else json
        shelf.csv = shelf.csv if csv is None else csv
        shelf.fails = shelf.fails if fails is None else fails

    def enabled(self, owner: Owner, format_: str) -> bool:
        """Whether the owner has a report of this format ("json" or "csv")."""
        shelf = self._shelves[owner.id]
        return shelf.json if format_ == "json" else shelf.csv

    def status(self, owner: Owner) -> dict[str, Any]:
        """The ``bulkStatus`` of one owner; before the first run without dates and status (assumed)."""
        shelf = self._shelves[owner.id]
        document: dict[str, Any] = {"name": owner.name, "csvEnabled": shelf.csv, "jsonEnabled": shelf.json}
        if shelf.last_run is not None:
            document |= {"nextRun": iso(shelf.last_run + _PERIOD), "lastRun": iso(shelf.last_run)}
        return document if shelf.status is None else document | {"status": shelf.status}

    def path(self, owner: Owner, format_: str) -> Path:
        """Where the latest report of this format is, if there is one."""
        return self._directory / f"{owner.id}.{format_}"

    def generate(self, owner: Owner) -> None:
        """Generate both reports of one owner now; requests that come while one is under way share it.

        Raises:
            ReportFailedError: A test has asked for it.
        """
        shelf = self._shelves[owner.id]
        before = shelf.last_run
        with shelf.lock:
            if shelf.last_run != before:
                return  # another request has just generated it
            shelf.status = "Running"
            started = self._clock.now()
            try:
                if shelf.fails:
                    raise ReportFailedError
                self._write(owner)
            except BaseException:
                shelf.status = "Failure"
                raise
            shelf.last_run = started
            shelf.status = "Complete"

    def _write(self, owner: Owner) -> None:
        """Write both files from one snapshot; readers of the old ones keep them."""
        # Active indicators only (api §4). File order is that of ids.
        rows = self._store.reader.cursor()
        rows.row_factory = None
        rows.execute(f"SELECT {COLUMNS} FROM indicator WHERE owner = ? AND active = 1 ORDER BY id", (owner.id,))  # noqa: S608
        parts = {name: self._directory / f"{owner.id}.{name}.part" for name in ("json", "csv")}
        encoder = msgspec.json.Encoder()
        with (
            parts["json"].open("wb", buffering=1 << 20) as json_file,
            parts["csv"].open("wb", buffering=1 << 20) as csv_file,
        ):
            json_file.write(b'{"indicator":[')
            csv_file.write(b"Type,Value,Rating,Confidence\n")
            first = True
            while slice_ := rows.fetchmany(_ROWS):
                if not first:
                    json_file.write(b",")
                first = False
                items = [bulk_item(row) for row in slice_]
                json_file.write(b",".join([encoder.encode(item) for item in items]))
                csv_file.write(_csv_lines(items))
            json_file.write(b"]}")
        for name, part in parts.items():
            part.replace(self._directory / f"{owner.id}.{name}")


def _csv_lines(items: list[dict[str, Any]]) -> bytes:
    """Rows of the CSV report: what is missing is the word ``null``, ratings have two decimals (api §4)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        (
            item["type"],
            item["summary"],
            f"{item['rating']:.2f}" if "rating" in item else "null",
            item.get("confidence", "null"),
        )
        for item in items
    )
    return text.getvalue().encode()
