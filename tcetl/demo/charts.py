"""The report's charts as inline SVG: text stays text, and colours come from the page, so light and dark both work."""

import io
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tcetl.demo.outcome import Outcome
from tcetl.load import JobTime, LoadReport

# matplotlib knows no CSS variables: it draws in these stand-ins, and the SVG's text is rewritten afterwards.
_STAND_INS: Final = {
    "#010101": "currentColor",
    "#020202": "var(--line)",
    "#030303": "var(--accent)",
    "#040404": "var(--muted)",
    "#050505": "var(--bad)",
}
_TEXT, _LINE, _ACCENT, _MUTED, _BAD = _STAND_INS
_CLEANING: Final = (
    (r"<metadata>.*?</metadata>", ""),
    (r"<style[^>]*>.*?</style>", ""),
    (r' width="[^"]*pt"', ""),  # the page decides: it scales to the column
    (r' height="[^"]*pt"', ""),
    (r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px"),
    (r" font-family: [^;\"]*;?", ""),
    # The figure around it is named by its caption and told by the table below it.
    (r"^<svg ", '<svg aria-hidden="true" focusable="false" '),
)
_WIDTH: Final = 7.2  # inches, at 72 points each
_BAR: Final = 0.34


@dataclass(frozen=True, slots=True)
class Charts:
    """The report's three charts as SVG; empty where there is nothing to draw."""

    by_type: str
    rejected: str
    jobs: str


def draw(outcome: Outcome) -> Charts:
    """Draw the charts for *outcome*."""
    return Charts(
        by_type=_bars(outcome.lake),
        rejected=_rejected(outcome.load),
        jobs=_timeline(outcome.load.job_times) if outcome.load.job_times else "",
    )


def _rejected(load: LoadReport) -> str:
    """Draw the rejected rows by reason; colour is not all that sets apart what the platform refused."""
    refused = {f"{code} (platform)": count for code, count in load.refused.items()}
    return _bars({**load.rejected, **refused}, bad=refused) if load.rejected or refused else ""


def _bars(counts: Mapping[str, int], *, bad: Container[str] = ()) -> str:
    """Draw one horizontal bar per name, the largest first; the names in *bad* in the colour of errors."""
    ordered = sorted(counts.items(), key=lambda item: (item[1], item[0]))
    names, values = [name for name, _ in ordered], [value for _, value in ordered]
    figure, axes = _axes(len(names))
    drawn = axes.barh(names, values, height=0.62, color=[_BAD if name in bad else _ACCENT for name in names])
    axes.bar_label(drawn, labels=[f"{value:,}" for value in values], padding=4, color=_TEXT, fontsize=9)
    axes.set_xlim(0, max([*values, 1]) * 1.14)
    axes.xaxis.set_visible(False)
    return _svg(figure)


def _timeline(jobs: Sequence[JobTime]) -> str:
    """Draw one row per job against seconds: creating and uploading muted, then the time it ran on the platform."""
    figure, axes = _axes(len(jobs), below=0.5)
    begin = min(job.created_at for job in jobs)
    spans = [[(at - begin).total_seconds() for at in (j.created_at, j.uploaded_at, j.completed_at)] for j in jobs]
    last = max(end for _, _, end in spans) or 1.0
    for row, (job, (created, uploaded, completed)) in enumerate(zip(jobs, spans, strict=True)):
        axes.barh(row, uploaded - created, left=created, height=0.62, color=_MUTED)
        axes.barh(row, completed - uploaded, left=uploaded, height=0.62, color=_ACCENT)
        axes.text(completed + last * 0.012, row, f"{job.records:,} records", va="center", color=_TEXT, fontsize=9)
    axes.set_yticks(range(len(jobs)), [f"job {job.batch_id}" for job in jobs])
    axes.invert_yaxis()
    axes.set_xlim(0, last * 1.2)
    axes.set_xlabel("seconds", color=_TEXT, fontsize=9)
    axes.grid(axis="x", color=_LINE, linewidth=0.6)
    return _svg(figure)


def _axes(rows: int, *, below: float = 0.0) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, max(rows, 1) * _BAR + 0.2 + below), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, labelcolor=_TEXT, labelsize=9)
    axes.margins(y=0.02)
    return figure, axes


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    # hashsalt: the same data gives the same bytes; fonttype none: letters stay letters, in the page's own font.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tcetl", "font.family": "sans-serif"}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    for pattern, replacement in _CLEANING:
        svg = re.sub(pattern, replacement, svg, flags=re.DOTALL)
    used = set(re.findall(r'href="#([^"]+)"', svg))
    # Several charts share one page: an id that nothing refers to would only be there twice.
    svg = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", svg)
    for stand_in, colour in _STAND_INS.items():
        svg = svg.replace(stand_in, colour)
    return svg
