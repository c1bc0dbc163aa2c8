"""Bulk JSON report → Parquet: tcetl against ``requests`` + ``json`` + pandas ``to_parquet``, on the same data.

    python benchmarks/bulk_report.py --indicators 1000000

The emulator makes the report. Each way runs in a process of its own, over HTTP (with the emulator on the same cores)
and from a file, with a small report and with a large one. Seconds are wall time of the whole process, imports
included; memory is the process's peak resident set. What has been measured is kept in the data folder, so that a run
that was stopped goes on where it was; ``--fresh`` measures again.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

OWNER = "Demo Source"
WAYS = ("tcetl", "pandas")
SOURCES = ("http", "file")
TARGETS = {"http": 6.0, "file": 8.0}
MOST_MIB = 400
GROWTH = 1.15  # peak of the large report over that of the small one that still counts as flat
PANDAS_BYTES = 12_000  # memory that json + pandas take for one indicator, roughly


@dataclass(frozen=True)
class Measured:
    """One way of doing it: medians over ``runs`` processes."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    runs: int


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


def verify(out: Path, _: dict[str, str]) -> None:
    """Both ways must have written the same indicators, whole and in the same order."""
    import pyarrow.compute as pc  # noqa: PLC0415
    import pyarrow.dataset as ds  # noqa: PLC0415

    def columns(way: str, names: list[str]) -> list[Any]:
        files = sorted(str(path) for path in (out / way).rglob("*.parquet"))
        table = ds.dataset(files, format="parquet").to_table(columns=names)
        return [
            pc.fill_null(pc.list_value_length(table[name]), 0) if name.startswith(("tag", "attribute")) else table[name]
            for name in names
        ]

    ours = columns("tcetl", ["id", "type", "summary", "rating", "web_link", "tags", "attributes"])
    theirs = columns("pandas", ["id", "type", "summary", "rating", "webLink", "tag", "attribute"])
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
    """Run one child; its peak and times are the kernel's."""
    command = [sys.executable, __file__, "--child", name, str(out)]
    started = time.perf_counter()
    with subprocess.Popen(command, env=os.environ | {"BENCHMARK_SOURCE": json.dumps(source)}) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{name} ended with status {process.returncode}")
    return Measured(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, 1)


def measure(name: str, out: Path, source: dict[str, str], repeat: int) -> Measured:
    """Medians over *repeat* runs of one child; the output of the last one stays."""
    runs = []
    for _ in range(repeat):
        shutil.rmtree(out, ignore_errors=True)
        runs.append(run(name, out, source))
    return Measured(
        seconds=statistics.median(one.seconds for one in runs),
        cpu_seconds=statistics.median(one.cpu_seconds for one in runs),
        peak_mib=max(one.peak_mib for one in runs),
        runs=repeat,
    )


@contextmanager
def served(count: int, data: Path) -> Iterator[dict[str, str]]:
    """An emulator with a report of *count* indicators; where it is, and a copy of the report in a file."""
    from tcetl.emulator import run_emulator  # noqa: PLC0415

    file = data / f"report-{count}.json"
    print(f"{count:,} indicators: starting the emulator …", flush=True)
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


def measure_all(counts: list[int], data: Path, repeat: int) -> dict[str, Any]:
    """All that is not measured yet; saved after each measurement."""
    saved = data / "bulk_report.json"
    results: dict[str, Any] = json.loads(saved.read_text("utf-8")) if saved.exists() else {}
    for count in counts:
        wanted = [f"{way}-{source}" for source, way in product(SOURCES, WAYS)]
        missing = [name for name in wanted if f"{count}/{name}" not in results]
        if not missing:
            continue
        if any(name.startswith("pandas") for name in missing) and available_memory() < count * PANDAS_BYTES:
            raise SystemExit(f"json + pandas need {count * PANDAS_BYTES / 2**30:.0f} GiB of memory for {count:,}")
        with served(count, data) as source:
            results[f"{count}/bytes"] = Path(source["file"]).stat().st_size
            for name in missing:
                print(f"{count:,} indicators: {name} …", end=" ", flush=True)
                out = data / str(count) / name.split("-")[0]
                measured = measure(name, out, source, repeat)
                results[f"{count}/{name}"] = asdict(measured)
                saved.write_text(json.dumps(results, indent=1), "utf-8")
                print(f"{measured.seconds:.1f} s, {measured.peak_mib:,.0f} MiB", flush=True)
            if len(missing) == len(wanted):
                run("verify", data / str(count), source)
        shutil.rmtree(data / str(count), ignore_errors=True)
        Path(source["file"]).unlink()
    return results


# Reporting.


def table(counts: list[int], results: dict[str, Any]) -> str:
    """The measurements as a Markdown table."""
    lines = [
        "| indicators | from | `requests`/`json` + pandas | peak | tcetl | peak | times faster |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for count, source in product(counts, SOURCES):
        theirs, ours = results[f"{count}/pandas-{source}"], results[f"{count}/tcetl-{source}"]
        lines.append(
            f"| {count:,} ({results[f'{count}/bytes'] / 1e6:,.0f} MB) | {source} "
            f"| {theirs['seconds']:.1f} s | {theirs['peak_mib']:,.0f} MiB "
            f"| {ours['seconds']:.2f} s | {ours['peak_mib']:,.0f} MiB | {theirs['seconds'] / ours['seconds']:.1f} |"
        )
    return "\n".join(lines)


def verdicts(counts: list[int], results: dict[str, Any]) -> list[tuple[str, bool]]:
    """The targets, and whether they are met; for the largest report."""
    small, large = counts[0], counts[-1]
    found = []
    for source, target in TARGETS.items():
        ratio = results[f"{large}/pandas-{source}"]["seconds"] / results[f"{large}/tcetl-{source}"]["seconds"]
        peaks = [results[f"{count}/tcetl-{source}"]["peak_mib"] for count in (small, large)]
        found += [
            (f"{source}: {ratio:.1f} times faster (target {target:g})", ratio >= target),
            (f"{source}: peak {peaks[1]:,.0f} MiB (target {MOST_MIB})", peaks[1] <= MOST_MIB),
            (
                f"{source}: peak {peaks[1] / peaks[0]:.2f} times that of {small:,} (target {GROWTH:g})",
                peaks[1] <= GROWTH * peaks[0],
            ),
        ]
    return found


def report(counts: list[int], results: dict[str, Any]) -> str:
    """Table, targets and the machine, as Markdown."""
    runs = results[f"{counts[-1]}/tcetl-http"]["runs"]
    checks = "\n".join(f"- {'met' if met else '**missed**'}: {text}" for text, met in verdicts(counts, results))
    machine = (
        f"Wall time of the whole process, median of {runs} run{'s' if runs > 1 else ''}; {os.cpu_count()} cores, "
        f"{platform.system()} {platform.machine()}, CPython {platform.python_version()}."
    )
    return f"{table(counts, results)}\n\n{checks}\n\n{machine}\n"


def main() -> int:
    """Measure what is asked for; 0 when all targets are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--indicators", type=int, default=1_000_000, help="in the large report")
    parser.add_argument("--small", type=int, default=100_000, help="in the small report")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the median counts")
    parser.add_argument(
        "--data", type=Path, default=Path(tempfile.gettempdir()) / "tcetl-benchmark", help="work folder"
    )
    parser.add_argument("--fresh", action="store_true", help="measure again what has been measured")
    parser.add_argument("--out", type=Path, help="write the results here as well, as Markdown")
    parser.add_argument("--child", nargs=2, metavar=("NAME", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, out = arguments.child
        CHILDREN[name](Path(out), json.loads(os.environ["BENCHMARK_SOURCE"]))
        return 0
    arguments.data.mkdir(parents=True, exist_ok=True)
    if arguments.fresh:
        (arguments.data / "bulk_report.json").unlink(missing_ok=True)
    counts = sorted({arguments.small, arguments.indicators})
    results = measure_all(counts, arguments.data, arguments.repeat)
    text = report(counts, results)
    print(f"\n{text}")
    if arguments.out:
        arguments.out.write_text(text, "utf-8")
    return 0 if all(met for _, met in verdicts(counts, results)) else 1


if __name__ == "__main__":
    sys.exit(main())
