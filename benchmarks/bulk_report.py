"""Bulk JSON report → Parquet: tcetl against ``requests`` + ``json`` + pandas ``to_parquet``, on the same data.

    python benchmarks/bulk_report.py --indicators 1000000

The emulator makes the report. Each way runs in a process of its own, over HTTP (with the emulator on the same cores)
and from a file, with a small report and with a large one. Seconds are wall time of the whole process, imports
included; memory is the process's peak resident set. Modules have been compiled before, as they are wherever a package
is installed. The ways take turns, and what counts is the ratio within each
turn. At the end both ways' Parquet is compared. Progress goes to standard error, the result, as Markdown, to standard
output.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from process import Measured, measure

OWNER = "Demo Source"
WAYS = ("tcetl", "pandas")
SOURCES = ("http", "file")
TARGETS = {"http": 6.0, "file": 8.0}
MOST_MIB = 400
GROWTH = 1.15  # peak of the large report over that of the small one that still counts as flat
PANDAS_BYTES = 8_000  # memory that json + pandas take for one indicator, roughly


Results = dict[tuple[str, str], list[Measured]]
"""(way, source) → its rounds."""


# What is measured: each of these runs in a process of its own.


def tcetl_http(out: Path, source: dict[str, str]) -> None:
    """As the pipeline, the operator and the command do it."""
    from tcetl.client import ThreatConnect  # noqa: PLC0415
    from tcetl.config import Settings  # noqa: PLC0415
    from tcetl.pipeline import bulk_to_lake  # noqa: PLC0415

    settings = Settings(base_url=source["url"], access_id=source["access_id"], secret_key=source["secret_key"])
    with ThreatConnect(settings) as tc:
        bulk_to_lake(tc, OWNER, out, run_id="benchmark")


def tcetl_file(out: Path, source: dict[str, str]) -> None:
    """The same reader and the same lake, without the network."""
    from tcetl.client.report import ReportReader  # noqa: PLC0415
    from tcetl.lake import publish  # noqa: PLC0415

    with Path(source["file"]).open("rb", buffering=0) as report:
        publish(ReportReader(report), out, run_id="benchmark")


def pandas_http(out: Path, source: dict[str, str]) -> None:
    """The usual few lines."""
    import requests  # noqa: PLC0415

    response = requests.get(
        f"{source['url']}/v2/indicators/bulk/json",
        params={"owner": OWNER},
        headers={"Authorization": f"TC-Token {source['token']}"},
        timeout=600,
    )
    response.raise_for_status()
    _to_parquet(response.json(), out)


def pandas_file(out: Path, source: dict[str, str]) -> None:
    """The usual few lines, without the network."""
    with Path(source["file"]).open("rb") as report:
        document = json.load(report)
    _to_parquet(document, out)


def _to_parquet(document: dict[str, Any], out: Path) -> None:
    import pandas as pd  # noqa: PLC0415

    out.mkdir(parents=True)
    pd.DataFrame(document["indicator"]).to_parquet(out / "report.parquet", compression="zstd")


def verify(_: Path, source: dict[str, str]) -> None:
    """Both ways must have written the same indicators, whole and in the same order."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415
    import pyarrow.dataset as ds  # noqa: PLC0415

    def columns(way: str, names: list[str], inside: dict[str, str]) -> list[pa.ChunkedArray]:
        files = sorted(str(path) for path in Path(source[way]).rglob("*.parquet"))
        table = ds.dataset(files, format="parquet").to_table(columns=[*names, *inside])
        found = [table[name] for name in names]
        for name, part in inside.items():
            found.append(pc.fill_null(pc.list_value_length(table[name]), 0))
            found.append(pc.struct_field(pc.list_flatten(table[name]), part))
        return found

    ours = columns("tcetl", ["id", "type", "summary", "rating", "web_link"], {"tags": "name", "attributes": "value"})
    theirs = columns("pandas", ["id", "type", "summary", "rating", "webLink"], {"tag": "name", "attribute": "value"})
    for one, other in zip(ours, theirs, strict=True):
        if not one.equals(other.cast(one.type)):
            raise SystemExit("the two ways wrote different data")


CHILDREN = {
    "tcetl-http": tcetl_http,
    "tcetl-file": tcetl_file,
    "pandas-http": pandas_http,
    "pandas-file": pandas_file,
    "verify": verify,
}


# Measuring.


def run(name: str, out: Path, source: dict[str, str]) -> Measured:
    """Run one child."""
    shutil.rmtree(out, ignore_errors=True)
    where = {"BENCHMARK_SOURCE": json.dumps(source)}
    return measure(__file__, "--child", name, str(out), compiled=out.parent / "compiled", **where)


@contextmanager
def served(count: int, data: Path) -> Iterator[dict[str, str]]:
    """An emulator with a report of *count* indicators; where it is, and a copy of the report in a file."""
    from tcetl.emulator import run_emulator  # noqa: PLC0415

    file = data / f"report-{count}.json"
    print(f"{count:,} indicators: seeding the emulator and making its report …", file=sys.stderr)
    with run_emulator(seed=count) as emulator:
        source = {
            "url": emulator.url,
            "access_id": emulator.access_id,
            "secret_key": emulator.secret_key,
            "token": emulator.token,
            "file": str(file),
        }
        download(source, file)
        yield source
    file.unlink()


def download(source: dict[str, str], file: Path) -> None:
    """Save the emulator's report."""
    import requests  # noqa: PLC0415

    with (
        requests.get(
            f"{source['url']}/v2/indicators/bulk/json",
            params={"owner": OWNER},
            headers={"Authorization": f"TC-Token {source['token']}"},
            stream=True,
            timeout=600,
        ) as response,
        file.open("wb") as out,
    ):
        response.raise_for_status()
        shutil.copyfileobj(response.raw, out, 1 << 20)


def available_memory() -> int:
    """Bytes that can be had without swapping."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def compare(count: int, data: Path, rounds: int) -> Results:
    """Every way over every source, by turns, *rounds* times; what the two ways wrote must be the same."""
    if available_memory() < count * PANDAS_BYTES:
        raise SystemExit(f"json + pandas need {count * PANDAS_BYTES / 2**30:.0f} GiB of memory for {count:,}")
    results: Results = {(way, source): [] for source, way in product(SOURCES, WAYS)}
    with served(1_000, data) as where:
        for way, source in results:
            run(f"{way}-{source}", data / way, where)  # compiles what it imports
    with served(count, data) as where:
        size = Path(where["file"]).stat().st_size
        for number, (way, source) in product(range(1, rounds + 1), results):
            one = run(f"{way}-{source}", data / way, where)
            results[way, source].append(one)
            print(
                f"{count:,} indicators ({size / 1e6:,.0f} MB), round {number}: {way} from {source}: "
                f"{one.seconds:.1f} s ({one.cpu_seconds:.1f} s of CPU), {one.peak_mib:,.0f} MiB",
                file=sys.stderr,
            )
        run("verify", data / "verified", where | {way: str(data / way) for way in WAYS})
    return results


# Reporting.


def ratio(results: Results, source: str) -> float:
    """How many times faster tcetl is: the median of the rounds' ratios, so that a slow minute counts for both."""
    pairs = zip(results["pandas", source], results["tcetl", source], strict=True)
    return statistics.median(theirs.seconds / ours.seconds for theirs, ours in pairs)


def peak(results: Results, way: str, source: str) -> float:
    """The highest peak of all rounds, in MiB."""
    return max(one.peak_mib for one in results[way, source])


def table(measured: dict[int, Results]) -> str:
    """The measurements as a Markdown table."""

    def seconds(results: Results, way: str, source: str) -> str:
        return f"{statistics.median(one.seconds for one in results[way, source]):.1f} s"

    lines = [
        "| indicators | from | `requests`, `json`, pandas | peak | tcetl | peak | times faster |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {count:,} | {source} | {seconds(results, 'pandas', source)} | {peak(results, 'pandas', source):,.0f} MiB "
        f"| {seconds(results, 'tcetl', source)} | {peak(results, 'tcetl', source):,.0f} MiB "
        f"| {ratio(results, source):.1f} |"
        for (count, results), source in product(measured.items(), SOURCES)
    ]
    return "\n".join(lines)


def verdicts(small: Results, large: Results) -> list[tuple[str, bool]]:
    """The targets, and whether they are met."""
    found = []
    for source, target in TARGETS.items():
        faster, before, after = ratio(large, source), peak(small, "tcetl", source), peak(large, "tcetl", source)
        found += [
            (f"{source}: {faster:.1f} times faster (target {target:g})", faster >= target),
            (f"{source}: peak {after:,.0f} MiB (target {MOST_MIB})", after <= MOST_MIB),
            (f"{source}: peak grew {after / before:.2f}-fold (target {GROWTH:g})", after <= GROWTH * before),
        ]
    return found


def main() -> int:
    """Measure, print Markdown; 0 when all targets are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--indicators", type=int, default=1_000_000, help="in the large report")
    parser.add_argument("--small", type=int, default=100_000, help="in the small report")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each")
    parser.add_argument(
        "--data", type=Path, help="folder to work in, on a disk with 4 GB free for 1,000,000 indicators"
    )
    parser.add_argument("--child", nargs=2, metavar=("NAME", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, out = arguments.child
        CHILDREN[name](Path(out), json.loads(os.environ["BENCHMARK_SOURCE"]))
        return 0
    with tempfile.TemporaryDirectory(prefix="tcetl-benchmark-", dir=arguments.data) as data:
        counts = (arguments.small, arguments.indicators)
        measured = {count: compare(count, Path(data), arguments.rounds) for count in counts}
    found = verdicts(*measured.values())
    print(table(measured), "\n")
    print("\n".join(f"- {'met' if met else '**missed**'}: {what}" for what, met in found), "\n")
    print(
        f"Median of {arguments.rounds} rounds; {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"CPython {platform.python_version()}."
    )
    return 0 if all(met for _, met in found) else 1


if __name__ == "__main__":
    sys.exit(main())
