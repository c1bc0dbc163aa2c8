"""Dirty CSV feed → batch JSON files and rejects: tcetl against straightforward Python, on the same data.

    python benchmarks/feed_to_batch.py --rows 1000000

`dirty_feed.py` makes the feed and `per_row_feed.py` is the other way. Each runs in a process of its own; seconds are
wall time of the whole process, imports included, and memory is its peak resident set. Modules have been compiled
before, as they are wherever a package is installed. Both must count the same and give the same records.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dirty_feed
from process import Measured, measure

TARGET = 6.0
MOST_MIB = 800


def tcetl(feed: Path, out: Path) -> dict[str, Any]:
    """As the pipeline, the operator and the command do it."""
    from tcetl.pipeline import plan_feed  # noqa: PLC0415

    counts = plan_feed(feed, "Benchmark", out).counts
    return {**counts, "rejected": sum(counts["rejected"].values())}


def per_row(feed: Path, out: Path) -> dict[str, Any]:
    """Row by row."""
    from per_row_feed import convert  # noqa: PLC0415

    return convert(feed, out)


WAYS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {"per_row": per_row, "tcetl": tcetl}


def run(way: str, feed: Path, out: Path) -> Measured:
    """Run one way in a process of its own."""
    shutil.rmtree(out, ignore_errors=True)
    return measure(__file__, "--child", way, str(feed), str(out), compiled=out.parent / "compiled")


def verify(data: Path) -> dict[str, Any]:
    """Return the counts, which both ways must share, as they must every record."""
    counts = [json.loads((data / f"{way}.json").read_text()) for way in WAYS]
    names = ("rows_read", "rejected", "duplicates", "indicators")
    one, other = ({name: count[name] for name in names} for count in counts)
    if one != other:
        raise SystemExit(f"the two ways count differently: {one} and {other}")
    for path in sorted((data / "tcetl" / "chunks").glob("*.json")):
        if json.loads(path.read_text()) != json.loads((data / "per_row" / "chunks" / path.name).read_text()):
            raise SystemExit(f"the two ways wrote different records: {path.name}")
    return one


def main() -> int:
    """Measure; 0 when the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each, by turns; the median counts")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "tcetl-feed", help="work folder")
    parser.add_argument("--child", nargs=3, metavar=("WAY", "FEED", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        way, feed, out = arguments.child
        counts = WAYS[way](Path(feed), Path(out))
        Path(out).with_suffix(".json").write_text(json.dumps(counts))
        return 0
    arguments.data.mkdir(parents=True, exist_ok=True)
    feed = arguments.data / f"feed-{arguments.rows}.csv"
    if not feed.exists():
        print(f"making {feed} …", flush=True)
        dirty_feed.write(feed, arguments.rows)
    few = arguments.data / "few.csv"
    dirty_feed.write(few, 1000)
    measured: dict[str, list[Measured]] = {way: [] for way in WAYS}
    for way in WAYS:
        run(way, few, arguments.data / way)  # which compiles
    for way in [*WAYS] * arguments.repeat:  # by turns, so that a slow minute counts for both
        one = run(way, feed, arguments.data / way)
        measured[way].append(one)
        print(f"{way}: {one.seconds:.1f} s, {one.cpu_seconds:.1f} s of CPU, {one.peak_mib:,.0f} MiB", flush=True)
    counts = verify(arguments.data)
    seconds = {way: statistics.median(one.seconds for one in measured[way]) for way in WAYS}
    cpu = {way: statistics.median(one.cpu_seconds for one in measured[way]) for way in WAYS}
    peak = {way: max(one.peak_mib for one in measured[way]) for way in WAYS}
    turns = zip(measured["per_row"], measured["tcetl"], strict=True)
    ratio = statistics.median(theirs.seconds / ours.seconds for theirs, ours in turns)
    print(
        f"\n{counts['rows_read']:,} rows ({feed.stat().st_size / 1e6:,.0f} MB): "
        f"{sum(counts['indicators'].values()):,} indicators, {counts['duplicates']:,} duplicates, "
        f"{counts['rejected']:,} rejects\n\n"
        "| way | seconds | CPU seconds | peak | times faster |\n|---|---:|---:|---:|---:|\n"
        f"| row by row | {seconds['per_row']:.1f} | {cpu['per_row']:.1f} | {peak['per_row']:,.0f} MiB | 1 |\n"
        f"| tcetl | {seconds['tcetl']:.2f} | {cpu['tcetl']:.2f} | {peak['tcetl']:,.0f} MiB | {ratio:.1f} |\n\n"
        f"- {'met' if ratio >= TARGET else '**missed**'}: {ratio:.1f} times faster (target {TARGET:g})\n"
        f"- {'met' if peak['tcetl'] <= MOST_MIB else '**missed**'}: {peak['tcetl']:,.0f} MiB (target {MOST_MIB})\n\n"
        f"Wall time of the whole process, median of {arguments.repeat}; {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}, CPython {platform.python_version()}."
    )
    return 0 if ratio >= TARGET and peak["tcetl"] <= MOST_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
