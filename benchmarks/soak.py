"""Soak the loader: seeded random faults and kill -9 at every step, and after each load an account by the server.

    python benchmarks/soak.py --schedules 1000 --seed 1

Each schedule is a load of mixed records, good and bad, into the emulator. Faults strike its requests and processes are
killed at the moments that the schedule's seed gives: after planning, around and amid creating jobs, uploading, polling,
reading errors, writing any file. A new process takes the run directory up after each death and each failure, until the
load is done; what the platform left is retried. Then the emulator's state and journal, never the load's own receipts,
must say that every good record was written exactly once, that every bad one has a dead letter with its reason, and that
no chunk was taken twice, although the emulator takes whatever it gets. A schedule that fails prints its seed; replay it
with ``--only SEED``, and ``--keep`` to look at its run directories.
"""

import argparse
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from soak_life import OWNER, live
from soak_schedule import Death, Schedule, draw
from soak_verdict import Verdict, judge

from tcetl.emulator import Emulator, run_emulator
from tcetl.errors import ReconciliationError, TcetlError

LIVES: Final = 150
"""Processes after which a load that is not done never will be."""
LONGEST_LIFE: Final = 60
"""Seconds that one process may take."""


@dataclass
class Outcome:
    """What came of one schedule."""

    seed: int
    verdict: Verdict | None = None
    trouble: str = ""
    lives: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    records: int = 0
    uploads: int = 0
    seconds: float = 0.0

    @property
    def is_sound(self) -> bool:
        """Whether it came to its end and nothing is wrong."""
        return not self.trouble and self.verdict is not None and self.verdict.is_sound


def in_child(act: Callable[[], Any]) -> Callable[[], Any]:
    """Start *act* in a fork of this process, which has imported all it needs; call what is returned to wait for it.

    That gives what *act* returned. A child killed by a signal gives the negative of its number; an exception of tcetl's
    its text; any other is raised. This process must have no other threads: a fork copies only the one that forks.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(LONGEST_LIFE)
        try:
            said: tuple[str, Any] = ("done", act())
        except TcetlError as error:
            said = ("failed", f"{type(error).__name__}: {error}")
        except BaseException:  # noqa: BLE001 - told to the parent
            said = ("broke", traceback.format_exc())
        with os.fdopen(writing, "wb") as stream:
            pickle.dump(said, stream)
        os._exit(0)
    os.close(writing)

    def wait() -> Any:
        with os.fdopen(reading, "rb") as stream:
            content = stream.read()
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return -os.WTERMSIG(status)
        how, what = pickle.loads(content)
        if how == "broke":
            raise RuntimeError(what)
        return what

    return wait


def run_schedule(schedule: Schedule, emulator: Emulator, folder: Path) -> Outcome:
    """Carry out *schedule* in *folder* and return what the emulator says of it."""
    began = time.monotonic()
    outcome = Outcome(schedule.seed, records=len(schedule.records))
    _settle(emulator)
    emulator.reset()
    for fault in schedule.faults:
        emulator.add_fault(**fault)
    try:
        if not _load(schedule, emulator, folder, outcome):
            outcome.trouble = f"not done after {len(outcome.lives)} processes"
    except RuntimeError as error:
        outcome.trouble = str(error)
    _settle(emulator)
    fresh = Emulator(emulator.url)  # connections are not to be shared with a fork
    outcome.verdict = in_child(lambda: judge(schedule, fresh, OWNER, folder))()
    for rule in emulator.faults():
        if rule["kind"] != "upload_again" and rule["struck"]:
            outcome.faults[rule["kind"]] += rule["struck"]
    outcome.uploads = sum(len(job["uploads"]) for job in emulator.batches())
    outcome.seconds = time.monotonic() - began
    return outcome


def _load(schedule: Schedule, emulator: Emulator, folder: Path, outcome: Outcome) -> bool:
    """Start one process after the other until the load is done; whether it ever was."""
    connection = {
        "base_url": emulator.url,
        "access_id": emulator.access_id,
        "secret_key": emulator.secret_key,
    }
    parts: list[int | None] = [None]
    if schedule.way == "parts":
        parts = [0, 1]
    elif schedule.way == "rivals":
        parts = [None, None]
    deaths = iter(schedule.deaths)
    for _ in range(LIVES):
        waiting = []
        for part in parts:
            death = next(deaths, None)
            waiting.append(
                (death, in_child(lambda death=death, part=part: live(schedule, folder, connection, death, part)))
            )
        ends = []
        for death, wait in waiting:
            end = wait()
            if end == -signal.SIGALRM:
                raise RuntimeError(f"a process hung for {LONGEST_LIFE} s")
            ends.append(_described(end, death))
        outcome.lives += ends
        if "done" in ends:
            return True
        if any(end.startswith(ReconciliationError.__name__) for end in ends):
            return False  # nothing that comes later can mend that
        if not any(end.startswith("killed") for end in ends):
            time.sleep(0.05)
    return False


def _described(end: Any, death: Death | None) -> str:
    if end is None:
        return "done"
    if end == -signal.SIGKILL and death:
        return f"killed {death.when} {death.what} ({death.nth})"
    return str(end)


def _settle(emulator: Emulator) -> None:
    """Wait for the requests of processes that are no more."""
    for _ in range(2000):
        if not emulator.requests_under_way():
            return
        time.sleep(0.005)
    raise RuntimeError("requests that never end")


# --- many schedules

_resources = ExitStack()
_emulator: Emulator


def _begin_worker() -> None:
    global _emulator  # noqa: PLW0603 - one for each process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _emulator = _resources.enter_context(run_emulator())


def _work(seed: int, keep: bool) -> Outcome:
    memory = Path("/dev/shm")  # nothing of this need survive a power cut, and every step of a load is flushed
    folder = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-", dir=memory if memory.is_dir() else None))
    outcome = run_schedule(draw(seed), _emulator, folder)
    if keep or not outcome.is_sound:
        outcome.lives.append(f"kept in {folder}")
    else:
        shutil.rmtree(folder)
    return outcome


def outcomes(seeds: list[int], jobs: int, *, keep: bool) -> Iterator[Outcome]:
    """Run the schedules of *seeds* in *jobs* processes, each with an emulator of its own."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_worker) as pool:
        for done in as_completed([pool.submit(_work, seed, keep) for seed in seeds]):
            yield done.result()


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=1000, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the first; the next ones count up")
    parser.add_argument("--only", type=int, metavar="SEED", help="replay the schedule of this seed, and show it")
    parser.add_argument("--jobs", type=int, default=1, help="schedules at a time (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the run directories")
    arguments = parser.parse_args()
    console = Console()
    if arguments.only is not None:
        console.print(draw(arguments.only))
        (outcome,) = outcomes([arguments.only], 1, keep=arguments.keep)
        console.print(outcome)
        return 0 if outcome.is_sound else 1

    seeds = list(range(arguments.seed, arguments.seed + arguments.schedules))
    console.print(f"{len(seeds)} schedules, seeds {seeds[0]} to {seeds[-1]}")
    found: list[Outcome] = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("schedules", total=len(seeds))
        for outcome in outcomes(seeds, arguments.jobs, keep=arguments.keep):
            found.append(outcome)
            progress.advance(task)
            if not outcome.is_sound:
                progress.console.print(f"[red]seed {outcome.seed}:[/] {outcome.trouble or outcome.verdict}")
                progress.console.print("\n".join(outcome.lives), markup=False)
    console.print(summary(found))
    return 0 if all(outcome.is_sound for outcome in found) else 1


def summary(found: list[Outcome]) -> Table:
    """Everything in numbers, and what was wrong."""
    lives = [life for outcome in found for life in outcome.lives]
    struck = sum((outcome.faults for outcome in found), Counter())
    rows: list[tuple[str, Any]] = [
        ("schedules", len(found)),
        ("processes", len(lives)),
        ("of these killed", sum(life.startswith("killed") for life in lives)),
        ("faults that struck", f"{struck.total():,} ({', '.join(f'{kind} {n}' for kind, n in struck.most_common())})"),
        ("records", sum(outcome.records for outcome in found)),
        ("uploads taken", sum(outcome.uploads for outcome in found)),
        ("seconds a schedule", f"{sum(outcome.seconds for outcome in found) / len(found):.2f}"),
    ]
    verdicts = [outcome.verdict for outcome in found if outcome.verdict]
    rows += [
        (kind.name.replace("_", " "), sum(getattr(verdict, kind.name) for verdict in verdicts))
        for kind in fields(Verdict)
    ]
    rows.append(("never done, or broken", sum(bool(outcome.trouble) for outcome in found)))
    table = Table("", "count")
    for name, count in rows:
        table.add_row(name, f"{count:,}" if isinstance(count, int) else count)
    return table


if __name__ == "__main__":
    sys.exit(main())
