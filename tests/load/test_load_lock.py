import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bucket
import pytest
from fake_platform import OWNER, FakePlatform, hosts
from upath import UPath

from tcetl.client import ThreatConnect
from tcetl.client.batch import BatchSettings
from tcetl.config import Settings
from tcetl.errors import LoadError
from tcetl.load import Run, abandon, advance, finish, lease, plan, submit, submit_chunks
from tcetl.load.lock import exclusive
from tcetl.schema import REJECTS

HOLD = """
import json, sys, time
from pathlib import Path
from tcetl.load.lock import exclusive
with exclusive(Path(sys.argv[1]), json.loads(sys.argv[2])):
    print("held", flush=True)
    time.sleep(600)
"""
WORK = """
import json, sys
import bucket
from tcetl.client import ThreatConnect
from tcetl.load import Run, submit_chunks
sys.stdin.readline()
with ThreatConnect() as tc:
    print(submit_chunks(tc, Run.open(sys.argv[1]), json.loads(sys.argv[2])).answered)
"""


@contextmanager
def holder(folder: Path, chunks: list[int] | None = None) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(folder), json.dumps(chunks)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def planned(path: Path | UPath, records: int = 6, **options: int) -> Run:
    settings = BatchSettings(owner=OWNER)
    return plan(hosts(records), REJECTS.empty_table(), path, settings=settings, counts={}, **options)


@pytest.mark.parametrize(
    ("chunks", "held"), [(None, "run directory {}"), ([0, 1], "chunk 0 of run directory {}")], ids=["all", "chunks"]
)
def test_the_second_of_two_processes_is_told_who_holds_what(
    tmp_path: Path, chunks: list[int] | None, held: str
) -> None:
    with holder(tmp_path, chunks) as process:
        said = re.escape(f"{held.format(tmp_path)} is in use by process {process.pid} on ") + ".+ since 20"
        for wanted in (None, [1, 0]):
            with pytest.raises(LoadError, match=said), exclusive(tmp_path, wanted):
                pass
    with exclusive(tmp_path):  # the lock of a killed process is nobody's
        pass


def test_no_step_is_taken_beside_another_process(tmp_path: Path) -> None:
    run = planned(tmp_path / "run")
    platform = FakePlatform()
    with run.exclusive():
        for step in (advance, submit):
            with pytest.raises(LoadError, match="in use by process"):
                step(platform, run)
        with pytest.raises(LoadError, match="in use by process"):
            submit_chunks(platform, run, [0])
    assert platform.calls == []
    assert submit(platform, run).succeeded == 6


# --- claims on chunks


@pytest.mark.parametrize(
    ("mine", "others"),
    [(None, [1]), ([1], None), ([0, 1], [1, 2])],
    ids=["all after a chunk", "a chunk after all", "a chunk twice"],
)
@pytest.mark.parametrize("local", [True, False], ids=["kernel", "lease"])
def test_whoever_wants_a_part_of_it_too_is_kept_out(
    tmp_path: Path, mine: list[int] | None, others: list[int] | None, local: bool
) -> None:
    folder = tmp_path if local else UPath(f"memory:/{tmp_path}")
    with exclusive(folder, others), pytest.raises(LoadError, match="is in use by process"), exclusive(folder, mine):
        pass
    with exclusive(folder, mine):
        pass


@pytest.mark.parametrize("local", [True, False], ids=["kernel", "lease"])
def test_different_chunks_may_be_worked_on_at_the_same_time(tmp_path: Path, local: bool) -> None:
    folder = tmp_path if local else UPath(f"memory:/{tmp_path}")
    with exclusive(folder, [1, 2]), exclusive(folder, [4]):
        with pytest.raises(LoadError, match=r"chunk 2 of run directory .+ is in use by process \d+ on "):
            exclusive(folder, [0, 2, 3]).__enter__()
        with exclusive(folder, [0]):  # what was claimed before the refusal was given back
            pass


def test_chunks_are_taken_to_their_ends_apart_and_judged_together(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", max_records=2)
    platform = FakePlatform()
    first = submit_chunks(platform, run, [2, 0])
    assert (first.done, first.chunks_done, first.records, first.succeeded) == (True, 2, 4, 4)
    with pytest.raises(LoadError, match="1 of 3 chunks are open"):
        finish(run)
    assert advance(platform, run, chunks=[0]).done
    assert not advance(platform, run, chunks=[1]).done
    assert submit_chunks(platform, run, [1]).answered == 2
    assert finish(run).succeeded == 6
    assert platform.calls.count("upload") == 3


@pytest.mark.parametrize("store", ["", "bucket://"], ids=["disk", "store"])
def test_no_chunks_at_all_are_done_at_once_beside_whoever(tmp_path: Path, store: str) -> None:
    run = planned(UPath(f"{store}{tmp_path}/run"))
    with run.exclusive():
        assert submit_chunks(FakePlatform(), run, []).done


def test_there_is_no_working_on_chunks_that_are_not_there(tmp_path: Path) -> None:
    run = planned(tmp_path / "run")
    with pytest.raises(LoadError, match=r"has no chunk 7 \(it has 1, from 0 on\)"):
        submit_chunks(FakePlatform(), run, [0, 7])


def test_abandoning_a_job_leaves_the_other_chunks_to_whoever_works_on_them(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", max_records=3)
    platform = FakePlatform(polls=1000)
    job = advance(platform, run, chunks=[1]).open_batch_ids
    with run.exclusive([0]):
        assert abandon(platform, run) == job
    with run.exclusive([1]), pytest.raises(LoadError, match=f"job {job[0]} is none that"):
        abandon(platform, run, job)


@pytest.mark.parametrize("store", ["", "bucket://"], ids=["disk", "store"])
def test_processes_share_a_run_and_double_nothing(
    tmp_path: Path, tc_emulator: Any, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    emulator = tc_emulator
    for name, value in (
        ("TC_API_URL", emulator.url),
        ("TC_ACCESS_ID", emulator.access_id),
        ("TC_SECRET_KEY", emulator.secret_key),
        ("PYTHONPATH", str(Path(bucket.__file__).parent)),
    ):
        monkeypatch.setenv(name, value)
    settings = BatchSettings(owner=emulator.SOURCE)
    run = plan(hosts(60), REJECTS.empty_table(), f"{store}{tmp_path}/run", settings=settings, counts={}, max_records=5)
    # The last one wants what the first two have, in the opposite order.
    parts = [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], [11, 5]]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(run.path), json.dumps(part)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for part in parts
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [worker.communicate() for worker in workers]
    for worker, (answered, trouble) in zip(workers, said, strict=True):
        assert (worker.returncode == 0 and int(answered)) or "is in use by" in trouble

    with ThreatConnect(Settings.resolve()) as tc:
        report = submit(tc, run)  # whoever was refused is made up for
    assert (report.sent, report.succeeded) == (60, 60)
    assert len(emulator.journal("/v2/batch/*", method="POST")) == len(run.chunks) == 12


# --- leases


@pytest.fixture
def folder(tmp_path: Path) -> UPath:
    return UPath(f"bucket://{tmp_path}/run")


def claim(folder: UPath, part: str, *, age: float = 0.0) -> UPath:
    """A claim that somebody else put *age* seconds ago, by the clock of the store."""
    path = folder / "claims" / f"{part}.another"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'{"pid": 1, "host": "gone", "since": "then"}')
    bucket.age(path, age)
    return path


def claims(folder: UPath) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in (folder / "claims").iterdir())


def test_a_lease_keeps_others_out_and_ends_with_its_block(folder: UPath) -> None:
    with exclusive(folder, [1, 2]):
        with pytest.raises(LoadError, match="in use by process"), exclusive(folder):
            pass
        assert claims(folder) == ["00001", "00002"]
    assert claims(folder) == []


@pytest.mark.parametrize(("part", "wanted"), [("all", None), ("all", [3]), ("00003", None), ("00003", [3])])
def test_a_lease_not_renewed_is_nobodys(folder: UPath, part: str, wanted: list[int] | None) -> None:
    claim(folder, part, age=lease.LEASE - 5)
    with pytest.raises(LoadError, match="in use by process 1 on gone since then"), exclusive(folder, wanted):
        pass
    left = claim(folder, part, age=lease.LEASE + 5)
    with exclusive(folder, wanted):
        assert not left.exists()


def test_a_lease_cut_off_while_it_was_written_counts_all_the_same(folder: UPath) -> None:
    claim(folder, "all").write_bytes(b"{")
    with pytest.raises(LoadError, match="in use by another process"), exclusive(folder):
        pass


def test_leases_are_renewed_while_they_are_held(folder: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE", 0.15)

    def renewed() -> list[float]:
        return [path.fs.modified(path.path).timestamp() for path in sorted((folder / "claims").iterdir())]

    with exclusive(folder, [0, 1]):
        first = renewed()
        deadline = time.monotonic() + 10
        while any(now == then for now, then in zip(renewed(), first, strict=True)):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_who_lost_a_lease_stops_and_leaves_it_to_the_other(folder: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planned(folder)
    platform = FakePlatform()
    monkeypatch.setattr(lease, "LEASE", 0.15)

    def lose_it(*_: object) -> None:
        for path in (folder / "claims").iterdir():
            path.unlink()
        others.append(claim(folder, "all"))
        time.sleep(0.3)

    others: list[UPath] = []
    platform.after = lose_it
    with pytest.raises(LoadError, match=r"hold on .+run was lost"):
        submit(platform, run)
    assert platform.calls.count("upload") == 1  # the step it was at, and none after
    assert others[-1].exists()


def test_of_many_that_find_a_dead_lease_at_once_at_most_one_gets_the_run(folder: UPath) -> None:
    inside, most, held, refused = 0, 0, 0, 0
    guard = threading.Lock()
    start = threading.Barrier(6)

    def contend(number: int) -> None:
        nonlocal inside, most, held, refused
        for turn in range(15):
            start.wait()
            if number == turn % 6:
                claim(folder, "all", age=lease.LEASE * 2)
            try:
                with exclusive(folder, [0] if (turn + number) % 4 else None):
                    with guard:
                        inside, held = inside + 1, held + 1
                        most = max(most, inside)
                    time.sleep(0.005)
                    with guard:
                        inside -= 1
            except LoadError:
                with guard:
                    refused += 1

    with ThreadPoolExecutor(6) as pool:
        for contender in [pool.submit(contend, number) for number in range(6)]:
            contender.result()
    assert (most, held + refused) == (1, 6 * 15)
    assert held
    assert refused


def test_of_two_that_claim_at_the_same_moment_each_sees_the_other(
    folder: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = lease._others

    def after_the_other_claimed_too(*arguments: Any) -> list[UPath]:
        monkeypatch.setattr(lease, "_others", look)
        with pytest.raises(LoadError, match="in use by"), exclusive(folder):
            pass
        return look(*arguments)

    monkeypatch.setattr(lease, "_others", after_the_other_claimed_too)
    with exclusive(folder):
        assert claims(folder) == ["all"]
