"""The demo's report: one HTML file that needs nothing else, readable by eye, by screen reader, in light and dark."""

import os
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.filesize import decimal

from tcetl import __version__
from tcetl.demo.charts import Charts
from tcetl.demo.outcome import Outcome
from tcetl.load import LoadReport

_SHOWN: Final = 60
"""Rejected rows that the page shows; the rejects file has all of them."""


def render(outcome: Outcome, charts: Charts) -> str:
    """Return the page for *outcome*; its links are relative, so that the directory may be moved."""
    environment = Environment(
        loader=PackageLoader("tcetl.demo", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = "{:,}".format
    environment.filters["size"] = decimal
    environment.filters["count"] = _count
    load = outcome.load
    return environment.get_template("page.html.j2").render(
        outcome=outcome,
        load=load,
        version=__version__,
        made_at=datetime.now(UTC),
        rejected=sum(load.rejected.values()) + load.failed,
        rejects=_rejects(load),
        charts=charts,
        files=[(label, os.path.relpath(path, outcome.out)) for label, path in outcome.files.items()],
    )


def _rejects(load: LoadReport) -> list[dict[str, Any]]:
    """The first rejected rows, duplicates left out, by row."""
    columns = ["stage", "row", "raw", "code", "reason", "hint"]
    table = pq.read_table(load.rejects_path, columns=columns, filters=[("stage", "!=", "duplicate")])
    rows: list[dict[str, Any]] = table.sort_by("row").slice(0, _SHOWN).to_pylist()
    return rows


def _count(value: Any) -> str:
    """One side of a check: a number, or the sum of numbers by name."""
    return f"{value:,}" if isinstance(value, int) else f"{sum(value.values()):,} in {len(value)} kinds"
