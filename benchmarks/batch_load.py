"""Load 1,000,000 indicators into a server that only reads: memory and time of tcetl, and of tcex beside it.

    python benchmarks/batch_load.py --indicators 1000000 --tcex 200000

The indicators come from one Parquet file. tcetl plans from it batch by batch, writes its run directory, and uploads.
tcex reads the same file and is given one indicator after the other, as objects, which is what its documentation shows,
or as dictionaries, which is quicker; then ``submit_all``. The server reads what it is sent, counts, and answers as the
API does; it runs in a process of its own, on the same cores.

They take turns. Every turn is a process of its own. Its *own time* is the CPU time from reading the file to the last
answer; its memory is its peak resident set, imports included. Time per indicator is what is compared, since tcex may be
given fewer of them.
"""

import argparse
import json
import os
import platform
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
OWNER: Final = "Demo Source"
MOST_MIB: Final = 500
TARGET: Final = 10.0
TYPES: Final = ("Address", "EmailAddress", "File", "Host", "URL")


# --- the data


def make(path: Path, count: int) -> None:
    """Write *count* indicators of four types to *path*, in no order."""
    import polars as pl  # noqa: PLC0415 - what one process needs
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    from tcetl.schema import INDICATORS, conform  # noqa: PLC0415

    label = pl.concat_list(pl.lit("TLP:GREEN"))
    with pq.ParquetWriter(path, INDICATORS, compression="zstd") as writer:
        for start in range(0, count, 50_000):
            n = pl.int_range(start, min(start + 50_000, count), eager=True)
            scrambled = n.hash(1)
            rows = pl.DataFrame({"n": n, "x": scrambled}).with_columns(
                type=pl.col("n").mod(4).replace_strict({0: "Host", 1: "Address", 2: "URL", 3: "EmailAddress"}),
                summary=pl.when(pl.col("n") % 4 == 0)
                .then(pl.format("h{}.example.com", "x"))
                .when(pl.col("n") % 4 == 1)
                .then(
                    pl.format(
                        "{}.{}.{}.{}", 11 + pl.col("n") // 2**24, *(pl.col("n") // 2**k % 256 for k in (16, 8, 0))
                    )
                )
                .when(pl.col("n") % 4 == 2)
                .then(pl.format("http://{}.example.com/{}", pl.col("x") % 999_983, "n"))
                .otherwise(pl.format("user{}@mail.example", "x")),
            )
            rows = rows.select(
                "type",
                "summary",
                owner_name=pl.lit(OWNER),
                rating=(pl.col("n") % 6).cast(pl.Float64),
                confidence=(pl.col("x") % 101).cast(pl.Int32),
                tags=pl.concat_list(
                    pl.struct(name=pl.format("campaign {}", pl.col("x") % 50)), pl.struct(name=pl.lit("feed"))
                ),
                attributes=pl.concat_list(
                    pl.struct(
                        type=pl.lit("Description"),
                        value=pl.format(
                            "seen in campaign {} by the sensors of site {}", pl.col("x") % 50, pl.col("x") % 977
                        ),
                        displayed=pl.lit(True),
                    )
                ),
                security_labels=label,
                origin=pl.struct(
                    source=pl.lit("feed"), file=pl.lit("feed.csv"), row=pl.col("n") + 1, raw=pl.col("summary")
                ),
            )
            writer.write_table(pa.Table.from_batches(_exact(rows.to_arrow(), INDICATORS, conform), INDICATORS))


def _exact(table: Any, schema: Any, conform: Any) -> Any:
    """*table* with structs filled up to *schema*."""
    import pyarrow as pa  # noqa: PLC0415

    filled = pa.Table.from_pylist(table.to_pylist(), schema=schema)
    return list(conform(filled.to_batches(), schema))


# --- the server that only reads


def serve(listener: socket.socket) -> None:
    """Answer as the API does until killed: every record that came, known by its one ``"tag"``, was loaded."""
    import uvicorn  # noqa: PLC0415

    jobs: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        count, more = 0, True
        tail = b""
        while more:
            message = await receive()
            piece = tail + message.get("body", b"")
            count += piece.count(b'"tag":')
            tail = piece[-5:]
            more = message.get("more_body", False)
        status, document = _answer(scope["method"], scope["path"].removeprefix("/api"), count, jobs)
        body = json.dumps(document).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(app, lifespan="off", access_log=False, log_level="critical")
    uvicorn.Server(config).run(sockets=[listener])


def _answer(method: str, path: str, count: int, jobs: list[int]) -> tuple[int, dict[str, Any]]:
    def status(id_: int | None, state: str) -> dict[str, Any]:
        done = jobs[id_ - 1] if id_ else count
        counts = {"successCount": done, "errorCount": 0, "unprocessCount": 0}
        return {
            "status": "Success",
            "data": {"batchStatus": {"status": state, **counts} | ({"id": id_} if id_ else {})},
        }

    if method == "POST" and path == "/v2/batch":
        jobs.append(0)
        return 201, {"status": "Success", "data": {"batchId": len(jobs)}}
    if path == "/v2/batch/createAndUpload":
        return 200, status(None, "Completed")
    if match := re.fullmatch(r"/v2/batch/(\d+)", path):
        id_ = int(match[1])
        if method == "POST":
            jobs[id_ - 1] = count
            return 202, status(id_, "Queued")
        return 200, status(id_, "Completed")
    if path == "/v2/types/indicatorTypes":
        types = [{"name": name, "custom": "false", "parsable": "true"} for name in TYPES]
        return 200, {"status": "Success", "data": {"resultCount": len(types), "indicatorType": types}}
    return 404, {"status": "Failure", "message": "The requested resource was not found"}


@contextmanager
def server() -> Iterator[str]:
    """Run the server in a process of its own; yields the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, __file__, "--serve", str(listener.fileno())]
        with subprocess.Popen(command, pass_fds=[listener.fileno()]) as process:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            finally:
                process.kill()


# --- what is measured: each of these runs in a process of its own


def tcetl(url: str, data: Path, count: int, folder: Path) -> dict[str, float]:
    """Plan from the file, and submit."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    from tcetl.client import ThreatConnect  # noqa: PLC0415
    from tcetl.client.batch import BatchSettings  # noqa: PLC0415
    from tcetl.load import plan, submit  # noqa: PLC0415
    from tcetl.schema import REJECTS, empty_table  # noqa: PLC0415

    with Clock() as whole:
        with Clock() as planning, pq.ParquetFile(data) as file:
            run = plan(
                file.iter_batches(batch_size=10_000),
                empty_table(REJECTS),
                folder / "run",
                settings=BatchSettings(owner=OWNER),
                counts={"rows_read": count, "rejected": {}, "duplicates": 0},
            )
        with ThreatConnect(base_url=url, access_id="1", secret_key="2") as tc:
            report = submit(tc, run)
    assert report.succeeded == count
    return whole.measured | {"planning": planning.cpu, "jobs": report.jobs}


def tcex_objects(url: str, data: Path, count: int, folder: Path) -> dict[str, float]:
    """As tcex's documentation shows it: an object for each indicator, and calls for what it has."""

    def add(batch: Any, row: dict[str, Any]) -> None:
        found = batch.indicator(row["type"], row["summary"], rating=row["rating"], confidence=row["confidence"])
        for each in row["attributes"]:
            found.attribute(each["type"], each["value"], displayed=each["displayed"])
        for tag in row["tags"]:
            found.tag(tag["name"])
        for label in row["security_labels"]:
            found.security_label(label)

    return _tcex(url, data, count, folder, add)


def tcex_dicts(url: str, data: Path, count: int, folder: Path) -> dict[str, float]:
    """In tcex's quickest way: a dictionary for each indicator, as it is to be sent."""
    return _tcex(url, data, count, folder, lambda batch, row: batch.add_indicator(_for_tcex(row)))


def _tcex(
    url: str, data: Path, count: int, folder: Path, add: Callable[[Any, dict[str, Any]], Any]
) -> dict[str, float]:
    import pyarrow.parquet as pq  # noqa: PLC0415

    sys.path.insert(0, str(HERE.parent / "tests"))
    from tcex_app import tcex_app  # noqa: PLC0415

    columns = ["type", "summary", "rating", "confidence", "tags", "attributes", "security_labels"]
    with tcex_app(url, "1", "2", folder) as app:
        batch = app.api.tc.v2.batch(OWNER, halt_on_error=False)
        with Clock() as whole:
            with Clock() as planning, pq.ParquetFile(data) as file:
                for part in file.iter_batches(batch_size=10_000, columns=columns):
                    for row in part.slice(0, count - len(batch)).to_pylist():
                        add(batch, row)
            statuses = batch.submit_all()
    assert sum(status["successCount"] for status in statuses) == count
    return whole.measured | {"planning": planning.cpu, "jobs": len(statuses)}


def _for_tcex(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "xid": str(uuid.uuid4()),
        "type": row["type"],
        "summary": row["summary"],
        "rating": row["rating"],
        "confidence": row["confidence"],
        "tag": [{"name": tag["name"]} for tag in row["tags"]],
        "attribute": [
            {"type": each["type"], "value": each["value"], "displayed": each["displayed"]} for each in row["attributes"]
        ],
        "securityLabel": [{"name": name} for name in row["security_labels"]],
    }


class Clock:
    """Wall and CPU seconds of a block, the latter of all threads of this process."""

    def __enter__(self) -> "Clock":
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu

    @property
    def measured(self) -> dict[str, float]:
        """What the block took."""
        return {"wall": self.wall, "cpu": self.cpu}


WAYS: Final = {"tcetl": tcetl, "tcex, objects": tcex_objects, "tcex, dictionaries": tcex_dicts}


def measure(way: str, url: str, data: Path, count: int) -> dict[str, float]:
    """Run *way* in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="batch-load-") as folder:
        command = [sys.executable, __file__, "--way", way, "--url", url, "--data", str(data), "--folder", folder]
        done = subprocess.run([*command, "--indicators", str(count)], stdout=subprocess.PIPE, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--indicators", type=int, default=1_000_000, metavar="N", help="for tcetl")
    parser.add_argument("--tcex", type=int, default=200_000, metavar="N", help="for tcex (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: %(default)s)")
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    for internal in ("--serve", "--way", "--url", "--folder"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(socket.socket(fileno=int(arguments.serve)))
        return 0
    if arguments.way:
        act = WAYS[arguments.way]
        found = act(arguments.url, arguments.data, arguments.indicators, Path(arguments.folder))
        print(json.dumps(found | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return 0
    return compare(arguments)


def compare(arguments: argparse.Namespace) -> int:
    """Let the two take turns, and say what came of it; 1 where a target was missed."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console()
    counts = {way: arguments.indicators if way == "tcetl" else arguments.tcex for way in WAYS}
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="batch-load-") as folder:
        data = arguments.data or Path(folder) / "indicators.parquet"
        with console.status("making the data"):
            if not data.exists():
                make(data, max(counts.values()))
        for number in range(arguments.rounds):
            for way in WAYS:
                with console.status(f"round {number + 1} of {arguments.rounds}: {way}"), server() as url:
                    found[way].append(measure(way, url, data, counts[way]))

    table = Table("", "indicators", "jobs", "own time, s", "of it planning", "wall, s", "µs each", "peak, MiB", "times")
    missed = []
    for way, turns in found.items():
        middle = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        rounds = [
            (turn["cpu"] / counts[way]) / (ours["cpu"] / counts["tcetl"])
            for turn, ours in zip(turns, found["tcetl"], strict=True)
        ]
        times = statistics.median(rounds)
        peak = max(turn["peak"] for turn in turns)
        table.add_row(
            way,
            f"{counts[way]:,}",
            f"{middle['jobs']:.0f}",
            f"{middle['cpu']:.1f}",
            f"{middle['planning']:.1f}",
            f"{middle['wall']:.1f}",
            f"{middle['cpu'] / counts[way] * 1e6:.1f}",
            f"{peak:.0f}",
            f"{times:.1f} ({', '.join(f'{each:.1f}' for each in rounds)})",
        )
        if way == "tcetl" and peak > MOST_MIB:
            missed.append(f"{peak:.0f} MiB, at most {MOST_MIB}")
        if way != "tcetl" and times < TARGET:
            missed.append(f"{times:.1f} times less own time than {way}, target {TARGET:g}")
    console.print(table)
    console.print(
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, {platform.platform()}, "
        f"Python {platform.python_version()}"
    )
    console.print(f"missed: {'; '.join(missed)}" if missed else "all targets met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
